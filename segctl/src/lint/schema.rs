//! The API server's strict validation, without an API server: unknown fields, types, enums, lengths.
//!
//! In: a document of kind Segment. Out: a finding for each thing that the API server would refuse, with the field that
//! was probably meant. Law: the schema is the CRD's own, closed where it lists its fields (test
//! `what_the_schema_takes`). Not: CEL rules (`crds`), meaning (`core`).

use super::Told;
use crate::nearest::nearest;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::LocationSegment;
use jsonschema::{ValidationError, Validator};
use segment_core::finding::{Code, Finding};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// How many findings of one document are told.
const MAX_FINDINGS: usize = 200;

/// How much of a user's text stands in a message, in characters.
const MAX_QUOTED: usize = 60;

/// What is wrong with a document's form.
#[derive(Debug)]
pub(crate) struct Mistake {
    /// As users see it.
    pub(crate) finding: Finding,
    /// JSON pointer to the value that is wrong, so that the rest can be judged without it.
    pub(crate) pointer: String,
    /// What stands for the value then.
    pub(crate) rest: Rest,
    /// The place is that of the field's name, not of its value.
    pub(crate) at_name: bool,
}

/// What stands for a value that has a mistake of form, when the meaning of the document is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing.
    Nothing,
    /// Its text: it is a scalar where a string is wanted.
    Text,
    /// Itself: it has the right type. What a rule says of it is said instead: it says more.
    Itself,
}

impl Mistake {
    /// Without what only a correction needs.
    pub(crate) fn told(self) -> Told {
        Told {
            finding: self.finding,
            at_name: self.at_name,
            is_bound: self.rest == Rest::Itself && !self.at_name,
        }
    }
}

struct Compiled {
    validator: Validator,
    schema: Value,
}

static SCHEMA: LazyLock<Option<Compiled>> = LazyLock::new(compile);

fn compile() -> Option<Compiled> {
    let crd = segment_crds::all()
        .into_iter()
        .find(|crd| crd.spec.names.kind == "Segment")?;
    let version = crd.spec.versions.into_iter().next()?;
    let mut schema = serde_json::to_value(version.schema?.open_api_v3_schema?).ok()?;
    close(&mut schema);
    let properties = schema.get_mut("properties")?.as_object_mut()?;
    properties.insert("apiVersion".to_owned(), json!({ "type": "string" }));
    properties.insert("kind".to_owned(), json!({ "type": "string" }));
    properties.insert("metadata".to_owned(), object_meta());
    // Written by the hub; kubectl get -o yaml prints it, and the API server passes it over.
    properties.insert("status".to_owned(), json!(true));
    schema["additionalProperties"] = json!(false);
    let validator = jsonschema::options()
        .should_validate_formats(false)
        .build(&schema)
        .ok()?;
    Some(Compiled { validator, schema })
}

/// Kubernetes' own metadata, as far as people write it.
fn object_meta() -> Value {
    let text = json!({ "type": "string" });
    let map = json!({ "type": "object", "additionalProperties": text });
    let mut fields = Map::new();
    for name in [
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
    ] {
        fields.insert(name.to_owned(), text.clone());
    }
    fields.insert(
        "creationTimestamp".to_owned(),
        json!({ "type": ["string", "null"] }),
    );
    fields.insert("labels".to_owned(), map.clone());
    fields.insert("annotations".to_owned(), map);
    fields.insert(
        "finalizers".to_owned(),
        json!({ "type": "array", "items": text }),
    );
    for name in ["generation", "deletionGracePeriodSeconds"] {
        fields.insert(name.to_owned(), json!({ "type": "integer" }));
    }
    for name in ["ownerReferences", "managedFields"] {
        fields.insert(name.to_owned(), json!({ "type": "array" }));
    }
    json!({ "type": "object", "properties": fields, "additionalProperties": false })
}

/// Kubernetes' dialect as JSON Schema has it: fields that are not listed are refused, amounts may be numbers.
fn close(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else {
        return;
    };
    if map.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
        map.remove("anyOf");
        map.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if map.get("format") == Some(&json!("int32")) {
        map.entry("minimum").or_insert(json!(i32::MIN));
        map.entry("maximum").or_insert(json!(i32::MAX));
    }
    let open = map.contains_key("additionalProperties")
        || map.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(close);
        if !open {
            map.insert("additionalProperties".to_owned(), json!(false));
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(key) {
            close(child);
        }
    }
}

