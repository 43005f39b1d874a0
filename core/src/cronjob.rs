//! The `CronJob`: an entry as the Kubernetes object that an agent writes.
//!
//! In: [`Entry`], [`Owner`], whether it is suspended. Out: `batch/v1` `CronJob`, typed and as JSON.
//! Law: deterministic; equals the script's Helm chart but for our labels, annotations and what `POD_SECURITY` adds
//! (golden files `cronjob-*.json`). Not: what is there already (`apply.rs`).
//!
//! Only fields that Kubernetes 1.31 knows are written: a spoke may be older than the hub.

use crate::assignment::{
    ConcurrencyPolicy, Entry, Owner, PodSecurity, PodToleration, PullPolicy, RestartPolicy,
    Template,
};
use crate::names::{
    ANNOTATION_DIGEST, ANNOTATION_HUB, ANNOTATION_REVISION, ANNOTATION_SEGMENT, ANNOTATION_UID,
    COMPONENT_SEGMENT, LABEL_APP_COMPONENT, LABEL_APP_INSTANCE, LABEL_APP_MANAGED_BY,
    LABEL_APP_NAME, LABEL_APP_PART_OF, LABEL_SEGMENT_HASH, MANAGER_AGENT, PART_OF_GRANARY,
    SEGMENT_TABLE_CREATION,
};
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, JobSpec, JobTemplateSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvVar, EnvVarSource, LocalObjectReference, PodSecurityContext,
    PodSpec, PodTemplateSpec, ResourceRequirements, SeccompProfile, SecretKeySelector,
    SecurityContext, Toleration,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// The `CronJob` of an entry. `suspend` is the effective one: the template's, a hold's, or that of a removal.
pub fn cronjob(entry: &Entry, owner: &Owner, suspend: bool) -> CronJob {
    let template = entry.assignment.rendered.template();
    let labels = labels(entry);
    CronJob {
        metadata: ObjectMeta {
            name: Some(template.name.to_string()),
            namespace: Some(template.namespace.to_string()),
            labels: Some(labels.clone()),
            annotations: Some(cronjob_annotations(entry, owner)),
            ..ObjectMeta::default()
        },
        spec: Some(CronJobSpec {
            schedule: template.schedule.clone(),
            time_zone: template.time_zone.clone(),
            suspend: Some(suspend),
            concurrency_policy: Some(
                match template.concurrency_policy {
                    ConcurrencyPolicy::Allow => "Allow",
                    ConcurrencyPolicy::Forbid => "Forbid",
                    ConcurrencyPolicy::Replace => "Replace",
                }
                .to_owned(),
            ),
            starting_deadline_seconds: template.starting_deadline_seconds,
            failed_jobs_history_limit: Some(template.failed_jobs_history_limit),
            successful_jobs_history_limit: Some(template.successful_jobs_history_limit),
            job_template: JobTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels.clone()),
                    annotations: Some(job_annotations(entry, owner)),
                    ..ObjectMeta::default()
                }),
                spec: Some(JobSpec {
                    backoff_limit: template.backoff_limit,
                    active_deadline_seconds: template.active_deadline_seconds,
                    ttl_seconds_after_finished: template.ttl_seconds_after_finished,
                    template: PodTemplateSpec {
                        metadata: Some(ObjectMeta {
                            labels: Some(labels),
                            annotations: Some(pod_annotations(entry, owner)),
                            ..ObjectMeta::default()
                        }),
                        spec: Some(pod(template)),
                    },
                    ..JobSpec::default()
                }),
            },
        }),
        status: None,
    }
}

/// The same as JSON with `apiVersion` and `kind`: the body of a POST or PUT.
pub fn cronjob_json(entry: &Entry, owner: &Owner, suspend: bool) -> serde_json::Value {
    // A `CronJob` has string keys only, so that it always is JSON; Null would be refused by the API server.
    serde_json::to_value(cronjob(entry, owner, suspend)).unwrap_or_default()
}

