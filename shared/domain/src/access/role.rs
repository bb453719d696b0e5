//! Roles: what a user or a key is there for, as a set of scopes.

use serde::{Deserialize, Serialize};

use super::scope::{Scope, Scopes};
use crate::state::{UnknownName, words};

words! {
    /// A role, in a tenant or over the fleet.
    Role as "role" {
        /// Reads everything of its tenant.
        Viewer = "viewer",
        /// A viewer who also works: projects and jobs.
        Member = "member",
        /// All of its tenant, users, keys and webhooks included.
        Owner = "owner",
        /// The fleet and the list of tenants, and nothing of any tenant's own.
        Operator = "operator",
        /// Owner of its tenant and operator in one: what the first key is.
        Admin = "admin",
    }
}

const VIEWER: Scopes =
    Scopes::of(&[Scope::ProjectsRead, Scope::JobsRead, Scope::KeysRead, Scope::AuditRead, Scope::WebhooksRead]);
const MEMBER: Scopes = VIEWER.with(Scopes::of(&[Scope::ProjectsWrite, Scope::JobsWrite]));
const OWNER: Scopes = MEMBER.with(Scopes::of(&[Scope::KeysWrite, Scope::WebhooksWrite]));
const OPERATOR: Scopes = Scopes::of(&[Scope::FleetRead, Scope::FleetWrite, Scope::TenantsRead, Scope::TenantsWrite]);

impl Role {
    /// What it may do.
    pub const fn scopes(self) -> Scopes {
        match self {
            Self::Viewer => VIEWER,
            Self::Member => MEMBER,
            Self::Owner => OWNER,
            Self::Operator => OPERATOR,
            Self::Admin => OWNER.with(OPERATOR),
        }
    }

    /// What a key of this role may do that names `own` scopes, or none for all of the role's.
    #[must_use]
    pub fn limited_to(self, own: Option<Scopes>) -> Scopes {
        own.map_or(self.scopes(), |own| self.scopes() & own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_what_is_promised() {
        let told = |role: Role| role.scopes().to_string();
        let cases = [
            (Role::Viewer, "projects:read, jobs:read, keys:read, audit:read, webhooks:read"),
            (
                Role::Member,
                "projects:read, projects:write, jobs:read, jobs:write, keys:read, audit:read, webhooks:read",
            ),
            (
                Role::Owner,
                "projects:read, projects:write, jobs:read, jobs:write, keys:read, keys:write, audit:read, webhooks:read, webhooks:write",
            ),
            (Role::Operator, "fleet:read, fleet:write, tenants:read, tenants:write"),
        ];
        for (role, scopes) in cases {
            assert_eq!(told(role), scopes, "{role}");
        }
        assert_eq!(Role::Admin.scopes(), Scopes::ALL);
    }

    #[test]
    fn a_key_never_has_more_than_its_role() {
        let own = Some(Scopes::of(&[Scope::JobsRead, Scope::KeysWrite, Scope::FleetWrite]));
        assert_eq!(Role::Viewer.limited_to(own).to_string(), "jobs:read");
        assert_eq!(Role::Owner.limited_to(own).to_string(), "jobs:read, keys:write");
        assert_eq!(Role::Member.limited_to(None), Role::Member.scopes());
        // A list of which nothing is left is not the empty list that means all.
        assert!(Role::Admin.limited_to(Some(Scopes::default())).is_empty());
    }
}
