//! The chain's rule: each hash is SHA-256 of the hash before in hex (64 zeros before the first), a line feed and the record's text.

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// What comes before the first record.
const ORIGIN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A place in a chain, with the hash there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) position: u64,
    /// In lower-case hex.
    pub(super) hash: String,
}

/// How far a chain was followed.
#[derive(Debug)]
pub(super) struct Walk {
    link: Link,
    /// Where to begin, until that was found: a chain that no longer reaches it is not the one that is known.
    known: Option<Link>,
    first: u64,
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
    #[error("there is no record at position {0} with the hash that is known: the log was cut off, or is another one")]
    Unknown(u64),
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

impl Walk {
    /// From the beginning, or from a place that is known.
    pub(super) fn from(known: Option<Link>) -> Self {
        let first = known.as_ref().map_or(0, |known| known.position);
        Self { link: Link::default(), known, first }
    }

    /// The position after which the lines begin that it needs.
    pub(super) fn after(&self) -> u64 {
        self.first.saturating_sub(1)
    }

    /// Goes on to the next line; those before the place that is known are passed over.
    pub(super) fn take(&mut self, text: &[u8]) -> Result<(), Break> {
        let Some(known) = &self.known else { return self.link.follow(text) };
        let line = Line::read(text, known.position)?;
        if line.position < known.position {
            return Ok(());
        }
        if line.position > known.position || line.hash != known.hash {
            return Err(Break::Unknown(known.position));
        }
        self.link = known.clone();
        self.known = None;
        Ok(())
    }

    /// Where it ends, and how many records it followed from where it began.
    pub(super) fn end(self) -> Result<(Link, u64), Break> {
        match self.known {
            Some(known) => Err(Break::Unknown(known.position)),
            None => Ok((self.link.clone(), self.link.position - self.first)),
        }
    }
}

impl<'l> Line<'l> {
    fn read(text: &'l [u8], after: u64) -> Result<Self, Break> {
        let shown = || String::from_utf8_lossy(text).chars().take(80).collect();
        serde_json::from_slice(text).map_err(|_| Break::Line { after, text: shown() })
    }
}

impl Link {
    /// Goes on to the next line.
    fn follow(&mut self, text: &[u8]) -> Result<(), Break> {
        let after = self.position;
        let line = Line::read(text, after)?;
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

    #[test]
    fn what_is_known_has_to_be_there() {
        let hash = |line: &str| serde_json::from_str::<Line<'_>>(line).unwrap().hash.to_owned();
        let walk = |position: u64, hash: String, lines: &[&str]| {
            let mut walk = Walk::from(Some(Link { position, hash }));
            lines.iter().try_for_each(|line| walk.take(line.as_bytes()))?;
            walk.end()
        };
        let (first, second) = (hash(CHAIN[0]), hash(CHAIN[1]));
        assert_eq!(walk(1, first.clone(), &CHAIN).unwrap().1, 1);
        assert_eq!(walk(2, second.clone(), &CHAIN).unwrap(), (Link { position: 2, hash: second.clone() }, 0));
        assert_eq!(walk(1, second.clone(), &CHAIN), Err(Break::Unknown(1)));
        assert_eq!(walk(2, second.clone(), &CHAIN[..1]), Err(Break::Unknown(2)), "cut off");
        assert_eq!(walk(1, first, &CHAIN[1..]), Err(Break::Unknown(1)));
        assert_eq!(walk(3, second, &[]), Err(Break::Unknown(3)));
        let whole = Walk::from(None);
        assert_eq!((whole.after(), whole.end().unwrap().1), (0, 0));
    }
}
