//! A text in its documents, before any of them is read.
//!
//! In: the text of a file. Out: the range of each document. Law: split as kubectl does it, at lines that begin with
//! `---`, or one JSON value after another, so that a broken document ends where the next begins. Not: what is in them.

use super::Broken;
use std::ops::Range;

/// A document's place in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Bytes of the file.
    pub(super) range: Range<usize>,
    /// The line of its first byte, from 0.
    pub(super) line: usize,
    /// The column of its first byte, in characters from 0.
    pub(super) column: usize,
    /// What serde makes of it, where it is JSON.
    pub(super) json: Option<serde_json::Value>,
}

/// Every document of a text.
pub(super) fn parts(text: &str) -> Vec<Result<Part, Broken>> {
    // No line of JSON begins with ---: with one, it is YAML that looks like JSON.
    if text.trim_start().starts_with(['{', '['])
        && !text.lines().any(is_separator)
        && let Some(parts) = json(text)
    {
        return parts;
    }
    yaml(text).into_iter().map(Ok).collect()
}

/// JSON values one after another; `None` where the first is none: it may be YAML then.
fn json(text: &str) -> Option<Vec<Result<Part, Broken>>> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
    let mut parts = Vec::new();
    let mut place = Counter::default();
    loop {
        let before = values.byte_offset();
        let start = before + text[before..].len() - text[before..].trim_start().len();
        match values.next() {
            None => return Some(parts),
            Some(Ok(value)) => {
                let (line, column) = place.at(text, start);
                parts.push(Ok(Part {
                    range: start..values.byte_offset(),
                    line,
                    column,
                    json: Some(value),
                }));
            }
            Some(Err(_)) if parts.is_empty() => return None,
            Some(Err(error)) => {
                let message = error.to_string();
                // Line and column stand before the message here, as everywhere.
                let message = message.split(" at line ").next().unwrap_or_default();
                parts.push(Err(Broken {
                    line: error.line(),
                    column: error.column().max(1),
                    message: format!("is not JSON: {message}"),
                    help: String::new(),
                }));
                return Some(parts);
            }
        }
    }
}

/// Lines and characters up to a place that only moves on.
#[derive(Default)]
struct Counter {
    at: usize,
    line: usize,
    column: usize,
}

impl Counter {
    fn at(&mut self, text: &str, to: usize) -> (usize, usize) {
        for c in text[self.at..to].chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 0;
            } else {
                self.column += 1;
            }
        }
        self.at = to;
        (self.line, self.column)
    }
}

fn yaml(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut start, mut start_line) = (0, 0);
    let mut offset = 0;
    let mut push = |range: Range<usize>, line: usize| {
        if has_content(&text[range.clone()]) {
            parts.push(Part {
                range,
                line,
                column: 0,
                json: None,
            });
        }
    };
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if is_separator(line) {
            push(start..offset, start_line);
            (start, start_line) = (offset, number);
        }
        offset += line.len();
    }
    push(start..text.len(), start_line);
    parts
}

/// Whether a line ends one document and begins the next.
fn is_separator(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// Something beside comments, directives and marks.
fn has_content(part: &str) -> bool {
    part.lines().any(|line| {
        let line = line.strip_prefix("---").unwrap_or(line).trim();
        !(line.is_empty() || line.starts_with('#') || line.starts_with('%') || line == "...")
    })
}
