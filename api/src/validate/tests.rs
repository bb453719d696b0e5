use std::time::Duration;

use serde_json::{Value, json};

use super::{rules::*, *};
use crate::error::ApiError;

/// The type and the words of a fault, or nothing.
fn said<T>(outcome: Result<T, Fault>) -> Option<(&'static str, String)> {
    outcome.err().map(|fault| (fault.kind, fault.msg.into_owned()))
}

fn fault(kind: &'static str, msg: &str) -> Option<(&'static str, String)> {
    Some((kind, msg.to_owned()))
}

#[test]
fn numbers() {
    let rule = integer(1, 9);
    let at_least = fault("greater_than_equal", "Input should be greater than or equal to 1");
    let at_most = fault("less_than_equal", "Input should be less than or equal to 9");
    let no_int = fault("int_type", "Input should be a valid integer");
    let cases = [
        (json!(1), None),
        (json!("9"), None),
        (json!(0), at_least.clone()),
        (json!(-5), at_least),
        (json!(10), at_most.clone()),
        (json!(u64::MAX), at_most),
        (json!(1.5), fault("int_from_float", "Input should be a valid integer, got a number with a fractional part")),
        (json!("x"), fault("int_parsing", "Input should be a valid integer, unable to parse string as an integer")),
        (json!(true), no_int.clone()),
        (json!([]), no_int),
    ];
    for (value, expected) in cases {
        assert_eq!(said(rule(&value)), expected, "{value}");
    }
}

#[test]
fn texts() {
    let rule = text(1, 3);
    let cases = [
        (json!("äöü"), None),
        (json!(""), fault("string_too_short", "String should have at least 1 character")),
        (json!("abcd"), fault("string_too_long", "String should have at most 3 characters")),
        (json!("a\0"), fault("value_error", "String should not hold U+0000")),
        (json!(7), fault("string_type", "Input should be a valid string")),
    ];
    for (value, expected) in cases {
        assert_eq!(said(rule(&value)), expected, "{value}");
    }
    for bad in ["", "a b", "a/b", "é"] {
        assert!(name(&json!(bad)).is_err(), "{bad}");
    }
    assert_eq!(name(&json!("codex-1.x_y")).unwrap(), "codex-1.x_y");
}

#[test]
fn labels_are_an_object_of_short_strings() {
    let many: Value = (0..33).map(|n| (n.to_string(), json!(""))).collect::<serde_json::Map<_, _>>().into();
    let cases = [
        (json!({}), None),
        (json!({"team/a": "x y ü", "b": ""}), None),
        (json!([]), fault("dict_type", "Input should be a valid dictionary")),
        (json!({"a": 1}), fault("string_type", "Input should be a valid string")),
        (json!({"a": null}), fault("string_type", "Input should be a valid string")),
        (json!({"": "x"}), fault("string_too_short", "String should have at least 1 character")),
        (json!({"a b": "x"}), fault("string_pattern_mismatch", "String should match pattern '^[A-Za-z0-9._/-]+$'")),
        (json!({"a": "x".repeat(256)}), fault("string_too_long", "String should have at most 255 characters")),
        (json!({"a": "\0"}), fault("value_error", "String should not hold U+0000")),
        (many, fault("too_long", "Dictionary should have at most 32 items after validation, not 33")),
    ];
    for (value, expected) in cases {
        assert_eq!(said(labels(&value)), expected, "{value}");
    }
    assert_eq!(labels(&json!({"a": 1})).unwrap_err().at, Some(json!("a")));
    assert_eq!(label_pairs(&json!(["a=1", "b=x=y"])).unwrap(), json!({"a": "1", "b": "x=y"}));
    assert!(label_pairs(&json!("a")).is_err());
}

