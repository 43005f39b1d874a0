//! Single values: what can be said of one variable without the others.
//!
//! In: variables of `spec`, of an override, or of one cluster. Out: findings. Law: never shows what may be a password.

use crate::finding::{Code, Finding};
use crate::lint::report::{Report, shown};
use crate::lint::script::{Kind, Script};
use crate::segment::rules::Seen;
use crate::segment::template;
use crate::segment::variables::{DEFAULTS, is_boolean, read_by_types};
use segment_crds::limits::{
    IDENTIFIER_MAX_BYTES, LONG_VALUE_MAX_CHARS, SHORT_VALUE_MAX_CHARS, TARGET_NAME_MAX_CHARS,
};

/// Judges one variable of `spec.env` whose value is known.
pub(in crate::lint) fn part(name: &'static str, value: &str, report: &mut Report<'_>) {
    if is_too_long(name, value) {
        report.error(
            Code::TooLarge,
            name,
            None,
            format!(
                "has {} characters, at most {} are allowed",
                value.chars().count(),
                max_chars(name)
            ),
            "write a shorter value",
        );
        return;
    }
    if is_boolean(name) && !matches!(value, "True" | "False") && !value.contains("$(") {
        report.warning(
            Code::NotABoolean,
            name,
            None,
            format!("{} is neither True nor False", shown(value)),
            "write True or False, with a capital letter and in quotes",
        );
    }
    match name {
        "DB_PORT" => port(value, report),
        "SOURCE_WHERE_CLAUSE" | "PIVOT_SEGMENT_WHERE_CLAUSE" if begins_with_where(value) => {
            report.error(
                Code::WhereKeyword,
                name,
                value.len() - value.trim_start().len(),
                "begins with the word WHERE, which the script writes itself",
                "leave the word out",
            );
        }
        "SOURCE_QUERY" => {
            if let Some(offset) = lone_percent(value) {
                report.warning(
                    Code::LonePercent,
                    name,
                    offset,
                    "a % in the query is read as the beginning of a parameter",
                    "write %%%% for one %",
                );
            }
        }
        "TARGET_SEGMENT_NAME" => odd(name, value, report),
        "TARGET_SCHEMA_NAME" | "SOURCE_SCHEMA_NAME" | "SOURCE_TABLE_NAME" | "CITUS_DIST_COL"
            if value.len() > IDENTIFIER_MAX_BYTES && !value.contains("$(") =>
        {
            report.error(
                Code::LongIdentifier,
                name,
                None,
                format!(
                    "{} has {} bytes, PostgreSQL keeps {IDENTIFIER_MAX_BYTES} of a name",
                    shown(value),
                    value.len()
                ),
                "write a shorter name",
            );
        }
        _ => {}
    }
    if value.is_empty() && has_default(name) && !name.ends_with("SEPARATOR") {
        report.error(
            Code::RequiredVariable,
            name,
            None,
            "must not be empty",
            "remove it to get the default, or write a value",
        );
    }
    super::sql::part(name, value, report);
    if is_credential_value(value) {
        report.warning(
            Code::PlainSecret,
            name,
            None,
            "a password or token seems to stand here, where everyone can read it",
            "keep it in a Secret and name that in spec.envFromSecrets",
        );
    }
}

/// Most characters of a variable, as the resource's schema has it.
fn max_chars(name: &str) -> usize {
    match name {
        "GENERIC_COLUMNS"
        | "GENERIC_TRANSFORMATIONS"
        | "PIVOT_ALIASES"
        | "PIVOT_PATHS"
        | "PIVOT_SEGMENT_WHERE_CLAUSE"
        | "PIVOT_TRANSFORMATIONS"
        | "SOURCE_QUERY"
        | "SOURCE_WHERE_CLAUSE"
        | "TARGET_SEGMENT_INDEXES"
        | "TARGET_SEGMENT_VIEWS" => LONG_VALUE_MAX_CHARS,
        "TARGET_SEGMENT_NAME" => TARGET_NAME_MAX_CHARS,
        _ => SHORT_VALUE_MAX_CHARS,
    }
}

/// What the schema refuses is not looked at any further, so that a file of any size costs little.
pub(in crate::lint) fn is_too_long(name: &str, value: &str) -> bool {
    let max = max_chars(name);
    value.len() > max && value.chars().count() > max
}

/// Judges one variable of `spec.extraEnv`.
pub(in crate::lint) fn extra(name: &str, value: &str, field: &str) -> Option<Finding> {
    let literal = !value.trim().is_empty() && !value.contains("$(");
    ((literal && is_credential_name(name)) || is_credential_value(value)).then(|| {
        Finding::warning(
            Code::PlainSecret,
            field,
            "a password or token seems to stand here, where everyone can read it",
        )
        .help("keep it in a Secret and name that in spec.envFromSecrets")
    })
}

/// An own value that is empty is not the default.
fn has_default(name: &str) -> bool {
    DEFAULTS
        .iter()
        .any(|(known, default)| *known == name && !default.is_empty())
        && !matches!(name, "COLUMN_PLACEHOLDER" | "DB_TYPE" | "PROMETHEUS_JOB")
        && !is_boolean(name)
        && name != "DB_PORT"
}

fn port(value: &str, report: &mut Report<'_>) {
    if !value.contains("$(") && value.parse::<u16>().map_or(0, u16::from) == 0 {
        report.error(
            Code::InvalidValue,
            "DB_PORT",
            None,
            format!("{} is not a port from 1 to 65535", shown(value)),
            "write the database's port, such as 5432, or remove the variable to get the default",
        );
    }
}

