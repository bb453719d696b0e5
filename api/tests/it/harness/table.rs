//! Tables of cases as text, one a line: `given => expected`, with `#` for what is only said to the reader.

use serde_json::Value;

use super::Answer;

/// The lines of a table, cut at the arrow.
pub(crate) fn table(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (given, expected) = line.split_once("=>").unwrap_or_else(|| panic!("no arrow in '{line}'"));
        (given.trim(), expected.trim())
    })
}

/// A JSON body of a table; `"LONG"` stands for 2,001 characters of two bytes each.
pub(crate) fn body(text: &str) -> Value {
    let text = text.replace("LONG", &"ß".repeat(2_001));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The rows of a 422 as a table has them: `field | message | type`, joined by ` & `.
pub(crate) fn told(answer: &Answer) -> String {
    assert_eq!((answer.text("error"), answer.text("message")), ("validation_error".into(), "Validation failed".into()));
    let detail = answer.json()["detail"].clone();
    let rows = detail.as_array().unwrap().iter().map(|row| {
        let loc: Vec<String> = row["loc"].as_array().unwrap().iter().map(plain).collect();
        assert_eq!(loc[0], "body", "{row}");
        format!("{} | {} | {}", loc[1..].join("."), plain(&row["msg"]), plain(&row["type"]))
    });
    rows.collect::<Vec<_>>().join(" & ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Some fields of an object, as a list; absent ones are null.
pub(crate) fn pick(object: &Value, names: &str) -> Value {
    names.split_whitespace().map(|name| object[name].clone()).collect()
}

/// One field of every item of a list.
pub(crate) fn column(list: &Value, name: &str) -> Vec<Value> {
    list.as_array().unwrap_or_else(|| panic!("no list: {list}")).iter().map(|item| item[name].clone()).collect()
}

/// The names of an object's fields, sorted.
pub(crate) fn names(object: &Value) -> String {
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names.join(" ")
}
