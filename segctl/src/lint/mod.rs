//! Lint of documents: what the API server, the webhook and every cluster would say, said offline.
//!
//! In: a document of a file. Out: [`Judged`]: every finding once, with its place. Law: one verdict wherever it is asked
//! for; what a schema says is not said again by a rule (test `nothing_is_said_twice`). Not: how findings are printed.

pub(crate) mod defaults;
pub(crate) mod report;
pub(crate) mod schema;
pub(crate) mod shape;

use crate::exit::Failure;
use crate::input::Document;
use jiff::Timestamp;
use schema::{Mistake, Rest};
use segment_core::finding::{Code, Finding};
use segment_core::segment::{HouseDefaults, ParsedSegment};
use segment_crds::Segment;
use serde_json::{Value, json};
use shape::Shape;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What all documents are judged under.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// House defaults.
    pub(crate) defaults: HouseDefaults,
    /// The namespace of documents that name none, as kubectl has it.
    pub(crate) namespace: String,
    /// For warnings that name dates.
    pub(crate) now: Timestamp,
}

impl Context {
    /// With the house defaults of a file, or the built-in ones.
    pub(crate) fn new(defaults: Option<&Path>, namespace: Option<String>) -> Result<Self, Failure> {
        Ok(Self {
            defaults: defaults::load(defaults)?,
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            now: Timestamp::now(),
        })
    }
}

/// A finding with what is needed to find its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Its field is the document's own, so that it can be found there.
    pub(crate) finding: Finding,
    /// The field's name is meant, not its value.
    pub(crate) at_name: bool,
    /// A rule that refuses the same value says more.
    pub(crate) is_bound: bool,
}

impl Told {
    /// Of the field's value.
    pub(crate) fn of(finding: Finding) -> Self {
        Self {
            finding,
            at_name: false,
            is_bound: false,
        }
    }

    fn is_said_better(&self, rules: &[Finding]) -> bool {
        let is_same = |rule: &Finding| rule.is_error() && rule.field == self.finding.field;
        self.is_bound && rules.iter().any(is_same)
    }
}

/// What came of one document.
#[derive(Debug)]
pub(crate) struct Judged {
    /// What it is.
    pub(crate) shape: Shape,
    /// `namespace/name`, as far as it says.
    pub(crate) key: String,
    /// Every finding.
    pub(crate) told: Vec<Told>,
    /// What it means; `None` where it is refused.
    pub(crate) parsed: Option<Arc<ParsedSegment>>,
}

/// What the API server would refuse in a resource, whatever the hub's house defaults.
pub(crate) fn form(document: &Document) -> Vec<Told> {
    let positions = &document.positions;
    mistakes(document, |field| positions.written(field))
        .into_iter()
        .map(Mistake::told)
        .collect()
}

fn mistakes<'a>(document: &Document, written: impl Fn(&str) -> Option<&'a str>) -> Vec<Mistake> {
    let mut mistakes = schema::mistakes(&document.value, written);
    mistakes.extend(wrong_version(&document.value));
    mistakes
}

/// Judges a document; `None` where it is none of ours.
pub(crate) fn judge(document: &Document, context: &Context) -> Option<Judged> {
    let shape = shape::of(&document.value)?;
    let (segment, mut told) = match shape {
        Shape::Segment => resource(document, context),
        Shape::Api | Shape::HelmValues | Shape::CronJob => imported(document, context),
    };
    let key = segment.as_ref().map_or_else(
        || key_of(&document.value, &context.namespace),
        |segment| {
            format!(
                "{}/{}",
                segment.metadata.namespace.as_deref().unwrap_or_default(),
                segment.metadata.name.as_deref().unwrap_or_default()
            )
        },
    );
    let mut parsed = None;
    if let Some(segment) = &segment {
        let verdict = segment_core::lint::lint(segment, &context.defaults, context.now);
        parsed = verdict.parsed;
        let mut more: Vec<Finding> = verdict
            .findings
            .into_iter()
            .map(|mut finding| {
                finding.field = shape::field(shape, &finding.field);
                finding
            })
            .collect();
        told.retain(|told| !told.is_said_better(&more));
        let wrong: BTreeSet<String> = told.iter().map(|told| told.finding.field.clone()).collect();
        more.retain(|finding| !covers(&wrong, &finding.field));
        more.extend(rules(segment, shape, &wrong, &more));
        told.extend(more.into_iter().map(Told::of));
    }
    if told.iter().any(|told| told.finding.is_error()) {
        parsed = None;
    }
    Some(Judged {
        shape,
        key,
        told,
        parsed,
    })
}

