//! A `CronJob` of the older chart, as an API server or a file shows it.
//!
//! In: untyped JSON. Out: a [`Template`] and notes on what it can't say. Law: every field that is not Kubernetes' own
//! default is taken or said. Not: what the house defaults leave out, other clusters.

use super::block::{Reading, zone_in_schedule};
use super::document::is_empty;
use super::image;
use super::note::Note;
use crate::assignment::{PodSecurity, PodToleration, SecretKey, Template};
use crate::finding::{Code, Finding};
use crate::ids::{CronJobName, Namespace};
use crate::names::{
    ANNOTATION_HUB, ANNOTATION_SEGMENT, LABEL_APP_MANAGED_BY, SEGMENT_TABLE_CREATION,
};
use crate::segment::template::escaped;
use crate::segment::variables::DEFAULT_SECRET_KEYS;
use segment_crds::GROUP;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const JOB: &str = "spec.jobTemplate.spec";
const POD: &str = "spec.jobTemplate.spec.template.spec";

/// What a `CronJob` is to an import.
#[derive(Debug)]
pub(super) enum Live {
    /// One of the chart's.
    Chart(Box<Template>, Vec<Note>),
    /// Not the chart's: no container that creates segments.
    Other,
    /// Ours already: of this Segment.
    Ours(String),
}

/// Where in a `CronJob` a field below `spec` of a Segment stands.
pub(super) fn field(rest: &str) -> Option<String> {
    let (block, name) = rest.split_once('.')?;
    let container = format!("{POD}.containers[{SEGMENT_TABLE_CREATION}]");
    Some(match block {
        "cronjob" => match name {
            "backoffLimit" | "activeDeadlineSeconds" | "ttlSecondsAfterFinished" => {
                format!("{JOB}.{name}")
            }
            "serviceAccountName" | "nodeSelector" | "tolerations" => format!("{POD}.{name}"),
            "resources" => format!("{container}.resources"),
            _ => format!("spec.{name}"),
        },
        "image" => match name {
            "pullSecrets" => format!("{POD}.imagePullSecrets"),
            "restartPolicy" => format!("{POD}.restartPolicy"),
            "pullPolicy" => format!("{container}.imagePullPolicy"),
            _ => format!("{container}.image"),
        },
        "env" | "extraEnv" | "envFromSecrets" => format!("{container}.env[{name}]"),
        _ => return None,
    })
}

/// Reads a `CronJob`.
pub(super) fn read(cronjob: &Value) -> Result<Live, Vec<Finding>> {
    let containers = cronjob
        .pointer("/spec/jobTemplate/spec/template/spec/containers")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let Some(index) = container(containers) else {
        return Ok(Live::Other);
    };
    let annotations = &cronjob["metadata"]["annotations"];
    if annotations.get(ANNOTATION_HUB).is_some() {
        let segment = annotations[ANNOTATION_SEGMENT].as_str().unwrap_or_default();
        return Ok(Live::Ours(segment.to_owned()));
    }
    let mut reader = Reader::default();
    let template = reader.template(cronjob, index, containers.len());
    match template {
        Some(template) if reader.reading.findings.is_empty() => {
            Ok(Live::Chart(Box::new(template), reader.reading.notes))
        }
        _ => Err(reader.reading.findings),
    }
}

/// The container that creates segments: by its name, or the only one that has the variable TYPE.
fn container(containers: &[Value]) -> Option<usize> {
    let named = |container: &Value| container["name"] == SEGMENT_TABLE_CREATION;
    let has_type = |container: &&Value| {
        container["env"]
            .as_array()
            .is_some_and(|env| env.iter().any(|variable| variable["name"] == "TYPE"))
    };
    containers.iter().position(named).or_else(|| {
        let index = containers
            .iter()
            .position(|container| has_type(&container))?;
        (containers.iter().filter(has_type).count() == 1).then_some(index)
    })
}

#[derive(Default)]
struct Reader {
    reading: Reading,
}

