//! Rules over several fields: required variables, and variables in two places.
//!
//! In: a Segment's base, or what it says for one cluster. Out: findings. Law: the table of `segment-spec`.
//! Not: the grammar of list-valued variables (lint).

use super::{Judge, resources};
use crate::finding::{Code, shown};
use crate::segment::overrides::EffectiveSegment;
use crate::segment::variables::{DB_TYPES, TYPES};
use segment_crds::limits::IDENTIFIER_MAX_BYTES;

/// What is known of a variable's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    /// It has none.
    Absent,
    /// This.
    Text(&'a str),
    /// It comes from a Secret, or from the cluster.
    Later,
}

impl Seen<'_> {
    /// Known to be empty or blank.
    fn is_blank(self) -> bool {
        match self {
            Self::Absent => true,
            Self::Text(text) => text.trim().is_empty(),
            Self::Later => false,
        }
    }
}

impl Judge {
    /// Judges a Segment as a whole. `seen` gives the value of a variable of `spec.env`; `db_type` the house default where
    /// it is known; `path` the place of a field such as `env.TYPE`.
    pub(in crate::segment) fn whole<'a>(
        &mut self,
        segment: &EffectiveSegment,
        seen: &dyn Fn(&str) -> Seen<'a>,
        db_type: Option<&'a str>,
        path: &dyn Fn(&str) -> String,
    ) {
        self.duplicates(segment, path);
        if let Some(amounts) = &segment.cronjob.resources {
            resources::check_pairs(amounts, &path("cronjob.resources"), self);
        }
        let kind = seen("TYPE");
        match kind {
            Seen::Absent => self.required("TYPE", "is required", path),
            Seen::Text(text) if !TYPES.contains(&text) => {
                let message = format!("{} is not one of {}", shown(text), TYPES.join(", "));
                self.error(Code::InvalidValue, &path("env.TYPE"), &message);
            }
            _ => {}
        }
        self.target_name(seen("TARGET_SEGMENT_NAME"), path);
        let flexible = matches!(kind, Seen::Text("flexible"));
        // Where TYPE is known later, either may be the one that is needed.
        if kind != Seen::Later {
            let (name, what) = if flexible {
                (
                    "SOURCE_QUERY",
                    "is required with TYPE flexible and must not be empty",
                )
            } else {
                ("SOURCE_WHERE_CLAUSE", "is required and must not be empty")
            };
            if seen(name).is_blank() {
                self.required(name, what, path);
            }
        }
        for name in ["TARGET_SEGMENT_INDEXES", "TARGET_SEGMENT_VIEWS"] {
            if seen(name) == Seen::Absent {
                self.required(name, "is required, but may be empty", path);
            }
        }
        self.database(seen, db_type, path);
    }

    fn target_name(&mut self, name: Seen<'_>, path: &dyn Fn(&str) -> String) {
        if name.is_blank() {
            self.required(
                "TARGET_SEGMENT_NAME",
                "is required and must not be empty",
                path,
            );
        }
        if let Seen::Text(text) = name
            && text.len() > IDENTIFIER_MAX_BYTES
        {
            let message = format!(
                "has {} bytes, PostgreSQL's identifiers have at most {IDENTIFIER_MAX_BYTES}",
                text.len()
            );
            self.error(
                Code::InvalidName,
                &path("env.TARGET_SEGMENT_NAME"),
                &message,
            );
        }
    }

    fn database<'a>(
        &mut self,
        seen: &dyn Fn(&str) -> Seen<'a>,
        default: Option<&'a str>,
        path: &dyn Fn(&str) -> String,
    ) {
        let db_type = match seen("DB_TYPE") {
            Seen::Absent => default,
            Seen::Later => None,
            Seen::Text(text) => {
                if !DB_TYPES.contains(&text) {
                    let message = format!("{} is not one of {}", shown(text), DB_TYPES.join(", "));
                    self.error(Code::InvalidValue, &path("env.DB_TYPE"), &message);
                }
                Some(text)
            }
        };
        match (seen("CITUS_DIST_COL"), db_type) {
            (Seen::Absent, _) => {
                self.required(
                    "CITUS_DIST_COL",
                    "is required; it may be empty where DB_TYPE is postgres",
                    path,
                );
            }
            (column, Some(db_type)) if column.is_blank() && db_type != "postgres" => {
                let message =
                    format!("may be empty only where DB_TYPE is postgres, here it is {db_type}");
                self.required("CITUS_DIST_COL", &message, path);
            }
            _ => {}
        }
    }

    fn required(&mut self, name: &str, message: &str, path: &dyn Fn(&str) -> String) {
        let field = path(&format!("env.{name}"));
        self.error(Code::RequiredVariable, &field, message);
    }

    fn duplicates(&mut self, segment: &EffectiveSegment, path: &dyn Fn(&str) -> String) {
        for name in segment.env_from_secrets.keys() {
            for (list, has) in [
                ("env", segment.env.get(name).is_some()),
                ("extraEnv", segment.extra_env.contains_key(name)),
            ] {
                if has {
                    let field = path(&format!("envFromSecrets.{name}"));
                    self.error(
                        Code::DuplicateVariable,
                        &field,
                        &format!("{name} also stands in {list}"),
                    );
                }
            }
        }
    }
}
