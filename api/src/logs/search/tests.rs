//! A scan beside the plain way to do the same: all of a log at once, line by line.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    lines::Spot,
    pattern::{Pattern, Wanted},
    scan::{Budget, Counted, Scan},
};
use crate::validate::Fields;

fn wanted(q: &str, regex: bool, ignore_case: bool) -> Wanted {
    let pairs = [("q", q.to_owned()), ("regex", regex.to_string()), ("ignore_case", ignore_case.to_string())];
    let mut fields = Fields::query(pairs.map(|(name, value)| (name.to_owned(), value)).to_vec());
    let wanted = Wanted::take(&mut fields);
    fields.finish(|| wanted).unwrap()
}

fn regex(q: &str) -> Arc<Pattern> {
    Arc::new(Pattern::new(&wanted(q, true, false)).unwrap())
}

fn budget(keep: usize) -> Budget {
    Budget { keep, until: Instant::now() + Duration::from_secs(60) }
}

/// What a scan finds that gets the log in pieces of this size.
fn scan(pattern: &Arc<Pattern>, log: &[u8], size: usize, keep: usize) -> (u64, Vec<Value>) {
    let mut scan = Scan::new(Arc::clone(pattern), budget(keep), Spot::default(), Counted::default());
    for piece in log.chunks(size) {
        assert!(scan.feed(piece), "it counts to the end");
    }
    let total = scan.end(false);
    (total, scan.into_hits().into_iter().map(|hit| serde_json::to_value(hit).unwrap()).collect())
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

const LOG: &str = "first error\r\n\nno\u{1b}[31mthing\u{1b}[0m here\r\ncafé €rror ERROR\n\u{1b}[1;31mer\u{1b}[0mror: two errors\nx\u{1b}]0;title error\u{7}y\nlast error";

#[test]
fn what_is_found_depends_on_no_border() {
    let lines: [(&str, Value); 5] = [
        (
            "error",
            json!([
                [1, "first error", [[6, 11]]],
                [5, "error: two errors", [[0, 5], [11, 16]]],
                [7, "last error", [[5, 10]]],
            ]),
        ),
        (
            "(?i)error$",
            json!([[1, "first error", [[6, 11]]], [4, "café €rror ERROR", [[14, 19]]], [7, "last error", [[5, 10]]],]),
        ),
        ("é €", json!([[4, "café €rror ERROR", [[3, 9]]]])),
        ("^$", json!([[2, "", []]])),
        ("^(nothing|xy)", json!([[3, "nothing here", [[0, 7]]], [6, "xy", [[0, 2]]]])),
    ];
    for (q, expected) in lines {
        let pattern = regex(q);
        for size in 1..=LOG.len() {
            let (total, hits) = scan(&pattern, LOG.as_bytes(), size, 10);
            let told: Vec<Value> = hits.iter().map(|hit| json!([hit["line"], hit["text"], hit["ranges"]])).collect();
            for hit in &hits {
                let (line, offset) = (number(&hit["line"]), number(&hit["offset"]));
                assert_eq!(LOG[..offset].matches('\n').count() + 1, line);
                assert_eq!(LOG[offset..].split('\n').next().unwrap().len(), number(&hit["bytes"]));
                assert!(offset == 0 || LOG.as_bytes()[offset - 1] == b'\n');
            }
            assert_eq!((json!(told), total), (expected.clone(), told.len() as u64), "{q} in pieces of {size}");
        }
    }
}

#[test]
fn pages_follow_one_another_and_count_once() {
    let log: String = (0..5000).map(|n| format!("{}\n", if n % 7 == 0 { "hit" } else { "miss" })).collect();
    let pattern = regex("hit");
    let (mut next, mut counted, mut lines) = (Spot::default(), Counted::default(), Vec::new());
    for page in 0.. {
        // Time is up in the middle of the first pages.
        let until = if page < 3 { Instant::now() } else { Instant::now() + Duration::from_secs(60) };
        let mut scan = Scan::new(Arc::clone(&pattern), Budget { keep: 100, until }, next, counted);
        let from = usize::try_from(next.offset).unwrap();
        let mut enough = false;
        for piece in log.as_bytes()[from..].chunks(5000) {
            enough = !scan.feed(piece);
            if enough {
                break;
            }
        }
        let total = if enough { scan.counted().lines } else { scan.end(false) };
        let goes_on = scan.full().or(enough.then(|| scan.spot()));
        counted = scan.counted();
        lines.extend(
            scan.into_hits().into_iter().map(|hit| serde_json::to_value(hit).unwrap()["line"].as_u64().unwrap()),
        );
        match goes_on {
            Some(spot) => next = spot,
            None => {
                assert_eq!(total, 715);
                break;
            }
        }
    }
    assert_eq!(lines, (0..5000).filter(|n| n % 7 == 0).map(|n| n + 1).collect::<Vec<u64>>());
}

#[test]
fn a_line_that_may_still_grow_is_told_and_counted_again() {
    let mut scan = Scan::new(regex("hit"), budget(10), Spot::default(), Counted::default());
    assert!(scan.feed(b"hit\nhi"));
    assert!(scan.feed(b"t and mo"));
    assert_eq!(scan.end(true), 2);
    assert_eq!(scan.counted(), Counted { to: Spot { offset: 4, line: 2 }, lines: 1 });
    assert_eq!(scan.into_hits().len(), 2);
}

#[test]
fn a_line_of_megabytes_is_searched_through_in_windows() {
    let mut line = "ab ".repeat(500_000);
    let found = |line: &str, q: &str| {
        let log = format!("x\n{line}\nafter needle\n");
        let totals = [4093, 65_536, log.len()].map(|size| scan(&regex(q), log.as_bytes(), size, 10));
        assert!(totals.iter().all(|found| *found == totals[0]), "{q}");
        let [(total, hits), ..] = totals;
        (total, hits)
    };
    assert_eq!(found(&line, "needle").0, 1);
    for at in [0, 65_000, 65_533, 131_070, 749_999, 1_499_994] {
        let at = at / 3 * 3;
        line.replace_range(at..at + 6, "needle");
        let (total, hits) = found(&line, "needle");
        assert_eq!((total, &hits[0]["line"], &hits[0]["bytes"]), (2, &json!(2), &json!(1_500_000)), "at {at}");
        assert_eq!((&hits[0]["cut"], &hits[0]["offset"]), (&json!(true), &json!(2)));
        let (start, end) = (hits[0]["ranges"][0][0].as_u64().unwrap(), hits[0]["ranges"][0][1].as_u64().unwrap());
        assert_eq!(
            &hits[0]["text"].as_str().unwrap()[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()],
            "needle"
        );
        line.replace_range(at..at + 6, "ab ab ");
    }
    // Nothing begins or ends where a window does.
    for q in ["[ab ]{3}$x?", "^b ", "^ ", r"\bb", r"a\b"] {
        let expected = u64::from(q.ends_with('?'));
        assert_eq!(found(&line, q).0, expected, "{q}");
    }
}

#[test]
fn bytes_that_are_no_text_have_true_places() {
    let log = b"\xff\xfe needle \xe2\x82 needle\n";
    let (total, hits) = scan(&regex("needle"), log, 3, 10);
    let text = hits[0]["text"].as_str().unwrap();
    for range in hits[0]["ranges"].as_array().unwrap() {
        let at = |n: usize| usize::try_from(range[n].as_u64().unwrap()).unwrap();
        assert_eq!(&text[at(0)..at(1)], "needle");
    }
    assert_eq!((total, text), (1, "\u{fffd}\u{fffd} needle \u{fffd} needle"));
}

#[test]
fn a_long_line_is_shown_around_its_first_match() {
    let log = format!("{}needle{}\n", "é".repeat(3000), "x".repeat(3000));
    let (_, hits) = scan(&regex("needle"), log.as_bytes(), 1000, 10);
    let text = hits[0]["text"].as_str().unwrap();
    assert_eq!((&hits[0]["ranges"], &hits[0]["cut"]), (&json!([[200, 206]]), &json!(true)));
    assert!(text.len() == 2000 && text.starts_with("éé") && text[200..].starts_with("needlex"), "{text}");
}

#[test]
fn a_literal_is_no_expression_and_case_may_be_the_same() {
    let count = |q: &str, is_regex, ignore_case| {
        let pattern = Pattern::new(&wanted(q, is_regex, ignore_case)).unwrap();
        scan(&Arc::new(pattern), "a.b\naxb\nA.B\nÄ.b\nä.B\n".as_bytes(), 4, 0).0
    };
    assert_eq!((count("a.b", false, false), count("a.b", true, false)), (1, 2));
    assert_eq!((count("a.b", false, true), count("ä.b", false, true)), (2, 2));
    assert_eq!(count("(", false, false), 0);
}

/// Bounds of `security.md` HT-10, with room for a slow machine and a build without optimisation.
#[test]
fn a_hostile_expression_is_refused_or_harmless_and_either_way_soon() {
    let refused = [
        r"\p{L}{500}{500}",
        r"(((a{100}){100}){100}){100}",
        r"[^\x00]{1000}\w{1000}",
        &"(".repeat(999),
        &format!("{}a{}", "(".repeat(400), ")".repeat(400)),
        r"(\w+\s?){1,20}:",
        r"a(?=b)",
        r"(a)\1",
        r"\p{Nonsense}",
        "a**{9999999999}",
    ];
    for q in refused {
        let began = Instant::now();
        let Err(fault) = Pattern::new(&wanted(q, true, false)) else { panic!("{q} passed") };
        let told = format!("{fault:?}");
        assert!(began.elapsed() < Duration::from_millis(600), "{q}: {:?}", began.elapsed());
        assert!(told.contains("The regular expression"), "{told}");
        assert!(told.len() < 300 && !told.contains("nfa") && !told.contains("limit"), "{told}");
    }
    let text = "a".repeat(60_000) + "!\n";
    for q in [
        "(a+)+$",
        "(a|aa)+$",
        "(a*)*b",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "(.*)(.*)(.*)(.*)(.*)x",
        r"(?-u)(\w+\s?){1,20}:",
        "(?i)(a|a|a|a){1,100}b",
    ] {
        let began = Instant::now();
        let (total, _) = scan(&regex(q), text.as_bytes(), 65_536, 1);
        assert_eq!(total, 0, "{q}");
        assert!(began.elapsed() < Duration::from_secs(5), "{q}: {:?}", began.elapsed());
    }
}
