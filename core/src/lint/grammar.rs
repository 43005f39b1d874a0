//! The grammar of list-valued variables: members and their parts, each with its place.
//!
//! In: a value and its separators. Out: spans with byte offsets into the value, white space trimmed.
//! Law: offsets are char boundaries; linear in the value, whatever the separators.
//! Not: whether what stands there is right (`rules`).
//!
//! The script splits blindly: a separator inside a quoted text or inside brackets ends the member there. Here such a
//! member is kept whole, as its author meant it, and the place is noted.

/// A part of a value, trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span<'a> {
    /// What stands there.
    pub text: &'a str,
    /// Byte offset in the variable's value.
    pub offset: usize,
}

/// The members of a list.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Members<'a> {
    /// Those with something in them, in order.
    pub members: Vec<Span<'a>>,
    /// Offsets of those with nothing in them.
    pub empty: Vec<usize>,
    /// Offsets of separators inside a member, the first one of each such member.
    pub inside: Vec<usize>,
}

/// A name and what it stands for: an index or a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition<'a> {
    /// All of it.
    pub whole: Span<'a>,
    /// What stands before the separator; `None` without a separator.
    pub name: Option<Span<'a>>,
    /// What stands behind it; all of it without a separator.
    pub body: Span<'a>,
}

/// A column, the SQL that makes it, and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transformation<'a> {
    /// All of it.
    pub whole: Span<'a>,
    /// The column; `None` without a definition separator.
    pub name: Option<Span<'a>>,
    /// The SQL.
    pub sql: Span<'a>,
    /// The result type; `None` without a type separator.
    pub result: Option<Span<'a>>,
}

impl<'a> Span<'a> {
    /// `value[start..end]` without white space around it.
    fn trimmed(value: &'a str, start: usize, end: usize) -> Self {
        let text = &value[start..end];
        let offset = start + (text.len() - text.trim_start().len());
        Self {
            text: text.trim(),
            offset,
        }
    }

    /// A part of this span, by offsets into its text.
    fn part(&self, start: usize, end: usize) -> Self {
        let part = Self::trimmed(self.text, start, end);
        Self {
            offset: self.offset + part.offset,
            ..part
        }
    }

    /// Offset of the first byte behind it.
    pub fn end(&self) -> usize {
        self.offset + self.text.len()
    }
}

/// Splits a list of names at commas, as `PIVOT_PATHS` and its like have it.
pub fn names(value: &str) -> Members<'_> {
    let mut list = Members::default();
    if value.trim().is_empty() {
        return list;
    }
    let mut start = 0;
    for end in value
        .match_indices(',')
        .map(|(at, _)| at)
        .chain([value.len()])
    {
        list.take(Span::trimmed(value, start, end));
        start = end + 1;
    }
    list
}

/// Splits a list of definitions. `definition` stands between a name and its definition; `result`, where the list has
/// such, between SQL and type. A list that can't be split (an empty separator) is one member.
pub fn members<'a>(
    value: &'a str,
    separator: &str,
    definition: &str,
    result: Option<&str>,
) -> Members<'a> {
    let mut list = Members::default();
    if value.trim().is_empty() {
        return list;
    }
    if separator.is_empty() {
        list.members.push(Span::trimmed(value, 0, value.len()));
        return list;
    }
    let cuts: Vec<usize> = value.match_indices(separator).map(|(at, _)| at).collect();
    let kinds = kinds(value, separator, &cuts, definition, result);
    let mut start = 0;
    let mut noted = false;
    for (&at, kind) in cuts.iter().zip(&kinds) {
        match kind {
            Cut::Between => {
                list.take(Span::trimmed(value, start, at));
                start = at + separator.len();
                noted = false;
            }
            Cut::Inside if !noted => {
                list.inside.push(at);
                noted = true;
            }
            Cut::Inside => {}
        }
    }
    list.take(Span::trimmed(value, start, value.len()));
    list
}

/// What a separator does where it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// It ends a member.
    Between,
    /// It is part of a member, but the script ends the member there.
    Inside,
}

