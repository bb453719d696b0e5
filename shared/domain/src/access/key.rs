//! `ApiKey`: `dd_<prefix>_<secret>`, 16 and 64 lower-case hex digits. The prefix finds the key and may be shown; the secret proves it
//! and is never kept, only its hash.

use std::{fmt, str::FromStr};

use secrecy::{ExposeSecret as _, SecretBox, SecretString};

const START: &str = "dd";

/// A key with its secret. Its `Debug` shows the prefix alone.
#[derive(Debug)]
pub struct ApiKey {
    prefix: KeyPrefix,
    secret: SecretBox<[u8; 32]>,
}

/// The text is no key. It is not shown: it may be one with a slip of the pen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is dd_, 16 hex digits, _ and 64 hex digits")]
pub struct ApiKeyError;

/// What a key is found by, and called.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyPrefix([u8; 8]);

/// The hash of a secret: BLAKE3, since 256 random bits need no slow one. Compared in constant time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretHash(blake3::Hash);

impl ApiKey {
    /// A new one, from the process' cryptographic random numbers, which the operating system seeds.
    pub fn generate() -> Self {
        Self::new(rand::random(), rand::random())
    }

    fn new(prefix: [u8; 8], secret: [u8; 32]) -> Self {
        Self { prefix: KeyPrefix(prefix), secret: SecretBox::new(Box::new(secret)) }
    }

    /// What it is found by.
    pub const fn prefix(&self) -> KeyPrefix {
        self.prefix
    }

    /// What is kept of its secret.
    pub fn hash(&self) -> SecretHash {
        SecretHash(blake3::hash(self.secret.expose_secret()))
    }

    /// The whole text, to be shown once.
    pub fn text(&self) -> SecretString {
        format!("{START}_{}_{}", self.prefix, hex::encode(self.secret.expose_secret())).into()
    }
}

impl FromStr for ApiKey {
    type Err = ApiKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('_');
        let (start, prefix, secret, rest) = (parts.next(), parts.next(), parts.next(), parts.next());
        match (start, prefix, secret, rest) {
            (Some(START), Some(prefix), Some(secret), None) => Ok(Self::new(digits(prefix)?, digits(secret)?)),
            _ => Err(ApiKeyError),
        }
    }
}

/// One text for one key: upper case is refused.
fn digits<const N: usize>(text: &str) -> Result<[u8; N], ApiKeyError> {
    let mut bytes = [0; N];
    let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let decoded = hex::decode_to_slice(text, &mut bytes);
    if lower && decoded.is_ok() { Ok(bytes) } else { Err(ApiKeyError) }
}

impl FromStr for KeyPrefix {
    type Err = ApiKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        digits(text).map(Self)
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SecretHash {
    /// Takes a hash from a row.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for a row.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "dd_0011223344556677_\
        000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn a_key_reads_back() {
        let key: ApiKey = TEXT.parse().unwrap();
        assert_eq!(key.prefix().to_string(), "0011223344556677");
        assert_eq!(key.text().expose_secret(), TEXT);
        let bytes: Vec<u8> = (0..32).collect();
        assert_eq!(key.hash().as_bytes(), blake3::hash(&bytes).as_bytes());
        let made = ApiKey::generate();
        let again: ApiKey = made.text().expose_secret().parse().unwrap();
        assert_eq!((again.prefix(), again.hash()), (made.prefix(), made.hash()));
        assert_ne!(made.hash(), ApiKey::generate().hash());
    }

    #[test]
    fn one_other_bit_is_another_hash() {
        let key: ApiKey = TEXT.parse().unwrap();
        let other: ApiKey = TEXT.replace("1d1e1f", "1d1e1e").parse().unwrap();
        assert_ne!(key.hash(), other.hash());
        assert_eq!(SecretHash::from_bytes(*key.hash().as_bytes()), key.hash());
    }

    #[test]
    fn other_texts_are_refused() {
        let cut = &TEXT[..TEXT.len() - 1];
        let upper = TEXT.replace("0a0b", "0A0B");
        let others = [
            "",
            "dd",
            "dd__",
            cut,
            &format!("{TEXT}0"),
            &format!("{TEXT}_"),
            &format!("{TEXT}_00"),
            &format!(" {TEXT}"),
            &format!("{TEXT}\n"),
            &upper,
            &TEXT.replacen("dd", "DD", 1),
            &TEXT.replacen("dd", "de", 1),
            &TEXT.replacen("_00", "_", 1),
            &TEXT.replace("1f", "1g"),
            &TEXT.replace("1f", "é"),
        ];
        for text in others {
            assert_eq!(text.parse::<ApiKey>().err(), Some(ApiKeyError), "{text:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", TEXT.parse::<ApiKey>().unwrap());
        assert!(shown.contains("0011223344556677") && shown.contains("REDACTED"), "{shown}");
        assert!(!shown.contains("0001020304") && !shown.contains("[0, 1, 2"), "{shown}");
    }
}
