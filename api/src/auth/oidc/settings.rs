//! `oidc.toml`: whose tokens count, one `[[issuer]]` table each. Unknown fields are refused, and every mistake is reported at once.

use std::{collections::BTreeMap, path::Path, time::Duration};

use drydock_domain::Role;
use drydock_runtime::config::{ConfigError, duration};
use jsonwebtoken::{Algorithm, AlgorithmFamily};
use reqwest::Url;
use serde::{Deserialize, Deserializer};

/// Clocks that differ by more are to be mended.
const MAX_LEEWAY: Duration = Duration::from_secs(60);
/// Longest issuer URL, in bytes: it is part of an index.
const MAX_URL: usize = 500;

/// An issuer as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    url: String,
    audience: Vec<String>,
    #[serde(default = "usual_algorithms")]
    algorithms: Vec<Algorithm>,
    #[serde(default = "usual_leeway", deserialize_with = "time")]
    leeway: Duration,
    #[serde(default = "usual_pause", deserialize_with = "pause")]
    refresh: Duration,
    tenant: TenantEntry,
    role: RoleEntry,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantEntry {
    name: Option<String>,
    claim: Option<String>,
    values: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleEntry {
    default: Option<Role>,
    claim: Option<String>,
    #[serde(default)]
    values: Vec<(String, Role)>,
}

/// An issuer whose tokens count.
#[derive(Clone, Debug)]
pub(super) struct Issuer {
    /// What its tokens name as `iss`, exactly; its discovery document is below.
    pub(super) url: String,
    /// A token names one of these as `aud`.
    pub(super) audience: Vec<String>,
    /// None of them with a shared secret.
    pub(super) algorithms: Vec<Algorithm>,
    /// How much clocks may differ.
    pub(super) leeway: Duration,
    /// How long to wait before its keys are fetched again for one that is not among them.
    pub(super) refresh: Duration,
    pub(super) tenant: TenantRule,
    pub(super) role: RoleRule,
}

/// Whose things a token's bearer sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TenantRule {
    /// Those of the tenant of this name.
    Always(String),
    /// Those of the tenant that this claim names, by its own name or by this list.
    Claim(String, Option<BTreeMap<String, String>>),
}

/// What a token's bearer may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoleRule {
    /// The claim and the roles of its values: of several the first in this list counts.
    pub(super) claim: Option<(String, Vec<(String, Role)>)>,
    /// Where no value fits.
    pub(super) default: Option<Role>,
}

/// The file's issuers, in its order.
///
/// # Errors
/// It cannot be read, or something is wrong with it: all of that.
pub(super) fn read(path: &Path) -> Result<Vec<Issuer>, ConfigError> {
    let invalid = |reason: String| ConfigError::Invalid { name: "DRYDOCK_OIDC_FILE", reason };
    let text = fs_err::read_to_string(path).map_err(|error| invalid(error.to_string()))?;
    parse(&text).map_err(|problems| invalid(format!("'{}': {}", path.display(), problems.join("; "))))
}

fn parse(text: &str) -> Result<Vec<Issuer>, Vec<String>> {
    let mut file: toml::Table =
        text.parse().map_err(|error: toml::de::Error| vec![error.to_string().trim_end().to_owned()])?;
    let mut problems = Vec::new();
    let entries = match file.remove("issuer") {
        Some(toml::Value::Array(entries)) => entries,
        Some(_) | None => {
            problems.push("issuer: write each one as an [[issuer]] table".to_owned());
            Vec::new()
        }
    };
    problems.extend(file.keys().map(|field| format!("{field}: unknown field, expected [[issuer]] tables only")));
    let mut issuers: Vec<Issuer> = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let label = format!("issuer number {}", index + 1);
        match entry.try_into::<Entry>().map_err(|error| vec![error.message().to_owned()]).and_then(check) {
            Ok(issuer) if issuers.iter().any(|known| known.url == issuer.url) => {
                problems.push(format!("{label}: url: used twice"));
            }
            Ok(issuer) => issuers.push(issuer),
            Err(found) => problems.extend(found.into_iter().map(|problem| format!("{label}: {problem}"))),
        }
    }
    if problems.is_empty() { Ok(issuers) } else { Err(problems) }
}

