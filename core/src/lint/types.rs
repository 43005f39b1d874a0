//! Types of `PostgreSQL`, as a transformation may name them.
//!
//! In: what stands behind the last type separator. Out: whether it is a type. Law: a type that `PostgreSQL` or a common
//! extension has is never doubted; arrays, modifiers and schemas are (table test).
//! Not: types that users made: what has a schema, or stands in quotes, is believed.

/// What a text is, as a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// One that is known, or that has to be believed.
    Type,
    /// It has the form of a type, but is none that is known; with the one that was probably meant.
    Unknown(Option<&'static str>),
    /// No type has this form.
    NotAType,
}

#[rustfmt::skip]
/// Types of `PostgreSQL` 9 to 17 and of extensions in wide use, sorted.
const KNOWN: [&str; 79] = [
    "bigint", "bit", "bit varying", "bool", "boolean", "box", "bpchar", "bytea", "char",
    "character", "character varying", "cidr", "circle", "citext", "date", "daterange",
    "datemultirange", "dec", "decimal", "double precision", "float", "float4", "float8",
    "geography", "geometry", "hll", "hstore", "inet", "int", "int2", "int4", "int4range", "int8",
    "int8range", "integer", "interval", "json", "jsonb", "jsonpath", "line", "lquery", "lseg",
    "ltree", "macaddr", "macaddr8", "money", "name", "national character",
    "national character varying", "nchar", "numeric", "numrange", "oid", "path", "pg_lsn",
    "point", "polygon", "real", "regclass", "regtype", "smallint", "text", "time",
    "time with time zone", "time without time zone", "timestamp", "timestamp with time zone",
    "timestamp without time zone", "timestamptz", "timetz", "tsquery", "tsrange", "tstzrange",
    "tsvector", "uuid", "varbit", "varchar", "vector", "xml",
];

/// Names from other languages and databases, with what `PostgreSQL` calls them.
const MEANT: [(&str, &str); 24] = [
    ("array", "text[]"),
    ("bigserial", "bigint"),
    ("blob", "bytea"),
    ("byte", "smallint"),
    ("datetime", "timestamp"),
    ("dict", "jsonb"),
    ("double", "double precision"),
    ("float16", "real"),
    ("float32", "real"),
    ("float64", "double precision"),
    ("int16", "smallint"),
    ("int32", "integer"),
    ("int64", "bigint"),
    ("long", "bigint"),
    ("map", "jsonb"),
    ("nvarchar", "varchar"),
    ("number", "numeric"),
    ("object", "jsonb"),
    ("serial", "integer"),
    ("short", "smallint"),
    ("str", "text"),
    ("string", "text"),
    ("tinyint", "smallint"),
    ("varchar2", "varchar"),
];

/// Longest text that is looked at: no type is longer than an identifier, a schema and a modifier.
const MAX_BYTES: usize = 256;

/// Judges what stands in a type's place.
pub(super) fn judge(text: &str) -> Judged {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_BYTES {
        return Judged::NotAType;
    }
    if text.starts_with('"') || text.contains("\".") || text.contains(".\"") {
        let quotes = text.bytes().filter(|&b| b == b'"').count();
        return if quotes % 2 == 0 && !text.contains([';', '\'']) {
            Judged::Type
        } else {
            Judged::NotAType
        };
    }
    let lower = text.to_ascii_lowercase();
    let Some(base) = without_modifiers(&lower) else {
        return Judged::NotAType;
    };
    let base = match base.split_once('.') {
        Some(("pg_catalog", base)) => base.to_owned(),
        Some((schema, base)) if is_word(schema) && is_word(base) => return Judged::Type,
        Some(_) => return Judged::NotAType,
        None => base,
    };
    if !base.split(' ').all(is_word) {
        return Judged::NotAType;
    }
    if KNOWN.contains(&base.as_str()) || is_interval(&base) {
        return Judged::Type;
    }
    if let Some((_, meant)) = MEANT.iter().find(|(name, _)| *name == base) {
        return Judged::Unknown(Some(meant));
    }
    if base.contains(' ') {
        return Judged::NotAType;
    }
    let near = KNOWN.iter().copied().find(|known| is_near(known, &base));
    Judged::Unknown(near)
}

