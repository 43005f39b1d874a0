//! SQL fragments: conditions, expressions, queries and index definitions as a variable holds them.
//!
//! In: one fragment, and the placeholder that stands for a column in it. Out: findings with byte offsets.
//! Law: two layers. The scan knows PostgreSQL's quotes and comments exactly, so what it finds is an error: text that is
//! not closed, and a second statement. The parser is not PostgreSQL's own, so what it says is a warning.
//! Not: whether a table, a column or a function exists. Source: PostgreSQL, "SQL syntax, lexical structure".

mod parser;
mod scan;
mod source;

use crate::finding::{Code, Severity};
use source::Source;

/// Longest fragment that is parsed, in bytes; a longer one is only scanned.
const PARSED_MAX_BYTES: usize = 32 * 1024;

/// What a piece of SQL is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// A condition without the word WHERE.
    Condition,
    /// An expression that makes one value.
    Expression,
    /// A whole query, as `SOURCE_QUERY` holds it: `%%%%` stands for one per cent sign.
    Query,
    /// What follows the table's name in CREATE INDEX: `USING btree (a, b)`.
    IndexDefinition,
}

/// What is wrong with a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlFinding {
    /// `UnterminatedText` and `SeveralStatements` are errors, `SqlComment` and `SqlSyntax` are warnings.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// Byte offset in the fragment.
    pub offset: usize,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to write instead; empty where the message says it.
    pub help: &'static str,
}

/// Judges one fragment. `placeholder` is what stands for the column (`COLUMN_PLACEHOLDER`), where the script replaces
/// it. An empty fragment has no findings: whether it may be empty is another rule.
pub fn check(fragment: Fragment, text: &str, placeholder: Option<&str>) -> Vec<SqlFinding> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let source = Source::new(fragment, text, placeholder);
    let mut findings = scan::scan(fragment, source.text());
    // What is open at its end, or has a statement too many, is no sentence for the parser; and one complaint about the
    // syntax is enough.
    let clean = findings
        .iter()
        .all(|found| found.severity == Severity::Warning && found.code != Code::SqlSyntax);
    if clean && text.len() <= PARSED_MAX_BYTES {
        findings.extend(parser::complaint(fragment, &source));
    }
    for found in &mut findings {
        found.offset = source.original(found.offset);
    }
    findings.sort_by_key(|found| found.offset);
    findings
}

impl SqlFinding {
    fn error(code: Code, offset: usize, message: impl Into<String>, help: &'static str) -> Self {
        Self {
            code,
            severity: Severity::Error,
            offset,
            message: message.into(),
            help,
        }
    }

    fn warning(offset: usize, message: impl Into<String>, help: &'static str) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(Code::SqlSyntax, offset, message, help)
        }
    }
}

#[cfg(test)]
mod tests;
