//! Rules over single fields: what the API server of a spoke would refuse at 3 a.m. is refused here at noon.
//!
//! In: parts of a spec, the base or an override. Out: findings with the path of the field.
//! Law: never laxer than the API server. Not: rules over several fields (`whole.rs`), CEL (`crds`).

mod resources;
pub(super) mod sizes;
#[cfg(test)]
mod tests;
mod whole;

pub(crate) use whole::Seen;

use super::defaults::pull_secrets;
use super::variables::DEFAULT_SECRET_KEYS;
use super::{forms, schedule, template};
use crate::finding::{Code, Finding, shown};
use crate::names;
use k8s_openapi::api::core::v1::Toleration;
use segment_crds::limits::{HISTORY_MAX, SECONDS_MAX, STARTING_DEADLINE_SECONDS_MAX};
use segment_crds::{CronJobSettings, GROUP, ImageSettings, SecretRef, SegmentEnv, Unset};
use std::collections::BTreeMap;

/// Collects findings.
#[derive(Debug, Default)]
pub(super) struct Judge {
    pub(super) findings: Vec<Finding>,
    /// How many of them are errors.
    pub(super) errors: usize,
}

impl Judge {
    pub(super) fn push(&mut self, finding: Finding) {
        self.errors += usize::from(finding.is_error());
        self.findings.push(finding);
    }

    /// Takes all of them, and gives what stands in for the value that could not be made.
    pub(super) fn all<T: Default>(&mut self, findings: Vec<Finding>) -> T {
        for finding in findings {
            self.push(finding);
        }
        T::default()
    }

    pub(super) fn error(&mut self, code: Code, field: &str, message: &str) {
        self.push(Finding::error(code, field, message));
    }

    fn result(&mut self, result: Result<(), Finding>) {
        if let Err(finding) = result {
            self.push(finding);
        }
    }

    pub(super) fn cronjob(&mut self, settings: &CronJobSettings, at: &str) {
        if let Some(text) = &settings.schedule {
            self.result(schedule::check(text, &format!("{at}.schedule")));
        }
        if let Some(zone) = &settings.time_zone {
            self.result(schedule::check_time_zone(zone, &format!("{at}.timeZone")));
        }
        let history = i64::from(HISTORY_MAX);
        for (name, value, min, max) in [
            (
                "failedJobsHistoryLimit",
                settings.failed_jobs_history_limit.map(i64::from),
                0,
                history,
            ),
            (
                "successfulJobsHistoryLimit",
                settings.successful_jobs_history_limit.map(i64::from),
                0,
                history,
            ),
            (
                "backoffLimit",
                settings.backoff_limit.map(i64::from),
                0,
                history,
            ),
            (
                "startingDeadlineSeconds",
                settings.starting_deadline_seconds,
                0,
                STARTING_DEADLINE_SECONDS_MAX,
            ),
            (
                "activeDeadlineSeconds",
                settings.active_deadline_seconds,
                1,
                SECONDS_MAX,
            ),
            (
                "ttlSecondsAfterFinished",
                settings.ttl_seconds_after_finished.map(i64::from),
                0,
                SECONDS_MAX,
            ),
        ] {
            if let Some(value) = value
                && !(min..=max).contains(&value)
            {
                let message = format!("{value} is not within {min} to {max}");
                self.error(Code::OutOfRange, &format!("{at}.{name}"), &message);
            }
        }
        if let Some(account) = &settings.service_account_name
            && !forms::is_dns_subdomain(account)
        {
            let message = format!("{} is not the name of a service account", shown(account));
            self.error(
                Code::InvalidName,
                &format!("{at}.serviceAccountName"),
                &message,
            );
        }
        if let Some(amounts) = &settings.resources {
            resources::check(amounts, &format!("{at}.resources"), self);
        }
        self.labels(
            settings.node_selector.as_ref(),
            &format!("{at}.nodeSelector"),
            |_| false,
        );
        self.labels(
            settings.labels.as_ref(),
            &format!("{at}.labels"),
            is_reserved_label,
        );
        self.annotations(settings.annotations.as_ref(), &format!("{at}.annotations"));
        for (index, toleration) in settings.tolerations.iter().flatten().enumerate() {
            self.toleration(toleration, &format!("{at}.tolerations[{index}]"));
        }
    }

