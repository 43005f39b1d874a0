//! The variables of the container on one cluster.
//!
//! In: what a Segment says for that cluster, the house defaults, the cluster. Out: values and secret keys by name.
//! Law: defaults are always there, unset variables without a default are not; no variable stands in two places; no value
//! takes another from a Secret. Not: their order in the Pod (`cronjob.rs`).

use super::rules::{Judge, Seen};
use super::{EffectiveSegment, HouseDefaults, ParsedSegment, overrides, template};
use crate::assignment::SecretKey;
use crate::finding::{Code, Finding};
use crate::placement::ClusterView;
use segment_crds::SegmentSpec;
use std::collections::{BTreeMap, BTreeSet};

/// The variables of the container.
#[derive(Debug)]
pub(crate) struct Variables {
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) secret_env: BTreeMap<String, SecretKey>,
}

/// Resolves them for one cluster, or says all that is wrong there.
pub(crate) fn variables(
    segment: &ParsedSegment,
    effective: &EffectiveSegment,
    defaults: &HouseDefaults,
    cluster: &ClusterView,
) -> Result<Variables, Vec<Finding>> {
    let mut judge = Judge::default();
    let path = |field: &str| effective.path(segment, field);
    let mut env = BTreeMap::new();
    let mut unresolved = BTreeSet::new();
    let given = effective
        .env
        .iter()
        .filter_map(|(name, value)| value.map(|value| ("env", name, value)));
    let extra = effective
        .extra_env
        .iter()
        .map(|(name, value)| ("extraEnv", name.as_str(), value.as_str()));
    for (list, name, value) in given.chain(extra) {
        // The path is made only where it is needed: most values have no reference.
        match template::expand(value, cluster, "") {
            Ok(value) => {
                env.insert(name.to_owned(), value.into_owned());
            }
            Err(finding) => {
                unresolved.insert(name);
                judge.push(Finding {
                    field: path(&format!("{list}.{name}")),
                    ..finding
                });
            }
        }
    }

    let seen = |name: &str| {
        if effective.env_from_secrets.contains_key(name) || unresolved.contains(name) {
            return Seen::Later;
        }
        env.get(name)
            .map_or(Seen::Absent, |value| Seen::Text(value))
    };
    let db_type = defaults.env.get("DB_TYPE").map(String::as_str);
    judge.whole(effective, &seen, db_type, &path);

    let secret_env = secret_env(effective, defaults);
    for (name, value) in &defaults.env {
        if !secret_env.contains_key(name) && !env.contains_key(name) {
            env.insert(name.clone(), value.clone());
        }
    }
    secret_references(&env, &secret_env, effective, &path, &mut judge);
    if judge.errors > 0 {
        return Err(judge.findings);
    }
    Ok(Variables { env, secret_env })
}

/// What is wrong with a Segment under these defaults on every cluster that no override speaks of.
pub(crate) fn base_findings(spec: &SegmentSpec, defaults: &HouseDefaults) -> Vec<Finding> {
    let mut judge = Judge::default();
    judge_base(spec, Some(defaults), Some(defaults), &mut judge);
    judge.findings
}

/// Judges a Segment's base as a whole, as far as the house is known. `database` are the defaults that say which database
/// it is, where the base decides that.
pub(super) fn judge_base(
    spec: &SegmentSpec,
    defaults: Option<&HouseDefaults>,
    database: Option<&HouseDefaults>,
    judge: &mut Judge,
) {
    let base = overrides::base(spec);
    let path = |field: &str| format!("spec.{field}");
    let db_type = database
        .and_then(|defaults| defaults.env.get("DB_TYPE"))
        .map(String::as_str);
    judge.whole(&base, &|name| base.seen(name), db_type, &path);
    let Some(defaults) = defaults else {
        return;
    };
    let given = base
        .env
        .iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    let env = defaults
        .env
        .clone()
        .into_iter()
        .chain(given)
        .chain(base.extra_env.clone())
        .collect();
    secret_references(&env, &secret_env(&base, defaults), &base, &path, judge);
}

/// `DB_USER`, `DB_NAME` and `DB_PASSWORD` are always there; what names no secret or key gets the house's.
fn secret_env(
    effective: &EffectiveSegment,
    defaults: &HouseDefaults,
) -> BTreeMap<String, SecretKey> {
    let always = defaults.secret_keys.keys().map(|name| (name, None));
    let given = effective
        .env_from_secrets
        .iter()
        .map(|(name, reference)| (name, Some(reference)));
    always
        .chain(given)
        .map(|(name, reference)| {
            let secret = reference.and_then(|reference| reference.secret.as_ref());
            let key = reference.and_then(|reference| reference.key.as_ref());
            let key = key.or_else(|| defaults.secret_keys.get(name));
            let value = SecretKey {
                secret: secret.unwrap_or(&defaults.secret).clone(),
                // A reference without a key is refused by `parse` where there is no default.
                key: key.cloned().unwrap_or_default(),
            };
            (name.clone(), value)
        })
        .collect()
}

/// The kubelet would put the Secret's value into a variable that may leave the cluster (`PROMETHEUS_JOB`).
fn secret_references(
    env: &BTreeMap<String, String>,
    secret_env: &BTreeMap<String, SecretKey>,
    effective: &EffectiveSegment,
    path: &dyn Fn(&str) -> String,
    judge: &mut Judge,
) {
    for (name, value) in env.iter().filter(|(_, value)| value.contains("$(")) {
        for secret in
            template::variables(value).filter(|variable| secret_env.contains_key(*variable))
        {
            let list = if effective.extra_env.contains_key(name) {
                "extraEnv"
            } else {
                "env"
            };
            let message = format!("$({secret}) would put a value from a Secret into {name}");
            judge.push(
                Finding::error(
                    Code::SecretReference,
                    path(&format!("{list}.{name}")),
                    message,
                )
                .help("$$( is a literal $("),
            );
        }
    }
}
