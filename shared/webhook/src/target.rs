//! `Target`: a URL that messages may be sent to, as far as its text tells. Its `Debug` shows the host alone: paths of such URLs are often
//! secrets.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use drydock_address::lookup;
use reqwest::Url;

use crate::policy::{Policy, Scheme};

/// Longest URL, in characters.
pub const MAX_URL: usize = 2000;

/// Where messages go.
#[derive(Clone)]
pub struct Target {
    url: Url,
    scheme: Scheme,
}

/// Why a URL is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a URL of a host.
    #[error("Input should be a URL like https://example.org/hooks/drydock")]
    NoUrl,
    /// Too long.
    #[error("URL should have at most {MAX_URL} characters")]
    TooLong,
    /// A scheme that is not allowed there.
    #[error("URL should begin with https://, or with http:// for hosts that DRYDOCK_WEBHOOK_ALLOW_PRIVATE names")]
    Scheme,
    /// A user or a password in it.
    #[error("URL should hold no user and password")]
    UserInfo,
    /// Port 0.
    #[error("URL should have another port than 0")]
    Port,
    /// What follows a `#` is never sent.
    #[error("URL should have no fragment")]
    Fragment,
    /// Its host is an address that is not everybody's.
    #[error("the address {0} is not a public one: the operator can allow it with DRYDOCK_WEBHOOK_ALLOW_PRIVATE")]
    Private(IpAddr),
    /// Its host's name stands for such an address. Told like the next: what names mean inside of a network is not for everybody.
    #[error("{}", no_public_address(.0))]
    Inside(String),
    /// Its host's name cannot be looked up, or has no address.
    #[error("{}", no_public_address(.0))]
    Unknown(String),
}

fn no_public_address(host: &str) -> String {
    format!(
        "host {host} has no public address: is the name right? The operator can allow others with DRYDOCK_WEBHOOK_ALLOW_PRIVATE"
    )
}

impl Target {
    /// Reads a URL. What only a look-up can tell is told by [`Self::check`].
    ///
    /// # Errors
    /// It is not allowed.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, TargetError> {
        if text.chars().count() > MAX_URL {
            return Err(TargetError::TooLong);
        }
        let url: Url = text.parse().map_err(|_| TargetError::NoUrl)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(TargetError::NoUrl)?;
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" if policy.allows_some() => Scheme::Http,
            _ => return Err(TargetError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::UserInfo);
        }
        if url.port() == Some(0) {
            return Err(TargetError::Port);
        }
        if url.fragment().is_some() {
            return Err(TargetError::Fragment);
        }
        // An address is never looked up when a connection is made: it is judged here.
        if let Some(address) = literal(host) {
            judge(policy, scheme, host, address)?;
        }
        Ok(Self { url, scheme })
    }

    /// Looks its host up and judges each address.
    ///
    /// # Errors
    /// It cannot be looked up, or one of its addresses is not allowed.
    pub async fn check(&self, policy: &Policy) -> Result<(), TargetError> {
        let host = self.host();
        match literal(host) {
            Some(address) => judge(policy, self.scheme, host, address),
            None => addresses(policy, self.scheme, host).await.map(|_| ()),
        }
    }

    /// The URL itself.
    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// How it is reached.
    pub(crate) const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its host, which may be shown.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("host", &self.host()).finish_non_exhaustive()
    }
}

/// The URL as it is to be kept.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

