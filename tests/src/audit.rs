//! What an API server wrote down: the oracle of the end-to-end tests.
//!
//! In: an audit log. Out: events, filtered. Law: dry-runs are no writes. Not: what may be in it (the tests).

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// An audit log, and from where on it is read.
#[derive(Clone, Debug)]
pub struct AuditLog {
    file: PathBuf,
    from: u64,
}

/// One line.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// `ResponseStarted` or `ResponseComplete`.
    pub stage: String,
    /// Kubernetes' verb: get, list, watch, create, update, patch, delete, deletecollection.
    pub verb: String,
    /// Path and query.
    #[serde(rename = "requestURI")]
    pub uri: String,
    /// Who.
    #[serde(default)]
    pub user: User,
    /// On what.
    #[serde(default)]
    pub object_ref: Object,
    /// With which answer.
    #[serde(default)]
    pub response_status: Status,
    /// What was sent, of writes on batch and on our own group.
    #[serde(default)]
    pub request_object: Value,
    /// What was answered.
    #[serde(default)]
    pub response_object: Value,
    /// When the answer began, RFC 3339 with microseconds.
    #[serde(default)]
    pub stage_timestamp: String,
    /// When the request came.
    #[serde(default)]
    pub request_received_timestamp: String,
}

/// Who.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct User {
    /// Name.
    #[serde(default)]
    pub username: String,
}

/// On what.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// Plural.
    #[serde(default)]
    pub resource: String,
    /// `status` and others, or empty.
    #[serde(default)]
    pub subresource: String,
    /// Group, empty for core.
    #[serde(default)]
    pub api_group: String,
    /// Namespace, or empty.
    #[serde(default)]
    pub namespace: String,
    /// Name, or empty.
    #[serde(default)]
    pub name: String,
}

/// With which answer.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Status {
    /// HTTP status.
    #[serde(default)]
    pub code: u16,
    /// What was wrong.
    #[serde(default)]
    pub message: String,
}

impl Event {
    /// Whether it changed something, or tried to: dry-runs did not.
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        ) && !self.uri.contains("dryRun=")
    }

    /// Whether it was answered with success.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.response_status.code)
    }

    /// `resource` or `resource/subresource`.
    pub fn resource(&self) -> String {
        let Object {
            resource,
            subresource,
            ..
        } = &self.object_ref;
        if subresource.is_empty() {
            resource.clone()
        } else {
            format!("{resource}/{subresource}")
        }
    }

    /// One line for a message: who did what, with which answer.
    pub fn line(&self) -> String {
        format!(
            "{} {} {} {} → {} {}",
            self.stage_timestamp,
            self.user.username,
            self.verb,
            self.uri,
            self.response_status.code,
            self.response_status.message
        )
    }
}

impl AuditLog {
    /// A whole log.
    pub fn new(file: PathBuf) -> Self {
        Self { file, from: 0 }
    }

    /// The same log from now on.
    #[must_use]
    pub fn mark(&self) -> Self {
        let from = std::fs::metadata(&self.file).map_or(0, |metadata| metadata.len());
        Self {
            file: self.file.clone(),
            from,
        }
    }

    /// Its file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// All events that are complete, and `keep` keeps. The log may be written at the same time: half a line is left out.
    pub fn events(&self, keep: impl Fn(&Event) -> bool) -> Result<Vec<Event>> {
        let mut file = std::fs::File::open(&self.file)
            .with_context(|| format!("open {}", self.file.display()))?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut reader = BufReader::new(file);
        let mut found = Vec::new();
        let mut line = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 || !line.ends_with('\n') {
                return Ok(found);
            }
            // A mark may stand inside of a line that was being written.
            let Ok(event) = serde_json::from_str::<Event>(&line) else {
                continue;
            };
            if event.stage == "ResponseComplete" && keep(&event) {
                found.push(event);
            }
        }
    }

    /// Writes on batch resources by a user; a dry-run is none.
    pub fn batch_writes(&self, user: &str) -> Result<Vec<Event>> {
        self.events(|event| {
            event.is_write() && event.object_ref.api_group == "batch" && event.user.username == user
        })
    }

    /// Deletes of CronJobs by a user.
    pub fn deletes(&self, user: &str) -> Result<Vec<Event>> {
        Ok(self
            .batch_writes(user)?
            .into_iter()
            .filter(|event| event.verb.starts_with("delete"))
            .collect())
    }

    /// What a user was refused with 403.
    pub fn forbidden(&self, user: &str) -> Result<Vec<Event>> {
        self.events(|event| event.user.username == user && event.response_status.code == 403)
    }

    /// All users.
    pub fn users(&self) -> Result<BTreeSet<String>> {
        Ok(self
            .events(|_| true)?
            .into_iter()
            .map(|event| event.user.username)
            .collect())
    }
}

/// The events as lines, for messages.
pub fn lines(events: &[Event]) -> String {
    events
        .iter()
        .map(Event::line)
        .collect::<Vec<_>>()
        .join("\n")
}
