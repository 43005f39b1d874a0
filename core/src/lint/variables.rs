//! What each variable of the script means, for `segctl explain`.
//!
//! In: nothing. Out: [`VariableHelp`]. Law: names, defaults, types and which are required are those that the rules know
//! (test below). Not: the values of a Segment.

/// One variable, explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariableHelp {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in half a sentence.
    pub meaning: &'static str,
    /// The built-in default, where there is one.
    pub default: Option<&'static str>,
    /// The hub variable that replaces the default.
    pub hub_variable: Option<&'static str>,
    /// The values of TYPE with which it is read; empty: with all.
    pub types: &'static [&'static str],
    /// Whether every Segment has it.
    pub required: bool,
    /// A value as users write it.
    pub example: &'static str,
}

/// Every variable, sorted by name.
pub fn variables() -> &'static [VariableHelp] {
    VARIABLES
}

/// A variable by its name; capital letters do not matter.
pub fn variable(name: &str) -> Option<&'static VariableHelp> {
    VARIABLES
        .iter()
        .find(|variable| variable.name.eq_ignore_ascii_case(name))
}

#[rustfmt::skip]
const VARIABLES: &[VariableHelp] = &[
    VariableHelp {
        name: "CITUS_DIST_COL",
        meaning: "column by which Citus distributes the segment's table; may be empty only where DB_TYPE is postgres",
        default: None,
        hub_variable: None,
        types: &[],
        required: true,
        example: "correlation_id",
    },
    VariableHelp {
        name: "COLUMN_PLACEHOLDER",
        meaning: "stands for the path's column inside a transformation",
        default: Some("?"),
        hub_variable: Some("COLUMN_PLACEHOLDER"),
        types: &[],
        required: false,
        example: "?",
    },
    VariableHelp {
        name: "DB_HOST",
        meaning: "database endpoint",
        default: Some("grnry-pg-citus"),
        hub_variable: Some("DB_HOST"),
        types: &[],
        required: false,
        example: "grnry-pg-citus-master",
    },
    VariableHelp {
        name: "DB_NAME",
        meaning: "the database; always from a Secret, so it stands in envFromSecrets; the default is a key there",
        default: Some("superuser-database"),
        hub_variable: Some("DB_NAME"),
        types: &[],
        required: false,
        example: "{secret: shop-db, key: database}",
    },
    VariableHelp {
        name: "DB_PASSWORD",
        meaning: "the database user's password; always from a Secret, so it stands in envFromSecrets; the default is a key there",
        default: Some("superuser-password"),
        hub_variable: Some("DB_PASSWORD"),
        types: &[],
        required: false,
        example: "{secret: shop-db, key: password}",
    },
    VariableHelp {
        name: "DB_PORT",
        meaning: "database port",
        default: Some("5432"),
        hub_variable: Some("DB_PORT"),
        types: &[],
        required: false,
        example: "5432",
    },
    VariableHelp {
        name: "DB_PRESERVE_VIEWS",
        meaning: "keep the views that stand on the segment when it is made anew (image 0.9.1 or newer)",
        default: None,
        hub_variable: None,
        types: &[],
        required: false,
        example: "True",
    },
    VariableHelp {
        name: "DB_TYPE",
        meaning: "storage layer: citus or postgres (older images also say aurora)",
        default: Some("citus"),
        hub_variable: Some("DB_TYPE"),
        types: &[],
        required: false,
        example: "postgres",
    },
    VariableHelp {
        name: "DB_USER",
        meaning: "the database user; always from a Secret, so it stands in envFromSecrets; the default is a key there",
        default: Some("superuser-username"),
        hub_variable: Some("DB_USER"),
        types: &[],
        required: false,
        example: "{secret: shop-db, key: username}",
    },
    VariableHelp {
        name: "DB_USE_SSL",
        meaning: "enforce TLS to the database",
        default: Some("True"),
        hub_variable: Some("DB_USE_SSL"),
        types: &[],
        required: false,
        example: "True",
    },
    VariableHelp {
        name: "DB_USE_VIEWS",
        meaning: "make the segment a view instead of a table; a view cannot have indexes",
        default: Some("False"),
        hub_variable: Some("DB_USE_VIEWS"),
        types: &[],
        required: false,
        example: "True",
    },
    VariableHelp {
        name: "DEBUG",
        meaning: "print every SQL statement",
        default: Some("False"),
        hub_variable: Some("DEBUG"),
        types: &[],
        required: false,
        example: "True",
    },
    VariableHelp {
        name: "DEFINITION_SEPARATOR",
        meaning: "between a name and its transformation or index definition",
        default: Some("="),
        hub_variable: Some("DEFINITION_SEPARATOR"),
        types: &[],
        required: false,
        example: "=>",
    },
    VariableHelp {
        name: "GENERIC_COLUMNS",
        meaning: "columns that are taken as they are, comma-separated",
        default: None,
        hub_variable: None,
        types: &["generic"],
        required: false,
        example: "event_id,inserted",
    },
    VariableHelp {
        name: "GENERIC_TRANSFORMATIONS",
        meaning: "columns that are computed: name, SQL and result type",
        default: None,
        hub_variable: None,
        types: &["generic"],
        required: false,
        example: "shop=message->>'shop'::text|basket=message->'basket'::jsonb",
    },
    VariableHelp {
        name: "PIVOT_ALIASES",
        meaning: "one alias for every path, in the paths' order; transformations then name the alias (image 0.9.1 or newer)",
        default: None,
        hub_variable: None,
        types: &["pivot"],
        required: false,
        example: "last_opened,topic",
    },
    VariableHelp {
        name: "PIVOT_ALLOW_EMPTY",
        meaning: "keep rows that have a value in no path",
        default: Some("True"),
        hub_variable: None,
        types: &["pivot"],
        required: false,
        example: "False",
    },
    VariableHelp {
        name: "PIVOT_PATHS",
        meaning: "paths that become columns, comma-separated; empty: all paths",
        default: None,
        hub_variable: None,
        types: &["pivot"],
        required: false,
        example: "/mail/lastOpened,/mail/topic",
    },
    VariableHelp {
        name: "PIVOT_SEGMENT_WHERE_CLAUSE",
        meaning: "SQL condition over the finished segment, without the word WHERE",
        default: None,
        hub_variable: None,
        types: &["pivot"],
        required: false,
        example: "\"/mail/lastOpened\" > now() - interval '90 days'",
    },
    VariableHelp {
        name: "PIVOT_TRANSFORMATIONS",
        meaning: "columns that are transformed: path, SQL with the placeholder, and result type",
        default: None,
        hub_variable: None,
        types: &["pivot"],
        required: false,
        example: "/mail/lastOpened=cast((? #>> '{}') as date)::date",
    },
    VariableHelp {
        name: "PROMETHEUS_JOB",
        meaning: "job label of the script's metrics",
        default: Some("segmentcreation"),
        hub_variable: Some("PROMETHEUS_JOB"),
        types: &[],
        required: false,
        example: "newsletter",
    },
    VariableHelp {
        name: "PROMETHEUS_PUSHGATEWAY",
        meaning: "host:port to which the script pushes its metrics; empty: none",
        default: Some(""),
        hub_variable: Some("PROMETHEUS_PUSHGATEWAY"),
        types: &[],
        required: false,
        example: "pushgateway.monitoring:9091",
    },
    VariableHelp {
        name: "SOURCE_QUERY",
        meaning: "the whole query; a % in it is written %%%% (image 0.9.1 or newer)",
        default: None,
        hub_variable: None,
        types: &["flexible"],
        required: false,
        example: "select event_id from public.eventstore where event_type like 'shop%%%%'",
    },
    VariableHelp {
        name: "SOURCE_SCHEMA_NAME",
        meaning: "schema of the source table",
        default: Some("public"),
        hub_variable: Some("SOURCE_SCHEMA_NAME"),
        types: &[],
        required: false,
        example: "public",
    },
    VariableHelp {
        name: "SOURCE_TABLE_NAME",
        meaning: "source table",
        default: Some("profilestore"),
        hub_variable: Some("SOURCE_TABLE_NAME"),
        types: &[],
        required: false,
        example: "eventstore",
    },
    VariableHelp {
        name: "SOURCE_WHERE_CLAUSE",
        meaning: "SQL condition over the source, without the word WHERE; not empty, and not needed with TYPE flexible",
        default: None,
        hub_variable: None,
        types: &[],
        required: true,
        example: "profile_type = 'crm' and pit = '_latest'",
    },
    VariableHelp {
        name: "TARGET_SCHEMA_NAME",
        meaning: "schema in which the segment is made",
        default: Some("segments"),
        hub_variable: Some("TARGET_SCHEMA_NAME"),
        types: &[],
        required: false,
        example: "segments",
    },
    VariableHelp {
        name: "TARGET_SEGMENT_INDEXES",
        meaning: "indexes, each a name and what follows the table's name in CREATE INDEX; must be there, may be empty",
        default: None,
        hub_variable: None,
        types: &[],
        required: true,
        example: "by_topic=(\"/mail/topic\")|by_country=USING hash (\"/country\")",
    },
    VariableHelp {
        name: "TARGET_SEGMENT_INDEX_SEPARATOR",
        meaning: "between index definitions",
        default: Some("|"),
        hub_variable: Some("TARGET_SEGMENT_INDEX_SEPARATOR"),
        types: &[],
        required: false,
        example: ";;",
    },
    VariableHelp {
        name: "TARGET_SEGMENT_NAME",
        meaning: "name of the segment's table or view: a PostgreSQL identifier, 63 bytes at most",
        default: None,
        hub_variable: None,
        types: &[],
        required: true,
        example: "newsletter_readers",
    },
    VariableHelp {
        name: "TARGET_SEGMENT_VIEWS",
        meaning: "views on the segment, each a name and a condition; must be there, may be empty",
        default: None,
        hub_variable: None,
        types: &[],
        required: true,
        example: "consenting:\"/consent\" = 'yes',silent:\"/consent\" <> 'yes'",
    },
    VariableHelp {
        name: "TARGET_SEGMENT_VIEW_DEFINITION_SEPARATOR",
        meaning: "between a view's name and its condition",
        default: Some(":"),
        hub_variable: Some("TARGET_SEGMENT_VIEW_DEFINITION_SEPARATOR"),
        types: &[],
        required: false,
        example: "=>",
    },
    VariableHelp {
        name: "TARGET_SEGMENT_VIEW_SEPARATOR",
        meaning: "between view definitions",
        default: Some(","),
        hub_variable: Some("TARGET_SEGMENT_VIEW_SEPARATOR"),
        types: &[],
        required: false,
        example: ";",
    },
    VariableHelp {
        name: "TRANSFORMATION_SEPARATOR",
        meaning: "between transformations",
        default: Some("|"),
        hub_variable: Some("TRANSFORMATION_SEPARATOR"),
        types: &[],
        required: false,
        example: ";;",
    },
    VariableHelp {
        name: "TYPE",
        meaning: "how the segment is computed: pivot (rows of path and value become columns), generic (a filtered projection) or flexible (a query)",
        default: None,
        hub_variable: None,
        types: &[],
        required: true,
        example: "pivot",
    },
    VariableHelp {
        name: "TYPE_SEPARATOR",
        meaning: "between a transformation and its result type; the last one counts, so that casts in the SQL stay",
        default: Some("::"),
        hub_variable: Some("TYPE_SEPARATOR"),
        types: &[],
        required: false,
        example: "::",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::variables::{DEFAULT_SECRET_KEYS, DEFAULTS, read_by_types};
    use segment_crds::{REQUIRED_VARIABLES, SegmentEnv};

    #[test]
    fn what_is_explained_is_what_the_rules_know() {
        let mut names: Vec<&str> = SegmentEnv::NAMES.to_vec();
        names.extend(DEFAULT_SECRET_KEYS.map(|(name, _)| name));
        names.sort_unstable();
        let explained: Vec<&str> = variables().iter().map(|variable| variable.name).collect();
        assert_eq!(explained, names);
        for variable in variables() {
            let name = variable.name;
            let default = DEFAULTS
                .iter()
                .chain(&DEFAULT_SECRET_KEYS)
                .find(|(known, _)| *known == name)
                .map(|(_, default)| *default);
            assert_eq!(variable.hub_variable, default.map(|_| name), "{name}");
            if name != "PIVOT_ALLOW_EMPTY" {
                // The script itself takes True where this one is not set.
                assert_eq!(variable.default, default, "{name}");
            }
            assert_eq!(variable.types, read_by_types(name), "{name}");
            assert_eq!(
                variable.required,
                REQUIRED_VARIABLES.contains(&name),
                "{name}"
            );
            assert!(!variable.meaning.ends_with('.'), "{name}");
        }
        assert_eq!(variable("type").map(|found| found.name), Some("TYPE"));
        assert_eq!(variable("TYPO"), None);
    }
}
