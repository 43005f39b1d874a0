//! A Segment, read once: what is the same on every cluster is judged here.
//!
//! In: the resource. Out: [`ParsedSegment`], or every finding at once. Law: what passes renders on every cluster on
//! which its references resolve and no override takes something required away.
//! Not: whether a cluster has what is referred to (`render.rs`).

use super::rules::{Judge, sizes};
use super::{HouseDefaults, forms, resolved, schedule, template};
use crate::assignment::{
    Adoption, Drift, Modes, OnScheduleChange, Removal, RemovalPolicy, RunningJobs,
};
use crate::finding::{Code, Finding, shown};
use crate::ids::{CronJobName, Namespace, SegmentKey, SegmentName, Uid, cronjob_name};
use crate::rollout::Strategy;
use crate::selector::Selector;
use segment_crds::{Segment, SegmentSpec, TolerationOperator};
use std::sync::Arc;

/// A Segment that is valid by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedSegment {
    /// Which Segment.
    pub key: SegmentKey,
    /// Its uid; zero for a Segment that is in no API server yet.
    pub uid: Uid,
    /// Its `metadata.generation`.
    pub generation: i64,
    /// As written.
    pub spec: Arc<SegmentSpec>,
    /// `spec.clusterSelector`.
    pub selector: Selector,
    /// `clusterSelector` of each of `spec.overrides`.
    pub override_selectors: Vec<Selector>,
    /// How its revisions go out (`spec.rollout`).
    pub strategy: Arc<Strategy>,
    /// Namespace of the `CronJob` on a spoke.
    pub target_namespace: Namespace,
    /// Name of the `CronJob` on a spoke.
    pub cronjob_name: CronJobName,
    /// Legal, but probably not meant; empty until lint has judged it.
    pub warnings: Vec<Finding>,
    /// Whether lint has judged it, so that `warnings` are all there are. What was good before lint knew better is not.
    pub(crate) linted: bool,
    /// What of a cluster its base and each override ask for.
    pub(crate) needs: Needs,
}

/// What of a cluster is part of the rendered bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Needs {
    pub(crate) base: Need,
    pub(crate) overrides: Vec<Need>,
}

/// References and `H` of one part of a Segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Need {
    pub(crate) references: Vec<template::Reference>,
    pub(crate) h: bool,
}

/// Reads a Segment from the API server or a file.
///
/// # Errors
/// Every finding that makes it unusable, those of fields that this version does not serve included.
pub fn parse(segment: &Segment) -> Result<ParsedSegment, Vec<Finding>> {
    parse_under(segment, None)
}

/// The same, and what is wrong with it under these house defaults on every cluster that no override speaks of.
pub(crate) fn parse_under(
    segment: &Segment,
    defaults: Option<&HouseDefaults>,
) -> Result<ParsedSegment, Vec<Finding>> {
    let mut findings = Vec::new();
    let metadata = &segment.metadata;
    let mut invalid = |field: &str, message: String| {
        findings.push(Finding::error(Code::InvalidName, field, message));
    };
    let namespace = Namespace::new(metadata.namespace.as_deref().unwrap_or_default())
        .map_err(|error| invalid("metadata.namespace", error.to_string()));
    let name = SegmentName::new(metadata.name.as_deref().unwrap_or_default())
        .map_err(|error| invalid("metadata.name", error.to_string()));
    let uid = metadata
        .uid
        .as_deref()
        .map_or(Ok(Uid::default()), str::parse)
        .map_err(|error: crate::ids::InvalidId| invalid("metadata.uid", error.to_string()));
    let generation = metadata.generation.unwrap_or(0);
    let spec = Arc::new(segment.spec.clone());
    if let (Ok(namespace), Ok(name), Ok(uid)) = (namespace, name, uid) {
        let key = SegmentKey { namespace, name };
        return spec_under(key, uid, generation, spec, defaults);
    }
    // The rest is judged all the same, under a name that will do.
    if let Ok(stand_in) = SegmentKey::new("default", "segment") {
        let rest = spec_under(stand_in, Uid::default(), generation, spec, defaults);
        findings.extend(rest.err().unwrap_or_default());
    }
    Err(findings)
}

