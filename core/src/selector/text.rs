//! The text form of selectors.
//!
//! In: what kubectl takes after `-l`. Out: requirements, or the offset and what is wrong there.
//! Law: the grammar of Kubernetes' `labels.Parse`, less `>` and `<`. Not: matching.

use super::{Condition, Requirement, requirement};
use std::collections::BTreeSet;

/// Byte offset and message.
type Wrong = (usize, String);

struct Reader<'a> {
    text: &'a str,
    offset: usize,
}

/// Reads the whole text.
pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, Wrong> {
    let mut reader = Reader { text, offset: 0 };
    let mut requirements = Vec::new();
    reader.skip_blanks();
    if reader.rest().is_empty() {
        return Ok(requirements);
    }
    loop {
        reader.skip_blanks();
        let begin = reader.offset;
        let (key, condition) = reader.one()?;
        requirements.push(requirement(key, condition).map_err(|message| (begin, message))?);
        reader.skip_blanks();
        if reader.rest().is_empty() {
            return Ok(requirements);
        }
        if !reader.take(",") {
            return Err(reader.expected("a comma or the end"));
        }
    }
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.offset += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.offset += token.len();
        }
        found
    }

    /// The longest text without blanks and signs of the grammar; may be empty.
    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let len = rest
            .find(|c: char| c.is_whitespace() || "=!(),<>".contains(c))
            .unwrap_or(rest.len());
        self.offset += len;
        &rest[..len]
    }

    fn expected(&self, what: &str) -> Wrong {
        (self.offset, format!("expected {what}"))
    }

    fn one(&mut self) -> Result<(&'a str, Condition), Wrong> {
        if self.take("!") {
            self.skip_blanks();
            let key = self.key()?;
            return Ok((key, Condition::DoesNotExist));
        }
        let key = self.key()?;
        self.skip_blanks();
        if self.rest().is_empty() || self.rest().starts_with(',') {
            return Ok((key, Condition::Exists));
        }
        if self.take("==") || self.take("=") {
            return Ok((key, Condition::In(self.one_value())));
        }
        if self.take("!=") {
            return Ok((key, Condition::NotIn(self.one_value())));
        }
        let begin = self.offset;
        match self.word() {
            "in" => Ok((key, Condition::In(self.values()?))),
            "notin" => Ok((key, Condition::NotIn(self.values()?))),
            _ => Err((begin, "expected =, ==, !=, in or notin".to_owned())),
        }
    }

    fn key(&mut self) -> Result<&'a str, Wrong> {
        let begin = self.offset;
        match self.word() {
            "" => Err((begin, "expected a label's key".to_owned())),
            key => Ok(key),
        }
    }

    fn one_value(&mut self) -> BTreeSet<String> {
        self.skip_blanks();
        [self.word().to_owned()].into()
    }

    fn values(&mut self) -> Result<BTreeSet<String>, Wrong> {
        self.skip_blanks();
        if !self.take("(") {
            return Err(self.expected("("));
        }
        let mut values = BTreeSet::new();
        self.skip_blanks();
        if self.take(")") {
            return Ok(values);
        }
        loop {
            self.skip_blanks();
            values.insert(self.word().to_owned());
            self.skip_blanks();
            if self.take(")") {
                return Ok(values);
            }
            if !self.take(",") {
                return Err(self.expected("a comma or )"));
            }
        }
    }
}