#[test]
fn command_lines_times_and_waits() {
    let argv_cases = [
        (json!(["true"]), None),
        (json!(["sh", "-c", ""]), None),
        (json!([]), fault("too_short", "List should have at least 1 item after validation, not 0")),
        (json!([""]), fault("string_too_short", "String should have at least 1 character")),
        (json!("true"), fault("list_type", "Input should be a valid list")),
        (json!(["a", 1]), fault("string_type", "Input should be a valid string")),
        (json!(vec!["x"; 257]), fault("too_long", "List should have at most 256 items after validation, not 257")),
    ];
    for (value, expected) in argv_cases {
        assert_eq!(said(argv(&value)), expected, "{value}");
    }
    assert_eq!(argv(&json!(["a", 1])).unwrap_err().at, Some(json!(1)));
    for good in ["2030-01-01T00:00:00Z", "2030-01-01T01:00:00.5+01:00"] {
        assert!(timestamp(&json!(good)).is_ok(), "{good}");
    }
    for bad in
        [json!("tomorrow"), json!("2030-01-01T00:00:00"), json!("2030-01-01"), json!(5), json!("12030-01-01T00:00:00Z")]
    {
        assert!(timestamp(&bad).is_err(), "{bad}");
    }
    let wait = wait(Duration::from_secs(60));
    for (given, millis) in [("60s", 60_000), ("1m", 60_000), ("5", 5_000), ("250ms", 250), ("0s", 0)] {
        assert_eq!(wait(&json!(given)).unwrap().as_millis(), millis, "{given}");
    }
    for bad in [json!("61s"), json!("1h"), json!("soon"), json!("-1"), json!("99999999999999999999")] {
        assert!(wait(&bad).is_err(), "{bad}");
    }
}

#[test]
fn faults_come_in_field_order_and_unknown_fields_last() {
    let body = json!({"z": 1, "c": "x", "a": 0, "b": null, "y": 2});
    let mut fields = Fields::body(body).ok().unwrap();
    let a = fields.optional("a", integer(1, 9));
    let b = fields.required("b", text(1, 3));
    let c = fields.optional("c", boolean);
    let d = fields.required("d", boolean);
    fields.refuse("a", Fault::value("and another thing"));
    assert!(a.is_none() && b.is_none() && c.is_none() && d.is_none());
    let Err(ApiError::Invalid(rows)) = fields.finish(|| Some(())) else { panic!("must be refused") };
    let rows: Vec<Value> = rows.iter().map(Row::to_json).collect();
    let told: Vec<_> =
        rows.iter().map(|row| (row["loc"][1].as_str().unwrap(), row["type"].as_str().unwrap())).collect();
    let expected = [
        ("a", "greater_than_equal"),
        ("a", "value_error"),
        ("b", "string_type"),
        ("c", "bool_type"),
        ("d", "missing"),
        ("y", "extra_forbidden"),
        ("z", "extra_forbidden"),
    ];
    assert_eq!(told, expected);
    assert_eq!(rows[4], json!({"loc": ["body", "d"], "msg": "Field required", "type": "missing"}));
}

#[test]
fn a_body_that_is_no_object_is_one_fault() {
    for body in [json!([]), json!("x"), json!(null), json!(1)] {
        let Err(ApiError::Invalid(rows)) = Fields::body(body).map(|_| ()) else { panic!("must be refused") };
        assert_eq!(rows[0].to_json()["loc"], json!(["body"]));
    }
}

#[test]
fn a_repeated_parameter_is_a_list() {
    let pairs = [("s", "a"), ("s", "b"), ("n", "1"), ("n", "2")];
    let mut fields = Fields::query(pairs.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec());
    let status = fields.optional("s", some_of::<char>("'a' or 'b'"));
    assert_eq!(status, Some(vec!['a', 'b']));
    assert_eq!(fields.optional("n", integer(1, 9)), None);
    assert!(fields.finish(|| Some(())).is_err());
    assert_eq!(some_of::<char>("a letter")(&json!("a,b")).unwrap(), ['a', 'b']);
    assert!(some_of::<char>("a letter")(&json!("a,bb")).is_err());
}
