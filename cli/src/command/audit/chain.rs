//! The chain's rule: each hash is SHA-256 of the hash before in hex (64 zeros before the first), a line feed and the record's text.

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// What comes before the first record.
const ORIGIN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Where a chain is known to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) position: u64,
    /// In lower-case hex.
    pub(super) hash: String,
}

/// Why a line does not follow.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Break {
    #[error("after position {after} comes no line of an export, but: {text}")]
    Line { after: u64, text: String },
    #[error("after position {after} comes {found}: records are missing, or were put in")]
    Position { after: u64, found: u64 },
    #[error("the record at position {0}, or one before it, is not what was written")]
    Hash(u64),
}

#[derive(Deserialize)]
struct Line<'l> {
    position: u64,
    hash: &'l str,
    #[serde(borrow)]
    record: &'l RawValue,
}

impl Default for Link {
    fn default() -> Self {
        Self { position: 0, hash: ORIGIN.to_owned() }
    }
}

impl Link {
    /// Goes on to the next line.
    pub(super) fn follow(&mut self, text: &[u8]) -> Result<(), Break> {
        let after = self.position;
        let Ok(line) = serde_json::from_slice::<Line<'_>>(text) else {
            return Err(Break::Line { after, text: String::from_utf8_lossy(text).chars().take(80).collect() });
        };
        if line.position != after + 1 {
            return Err(Break::Position { after, found: line.position });
        }
        let hash = Sha256::new().chain_update(&self.hash).chain_update("\n").chain_update(line.record.get()).finalize();
        let hash = hex::encode(hash);
        if line.hash != hash {
            return Err(Break::Hash(line.position));
        }
        *self = Self { position: line.position, hash };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `printf '%064d\n{"id": 1}' 0 | sha256sum`, and the second after the first.
    const CHAIN: [&str; 2] = [
        r#"{"position":1,"hash":"1fb1638bee2c3a4963c867d072ea971a1221c990d94e58f504560a2724a7188b","record":{"id": 1}}"#,
        r#"{"position":2,"hash":"be979e8d59a12d371b28d4e35f1c54d3928e286dc5734d976d0ce1ddaaebedff","record":{"id":2,"x":"é"}}"#,
    ];

    #[test]
    fn what_was_written_follows() {
        let mut link = Link::default();
        for line in CHAIN {
            link.follow(line.as_bytes()).unwrap();
        }
        assert_eq!(link.position, 2);
    }

    #[test]
    fn what_was_changed_does_not() {
        let first = |text: &str| Link::default().follow(text.as_bytes());
        assert_eq!(first(CHAIN[1]), Err(Break::Position { after: 0, found: 2 }));
        assert_eq!(first(&CHAIN[0].replace("1}", "2}")), Err(Break::Hash(1)));
        assert_eq!(first(&CHAIN[0].replace(": 1", ":1")), Err(Break::Hash(1)), "letter by letter");
        assert!(matches!(first("{}"), Err(Break::Line { after: 0, .. })));
        let mut link = Link::default();
        link.follow(CHAIN[0].as_bytes()).unwrap();
        assert_eq!(link.follow(CHAIN[0].as_bytes()), Err(Break::Position { after: 1, found: 1 }));
        assert_eq!(link.follow(CHAIN[1].replace('é', "e").as_bytes()), Err(Break::Hash(2)));
        assert_eq!(link.position, 1);
    }
}
