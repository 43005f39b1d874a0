//! House defaults: what an absent field means on this hub.
//!
//! In: (name, value) pairs of the hub's environment. Out: [`HouseDefaults`], or a finding for each variable that is
//! wrong, so that a hub does not start with it. Law: a value: the same environment gives the same defaults, and they
//! are part of every revision's digest. Not: reading the environment (the hub's `config.rs`).

use super::forms::{is_dns_subdomain, is_image_repository, is_image_tag, is_secret_key};
use super::template;
use super::variables::{DB_TYPES, DEFAULT_SECRET, DEFAULT_SECRET_KEYS, DEFAULTS, is_boolean};
use crate::assignment::{ConcurrencyPolicy, PodSecurity, PullPolicy, RestartPolicy};
use crate::finding::{Code, Finding};
use segment_crds::limits::{HISTORY_MAX, SHORT_VALUE_MAX_CHARS};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an absent field means. Its JSON is part of the revision's canonical bytes: renaming a field is a new revision
/// of every Segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HouseDefaults {
    /// `CRONJOB_CONCURRENCY_POLICY`, in Kubernetes' words.
    pub concurrency_policy: ConcurrencyPolicy,
    /// `CRONJOB_FAILED_JOBS_HISTORY_LIMIT`.
    pub failed_jobs_history_limit: i32,
    /// `CRONJOB_SUCCESSFUL_JOBS_HISTORY_LIMIT`.
    pub successful_jobs_history_limit: i32,
    /// Variables of the script with a default, by name; always rendered.
    pub env: BTreeMap<String, String>,
    /// `DB_SECRET`: the Secret of variables that name none.
    pub secret: String,
    /// `DB_USER`, `DB_NAME`, `DB_PASSWORD`: keys in that Secret, by variable.
    pub secret_keys: BTreeMap<String, String>,
    /// `IMAGE_REPOSITORY`.
    pub image_repository: String,
    /// `IMAGE_TAG`.
    pub image_tag: String,
    /// `IMAGE_PULL_POLICY`.
    pub image_pull_policy: PullPolicy,
    /// `IMAGE_PULL_SECRETS`, split at commas.
    pub image_pull_secrets: Vec<String>,
    /// `IMAGE_RESTART_POLICY`.
    pub image_restart_policy: RestartPolicy,
    /// `POD_SECURITY`.
    pub pod_security: PodSecurity,
}

/// A default as `segctl hub info` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveDefault {
    /// The hub variable that sets it.
    pub variable: String,
    /// The value in force. For `DB_USER`, `DB_NAME` and `DB_PASSWORD` a key in a Secret.
    pub value: String,
    /// Whether it is another than the built-in one.
    pub changed: bool,
}

impl Default for HouseDefaults {
    /// The built-in table.
    fn default() -> Self {
        let owned = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        Self {
            concurrency_policy: ConcurrencyPolicy::Allow,
            failed_jobs_history_limit: 1,
            successful_jobs_history_limit: 1,
            env: owned(&DEFAULTS),
            secret: DEFAULT_SECRET.to_owned(),
            secret_keys: owned(&DEFAULT_SECRET_KEYS),
            image_repository: "gitlab.alvary.io:5000/grnry/segment-table-creation".to_owned(),
            image_tag: "0.7.0".to_owned(),
            image_pull_policy: PullPolicy::IfNotPresent,
            image_pull_secrets: vec!["grnry-base-private-registry-token".to_owned()],
            image_restart_policy: RestartPolicy::OnFailure,
            pod_security: PodSecurity::Baseline,
        }
    }
}

