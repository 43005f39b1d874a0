//! The scan: PostgreSQL's strings, quoted names, comments and parentheses.
//!
//! In: the text as PostgreSQL gets it. Out: what is not closed, a second statement, and slips that the parser lets pass.
//! Law: one walk over the bytes, so linear; with `standard_conforming_strings`, which is PostgreSQL's default.
//! Not: grammar (`parser.rs`).

use super::{Fragment, SqlFinding};
use crate::finding::Code;

pub(super) fn scan(fragment: Fragment, text: &str) -> Vec<SqlFinding> {
    let mut scan = Scan {
        text,
        at: 0,
        open: Vec::new(),
        statement: false,
        equals: false,
        closed: false,
        findings: Vec::new(),
    };
    scan.first_word(fragment);
    while scan.at < text.len() {
        if let Err(unclosed) = scan.step() {
            scan.findings.push(unclosed);
            return scan.findings;
        }
    }
    if let Some(&open) = scan.open.last() {
        scan.findings.push(SqlFinding::error(
            Code::UnterminatedText,
            open,
            "the parenthesis that opens here is not closed",
            "close it with )",
        ));
    }
    scan.findings
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// Offsets of the parentheses that are open.
    open: Vec<usize>,
    /// Each of these is said once.
    statement: bool,
    equals: bool,
    closed: bool,
    findings: Vec<SqlFinding>,
}

impl Scan<'_> {
    fn first_word(&mut self, fragment: Fragment) {
        let start = self.text.len() - self.text.trim_start().len();
        let word = &self.text[start..start + word_len(&self.text[start..])];
        let is = |other: &&str| word.eq_ignore_ascii_case(other);
        let found = match fragment {
            Fragment::Condition if is(&"where") => (
                "the condition begins with the word WHERE, which the script writes itself",
                "leave the word out",
            ),
            Fragment::Query
                if !word.is_empty() && !["select", "with", "values", "table"].iter().any(is) =>
            {
                (
                    "a query begins with SELECT, WITH, VALUES or TABLE",
                    "the script makes a table or a view of what the query returns",
                )
            }
            _ => return,
        };
        self.findings
            .push(SqlFinding::warning(start, found.0, found.1));
    }

    /// Goes behind the next thing that matters; an error where that has no end.
    fn step(&mut self) -> Result<(), SqlFinding> {
        let rest = &self.text[self.at..];
        let begin = self.at;
        let Some(&first) = rest.as_bytes().first() else {
            return Ok(());
        };
        let len = match first {
            b'\'' => string_len(rest, false).ok_or_else(|| unclosed_string(begin))?,
            b'"' => quoted_len(rest, b'"').ok_or_else(|| {
                unclosed(
                    begin,
                    "the quoted name that begins here is not closed",
                    "close it with a double quote; one inside a name is written twice",
                )
            })?,
            b'$' => dollar_len(rest).map_err(|()| {
                unclosed(
                    begin,
                    "the dollar-quoted string that begins here is not closed",
                    "Kubernetes makes $$ one dollar: write $q$ … $q$, or use single quotes",
                )
            })?,
            b'-' if rest.starts_with("--") => self.line_comment(rest),
            b'/' if rest.starts_with("/*") => comment_len(rest).ok_or_else(|| {
                unclosed(
                    begin,
                    "the comment that begins here is not closed",
                    "close it with */",
                )
            })?,
            b'(' => {
                self.open.push(begin);
                1
            }
            b')' => self.close(),
            b';' => self.semicolon(),
            byte if is_operator(byte) => self.operator(rest),
            byte if is_word(byte) => {
                let len = word_len(rest);
                if rest[..len].eq_ignore_ascii_case("e") && rest[len..].starts_with('\'') {
                    let string = string_len(&rest[len..], true);
                    len + string.ok_or_else(|| unclosed_string(begin))?
                } else {
                    len
                }
            }
            _ => 1,
        };
        self.at += len;
        Ok(())
    }

    fn line_comment(&mut self, rest: &str) -> usize {
        self.findings.push(SqlFinding {
            code: Code::SqlComment,
            ..SqlFinding::warning(
                self.at,
                "-- begins a comment: what follows is not executed",
                "remove it: the script may write the SQL on one line, and then all behind it is left out",
            )
        });
        rest.find('\n').map_or(rest.len(), |end| end + 1)
    }

    fn close(&mut self) -> usize {
        if self.open.pop().is_none() && !self.closed {
            self.closed = true;
            self.findings.push(SqlFinding::warning(
                self.at,
                "this parenthesis closes none that was opened",
                "remove it, or open it",
            ));
        }
        1
    }

    fn semicolon(&mut self) -> usize {
        if !self.statement {
            self.statement = true;
            self.findings.push(SqlFinding::error(
                Code::SeveralStatements,
                self.at,
                "a semicolon ends the statement, but the script writes more after it",
                "remove it; a semicolon that is meant stands in quotes",
            ));
        }
        1
    }

    /// An operator is the longest run of its characters, without a comment; it ends in + or - only with some others.
    fn operator(&mut self, rest: &str) -> usize {
        let bytes = rest.as_bytes();
        let len = (0..bytes.len())
            .find(|&at| {
                !is_operator(bytes[at]) || matches!(bytes.get(at..at + 2), Some(b"--" | b"/*"))
            })
            .unwrap_or(bytes.len());
        if rest[..len].trim_end_matches(['+', '-']) == "==" && !self.equals {
            self.equals = true;
            self.findings.push(SqlFinding::warning(
                self.at,
                "PostgreSQL has no operator ==",
                "write =",
            ));
        }
        len.max(1)
    }
}

fn unclosed(offset: usize, message: &str, help: &'static str) -> SqlFinding {
    SqlFinding::error(Code::UnterminatedText, offset, message, help)
}

fn unclosed_string(offset: usize) -> SqlFinding {
    unclosed(
        offset,
        "the string that begins here is not closed",
        "close it with a single quote; one inside a string is written twice",
    )
}

fn is_operator(byte: u8) -> bool {
    b"+-*/<>=~!@#%^&|`?".contains(&byte)
}

/// Letters, digits, and every byte of what is not ASCII.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn word_len(text: &str) -> usize {
    text.bytes()
        .take_while(|&byte| is_word(byte) || byte == b'$')
        .count()
}

/// The length of what begins with this quote and ends with the next that is not doubled.
fn quoted_len(text: &str, quote: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        if bytes[at] == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return Some(at + 1);
            }
            at += 1;
        }
        at += 1;
    }
    None
}

/// The length of a string; with `E` before it a backslash takes the next character with it.
fn string_len(text: &str, escapes: bool) -> Option<usize> {
    if !escapes {
        return quoted_len(text, b'\'');
    }
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 1,
            b'\'' => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The length of `$tag$ … $tag$`; that of the dollar where none begins.
fn dollar_len(text: &str) -> Result<usize, ()> {
    let tag = text[1..].bytes().take_while(|&byte| is_word(byte)).count();
    let delimiter = &text[..=tag];
    let begins = text[1 + tag..].starts_with('$')
        && !text[1..].starts_with(|first: char| first.is_ascii_digit());
    if !begins {
        return Ok(1 + tag);
    }
    let delimiter = format!("{delimiter}$");
    let inner = text[delimiter.len()..].find(&delimiter).ok_or(())?;
    Ok(inner + 2 * delimiter.len())
}

/// The length of a comment, with those in it.
fn comment_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}
