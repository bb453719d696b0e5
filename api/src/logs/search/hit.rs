//! `HitView`: a line that matches, as much of it as people read.

use std::ops::Range;

use serde::Serialize;

use super::{lines::Spot, pattern::Pattern};

/// Bytes of a line that are shown at most.
const SHOWN: usize = 2000;
/// Of them before the first match, where that is not near the beginning.
const BEFORE: usize = 200;
/// Places looked for at most, to be marked.
const MARKED: usize = 20;

/// A line that matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct HitView {
    /// Its number, from 1.
    line: u64,
    /// Its first byte in the log, for `Range`.
    offset: u64,
    /// Its bytes in the log, without the line end; none where the line was still read when the search ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Its text without escapes of a terminal, at most about 2,000 bytes; those that are no UTF-8 show as U+FFFD.
    text: String,
    /// Where `text` matches: first byte and the byte after the last one, in its UTF-8; the first 20.
    #[schema(value_type = Vec<Vec<usize>>)]
    ranges: Vec<(usize, usize)>,
    /// There is more of the line than `text`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

impl HitView {
    /// The line at `spot` with its first match at `first` of `text`; `partial` where that is not all of the line.
    pub(super) fn new(spot: Spot, text: &[u8], first: Range<usize>, partial: bool, pattern: &Pattern) -> Self {
        let shown = shown(text, &first);
        let cut = partial || shown.len() < text.len();
        let (text, ranges) = mark(text, shown, first, pattern);
        Self { line: spot.line, offset: spot.offset, bytes: None, text, ranges, cut }
    }

    pub(super) const fn is_at(&self, spot: Spot) -> bool {
        self.line == spot.line
    }

    /// The whole line has been read.
    pub(super) fn ends(&mut self, bytes: u64) {
        self.bytes = Some(bytes);
    }

    /// What matched first.
    pub(crate) fn matched(&self) -> &str {
        self.ranges.first().and_then(|(start, end)| self.text.get(*start..*end)).unwrap_or_default()
    }
}

/// The part of a line that is shown: its beginning, or what is around the first match.
fn shown(text: &[u8], first: &Range<usize>) -> Range<usize> {
    if text.len() <= SHOWN || first.end <= SHOWN {
        return 0..text.len().min(SHOWN);
    }
    let mut start = first.start.saturating_sub(BEFORE);
    // Not in the middle of a character.
    while start < first.start && text[start] & 0xc0 == 0x80 {
        start += 1;
    }
    start..text.len().min(start + SHOWN)
}

/// The shown text, with the places of the matches in it. Each piece becomes text on its own, so that places stay true whatever the bytes.
fn mark(text: &[u8], shown: Range<usize>, first: Range<usize>, pattern: &Pattern) -> (String, Vec<(usize, usize)>) {
    let (mut out, mut ranges, mut done) = (String::new(), Vec::new(), shown.start);
    let mut next = Some(first);
    for _ in 0..MARKED {
        let Some(found) = next.take() else { break };
        let (start, end) = (found.start.max(done), found.end.min(shown.end));
        if start < end {
            out.push_str(&String::from_utf8_lossy(&text[done..start]));
            let begin = out.len();
            out.push_str(&String::from_utf8_lossy(&text[start..end]));
            ranges.push((begin, out.len()));
            done = end;
        }
        // One of no length is at the same place again.
        let from = found.end + usize::from(found.is_empty());
        if from < shown.end {
            next = pattern.find(text, from..shown.end);
        }
    }
    out.push_str(&String::from_utf8_lossy(&text[done..shown.end]));
    (out, ranges)
}