/// Everything that the API server would refuse in the form of this document. `written` gives the text of a scalar as
/// it stands in the file.
pub(crate) fn mistakes<'a>(
    document: &Value,
    written: impl Fn(&str) -> Option<&'a str>,
) -> Vec<Mistake> {
    let Some(compiled) = SCHEMA.as_ref() else {
        return Vec::new();
    };
    let mut mistakes = Vec::new();
    for error in compiled.validator.iter_errors(document) {
        if mistakes.len() >= MAX_FINDINGS {
            break;
        }
        judge(&error, &compiled.schema, &written, &mut mistakes);
    }
    mistakes
}

fn judge<'a>(
    error: &ValidationError<'_>,
    schema: &Value,
    written: &impl Fn(&str) -> Option<&'a str>,
    mistakes: &mut Vec<Mistake>,
) {
    let field = field_of(error);
    let pointer = error.instance_path().as_str().to_owned();
    let value: &Value = error.instance();
    let mut push = |finding: Finding, pointer: String, rest: Rest, at_name: bool| {
        mistakes.push(Mistake {
            finding,
            pointer,
            rest,
            at_name,
        });
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = siblings(error, schema);
            for name in unexpected.iter().take(MAX_FINDINGS) {
                let finding = unknown(&field, name, &known);
                let pointer = format!("{pointer}/{}", escaped(name));
                push(finding, pointer, Rest::Nothing, true);
            }
        }
        ValidationErrorKind::Type { kind } => {
            let wants_text = matches!(kind, TypeKind::Single(kind) if kind.to_string() == "string");
            let is_text = wants_text && (value.is_number() || value.is_boolean());
            let mut finding = Finding::error(
                Code::WrongType,
                &field,
                format!("must be {}, and is {}", wanted(kind), named(value)),
            );
            if is_text {
                let text = match value {
                    // The script reads Python's words.
                    Value::Bool(true) => "True".to_owned(),
                    Value::Bool(false) => "False".to_owned(),
                    _ => written(&field).map_or_else(|| value.to_string(), str::to_owned),
                };
                let name = field.rsplit('.').next().unwrap_or_default();
                finding =
                    finding.help(format!("write it in quotes: {name}: \"{}\"", quoted(&text)));
            } else if value.is_null() {
                finding = finding.help("remove the field, or give it a value");
            }
            let rest = if is_text { Rest::Text } else { Rest::Nothing };
            push(finding, pointer, rest, false);
        }
        ValidationErrorKind::Enum { options } => {
            let words: Vec<&str> = options
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let typed = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let mut finding = Finding::error(
                Code::InvalidValue,
                &field,
                format!(
                    "is \"{}\", which is none of {}",
                    quoted(&typed),
                    words.join(", ")
                ),
            );
            if let Some(meant) = meant(&typed, &words) {
                finding = finding.help(format!("did you mean {meant}?"));
            }
            push(finding, pointer, Rest::Nothing, false);
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let finding = Finding::error(Code::RequiredVariable, join(&field, name), "is required");
            push(finding, pointer, Rest::Itself, true);
        }
        other => {
            let (code, message) = bound(other, error);
            let rest = if value.is_string() {
                Rest::Itself
            } else {
                Rest::Nothing
            };
            push(Finding::error(code, &field, message), pointer, rest, false);
        }
    }
}

