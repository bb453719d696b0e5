//! The days that are asked for.

use chrono::{Datelike as _, Days as Count, NaiveDate, Utc};
use drydock_database::usage::{Days, UsageCursor};
use serde_json::Value;

use crate::{
    extract::MAX_PAGE,
    validate::{Fault, Fields, rules},
};

/// Most days of one answer.
const MAX_DAYS: i64 = 366;
/// Days of an answer when nothing says how many.
const DAYS: u64 = 30;
const PAGE: usize = 50;
/// The form of a day.
const FORM: &str = "2030-01-31";
/// There was nothing to use before.
const FIRST_YEAR: i32 = 2000;

/// Where usage by project or by tenant starts, and how much of it.
pub(super) struct Part {
    pub(super) after: UsageCursor,
    pub(super) limit: usize,
}

/// Takes `since` and `until`; the last thirty days by default.
pub(super) fn days(fields: &mut Fields) -> Days {
    let last = fields.optional("until", day).unwrap_or_else(|| Utc::now().date_naive());
    let default = last.checked_sub_days(Count::new(DAYS - 1)).unwrap_or(last);
    let first = fields.optional("since", |value| {
        let first = day(value)?;
        match (last - first).num_days() {
            ..0 => Err(Fault::value("Input should not be after until, which is today by default")),
            MAX_DAYS.. => Err(Fault::value(format!("Input should be less than {MAX_DAYS} days before until"))),
            _ => Ok(first),
        }
    });
    Days { first: first.unwrap_or(default), last }
}

/// Takes `limit` and `cursor`.
pub(super) fn part(fields: &mut Fields) -> Part {
    let limit = fields.optional("limit", rules::number(1, MAX_PAGE)).unwrap_or(PAGE);
    let cursor = fields.optional("cursor", |value| {
        let text = value.as_str().unwrap_or_default();
        text.parse().map_err(|_| Fault::value("Input should be a next_cursor of this list"))
    });
    Part { after: cursor.unwrap_or(UsageCursor::start()), limit }
}

fn day(value: &Value) -> Result<NaiveDate, Fault> {
    let expected = || Fault::new("date_parsing", "Input should be a UTC day, like 2030-01-31");
    // The parser takes signs and years of any length, which the database does not.
    let in_form = |text: &&str| {
        text.len() == FORM.len()
            && text
                .bytes()
                .zip(FORM.bytes())
                .all(|(byte, form)| if form == b'-' { byte == b'-' } else { byte.is_ascii_digit() })
    };
    let text = value.as_str().filter(in_form).ok_or_else(expected)?;
    text.parse().ok().filter(|day: &NaiveDate| day.year() >= FIRST_YEAR).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_form() {
        let read = |text: &str| day(&Value::from(text)).ok().map(|day| day.to_string());
        for text in ["2000-01-01", "2024-02-29", "2030-01-31", "9999-12-31"] {
            assert_eq!(read(text).as_deref(), Some(text));
        }
        let signs_and_lengths =
            ["-99999-1-1", "+2030-01-31", "-2030-01-31", "99999-1-01", "12030-01-31", "2030-01-031"];
        let other_forms =
            ["", "2030-1-31", "2030-01-3", "2030/01/31", "20300131", " 2030-01-31", "2030-01-31 ", "2030-01-3١"];
        let no_days =
            ["2030-02-29", "2030-00-10", "2030-13-01", "2030-01-00", "2030-01-32", "1999-12-31", "0000-01-01"];
        for text in [&signs_and_lengths[..], &other_forms[..], &no_days[..]].concat() {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(day(&Value::from(20_300_131)).is_err());
    }
}
