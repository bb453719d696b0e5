//! The rules a value may have to pass: each takes the value and gives the typed one or the fault. Wording and types are
//! those the API promises, and of the same vocabulary where it gives none.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use drydock_domain::{Instruction, InstructionError, JobId};
use drydock_runtime::config::duration;
use serde_json::{Map, Value};

use super::Fault;

/// Most labels of a project or job.
pub(crate) const MAX_LABELS: usize = 32;
/// Longest label name, in characters.
pub(crate) const MAX_LABEL_NAME: usize = 63;
/// Longest label value, in characters.
pub(crate) const MAX_LABEL_VALUE: usize = 255;
/// Most jobs a job may depend on.
pub(crate) const MAX_DEPENDENCIES: usize = 100;
/// Most arguments of a command line.
pub(crate) const MAX_ARGV: usize = 256;
/// Longest argument, in characters; Linux allows 128 KiB (`MAX_ARG_STRLEN`).
pub(crate) const MAX_ARG_CHARS: usize = 32_768;
/// Longest name of an agent or pool, in characters.
pub(crate) const MAX_NAME: usize = 64;

/// Longest name of a key or a user, in characters.
pub(crate) const MAX_TITLE_NAME: usize = 100;
/// Longest address, in characters (RFC 5321 §4.5.3.1.3, without the angle brackets).
const MAX_EMAIL: usize = 254;

/// What passes between a field and its rule.
type Checked<T> = Result<T, Fault>;

/// Text of `min` to `max` characters.
pub(crate) fn text(min: usize, max: usize) -> impl Fn(&Value) -> Checked<String> {
    move |value| {
        let text = plain_text(value)?;
        match text.chars().count() {
            n if n < min => Err(too_short(min)),
            n if n > max => Err(too_long(max)),
            _ => Ok(text.to_owned()),
        }
    }
}

/// An instruction of a project or a job: `check` has the limits.
pub(crate) fn instruction(
    check: impl Fn(&str) -> Result<Instruction, InstructionError>,
) -> impl Fn(&Value) -> Checked<Instruction> {
    move |value| {
        check(plain_text(value)?).map_err(|error| {
            let kind = match error {
                InstructionError::Blank => "value_error",
                InstructionError::TooShort(_) => "string_too_short",
                InstructionError::TooLong(_) => "string_too_long",
            };
            Fault::new(kind, error.to_string())
        })
    }
}

/// A name of an agent or a pool.
pub(crate) fn name(value: &Value) -> Checked<String> {
    let name = text(1, MAX_NAME)(value)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.chars().all(allowed) {
        Ok(name)
    } else {
        Err(Fault::new("string_pattern_mismatch", "String should match pattern '^[A-Za-z0-9._-]+$'"))
    }
}

/// A name for people: no control characters, nothing but white space is none.
pub(crate) fn title(value: &Value) -> Checked<String> {
    let name = text(1, MAX_TITLE_NAME)(value)?;
    match name.trim() {
        "" => Err(too_short(1)),
        _ if name.contains(char::is_control) => Err(Fault::value("String should not hold control characters")),
        trimmed => Ok(trimmed.to_owned()),
    }
}

/// An e-mail address, as far as one can be told from its text.
pub(crate) fn email(value: &Value) -> Checked<String> {
    let text = text(3, MAX_EMAIL)(value)?;
    let parts = text.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if parts.is_some() && plain { Ok(text) } else { Err(Fault::value("Input should be an e-mail address")) }
}

/// Words of `T`, a list that may be empty; `listed` is how they are told.
pub(crate) fn words<T: FromStr>(listed: &'static str) -> impl Fn(&Value) -> Checked<Vec<T>> {
    move |value| {
        let list = value.as_array().ok_or_else(|| Fault::new("list_type", "Input should be a valid list"))?;
        let words = list.iter().enumerate();
        words.map(|(at, word)| one_of(listed)(word).map_err(|fault| fault.at(at))).collect()
    }
}

/// One of the words of `T`; `listed` is how they are told.
pub(crate) fn one_of<T: FromStr>(listed: &'static str) -> impl Fn(&Value) -> Checked<T> {
    move |value| {
        value
            .as_str()
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| Fault::new("enum", format!("Input should be {listed}")))
    }
}

