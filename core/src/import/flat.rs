//! A `CronJob` as flat fields, each with one value: what many clusters are compared by.
//!
//! In: a [`Template`]. Out: [`Flat`], and from differences of two of them what a Segment or an override says.
//! Law: equal [`Flat`]s, equal templates but for names and `POD_SECURITY`. Not: which value is the base.

use super::image;
use crate::assignment::Template;
use crate::segment::HouseDefaults;
use segment_crds::{
    CronJobSettings, ImageSettings, Override, SecretRef, SegmentEnv, SegmentSpec, Unset,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// A field of a `CronJob` that a Segment can say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Field {
    /// Of `spec.cronjob`.
    CronJob(&'static str),
    /// Of `spec.image`.
    Image(&'static str),
    /// A variable, whether it is a text or from a Secret.
    Variable(String),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CronJob(name) => write!(f, "cronjob.{name}"),
            Self::Image(name) => write!(f, "image.{name}"),
            Self::Variable(name) => write!(f, "env.{name}"),
        }
    }
}

/// Values by field. A variable is a text, or `{secret, key}`.
pub(super) type Flat = BTreeMap<Field, Value>;

fn value(of: impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

/// All that a template says.
pub(super) fn of_template(template: &Template) -> Flat {
    let mut flat = Flat::new();
    let mut cronjob = |name, value: Value| {
        if !super::document::is_empty(&value) {
            flat.insert(Field::CronJob(name), value);
        }
    };
    cronjob("schedule", value(&template.schedule));
    cronjob("timeZone", value(&template.time_zone));
    cronjob("suspend", value(template.suspend.then_some(true)));
    cronjob("concurrencyPolicy", value(template.concurrency_policy));
    cronjob(
        "startingDeadlineSeconds",
        value(template.starting_deadline_seconds),
    );
    cronjob(
        "failedJobsHistoryLimit",
        value(template.failed_jobs_history_limit),
    );
    cronjob(
        "successfulJobsHistoryLimit",
        value(template.successful_jobs_history_limit),
    );
    cronjob("backoffLimit", value(template.backoff_limit));
    cronjob(
        "activeDeadlineSeconds",
        value(template.active_deadline_seconds),
    );
    cronjob(
        "ttlSecondsAfterFinished",
        value(template.ttl_seconds_after_finished),
    );
    cronjob("serviceAccountName", value(&template.service_account_name));
    cronjob("nodeSelector", value(&template.node_selector));
    cronjob("tolerations", value(&template.tolerations));
    cronjob("labels", value(&template.labels));
    cronjob("annotations", value(&template.annotations));
    let mut resources = Map::new();
    for (name, amounts) in [
        ("limits", &template.limits),
        ("requests", &template.requests),
    ] {
        if !amounts.is_empty() {
            resources.insert(name.to_owned(), value(amounts));
        }
    }
    cronjob("resources", Value::Object(resources));

    let (repository, tag) = image::split(&template.image);
    flat.extend([
        (Field::Image("repository"), json!(repository)),
        (Field::Image("tag"), json!(tag.unwrap_or_default())),
        (
            Field::Image("pullPolicy"),
            value(template.image_pull_policy),
        ),
        (
            Field::Image("pullSecrets"),
            json!(template.image_pull_secrets.join(",")),
        ),
        (
            Field::Image("restartPolicy"),
            value(template.restart_policy),
        ),
    ]);
    for (name, text) in &template.env {
        flat.insert(Field::Variable(name.clone()), json!(text));
    }
    for (name, secret) in &template.secret_env {
        flat.insert(Field::Variable(name.clone()), value(secret));
    }
    flat
}

/// What an absent field means on this hub.
pub(super) fn of_defaults(defaults: &HouseDefaults) -> Flat {
    let mut flat: Flat = [
        (
            Field::CronJob("concurrencyPolicy"),
            value(defaults.concurrency_policy),
        ),
        (
            Field::CronJob("failedJobsHistoryLimit"),
            value(defaults.failed_jobs_history_limit),
        ),
        (
            Field::CronJob("successfulJobsHistoryLimit"),
            value(defaults.successful_jobs_history_limit),
        ),
        (Field::Image("repository"), json!(defaults.image_repository)),
        (Field::Image("tag"), json!(defaults.image_tag)),
        (
            Field::Image("pullPolicy"),
            value(defaults.image_pull_policy),
        ),
        (
            Field::Image("pullSecrets"),
            json!(defaults.image_pull_secrets.join(",")),
        ),
        (
            Field::Image("restartPolicy"),
            value(defaults.image_restart_policy),
        ),
    ]
    .into();
    for (name, text) in &defaults.env {
        flat.insert(Field::Variable(name.clone()), json!(text));
    }
    for (name, key) in &defaults.secret_keys {
        flat.insert(
            Field::Variable(name.clone()),
            json!({"secret": defaults.secret, "key": key}),
        );
    }
    flat
}

/// What flat fields say, in the words of a Segment.
#[derive(Default)]
struct Said {
    cronjob: Map<String, Value>,
    image: Map<String, Value>,
    env: SegmentEnv,
    extra_env: BTreeMap<String, String>,
    env_from_secrets: BTreeMap<String, SecretRef>,
}

impl Said {
    fn say(&mut self, field: &Field, value: &Value) {
        match (field, value) {
            (Field::CronJob(name), _) => {
                self.cronjob.insert((*name).to_owned(), value.clone());
            }
            (Field::Image(name), _) => {
                self.image.insert((*name).to_owned(), value.clone());
            }
            (Field::Variable(name), Value::String(text)) => {
                if !self.env.set(name, Some(text.clone())) {
                    self.extra_env.insert(name.clone(), text.clone());
                }
            }
            (Field::Variable(name), secret) => {
                let text = |key: &str| secret[key].as_str().map(str::to_owned);
                self.env_from_secrets.insert(
                    name.clone(),
                    SecretRef {
                        secret: text("secret"),
                        key: text("key"),
                    },
                );
            }
        }
    }

    /// Every value came from a template, so that each is of its type.
    fn settings(&mut self) -> (CronJobSettings, ImageSettings) {
        let cronjob = Value::Object(std::mem::take(&mut self.cronjob));
        let image = Value::Object(std::mem::take(&mut self.image));
        (
            serde_json::from_value(cronjob).unwrap_or_default(),
            serde_json::from_value(image).unwrap_or_default(),
        )
    }
}

/// A spec that says `flat`, less what the defaults say already; how much that was.
pub(super) fn spec(flat: &Flat, defaults: &Flat) -> (SegmentSpec, usize) {
    let mut said = Said::default();
    let mut left_out = 0;
    for (field, value) in flat {
        if defaults.get(field) == Some(value) {
            left_out += 1;
        } else {
            said.say(field, value);
        }
    }
    let (cronjob, image) = said.settings();
    let spec = SegmentSpec {
        cronjob,
        image,
        env: said.env,
        extra_env: said.extra_env,
        env_from_secrets: said.env_from_secrets,
        ..SegmentSpec::default()
    };
    (spec, left_out)
}

/// What differs: the value, or `None` where there is none.
pub(super) type Differences = BTreeMap<Field, Option<Value>>;

/// What makes `flat` of `base`.
pub(super) fn differences(base: &Flat, flat: &Flat) -> Differences {
    let gone = base
        .keys()
        .filter(|field| !flat.contains_key(field))
        .map(|field| (field.clone(), None));
    flat.iter()
        .filter(|(field, value)| base.get(field) != Some(value))
        .map(|(field, value)| (field.clone(), Some(value.clone())))
        .chain(gone)
        .collect()
}

/// An override, without a selector, that makes the differences.
pub(super) fn change(base: &Flat, differences: &Differences) -> Override {
    let mut said = Said::default();
    let mut unset = Unset::default();
    for (field, value) in differences {
        let before = base.get(field);
        match field {
            Field::CronJob(name) => {
                // An override adds to a map; what is to go has to be taken away first.
                let keeps =
                    |before: &Value| value.as_ref().is_some_and(|now| has_keys(now, before));
                if before.is_some_and(|before| !keeps(before)) {
                    unset.cronjob.push((*name).to_owned());
                }
            }
            Field::Image(_) => {}
            Field::Variable(name) => {
                let is_text = |value: &Value| value.is_string();
                let text_now = value.as_ref().map(is_text);
                match before.map(is_text) {
                    Some(true) if text_now != Some(true) && SegmentEnv::is_known(name) => {
                        unset.env.push(name.clone());
                    }
                    Some(true) if text_now != Some(true) => unset.extra_env.push(name.clone()),
                    Some(false) if text_now != Some(false) => {
                        unset.env_from_secrets.push(name.clone());
                    }
                    _ => {}
                }
            }
        }
        if let Some(value) = value {
            said.say(field, value);
        }
    }
    let (cronjob, image) = said.settings();
    Override {
        cluster_selector: None,
        cronjob,
        env: said.env,
        env_from_secrets: said.env_from_secrets,
        extra_env: said.extra_env,
        image,
        unset,
    }
}

/// Whether every key of `before`, at any level, is also in `now`; true where they are no maps.
fn has_keys(now: &Value, before: &Value) -> bool {
    match (now, before) {
        (Value::Object(now), Value::Object(before)) => before
            .iter()
            .all(|(key, before)| now.get(key).is_some_and(|now| has_keys(now, before))),
        _ => true,
    }
}