    fn labels(
        &mut self,
        labels: Option<&BTreeMap<String, String>>,
        at: &str,
        reserved: fn(&str) -> bool,
    ) {
        for (key, value) in labels.into_iter().flatten() {
            let field = format!("{at}.{key}");
            if !forms::is_qualified_name(key) {
                self.error(
                    Code::InvalidValue,
                    &field,
                    &format!("{} is not a label's key", shown(key)),
                );
            } else if reserved(key) {
                self.error(
                    Code::InvalidValue,
                    &field,
                    "this label is set by the fleet or by Kubernetes",
                );
            }
            if !forms::is_label_value(value) {
                self.error(
                    Code::InvalidValue,
                    &field,
                    &format!("{} is not a label's value", shown(value)),
                );
            }
        }
    }

    fn annotations(&mut self, annotations: Option<&BTreeMap<String, String>>, at: &str) {
        for key in annotations.into_iter().flatten().map(|(key, _)| key) {
            let field = format!("{at}.{key}");
            if !forms::is_annotation_key(key) {
                self.error(
                    Code::InvalidValue,
                    &field,
                    &format!("{} is not an annotation's key", shown(key)),
                );
            } else if is_reserved_prefix(key) {
                self.error(
                    Code::InvalidValue,
                    &field,
                    "this annotation is set by the fleet or by Kubernetes",
                );
            }
        }
    }

