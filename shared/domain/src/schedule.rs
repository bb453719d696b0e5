//! When a schedule fires: a cron expression read in a time zone. Pure: every time is given.
//!
//! Five fields (minute, hour, day of month, month, day of week) or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`; names,
//! ranges, steps, `L`, `W` and `#` as in Vixie cron and its usual extensions. Where clocks change:
//! - a fixed time that does not exist fires at the first moment after the gap;
//! - a fixed time that happens twice fires once, the first time;
//! - a repeating one (`*/30 * * * *`, `0 * * * *`) goes by what the clock shows: times in the gap are left out, an hour that
//!   happens twice has its times twice.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use serde::{Deserialize, Serialize};

/// A firing that is later than this counts as missed.
pub const LATE: Duration = Duration::from_secs(60);
/// Longest expression, in characters.
pub const MAX_CRON_CHARS: usize = 200;

/// Why a schedule is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not an expression of this form.
    #[error(
        "Input should be a cron expression of five fields (minute, hour, day of month, month, day of week), like '30 6 * * MON-FRI': {0}"
    )]
    Cron(String),
    /// Not a name of the IANA time zone database.
    #[error("Input should be an IANA time zone, like 'Europe/Berlin' or 'UTC'")]
    Zone,
}

/// What becomes of firings that were missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// None of them happens.
    Skip,
    /// One happens for all of them.
    #[default]
    Once,
}

impl Missed {
    /// The word used in rows and requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once => "once",
        }
    }
}

impl std::str::FromStr for Missed {
    type Err = crate::state::UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "skip" => Ok(Self::Skip),
            "once" => Ok(Self::Once),
            _ => Err(crate::state::UnknownName { what: "policy for missed firings", name: name.to_owned() }),
        }
    }
}

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
}

/// What to do about a due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whether a job is to be made for it.
    pub fires: bool,
    /// The time after it; `None`: there is no further one.
    pub next: Option<DateTime<Utc>>,
}

impl Schedule {
    /// Reads an expression and the name of a time zone.
    ///
    /// # Errors
    /// One of them cannot be read; the text says what is expected, with an example.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, ScheduleError> {
        Ok(Self { cron: parse_cron(cron)?, zone: parse_zone(zone)? })
    }

    /// The first time after `time`; `None` where there is none, as for 30 February.
    pub fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = time.with_timezone(&self.zone);
        self.cron.find_next_occurrence(&local, false).ok().map(|next| next.to_utc())
    }

    /// The first `count` times after `time`.
    pub fn upcoming(&self, time: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.next_after(time), |last| self.next_after(*last)).take(count).collect()
    }

    /// What to do at `now` about the time `due`. On time, every time fires. Later than [`LATE`], `missed` decides, and the next
    /// time is one that is not missed.
    pub fn turn(&self, due: DateTime<Utc>, now: DateTime<Utc>, missed: Missed) -> Turn {
        let on_time = now - LATE;
        if due >= on_time {
            return Turn { fires: true, next: self.next_after(due) };
        }
        match missed {
            Missed::Skip => Turn { fires: false, next: self.next_after(on_time) },
            Missed::Once => Turn { fires: true, next: self.next_after(now) },
        }
    }
}

/// Reads an expression alone.
///
/// # Errors
/// It cannot be read; the text says what is expected, with an example.
pub fn parse_cron(text: &str) -> Result<Cron, ScheduleError> {
    if text.chars().count() > MAX_CRON_CHARS {
        return Err(ScheduleError::Cron(format!("it has more than {MAX_CRON_CHARS} characters")));
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).map_err(|error| ScheduleError::Cron(error.to_string().trim_end_matches('.').to_owned()))
}

/// Reads the name of a time zone alone.
///
/// # Errors
/// There is no such zone.
pub fn parse_zone(name: &str) -> Result<Tz, ScheduleError> {
    name.parse().map_err(|_| ScheduleError::Zone)
}

#[cfg(test)]
mod tests;
