//! The parser's opinion, in our words and with the user's offsets.
//!
//! In: a fragment that is closed. Out: the first complaint of sqlparser's PostgreSQL dialect, as a warning.
//! Law: bounded: so many tokens, so deep a nesting; what goes beyond is not judged. What the parser is known not to know
//! is not judged either. Not: errors; PostgreSQL has the last word.

use super::source::Source;
use super::{Fragment, SqlFinding};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// Most tokens that are parsed, blanks included. A chain of operators makes a tree that is as deep as the chain is long,
/// and a tree is dropped on the stack.
const MAX_TOKENS: usize = 2000;
/// Deepest nesting that is parsed. The parser takes up to 10 KiB of stack for a level where it is optimised, and a
/// thread may have 2 MiB.
const MAX_DEPTH: usize = 30;
/// Longest text of the user's that a message repeats, in characters.
const QUOTED_MAX: usize = 40;
/// Makes a statement of an index's definition.
const INDEX: &str = "CREATE INDEX i ON t ";
const HELP: &str = "PostgreSQL has the last word: where it runs there, ignore this";
/// Legal in PostgreSQL and unknown to the parser.
const UNKNOWN_TO_PARSER: [&str; 4] = ["ISNULL", "NOTNULL", "SYMMETRIC", "XMLSERIALIZE"];

/// What the parser does not understand, at an offset of the source's text.
pub(super) fn complaint(fragment: Fragment, source: &Source<'_>) -> Option<SqlFinding> {
    let prefix = match fragment {
        Fragment::IndexDefinition => INDEX,
        Fragment::Condition | Fragment::Expression | Fragment::Query => "",
    };
    let text = format!("{prefix}{}", source.text());
    let dialect = PostgreSqlDialect {};
    let tokens = match Tokenizer::new(&dialect, &text).tokenize_with_location() {
        Ok(tokens) if judged(&tokens) => tokens,
        Ok(_) => return None,
        Err(error) => {
            let at = Walk::new(&text)
                .to(error.location)
                .saturating_sub(prefix.len());
            return Some(SqlFinding::warning(at, lower_first(&error.message), HELP));
        }
    };
    let place = || Place::new(&text, prefix.len(), source, &tokens);
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(MAX_DEPTH)
        .with_tokens_with_locations(tokens.clone());
    let parsed = match fragment {
        Fragment::Condition | Fragment::Expression => parser.parse_expr().map(drop),
        Fragment::Query => parser.parse_query().map(drop),
        Fragment::IndexDefinition => parser.parse_statement().map(drop),
    };
    match parsed {
        Ok(()) => {
            let left = parser.peek_token();
            (left.token != Token::EOF).then(|| place().left(fragment, left.span.start))
        }
        Err(ParserError::ParserError(message) | ParserError::TokenizerError(message)) => {
            Some(place().refused(&message))
        }
        Err(ParserError::RecursionLimitExceeded) => None,
    }
}

fn judged(tokens: &[TokenWithSpan]) -> bool {
    tokens.len() <= MAX_TOKENS
        && !tokens.iter().any(|token| match &token.token {
            Token::Word(word) if word.quote_style.is_none() => UNKNOWN_TO_PARSER
                .iter()
                .any(|unknown| word.value.eq_ignore_ascii_case(unknown)),
            _ => false,
        })
}

/// The tokens that count, each with its byte offsets in the source's text.
struct Place<'a> {
    source: &'a Source<'a>,
    tokens: Vec<(Location, usize, usize)>,
}

impl<'a> Place<'a> {
    /// `prefix` bytes of what was parsed are ours.
    fn new(text: &str, prefix: usize, source: &'a Source<'a>, tokens: &[TokenWithSpan]) -> Self {
        let mut walk = Walk::new(text);
        let tokens = tokens
            .iter()
            .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
            .filter_map(|token| {
                let (from, to) = (walk.to(token.span.start), walk.to(token.span.end));
                Some((token.span.start, from.checked_sub(prefix)?, to - prefix))
            })
            .collect();
        Self { source, tokens }
    }