/// A bound that does not hold, in words.
fn bound(kind: &ValidationErrorKind, error: &ValidationError<'_>) -> (Code, String) {
    use ValidationErrorKind as Kind;
    let value = error.instance();
    let length = value.as_str().map_or(0, |text| text.chars().count());
    let items = value
        .as_array()
        .map(Vec::len)
        .or_else(|| value.as_object().map(Map::len))
        .unwrap_or_default();
    let message = match kind {
        Kind::MaxLength { limit } => {
            format!("has {length} characters, more than the {limit} that it may have")
        }
        Kind::MinLength { limit } => {
            format!("has {length} characters, fewer than the {limit} that it must have")
        }
        Kind::MaxItems { limit } | Kind::MaxProperties { limit } => {
            format!("has {items} members, more than the {limit} that it may have")
        }
        Kind::MinItems { limit } | Kind::MinProperties { limit } => {
            format!("has {items} members, fewer than the {limit} that it must have")
        }
        Kind::Maximum { limit } => format!("is {value}, more than {limit}"),
        Kind::Minimum { limit } => format!("is {value}, less than {limit}"),
        Kind::Pattern { pattern } => {
            let typed = value.as_str().unwrap_or_default();
            return (
                Code::InvalidValue,
                format!("is \"{}\", which does not match {pattern}", quoted(typed)),
            );
        }
        _ => return (Code::InvalidValue, quoted(&error.masked().to_string())),
    };
    (Code::OutOfRange, message)
}

fn unknown(parent: &str, name: &str, known: &[&str]) -> Finding {
    let field = join(parent, &quoted(name));
    let finding = |message: &str| Finding::error(Code::UnknownField, &field, message);
    if let Some(meant) = meant(name, known) {
        return finding("is not a field").help(format!("did you mean {meant}?"));
    }
    if let Some(home) = home(name).filter(|home| *home != parent) {
        return finding("is not a field").help(format!("it belongs to {home}"));
    }
    match parent.rsplit('.').next() {
        Some("env") => finding("is not a variable that the script knows")
            .help("move it to extraEnv, or see the list: segctl explain"),
        _ if known.is_empty() => finding("is not a field"),
        _ => finding("is not a field").help(format!("there are {}", known.join(", "))),
    }
}

/// The name that was meant: in another case, else the nearest.
fn meant<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    if typed.chars().count() > MAX_QUOTED {
        return None;
    }
    let plain = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
    let wanted = plain(typed);
    known
        .iter()
        .copied()
        .find(|name| plain(name) == wanted)
        .or_else(|| nearest(typed, known.iter().copied()))
}

/// Where a field of this name stands, if it stands elsewhere.
fn home(name: &str) -> Option<&'static str> {
    if segment_crds::SegmentEnv::NAMES.contains(&name) {
        return Some("spec.env");
    }
    if segment_crds::SECRET_VARIABLES.contains(&name) {
        return Some("spec.envFromSecrets");
    }
    let schema = &SCHEMA.as_ref()?.schema;
    ["cronjob", "image"]
        .iter()
        .zip(["spec.cronjob", "spec.image"])
        .find(|(block, _)| {
            schema
                .pointer(&format!(
                    "/properties/spec/properties/{block}/properties/{}",
                    escaped(name)
                ))
                .is_some()
        })
        .map(|(_, home)| home)
        .or_else(|| {
            schema
                .pointer(&format!("/properties/spec/properties/{}", escaped(name)))
                .is_some()
                .then_some("spec")
        })
}

/// The fields that stand where an unknown one was found.
fn siblings<'a>(error: &ValidationError<'_>, schema: &'a Value) -> Vec<&'a str> {
    let path = error.schema_path().as_str();
    let parent = path.strip_suffix("/additionalProperties").unwrap_or(path);
    schema
        .pointer(&format!("{parent}/properties"))
        .and_then(Value::as_object)
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

/// The path as findings have it: `spec.overrides[0].env.TYPE`.
fn field_of(error: &ValidationError<'_>) -> String {
    let mut field = String::new();
    for segment in error.instance_path() {
        match segment {
            LocationSegment::Property(name) => field = join(&field, &name),
            LocationSegment::Index(index) => field = format!("{field}[{index}]"),
        }
    }
    field
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}.{name}")
    }
}

/// One part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn wanted(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(kind) => article(&kind.to_string()).to_owned(),
        TypeKind::Multiple(kinds) => {
            let kinds: Vec<String> = kinds
                .iter()
                .map(|kind| article(&kind.to_string()).to_owned())
                .collect();
            kinds.join(" or ")
        }
    }
}

fn article(kind: &str) -> &str {
    match kind {
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "null" => "empty",
        "number" => "a number",
        "object" => "a mapping",
        "string" => "a string",
        other => other,
    }
}

