//! Taking secret values out of everything an agent says.
//!
//! Best effort by nature: it finds the value as it is, its JSON form, hexadecimal and Base64. An agent that has a secret can
//! still spell it some other way. Values below [`SHORTEST`] bytes are left alone: replacing `true` everywhere would hide the log.

use std::ops::Range;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};

use super::spec::Variable;

/// Bytes a value must have to be redacted.
pub(super) const SHORTEST: usize = 8;
const MARKER: &[u8] = b"[REDACTED]";

/// Finds the secrets of one agent.
pub(super) struct Redactor {
    secrets: Option<AhoCorasick>,
    longest: usize,
}

impl Redactor {
    /// For these variables' values.
    pub(super) fn new(variables: &[Variable]) -> Result<Self, BuildError> {
        let mut patterns: Vec<Vec<u8>> = variables.iter().filter_map(Variable::bytes).flat_map(forms).collect();
        patterns.sort();
        patterns.dedup();
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(0);
        let build = || AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&patterns);
        let secrets = if patterns.is_empty() { None } else { Some(build()?) };
        Ok(Self { secrets, longest })
    }

    /// Length of the longest form of a secret: how far a match can reach.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// The bytes with every secret replaced; the same bytes, not copied, when there is none.
    pub(super) fn bytes(&self, bytes: Bytes) -> Bytes {
        let (mut clean, mut end) = (BytesMut::new(), 0);
        for secret in self.matches(&bytes) {
            clean.extend_from_slice(&bytes[end..secret.start]);
            clean.extend_from_slice(MARKER);
            end = secret.end;
        }
        if end == 0 {
            return bytes;
        }
        clean.extend_from_slice(&bytes[end..]);
        clean.freeze()
    }

    /// The text with every secret replaced, and without NUL, which Postgres does not store.
    pub(super) fn text(&self, text: &str) -> String {
        let clean = self.bytes(Bytes::copy_from_slice(text.as_bytes()));
        String::from_utf8_lossy(&clean).replace('\0', "\u{fffd}")
    }

    /// Where to cut at or after `at` without cutting a secret in two. Needs [`Self::longest`] bytes beyond `at` to be sure.
    pub(super) fn cut(&self, bytes: &[u8], at: usize) -> usize {
        let bytes = &bytes[..bytes.len().min(at + self.longest)];
        let before = self.matches(bytes).take_while(|secret| secret.start < at);
        before.last().map_or(at, |secret| secret.end.max(at))
    }

    fn matches<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
        self.secrets.iter().flat_map(move |secrets| secrets.find_iter(bytes)).map(|found| found.range())
    }
}

/// The ways a value may show up. Values of several lines are looked for line by line too, as that is how output is read.
fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![value.to_vec(), hex::encode(value).into_bytes(), hex::encode_upper(value).into_bytes()];
    forms.extend([STANDARD_NO_PAD.encode(value).into_bytes(), URL_SAFE_NO_PAD.encode(value).into_bytes()]);
    forms.extend(value.split(|&byte| byte == b'\n').map(|line| line.trim_ascii().to_vec()));
    if let Some(escaped) = std::str::from_utf8(value).ok().and_then(|text| serde_json::to_vec(text).ok()) {
        forms.push(escaped[1..escaped.len() - 1].to_vec());
    }
    if value.len() < SHORTEST {
        return Vec::new();
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

#[cfg(test)]
pub(super) fn redactor(secrets: &[&[u8]]) -> Redactor {
    let variable = |value: &&[u8]| Variable { name: "X".to_owned(), value: Some(value.to_vec().into()) };
    Redactor::new(&secrets.iter().map(variable).collect::<Vec<_>>()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(secrets: &[&[u8]], text: &[u8]) -> Bytes {
        redactor(secrets).bytes(Bytes::copy_from_slice(text))
    }

    #[test]
    fn values_and_their_usual_forms_are_replaced() {
        let secret = b"sk-canary\"42";
        for form in ["sk-canary\"42", "sk-canary\\\"42", "736b2d63616e6172792234 32"] {
            let hidden = clean(&[secret], format!("a {form} b").replace("34 32", "3432").as_bytes());
            assert_eq!(hidden, "a [REDACTED] b".as_bytes(), "{form}");
        }
        let encoded = base64::engine::general_purpose::STANDARD.encode(secret);
        assert_eq!(clean(&[secret], encoded.as_bytes()), "[REDACTED]".as_bytes());
    }

    #[test]
    fn overlapping_and_binary_values() {
        assert_eq!(clean(&[b"12345678", b"1234567890"], b"x1234567890y12345678"), "x[REDACTED]y[REDACTED]".as_bytes());
        assert_eq!(clean(&[b"\xff\xfe12345678"], b"\xff\xfe12345678\xff"), b"[REDACTED]\xff".as_slice());
        assert_eq!(clean(&[b"first line\nsecond line\n"], b"second line"), "[REDACTED]".as_bytes());
    }

    #[test]
    fn short_values_and_no_values_change_nothing() {
        assert_eq!(clean(&[b"true"], b"true story"), "true story".as_bytes());
        assert_eq!(clean(&[], b"text"), "text".as_bytes());
        assert_eq!(redactor(&[]).text("a\0b"), "a\u{fffd}b");
    }

    #[test]
    fn a_cut_never_divides_a_secret() {
        let redactor = redactor(&[b"SECRET-VALUE"]);
        let text = b"..........SECRET-VALUE..........";
        for at in 0..=text.len() {
            let cut = redactor.cut(text, at);
            assert!(cut <= 10 || cut >= 22, "cut at {cut} asked at {at}");
            assert!(cut >= at);
        }
    }
}
