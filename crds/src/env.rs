//! The variables of the script: one table makes the struct, its names and its schema.
//!
//! In: the table below. Out: [`SegmentEnv`] with one optional string for each variable. Law: names are sorted and each
//! stands once (test `the_table_of_variables_is_sorted`). Not: defaults and what a value means; the core knows these.
//!
//! A struct and not a map: only so can the API server's strict validation refuse a typo.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{LONG_VALUE_MAX_CHARS, SHORT_VALUE_MAX_CHARS, TARGET_NAME_MAX_CHARS};

/// Variables that come from a Secret always; each has a default secret and a default key.
pub const SECRET_VARIABLES: &[&str] = &["DB_NAME", "DB_PASSWORD", "DB_USER"];

/// Variables that every Segment has in `spec.env` (`SOURCE_WHERE_CLAUSE`: unless TYPE is `flexible`).
pub const REQUIRED_VARIABLES: &[&str] = &[
    "CITUS_DIST_COL",
    "SOURCE_WHERE_CLAUSE",
    "TARGET_SEGMENT_INDEXES",
    "TARGET_SEGMENT_NAME",
    "TARGET_SEGMENT_VIEWS",
    "TYPE",
];

macro_rules! variables {
    ( $( $(#[$meta:meta])* $field:ident = $name:literal, $max:expr; )+ ) => {
        /// Variables of the script, by its own names; values are strings and may hold `$(cluster.…)`.
        /// A variable that the script does not know goes into `extraEnv`.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub struct SegmentEnv {
            $(
                $(#[$meta])*
                #[serde(rename = $name, default, skip_serializing_if = "Option::is_none")]
                #[schemars(length(max = $max))]
                pub $field: Option<String>,
            )+
        }

        impl SegmentEnv {
            /// All known variables, sorted by name.
            pub const NAMES: &'static [&'static str] = &[ $( $name, )+ ];

            /// Every known variable with its value, sorted by name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
                [ $( ($name, self.$field.as_deref()), )+ ].into_iter()
            }

            /// The variable's value; `None` also for a name that is not known.
            pub fn get(&self, name: &str) -> Option<&str> {
                match name { $( $name => self.$field.as_deref(), )+ _ => None }
            }

            /// Sets or (with `None`) removes a variable; `false` and nothing done if the name is not known.
            pub fn set(&mut self, name: &str, value: Option<String>) -> bool {
                match name { $( $name => self.$field = value, )+ _ => return false }
                true
            }
        }
    };
}

