//! References to columns that the segment does not create.
//!
//! Only where every column is known, and only what surely is a column's name: the whole of an index's member, and
//! what stands in double quotes in a condition.

use super::Usable;
use crate::finding::Code;
use crate::lint::grammar::{Span, unquoted};
use crate::lint::report::{Report, shown};
use crate::lint::script::{Kind, Script};
use crate::segment::rules::Seen;
use std::collections::HashSet;

/// Columns of a profile that a pivot keeps beside its paths.
const PROFILE: [&str; 8] = [
    "correlation_id",
    "created",
    "id",
    "inserted",
    "pit",
    "profile_id",
    "profile_type",
    "updated",
];

/// The columns of a segment.
struct Columns<'a> {
    kind: Kind,
    known: HashSet<&'a str>,
    lower: HashSet<String>,
}

impl Columns<'_> {
    /// Names in quotes are exact, others are folded.
    fn has(&self, name: &str) -> bool {
        let exact = unquoted(name);
        if self.known.contains(exact) || exact == "correlation_id" {
            return true;
        }
        let folded = exact.to_lowercase();
        (name == exact && self.lower.contains(&folded))
            || (self.kind == Kind::Pivot && PROFILE.contains(&folded.as_str()))
    }
}

pub(super) fn check(script: &Script<'_>, usable: Usable, report: &mut Report<'_>) {
    let Some(columns) = columns(script) else {
        return;
    };
    if usable.indexes
        && let Some(list) = &script.indexes
    {
        for item in list.items.iter().filter(|item| item.name.is_some()) {
            for name in indexed(item.body) {
                refer(&columns, "TARGET_SEGMENT_INDEXES", name, report);
            }
        }
    }
    if usable.views
        && let Some(list) = &script.views
    {
        for item in list.items.iter().filter(|item| item.name.is_some()) {
            for name in quoted(item.body) {
                refer(&columns, "TARGET_SEGMENT_VIEWS", name, report);
            }
        }
    }
    if let Seen::Text(text) = script.own("PIVOT_SEGMENT_WHERE_CLAUSE")
        && columns.kind == Kind::Pivot
    {
        for name in quoted(Span { text, offset: 0 }) {
            refer(&columns, "PIVOT_SEGMENT_WHERE_CLAUSE", name, report);
        }
    }
    if let Seen::Text(text) = script.own("CITUS_DIST_COL")
        && script
            .text("DB_TYPE")
            .is_some_and(|kind| kind != "postgres")
        && !text.trim().is_empty()
        && !script.is_view()
    {
        let name = Span {
            text: text.trim(),
            offset: text.len() - text.trim_start().len(),
        };
        refer(&columns, "CITUS_DIST_COL", name, report);
    }
}

fn columns<'a>(script: &Script<'a>) -> Option<Columns<'a>> {
    let kind = script.kind?;
    let mut known: HashSet<&'a str> = HashSet::new();
    match kind {
        Kind::Pivot => {
            let (paths, aliases) = (script.paths.as_ref()?, script.aliases.as_ref()?);
            let names = if aliases.members.is_empty() {
                paths
            } else {
                aliases
            };
            known.extend(names.members.iter().map(|name| unquoted(name.text)));
        }
        Kind::Generic => {
            let (columns, transformations) =
                (script.columns.as_ref()?, script.transformations.as_ref()?);
            known.extend(columns.members.iter().map(|name| unquoted(name.text)));
            // A name that is missing or left out by a wrong separator may be any.
            for item in &transformations.items {
                known.insert(unquoted(item.name?.text));
            }
            if columns.members.iter().any(|name| name.text == "*") {
                return None;
            }
        }
        Kind::Flexible => return None,
    }
    let lower = known.iter().map(|name| name.to_lowercase()).collect();
    (!known.is_empty()).then_some(Columns { kind, known, lower })
}

fn refer(columns: &Columns<'_>, variable: &str, name: Span<'_>, report: &mut Report<'_>) {
    if !columns.has(name.text) {
        report.warning(
            Code::UnknownColumn,
            variable,
            name.offset,
            format!(
                "{} is not a column that the segment creates",
                shown(unquoted(name.text))
            ),
            match columns.kind {
                Kind::Pivot => "its columns are the paths (or their aliases), in double quotes",
                _ => {
                    "its columns are those of GENERIC_COLUMNS and the names in GENERIC_TRANSFORMATIONS"
                }
            },
        );
    }
}

/// Members of an index's column list that are nothing but a name.
fn indexed(body: Span<'_>) -> Vec<Span<'_>> {
    let Some(open) = body.text.find('(') else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut quote = false;
    let mut start = open + 1;
    for (at, byte) in body.text.bytes().enumerate().skip(open) {
        match byte {
            b'"' => quote = !quote,
            _ if quote => {}
            b'(' => depth += 1,
            b')' | b',' if depth == 1 => {
                found.extend(plain(body, start, at));
                start = at + 1;
                if byte == b')' {
                    break;
                }
            }
            b')' => depth -= 1,
            _ => {}
        }
    }
    found
}

/// The name at the beginning of a list's member, where only an order stands behind it.
fn plain(body: Span<'_>, start: usize, end: usize) -> Option<Span<'_>> {
    let member = &body.text[start..end];
    let text = member.trim();
    let offset = body.offset + start + (member.len() - member.trim_start().len());
    let (name, rest) = if let Some(inside) = text.strip_prefix('"') {
        let close = inside.find('"')? + 2;
        (&text[..close], &text[close..])
    } else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        (&text[..end], &text[end..])
    };
    let is_order = rest.split_ascii_whitespace().all(|word| {
        ["asc", "desc", "nulls", "first", "last"]
            .iter()
            .any(|order| order.eq_ignore_ascii_case(word))
            || word.ends_with("_ops")
    });
    let is_word = name.starts_with('"')
        || name
            .chars()
            .next()
            .is_some_and(|c| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_order && is_word).then_some(Span { text: name, offset })
}

/// Names in double quotes, those inside texts left out.
fn quoted(text: Span<'_>) -> Vec<Span<'_>> {
    let mut found = Vec::new();
    let mut quote = None;
    for (at, byte) in text.text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some((byte, at)),
            (Some((b'"', start)), b'"') => {
                found.push(Span {
                    text: &text.text[start..=at],
                    offset: text.offset + start,
                });
                quote = None;
            }
            (Some((open, _)), _) if open == byte => quote = None,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'a>(spans: &[Span<'a>]) -> Vec<(&'a str, usize)> {
        spans.iter().map(|span| (span.text, span.offset)).collect()
    }

    #[test]
    fn only_plain_names_of_an_index_are_looked_at() {
        let body = |text| Span { text, offset: 3 };
        assert_eq!(
            texts(&indexed(body(
                "USING btree (shop, \"/a,b\" desc, lower(topic), (a || b), n text_pattern_ops) where x"
            ))),
            [("shop", 16), ("\"/a,b\"", 22), ("n", 59)]
        );
        assert_eq!(indexed(body("shop")), []);
        assert_eq!(indexed(body("((")), []);
        assert_eq!(indexed(body(")")), []);
    }

    #[test]
    fn names_in_quotes_are_found_outside_of_texts() {
        let text = Span {
            text: "\"/a\" = 'x\"y\"' and \"b",
            offset: 0,
        };
        assert_eq!(texts(&quoted(text)), [("\"/a\"", 0)]);
    }
}
