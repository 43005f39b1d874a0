//! A spec by itself: the base, and each override as far as it can be judged without a cluster.
//!
//! In: a spec, house defaults, the time. Out: findings. Law: what is said of an override holds on every cluster that it
//! matches; what depends on several overrides, or on the cluster, is left to `on_cluster`.

use super::dst::{self, DstEvent};
use super::report::{Place, Report};
use super::rules;
use super::script::{Script, is_grammar};
use crate::finding::{Code, Finding};
use crate::segment::HouseDefaults;
use crate::segment::overrides::{EffectiveSegment, base};
use crate::segment::rules::Seen;
use crate::segment::schedule::{Schedule, time_zone, uses_h};
use crate::segment::template::mentions_cluster;
use crate::segment::variables::read_by_types;
use jiff::Timestamp;
use segment_crds::{CronJobSettings, Override, SegmentEnv, SegmentSpec};
use std::collections::BTreeMap;

/// Everything that is found in a spec.
pub(super) fn findings(
    spec: &SegmentSpec,
    defaults: &HouseDefaults,
    now: Timestamp,
) -> Vec<Finding> {
    let effective = base(spec);
    let kind = spec.env.type_.as_deref();
    let mut findings = parts(&spec.env, kind, "spec");
    findings.extend(extra(&spec.extra_env, "spec"));
    let zone = spec.cronjob.time_zone.as_deref();
    findings.extend(schedule(&spec.cronjob, zone, "spec", now));
    findings.extend(grammar(&effective, defaults, "spec"));
    for (index, change) in spec.overrides.iter().enumerate() {
        let at = format!("spec.overrides[{index}]");
        let kind = change.env.type_.as_deref().or(kind);
        findings.extend(parts(&change.env, kind, &at));
        findings.extend(extra(&change.extra_env, &at));
        let zone = change.cronjob.time_zone.as_deref().or(zone);
        findings.extend(schedule(&change.cronjob, zone, &at, now));
    }
    findings.extend(only_override(spec, &effective, defaults));
    findings
}

/// Judges the one override that speaks of the lists; where there are two, each cluster tells which of them count.
fn only_override(
    spec: &SegmentSpec,
    base: &EffectiveSegment,
    defaults: &HouseDefaults,
) -> Vec<Finding> {
    let mut speaking = spec
        .overrides
        .iter()
        .enumerate()
        .filter(|(_, change)| speaks_of_lists(change));
    let (Some((index, change)), None) = (speaking.next(), speaking.next()) else {
        return Vec::new();
    };
    let mut effective = base.clone();
    effective.apply(change);
    let at = format!("spec.overrides[{index}]");
    let mut findings = grammar(&effective, defaults, &at);
    // What it does not set was judged with the base.
    findings.retain(|finding| {
        finding
            .field
            .strip_prefix(&at)
            .and_then(|field| field.strip_prefix(".env."))
            .is_some_and(|name| change.env.get(name).is_some())
    });
    findings
}

pub(super) fn speaks_of_lists(change: &Override) -> bool {
    let sets = change
        .env
        .iter()
        .any(|(name, value)| value.is_some() && is_grammar(name));
    sets || change.image.tag.is_some()
        || change.unset.env.iter().any(|name| is_grammar(name))
        || change.env_from_secrets.keys().any(|name| is_grammar(name))
}

fn grammar(effective: &EffectiveSegment, defaults: &HouseDefaults, at: &str) -> Vec<Finding> {
    let own = |name: &'static str| -> Seen<'_> { effective.seen(name) };
    let script = Script::new(&own, defaults, effective.image.tag.as_deref());
    let path = |field: &str| format!("{at}.{field}");
    let mut report = Report::new(as_written(&path));
    rules::grammar(&script, &mut report);
    report.findings
}

/// Judges each variable by itself.
fn parts(env: &SegmentEnv, kind: Option<&str>, at: &str) -> Vec<Finding> {
    let path = |field: &str| format!("{at}.{field}");
    let mut report = Report::new(as_written(&path));
    for (name, value) in env.iter() {
        if let Some(value) = value
            && !mentions_cluster(value)
            && is_read(name, kind)
        {
            rules::part(name, value, &mut report);
        }
    }
    report.findings
}

/// Whether the script looks at the variable at all with this TYPE.
pub(super) fn is_read(name: &str, kind: Option<&str>) -> bool {
    let types = read_by_types(name);
    types.is_empty() || kind.is_none_or(|kind| types.contains(&kind))
}

fn extra(extra: &BTreeMap<String, String>, at: &str) -> Vec<Finding> {
    extra
        .iter()
        .filter_map(|(name, value)| rules::extra(name, value, &format!("{at}.extraEnv.{name}")))
        .collect()
}

fn schedule(
    settings: &CronJobSettings,
    zone: Option<&str>,
    at: &str,
    now: Timestamp,
) -> Vec<Finding> {
    let Some(text) = &settings.schedule else {
        return Vec::new();
    };
    let field = format!("{at}.cronjob.schedule");
    let zone = zone.and_then(|name| time_zone(name).ok());
    if uses_h(text) {
        let events = zone.and_then(|zone| dst::dst_of_some_cluster(text, &zone, now).ok());
        return clock_changes(&field, events.unwrap_or_default(), "on some cluster ");
    }
    let Ok(schedule) = Schedule::parse(text) else {
        return Vec::new();
    };
    if schedule.ever_fires() {
        let events = zone.map(|zone| dst::dst(&schedule, &zone, now));
        return clock_changes(&field, events.unwrap_or_default(), "");
    }
    vec![
        Finding::warning(
            Code::NeverDue,
            field,
            "is never due: no month that it names has such a day",
        )
        .help("write a day that there is, such as 28, or suspend the segment with suspend: true"),
    ]
}

/// What the clocks do to a schedule, with the next date.
fn clock_changes(field: &str, events: Vec<DstEvent>, whose: &str) -> Vec<Finding> {
    events
        .into_iter()
        .map(|event| {
            let code = match event {
                DstEvent::Twice(_) => Code::RunsTwice,
                DstEvent::Never(_) => Code::NeverRuns,
            };
            Finding::warning(
                code,
                field,
                format!("{whose}runs {event}, as the clocks change"),
            )
            .help("choose a time that the clocks do not touch, or leave timeZone out for UTC")
        })
        .collect()
}

/// A place at which values stand as they were written.
fn as_written(path: &dyn Fn(&str) -> String) -> Place<'_> {
    Place {
        path,
        origin: &|_, offset| (offset, false),
    }
}
