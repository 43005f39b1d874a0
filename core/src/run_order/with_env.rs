//! Variables of one run: a Segment as it would be with one more override, for this run alone.
//!
//! In: a Segment, variables. Out: the Segment that is rendered for the run, or what is wrong with a variable.
//! Law: they are judged as an override's are, and named as they were given (`env.NAME`); only variables that the script
//! knows, and those that `extraEnv` has, may be given: no run gets what the Segment could not. Not: which cluster
//! (`render`), whether its policy admits the result (`admit`).

use crate::finding::{Code, Finding};
use crate::lint;
use crate::segment::{HouseDefaults, ParsedSegment, parse_spec};
use jiff::Timestamp;
use segment_crds::{Override, Segment, SegmentEnv};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Variables that one run may have of its own.
pub const VARIABLES: usize = 64;

/// The Segment with these variables everywhere.
///
/// # Errors
/// The first thing that is wrong.
pub fn with_env(
    segment: &ParsedSegment,
    defaults: &HouseDefaults,
    env: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<ParsedSegment, Finding> {
    let mut last = Override::default();
    for (name, value) in env {
        let extra = || {
            let spec = &segment.spec;
            let of_overrides = spec.overrides.iter().map(|change| &change.extra_env);
            std::iter::once(&spec.extra_env)
                .chain(of_overrides)
                .any(|list| list.contains_key(name))
        };
        if SegmentEnv::is_known(name) {
            last.env.set(name, Some(value.clone()));
        } else if extra() {
            last.extra_env.insert(name.clone(), value.clone());
        } else {
            let message =
                "is no variable that the script knows, and spec.extraEnv does not have it";
            return Err(Finding::error(
                Code::InvalidValue,
                format!("env.{name}"),
                message,
            ));
        }
    }
    let mut spec = (*segment.spec).clone();
    spec.overrides.push(last);
    let (uid, generation) = (segment.uid, segment.generation);
    if !segment.linted {
        // What was accepted before lint knew better stands as it is.
        return parse_spec(segment.key.clone(), uid, generation, Arc::new(spec))
            .map_err(|findings| first(segment, findings));
    }
    let mut object = Segment::new(segment.key.name.as_str(), spec);
    object.metadata.namespace = Some(segment.key.namespace.to_string());
    object.metadata.uid = Some(uid.to_string());
    object.metadata.generation = Some(generation);
    let verdict = lint::lint(&object, defaults, now);
    match verdict.parsed {
        Some(parsed) => Ok(Arc::unwrap_or_clone(parsed)),
        None => Err(first(segment, verdict.findings)),
    }
}

/// The first error, with the field as it was given.
pub fn first(segment: &ParsedSegment, findings: Vec<Finding>) -> Finding {
    let ours = format!("spec.overrides[{}].", segment.spec.overrides.len());
    let mut errors = findings.into_iter().filter(Finding::is_error);
    let Some(mut finding) = errors.next() else {
        return Finding::error(Code::InvalidValue, "env", "is refused");
    };
    if let Some(field) = finding.field.strip_prefix(&ours) {
        finding.field = match field.strip_prefix("extraEnv.") {
            Some(name) => format!("env.{name}"),
            None => field.to_owned(),
        };
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::render;
    use crate::testing::{segment, view};

    fn defaults() -> HouseDefaults {
        HouseDefaults::from_env(std::iter::empty()).unwrap()
    }

    fn parsed() -> ParsedSegment {
        let mut segment = segment("n/s");
        segment
            .spec
            .extra_env
            .insert("PGAPPNAME".into(), "fleet".into());
        let verdict = lint::lint(&segment, &defaults(), Timestamp::UNIX_EPOCH);
        Arc::unwrap_or_clone(verdict.parsed.unwrap())
    }

    fn given(name: &str, value: &str) -> Result<BTreeMap<String, String>, Finding> {
        let (parsed, defaults) = (parsed(), defaults());
        let env = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let with = with_env(&parsed, &defaults, &env, Timestamp::UNIX_EPOCH)?;
        let rendered = render(&with, &defaults, &view("c", &[("region", "eu")]))
            .map_err(|findings| first(&parsed, findings))?;
        Ok(rendered.template().env.clone())
    }

    #[test]
    fn a_run_has_the_variables_that_its_segment_could_have() {
        assert_eq!(given("DEBUG", "True").unwrap()["DEBUG"], "True");
        assert_eq!(given("PGAPPNAME", "once").unwrap()["PGAPPNAME"], "once");
        let expanded = given(
            "SOURCE_WHERE_CLAUSE",
            "region = '$(cluster.labels['region'])'",
        )
        .unwrap();
        assert_eq!(expanded["SOURCE_WHERE_CLAUSE"], "region = 'eu'");
    }

    #[test]
    fn what_is_wrong_is_named_as_it_was_given() {
        for (name, value, field) in [
            ("LD_PRELOAD", "/tmp/x.so", "env.LD_PRELOAD"),
            ("DB_PASSWORD", "geheim", "env.DB_PASSWORD"),
            ("SOURCE_WHERE_CLAUSE", "a = (", "env.SOURCE_WHERE_CLAUSE"),
            (
                "SOURCE_WHERE_CLAUSE",
                "$(cluster.labels['zone'])",
                "env.SOURCE_WHERE_CLAUSE",
            ),
            ("PGAPPNAME", "$(DB_PASSWORD)", "env.PGAPPNAME"),
        ] {
            let finding = given(name, value).unwrap_err();
            assert_eq!(finding.field, field, "{name}={value}: {finding}");
        }
    }
}
