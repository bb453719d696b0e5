//! Keyset pages: a cursor is the sort key of the last row, so that page a thousand costs what page one costs. No offsets.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The key lists are sorted by, newest first: creation time, then id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Creation time of the last row seen.
    pub at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

/// The text is no cursor of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct CursorError;

impl Cursor {
    /// Before the newest row: where the first page starts. A real key and no NULL, so that every page is the same index scan.
    pub const fn start() -> Self {
        Self { at: DateTime::<Utc>::MAX_UTC, id: Uuid::max() }
    }

    /// The time as PostgreSQL takes it: its range is shorter than chrono's at the far end.
    pub(crate) fn bound(self) -> DateTime<Utc> {
        const YEAR_9999: i64 = 253_402_300_799;
        DateTime::from_timestamp(YEAR_9999, 0).map_or(self.at, |last| last.min(self.at))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.at.timestamp_micros(), self.id.simple())
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (micros, id) = text.split_once('-').ok_or(CursorError)?;
        let micros = i64::from_str_radix(micros, 16).map_err(|_| CursorError)?;
        let at = DateTime::from_timestamp_micros(micros).ok_or(CursorError)?;
        Ok(Self { at, id: Uuid::try_parse(id).map_err(|_| CursorError)? })
    }
}

/// Some rows, and where the next ones start.
#[derive(Clone, Debug)]
pub struct Page<T, C = Cursor> {
    /// The rows.
    pub items: Vec<T>,
    /// The key of the last one, when there are more.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// Makes a page of rows read with `LIMIT limit + 1`: the row too many only says that there are more.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, key: impl Fn(&T) -> C) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }
}

/// One more than `limit`, as `LIMIT` takes it.
pub(crate) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let at = DateTime::from_timestamp_micros(1_763_700_000_123_456).unwrap();
        let cursor = Cursor { at, id: Uuid::from_u128(7) };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "-", "zz-00", "1", "1-1", "7fffffffffffffff-00000000000000000000000000000007", "1-é"] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text}");
        }
    }

    #[test]
    fn the_row_too_many_is_not_shown() {
        let page = Page::cut(vec![1, 2, 3], 2, |last| *last);
        assert_eq!((page.items, page.next), (vec![1, 2], Some(2)));
        let page = Page::cut(vec![1, 2], 2, |last| *last);
        assert_eq!((page.items, page.next), (vec![1, 2], None));
    }
}
