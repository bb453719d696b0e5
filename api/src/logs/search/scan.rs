//! `Scan`: looks at a log's lines in order, counts those that match and keeps as many as are asked for.

use std::{sync::Arc, time::Instant};

use super::{
    hit::HitView,
    lines::{Lines, Piece, Spot, WINDOW},
    pattern::Pattern,
};

/// Bytes between two looks at the clock.
const STRIDE: usize = 32 << 10;

/// How far the matching lines are counted: those before a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(super) to: Spot,
    pub(super) lines: u64,
}

impl Counted {
    /// Nothing, beginning at a place.
    pub(crate) const fn none_before(to: Spot) -> Self {
        Self { to, lines: 0 }
    }

    /// As far as it is.
    pub(crate) const fn place(self) -> Spot {
        self.to
    }
}

/// What a scan may take and keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Lines to keep.
    pub(crate) keep: usize,
    /// When to stop.
    pub(crate) until: Instant,
}

/// A search in one log, as far as it has come.
#[derive(Debug)]
pub(crate) struct Scan {
    pattern: Arc<Pattern>,
    budget: Budget,
    lines: Lines,
    counted: Counted,
    /// The line that is read matches.
    matches: bool,
    hits: Vec<HitView>,
    /// The first matching line that is not kept.
    full: Option<Spot>,
    unclocked: usize,
    late: bool,
}

impl Scan {
    /// A search from the line at `from` on, where lines are counted as far as `counted`.
    pub(crate) fn new(pattern: Arc<Pattern>, budget: Budget, from: Spot, counted: Counted) -> Self {
        Self {
            pattern,
            budget,
            lines: Lines::from(from),
            counted,
            matches: false,
            hits: Vec::new(),
            full: None,
            unclocked: 0,
            late: false,
        }
    }

    /// Looks at the next bytes; whether it wants those that follow.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> bool {
        let mut lines = std::mem::take(&mut self.lines);
        for mut bytes in bytes.chunks(WINDOW) {
            while !bytes.is_empty() && !self.late && !self.is_ahead(lines.spot()) {
                let (before, spot) = (bytes.len(), lines.spot());
                let looked = lines.piece(&mut bytes).map(|piece| self.look(&piece, spot));
                match looked {
                    Some(Some(length)) => lines.advance(length),
                    Some(None) => lines.slide(),
                    None => {}
                }
                self.clock(before - bytes.len());
            }
        }
        self.lines = lines;
        !self.late && !self.is_ahead(self.spot())
    }

    /// The log has no more bytes now: the number of lines that matched. Its last line may have no end; where it may still grow, it is
    /// to be counted again.
    pub(super) fn end(&mut self, grows: bool) -> u64 {
        let (mut lines, before) = (std::mem::take(&mut self.lines), self.counted);
        let spot = lines.spot();
        let length = lines.rest().and_then(|piece| self.look(&piece, spot));
        match length {
            Some(length) if !grows => lines.advance(length),
            _ => {}
        }
        self.lines = lines;
        let total = self.counted.lines;
        if grows {
            self.counted = before;
        }
        total
    }

    /// When it stops.
    pub(super) const fn until(&self) -> Instant {
        self.budget.until
    }

    /// Where it is.
    pub(super) const fn spot(&self) -> Spot {
        self.lines.spot()
    }

    /// All it may keep is found before the place as far as which lines are counted: it may go on there.
    pub(super) fn is_ahead(&self, spot: Spot) -> bool {
        self.full.is_some() && spot.offset < self.counted.to.offset
    }

    /// Goes on where counting ended.
    pub(super) fn skip(&mut self) {
        self.lines = Lines::from(self.counted.to);
        self.matches = false;
    }

    /// The first matching line that is not kept.
    pub(super) const fn full(&self) -> Option<Spot> {
        self.full
    }

    pub(super) const fn counted(&self) -> Counted {
        self.counted
    }

    pub(super) fn into_hits(self) -> Vec<HitView> {
        self.hits
    }

    /// Looks at a piece; the length of its line, where that ends with it.
    fn look(&mut self, piece: &Piece<'_>, spot: Spot) -> Option<u64> {
        let counts = spot.offset >= self.counted.to.offset;
        self.matches = self.matches || self.find(piece, spot, counts);
        let length = piece.ends?;
        if std::mem::take(&mut self.matches) {
            self.counted.lines += u64::from(counts);
            if let Some(hit) = self.hits.last_mut().filter(|hit| hit.is_at(spot)) {
                hit.ends(length);
            }
        }
        if counts {
            self.counted.to = spot.after(length);
        }
        Some(length)
    }

    fn find(&mut self, piece: &Piece<'_>, spot: Spot, counts: bool) -> bool {
        let Piece { text, part, partial, ends } = piece;
        if self.full.is_some() {
            return counts && self.pattern.is_in(text, part.clone());
        }
        let Some(first) = self.pattern.find(text, part.clone()) else { return false };
        if self.hits.len() < self.budget.keep {
            self.hits.push(HitView::new(spot, text, first, *partial || ends.is_none(), &self.pattern));
            // It took more than to look at the line.
            self.unclocked = STRIDE;
        } else {
            self.full = Some(spot);
        }
        true
    }

    fn clock(&mut self, bytes: usize) {
        self.unclocked += bytes;
        if self.unclocked >= STRIDE {
            self.unclocked = 0;
            self.late = Instant::now() >= self.budget.until;
        }
    }
}
