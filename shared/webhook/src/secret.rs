//! `SigningSecret`: what a webhook's messages are signed with (Standard Webhooks specification, "Signature scheme").

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};

const START: &str = "whsec_";
/// Bytes of a secret of ours; others may have 24 to 64.
const LENGTH: usize = 32;
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A signing secret. Its `Debug` shows nothing of it.
pub struct SigningSecret(SecretBox<Vec<u8>>);

/// The text is no signing secret. It is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is whsec_ and 24 to 64 bytes in base64")]
pub struct SecretError;

impl SigningSecret {
    /// A new one, from the process' cryptographic random numbers, which the operating system seeds.
    pub fn generate() -> Self {
        Self::from_bytes(rand::random::<[u8; LENGTH]>().to_vec())
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// `whsec_…`, to be shown once.
    pub fn text(&self) -> SecretString {
        format!("{START}{}", STANDARD.encode(self.bytes())).into()
    }

    /// `v1,…`: the signature of a message; `timestamp` in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.bytes()));
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

/// The header `webhook-signature`: one signature for each secret, separated by blanks.
pub fn signatures(secrets: &[SigningSecret], id: &str, timestamp: i64, body: &[u8]) -> String {
    secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect::<Vec<_>>().join(" ")
}

impl FromStr for SigningSecret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.strip_prefix(START).and_then(|text| STANDARD.decode(text).ok());
        bytes.filter(|bytes| LENGTHS.contains(&bytes.len())).map(Self::from_bytes).ok_or(SecretError)
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the specification's reference implementations (`libraries/*/test`).
    #[test]
    fn the_test_vector_of_standard_webhooks() {
        let secret: SigningSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_reads_back_and_is_not_shown() {
        let secret = SigningSecret::generate();
        let text = secret.text();
        let again: SigningSecret = text.expose_secret().parse().unwrap();
        assert_eq!(again.bytes(), secret.bytes());
        assert_ne!(SigningSecret::generate().bytes(), secret.bytes());
        let shown = format!("{secret:?} {:?}", secret.text());
        assert!(!shown.contains(&text.expose_secret()[START.len()..]), "{shown}");
        for other in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%"] {
            assert_eq!(other.parse::<SigningSecret>().err(), Some(SecretError), "{other}");
        }
    }

    #[test]
    fn two_secrets_sign_side_by_side() {
        let both = [SigningSecret::generate(), SigningSecret::generate()];
        let header = signatures(&both, "m", 7, b"{}");
        assert_eq!(header, format!("{} {}", both[0].sign("m", 7, b"{}"), both[1].sign("m", 7, b"{}")));
    }
}