/// Reads a spec that belongs to this Segment: a stored revision, or one that is only planned.
///
/// # Errors
/// Every finding that makes it unusable.
pub fn parse_spec(
    key: SegmentKey,
    uid: Uid,
    generation: i64,
    spec: Arc<SegmentSpec>,
) -> Result<ParsedSegment, Vec<Finding>> {
    spec_under(key, uid, generation, spec, None)
}

fn spec_under(
    key: SegmentKey,
    uid: Uid,
    generation: i64,
    spec: Arc<SegmentSpec>,
    defaults: Option<&HouseDefaults>,
) -> Result<ParsedSegment, Vec<Finding>> {
    let mut judge = Judge::default();
    if !sizes::check(&spec, &mut judge) {
        return Err(judge.findings);
    }
    for (field, message) in spec.not_yet() {
        judge.push(Finding::error(Code::NotYet, field, message));
    }
    let target_namespace = target_namespace(&key, &spec, &mut judge);
    let selector = Selector::parse(spec.cluster_selector.as_ref(), "spec.clusterSelector")
        .unwrap_or_else(|findings| judge.all(findings));
    tolerations(&spec, &mut judge);
    let strategy =
        Strategy::parse(spec.rollout.as_ref()).unwrap_or_else(|findings| judge.all(findings));

    judge.cronjob(&spec.cronjob, "spec.cronjob");
    judge.image(&spec.image, "spec.image");
    judge.env(&spec.env, "spec.env");
    judge.extra_env(&spec.extra_env, "spec.extraEnv");
    judge.secrets(&spec.env_from_secrets, "spec.envFromSecrets");
    if spec.cronjob.schedule.is_none() {
        judge.error(
            Code::RequiredVariable,
            "spec.cronjob.schedule",
            "is required",
        );
    }

    let mut override_selectors = Vec::with_capacity(spec.overrides.len());
    for (index, change) in spec.overrides.iter().enumerate() {
        let path = |field: &str| format!("spec.overrides[{index}].{field}");
        override_selectors.push(
            Selector::parse(change.cluster_selector.as_ref(), &path("clusterSelector"))
                .unwrap_or_else(|findings| judge.all(findings)),
        );
        judge.cronjob(&change.cronjob, &path("cronjob"));
        judge.image(&change.image, &path("image"));
        judge.env(&change.env, &path("env"));
        judge.extra_env(&change.extra_env, &path("extraEnv"));
        judge.secrets(&change.env_from_secrets, &path("envFromSecrets"));
        judge.unset(&change.unset, &path("unset"));
    }

    let parsed = ParsedSegment {
        cronjob_name: cronjob_name(&key.name),
        key,
        uid,
        generation,
        selector,
        override_selectors,
        strategy: Arc::new(strategy),
        target_namespace,
        warnings: Vec::new(),
        linted: false,
        needs: needs(&spec),
        spec,
    };
    let database = defaults.filter(|_| !may_change_database(&parsed.spec));
    resolved::judge_base(&parsed.spec, defaults, database, &mut judge);
    if judge.errors > 0 {
        return Err(judge.findings);
    }
    Ok(parsed)
}

/// Whether some cluster may have another database than the base: what the house's asks for may not be asked for there.
fn may_change_database(spec: &SegmentSpec) -> bool {
    spec.overrides.iter().any(|change| {
        change.env.db_type.is_some()
            || change.env.citus_dist_col.is_some()
            || change.unset.env.iter().any(|name| name == "DB_TYPE")
    })
}

