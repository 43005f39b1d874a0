//! Rules over several fields: required variables, and variables in two places.
//!
//! In: a Segment's base, or what it says for one cluster. Out: findings. Law: the table of `segment-spec`.
//! Not: the grammar of list-valued variables (lint).

use super::{Judge, resources};
use crate::finding::{Code, Finding};
use crate::segment::overrides::{EffectiveSegment, base};
use crate::segment::parsed::ParsedSegment;
use crate::segment::schedule::{Schedule, uses_h};
use crate::segment::variables::{DB_TYPES, TYPES, is_boolean, read_by_types};
use segment_crds::limits::IDENTIFIER_MAX_BYTES;

/// What is known of a variable's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::segment) enum Seen<'a> {
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
                let message = format!("{text:?} is not one of {}", TYPES.join(", "));
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
                    let message = format!("{text:?} is not one of {}", DB_TYPES.join(", "));
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

    /// What is legal, but probably not meant. Only of the base: an override may be the reason for what looks odd.
    pub(in crate::segment) fn warn_about(&mut self, segment: &ParsedSegment) {
        let base = base(segment);
        let kind = base.env.type_.as_deref().unwrap_or_default();
        for (name, value) in base.env.iter() {
            let Some(value) = value else { continue };
            let field = format!("spec.env.{name}");
            let types = read_by_types(name);
            if TYPES.contains(&kind) && !types.is_empty() && !types.contains(&kind) {
                let message = format!("is not read with TYPE {kind}");
                self.push(Finding::warning(Code::InvalidValue, &field, message));
            }
            if is_boolean(name) && !matches!(value, "True" | "False") && !value.contains("$(") {
                let message = format!("{value:?} is neither True nor False");
                self.push(Finding::warning(Code::InvalidValue, &field, message));
            }
        }
        if let Some(offset) = base.env.source_query.as_deref().and_then(lone_percent) {
            self.push(
                Finding::warning(
                    Code::InvalidValue,
                    "spec.env.SOURCE_QUERY",
                    "a % must be written %%%%",
                )
                .at(offset),
            );
        }
        let schedules = std::iter::once(("spec".to_owned(), &segment.spec.cronjob)).chain(
            (0..)
                .zip(&segment.spec.overrides)
                .map(|(index, change): (usize, _)| {
                    (format!("spec.overrides[{index}]"), &change.cronjob)
                }),
        );
        for (at, settings) in schedules {
            if let Some(text) = &settings.schedule
                && !uses_h(text)
                && Schedule::parse(text).is_ok_and(|schedule| !schedule.ever_fires())
            {
                let field = format!("{at}.cronjob.schedule");
                self.push(Finding::warning(
                    Code::InvalidSchedule,
                    field,
                    "is never due",
                ));
            }
        }
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
