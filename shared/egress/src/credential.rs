//! `Credential`: what tells an attempt's own requests from those of other jobs of the node, which reach its port as well.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

/// Random bits: as many as a key of AES.
const LENGTH: usize = 32;
/// The user's name in the proxy's URL; any will do.
const USER: &str = "drydock";

/// 256 random bits as text, good as a placeholder for a key and as the password of a proxy. Worthless when the attempt is over.
pub(crate) struct Credential(SecretString);

impl Credential {
    pub(crate) fn generate() -> Self {
        Self(format!("drydock-{}", hex::encode(rand::random::<[u8; LENGTH]>())).into())
    }

    pub(crate) fn text(&self) -> &str {
        self.0.expose_secret()
    }

    /// `user:password` of the proxy's URL.
    pub(crate) fn user_info(&self) -> String {
        format!("{USER}:{}", self.text())
    }

    /// Compares hashes, which takes as long whatever differs (`blake3::Hash` says so of its own comparison).
    pub(crate) fn is(&self, text: &[u8]) -> bool {
        blake3::hash(text) == blake3::hash(self.text().as_bytes())
    }

    /// Whether a `Proxy-Authorization` bears it.
    pub(crate) fn is_basic(&self, value: &HeaderValue) -> bool {
        const BASIC: &[u8] = b"basic ";
        let pair = value.as_bytes().split_at_checked(BASIC.len());
        let encoded = pair.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(BASIC)).map(|(_, encoded)| encoded);
        let decoded = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
        decoded.is_some_and(|decoded| {
            let password = decoded.iter().position(|&byte| byte == b':').map(|at| &decoded[at + 1..]);
            password.is_some_and(|password| self.is(password))
        })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_by_its_text_and_as_a_password_alone() {
        let (own, other) = (Credential::generate(), Credential::generate());
        assert!(own.is(own.text().as_bytes()) && !own.is(other.text().as_bytes()) && !own.is(b""));
        let basic = |text: &str| HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(text))).unwrap();
        assert!(own.is_basic(&basic(&own.user_info())));
        for wrong in ["", ":", "drydock", own.text(), &other.user_info(), &format!("{}x", own.user_info())] {
            assert!(!own.is_basic(&basic(wrong)), "{wrong}");
        }
        let bearer = HeaderValue::from_str(&format!("Bearer {}", STANDARD.encode(own.user_info()))).unwrap();
        assert!(!own.is_basic(&bearer) && !own.is_basic(&HeaderValue::from_static("Basic %%%")));
        assert_eq!(own.text().len(), "drydock-".len() + 64);
        assert!(!format!("{own:?}").contains(own.text()));
    }
}