fn target_namespace(key: &SegmentKey, spec: &SegmentSpec, judge: &mut Judge) -> Namespace {
    match spec.target_namespace.as_deref().map(Namespace::new) {
        None => key.namespace.clone(),
        Some(Ok(namespace)) => namespace,
        Some(Err(error)) => {
            judge.error(
                Code::InvalidName,
                "spec.targetNamespace",
                &error.to_string(),
            );
            key.namespace.clone()
        }
    }
}

/// Source: `k8s.io/kubernetes/pkg/apis/core/validation`, `ValidateTolerations`.
fn tolerations(spec: &SegmentSpec, judge: &mut Judge) {
    for (index, toleration) in spec.cluster_tolerations.iter().enumerate() {
        let path = |field: &str| format!("spec.clusterTolerations[{index}].{field}");
        let key = toleration.key.as_deref().unwrap_or_default();
        let exists = toleration.operator() == TolerationOperator::Exists;
        if key.is_empty() && !exists {
            judge.error(
                Code::InvalidValue,
                &path("operator"),
                "must be Exists where no key is given",
            );
        }
        if !key.is_empty() && !forms::is_qualified_name(key) {
            judge.error(
                Code::InvalidValue,
                &path("key"),
                &format!("{} is not a taint's key", shown(key)),
            );
        }
        if exists
            && toleration
                .value
                .as_deref()
                .is_some_and(|value| !value.is_empty())
        {
            judge.error(
                Code::InvalidValue,
                &path("value"),
                "must be absent with operator Exists",
            );
        }
    }
}

fn needs(spec: &SegmentSpec) -> Needs {
    let need = |env: &segment_crds::SegmentEnv,
                extra: &std::collections::BTreeMap<String, String>,
                schedule: Option<&String>| {
        let values = env
            .iter()
            .filter_map(|(_, value)| value)
            .chain(extra.values().map(String::as_str));
        let mut references: Vec<_> = values
            // What is no reference was already found.
            .flat_map(|value| template::references(value, "").unwrap_or_default())
            .collect();
        references.sort();
        references.dedup();
        Need {
            references,
            h: schedule.is_some_and(|schedule| schedule::uses_h(schedule)),
        }
    };
    Needs {
        base: need(&spec.env, &spec.extra_env, spec.cronjob.schedule.as_ref()),
        overrides: spec
            .overrides
            .iter()
            .map(|change| {
                need(
                    &change.env,
                    &change.extra_env,
                    change.cronjob.schedule.as_ref(),
                )
            })
            .collect(),
    }
}

// === impl ParsedSegment ===

impl ParsedSegment {
    /// Agent modes: sent at once, no part of the revision.
    pub fn modes(&self) -> Modes {
        Modes {
            drift: match self.spec.drift() {
                segment_crds::Drift::Correct => Drift::Correct,
                segment_crds::Drift::Report => Drift::Report,
                segment_crds::Drift::IfNotDrifted => Drift::IfNotDrifted,
            },
            adoption: match self.spec.adoption() {
                segment_crds::Adoption::Never => Adoption::Never,
                segment_crds::Adoption::IfSame => Adoption::IfSame,
                segment_crds::Adoption::Always => Adoption::Always,
            },
            on_schedule_change: match self.spec.on_schedule_change() {
                segment_crds::OnScheduleChange::Skip => OnScheduleChange::Skip,
                segment_crds::OnScheduleChange::RunOnce => OnScheduleChange::RunOnce,
            },
        }
    }

    /// How its `CronJob` leaves a cluster.
    pub fn removal(&self) -> Removal {
        Removal {
            policy: match self.spec.removal_policy() {
                segment_crds::RemovalPolicy::Delete => RemovalPolicy::Delete,
                segment_crds::RemovalPolicy::Orphan => RemovalPolicy::Orphan,
            },
            running_jobs: match self.spec.running_jobs() {
                segment_crds::RunningJobs::Finish => RunningJobs::Finish,
                segment_crds::RunningJobs::Kill => RunningJobs::Kill,
            },
        }
    }

    /// Nothing new goes out.
    pub fn paused(&self) -> bool {
        self.spec.paused()
    }
}