impl Reader {
    fn template(&mut self, cronjob: &Value, index: usize, containers: usize) -> Option<Template> {
        let metadata = &cronjob["metadata"];
        let spec = &cronjob["spec"];
        let job_template = &spec["jobTemplate"];
        let job = &job_template["spec"];
        let pod_template = &job["template"];
        let pod = &pod_template["spec"];
        let container = &pod["containers"][index];
        let at = format!("{POD}.containers[{index}]");

        let namespace = self.name(metadata, "namespace", |name| Namespace::new(name).ok());
        let name = self.name(metadata, "name", |name| CronJobName::new(name).ok());
        self.owners(metadata);
        let (schedule, zone) = self.schedule(spec);
        let (labels, annotations) = self.marks(metadata, job_template, pod_template);
        let (env, secret_env) = self.variables(container, &at);
        let image = self.image(container, &at);
        let latest = image.ends_with(":latest");
        let resources = &container["resources"];
        let template = Template {
            namespace: namespace?,
            name: name?,
            schedule,
            time_zone: self.optional(spec, "spec", "timeZone").or(zone),
            suspend: self.optional(spec, "spec", "suspend").unwrap_or(false),
            // What is absent in a file is what Kubernetes would fill in.
            concurrency_policy: self.or(spec, "spec", "concurrencyPolicy", "Allow")?,
            starting_deadline_seconds: self.optional(spec, "spec", "startingDeadlineSeconds"),
            failed_jobs_history_limit: self
                .optional(spec, "spec", "failedJobsHistoryLimit")
                .unwrap_or(1),
            successful_jobs_history_limit: self
                .optional(spec, "spec", "successfulJobsHistoryLimit")
                .unwrap_or(3),
            backoff_limit: self.optional(job, JOB, "backoffLimit"),
            active_deadline_seconds: self.optional(job, JOB, "activeDeadlineSeconds"),
            ttl_seconds_after_finished: self.optional(job, JOB, "ttlSecondsAfterFinished"),
            image_pull_policy: self.or(
                container,
                &at,
                "imagePullPolicy",
                if latest { "Always" } else { "IfNotPresent" },
            )?,
            image,
            image_pull_secrets: pull_secrets(pod),
            restart_policy: self.or(pod, POD, "restartPolicy", "Always")?,
            service_account_name: self
                .optional(pod, POD, "serviceAccountName")
                .filter(|name: &String| !name.is_empty()),
            node_selector: self.optional(pod, POD, "nodeSelector").unwrap_or_default(),
            tolerations: self.tolerations(pod),
            labels,
            annotations,
            requests: self.amounts(resources, &at, "requests"),
            limits: self.amounts(resources, &at, "limits"),
            env,
            secret_env,
            pod_security: PodSecurity::Chart,
        };
        if containers > 1 {
            self.changed(
                format!("{POD}.containers"),
                format!(
                    "{} more containers can't be said in a Segment: left out",
                    containers - 1
                ),
            );
        }
        self.others(cronjob, container, &at);
        Some(template)
    }

    /// A note on something that will not be as it is.
    fn changed(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.reading.notes.push(Note::new(field, message).changes());
    }

    fn name<T>(&mut self, metadata: &Value, key: &str, make: fn(&str) -> Option<T>) -> Option<T> {
        // A file that was written for `kubectl apply -n` has no namespace.
        let fallback = if key == "namespace" { "default" } else { "" };
        let text = metadata[key].as_str().unwrap_or(fallback);
        let name = make(text);
        if name.is_none() {
            self.reading.findings.push(Finding::error(
                Code::InvalidName,
                format!("metadata.{key}"),
                format!("{text:?} is not the {key} of a CronJob"),
            ));
        }
        name
    }

    fn owners(&mut self, metadata: &Value) {
        if let Some(release) = metadata["annotations"]["meta.helm.sh/release-name"].as_str() {
            self.reading.note(
                "metadata.annotations",
                format!(
                    "belongs to the Helm release {release}: before that is uninstalled, annotate the CronJob with \
                     helm.sh/resource-policy=keep, or Helm deletes it"
                ),
            );
        }
        if !is_empty(&metadata["ownerReferences"]) {
            self.reading.note(
                "metadata.ownerReferences",
                "stay on the CronJob: what owns it may change or delete it",
            );
        }
    }

    fn schedule(&mut self, spec: &Value) -> (String, Option<String>) {
        let text = spec["schedule"].as_str().unwrap_or_default();
        if text.is_empty() {
            self.reading.findings.push(Finding::error(
                Code::RequiredVariable,
                "spec.schedule",
                "is required",
            ));
        }
        match zone_in_schedule(text) {
            Some((zone, schedule)) => {
                self.changed(
                    "spec.schedule",
                    format!("names the time zone {zone}: moved to spec.cronjob.timeZone"),
                );
                (schedule.to_owned(), Some(zone.to_owned()))
            }
            None => (text.to_owned(), None),
        }
    }

    /// A field of any type; one that can't be read is a finding.
    fn optional<T: DeserializeOwned>(&mut self, of: &Value, at: &str, key: &str) -> Option<T> {
        let value = of.get(key).filter(|value| !value.is_null())?;
        serde_json::from_value(value.clone())
            .map_err(|error| {
                self.reading
                    .invalid(format!("{at}.{key}"), error.to_string());
            })
            .ok()
    }

