//! What is different between two rendered CronJobs, field by field.
//!
//! In: templates, with the texts that their users wrote. Out: [`Change`]s, sorted by path.
//! Law: equal templates have no change; every field of a template is compared (test `every_field_is_compared`).
//! Not: the object in Kubernetes, values of Secrets (only their names are known here).

use crate::assignment::{PodToleration, SecretKey, Template};
use serde_json::Value;
use std::collections::BTreeMap;

/// Changes that are told of one difference; more are counted by [`cut`].
pub(super) const CHANGES: usize = 200;
/// Bytes of a value that are told.
const VALUE_BYTES: usize = 400;

/// One field that changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Change {
    /// The field: `spec.schedule`, `env PIVOT_PATHS`.
    pub path: String,
    /// What it was; absent: it was not there.
    pub before: Option<String>,
    /// What it will be; absent: it goes.
    pub after: Option<String>,
}

/// What a cluster gets, and how its user wrote it.
#[derive(Clone, Debug)]
pub(super) struct Side<'a> {
    pub(super) template: &'a Template,
    /// Where that differs from the template: paths and texts with `H` or references in them.
    pub(super) written: BTreeMap<String, String>,
}

/// What changes between two sides, shown as written: clusters with the same edit have the same change, whatever an `H` or
/// a reference stands for on each of them.
pub(super) fn changes(before: &Side<'_>, after: &Side<'_>) -> Vec<Change> {
    let (old, new) = (fields(before.template), fields(after.template));
    let mut changes = Vec::new();
    let shown = |side: &Side<'_>, path: &String, value: Option<&String>| {
        value.map(|value| {
            side.written
                .get(path)
                .map_or_else(|| shorten(value), |text| shorten(&quoted(text)))
        })
    };
    let only_new = new.iter().filter(|(path, _)| !old.contains_key(*path));
    for (path, value) in &old {
        let other = new.get(path);
        let same_text = before.written.get(path) == after.written.get(path);
        if other == Some(value) && same_text {
            continue;
        }
        changes.push(Change {
            path: path.clone(),
            before: shown(before, path, Some(value)),
            after: shown(after, path, other),
        });
    }
    for (path, value) in only_new {
        changes.push(Change {
            path: path.clone(),
            before: None,
            after: shown(after, path, Some(value)),
        });
    }
    changes.sort();
    cut(changes)
}

/// At most [`CHANGES`]; the last one counts the others.
fn cut(mut changes: Vec<Change>) -> Vec<Change> {
    if changes.len() > CHANGES {
        let more = changes.len() - CHANGES;
        changes.truncate(CHANGES);
        changes.push(Change {
            path: format!("… and {more} more fields"),
            before: None,
            after: None,
        });
    }
    changes
}

/// What changes between two specs as their users wrote them.
pub(super) fn spec_changes(before: &Value, after: &Value) -> Vec<Change> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    flatten("spec", before, &mut old);
    flatten("spec", after, &mut new);
    let mut changes: Vec<Change> = old
        .iter()
        .filter(|(path, value)| new.get(*path) != Some(value))
        .map(|(path, value)| Change {
            path: path.clone(),
            before: Some(shorten(value)),
            after: new.get(path).map(|value| shorten(value)),
        })
        .collect();
    changes.extend(
        new.iter()
            .filter(|(path, _)| !old.contains_key(*path))
            .map(|(path, value)| Change {
                path: path.clone(),
                before: None,
                after: Some(shorten(value)),
            }),
    );
    changes.sort();
    cut(changes)
}

fn flatten(path: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                flatten(&format!("{path}.{key}"), value, out);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), value, out);
            }
        }
        Value::Null => {}
        scalar => {
            out.insert(path.to_owned(), scalar.to_string());
        }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn shorten(text: &str) -> String {
    if text.len() <= VALUE_BYTES {
        return text.to_owned();
    }
    let mut end = VALUE_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}… ({} bytes)", &text[..end], text.len())
}