impl HouseDefaults {
    /// Makes the defaults from an environment; variables that are none of ours are passed over. The last of two equal
    /// names counts.
    ///
    /// # Errors
    /// A finding for each variable with a value that could not work; its field is the variable's name.
    pub fn from_env(
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Vec<Finding>> {
        // Sorted, so that the findings come in one order.
        let variables: BTreeMap<String, String> = variables.collect();
        let mut defaults = Self::default();
        let findings: Vec<Finding> = variables
            .iter()
            .filter_map(|(name, value)| {
                defaults
                    .set(name, value)
                    .err()
                    .map(|message| Finding::error(Code::InvalidValue, name, message))
            })
            .collect();
        if findings.is_empty() {
            Ok(defaults)
        } else {
            Err(findings)
        }
    }

    /// Sets one default by its hub variable; a name that is none of ours changes nothing.
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "CRONJOB_CONCURRENCY_POLICY" => {
                self.concurrency_policy = match value {
                    "Always" | "Allow" => ConcurrencyPolicy::Allow,
                    "Forbid" => ConcurrencyPolicy::Forbid,
                    "Replace" => ConcurrencyPolicy::Replace,
                    _ => return Err(not_one_of(value, &["Always", "Allow", "Forbid", "Replace"])),
                };
            }
            "CRONJOB_FAILED_JOBS_HISTORY_LIMIT" => self.failed_jobs_history_limit = history(value)?,
            "CRONJOB_SUCCESSFUL_JOBS_HISTORY_LIMIT" => {
                self.successful_jobs_history_limit = history(value)?;
            }
            "DB_SECRET" => {
                if !is_dns_subdomain(value) {
                    return Err(format!("{value:?} is not the name of a Secret"));
                }
                value.clone_into(&mut self.secret);
            }
            "DB_USER" | "DB_NAME" | "DB_PASSWORD" => {
                if !is_secret_key(value) {
                    return Err(format!("{value:?} is not a key of a Secret"));
                }
                self.secret_keys.insert(name.to_owned(), value.to_owned());
            }
            "IMAGE_REPOSITORY" => {
                if !is_image_repository(value) {
                    return Err(format!(
                        "{value:?} is not an image's registry and path (the tag is IMAGE_TAG)"
                    ));
                }
                value.clone_into(&mut self.image_repository);
            }
            "IMAGE_TAG" => {
                if !is_image_tag(value) {
                    return Err(format!(
                        "{value:?} is neither a tag nor sha256: and 64 hexadecimal digits"
                    ));
                }
                value.clone_into(&mut self.image_tag);
            }
            "IMAGE_PULL_POLICY" => {
                self.image_pull_policy = match value {
                    "Always" => PullPolicy::Always,
                    "IfNotPresent" => PullPolicy::IfNotPresent,
                    "Never" => PullPolicy::Never,
                    _ => return Err(not_one_of(value, &["Always", "IfNotPresent", "Never"])),
                };
            }
            "IMAGE_PULL_SECRETS" => self.image_pull_secrets = pull_secrets(value)?,
            "IMAGE_RESTART_POLICY" => {
                self.image_restart_policy = match value {
                    "OnFailure" => RestartPolicy::OnFailure,
                    "Never" => RestartPolicy::Never,
                    _ => return Err(not_one_of(value, &["OnFailure", "Never"])),
                };
            }
            "POD_SECURITY" => {
                self.pod_security = match value {
                    "chart" => PodSecurity::Chart,
                    "baseline" => PodSecurity::Baseline,
                    "restricted" => PodSecurity::Restricted,
                    _ => return Err(not_one_of(value, &["chart", "baseline", "restricted"])),
                };
            }
            _ => {
                if let Some(default) = self.env.get_mut(name) {
                    check_variable(name, value)?;
                    value.clone_into(default);
                }
            }
        }
        Ok(())
    }

    /// Every default with the hub variable that sets it, sorted by variable.
    pub fn effective(&self) -> Vec<EffectiveDefault> {
        let built_in: BTreeMap<String, String> =
            Self::default().by_variable().into_iter().collect();
        let mut list: Vec<EffectiveDefault> = self
            .by_variable()
            .into_iter()
            .map(|(variable, value)| EffectiveDefault {
                changed: built_in.get(&variable) != Some(&value),
                variable,
                value,
            })
            .collect();
        list.sort_by(|a, b| a.variable.cmp(&b.variable));
        list
    }

    fn by_variable(&self) -> Vec<(String, String)> {
        let Self {
            concurrency_policy,
            failed_jobs_history_limit,
            successful_jobs_history_limit,
            env,
            secret,
            secret_keys,
            image_repository,
            image_tag,
            image_pull_policy,
            image_pull_secrets,
            image_restart_policy,
            pod_security,
        } = self;
        let pod_security = match pod_security {
            PodSecurity::Chart => "chart",
            PodSecurity::Baseline => "baseline",
            PodSecurity::Restricted => "restricted",
        };
        let mut list = vec![
            (
                "CRONJOB_CONCURRENCY_POLICY".to_owned(),
                format!("{concurrency_policy:?}"),
            ),
            (
                "CRONJOB_FAILED_JOBS_HISTORY_LIMIT".to_owned(),
                failed_jobs_history_limit.to_string(),
            ),
            (
                "CRONJOB_SUCCESSFUL_JOBS_HISTORY_LIMIT".to_owned(),
                successful_jobs_history_limit.to_string(),
            ),
            ("DB_SECRET".to_owned(), secret.clone()),
            ("IMAGE_REPOSITORY".to_owned(), image_repository.clone()),
            ("IMAGE_TAG".to_owned(), image_tag.clone()),
            (
                "IMAGE_PULL_POLICY".to_owned(),
                format!("{image_pull_policy:?}"),
            ),
            (
                "IMAGE_PULL_SECRETS".to_owned(),
                image_pull_secrets.join(","),
            ),
            (
                "IMAGE_RESTART_POLICY".to_owned(),
                format!("{image_restart_policy:?}"),
            ),
            ("POD_SECURITY".to_owned(), pod_security.to_owned()),
        ];
        for (name, value) in env.iter().chain(secret_keys) {
            list.push((name.clone(), value.clone()));
        }
        list
    }
}