fn named(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(truth) => format!("the boolean {truth}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string \"{}\"", quoted(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

/// A user's text in a message: one line, and not too long.
fn quoted(text: &str) -> String {
    let line = crate::text::one_line(&text.chars().take(4 * MAX_QUOTED).collect::<String>());
    if line.chars().count() > MAX_QUOTED {
        let cut: String = line.chars().take(MAX_QUOTED - 1).collect();
        format!("{cut}…")
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(document: &Value) -> Vec<String> {
        mistakes(document, |_| None)
            .into_iter()
            .map(|mistake| format!("{} {}", mistake.finding.code, mistake.finding))
            .collect()
    }

    #[test]
    fn what_the_schema_takes() {
        let good = json!({
            "apiVersion": "segment.grnry.io/v1alpha1", "kind": "Segment",
            "metadata": { "name": "demo", "namespace": "granary", "labels": { "a.b/c": "d" }, "creationTimestamp": null },
            "spec": {
                "cronjob": { "schedule": "@daily", "resources": { "requests": { "cpu": 1, "memory": "1Gi" } } },
                "env": { "TYPE": "pivot" },
                "extraEnv": { "ANYTHING": "x" },
            },
            "status": { "whatever": 1 },
        });
        assert_eq!(told(&good), Vec::<String>::new());
    }

    #[test]
    fn each_mistake_says_what_was_probably_meant() {
        for (pointer, value, wanted) in [
            (
                "/spec/env/PIVOT_PATH",
                json!("/a"),
                "UnknownField spec.env.PIVOT_PATH is not a field (did you mean PIVOT_PATHS?)",
            ),
            (
                "/spec/env/pivot_paths",
                json!("/a"),
                "UnknownField spec.env.pivot_paths is not a field (did you mean PIVOT_PATHS?)",
            ),
            (
                "/spec/env/JAVA_HOME",
                json!("/a"),
                "UnknownField spec.env.JAVA_HOME is not a variable that the script knows (move it to extraEnv, or see the list: segctl explain)",
            ),
            (
                "/spec/schedule",
                json!("@daily"),
                "UnknownField spec.schedule is not a field (it belongs to spec.cronjob)",
            ),
            (
                "/spec/TARGET_SEGMENT_NAME",
                json!("x"),
                "UnknownField spec.TARGET_SEGMENT_NAME is not a field (it belongs to spec.env)",
            ),
            (
                "/metadata/lables",
                json!({}),
                "UnknownField metadata.lables is not a field (did you mean labels?)",
            ),
            (
                "/spec/env/DB_PORT",
                json!(5432),
                "WrongType spec.env.DB_PORT must be a string, and is the number 5432 (write it in quotes: DB_PORT: \"5432\")",
            ),
            (
                "/spec/env",
                json!(null),
                "WrongType spec.env must be a mapping, and is empty (remove the field, or give it a value)",
            ),
            (
                "/spec/cronjob/suspend",
                json!("yes"),
                "WrongType spec.cronjob.suspend must be true or false, and is the string \"yes\"",
            ),
            (
                "/spec/cronjob/concurrencyPolicy",
                json!("forbid"),
                "InvalidValue spec.cronjob.concurrencyPolicy is \"forbid\", which is none of Allow, Forbid, Replace, Always (did you mean Forbid?)",
            ),
            (
                "/spec/displayName",
                json!("x".repeat(5_000)),
                "OutOfRange spec.displayName has 5000 characters, more than the ",
            ),
        ] {
            let mut document = json!({ "metadata": {}, "spec": { "cronjob": { "schedule": "@daily" }, "env": {} } });
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            document.pointer_mut(parent).unwrap()[name] = value;
            let told = told(&document);
            assert_eq!(told.len(), 1, "{pointer}: {told:?}");
            assert!(told[0].starts_with(wanted), "{pointer}: {told:?}");
        }
    }

    #[test]
    fn what_is_missing_and_what_is_in_lists() {
        assert_eq!(
            told(
                &json!({ "spec": { "cronjob": {}, "env": {}, "overrides": [{ "env": { "TIPE": "x" } }] } })
            ),
            [
                "RequiredVariable spec.cronjob.schedule is required",
                "UnknownField spec.overrides[0].env.TIPE is not a field (did you mean TYPE?)",
            ]
        );
    }
}
