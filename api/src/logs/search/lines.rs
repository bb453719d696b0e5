//! `Lines`: cuts a log's bytes into lines as they come, and hands out their text: without colours and other escapes of a terminal, without
//! the carriage return of a line end. A line that is longer than a window is handed out window by window.

use std::ops::Range;

use anstream::adapter::StripBytes;
use memchr::memchr;

/// Text that is looked at once at most, apart from what one read adds. Workers write no longer lines.
pub(super) const WINDOW: usize = 64 << 10;
/// Of a longer line, what is looked at again with what follows: longer matches may be missed there.
const OVERLAP: usize = 16 << 10;
/// What stays around a window, so that no word and no line ends at its edge: a character.
const EDGE: usize = 4;
const ESCAPE: u8 = 0x1b;

/// Where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Its first byte.
    pub(crate) offset: u64,
    /// Its number, from 1.
    pub(crate) line: u64,
}

impl Default for Spot {
    /// The first line of a log.
    fn default() -> Self {
        Self { offset: 0, line: 1 }
    }
}

impl Spot {
    /// The line after this one of `bytes`; the last one may have no end, but nothing comes after it.
    pub(super) const fn after(self, bytes: u64) -> Self {
        Self { offset: self.offset + bytes + 1, line: self.line + 1 }
    }
}

/// A line, or a part of a long one.
#[derive(Debug)]
pub(super) struct Piece<'t> {
    pub(super) text: &'t [u8],
    /// Where to look in it.
    pub(super) part: Range<usize>,
    /// There is more of the line before or after the text.
    pub(super) partial: bool,
    /// Bytes of the whole line in the log, where this is the last of it.
    pub(super) ends: Option<u64>,
}

/// Cuts.
#[derive(Debug, Default)]
pub(super) struct Lines {
    spot: Spot,
    open: Open,
}

/// A line of which not all is there.
#[derive(Debug, Default)]
struct Open {
    text: Vec<u8>,
    /// Its bytes so far.
    bytes: u64,
    /// Text of it has been let go.
    windows: bool,
    /// From the first escape on.
    strip: Option<StripBytes>,
}

impl Lines {
    /// From the beginning of a line on.
    pub(super) fn from(spot: Spot) -> Self {
        Self { spot, open: Open::default() }
    }

    /// The line that is read, or comes next.
    pub(super) const fn spot(&self) -> Spot {
        self.spot
    }

    /// Takes the next bytes up to the end of a line and gives the piece that is whole by them, and the rest; none when all are taken.
    pub(super) fn piece<'t, 'b: 't>(&'t mut self, bytes: &mut &'b [u8]) -> Option<Piece<'t>> {
        let Some(end) = memchr(b'\n', bytes) else {
            self.open.push(bytes);
            *bytes = &[];
            return self.open.window();
        };
        let (line, rest) = bytes.split_at(end);
        *bytes = &rest[1..];
        if self.open.bytes == 0 && memchr(ESCAPE, line).is_none() {
            let text = without_return(line);
            return Some(Piece { text, part: 0..text.len(), partial: false, ends: Some(line.len() as u64) });
        }
        self.open.push(line);
        Some(self.open.whole())
    }

    /// What is left at the end of the log.
    pub(super) fn rest(&mut self) -> Option<Piece<'_>> {
        (self.open.bytes > 0).then(|| self.open.whole())
    }

    /// Goes on to the next line, when the last piece of one was looked at.
    pub(super) fn advance(&mut self, bytes: u64) {
        self.open.clear();
        self.spot = self.spot.after(bytes);
    }

    /// Lets go of what was looked at.
    pub(super) fn slide(&mut self) {
        self.open.slide();
    }
}

impl Open {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let plain = if self.strip.is_some() { 0 } else { memchr(ESCAPE, bytes).unwrap_or(bytes.len()) };
        let (plain, escaped) = bytes.split_at(plain);
        self.text.extend_from_slice(plain);
        if !escaped.is_empty() {
            let strip = self.strip.get_or_insert_default();
            strip.strip_next(escaped).for_each(|text| self.text.extend_from_slice(text));
        }
    }

    /// What to look at of a line that is longer than a window.
    fn window(&self) -> Option<Piece<'_>> {
        let end = self.text.len().checked_sub(EDGE).filter(|end| *end >= WINDOW)?;
        Some(Piece { text: &self.text, part: self.start()..end, partial: true, ends: None })
    }

    fn whole(&self) -> Piece<'_> {
        let text = without_return(&self.text);
        Piece { text, part: self.start().min(text.len())..text.len(), partial: self.windows, ends: Some(self.bytes) }
    }

    const fn start(&self) -> usize {
        if self.windows { EDGE } else { 0 }
    }

    fn slide(&mut self) {
        self.windows = true;
        self.text.drain(..self.text.len() - OVERLAP);
    }

    fn clear(&mut self) {
        self.text.clear();
        (self.bytes, self.windows, self.strip) = (0, false, None);
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
