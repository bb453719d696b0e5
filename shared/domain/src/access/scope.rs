//! Scopes: the rights there are, each a resource and whether it may be changed.

use std::{fmt, ops::BitAnd};

use serde::{Deserialize, Serialize};

use crate::state::{UnknownName, words};

words! {
    /// One right. Writing does not include reading.
    Scope as "scope" {
        /// Projects, their files and versions.
        ProjectsRead = "projects:read",
        /// Make, import, fork, change, restore and delete projects.
        ProjectsWrite = "projects:write",
        /// Jobs, their logs and events, and schedules.
        JobsRead = "jobs:read",
        /// Submit, cancel and repeat jobs, and keep schedules.
        JobsWrite = "jobs:write",
        /// Workers of all tenants.
        FleetRead = "fleet:read",
        /// Drain workers, change pools.
        FleetWrite = "fleet:write",
        /// The tenant's users and keys, never a secret.
        KeysRead = "keys:read",
        /// Make users and keys, revoke keys.
        KeysWrite = "keys:write",
        /// The tenant's audit log.
        AuditRead = "audit:read",
        /// The list of tenants.
        TenantsRead = "tenants:read",
        /// Make tenants, with the first key of each.
        TenantsWrite = "tenants:write",
        /// Webhooks and what was delivered to them, never a secret.
        WebhooksRead = "webhooks:read",
        /// Make, change, test and remove webhooks: what the tenant's jobs came to goes where they say.
        WebhooksWrite = "webhooks:write",
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u16);

impl Scopes {
    /// Every scope there is.
    pub const ALL: Self = Self::of(Scope::ALL);

    /// These scopes.
    pub const fn of(scopes: &[Scope]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < scopes.len() {
            bits |= 1 << scopes[at] as u16;
            at += 1;
        }
        Self(bits)
    }

    /// Whether `scope` is among them.
    pub const fn holds(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u16) != 0
    }

    /// Those of either.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that `other` has not.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One by one, in the order they are listed.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.holds(*scope))
    }
}

/// Those that are in both.
impl BitAnd for Scopes {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::default(), |set, scope| set.with(Self::of(&[scope])))
    }
}

/// With commas.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.iter().enumerate() {
            write!(f, "{}{scope}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Scope::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_no_more() {
        for &scope in Scope::ALL {
            let one = Scopes::of(&[scope]);
            assert_eq!(one.iter().collect::<Vec<_>>(), [scope]);
            assert_eq!(one.to_string().parse::<Scope>().ok(), Some(scope));
            assert!(Scopes::ALL.holds(scope) && !Scopes::ALL.without(one).holds(scope));
        }
        let both = Scopes::from_iter([Scope::JobsWrite, Scope::ProjectsRead]);
        assert_eq!(both.to_string(), "projects:read, jobs:write");
        assert_eq!(both & Scopes::of(&[Scope::JobsWrite, Scope::KeysRead]), Scopes::of(&[Scope::JobsWrite]));
        assert!(Scopes::default().is_empty() && !both.is_empty());
    }
}