/// One or more words of `T`: in a query string a parameter may be repeated, or hold several with commas.
pub(crate) fn some_of<T: FromStr>(listed: &'static str) -> impl Fn(&Value) -> Checked<Vec<T>> {
    move |value| strings(value)?.flat_map(|text| text.split(',')).map(|word| one_of(listed)(&word.into())).collect()
}

/// One or more of `known`, repeated or with commas.
pub(crate) fn some_words(known: &'static [&'static str]) -> impl Fn(&Value) -> Checked<Vec<String>> {
    move |value| {
        let words = strings(value)?.flat_map(|text| text.split(','));
        words
            .map(|word| {
                let listed = || Fault::new("enum", format!("Input should be one of {}", known.join(", ")));
                known.contains(&word).then(|| word.to_owned()).ok_or_else(listed)
            })
            .collect()
    }
}

/// A whole number from `min` to `max`, in JSON or as digits in a query string.
pub(crate) fn integer(min: i64, max: i64) -> impl Fn(&Value) -> Checked<i64> {
    move |value| {
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(digits) => digits.parse().ok(),
            _ => None,
        };
        match number {
            None if value.is_f64() => Err(Fault::new(
                "int_from_float",
                "Input should be a valid integer, got a number with a fractional part",
            )),
            None if value.is_u64() => {
                Err(Fault::new("less_than_equal", format!("Input should be less than or equal to {max}")))
            }
            None if value.is_string() => {
                Err(Fault::new("int_parsing", "Input should be a valid integer, unable to parse string as an integer"))
            }
            None => Err(Fault::new("int_type", "Input should be a valid integer")),
            Some(n) if n < min => {
                Err(Fault::new("greater_than_equal", format!("Input should be greater than or equal to {min}")))
            }
            Some(n) if n > max => {
                Err(Fault::new("less_than_equal", format!("Input should be less than or equal to {max}")))
            }
            Some(n) => Ok(n),
        }
    }
}

/// Like [`integer`], for numbers that fit `T` by their bounds.
pub(crate) fn number<T: TryFrom<i64>>(min: i64, max: i64) -> impl Fn(&Value) -> Checked<T> {
    move |value| {
        let number = integer(min, max)(value)?;
        T::try_from(number).map_err(|_| Fault::new("int_type", "Input should be a valid integer"))
    }
}

/// `true` or `false`.
pub(crate) fn boolean(value: &Value) -> Checked<bool> {
    value.as_bool().ok_or_else(|| Fault::new("bool_type", "Input should be a valid boolean"))
}

/// `true` or `false` in a query string.
pub(crate) fn flag(value: &Value) -> Checked<bool> {
    one_of("'true' or 'false'")(value)
}

/// A time with its offset (RFC 3339).
pub(crate) fn timestamp(value: &Value) -> Checked<DateTime<Utc>> {
    let text = value.as_str().ok_or_else(|| Fault::new("datetime_type", "Input should be a valid datetime"))?;
    let expected = "Input should be a valid datetime with its offset, like 2030-01-31T12:00:00Z";
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| Fault::new("datetime_parsing", expected))?;
    Ok(time.to_utc())
}

/// A time to wait, like `60s` or `60` (seconds), at most `max`.
pub(crate) fn wait(max: Duration) -> impl Fn(&Value) -> Checked<Duration> {
    move |value| {
        let text = value.as_str().unwrap_or_default();
        let seconds = text.parse().map(Duration::from_secs);
        let time = seconds.or_else(|_| duration(text)).map_err(|error| Fault::new("time_delta_parsing", error))?;
        if time > max {
            let max = max.as_secs();
            return Err(Fault::new("less_than_equal", format!("Input should be less than or equal to {max}s")));
        }
        Ok(time)
    }
}

/// Labels: an object of short strings.
pub(crate) fn labels(value: &Value) -> Checked<Value> {
    let object = value.as_object().ok_or_else(|| Fault::new("dict_type", "Input should be a valid dictionary"))?;
    if object.len() > MAX_LABELS {
        let many = object.len();
        let msg = format!("Dictionary should have at most {MAX_LABELS} items after validation, not {many}");
        return Err(Fault::new("too_long", msg));
    }
    for (name, value) in object {
        label_name(name).map_err(|fault| fault.at(name.as_str()))?;
        text(0, MAX_LABEL_VALUE)(value).map_err(|fault| fault.at(name.as_str()))?;
    }
    Ok(value.clone())
}

