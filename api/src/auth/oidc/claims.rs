//! What a verified token says of its bearer: who it is, whose things it sees, what it may.

use drydock_domain::Role;
use serde_json::Value;

use super::settings::{Issuer, RoleRule, TenantRule};
use crate::{error::ApiError, validate::rules};

/// Longest subject, in bytes (OIDC Core 1.0, §2).
const MAX_SUBJECT: usize = 255;

/// The bearer of a token, as its issuer has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bearer {
    /// With the issuer, who it is: this never comes to be somebody else's. A name or an address may.
    pub(super) subject: String,
    /// The name of the tenant.
    pub(super) tenant: String,
    pub(super) role: Role,
    /// For people.
    pub(super) name: String,
    /// The address, where the issuer says that it looked.
    pub(super) email: Option<String>,
}

impl Bearer {
    /// # Errors
    /// 401: there is no subject. 403: the rules give no tenant, or no role.
    pub(super) fn read(claims: &Value, issuer: &Issuer) -> Result<Self, ApiError> {
        let subject = text(claims, "sub").filter(|subject| subject.len() <= MAX_SUBJECT && !subject.contains('\0'));
        let subject = subject.ok_or(ApiError::Unauthorized("Token has no subject of 1 to 255 bytes"))?;
        let verified = claims.get("email_verified") == Some(&Value::Bool(true));
        let email = claims.get("email").filter(|_| verified).and_then(|email| rules::email(email).ok());
        let names = ["name", "preferred_username"].iter().find_map(|name| rules::title(claims.get(name)?).ok());
        Ok(Self {
            tenant: tenant(claims, &issuer.tenant)?,
            role: role(claims, &issuer.role)?,
            name: names.unwrap_or_else(|| plain(subject)),
            subject: subject.to_owned(),
            email,
        })
    }
}

fn tenant(claims: &Value, rule: &TenantRule) -> Result<String, ApiError> {
    let (claim, values) = match rule {
        TenantRule::Always(name) => return Ok(name.clone()),
        TenantRule::Claim(claim, values) => (claim, values),
    };
    let refused = |what: &str| ApiError::Forbidden(format!("Token's claim '{claim}' {what}").into());
    let mut named = strings(claims, claim).into_iter().filter_map(|value| match values {
        Some(values) => values.get(value).cloned(),
        None => rules::name(&value.into()).ok(),
    });
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(refused("names more than one tenant: ask for a token of one of them")),
        (None, _) => Err(refused("names no tenant that is known here: ask an operator of this server")),
    }
}

fn role(claims: &Value, rule: &RoleRule) -> Result<Role, ApiError> {
    let fits = rule.claim.as_ref().and_then(|(claim, values)| {
        let held = strings(claims, claim);
        values.iter().find(|(value, _)| held.contains(&value.as_str())).map(|(_, role)| *role)
    });
    let none = "The claims of this token give no role: ask an operator of this server";
    fits.or(rule.default).ok_or(ApiError::Forbidden(none.into()))
}