fn check(entry: Entry) -> Result<Issuer, Vec<String>> {
    let Entry { url, audience, algorithms, leeway, refresh, tenant, role } = entry;
    let mut problems = Vec::new();
    if url.len() > MAX_URL || !Url::parse(&url).is_ok_and(|url| is_trusted(&url) && url.query().is_none()) {
        problems.push("url: use the issuer's https:// address, as its tokens have it in `iss`".to_owned());
    }
    if audience.is_empty() || audience.iter().any(String::is_empty) {
        problems.push("audience: name what tokens for this API have in `aud`".to_owned());
    }
    if algorithms.is_empty() || algorithms.iter().any(|algorithm| algorithm.family() == AlgorithmFamily::Hmac) {
        problems.push("algorithms: use those with a key pair: RS256, PS256, ES256, ES384, EdDSA, …".to_owned());
    }
    if leeway > MAX_LEEWAY {
        problems.push("leeway: at most 60s".to_owned());
    }
    let tenant = match tenant {
        TenantEntry { name: Some(name), claim: None, values: None } => Some(TenantRule::Always(name)),
        TenantEntry { name: None, claim: Some(claim), values } => Some(TenantRule::Claim(claim, values)),
        _ => None,
    };
    if tenant.is_none() {
        problems.push("tenant: give either a name, or a claim and perhaps values".to_owned());
    }
    let claim = match (role.claim, role.values) {
        (Some(claim), values) if !values.is_empty() => Some((claim, values)),
        (None, values) if values.is_empty() => None,
        _ => {
            problems.push("role: a claim needs values, like [[\"admins\", \"owner\"]], and values a claim".to_owned());
            None
        }
    };
    if claim.is_none() && role.default.is_none() {
        problems.push("role: give a claim with values, or a default, or nobody may anything".to_owned());
    }
    match tenant {
        Some(tenant) if problems.is_empty() => {
            let role = RoleRule { claim, default: role.default };
            Ok(Issuer { url, audience, algorithms, leeway, refresh, tenant, role })
        }
        _ => Err(problems),
    }
}

/// Whether nobody between can change what comes from there: TLS, or this host.
pub(super) fn is_trusted(url: &Url) -> bool {
    url.scheme() == "https" || url.scheme() == "http" && is_loopback(url)
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn usual_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]
}

const fn usual_leeway() -> Duration {
    Duration::from_secs(30)
}

const fn usual_pause() -> Duration {
    Duration::from_secs(10)
}

/// At least a second: whoever asks makes an issuer be asked no more often.
fn pause<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let pause = time(deserializer)?;
    if pause < Duration::from_secs(1) {
        return Err(serde::de::Error::custom("refresh should be at least 1s"));
    }
    Ok(pause)
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
        [[issuer]]
        url = "https://login.example.org/realms/dev"
        audience = ["drydock"]
        algorithms = ["ES384"]
        leeway = "5s"
        tenant = { claim = "org", values = { "acme corp" = "acme" } }
        role = { claim = "/realm_access/roles", values = [["admins", "owner"], ["staff", "member"]], default = "viewer" }

        [[issuer]]
        url = "http://127.0.0.1:9/"
        audience = ["drydock"]
        tenant = { name = "default" }
        role = { default = "member" }
    "#;

    #[test]
    fn a_file_says_whose_tokens_count() {
        let issuers = parse(WHOLE).unwrap();
        let [first, second] = issuers.as_slice() else { panic!("{issuers:?}") };
        let values = BTreeMap::from([("acme corp".to_owned(), "acme".to_owned())]);
        assert_eq!(first.tenant, TenantRule::Claim("org".to_owned(), Some(values)));
        assert_eq!(
            (first.algorithms.as_slice(), first.leeway),
            ([Algorithm::ES384].as_slice(), Duration::from_secs(5))
        );
        assert_eq!(first.role.claim.as_ref().unwrap().1[1], ("staff".to_owned(), Role::Member));
        assert_eq!(second.algorithms, [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]);
        assert_eq!(second.tenant, TenantRule::Always("default".to_owned()));
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let cases = [
            ("", "write each one as an [[issuer]] table"),
            ("issuer = 1\nother = 2", "other: unknown field"),
            ("[[issuer]]\nurl = 'https://a'", "issuer number 1: missing field"),
            ("algorithms = ['HS256']", "algorithms: use those with a key pair"),
            ("algorithms = ['none']", "unknown variant `none`"),
            ("algorithms = []", "algorithms: use those"),
            ("url = 'http://login.example.org'", "url: use the issuer's https:// address"),
            ("url = 'login'", "url: use"),
            ("audience = []", "audience: name what"),
            ("leeway = '5m'", "leeway: at most 60s"),
            ("jwks = 'https://b'", "unknown field `jwks`"),
            ("tenant = {}", "tenant: give either"),
            ("tenant = { name = 'a', claim = 'b' }", "tenant: give either"),
            ("role = {}", "role: give a claim"),
            ("role = { claim = 'groups' }", "role: a claim needs values"),
            ("role = { claim = 'groups', values = [['a', 'king']] }", "unknown variant `king`"),
        ];
        for (text, told) in cases {
            let text = if text.is_empty() || text.contains("issuer") && !text.contains("//login") {
                text.to_owned()
            } else {
                let name = text.split(' ').next().unwrap();
                let others = [
                    "url = 'https://a'",
                    "audience = ['a']",
                    "tenant = { name = 'a' }",
                    "role = { default = 'viewer' }",
                ];
                let others = others.into_iter().filter(|line| !line.starts_with(name)).collect::<Vec<_>>().join("\n");
                format!("[[issuer]]\n{text}\n{others}")
            };
            let problems = parse(&text).unwrap_err().join("; ");
            assert!(problems.contains(told), "{text}: {problems}");
        }
        let twice = WHOLE.replace("http://127.0.0.1:9/", "https://login.example.org/realms/dev");
        assert_eq!(parse(&twice).unwrap_err(), ["issuer number 2: url: used twice"]);
    }
}
