//! `Cursor`: where a search goes on, and what it has counted. It says nothing that the client was not told, and is believed: a wrong one
//! finds wrong lines of the client's own log.

use std::{fmt, str::FromStr};

use super::{lines::Spot, scan::Counted};

/// In one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Which search it belongs to.
    pub(super) mark: u64,
    /// Which try's log.
    pub(super) attempt: i16,
    /// The next line to look at.
    pub(super) next: Spot,
    pub(super) counted: Counted,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mark, attempt, next, counted: Counted { to, lines } } = self;
        write!(f, "{mark:x}-{attempt}-{}-{}-{}-{}-{lines}", next.offset, next.line, to.offset, to.line)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (mark, rest) = text.split_once('-').ok_or(())?;
        let (attempt, rest) = rest.split_once('-').ok_or(())?;
        let numbers: Vec<i64> = rest.split('-').map(str::parse).collect::<Result<_, _>>().map_err(|_| ())?;
        // None is near the end of the type, so that they can be counted on from.
        let numbers = numbers.into_iter().map(|number| u64::try_from(number).map_err(|_| ()));
        let [offset, line, to, to_line, lines] = numbers.collect::<Result<Vec<_>, _>>()?[..] else { return Err(()) };
        Ok(Self {
            mark: u64::from_str_radix(mark, 16).map_err(|_| ())?,
            attempt: attempt.parse().map_err(|_| ())?,
            next: Spot { offset, line },
            counted: Counted { to: Spot { offset: to, line: to_line }, lines },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_nothing_else_is() {
        let spot = |offset, line| Spot { offset, line };
        let counted = Counted { to: spot(900, 30), lines: 7 };
        let cursor = Cursor { mark: 0xab, attempt: 2, next: spot(100, 4), counted };
        assert_eq!(cursor.to_string(), "ab-2-100-4-900-30-7");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        let beyond = format!("ab-2-{}-4-900-30-7", u64::MAX);
        for text in
            ["", "ab", "ab-2-100-4-900-30", "ab-2-100-4-900-30-7-8", "ab-2-1e2-4-900-30-7", "zz-2-1-1-1-1-1", &beyond]
        {
            assert_eq!(text.parse::<Cursor>(), Err(()), "{text}");
        }
    }
}
