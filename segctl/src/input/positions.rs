//! Where a field stands in its file.
//!
//! In: a path as findings have it, `spec.overrides[0].env.TYPE`. Out: line and column from 1, and the line's text.
//! Law: a path that is not there is answered with the nearest field around it. Not: what is wrong with the field.

use super::offset;
use super::tree::{Content, Mark, Node};
use std::sync::Arc;

/// How many ways to read a path are tried: keys may hold dots.
const MAX_STEPS: usize = 1_000;

/// The places of one document.
#[derive(Clone, Debug)]
pub(crate) struct Positions {
    root: Arc<Node>,
    text: Arc<str>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// How many characters are meant, at least 1.
    pub(crate) width: usize,
    /// Whether the field itself is there, and not only one around it.
    pub(crate) exact: bool,
    /// The byte in the file.
    byte: usize,
}

#[cfg(test)]
impl Place {
    /// A place without a file.
    pub(crate) fn new(line: usize, column: usize, width: usize) -> Self {
        Self {
            line,
            column,
            width,
            exact: true,
            byte: 0,
        }
    }
}

/// What a path led to.
struct Found<'a> {
    key: Option<Mark>,
    node: &'a Arc<Node>,
    exact: bool,
}

impl Positions {
    pub(super) fn new(root: Arc<Node>, text: Arc<str>) -> Self {
        Self { root, text }
    }

    /// Line and column, from 1, of a field's value.
    #[allow(dead_code, reason = "for commands that print no excerpt")]
    pub(crate) fn of(&self, path: &str) -> Option<(usize, usize)> {
        let found = self.find(path);
        found.exact.then(|| {
            let start = found.node.start;
            (start.line as usize + 1, start.column as usize + 1)
        })
    }

    /// The text of a value as it was written, where it is one on one line without quotes: `True`, `5432`, `0.7`.
    #[allow(dead_code, reason = "for imports, where a number stands for its text")]
    pub(crate) fn written(&self, path: &str) -> Option<&str> {
        let found = self.find(path);
        match &found.node.content {
            Content::Scalar { end, .. } if found.exact => self
                .text
                .get(found.node.start.byte as usize..*end as usize)
                .map(str::trim),
            _ => None,
        }
    }

    /// The place of a field's value, or with `key` that of its name; that of the nearest field around it where it is
    /// not there. With an `offset`, the place of that byte of the value.
    pub(crate) fn place(&self, path: &str, key: bool, offset: Option<usize>) -> Place {
        let found = self.find(path);
        let start = found.node.start;
        let at_key = found.key.filter(|_| key || !found.exact);
        if let Some(mark) = at_key {
            return self.at(mark, mark.byte as usize, self.word(mark), found.exact);
        }
        let Content::Scalar { value, style, end } = &found.node.content else {
            let mark = found.key.unwrap_or(start);
            return self.at(mark, mark.byte as usize, self.word(mark), found.exact);
        };
        let (from, to) = (start.byte as usize, *end as usize);
        let source = self.text.get(from..to).unwrap_or_default();
        let inside = offset
            .filter(|_| found.exact)
            .and_then(|offset| offset::in_source(source, *style, value.as_str()?, offset));
        if let Some(inside) = inside {
            return self.at(start, from + inside, 1, true);
        }
        let first = source.lines().next().unwrap_or_default().trim_end();
        self.at(start, from, first.chars().count(), found.exact)
    }

    /// The whole line of a place.
    pub(crate) fn line(&self, place: &Place) -> &str {
        let begin = self.text[..place.byte].rfind('\n').map_or(0, |at| at + 1);
        let rest = &self.text[begin..];
        rest.lines().next().unwrap_or_default()
    }

    /// A place `byte` at or after `from`.
    fn at(&self, from: Mark, byte: usize, width: usize, exact: bool) -> Place {
        let byte = byte.min(self.text.len());
        let between = self.text.get(from.byte as usize..byte).unwrap_or_default();
        let lines = between.matches('\n').count();
        let column = match between.rfind('\n') {
            Some(at) => between[at + 1..].chars().count(),
            None => from.column as usize + between.chars().count(),
        };
        Place {
            line: from.line as usize + lines + 1,
            column: column + 1,
            width: width.max(1),
            exact,
            byte,
        }
    }

    /// Characters up to the end of a key.
    fn word(&self, mark: Mark) -> usize {
        let rest = self.text.get(mark.byte as usize..).unwrap_or_default();
        rest.chars()
            .take_while(|c| !c.is_whitespace() && *c != ':' && *c != ',')
            .take(200)
            .count()
    }

    fn find(&self, path: &str) -> Found<'_> {
        let mut best = Best {
            found: Found {
                key: None,
                node: &self.root,
                exact: path.is_empty(),
            },
            depth: 0,
            steps: 0,
        };
        best.walk(&self.root, None, path, 0);
        best.found
    }
}

struct Best<'a> {
    found: Found<'a>,
    depth: usize,
    steps: usize,
}

impl<'a> Best<'a> {
    /// Follows a path; true where it ends at a value. What is left over is tried with all keys that may be meant.
    fn walk(&mut self, node: &'a Arc<Node>, key: Option<Mark>, path: &str, depth: usize) -> bool {
        self.steps += 1;
        let exact = path.is_empty();
        if exact || depth > self.depth {
            self.found = Found { key, node, exact };
            self.depth = depth;
        }
        if exact || self.steps > MAX_STEPS {
            return exact;
        }
        match &node.content {
            Content::List(items) => {
                let Some((index, rest)) =
                    path.strip_prefix('[').and_then(|path| path.split_once(']'))
                else {
                    return false;
                };
                let item = index.parse().ok().and_then(|index: usize| items.get(index));
                // An item has no key: its own beginning is the nearest name.
                item.is_some_and(|item| {
                    self.walk(
                        item,
                        Some(item.start),
                        rest.strip_prefix('.').unwrap_or(rest),
                        depth + 1,
                    )
                })
            }
            Content::Map(entries) => {
                let ends = path.match_indices(['.', '[']).map(|(at, _)| at);
                for end in ends.chain([path.len()]) {
                    let Some((mark, value)) = entries.get(&path[..end]) else {
                        continue;
                    };
                    let rest = &path[end..];
                    let rest = rest.strip_prefix('.').unwrap_or(rest);
                    if self.walk(value, Some(*mark), rest, depth + 1) {
                        return true;
                    }
                    if self.steps > MAX_STEPS {
                        return false;
                    }
                }
                false
            }
            Content::Scalar { .. } => false,
        }
    }
}
