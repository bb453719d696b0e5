//! Values as people read them. What comes from others is shown without its control characters, which could move the cursor.

use chrono::{DateTime, SecondsFormat, Utc};

/// On one line, without control characters.
pub fn one_line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `2025-11-21T05:20:11Z`
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Whether something counts that may be disabled: `active`, `disabled since 2025-11-21T05:20:11Z`
pub fn standing(disabled_at: Option<DateTime<Utc>>) -> String {
    disabled_at.map_or_else(|| "active".to_owned(), |at| format!("disabled since {}", time(at)))
}

/// `0.123 s`, `12.3 s`, `5 min 03 s`
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.3} s"),
        s if s < 120.0 => format!("{s:.1} s"),
        s => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), (s % 60.0).floor()),
    }
}

/// `12.3 MiB`
#[expect(clippy::cast_precision_loss, reason = "for reading only")]
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (s, text) in
            [(0.0, "0.000 s"), (9.9994, "9.999 s"), (12.34, "12.3 s"), (303.7, "5 min 03 s"), (3600.0, "60 min 00 s")]
        {
            assert_eq!(seconds(s), text);
        }
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(one_line(" a\u{1b}[2Jb\nc\t\u{9b}d "), "a [2Jb c  d");
    }
}