    fn or<T: DeserializeOwned>(
        &mut self,
        of: &Value,
        at: &str,
        key: &str,
        default: &str,
    ) -> Option<T> {
        let given = of.get(key).filter(|value| !value.is_null());
        let value = given.cloned().unwrap_or_else(|| json!(default));
        serde_json::from_value(value)
            .map_err(|error| {
                self.reading
                    .invalid(format!("{at}.{key}"), error.to_string());
            })
            .ok()
    }

    fn image(&mut self, container: &Value, at: &str) -> String {
        let text = container["image"].as_str().unwrap_or_default();
        let field = format!("{at}.image");
        match image::split(text) {
            ("", _) => {
                self.reading.invalid(field, "is required");
                String::new()
            }
            (_, Some(_)) => text.to_owned(),
            (repository, None) => {
                self.changed(field, "names no tag, which means latest: written so");
                format!("{repository}:latest")
            }
        }
    }

    fn tolerations(&mut self, pod: &Value) -> Vec<PodToleration> {
        let mut list: Vec<PodToleration> =
            self.optional(pod, POD, "tolerations").unwrap_or_default();
        for toleration in &mut list {
            // A Segment's are written without empty texts.
            for text in [
                &mut toleration.key,
                &mut toleration.operator,
                &mut toleration.value,
                &mut toleration.effect,
            ] {
                *text = text.take().filter(|text| !text.is_empty());
            }
        }
        list
    }

    fn amounts(&mut self, resources: &Value, at: &str, key: &str) -> BTreeMap<String, String> {
        let mut amounts = BTreeMap::new();
        for (name, amount) in resources[key].as_object().into_iter().flatten() {
            let text = match amount {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => {
                    let field = format!("{at}.resources.{key}.{name}");
                    self.reading.invalid(field, "is not an amount");
                    continue;
                }
            };
            amounts.insert(name.clone(), text);
        }
        amounts
    }

