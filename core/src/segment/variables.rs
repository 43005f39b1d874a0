//! What is known of single variables of the script.
//!
//! In: a variable's name. Out: its built-in default, its form, the TYPE that reads it.
//! Law: the table of `segment-spec`; each default's variable is one that `crds` knows (test below).
//! Not: the list of names (`crds`), the grammar of list-valued variables (lint).

/// Variables with a default, sorted by name. The hub variable that replaces it has the same name.
pub(crate) const DEFAULTS: [(&str, &str); 18] = [
    ("COLUMN_PLACEHOLDER", "?"),
    ("DB_HOST", "grnry-pg-citus"),
    ("DB_PORT", "5432"),
    ("DB_TYPE", "citus"),
    ("DB_USE_SSL", "True"),
    ("DB_USE_VIEWS", "False"),
    ("DEBUG", "False"),
    ("DEFINITION_SEPARATOR", "="),
    ("PROMETHEUS_JOB", "segmentcreation"),
    ("PROMETHEUS_PUSHGATEWAY", ""),
    ("SOURCE_SCHEMA_NAME", "public"),
    ("SOURCE_TABLE_NAME", "profilestore"),
    ("TARGET_SCHEMA_NAME", "segments"),
    ("TARGET_SEGMENT_INDEX_SEPARATOR", "|"),
    ("TARGET_SEGMENT_VIEW_DEFINITION_SEPARATOR", ":"),
    ("TARGET_SEGMENT_VIEW_SEPARATOR", ","),
    ("TRANSFORMATION_SEPARATOR", "|"),
    ("TYPE_SEPARATOR", "::"),
];

/// Default secret of variables that come from a Secret; the hub variable is `DB_SECRET`.
pub(crate) const DEFAULT_SECRET: &str = "grnry-pg-citus-secret";

/// Variables that always come from a Secret, with their default keys there, sorted by name.
pub(crate) const DEFAULT_SECRET_KEYS: [(&str, &str); 3] = [
    ("DB_NAME", "superuser-database"),
    ("DB_PASSWORD", "superuser-password"),
    ("DB_USER", "superuser-username"),
];

/// Values of `DB_TYPE`; older images also say `aurora`.
pub(crate) const DB_TYPES: [&str; 3] = ["citus", "postgres", "aurora"];

/// Values of `TYPE`.
pub(crate) const TYPES: [&str; 3] = ["pivot", "generic", "flexible"];

/// Whether the script reads the variable as `True` or `False`.
pub(crate) fn is_boolean(name: &str) -> bool {
    matches!(
        name,
        "DB_PRESERVE_VIEWS" | "DB_USE_SSL" | "DB_USE_VIEWS" | "DEBUG" | "PIVOT_ALLOW_EMPTY"
    )
}

/// The values of TYPE with which the script reads a variable; empty: with all.
pub(crate) fn read_by_types(name: &str) -> &'static [&'static str] {
    match name {
        "PIVOT_ALIASES"
        | "PIVOT_ALLOW_EMPTY"
        | "PIVOT_PATHS"
        | "PIVOT_SEGMENT_WHERE_CLAUSE"
        | "PIVOT_TRANSFORMATIONS" => &["pivot"],
        "GENERIC_COLUMNS" | "GENERIC_TRANSFORMATIONS" => &["generic"],
        "SOURCE_QUERY" => &["flexible"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_crds::{SECRET_VARIABLES, SegmentEnv};

    #[test]
    fn every_default_is_of_a_variable_that_the_resource_has() {
        assert!(DEFAULTS.is_sorted());
        for (name, _) in DEFAULTS {
            assert!(SegmentEnv::is_known(name), "{name}");
        }
        assert_eq!(DEFAULT_SECRET_KEYS.map(|(name, _)| name), SECRET_VARIABLES);
    }
}