    /// Source: `k8s.io/kubernetes/pkg/apis/core/validation`, `ValidateTolerations`.
    fn toleration(&mut self, toleration: &Toleration, at: &str) {
        let key = toleration.key.as_deref().unwrap_or_default();
        let operator = toleration.operator.as_deref().unwrap_or_default();
        let value = toleration.value.as_deref().unwrap_or_default();
        let effect = toleration.effect.as_deref().unwrap_or_default();
        let mut wrong = |field: &str, message: &str| {
            self.push(Finding::error(
                Code::InvalidValue,
                format!("{at}.{field}"),
                message,
            ));
        };
        if !key.is_empty() && !forms::is_qualified_name(key) {
            wrong("key", &format!("{} is not a taint's key", shown(key)));
        }
        match operator {
            "" | "Equal" if key.is_empty() => {
                wrong("operator", "must be Exists where no key is given");
            }
            "" | "Equal" if !forms::is_label_value(value) => {
                wrong("value", &format!("{} is not a taint's value", shown(value)));
            }
            "Exists" if !value.is_empty() => wrong("value", "must be absent with operator Exists"),
            "" | "Equal" | "Exists" => {}
            other => wrong(
                "operator",
                &format!("{} is not one of Equal, Exists", shown(other)),
            ),
        }
        if !matches!(effect, "" | "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
            wrong(
                "effect",
                &format!(
                    "{} is not one of NoSchedule, PreferNoSchedule, NoExecute",
                    shown(effect)
                ),
            );
        }
        if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
            wrong("tolerationSeconds", "is for effect NoExecute only");
        }
    }

    pub(super) fn image(&mut self, image: &ImageSettings, at: &str) {
        if let Some(repository) = &image.repository
            && !forms::is_image_repository(repository)
        {
            self.push(
                Finding::error(
                    Code::InvalidValue,
                    format!("{at}.repository"),
                    format!("{} is not an image's registry and path", shown(repository)),
                )
                .help("the tag or digest belongs in spec.image.tag"),
            );
        }
        if let Some(tag) = &image.tag
            && !forms::is_image_tag(tag)
        {
            let message = format!(
                "{} is neither a tag nor sha256: and 64 hexadecimal digits",
                shown(tag)
            );
            self.error(Code::InvalidValue, &format!("{at}.tag"), &message);
        }
        if let Some(Err(message)) = image.pull_secrets.as_deref().map(pull_secrets) {
            self.error(Code::InvalidName, &format!("{at}.pullSecrets"), &message);
        }
    }

    pub(super) fn env(&mut self, env: &SegmentEnv, at: &str) {
        for (name, value) in env.iter() {
            if let Some(value) = value {
                self.value(value, &format!("{at}.{name}"));
            }
        }
    }

    pub(super) fn extra_env(&mut self, extra: &BTreeMap<String, String>, at: &str) {
        for (name, value) in extra {
            let field = format!("{at}.{name}");
            if SegmentEnv::is_known(name) {
                let message = format!("{name} is a variable of the script: it belongs in spec.env");
                self.error(Code::DuplicateVariable, &field, &message);
            } else if is_always_secret(name) {
                let message = format!(
                    "{name} always comes from a Secret: spec.envFromSecrets may redirect it"
                );
                self.error(Code::DuplicateVariable, &field, &message);
            }
            self.env_name(name, &field);
            self.value(value, &field);
        }
    }

    pub(super) fn secrets(&mut self, secrets: &BTreeMap<String, SecretRef>, at: &str) {
        for (name, reference) in secrets {
            let field = format!("{at}.{name}");
            self.env_name(name, &field);
            if name == "TYPE" {
                self.error(
                    Code::InvalidValue,
                    &field,
                    "TYPE decides what is checked, so it can't come from a Secret",
                );
            }
            if let Some(secret) = &reference.secret
                && !forms::is_dns_subdomain(secret)
            {
                let message = format!("{} is not the name of a Secret", shown(secret));
                self.error(Code::InvalidName, &format!("{field}.secret"), &message);
            }
            match &reference.key {
                Some(key) if !forms::is_secret_key(key) => {
                    let message = format!("{} is not a key of a Secret", shown(key));
                    self.error(Code::InvalidName, &format!("{field}.key"), &message);
                }
                None if !is_always_secret(name) => {
                    self.error(
                        Code::RequiredVariable,
                        &format!("{field}.key"),
                        "is required: it has no default",
                    );
                }
                _ => {}
            }
        }
    }

    pub(super) fn unset(&mut self, unset: &Unset, at: &str) {
        for (list, names, known) in [
            ("env", &unset.env, SegmentEnv::NAMES),
            ("cronjob", &unset.cronjob, CronJobSettings::FIELDS),
        ] {
            for (index, name) in names.iter().enumerate() {
                if !known.contains(&name.as_str()) {
                    let message = format!("{} is not a field of spec.{list}", shown(name));
                    self.error(
                        Code::InvalidValue,
                        &format!("{at}.{list}[{index}]"),
                        &message,
                    );
                }
            }
        }
    }

    fn env_name(&mut self, name: &str, field: &str) {
        if !forms::is_env_name(name) {
            self.error(
                Code::InvalidName,
                field,
                &format!("{} is not a variable's name", shown(name)),
            );
        }
    }

    fn value(&mut self, value: &str, field: &str) {
        if let Some(offset) = value.find('\0') {
            // The API server takes it; no process can be started with it.
            self.push(
                Finding::error(Code::InvalidValue, field, "a NUL can't stand in a variable")
                    .at(offset),
            );
        }
        self.result(template::references(value, field).map(|_| ()));
    }
}

fn is_always_secret(name: &str) -> bool {
    DEFAULT_SECRET_KEYS.iter().any(|(known, _)| *known == name)
}

/// Ours, and those by which Kubernetes binds Jobs and Pods.
fn is_reserved_prefix(key: &str) -> bool {
    let Some((prefix, _)) = key.split_once('/') else {
        return false;
    };
    let prefix = prefix.to_ascii_lowercase();
    prefix == GROUP || prefix.ends_with(&format!(".{GROUP}")) || prefix == "batch.kubernetes.io"
}

fn is_reserved_label(key: &str) -> bool {
    is_reserved_prefix(key)
        || [
            names::LABEL_APP_NAME,
            names::LABEL_APP_INSTANCE,
            names::LABEL_APP_COMPONENT,
            names::LABEL_APP_PART_OF,
            names::LABEL_APP_MANAGED_BY,
            // Set on the Pods by the Job controller.
            "controller-uid",
            "job-name",
        ]
        .contains(&key)
}