/// Every field of a template by its path. A field that is added to [`Template`] does not compile before it stands here.
fn fields(template: &Template) -> BTreeMap<String, String> {
    let Template {
        namespace,
        name,
        schedule,
        time_zone,
        suspend,
        concurrency_policy,
        starting_deadline_seconds,
        failed_jobs_history_limit,
        successful_jobs_history_limit,
        backoff_limit,
        active_deadline_seconds,
        ttl_seconds_after_finished,
        image,
        image_pull_policy,
        image_pull_secrets,
        restart_policy,
        service_account_name,
        node_selector,
        tolerations,
        labels,
        annotations,
        requests,
        limits,
        env,
        secret_env,
        pod_security,
    } = template;
    let mut fields = BTreeMap::new();
    let mut put = |path: &str, value: String| {
        fields.insert(path.to_owned(), value);
    };
    put("metadata.namespace", namespace.to_string());
    put("metadata.name", name.to_string());
    put("spec.schedule", quoted(schedule));
    put("spec.suspend", suspend.to_string());
    put("spec.concurrencyPolicy", format!("{concurrency_policy:?}"));
    put(
        "spec.failedJobsHistoryLimit",
        failed_jobs_history_limit.to_string(),
    );
    put(
        "spec.successfulJobsHistoryLimit",
        successful_jobs_history_limit.to_string(),
    );
    put("image", image.clone());
    put("imagePullPolicy", format!("{image_pull_policy:?}"));
    put("restartPolicy", format!("{restart_policy:?}"));
    put("podSecurity", format!("{pod_security:?}").to_lowercase());
    let numbers = [
        ("spec.startingDeadlineSeconds", *starting_deadline_seconds),
        ("backoffLimit", backoff_limit.map(i64::from)),
        ("activeDeadlineSeconds", *active_deadline_seconds),
        (
            "ttlSecondsAfterFinished",
            ttl_seconds_after_finished.map(i64::from),
        ),
    ];
    for (path, number) in numbers {
        if let Some(number) = number {
            put(path, number.to_string());
        }
    }
    if let Some(zone) = time_zone {
        put("spec.timeZone", quoted(zone));
    }
    if let Some(account) = service_account_name {
        put("serviceAccountName", account.clone());
    }
    if !image_pull_secrets.is_empty() {
        put("imagePullSecrets", image_pull_secrets.join(","));
    }
    if !tolerations.is_empty() {
        let all: Vec<String> = tolerations.iter().map(toleration).collect();
        put("tolerations", all.join(","));
    }
    let maps = [
        ("nodeSelector", node_selector),
        ("label", labels),
        ("annotation", annotations),
        ("resources.requests", requests),
        ("resources.limits", limits),
        ("env", env),
    ];
    for (what, map) in maps {
        for (key, value) in map {
            put(&format!("{what} {key}"), quoted(value));
        }
    }
    for (name, SecretKey { secret, key }) in secret_env {
        put(
            &format!("env {name}"),
            format!("from secret {secret}/{key}"),
        );
    }
    fields
}

fn toleration(toleration: &PodToleration) -> String {
    let PodToleration {
        key,
        operator,
        value,
        effect,
        toleration_seconds,
    } = toleration;
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let seconds = toleration_seconds.map_or_else(String::new, |seconds| format!("/{seconds}s"));
    format!(
        "{}({}){}:{}{seconds}",
        part(key),
        part(operator),
        part(value),
        part(effect)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{HouseDefaults, render};
    use crate::testing;

    fn template() -> Template {
        render(
            &testing::parsed("granary/demo"),
            &HouseDefaults::default(),
            &testing::view("eu-1", &[]),
        )
        .unwrap()
        .template()
        .clone()
    }

    fn side(template: &Template) -> Side<'_> {
        Side {
            template,
            written: BTreeMap::new(),
        }
    }

    #[test]
    fn every_field_is_compared() {
        type Edit = fn(&mut Template);
        let base = template();
        assert_eq!(changes(&side(&base), &side(&base)), []);
        let edits: [(&str, Edit); 8] = [
            ("spec.schedule", |t| t.schedule = "1 3 * * *".to_owned()),
            ("spec.timeZone", |t| t.time_zone = Some("UTC".to_owned())),
            ("spec.suspend", |t| t.suspend = true),
            ("image", |t| t.image = "other:1".to_owned()),
            ("backoffLimit", |t| t.backoff_limit = Some(1)),
            ("env DEBUG", |t| {
                t.env.insert("DEBUG".to_owned(), "x".to_owned());
            }),
            ("env DB_USER", |t| {
                t.secret_env.insert(
                    "DB_USER".to_owned(),
                    SecretKey {
                        secret: "s".to_owned(),
                        key: "k".to_owned(),
                    },
                );
            }),
            ("tolerations", |t| {
                t.tolerations.push(PodToleration {
                    key: Some("gpu".to_owned()),
                    ..PodToleration::default()
                });
            }),
        ];
        for (path, edit) in edits {
            let mut edited = base.clone();
            edit(&mut edited);
            let found = changes(&side(&base), &side(&edited));
            let paths: Vec<&str> = found.iter().map(|change| change.path.as_str()).collect();
            assert_eq!(paths, [path]);
        }
    }

    #[test]
    fn secrets_are_shown_by_name_and_long_values_are_cut() {
        let base = template();
        let mut edited = base.clone();
        edited.env.insert("DB_USER".to_owned(), "ü".repeat(400));
        edited.secret_env.remove("DB_USER");
        let found = changes(&side(&base), &side(&edited));
        assert_eq!(
            found[0].before.as_deref(),
            Some("from secret grnry-pg-citus-secret/superuser-username")
        );
        let after = found[0].after.as_deref().unwrap();
        assert!(after.ends_with("… (802 bytes)"), "{after}");
    }
}
