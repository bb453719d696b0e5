//! `Pattern`: what is looked for. Whatever it is, compiling it and looking with it cost time and memory in proportion to bounds that are
//! set here: the engine never goes back (it is linear in pattern × text), and what would need too much room is refused.

use std::ops::Range;

use regex_automata::{Input, meta, util::syntax};
use serde_json::Value;

use crate::{
    error::ApiError,
    validate::{Fault, Fields, rules},
};

/// Longest pattern, in characters.
pub(crate) const MAX_PATTERN: usize = 1000;
/// What a compiled pattern may take, in bytes. A text of unlucky bytes costs a step for each of its states: this bounds them.
const MAX_PROGRAM: usize = 256 << 10;
/// What the states that are kept while looking may take, in bytes, for each search.
const MAX_CACHE: usize = 2 << 20;
/// How deep groups may be in one another.
const MAX_NESTED: u32 = 50;

/// What a request asks to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    text: String,
    regex: bool,
    ignore_case: bool,
}

impl Wanted {
    /// Takes `q`, `regex` and `ignore_case`; none where a fault was noted.
    pub(crate) fn take(fields: &mut Fields) -> Option<Self> {
        let text = fields.required("q", pattern);
        let regex = fields.optional("regex", rules::flag).unwrap_or_default();
        let ignore_case = fields.optional("ignore_case", rules::flag).unwrap_or_default();
        Some(Self { text: text?, regex, ignore_case })
    }

    /// Tells this search from others in a cursor.
    pub(crate) fn mark(&self) -> u64 {
        let Self { text, regex, ignore_case } = self;
        let hash = blake3::hash(format!("{regex} {ignore_case} {text}").as_bytes());
        let (first, _) = hash.as_bytes().split_at(8);
        first.iter().fold(0, |mark, byte| mark << 8 | u64::from(*byte))
    }

    /// Compiles it, on a thread that may take its time.
    ///
    /// # Errors
    /// 422: it is no regular expression, or one that is too big.
    pub(crate) async fn compile(self) -> Result<Pattern, ApiError> {
        let compiling = tokio::task::spawn_blocking(move || Pattern::new(&self));
        let compiled = compiling.await.map_err(|error| ApiError::Internal(format!("compile a pattern: {error}")))?;
        compiled.map_err(|fault| {
            let mut fields = Fields::query(Vec::new());
            fields.refuse("q", fault);
            let unreported = || ApiError::Internal("a refused pattern was not reported".to_owned());
            fields.finish(|| None::<()>).err().unwrap_or_else(unreported)
        })
    }
}

/// Text that one line can hold.
fn pattern(value: &Value) -> Result<String, Fault> {
    let text = rules::text(1, MAX_PATTERN)(value)?;
    match text.contains(['\n', '\r']) {
        true => Err(Fault::value("Lines are searched one by one: it should not hold a line break")),
        false => Ok(text),
    }
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(meta::Regex);

impl Pattern {
    pub(super) fn new(wanted: &Wanted) -> Result<Self, Fault> {
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(MAX_PROGRAM))
            .onepass_size_limit(Some(MAX_PROGRAM))
            .dfa_size_limit(Some(MAX_PROGRAM))
            .hybrid_cache_capacity(MAX_CACHE)
            .which_captures(regex_automata::nfa::thompson::WhichCaptures::Implicit);
        // Bytes that are no UTF-8 do not end a line's search.
        let syntax = syntax::Config::new().utf8(false).case_insensitive(wanted.ignore_case).nest_limit(MAX_NESTED);
        let text = if wanted.regex { wanted.text.clone() } else { regex_syntax::escape(&wanted.text) };
        let built = meta::Regex::builder().configure(config).syntax(syntax).build(&text);
        built.map(Self).map_err(|error| refused(&error))
    }

    /// Whether `text` has it within `part`; what is around `part` is seen, so that a word or a line does not end there.
    pub(super) fn is_in(&self, text: &[u8], part: Range<usize>) -> bool {
        self.0.is_match(Input::new(text).range(part))
    }

    /// The first place where it is.
    pub(super) fn find(&self, text: &[u8], part: Range<usize>) -> Option<Range<usize>> {
        self.0.find(Input::new(text).range(part)).map(|found| found.range())
    }
}

/// Says what is wrong with it, in words of its own grammar and none of ours.
fn refused(error: &meta::BuildError) -> Fault {
    if error.size_limit().is_some() {
        return Fault::value(
            "The regular expression needs too much room: repeat less, search for a part of it, or let \\w, \\s and \\d be ASCII with (?-u)",
        );
    }
    match error.syntax_error() {
        Some(regex_syntax::Error::Parse(error)) => {
            let at = error.span().start.column;
            Fault::value(format!("The regular expression is wrong at character {at}: {}", error.kind()))
        }
        Some(regex_syntax::Error::Translate(error)) => {
            let at = error.span().start.column;
            Fault::value(format!("The regular expression is wrong at character {at}: {}", error.kind()))
        }
        _ => Fault::value("This is no regular expression that can be searched for"),
    }
}
