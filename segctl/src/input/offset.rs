//! A byte of a value, found again in its source: behind quotes, escapes, indentation and folded lines.
//!
//! In: the source of a scalar, its style, its value, a byte of the value. Out: the byte of the source. Law: never beyond
//! the source, and always at a character (test `every_character_is_found`). Not: lines and columns.

use granit_parser::ScalarStyle;

/// The byte of the source that stands for a byte of the value; `None` where they can't be matched.
pub(super) fn in_source(
    source: &str,
    style: ScalarStyle,
    value: &str,
    offset: usize,
) -> Option<usize> {
    let offset = (0..=offset.min(value.len()))
        .rev()
        .find(|&at| value.is_char_boundary(at))?;
    let mut at = content(source, style);
    for wanted in value[..offset].chars() {
        at = after(source, style, at, wanted)?;
    }
    // The next character stands behind the indentation of its line.
    if let Some(next) = value[offset..]
        .chars()
        .next()
        .filter(|c| !c.is_whitespace())
    {
        while let Some(c) = source[at..].chars().next() {
            let (decoded, length) = decode(&source[at..], style, c);
            if decoded.is_none() || (c.is_whitespace() && c != next) {
                at += length;
            } else {
                break;
            }
        }
    }
    Some(at)
}

/// Where the content begins: after a quote, or after the line of `|` or `>`.
fn content(source: &str, style: ScalarStyle) -> usize {
    match style {
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
            source.chars().next().map_or(0, char::len_utf8)
        }
        ScalarStyle::Literal | ScalarStyle::Folded if source.starts_with(['|', '>']) => {
            source.find('\n').map_or(source.len(), |at| at + 1)
        }
        _ => 0,
    }
}

/// The place after the character `wanted`.
fn after(source: &str, style: ScalarStyle, mut at: usize, wanted: char) -> Option<usize> {
    loop {
        let Some(c) = source[at..].chars().next() else {
            // A last line break may be YAML's own.
            return wanted.is_whitespace().then_some(at);
        };
        let (decoded, length) = decode(&source[at..], style, c);
        match decoded {
            Some(decoded) if decoded == wanted => return Some(at + length),
            None => at += length,
            Some(_) if wanted.is_whitespace() => {
                // A folded line: all white space of the source is one character of the value, and a second one of the
                // value is none of the source.
                return Some(at + source[at..].len() - source[at..].trim_start().len());
            }
            Some(_) if c.is_whitespace() => at += length,
            Some(_) => return None,
        }
    }
}

/// The character that the source has here, if any, and its length.
fn decode(rest: &str, style: ScalarStyle, first: char) -> (Option<char>, usize) {
    match style {
        ScalarStyle::SingleQuoted if rest.starts_with("''") => (Some('\''), 2),
        ScalarStyle::DoubleQuoted if first == '\\' => escape(rest),
        _ => (Some(first), first.len_utf8()),
    }
}

/// An escape of a double-quoted scalar; an escaped line break is no character.
fn escape(rest: &str) -> (Option<char>, usize) {
    let Some(kind) = rest[1..].chars().next() else {
        return (Some('\\'), 1);
    };
    let length = 1 + kind.len_utf8();
    let hex = |digits: usize| {
        let code = rest
            .get(2..2 + digits)
            .and_then(|text| u32::from_str_radix(text, 16).ok());
        match code {
            // The first half of a pair, as JSON writes characters beyond the first 65,536.
            Some(high @ 0xd800..=0xdbff) => {
                let low = rest
                    .get(8..12)
                    .and_then(|text| u32::from_str_radix(text, 16).ok());
                let both = low.and_then(|low| {
                    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low.checked_sub(0xdc00)?)
                });
                (
                    both.or(Some('\u{fffd}')),
                    if both.is_some() { 12 } else { 6 },
                )
            }
            Some(code) => (char::from_u32(code).or(Some('\u{fffd}')), 2 + digits),
            None => (Some('\u{fffd}'), length),
        }
    };
    match kind {
        '\r' | '\n' => (None, length),
        '0' => (Some('\0'), length),
        'a' => (Some('\u{7}'), length),
        'b' => (Some('\u{8}'), length),
        't' => (Some('\t'), length),
        'n' => (Some('\n'), length),
        'v' => (Some('\u{b}'), length),
        'f' => (Some('\u{c}'), length),
        'r' => (Some('\r'), length),
        'e' => (Some('\u{1b}'), length),
        'N' => (Some('\u{85}'), length),
        '_' => (Some('\u{a0}'), length),
        'L' => (Some('\u{2028}'), length),
        'P' => (Some('\u{2029}'), length),
        'x' => hex(2),
        'u' => hex(4),
        'U' => hex(8),
        other => (Some(other), length),
    }
}