/// Splits a list of pull secrets at commas, each once, in order. An empty text is no secret.
pub(crate) fn pull_secret_names(value: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The same, where each name is one that a Secret can have.
pub(super) fn pull_secrets(value: &str) -> Result<Vec<String>, String> {
    let names = pull_secret_names(value);
    match names.iter().find(|name| !is_dns_subdomain(name)) {
        Some(name) => Err(format!("{name:?} is not the name of a Secret")),
        None => Ok(names),
    }
}

/// Judges a default of a variable of the script.
fn check_variable(name: &str, value: &str) -> Result<(), String> {
    // A Service called "db" in the hub's namespace would inject DB_PORT=tcp://…: this is where it would be seen.
    if value.contains('\0') || value.chars().count() > SHORT_VALUE_MAX_CHARS {
        return Err(format!(
            "must have at most {SHORT_VALUE_MAX_CHARS} characters, and no NUL"
        ));
    }
    if is_boolean(name) && !matches!(value, "True" | "False") {
        return Err(not_one_of(value, &["True", "False"]));
    }
    match name {
        "DB_TYPE" if !DB_TYPES.contains(&value) => return Err(not_one_of(value, &DB_TYPES)),
        "DB_PORT" if value.parse::<u16>().map_or(0, u16::from) == 0 => {
            return Err(format!("{value:?} is not a port from 1 to 65535"));
        }
        "PROMETHEUS_JOB" | "PROMETHEUS_PUSHGATEWAY" => {}
        _ if value.is_empty() => return Err("must not be empty".to_owned()),
        _ => {}
    }
    // Which clusters may share rendered bytes is known from the Segment alone.
    if template::mentions_cluster(value) {
        return Err("$(cluster.…) is for Segments, not for house defaults".to_owned());
    }
    let secret = template::variables(value)
        .find(|name| DEFAULT_SECRET_KEYS.iter().any(|(known, _)| known == name));
    match secret {
        Some(secret) => Err(format!(
            "$({secret}) would put a value from a Secret into another variable"
        )),
        None => Ok(()),
    }
}

fn history(value: &str) -> Result<i32, String> {
    value
        .parse()
        .ok()
        .filter(|limit| (0..=HISTORY_MAX).contains(limit))
        .ok_or_else(|| format!("{value:?} is not a number from 0 to {HISTORY_MAX}"))
}

fn not_one_of(value: &str, allowed: &[&str]) -> String {
    format!("{value:?} is not one of {}", allowed.join(", "))
}

#[cfg(test)]
mod tests;
