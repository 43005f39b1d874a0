//! The four blocks that Granary's API and its chart share: `cronjob`, `image`, `env`, `envFromSecrets`.
//!
//! In: their JSON. Out: the same parts of a [`SegmentSpec`], notes and findings. Law: a value without quotes becomes the
//! text that the chart makes of it (`True`, `False`, the number's digits); a key that is not known is said.
//! Not: where the blocks stand in a document, names.

use super::document::{self, is_empty, join, kind, typed};
use super::note::Note;
use crate::finding::{Code, Finding};
use crate::segment::HouseDefaults;
use crate::segment::variables::{DEFAULT_SECRET_KEYS, DEFAULTS, is_boolean};
use segment_crds::{CronJobSettings, ImageSettings, SecretRef, SegmentSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// What was found while a document is read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) notes: Vec<Note>,
    pub(super) findings: Vec<Finding>,
}

/// Names of the blocks.
pub(super) const BLOCKS: [&str; 4] = ["cronjob", "env", "envFromSecrets", "image"];

/// Variables that must be there but may be empty.
const MAY_BE_EMPTY: [&str; 2] = ["TARGET_SEGMENT_INDEXES", "TARGET_SEGMENT_VIEWS"];

impl Reading {
    pub(super) fn note(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.notes.push(Note::new(field, message));
    }

    pub(super) fn invalid(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.findings
            .push(Finding::error(Code::InvalidValue, field, message));
    }

    /// The blocks of `map`, whose own path is `at`, as a spec; what is required and missing is found.
    pub(super) fn blocks(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        defaults: &HouseDefaults,
    ) -> SegmentSpec {
        let mut spec = SegmentSpec::default();
        if let Some(block) = self.block(map, at, "cronjob") {
            spec.cronjob = self.cronjob(block, &join(at, "cronjob"));
        }
        if let Some(block) = self.block(map, at, "image") {
            spec.image = self.image(block, &join(at, "image"));
        }
        if let Some(block) = self.block(map, at, "envFromSecrets") {
            self.secrets(&mut spec, block, &join(at, "envFromSecrets"));
        }
        if let Some(block) = self.block(map, at, "env") {
            self.env(&mut spec, block, &join(at, "env"));
        }
        self.required(&mut spec, at, defaults);
        spec
    }

