//! The catalog of lint: what each code means, an example of it, and its cure.
//!
//! In: nothing. Out: [`Entry`]s and `docs/lint.md`. Law: every code has one entry; what `wrong` shows is found, what
//! `right` shows is not (tests below). Not: the rules.

mod entries;
#[cfg(test)]
mod tests;

use crate::finding::Code;
use std::fmt::Write;

/// How much findings of one code matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severities {
    /// Always refused.
    Error,
    /// Never refused.
    Warning,
    /// As the case may be.
    Both,
}

impl Severities {
    /// As users read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Both => "error or warning",
        }
    }
}

/// One code, explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub code: Code,
    /// How much it matters.
    pub severity: Severities,
    /// What is wrong, in half a sentence.
    pub title: &'static str,
    /// What would happen, and what to do.
    pub why: &'static str,
    /// Part of a Segment in which it is found, as YAML.
    pub wrong: &'static str,
    /// The same, as it should be.
    pub right: &'static str,
}

/// Every code, in the order of the documentation.
pub fn entries() -> &'static [Entry] {
    entries::ENTRIES
}

/// The entry of a code; capital letters do not matter.
pub fn find(name: &str) -> Option<&'static Entry> {
    entries()
        .iter()
        .find(|entry| entry.code.as_str().eq_ignore_ascii_case(name))
}

/// `docs/lint.md`.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for entry in entries() {
        let code = entry.code;
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "| [{code}](#{}) | {} | {} |",
            code.as_str().to_lowercase(),
            entry.severity.as_str(),
            entry.title
        );
    }
    for entry in entries() {
        let Entry {
            code,
            severity,
            title,
            why,
            wrong,
            right,
        } = entry;
        let _ = write!(
            text,
            "\n## {code}\n\n**{}**: {title}. {why}\n\nWrong:\n\n```yaml\n{wrong}```\n\nRight:\n\n```yaml\n{right}```\n",
            severity.as_str()
        );
    }
    text
}

const HEAD: &str = "\
<!-- Made from core/src/lint/catalog/entries.rs by: UPDATE_EXPECT=1 cargo test -p segment-core generated -->

# What lint finds

A Segment is judged in the editor (`segctl lint`), at `kubectl apply` (the hub's webhook) and by the hub itself (the condition
`Accepted`), each time by the same rules. An **error** refuses the Segment, or, where only one cluster has it, keeps that cluster as it
is. A **warning** says what is legal, but probably not meant. Each finding names the field, the byte offset in its value, what is wrong
and what to write instead. `segctl explain CODE` shows an entry of this page.

| code | severity | what is wrong |
|---|---|---|
";