fn kinds(
    value: &str,
    separator: &str,
    cuts: &[usize],
    definition: &str,
    result: Option<&str>,
) -> Vec<Cut> {
    let mut nesting = Nesting::default();
    let mut kinds = Vec::with_capacity(cuts.len());
    let mut behind = 0;
    for &at in cuts {
        nesting.read(&value[behind..at]);
        kinds.push(if nesting.is_open() {
            Cut::Inside
        } else {
            Cut::Between
        });
        behind = at + separator.len();
    }
    nesting.read(&value[behind.min(value.len())..]);
    if nesting.is_open() || nesting.broken {
        // What is open at the end says nothing of the separators before: as the script has it.
        kinds.fill(Cut::Between);
    }
    if separator == "|" {
        concatenations(value, cuts, &mut kinds, definition, result);
    }
    kinds
}

/// `||` joins texts in SQL; only between two whole definitions is it a member with nothing in it.
fn concatenations(
    value: &str,
    cuts: &[usize],
    kinds: &mut [Cut],
    definition: &str,
    result: Option<&str>,
) {
    let piece = |from: usize, to: usize| &value[from..to];
    let mut index = 0;
    while index + 1 < cuts.len() {
        let at = cuts[index];
        if cuts[index + 1] != at + 1 {
            index += 1;
            continue;
        }
        let left = piece(index.checked_sub(1).map_or(0, |i| cuts[i] + 1), at);
        let right = piece(at + 2, cuts.get(index + 2).copied().unwrap_or(value.len()));
        let left_is_whole =
            left.trim().is_empty() || result.is_none_or(|result| left.contains(result));
        let whole = left_is_whole && (right.trim().is_empty() || right.contains(definition));
        if !whole {
            kinds[index] = Cut::Inside;
            kinds[index + 1] = Cut::Inside;
        }
        index += 2;
    }
}

/// Open quotes and brackets.
#[derive(Default)]
struct Nesting {
    quote: Option<u8>,
    depth: usize,
    /// More was closed than was open.
    broken: bool,
}

impl Nesting {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            match (self.quote, byte) {
                (Some(quote), _) if quote == byte => self.quote = None,
                (None, b'\'' | b'"') => self.quote = Some(byte),
                (None, b'(' | b'[') => self.depth += 1,
                (None, b')' | b']') => match self.depth.checked_sub(1) {
                    Some(depth) => self.depth = depth,
                    None => self.broken = true,
                },
                _ => {}
            }
        }
    }

    fn is_open(&self) -> bool {
        self.quote.is_some() || self.depth > 0
    }
}

impl<'a> Members<'a> {
    fn take(&mut self, member: Span<'a>) {
        if member.text.is_empty() {
            self.empty.push(member.offset);
        } else {
            self.members.push(member);
        }
    }
}

/// Splits an index or a view at the first separator.
pub fn definition<'a>(member: Span<'a>, separator: &str) -> Definition<'a> {
    match find(member.text, separator) {
        Some(at) => Definition {
            whole: member,
            name: Some(member.part(0, at)),
            body: member.part(at + separator.len(), member.text.len()),
        },
        None => Definition {
            whole: member,
            name: None,
            body: member,
        },
    }
}

/// Splits a transformation: its name ends at the first definition separator, its type begins behind the last type
/// separator, so that casts inside the SQL stay.
pub fn transformation<'a>(member: Span<'a>, definition: &str, result: &str) -> Transformation<'a> {
    let Definition { whole, name, body } = self::definition(member, definition);
    let at = (!result.is_empty())
        .then(|| body.text.rfind(result))
        .flatten();
    match at {
        Some(at) => Transformation {
            whole,
            name,
            sql: body.part(0, at),
            result: Some(body.part(at + result.len(), body.text.len())),
        },
        None => Transformation {
            whole,
            name,
            sql: body,
            result: None,
        },
    }
}

fn find(text: &str, separator: &str) -> Option<usize> {
    if separator.is_empty() {
        return None;
    }
    text.find(separator)
}

/// A name without the quotes that stand around it.
pub fn unquoted(name: &str) -> &str {
    name.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(name)
}

