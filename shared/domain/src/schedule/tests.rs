use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn times(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::parse(cron, zone).unwrap();
    schedule.upcoming(at(after), count).iter().map(|time| time.format("%FT%TZ").to_string()).collect()
}

#[test]
fn expressions_mean_what_cron_says() {
    let cases = [
        ("* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z"),
        ("*/15 9-17 * * MON-FRI", "2026-11-20T17:45:00Z", "2026-11-23T09:00:00Z"),
        // Day of month or day of week: either is enough.
        ("0 0 13 * FRI", "2026-11-11T00:00:00Z", "2026-11-13T00:00:00Z"),
        ("0 0 L * *", "2028-02-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 12 * * 5#2", "2026-11-01T00:00:00Z", "2026-11-13T12:00:00Z"),
        ("0 0 * * 7", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
        ("@hourly", "2026-11-21T08:59:59Z", "2026-11-21T09:00:00Z"),
        ("@weekly", "2026-11-21T08:59:59Z", "2026-11-22T00:00:00Z"),
        ("0 0 29 2 *", "2026-11-21T08:59:59Z", "2028-02-29T00:00:00Z"),
    ];
    for (cron, after, expected) in cases {
        assert_eq!(times(cron, "UTC", after, 1), [expected], "{cron}");
    }
}

#[test]
fn a_time_is_never_its_own_successor() {
    let schedule = Schedule::parse("0 * * * *", "UTC").unwrap();
    assert_eq!(schedule.next_after(at("2026-11-21T09:00:00Z")), Some(at("2026-11-21T10:00:00Z")));
    assert_eq!(schedule.next_after(at("2026-11-21T08:59:59.999999Z")), Some(at("2026-11-21T09:00:00Z")));
}

#[test]
fn what_never_comes_is_no_time() {
    let never = Schedule::parse("0 0 30 2 *", "UTC").unwrap();
    assert_eq!(never.next_after(at("2026-11-21T09:00:00Z")), None);
    assert!(never.upcoming(at("2026-11-21T09:00:00Z"), 5).is_empty());
}

#[test]
fn what_cannot_be_read_is_told_with_an_example() {
    for bad in
        ["", "x", "* * * *", "60 * * * *", "0 0 * * * *", "0 0 1 1 * 2030", "@often", "0 0 * * MON-", &"*".repeat(201)]
    {
        let error = parse_cron(bad).unwrap_err().to_string();
        assert!(error.contains("five fields") && error.contains("'30 6 * * MON-FRI': "), "{bad}: {error}");
        assert!(!error.ends_with(": "), "{bad}: {error}");
    }
    for bad in ["", "Berlin", "+01:00", "europe/berlin", "Mars/Olympus"] {
        assert_eq!(parse_zone(bad).unwrap_err(), ScheduleError::Zone, "{bad}");
    }
}

/// In Berlin clocks went from 02:00 to 03:00 on 29 March 2026 and from 03:00 to 02:00 on 25 October 2026.
#[test]
fn a_time_that_does_not_exist_fires_after_the_gap() {
    assert_eq!(
        times("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3),
        ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        "03:00 summer time on the day without 02:30"
    );
    assert_eq!(
        times("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z", 3),
        ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
        "a repeating one does not notice"
    );
}

#[test]
fn a_time_that_happens_twice_fires_once() {
    assert_eq!(
        times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        "the first 02:30 only"
    );
    assert_eq!(
        times("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 4),
        ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z"],
        "every hour is every hour"
    );
    // From within the second 02:30 the next one is tomorrow's.
    assert_eq!(times("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1), ["2026-10-26T01:30:00Z"]);
}

#[test]
fn zones_without_whole_hours_and_across_the_date_line() {
    assert_eq!(times("0 6 * * *", "Asia/Kathmandu", "2026-11-21T00:00:00Z", 1), ["2026-11-21T00:15:00Z"]);
    // Lord Howe shifts by half an hour: at 02:00 on 4 October 2026 clocks show 02:30.
    assert_eq!(times("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 1), ["2026-10-03T15:30:00Z"]);
    assert_eq!(times("0 0 1 1 *", "Pacific/Kiritimati", "2026-12-31T09:00:00Z", 1), ["2026-12-31T10:00:00Z"]);
}

#[test]
fn missed_times_are_skipped_or_made_up_for_once() {
    let hourly = Schedule::parse("0 * * * *", "UTC").unwrap();
    let turn = |now: &str, missed| {
        let turn = hourly.turn(at("2026-11-21T09:00:00Z"), at(now), missed);
        (turn.fires, turn.next.unwrap().format("%R").to_string())
    };
    for missed in [Missed::Skip, Missed::Once] {
        assert_eq!(turn("2026-11-21T09:00:00Z", missed), (true, "10:00".to_owned()), "on time");
        assert_eq!(turn("2026-11-21T09:01:00Z", missed), (true, "10:00".to_owned()), "just on time");
    }
    assert_eq!(turn("2026-11-21T09:01:00.001Z", Missed::Skip), (false, "10:00".to_owned()));
    assert_eq!(turn("2026-11-21T12:30:00Z", Missed::Skip), (false, "13:00".to_owned()));
    assert_eq!(turn("2026-11-21T12:00:20Z", Missed::Skip), (false, "12:00".to_owned()), "noon is not missed yet");
    assert_eq!(turn("2026-11-21T12:30:00Z", Missed::Once), (true, "13:00".to_owned()));
}

#[test]
fn every_next_time_is_later_and_none_is_left_out() {
    use proptest::prelude::*;
    let crons = ["*/7 * * * *", "30 2 * * *", "0 0 1 * *", "15 1,2,3 * * *", "0 3 * 3,10 SUN"];
    let zones = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"];
    let case = (0..crons.len(), 0..zones.len(), 1_600_000_000_i64..1_900_000_000, 1_i64..86_400);
    proptest!(ProptestConfig::with_cases(64), |((cron, zone, start, step) in case)| {
        let schedule = Schedule::parse(crons[cron], zones[zone]).unwrap();
        let start = DateTime::from_timestamp(start, 0).unwrap();
        let next = schedule.next_after(start).unwrap();
        prop_assert!(next > start);
        // Asked from anywhere before it, the answer is the same: nothing lies between.
        let between = (start + chrono::Duration::seconds(step)).min(next - chrono::Duration::seconds(1));
        prop_assert_eq!(schedule.next_after(between), Some(next));
    });
}
