//! How many of each there may be, and how long a schedule, as the resource's schema has it.
//!
//! In: a spec. Out: findings. Law: what the schema refuses is not judged any further: a file may have a million
//! overrides, and each is compared with each variable. Not: lengths of variables (lint).

use super::Judge;
use crate::finding::{Code, Finding};
use segment_crds::limits::{OVERRIDES_MAX, SCHEDULE_MAX_CHARS, VARIABLES_MAX};
use segment_crds::{Override, SegmentSpec};

/// Judges schedules, and the lists that others are compared with; whether all of them are short enough.
pub(in crate::segment) fn check(spec: &SegmentSpec, judge: &mut Judge) -> bool {
    let before = judge.errors;
    most(
        judge,
        "entries",
        spec.overrides.len(),
        OVERRIDES_MAX,
        || "spec.overrides".to_owned(),
    );
    let base = (None, &spec.cronjob, &spec.extra_env, &spec.env_from_secrets);
    let changes = spec.overrides.iter().enumerate().map(|(index, change)| {
        let Override {
            cronjob,
            extra_env,
            env_from_secrets,
            ..
        } = change;
        (Some(index), cronjob, extra_env, env_from_secrets)
    });
    for (index, cronjob, extra, secrets) in std::iter::once(base).chain(changes) {
        // Made only where it is needed: there may be many.
        let path = |field: &str| match index {
            Some(index) => format!("spec.overrides[{index}].{field}"),
            None => format!("spec.{field}"),
        };
        let schedule = cronjob.schedule.as_deref().unwrap_or_default();
        if schedule.len() > SCHEDULE_MAX_CHARS {
            let chars = schedule.chars().count();
            most(judge, "characters", chars, SCHEDULE_MAX_CHARS, || {
                path("cronjob.schedule")
            });
        }
        most(judge, "entries", extra.len(), VARIABLES_MAX, || {
            path("extraEnv")
        });
        most(judge, "entries", secrets.len(), VARIABLES_MAX, || {
            path("envFromSecrets")
        });
    }
    judge.errors == before
}

fn most(judge: &mut Judge, of: &str, count: usize, most: usize, field: impl Fn() -> String) {
    if count > most {
        let message = format!("has {count} {of}, at most {most} are allowed");
        judge.push(Finding::error(Code::TooLarge, field(), message).help("write fewer"));
    }
}