/// The values of a claim: one text or a list of them. A name that begins with `/` is a pointer into the claims (RFC 6901).
fn strings<'a>(claims: &'a Value, name: &str) -> Vec<&'a str> {
    let claim = if name.starts_with('/') { claims.pointer(name) } else { claims.get(name) };
    match claim {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn text<'a>(claims: &'a Value, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// A subject as a name.
fn plain(subject: &str) -> String {
    subject.chars().filter(|c| !c.is_control()).take(rules::MAX_TITLE_NAME).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use serde_json::json;

    use super::*;

    fn issuer(tenant: TenantRule, role: RoleRule) -> Issuer {
        let pause = Duration::ZERO;
        Issuer { url: "i".into(), audience: vec![], algorithms: vec![], leeway: pause, refresh: pause, tenant, role }
    }

    fn fixed() -> Issuer {
        issuer(TenantRule::Always("t".into()), RoleRule { claim: None, default: Some(Role::Viewer) })
    }

    #[test]
    fn an_address_counts_once_the_issuer_has_looked() {
        let cases = [
            (json!({"email": "a@b", "email_verified": true}), Some("a@b")),
            (json!({"email": "a@b"}), None),
            (json!({"email": "a@b", "email_verified": false}), None),
            (json!({"email": "a@b", "email_verified": "true"}), None),
            (json!({"email": "a@b", "email_verified": 1}), None),
            (json!({"email": "no address", "email_verified": true}), None),
        ];
        for (mut claims, expected) in cases {
            claims["sub"] = "s".into();
            assert_eq!(Bearer::read(&claims, &fixed()).unwrap().email.as_deref(), expected, "{claims}");
        }
    }

    #[test]
    fn a_subject_is_needed_and_names_who_has_no_name() {
        for bad in [
            json!({}),
            json!({"sub": ""}),
            json!({"sub": 7}),
            json!({"sub": "a\u{0}"}),
            json!({"sub": "x".repeat(256)}),
        ] {
            assert!(matches!(Bearer::read(&bad, &fixed()), Err(ApiError::Unauthorized(_))), "{bad}");
        }
        let name = |claims: Value| Bearer::read(&claims, &fixed()).unwrap().name;
        assert_eq!(name(json!({"sub": "s", "name": " Ada ", "preferred_username": "al"})), "Ada");
        assert_eq!(name(json!({"sub": "s", "name": "a\nb", "preferred_username": "al"})), "al");
        assert_eq!(name(json!({"sub": "s\u{7}"})), "s");
    }

    #[test]
    fn the_tenant_is_the_one_that_a_claim_names() {
        let read = |values: Option<&[(&str, &str)]>, claims: Value| {
            let values =
                values.map(|values| values.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect::<BTreeMap<_, _>>());
            tenant(&claims, &TenantRule::Claim("org".into(), values)).ok()
        };
        let map: Option<&[(&str, &str)]> = Some(&[("acme corp", "acme"), ("b", "two")]);
        assert_eq!(read(None, json!({"org": "acme"})).as_deref(), Some("acme"));
        assert_eq!(read(map, json!({"org": "acme corp"})).as_deref(), Some("acme"));
        assert_eq!(read(map, json!({"org": ["x", "b"]})).as_deref(), Some("two"));
        for none in [
            json!({}),
            json!({"org": "acme"}),
            json!({"org": ["acme corp", "b"]}),
            json!({"org": null}),
            json!({"org": {"b": 1}}),
        ] {
            assert_eq!(read(map, none.clone()), None, "{none}");
        }
        assert_eq!(read(None, json!({"org": "a b\u{0}"})), None);
    }

    #[test]
    fn of_several_roles_the_first_that_is_listed_counts() {
        let values = vec![("admins".to_owned(), Role::Owner), ("staff".to_owned(), Role::Member)];
        let rule = |default| RoleRule { claim: Some(("/realm_access/roles".to_owned(), values.clone())), default };
        let held = |roles: Value| json!({"realm_access": {"roles": roles}, "roles": ["admins"]});
        assert_eq!(role(&held(json!(["staff", "admins"])), &rule(None)).unwrap(), Role::Owner);
        assert_eq!(role(&held(json!("staff")), &rule(None)).unwrap(), Role::Member);
        assert_eq!(role(&held(json!(["guests"])), &rule(Some(Role::Viewer))).unwrap(), Role::Viewer);
        assert!(role(&held(json!(["guests"])), &rule(None)).is_err());
        // A claim with a slash in its name is no pointer unless it begins with one.
        let odd = RoleRule { claim: Some(("https://x/roles".to_owned(), values.clone())), default: None };
        assert_eq!(role(&json!({"https://x/roles": ["staff"]}), &odd).unwrap(), Role::Member);
    }
}
