//! Documents: bounds on what is looked at, lists, and typed reading that loses nothing silently.
//!
//! In: JSON values of unknown origin. Out: typed values, or findings with their places. Law: what is too large or too
//! deep is refused before anything walks it recursively. Not: what a shape means.

use crate::finding::{Code, Finding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Largest document, in bytes: ten thousand Segments of a fair size. A reader refuses a larger file.
pub const MAX_DOCUMENT_BYTES: usize = 10 * 1024 * 1024;

/// Deepest nesting; a `CronJob` has some fifteen levels.
pub const MAX_DEPTH: usize = 64;

/// Most items of a list.
pub const MAX_ITEMS: usize = 10_000;

/// Bytes that any value costs beside its text.
const BYTES_PER_VALUE: usize = 4;

/// Refuses what is too large or too deep. The walk keeps its own stack.
pub(super) fn bounded(document: &Value) -> Result<(), Finding> {
    let too_large = |message: String| Err(Finding::error(Code::TooLarge, "", message));
    let mut stack = vec![(document, 1)];
    let mut bytes = 0;
    while let Some((value, depth)) = stack.pop() {
        if depth > MAX_DEPTH {
            return too_large(format!("is nested deeper than {MAX_DEPTH} levels"));
        }
        bytes += BYTES_PER_VALUE;
        match value {
            Value::String(text) => bytes += text.len(),
            Value::Array(items) => stack.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => {
                for (key, item) in map {
                    bytes += key.len();
                    stack.push((item, depth + 1));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        if bytes > MAX_DOCUMENT_BYTES {
            return too_large(format!("has more than {MAX_DOCUMENT_BYTES} bytes"));
        }
    }
    Ok(())
}

/// A list (`{items: […]}`: an answer of the API, `kubectl get -o yaml`) as its items, each with its path; anything else as
/// itself with an empty path.
///
/// # Errors
/// When it has more than [`MAX_ITEMS`] items.
pub fn split(document: Value) -> Result<Vec<(String, Value)>, Finding> {
    let is_list = |map: &Map<String, Value>| {
        map.get("items").is_some_and(Value::is_array)
            && map
                .get("kind")
                .is_none_or(|kind| kind.as_str().is_some_and(|kind| kind.ends_with("List")))
    };
    match document {
        Value::Object(mut map) if is_list(&map) => {
            let Some(Value::Array(items)) = map.remove("items") else {
                return Ok(Vec::new());
            };
            if items.len() > MAX_ITEMS {
                let message = format!("has {} items, at most {MAX_ITEMS} are read", items.len());
                return Err(Finding::error(Code::TooLarge, "items", message)
                    .help("ask for them in pages, or by namespace"));
            }
            Ok(items
                .into_iter()
                .enumerate()
                .map(|(index, item)| (format!("items[{index}]"), item))
                .collect())
        }
        other => Ok(vec![(String::new(), other)]),
    }
}

/// Reads a value as a type. Pushes the paths of what the type does not know.
pub(super) fn typed<T: DeserializeOwned + Serialize>(
    value: &Value,
    at: &str,
    unknown: &mut Vec<String>,
) -> Result<T, String> {
    let typed: T = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    let again = serde_json::to_value(&typed).map_err(|error| error.to_string())?;
    missing(value, &again, at, unknown);
    Ok(typed)
}

/// Paths that stand in `given` with a value and not in `kept`. Depth was bounded before.
fn missing(given: &Value, kept: &Value, at: &str, paths: &mut Vec<String>) {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => {
            for (key, value) in given {
                let path = join(at, key);
                match kept.get(key) {
                    Some(kept) => missing(value, kept, &path, paths),
                    None if is_empty(value) => {}
                    None => paths.push(path),
                }
            }
        }
        (Value::Array(given), Value::Array(kept)) => {
            for (index, (given, kept)) in given.iter().zip(kept).enumerate() {
                missing(given, kept, &format!("{at}[{index}]"), paths);
            }
        }
        _ => {}
    }
}

/// A path and a key below it.
pub(super) fn join(at: &str, key: &str) -> String {
    if at.is_empty() {
        key.to_owned()
    } else {
        format!("{at}.{key}")
    }
}

/// Null, and what holds nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// What a value is, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