/// Our labels beside the user's: on the `CronJob`, its Jobs and Pods.
pub fn labels(entry: &Entry) -> BTreeMap<String, String> {
    let assignment = &entry.assignment;
    let template = assignment.rendered.template();
    let mut labels = template.labels.clone();
    labels.extend(
        [
            (LABEL_APP_NAME, SEGMENT_TABLE_CREATION),
            // The Segment's name can be longer than a label's value, the `CronJob`'s never is.
            (LABEL_APP_INSTANCE, template.name.as_str()),
            (LABEL_APP_COMPONENT, COMPONENT_SEGMENT),
            (LABEL_APP_PART_OF, PART_OF_GRANARY),
            (LABEL_APP_MANAGED_BY, MANAGER_AGENT),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    labels.insert(
        LABEL_SEGMENT_HASH.to_owned(),
        assignment.key.hash().to_string(),
    );
    labels
}

/// Our annotations beside the user's on the `CronJob`.
fn cronjob_annotations(entry: &Entry, owner: &Owner) -> BTreeMap<String, String> {
    let assignment = &entry.assignment;
    let mut annotations = job_annotations(entry, owner);
    annotations.insert(
        ANNOTATION_DIGEST.to_owned(),
        assignment.rendered.digest().to_string(),
    );
    annotations
}

/// Those on Jobs: the ledger of runs says which revision ran.
fn job_annotations(entry: &Entry, owner: &Owner) -> BTreeMap<String, String> {
    let mut annotations = pod_annotations(entry, owner);
    annotations.insert(
        ANNOTATION_REVISION.to_owned(),
        entry.assignment.revision.to_string(),
    );
    annotations
}

/// Those on Pods: less what changes with each revision.
fn pod_annotations(entry: &Entry, owner: &Owner) -> BTreeMap<String, String> {
    let assignment = &entry.assignment;
    let mut annotations = assignment.rendered.template().annotations.clone();
    annotations.insert(ANNOTATION_HUB.to_owned(), owner.hub.to_string());
    annotations.insert(ANNOTATION_SEGMENT.to_owned(), assignment.key.to_string());
    annotations.insert(ANNOTATION_UID.to_owned(), assignment.uid.to_string());
    annotations
}

fn pod(template: &Template) -> PodSpec {
    let hardened = template.pod_security != PodSecurity::Chart;
    PodSpec {
        automount_service_account_token: hardened.then_some(false),
        service_account_name: template.service_account_name.clone(),
        node_selector: some_map(&template.node_selector),
        tolerations: some_list(template.tolerations.iter().map(toleration)),
        image_pull_secrets: some_list(
            template
                .image_pull_secrets
                .iter()
                .map(|name| LocalObjectReference { name: name.clone() }),
        ),
        restart_policy: Some(
            match template.restart_policy {
                RestartPolicy::OnFailure => "OnFailure",
                RestartPolicy::Never => "Never",
            }
            .to_owned(),
        ),
        security_context: hardened.then(|| PodSecurityContext {
            run_as_non_root: (template.pod_security == PodSecurity::Restricted).then_some(true),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        containers: vec![container(template, hardened)],
        ..PodSpec::default()
    }
}

fn container(template: &Template, hardened: bool) -> Container {
    Container {
        name: SEGMENT_TABLE_CREATION.to_owned(),
        image: Some(template.image.clone()),
        image_pull_policy: Some(
            match template.image_pull_policy {
                PullPolicy::Always => "Always",
                PullPolicy::IfNotPresent => "IfNotPresent",
                PullPolicy::Never => "Never",
            }
            .to_owned(),
        ),
        env: some_list(variables(template)),
        resources: (!template.requests.is_empty() || !template.limits.is_empty()).then(|| {
            ResourceRequirements {
                requests: amounts(&template.requests),
                limits: amounts(&template.limits),
                claims: None,
            }
        }),
        security_context: hardened.then(|| SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                add: None,
                drop: Some(vec!["ALL".to_owned()]),
            }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

/// Values sorted by name, then those from Secrets, sorted.
fn variables(template: &Template) -> impl Iterator<Item = EnvVar> {
    let values = template.env.iter().map(|(name, value)| EnvVar {
        name: name.clone(),
        value: Some(value.clone()),
        value_from: None,
    });
    let secrets = template.secret_env.iter().map(|(name, secret)| EnvVar {
        name: name.clone(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: secret.secret.clone(),
                key: secret.key.clone(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
    });
    values.chain(secrets)
}

fn toleration(toleration: &PodToleration) -> Toleration {
    Toleration {
        key: toleration.key.clone(),
        operator: toleration.operator.clone(),
        value: toleration.value.clone(),
        effect: toleration.effect.clone(),
        toleration_seconds: toleration.toleration_seconds,
    }
}

fn amounts(amounts: &BTreeMap<String, String>) -> Option<BTreeMap<String, Quantity>> {
    (!amounts.is_empty()).then(|| {
        amounts
            .iter()
            .map(|(name, amount)| (name.clone(), Quantity(amount.clone())))
            .collect()
    })
}

fn some_map(map: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then(|| map.clone())
}

fn some_list<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let items: Vec<T> = items.collect();
    (!items.is_empty()).then_some(items)
}