fn odd(name: &str, value: &str, report: &mut Report<'_>) {
    if value.contains("$(") || value.starts_with('"') {
        return;
    }
    let wrong = value.char_indices().find(|(at, c)| {
        !(c.is_alphabetic() || *c == '_' || (*at > 0 && (c.is_ascii_digit() || *c == '$')))
    });
    if let Some((offset, c)) = wrong {
        report.warning(
            Code::OddName,
            name,
            offset,
            format!("{c:?} stands in a PostgreSQL name only if the name is in quotes"),
            "write letters, digits and _, and begin with a letter; a schema belongs in TARGET_SCHEMA_NAME",
        );
    }
}

/// Whether a condition begins with the word that the script writes before it.
pub(super) fn begins_with_where(condition: &str) -> bool {
    let text = condition.trim_start();
    text.get(..5)
        .is_some_and(|word| word.eq_ignore_ascii_case("where"))
        && text[5..]
            .chars()
            .next()
            .is_none_or(|c| c.is_whitespace() || c == '(')
}

/// Variables that the TYPE does not read: legal, and probably left over.
pub(super) fn of_another_type(script: &Script<'_>, report: &mut Report<'_>) {
    let kind = match script.kind {
        Some(Kind::Pivot) => "pivot",
        Some(Kind::Generic) => "generic",
        Some(Kind::Flexible) => "flexible",
        None => return,
    };
    for (name, value) in script.texts() {
        let types = read_by_types(name);
        if !types.is_empty() && !types.contains(&kind) && !value.trim().is_empty() {
            report.warning(
                Code::UnusedVariable,
                name,
                None,
                format!("is not read with TYPE {kind}"),
                format!("remove it, or set TYPE to {}", types.join(" or ")),
            );
        }
    }
    if script.kind == Some(Kind::Flexible)
        && matches!(script.own("SOURCE_WHERE_CLAUSE"), Seen::Text(text) if !text.trim().is_empty())
    {
        report.warning(
            Code::UnusedVariable,
            "SOURCE_WHERE_CLAUSE",
            None,
            "is not read with TYPE flexible",
            "write the condition in SOURCE_QUERY",
        );
    }
}

/// Offset of the first run of `%` that is not made of fours.
fn lone_percent(query: &str) -> Option<usize> {
    let mut rest = query;
    let mut offset = 0;
    while let Some(start) = rest.find('%') {
        let run = rest[start..].bytes().take_while(|&b| b == b'%').count();
        if run % 4 != 0 {
            return Some(offset + start);
        }
        offset += start + run;
        rest = &query[offset..];
    }
    None
}

/// Names under which people keep what nobody else should read.
fn is_credential_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let hides = [
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "SECRET",
        "TOKEN",
        "API_KEY",
        "APIKEY",
        "PRIVATE_KEY",
        "CREDENTIAL",
    ]
    .iter()
    .any(|word| name.contains(word));
    // Where it is kept is no secret.
    hides
        && !["_FILE", "_PATH", "_NAME", "_DIR", "_TTL", "_URL", "_LENGTH"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// Values that give themselves away: a URL with a password, a key, a token of a known form.
fn is_credential_value(value: &str) -> bool {
    url_with_password(value)
        || value.contains("-----BEGIN ") && value.contains("PRIVATE KEY")
        || ["ghp_", "glpat-", "xoxb-", "AKIA"]
            .iter()
            .any(|start| value.starts_with(start) && value.len() >= 20)
}

fn url_with_password(value: &str) -> bool {
    value.match_indices("://").any(|(at, _)| {
        let rest = &value[at + 3..];
        // An authority is short; a bound keeps a text of many of them cheap.
        let authority = rest
            .char_indices()
            .take(256)
            .find(|(_, c)| matches!(c, '/' | '?' | '#' | '\'' | '"') || c.is_whitespace())
            .map_or_else(
                || {
                    rest.char_indices()
                        .nth(256)
                        .map_or(rest, |(end, _)| &rest[..end])
                },
                |(end, _)| &rest[..end],
            );
        authority
            .rsplit_once('@')
            .and_then(|(user, _)| user.split_once(':'))
            .is_some_and(|(_, password)| {
                !password.is_empty() && template::variables(password).next().is_none()
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_stands_in_fours() {
        for (query, expected) in [
            ("select '100%'", Some(11)),
            ("a like 'x%%%%'", None),
            ("a like 'x%%' and b like '%%%%'", Some(9)),
            ("", None),
        ] {
            assert_eq!(lone_percent(query), expected, "{query:?}");
        }
    }

    #[test]
    fn the_word_where_is_a_word() {
        for (text, expected) in [
            ("where a", true),
            (" WHERE(a)", true),
            ("where", true),
            ("whereabouts = 'x'", false),
            ("ä where", false),
            ("", false),
        ] {
            assert_eq!(begins_with_where(text), expected, "{text:?}");
        }
    }

    #[test]
    fn passwords_are_known_by_name_or_form() {
        for (name, value, expected) in [
            ("API_TOKEN", "abc", true),
            ("DB2_PASSWORD", "x", true),
            ("API_TOKEN", "$(TOKEN)", false),
            ("API_TOKEN", "", false),
            ("TOKEN_FILE", "/run/token", false),
            ("REPORT_URL", "postgres://etl:pw@db/x", true),
            ("REPORT_URL", "postgres://etl:$(PW)@db/x", false),
            ("REPORT_URL", "postgres://etl@db/x", false),
            ("REPORT_URL", "https://db:5432/a@b", false),
            ("KEY", "-----BEGIN RSA PRIVATE KEY-----", true),
        ] {
            assert_eq!(
                extra(name, value, "spec.extraEnv.X").is_some(),
                expected,
                "{name}={value}"
            );
        }
    }
}