    fn block<'a>(
        &mut self,
        map: &'a Map<String, Value>,
        at: &str,
        name: &str,
    ) -> Option<&'a Map<String, Value>> {
        match map.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::Object(block)) => Some(block),
            Some(other) => {
                self.invalid(join(at, name), format!("is {}, not a map", kind(other)));
                None
            }
        }
    }

    fn cronjob(&mut self, block: &Map<String, Value>, at: &str) -> CronJobSettings {
        let mut settings = CronJobSettings::default();
        for (key, value) in block {
            let field = join(at, key);
            let value = match key.as_str() {
                "schedule" | "timeZone" | "concurrencyPolicy" | "serviceAccountName" => text(value),
                "suspend" => boolean(value),
                "resources" | "nodeSelector" | "tolerations" | "labels" | "annotations" => {
                    value.clone()
                }
                _ => number(value),
            };
            if let Some(one) = self.field(CronJobSettings::FIELDS, key, &value, &field) {
                settings.overlay(&one);
            }
        }
        if let Some((zone, schedule)) = settings.schedule.as_deref().and_then(zone_in_schedule) {
            let (zone, schedule) = (zone.to_owned(), schedule.to_owned());
            self.note(
                format!("{at}.schedule"),
                format!("names the time zone {zone}: moved to spec.cronjob.timeZone"),
            );
            settings.time_zone.get_or_insert(zone);
            settings.schedule = Some(schedule);
        }
        settings
    }

    fn image(&mut self, block: &Map<String, Value>, at: &str) -> ImageSettings {
        let mut settings = ImageSettings::default();
        for (key, value) in block {
            let field = join(at, key);
            let value = match (key.as_str(), value) {
                ("pullSecrets", Value::Array(names)) => {
                    let names: Vec<&str> = names
                        .iter()
                        .filter_map(|name| name.as_str().or_else(|| name["name"].as_str()))
                        .collect();
                    json!(names.join(","))
                }
                (_, value) => text(value),
            };
            if key != "pullSecrets" && value.as_str() == Some("") {
                self.note(field, "is empty: left out, so that the default holds");
                continue;
            }
            if let Some(one) = self.field(ImageSettings::FIELDS, key, &value, &field) {
                settings.overlay(&one);
            }
        }
        settings
    }

    /// One field of a block of settings, read by itself so that an error has its place.
    fn field<T: DeserializeOwned + Serialize>(
        &mut self,
        known: &[&str],
        key: &str,
        value: &Value,
        field: &str,
    ) -> Option<T> {
        if value.is_null() {
            return None;
        }
        if !known.contains(&key) {
            self.note(
                field,
                format!(
                    "is not a known setting: left out; known are {}",
                    known.join(", ")
                ),
            );
            return None;
        }
        let mut unknown = Vec::new();
        // Paths begin with the key itself.
        let parent = field
            .strip_suffix(key)
            .map_or("", |at| at.trim_end_matches('.'));
        match typed(&json!({ key: value }), parent, &mut unknown) {
            Ok(settings) => {
                for path in unknown {
                    self.note(path, "is not a known field: left out");
                }
                Some(settings)
            }
            Err(message) => {
                self.invalid(field, message);
                None
            }
        }
    }

    fn env(&mut self, spec: &mut SegmentSpec, block: &Map<String, Value>, at: &str) {
        for (name, value) in block {
            let field = join(at, name);
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Null => {
                    self.note(field, "has no value: left out");
                    continue;
                }
                Value::Array(_) | Value::Object(_) => {
                    self.findings.push(
                        Finding::error(
                            Code::InvalidValue,
                            field,
                            format!("is {}, a variable is text", kind(value)),
                        )
                        .help("quote the whole value"),
                    );
                    continue;
                }
                Value::Bool(_) | Value::Number(_) => {
                    let text = plain(value);
                    let message = format!(
                        "is {} without quotes: taken as the text {text:?}, as the chart does",
                        kind(value)
                    );
                    self.note(&field, message);
                    text
                }
            };
            self.variable(spec, name, text, field);
        }
    }

    fn variable(&mut self, spec: &mut SegmentSpec, name: &str, text: String, field: String) {
        if DEFAULT_SECRET_KEYS.iter().any(|(known, _)| *known == name) {
            // The value is not repeated: it may be a password.
            self.notes.push(
                Note::new(
                    field,
                    "always comes from a Secret: the value in the clear is left out; put it into a Secret and name that in \
                     envFromSecrets",
                )
                .changes(),
            );
        } else if text.is_empty() && must_not_be_empty(name) {
            self.note(
                field,
                "is empty and must not be: left out, so that the default holds",
            );
        } else if !spec.env.set(name, Some(text.clone())) {
            self.note(
                field,
                "is not a variable of the script: moved to spec.extraEnv",
            );
            spec.extra_env.insert(name.to_owned(), text);
        }
    }

    fn secrets(&mut self, spec: &mut SegmentSpec, block: &Map<String, Value>, at: &str) {
        for (name, value) in block {
            let field = join(at, name);
            let Some(map) = value.as_object() else {
                if !value.is_null() {
                    let message = format!("is {}, not {{secret, key}}", kind(value));
                    self.findings.push(
                        Finding::error(Code::InvalidValue, field, message)
                            .help("write {secret: NAME-OF-THE-SECRET, key: KEY-IN-IT}"),
                    );
                }
                continue;
            };
            let mut reference = SecretRef::default();
            for (key, value) in map {
                let field = join(&field, key);
                let taken = text(value)
                    .as_str()
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned);
                match key.as_str() {
                    "secret" => reference.secret = taken,
                    "key" => reference.key = taken,
                    _ => self.note(field, "is not known: left out; known are secret, key"),
                }
            }
            spec.env_from_secrets.insert(name.clone(), reference);
        }
    }

    /// Fills in what must be there and may be empty, and finds what is missing.
    fn required(&mut self, spec: &mut SegmentSpec, at: &str, defaults: &HouseDefaults) {
        for message in fill_in(spec, defaults) {
            self.note(join(at, &format!("env.{}", message.0)), message.1);
        }
        let missing = missing(spec);
        self.findings
            .extend(missing.into_iter().map(|(field, help)| {
                Finding::error(Code::RequiredVariable, join(at, field), "is required").help(help)
            }));
    }
}