/// Whether a text can be the name of an index, a view or a column: no quotes inside, no brackets, no operators.
pub fn is_name(text: &str) -> bool {
    let inner = unquoted(text);
    !inner.is_empty()
        && !inner.contains(|c: char| {
            matches!(
                c,
                '\'' | '"' | '(' | ')' | '[' | ']' | '<' | '>' | '!' | ';' | '='
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'a>(list: &'a Members<'a>) -> Vec<(&'a str, usize)> {
        list.members.iter().map(|m| (m.text, m.offset)).collect()
    }

    #[test]
    fn names_are_split_at_commas_and_trimmed() {
        let list = names(" /a, /b ,,c,");
        assert_eq!(texts(&list), [("/a", 1), ("/b", 5), ("c", 10)]);
        assert_eq!(list.empty, [9, 12]);
        assert_eq!(names(" \n "), Members::default());
    }

    #[test]
    fn members_are_split_where_the_script_would_and_the_author_meant() {
        #[rustfmt::skip]
        #[allow(clippy::type_complexity, reason = "a table")]
        let cases: &[(&str, &str, &[&str], &[usize], &[usize])] = &[
            ("a=x::int | b=y::text", "|", &["a=x::int", "b=y::text"], &[], &[]),
            ("a=x::int|", "|", &["a=x::int"], &[9], &[]),
            ("a=x::int||b=y::int", "|", &["a=x::int", "b=y::int"], &[9], &[]),
            ("a=x||y::text|b=z::int", "|", &["a=x||y::text", "b=z::int"], &[], &[3]),
            ("a=x::text||y::text", "|", &["a=x::text||y::text"], &[], &[9]),
            ("a=f('|')::text|b=z::int", "|", &["a=f('|')::text", "b=z::int"], &[], &[5]),
            ("a=f(1;2;3)::int;b=z::int", ";", &["a=f(1;2;3)::int", "b=z::int"], &[], &[5]),
            // What is not closed says nothing.
            ("a=f('::int|b=z::int", "|", &["a=f('::int", "b=z::int"], &[], &[]),
            ("a=x)::int|b=(z::int", "|", &["a=x)::int", "b=(z::int"], &[], &[]),
            ("a=x::int;;b=y::int", ";;", &["a=x::int", "b=y::int"], &[], &[]),
            ("a=x::int", "", &["a=x::int"], &[], &[]),
            ("  ", "|", &[], &[], &[]),
        ];
        for (value, separator, expected, empty, inside) in cases {
            let list = members(value, separator, "=", Some("::"));
            let found: Vec<&str> = list.members.iter().map(|m| m.text).collect();
            assert_eq!(
                (&found[..], &list.empty[..], &list.inside[..]),
                (*expected, *empty, *inside),
                "{value:?} at {separator:?}"
            );
        }
    }

    #[test]
    fn a_transformation_keeps_the_casts_inside_its_sql() {
        let member = Span {
            text: "shop = message->'shop'::jsonb #>>'{}' = 'x' :: text",
            offset: 7,
        };
        let parts = transformation(member, "=", "::");
        assert_eq!(
            parts.name,
            Some(Span {
                text: "shop",
                offset: 7
            })
        );
        assert_eq!(parts.sql.text, "message->'shop'::jsonb #>>'{}' = 'x'");
        assert_eq!(parts.sql.offset, 14);
        assert_eq!(
            parts.result,
            Some(Span {
                text: "text",
                offset: 7 + 47
            })
        );
        let nothing = transformation(
            Span {
                text: "x",
                offset: 0,
            },
            "=",
            "::",
        );
        assert_eq!((nothing.name, nothing.result), (None, None));
        let no_separator = transformation(member, "", "");
        assert_eq!((no_separator.name, no_separator.result), (None, None));
    }

    #[test]
    fn an_index_is_split_at_the_first_separator() {
        let member = Span {
            text: "by_country= USING hash (\"/country\")",
            offset: 0,
        };
        let index = definition(member, "=");
        assert_eq!(index.name.map(|name| name.text), Some("by_country"));
        assert_eq!(
            index.body,
            Span {
                text: "USING hash (\"/country\")",
                offset: 12
            }
        );
    }

    #[test]
    fn a_name_has_no_operators() {
        for (text, expected) in [
            ("by_topic", true),
            ("\"By topic\"", true),
            ("(shop) where a", false),
            ("a >", false),
            ("", false),
            ("\"\"", false),
        ] {
            assert_eq!(is_name(text), expected, "{text:?}");
        }
    }
}