/// The addresses of a host, all of them allowed.
pub(crate) async fn addresses(policy: &Policy, scheme: Scheme, host: &str) -> Result<Vec<SocketAddr>, TargetError> {
    let found = lookup(host).await.map_err(|_| TargetError::Unknown(host.to_owned()))?;
    for address in &found {
        judge(policy, scheme, host, *address).map_err(|error| match error {
            TargetError::Private(_) => TargetError::Inside(host.to_owned()),
            other => other,
        })?;
    }
    Ok(found.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
}

fn judge(policy: &Policy, scheme: Scheme, host: &str, address: IpAddr) -> Result<(), TargetError> {
    if policy.allows_host(host) || policy.allows(scheme, address) {
        return Ok(());
    }
    if scheme == Scheme::Http && policy.allows(Scheme::Https, address) {
        return Err(TargetError::Scheme);
    }
    Err(TargetError::Private(address))
}

/// The address that a host of a URL is, where it is one. The URL parser has brought forms like `0x7f.1` into the usual one.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allowed: &str) -> Policy {
        Policy::new(allowed.parse().unwrap())
    }

    fn refused(text: &str, allowed: &str) -> Option<TargetError> {
        Target::parse(text, &policy(allowed)).err()
    }

    #[test]
    fn texts_that_do_not_pass_are_told_why() {
        let cases = [
            ("", TargetError::NoUrl),
            ("example.org/x", TargetError::NoUrl),
            ("https://", TargetError::NoUrl),
            ("http://example.org/", TargetError::Scheme),
            ("ftp://example.org/", TargetError::Scheme),
            ("file:///etc/passwd", TargetError::NoUrl),
            ("https://u@example.org/", TargetError::UserInfo),
            ("https://u:p@example.org/", TargetError::UserInfo),
            ("https://example.org:0/", TargetError::Port),
            ("https://example.org/#x", TargetError::Fragment),
        ];
        for (text, error) in cases {
            assert_eq!(refused(text, ""), Some(error), "{text}");
        }
        assert_eq!(refused(&format!("https://example.org/{}", "x".repeat(MAX_URL)), ""), Some(TargetError::TooLong));
        assert_eq!(refused("https://example.org:8443/a?b=c", ""), None);
    }

    #[test]
    fn an_address_in_any_spelling_is_judged() {
        let private = [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f.0.0.1/",
            "https://2130706433/",
            "https://017700000001/",
            "https://127.0.0.1./",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::127.0.0.1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://10.0.0.1/",
            "https://0.0.0.0/",
            "https://[fd00:ec2::254]/",
        ];
        for text in private {
            assert!(matches!(refused(text, ""), Some(TargetError::Private(_))), "{text}: {:?}", refused(text, ""));
        }
        assert_eq!(refused("https://1.1.1.1/", ""), None);
        assert_eq!(refused("http://127.0.0.1:8080/x", "127.0.0.0/8"), None);
        assert_eq!(refused("http://1.1.1.1/", "127.0.0.0/8"), Some(TargetError::Scheme));
        assert!(matches!(refused("http://10.0.0.1/", "127.0.0.0/8"), Some(TargetError::Private(_))));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_stands_for() {
        let check = async |text: &str, allowed: &str| {
            let policy = policy(allowed);
            Target::parse(text, &policy).unwrap().check(&policy).await
        };
        let inside = check("https://localhost/", "").await.unwrap_err();
        assert_eq!(inside, TargetError::Inside("localhost".to_owned()));
        assert_eq!(check("http://localhost/", "localhost").await, Ok(()));
        assert_eq!(check("http://localhost/", "127.0.0.0/8,::1").await, Ok(()));
        let unknown = check("https://no-such-host.invalid/", "").await;
        let unknown = unknown.unwrap_err();
        assert_eq!(unknown, TargetError::Unknown("no-such-host.invalid".to_owned()));
        // Who may not know what is inside cannot tell one from the other.
        let told = |error: &TargetError, host: &str| error.to_string().replace(host, "it");
        assert_eq!(told(&inside, "localhost"), told(&unknown, "no-such-host.invalid"));
    }

    #[test]
    fn debug_shows_the_host_alone() {
        let target = Target::parse("https://example.org/services/T0/secret?token=x", &policy("")).unwrap();
        assert_eq!(format!("{target:?}"), "Target { host: \"example.org\", .. }");
    }
}