variables! {
    /// Column by which Citus distributes the segment's table. Required; may be empty only with plain `PostgreSQL`.
    citus_dist_col = "CITUS_DIST_COL", SHORT_VALUE_MAX_CHARS;
    /// Stands for the path's column inside a transformation. Default: ?
    column_placeholder = "COLUMN_PLACEHOLDER", SHORT_VALUE_MAX_CHARS;
    /// Database endpoint. Default: grnry-pg-citus
    db_host = "DB_HOST", SHORT_VALUE_MAX_CHARS;
    /// Database port. Default: 5432
    db_port = "DB_PORT", SHORT_VALUE_MAX_CHARS;
    /// Keep the views that stand on the segment when it is made anew (newer images).
    db_preserve_views = "DB_PRESERVE_VIEWS", SHORT_VALUE_MAX_CHARS;
    /// Storage layer: citus or postgres (older images also say aurora). Default: citus
    db_type = "DB_TYPE", SHORT_VALUE_MAX_CHARS;
    /// Enforce TLS to the database. Default: True
    db_use_ssl = "DB_USE_SSL", SHORT_VALUE_MAX_CHARS;
    /// Make the segment a view instead of a table; a view cannot have indexes. Default: False
    db_use_views = "DB_USE_VIEWS", SHORT_VALUE_MAX_CHARS;
    /// Print every SQL statement. Default: False
    debug = "DEBUG", SHORT_VALUE_MAX_CHARS;
    /// Between a name and its transformation or index expression. Default: =
    definition_separator = "DEFINITION_SEPARATOR", SHORT_VALUE_MAX_CHARS;
    /// TYPE generic: columns that are taken as they are, comma-separated.
    generic_columns = "GENERIC_COLUMNS", LONG_VALUE_MAX_CHARS;
    /// TYPE generic: `name=SQL::type`, joined by |
    generic_transformations = "GENERIC_TRANSFORMATIONS", LONG_VALUE_MAX_CHARS;
    /// TYPE pivot: one alias for every path, in the paths' order; transformations then name the alias (newer images).
    pivot_aliases = "PIVOT_ALIASES", LONG_VALUE_MAX_CHARS;
    /// TYPE pivot: keep rows that have a value in no path. True unless set.
    pivot_allow_empty = "PIVOT_ALLOW_EMPTY", SHORT_VALUE_MAX_CHARS;
    /// TYPE pivot: the paths that become columns, comma-separated; empty: all paths.
    pivot_paths = "PIVOT_PATHS", LONG_VALUE_MAX_CHARS;
    /// TYPE pivot: SQL condition over the finished segment, without the word WHERE.
    pivot_segment_where_clause = "PIVOT_SEGMENT_WHERE_CLAUSE", LONG_VALUE_MAX_CHARS;
    /// TYPE pivot: `path=SQL::type` with ? for the column, joined by |
    pivot_transformations = "PIVOT_TRANSFORMATIONS", LONG_VALUE_MAX_CHARS;
    /// Job label of the script's metrics. Default: segmentcreation
    prometheus_job = "PROMETHEUS_JOB", SHORT_VALUE_MAX_CHARS;
    /// host:port to which the script pushes its metrics. Default: empty, none
    prometheus_pushgateway = "PROMETHEUS_PUSHGATEWAY", SHORT_VALUE_MAX_CHARS;
    /// TYPE flexible: the whole query; a % in it must be written %%%%
    source_query = "SOURCE_QUERY", LONG_VALUE_MAX_CHARS;
    /// Schema of the source table. Default: public
    source_schema_name = "SOURCE_SCHEMA_NAME", SHORT_VALUE_MAX_CHARS;
    /// Source table. Default: profilestore
    source_table_name = "SOURCE_TABLE_NAME", SHORT_VALUE_MAX_CHARS;
    /// SQL condition over the source, without the word WHERE. Required and not empty, but for TYPE flexible.
    source_where_clause = "SOURCE_WHERE_CLAUSE", LONG_VALUE_MAX_CHARS;
    /// Schema in which the segment is made. Default: segments
    target_schema_name = "TARGET_SCHEMA_NAME", SHORT_VALUE_MAX_CHARS;
    /// Indexes: name=expression, joined by |. Required, may be empty.
    target_segment_indexes = "TARGET_SEGMENT_INDEXES", LONG_VALUE_MAX_CHARS;
    /// Between index definitions. Default: |
    target_segment_index_separator = "TARGET_SEGMENT_INDEX_SEPARATOR", SHORT_VALUE_MAX_CHARS;
    /// Name of the segment's table or view: a `PostgreSQL` identifier, 63 bytes at most. Required.
    target_segment_name = "TARGET_SEGMENT_NAME", TARGET_NAME_MAX_CHARS;
    /// Views on the segment: name:condition, comma-separated. Required, may be empty.
    target_segment_views = "TARGET_SEGMENT_VIEWS", LONG_VALUE_MAX_CHARS;
    /// Between a view's name and its condition. Default: :
    target_segment_view_definition_separator = "TARGET_SEGMENT_VIEW_DEFINITION_SEPARATOR", SHORT_VALUE_MAX_CHARS;
    /// Between view definitions. Default: ,
    target_segment_view_separator = "TARGET_SEGMENT_VIEW_SEPARATOR", SHORT_VALUE_MAX_CHARS;
    /// Between transformations. Default: |
    transformation_separator = "TRANSFORMATION_SEPARATOR", SHORT_VALUE_MAX_CHARS;
    /// How the segment is computed: pivot, generic or flexible. Required.
    type_ = "TYPE", SHORT_VALUE_MAX_CHARS;
    /// Between a transformation and its result type. Default: ::
    type_separator = "TYPE_SEPARATOR", SHORT_VALUE_MAX_CHARS;
}

impl SegmentEnv {
    /// Whether the script knows a variable of this name that may stand in `spec.env`.
    pub fn is_known(name: &str) -> bool {
        Self::NAMES.contains(&name)
    }

    /// Whether no variable is set.
    pub fn is_empty(&self) -> bool {
        self.iter().all(|(_, value)| value.is_none())
    }

    /// Takes every variable that `later` sets.
    pub fn overlay(&mut self, later: &Self) {
        for (name, value) in later.iter() {
            if let Some(value) = value {
                self.set(name, Some(value.to_owned()));
            }
        }
    }

    /// Removes a variable; `false` if the name is not known.
    pub fn unset(&mut self, name: &str) -> bool {
        self.set(name, None)
    }
}