    /// Which token begins here; their number where the text ends here.
    fn index(&self, location: Option<Location>) -> usize {
        self.tokens
            .iter()
            .position(|(start, ..)| Some(*start) == location)
            .unwrap_or(self.tokens.len())
    }

    /// What the user wrote for a token, in quotes.
    fn quoted(&self, index: usize) -> Option<String> {
        let &(_, from, to) = self.tokens.get(index)?;
        let written = self.source.written(from, to);
        let mut short: String = written.chars().take(QUOTED_MAX).collect();
        if short.len() < written.len() {
            short.push('…');
        }
        Some(format!("\"{short}\""))
    }

    /// ` after "and", found the end`.
    fn around(&self, index: usize) -> String {
        let after = index
            .checked_sub(1)
            .and_then(|before| self.quoted(before))
            .map(|before| format!(" after {before}"))
            .unwrap_or_default();
        let found = self.quoted(index).unwrap_or_else(|| "the end".to_owned());
        format!("{after}, found {found}")
    }

    fn finding(&self, index: usize, message: String) -> SqlFinding {
        let end = || self.source.text().trim_end().len();
        let offset = self
            .tokens
            .get(index)
            .map_or_else(end, |&(_, from, _)| from);
        SqlFinding::warning(offset, message, HELP)
    }

    /// Something is left behind the fragment.
    fn left(&self, fragment: Fragment, location: Location) -> SqlFinding {
        let what = match fragment {
            Fragment::Condition => "condition",
            Fragment::Expression => "expression",
            Fragment::Query => "query",
            Fragment::IndexDefinition => "index definition",
        };
        let index = self.index(Some(location));
        self.finding(
            index,
            format!("expected the end of the {what}{}", self.around(index)),
        )
    }

    fn refused(&self, message: &str) -> SqlFinding {
        let (message, location) = split_location(message);
        let index = self.index(location);
        let expected = message
            .strip_prefix("Expected: ")
            .and_then(|rest| rest.split_once(", found: "))
            .map(|(expected, _)| expected);
        let message = match expected {
            Some(expected) if expected.bytes().all(|byte| byte.is_ascii_punctuation()) => {
                format!("expected \"{expected}\"{}", self.around(index))
            }
            Some(expected) => format!("expected {}{}", lower_first(expected), self.around(index)),
            None => lower_first(message),
        };
        self.finding(index, message)
    }
}

/// A parser's message ends in ` at Line: 1, Column: 5`, but for the end of the text.
fn split_location(message: &str) -> (&str, Option<Location>) {
    let parsed = message.rsplit_once(" at Line: ").and_then(|(head, tail)| {
        let (line, column) = tail.split_once(", Column: ")?;
        Some((
            head,
            Location::new(line.parse().ok()?, column.parse().ok()?),
        ))
    });
    match parsed {
        Some((head, location)) => (head, Some(location)),
        None => (message, None),
    }
}

/// A walk through a text that knows lines and columns as the tokenizer counts them: from 1, columns in characters.
struct Walk<'a> {
    chars: std::iter::Peekable<std::str::CharIndices<'a>>,
    len: usize,
    line: u64,
    column: u64,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            chars: text.char_indices().peekable(),
            len: text.len(),
            line: 1,
            column: 1,
        }
    }

    /// Goes forward to a location; its byte offset.
    fn to(&mut self, location: Location) -> usize {
        while (self.line, self.column) < (location.line, location.column) {
            match self.chars.next() {
                Some((_, '\n')) => {
                    self.line += 1;
                    self.column = 1;
                }
                Some(_) => self.column += 1,
                None => break,
            }
        }
        self.chars.peek().map_or(self.len, |(at, _)| *at)
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        // SELECT stays as it is.
        Some(first) if !chars.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}