/// `name=value` labels in query parameters or a filter.
pub(crate) fn label_pairs(value: &Value) -> Checked<Value> {
    let mut object = Map::new();
    for pair in strings(value)? {
        let (name, text) = pair.split_once('=').ok_or_else(|| Fault::value("a label is written name=value"))?;
        object.insert(name.to_owned(), text.into());
    }
    labels(&object.into())
}

/// An id of any kind.
pub(crate) fn id<T: FromStr>(value: &Value) -> Checked<T> {
    let id = value.as_str().and_then(|text| text.parse().ok());
    id.ok_or_else(|| Fault::new("uuid_parsing", "Input should be a valid UUID"))
}

/// A share from 0 up to, but not, 1.
pub(crate) fn share(value: &Value) -> Checked<f64> {
    match value.as_f64() {
        None => Err(Fault::new("float_type", "Input should be a valid number")),
        Some(share) if share < 0.0 => {
            Err(Fault::new("greater_than_equal", "Input should be greater than or equal to 0"))
        }
        Some(share) if share >= 1.0 => Err(Fault::new("less_than", "Input should be less than 1")),
        Some(share) => Ok(share),
    }
}

/// Ids of jobs, each once.
pub(crate) fn jobs(value: &Value) -> Checked<Vec<JobId>> {
    let list = value.as_array().ok_or_else(|| Fault::new("list_type", "Input should be a valid list"))?;
    if list.len() > MAX_DEPENDENCIES {
        let msg = format!("List should have at most {MAX_DEPENDENCIES} items after validation, not {}", list.len());
        return Err(Fault::new("too_long", msg));
    }
    let mut ids = Vec::with_capacity(list.len());
    for (at, item) in list.iter().enumerate() {
        let id = id(item).map_err(|fault| fault.at(at))?;
        if ids.contains(&id) {
            return Err(Fault::value("the same job is named twice").at(at));
        }
        ids.push(id);
    }
    Ok(ids)
}

/// A command line: the program and its arguments.
pub(crate) fn argv(value: &Value) -> Checked<Vec<String>> {
    let list = value.as_array().ok_or_else(|| Fault::new("list_type", "Input should be a valid list"))?;
    match list.len() {
        0 => {
            return Err(Fault::new("too_short", "List should have at least 1 item after validation, not 0"));
        }
        n if n > MAX_ARGV => {
            let msg = format!("List should have at most {MAX_ARGV} items after validation, not {n}");
            return Err(Fault::new("too_long", msg));
        }
        _ => {}
    }
    let min = |at| usize::from(at == 0);
    let items = list.iter().enumerate();
    items.map(|(at, item)| text(min(at), MAX_ARG_CHARS)(item).map_err(|fault| fault.at(at))).collect()
}

fn label_name(name: &str) -> Checked<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    match name.chars().count() {
        0 => Err(too_short(1)),
        n if n > MAX_LABEL_NAME => Err(too_long(MAX_LABEL_NAME)),
        _ if !name.chars().all(allowed) => {
            Err(Fault::new("string_pattern_mismatch", "String should match pattern '^[A-Za-z0-9._/-]+$'"))
        }
        _ => Ok(()),
    }
}

/// The strings of a parameter given once or more.
fn strings(value: &Value) -> Checked<impl Iterator<Item = &str>> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    for value in list {
        plain_text(value)?;
    }
    Ok(list.iter().filter_map(Value::as_str))
}

/// Text that PostgreSQL can keep: it has no U+0000 (manual, §8.3).
fn plain_text(value: &Value) -> Checked<&str> {
    match value.as_str() {
        None => Err(Fault::new("string_type", "Input should be a valid string")),
        Some(text) if text.contains('\0') => Err(Fault::value("String should not hold U+0000")),
        Some(text) => Ok(text),
    }
}

fn too_short(min: usize) -> Fault {
    let s = if min == 1 { "" } else { "s" };
    Fault::new("string_too_short", format!("String should have at least {min} character{s}"))
}

fn too_long(max: usize) -> Fault {
    Fault::new("string_too_long", format!("String should have at most {max} characters"))
}