/// Fills in what must be there and may be empty; what was done, by variable.
pub(super) fn fill_in(
    spec: &mut SegmentSpec,
    defaults: &HouseDefaults,
) -> Vec<(&'static str, &'static str)> {
    let db_type = spec.env.db_type.as_deref();
    let db_type = db_type.or(defaults.env.get("DB_TYPE").map(String::as_str));
    let postgres = db_type == Some("postgres");
    let mut filled = Vec::new();
    for name in MAY_BE_EMPTY
        .into_iter()
        .chain(postgres.then_some("CITUS_DIST_COL"))
    {
        if spec.env.get(name).is_none() && !spec.env_from_secrets.contains_key(name) {
            spec.env.set(name, Some(String::new()));
            filled.push((name, "is absent: filled in as the empty string"));
        }
    }
    filled
}

/// What every Segment has, and this one has not: the field below `spec`, and its cure.
pub(super) fn missing(spec: &SegmentSpec) -> Vec<(&'static str, &'static str)> {
    let mut missing = Vec::new();
    if spec.cronjob.schedule.is_none() {
        missing.push(("cronjob.schedule", "for example \"0 3 * * *\""));
    }
    let blank = |name: &str| {
        !spec.env_from_secrets.contains_key(name)
            && spec
                .env
                .get(name)
                .is_none_or(|value| value.trim().is_empty())
    };
    if blank("TYPE") {
        missing.push(("env.TYPE", "one of pivot, generic, flexible"));
    }
    if blank("TARGET_SEGMENT_NAME") {
        missing.push((
            "env.TARGET_SEGMENT_NAME",
            "the name of the table or view to make",
        ));
    }
    if spec.env.type_.as_deref() == Some("flexible") {
        if blank("SOURCE_QUERY") {
            missing.push(("env.SOURCE_QUERY", "the whole query, for TYPE flexible"));
        }
    } else if blank("SOURCE_WHERE_CLAUSE") {
        missing.push((
            "env.SOURCE_WHERE_CLAUSE",
            "a condition without the word WHERE; true takes every row",
        ));
    }
    if spec.env.citus_dist_col.is_none() && !spec.env_from_secrets.contains_key("CITUS_DIST_COL") {
        missing.push((
            "env.CITUS_DIST_COL",
            "the column to distribute by; it may be empty where DB_TYPE is postgres",
        ));
    }
    missing
}

/// Whether the script can't work with an empty value of this variable, so that its default is meant.
fn must_not_be_empty(name: &str) -> bool {
    !name.starts_with("PROMETHEUS_")
        && (is_boolean(name) || DEFAULTS.iter().any(|(known, _)| *known == name))
}

/// `TZ=Europe/Berlin 0 3 * * *` as zone and schedule: older Kubernetes took it.
pub(super) fn zone_in_schedule(schedule: &str) -> Option<(&str, &str)> {
    let rest = schedule.trim_start();
    let rest = rest
        .strip_prefix("CRON_TZ=")
        .or_else(|| rest.strip_prefix("TZ="))?;
    let (zone, schedule) = rest.split_once(char::is_whitespace)?;
    let schedule = schedule.trim();
    (!zone.is_empty() && !schedule.is_empty()).then_some((zone, schedule))
}

/// A scalar as the chart quotes it.
fn plain(value: &Value) -> String {
    match value {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Numbers and booleans as text; what is neither stays, and is refused where it is read.
fn text(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Bool(flag) => Value::String(flag.to_string()),
        other => other.clone(),
    }
}

/// A number in quotes as a number.
fn number(value: &Value) -> Value {
    value
        .as_str()
        .and_then(|text| text.trim().parse::<i64>().ok())
        .map_or_else(|| value.clone(), Value::from)
}

/// A boolean in quotes as a boolean.
fn boolean(value: &Value) -> Value {
    match value.as_str() {
        Some("true" | "True") => Value::Bool(true),
        Some("false" | "False") => Value::Bool(false),
        _ => value.clone(),
    }
}

/// Says each key that is not among the known ones.
pub(super) fn say_unknown(
    map: &Map<String, Value>,
    at: &str,
    known: &[&str],
    message: &str,
    reading: &mut Reading,
) {
    for (key, value) in map {
        if !known.contains(&key.as_str()) && !is_empty(value) {
            reading.note(document::join(at, key), message);
        }
    }
}