/// The type's name without `(…)` and `[…]`, with single blanks; `None` where they are out of place.
fn without_modifiers(text: &str) -> Option<String> {
    let mut rest = text.trim_end();
    loop {
        if let Some(before) = rest.strip_suffix(']') {
            let (before, bounds) = before.rsplit_once('[')?;
            if !bounds.trim().bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            rest = before.trim_end();
        } else if let Some(before) = rest.strip_suffix(" array") {
            rest = before.trim_end();
        } else {
            break;
        }
    }
    let name = match rest.split_once('(') {
        None => rest.to_owned(),
        Some((before, behind)) => {
            let (modifier, behind) = behind.split_once(')')?;
            let fits = !modifier.trim().is_empty()
                && modifier
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b',' | b' ' | b'-' | b'_'));
            if !fits {
                return None;
            }
            format!("{before} {behind}")
        }
    };
    let words: Vec<&str> = name.split_ascii_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// `interval day to second` and its like.
fn is_interval(base: &str) -> bool {
    base.strip_prefix("interval ").is_some_and(|fields| {
        fields.split(' ').all(|word| {
            matches!(
                word,
                "year" | "month" | "day" | "hour" | "minute" | "second" | "to"
            )
        })
    })
}

fn is_word(word: &str) -> bool {
    word.chars()
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_')
        && word
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'))
}

/// One letter too many, too few, other, or two exchanged.
pub(super) fn is_near(known: &str, word: &str) -> bool {
    let (a, b) = (known.as_bytes(), word.as_bytes());
    if a == b || a.len().abs_diff(b.len()) > 1 || a.len() < 3 {
        return false;
    }
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    let skip = |list: &[u8], n: usize| list.get(n..).unwrap_or_default().to_vec();
    skip(a, 1) == b
        || a == skip(b, 1)
        || skip(a, 1) == skip(b, 1)
        || (a.len() >= 2
            && b.len() >= 2
            && a[0] == b[1]
            && a[1] == b[0]
            && skip(a, 2) == skip(b, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgresql_has_is_a_type() {
        for text in [
            "text",
            "TEXT",
            "integer",
            "int8[]",
            "text [3] []",
            "integer array",
            "varchar(20)",
            "character varying ( 20 )",
            "numeric(10, 2)",
            "timestamp(3) with time zone",
            "timestamp without time zone",
            "interval day to second",
            "double  precision",
            "pg_catalog.int4",
            "crm.loyalty_level",
            "\"Loyalty\"",
            "crm.\"Loyalty\"",
            "geometry(Point,4326)",
        ] {
            assert_eq!(judge(text), Judged::Type, "{text:?}");
        }
    }

    #[test]
    fn what_is_unknown_has_the_one_that_was_meant() {
        for (text, meant) in [
            ("string", Some("text")),
            ("txt", Some("text")),
            ("interger", Some("integer")),
            ("intger", Some("integer")),
            ("timestmap", Some("timestamp")),
            ("jsonp", Some("json")),
            ("loyalty_level", None),
            ("double", Some("double precision")),
        ] {
            assert_eq!(judge(text), Judged::Unknown(meant), "{text:?}");
        }
    }

    #[test]
    fn what_has_not_the_form_of_a_type_is_none() {
        for text in [
            "",
            "text||'b'",
            "text)",
            "varchar(",
            "varchar()",
            "text /consent=?",
            "1",
            "int; drop table x",
            "text[a]",
            "\"a",
            "a.b.c",
        ] {
            assert_eq!(judge(text), Judged::NotAType, "{text:?}");
        }
        assert_eq!(judge(&"x".repeat(300)), Judged::NotAType);
    }
}