    /// The user's labels and annotations: what Jobs and Pods get, less what tools put there.
    fn marks(
        &mut self,
        metadata: &Value,
        job_template: &Value,
        pod_template: &Value,
    ) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let mut both = [BTreeMap::new(), BTreeMap::new()];
        for (kind, kept) in ["labels", "annotations"].into_iter().zip(&mut both) {
            for (at, template) in [
                ("spec.jobTemplate", job_template),
                ("spec.jobTemplate.spec.template", pod_template),
            ] {
                for (key, value) in template["metadata"][kind].as_object().into_iter().flatten() {
                    let field = format!("{at}.metadata.{kind}.{key}");
                    let text = value.as_str().unwrap_or_default().to_owned();
                    if is_a_tools(key) {
                        self.changed(field, "is Helm's or the fleet's: left out");
                    } else if kept.get(key).is_some_and(|known| *known != text) {
                        self.changed(field, "differs between Job and Pod: the Pod's is taken");
                        kept.insert(key.clone(), text);
                    } else {
                        kept.insert(key.clone(), text);
                    }
                }
            }
            let only_here: Vec<&str> = metadata[kind]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, _)| key.as_str())
                .filter(|key| !kept.contains_key(*key) && !is_a_tools(key))
                .collect();
            if !only_here.is_empty() {
                self.reading.note(
                    format!("metadata.{kind}"),
                    format!(
                        "{} stay on the CronJob and are no part of the Segment",
                        only_here.join(", ")
                    ),
                );
            }
        }
        let [labels, annotations] = both;
        (labels, annotations)
    }

    fn variables(
        &mut self,
        container: &Value,
        at: &str,
    ) -> (BTreeMap<String, String>, BTreeMap<String, SecretKey>) {
        let mut env = BTreeMap::new();
        let mut secrets: BTreeMap<String, SecretKey> = BTreeMap::new();
        let mut order: Vec<(bool, &str)> = Vec::new();
        for variable in container["env"].as_array().into_iter().flatten() {
            let Some(name) = variable["name"].as_str() else {
                continue;
            };
            let field = format!("{at}.env[{name}]");
            if env.remove(name).is_some() | secrets.remove(name).is_some() {
                self.changed(&field, "stands there twice: the last one is taken");
            }
            let source = &variable["valueFrom"];
            let always_secret = DEFAULT_SECRET_KEYS.iter().any(|(known, _)| *known == name);
            if let Some(secret) = source.get("secretKeyRef") {
                if secret["optional"] == true {
                    self.changed(&field, "is optional there: a Segment's secrets are not");
                }
                let text = |key: &str| secret[key].as_str().unwrap_or_default().to_owned();
                secrets.insert(
                    name.to_owned(),
                    SecretKey {
                        secret: text("name"),
                        key: text("key"),
                    },
                );
                order.push((true, name));
            } else if !is_empty(source) {
                self.changed(&field, "comes from something that is no Secret: left out");
            } else if always_secret {
                // The value is not repeated: it may be a password.
                self.changed(
                    &field,
                    "always comes from a Secret: the value in the clear is left out",
                );
            } else {
                let text = variable["value"].as_str().unwrap_or_default();
                let value = escaped(text);
                if *value != *text {
                    self.changed(&field, "$(cluster…) is text there: written as $$(cluster…)");
                }
                env.insert(name.to_owned(), value.into_owned());
                order.push((false, name));
            }
        }
        if !order.is_sorted() {
            self.changed(
                format!("{at}.env"),
                "is in another order: a Segment's is sorted, values first, then secrets",
            );
        }
        (env, secrets)
    }

    /// Says what a Segment has no field for, unless it is Kubernetes' own default.
    fn others(&mut self, cronjob: &Value, container: &Value, at: &str) {
        let job_template = &cronjob["spec"]["jobTemplate"];
        let pod = &job_template["spec"]["template"]["spec"];
        let account = pod["serviceAccountName"].clone();
        let levels: [(&Value, &str, &[&str], Value); 5] = [
            (
                &cronjob["spec"],
                "spec",
                &[
                    "schedule",
                    "timeZone",
                    "suspend",
                    "concurrencyPolicy",
                    "startingDeadlineSeconds",
                    "failedJobsHistoryLimit",
                    "successfulJobsHistoryLimit",
                    "jobTemplate",
                ],
                json!({}),
            ),
            (
                &job_template["spec"],
                JOB,
                &[
                    "backoffLimit",
                    "activeDeadlineSeconds",
                    "ttlSecondsAfterFinished",
                    "template",
                ],
                json!({}),
            ),
            (
                pod,
                POD,
                &[
                    "containers",
                    "imagePullSecrets",
                    "restartPolicy",
                    "serviceAccountName",
                    "nodeSelector",
                    "tolerations",
                    "securityContext",
                    "automountServiceAccountToken",
                ],
                json!({
                    "dnsPolicy": "ClusterFirst",
                    "schedulerName": "default-scheduler",
                    "terminationGracePeriodSeconds": 30,
                    "serviceAccount": account,
                }),
            ),
            (
                container,
                at,
                &[
                    "image",
                    "imagePullPolicy",
                    "env",
                    "resources",
                    "securityContext",
                ],
                json!({
                    "name": SEGMENT_TABLE_CREATION,
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                }),
            ),
            (
                &container["resources"],
                &format!("{at}.resources"),
                &["limits", "requests"],
                json!({}),
            ),
        ];
        for (object, at, known, defaults) in levels {
            self.say_others(object.as_object(), at, known, &defaults);
        }
        for (object, at) in [(pod, POD), (container, at)] {
            for key in ["securityContext", "automountServiceAccountToken"] {
                if object.get(key).is_some_and(|value| !is_empty(value)) {
                    self.reading.note(
                        format!("{at}.{key}"),
                        "is decided by the hub (POD_SECURITY), not by a Segment",
                    );
                }
            }
        }
    }

    fn say_others(
        &mut self,
        object: Option<&Map<String, Value>>,
        at: &str,
        known: &[&str],
        defaults: &Value,
    ) {
        for (key, value) in object.into_iter().flatten() {
            let default = defaults.get(key).is_some_and(|default| default == value);
            if !known.contains(&key.as_str()) && !is_empty(value) && !default {
                let message = if key == "name" {
                    format!("becomes {SEGMENT_TABLE_CREATION}")
                } else {
                    "can't be said in a Segment: left out".to_owned()
                };
                self.changed(format!("{at}.{key}"), message);
            }
        }
    }
}

/// Labels and annotations that tools put there: Helm, kubectl, Kubernetes, this fleet.
fn is_a_tools(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').unwrap_or(("", key));
    let ours = prefix == GROUP || prefix.ends_with(&format!(".{GROUP}"));
    ours || key == LABEL_APP_MANAGED_BY
        || matches!(
            prefix,
            "app.kubernetes.io"
                | "helm.sh"
                | "meta.helm.sh"
                | "kubectl.kubernetes.io"
                | "batch.kubernetes.io"
        )
        || (prefix.is_empty()
            && matches!(
                name,
                "chart" | "heritage" | "release" | "controller-uid" | "job-name"
            ))
}

fn pull_secrets(pod: &Value) -> Vec<String> {
    pod["imagePullSecrets"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|secret| secret["name"].as_str())
        .map(str::to_owned)
        .collect()
}