/// Whether something is known to be wrong with this field, or with one around it.
fn covers(wrong: &BTreeSet<String>, field: &str) -> bool {
    wrong.contains(field)
        || field
            .match_indices(['.', '['])
            .any(|(at, _)| wrong.contains(&field[..at]))
}

/// A resource as kubectl would send it.
fn resource(document: &Document, context: &Context) -> (Option<Segment>, Vec<Told>) {
    let positions = &document.positions;
    let mistakes = mistakes(document, |field| positions.written(field));
    let mut value = without(&document.value, &mistakes, |field| positions.written(field));
    let told: Vec<Told> = mistakes.into_iter().map(Mistake::told).collect();
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut)
        && metadata.get("namespace").is_none()
    {
        metadata.insert("namespace".to_owned(), json!(context.namespace));
    }
    match serde_json::from_value(value) {
        Ok(segment) => (Some(segment), told),
        Err(error) if told.is_empty() => {
            let finding = Finding::error(
                Code::InvalidValue,
                "spec",
                format!("can't be read: {error}"),
            );
            let told = Told {
                at_name: true,
                ..Told::of(finding)
            };
            (None, vec![told])
        }
        Err(_) => (None, told),
    }
}

/// Another group or version is another kind.
fn wrong_version(document: &Value) -> Option<Mistake> {
    let wanted = format!("{}/{}", segment_crds::GROUP, segment_crds::VERSION);
    let message = match document.get("apiVersion").map(Value::as_str) {
        Some(Some(version)) if version == wanted => return None,
        Some(Some(version)) => format!("is {:?}", version.chars().take(80).collect::<String>()),
        Some(None) => return None,
        None => "is required".to_owned(),
    };
    Some(Mistake {
        finding: Finding::error(Code::InvalidValue, "apiVersion", message)
            .help(format!("write apiVersion: {wanted}")),
        pointer: "/apiVersion".to_owned(),
        rest: Rest::Text,
        at_name: false,
    })
}

/// The document as it would be without its mistakes of form, so that its meaning can be judged too.
fn without<'a>(
    document: &Value,
    mistakes: &[Mistake],
    written: impl Fn(&str) -> Option<&'a str>,
) -> Value {
    let mut value = document.clone();
    // The last first: an item that is taken out of a list moves those behind it.
    for mistake in mistakes.iter().rev() {
        match mistake.rest {
            Rest::Itself => {}
            Rest::Text => {
                if let Some(wrong) = value.pointer_mut(&mistake.pointer) {
                    let text = written(&mistake.finding.field)
                        .map_or_else(|| wrong.to_string(), str::to_owned);
                    *wrong = Value::String(text);
                }
            }
            Rest::Nothing => {
                if let Some((parent, name)) = mistake.pointer.rsplit_once('/')
                    && let Some(Value::Object(fields)) = value.pointer_mut(parent)
                {
                    fields.remove(&name.replace("~1", "/").replace("~0", "~"));
                }
            }
        }
    }
    value
}

/// The CRD's rules, where nothing else was said of the field.
fn rules(
    segment: &Segment,
    shape: Shape,
    wrong: &BTreeSet<String>,
    findings: &[Finding],
) -> Vec<Finding> {
    let Err(errors) = segment.validate_cel() else {
        return Vec::new();
    };
    errors
        .into_vec()
        .into_iter()
        .filter_map(|error| {
            let field = shape::field(shape, &error.field_path);
            let code = match error.reason.as_deref() {
                Some("FieldValueRequired") => Code::RequiredVariable,
                _ => Code::InvalidValue,
            };
            // Where a variable comes from both places, or from the wrong one, the rule names the Secret.
            let secret = field.replacen("spec.env.", "spec.envFromSecrets.", 1);
            let said = covers(wrong, &field)
                || findings.iter().any(|finding| {
                    finding.is_error()
                        && (finding.field.starts_with(&field)
                            || field.starts_with(&finding.field)
                            || finding.field == secret)
                });
            (!said).then(|| Finding::error(code, field, error.message))
        })
        .collect()
}

/// A document of another shape, as an import makes a Segment of it.
fn imported(document: &Document, context: &Context) -> (Option<Segment>, Vec<Told>) {
    match shape::import(document, context) {
        Ok(segment) => (Some(segment), Vec::new()),
        Err(findings) => (None, findings.into_iter().map(Told::of).collect()),
    }
}

fn key_of(value: &Value, namespace: &str) -> String {
    let text = |field: &str| value.pointer(field).and_then(Value::as_str);
    let name = text("/metadata/name").unwrap_or_default();
    let namespace = text("/metadata/namespace").unwrap_or(namespace);
    crate::text::one_line(&format!("{namespace}/{name}"))
}

#[cfg(test)]
mod tests;
