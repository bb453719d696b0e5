//! Taking secret values out of everything an agent says.
//!
//! Best effort by nature: it finds the value as it is, its JSON form, hexadecimal and Base64. An agent that has a secret can
//! still spell it some other way. Values below [`SHORTEST`] bytes are left alone: replacing `true` everywhere would hide the log.

use std::{cmp::Reverse, ops::Range};

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, Input, MatchKind};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};

/// Bytes a value must have to be redacted.
pub(super) const SHORTEST: usize = 8;
const MARKER: &[u8] = b"[REDACTED]";
/// An automaton of more heads than this may be slow, but not big.
const MANY: usize = 1000;

/// Finds the secrets of one agent.
///
/// Searches for the first [`SHORTEST`] bytes of each form and compares the rest where one is found: an automaton of whole keys
/// and certificates has megabytes, one of heads stays in the processor's cache. Many forms share a head, too.
#[derive(Default)]
pub struct Redactor {
    heads: Option<AhoCorasick>,
    /// The forms with each head, longest first.
    forms: Vec<Vec<Vec<u8>>>,
    longest: usize,
}

impl Redactor {
    /// For these values.
    ///
    /// # Errors
    /// The values are too many to be searched for.
    pub fn new(values: impl IntoIterator<Item: AsRef<[u8]>>) -> Result<Self, BuildError> {
        let mut all: Vec<Vec<u8>> = values.into_iter().flat_map(|value| forms(value.as_ref())).collect();
        all.sort();
        all.dedup();
        let longest = all.iter().map(Vec::len).max().unwrap_or(0);
        let mut forms: Vec<Vec<Vec<u8>>> =
            all.chunk_by(|one, other| head(one) == head(other)).map(<[_]>::to_vec).collect();
        forms.iter_mut().for_each(|same| same.sort_by_key(|form| Reverse(form.len())));
        let kind = (forms.len() <= MANY).then_some(AhoCorasickKind::DFA);
        let build = || {
            let heads = forms.iter().map(|same| head(&same[0]));
            AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).kind(kind).build(heads)
        };
        let heads = if forms.is_empty() { None } else { Some(build()?) };
        Ok(Self { heads, forms, longest })
    }

    /// Length of the longest form of a secret: how far a match can reach.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The bytes with every secret replaced; the same bytes, not copied, when there is none.
    pub fn bytes(&self, bytes: Bytes) -> Bytes {
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
    pub fn text(&self, text: &str) -> String {
        let clean = self.bytes(Bytes::copy_from_slice(text.as_bytes()));
        String::from_utf8_lossy(&clean).replace('\0', "\u{fffd}")
    }

    /// Where to cut at or after `at` without cutting a secret in two. Needs [`Self::longest`] bytes beyond `at` to be sure.
    pub fn cut(&self, bytes: &[u8], at: usize) -> usize {
        let bytes = &bytes[..bytes.len().min(at + self.longest)];
        let before = self.matches(bytes).take_while(|secret| secret.start < at);
        before.last().map_or(at, |secret| secret.end.max(at))
    }

    /// Where secrets are: the leftmost, of those that begin there the longest, and on behind its end.
    fn matches<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
        let mut from = 0;
        std::iter::from_fn(move || {
            loop {
                let found = self.heads.as_ref()?.find(Input::new(bytes).range(from..))?;
                let rest = &bytes[found.start()..];
                if let Some(form) = self.forms[found.pattern()].iter().find(|form| rest.starts_with(form)) {
                    from = found.start() + form.len();
                    return Some(found.start()..from);
                }
                from = found.start() + 1;
            }
        })
    }
}

fn head(form: &[u8]) -> &[u8] {
    &form[..SHORTEST]
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
    Redactor::new(secrets).unwrap()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

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
    fn values_that_begin_alike_are_told_apart() {
        let keys: [&[u8]; 3] = [b"sk-proj-first", b"sk-proj-first-and-more", b"sk-proj-second"];
        let said = b"sk-proj-first sk-proj-first-and sk-proj-first-and-more sk-proj-second sk-proj-third";
        let shown = "[REDACTED] [REDACTED]-and [REDACTED] [REDACTED] sk-proj-third";
        assert_eq!(clean(&keys, said), shown.as_bytes());
        assert_eq!(clean(&[b"aaaaaaaab"], b"aaaaaaaaaab"), "aa[REDACTED]".as_bytes());
    }

    #[test]
    fn more_values_than_the_fast_automaton_is_made_for() {
        let keys: Vec<String> = (0..MANY).map(|key| format!("{key:04}-is-key-{key}")).collect();
        let redactor = Redactor::new(&keys).unwrap();
        for key in &keys {
            assert_eq!(redactor.text(&format!("<{key}>")), "<[REDACTED]>");
        }
    }

    proptest! {
        /// The automaton of heads finds what one of whole forms finds, where heads overlap that are no secret's.
        #[test]
        fn matches_are_those_of_an_automaton_of_whole_forms(
            secrets in vec("a{6,10}[ab\n]{0,4}", 0..6),
            text in "(a{0,12}[ab\n]{0,6}){0,6}",
            at in 0..100_usize,
        ) {
            let redactor = Redactor::new(&secrets).unwrap();
            let whole: Vec<_> = secrets.iter().flat_map(|secret| forms(secret.as_bytes())).collect();
            let whole = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(whole).unwrap();
            let expected: Vec<_> = whole.find_iter(&text).map(|found| found.range()).collect();
            prop_assert_eq!(redactor.matches(text.as_bytes()).collect::<Vec<_>>(), expected.clone());
            let at = at.min(text.len());
            let cut = redactor.cut(text.as_bytes(), at);
            prop_assert!(cut >= at && expected.iter().all(|secret| cut <= secret.start || cut >= secret.end));
        }
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
