//! How many of each there may be, and how long a schedule, as the resource's schema has it.
//!
//! In: a spec. Out: findings. Law: what the schema refuses is not judged any further: a file may have a million
//! overrides, and each is compared with each variable. Not: lengths of variables (lint).

use super::Judge;
use crate::finding::{Code, Finding};
use segment_crds::limits::{OVERRIDES_MAX, SCHEDULE_MAX_CHARS, VARIABLES_MAX};
use segment_crds::{CronJobSettings, SegmentSpec};

/// Judges schedules, and the lists that others are compared with; whether all of them are short enough.
pub(in crate::segment) fn check(spec: &SegmentSpec, judge: &mut Judge) -> bool {
    let before = judge.errors;
    let mut most = |field: String, count: usize, of: &str, most: usize| {
        if count > most {
            let message = format!("has {count} {of}, at most {most} are allowed");
            judge.push(Finding::error(Code::TooLarge, field, message).help("write fewer"));
        }
    };
    let count = spec.overrides.len();
    most("spec.overrides".to_owned(), count, "entries", OVERRIDES_MAX);
    let mut part = |at: &str, cronjob: &CronJobSettings, variables: [usize; 2]| {
        let schedule = cronjob.schedule.as_deref().unwrap_or_default();
        if schedule.len() > SCHEDULE_MAX_CHARS {
            let field = format!("{at}.cronjob.schedule");
            most(
                field,
                schedule.chars().count(),
                "characters",
                SCHEDULE_MAX_CHARS,
            );
        }
        for (list, count) in ["extraEnv", "envFromSecrets"].into_iter().zip(variables) {
            most(format!("{at}.{list}"), count, "entries", VARIABLES_MAX);
        }
    };
    let variables = [spec.extra_env.len(), spec.env_from_secrets.len()];
    part("spec", &spec.cronjob, variables);
    for (index, change) in spec.overrides.iter().enumerate() {
        let variables = [change.extra_env.len(), change.env_from_secrets.len()];
        part(
            &format!("spec.overrides[{index}]"),
            &change.cronjob,
            variables,
        );
    }
    judge.errors == before
}
