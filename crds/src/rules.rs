//! CEL rules: what the API server refuses, with the words that it prints.
//!
//! In: the tables of variables. Out: `x-kubernetes-validations` for the schemas. Law: structure only, nothing that a
//! hub's house defaults could make right or wrong (tests `cel`: each rule accepts and refuses). Not: grammar, cron and
//! SQL (the core's lint), nor anything inside `overrides`: what an override makes of a Segment is known per cluster only.
//!
//! `env` is a struct, so `in` does not work on it: rules about variables are made from the table, one for each.

use schemars::Schema;
use serde_json::{Value, json};

use crate::env::{REQUIRED_VARIABLES, SECRET_VARIABLES, SegmentEnv};
use crate::limits::{EXTRA_VALUE_MAX_CHARS, IDENTIFIER_MAX_BYTES};
use crate::settings::CronJobSettings;

/// Adds the rules of `Segment.spec`, and what is required there but not in an override.
pub(crate) fn segment_spec(schema: &mut Schema) {
    if let Some(cronjob) = schema.pointer_mut("/properties/cronjob") {
        cronjob["required"] = json!(["schedule"]);
    }
    schema.insert(
        "x-kubernetes-validations".to_owned(),
        Value::Array(segment_spec_rules()),
    );
}

/// Adds the rules of one toleration: those that Kubernetes has for its own.
pub(crate) fn cluster_toleration(schema: &mut Schema) {
    let rules = vec![
        rule(
            "(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')",
            "a toleration without key tolerates every taint: say so with operator Exists, or give the key",
            "FieldValueInvalid",
            ".operator",
        ),
        rule(
            "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
            "operator Exists compares no value: remove the value, or use operator Equal",
            "FieldValueInvalid",
            ".value",
        ),
    ];
    schema.insert("x-kubernetes-validations".to_owned(), Value::Array(rules));
}

/// Names in `unset.env`: a closed list, as a typo there would unset nothing, in silence.
pub(crate) fn variable_names(schema: &mut Schema) {
    if let Some(items) = schema.get_mut("items") {
        items["enum"] = json!(SegmentEnv::NAMES);
    }
}

/// Names in `unset.cronjob`: a closed list, for the same reason.
pub(crate) fn cronjob_fields(schema: &mut Schema) {
    if let Some(items) = schema.get_mut("items") {
        items["enum"] = json!(CronJobSettings::FIELDS);
    }
}

/// Values of `extraEnv` have a bound.
pub(crate) fn extra_values(schema: &mut Schema) {
    if let Some(values) = schema.get_mut("additionalProperties") {
        values["maxLength"] = json!(EXTRA_VALUE_MAX_CHARS);
    }
}

/// A count, or a percentage from 0 to 100.
pub(crate) fn number_or_percent(schema: &mut Schema) {
    // On a value that may be either, the pattern binds strings and the minimum numbers.
    schema.insert("pattern".to_owned(), json!("^(100|[1-9]?[0-9])%$"));
    schema.insert("minimum".to_owned(), json!(0));
}

fn segment_spec_rules() -> Vec<Value> {
    let mut rules = value_rules();
    rules.extend(map_rules());
    rules.extend(required_variable_rules());
    rules.extend(one_place_rules());
    rules
}

/// What single values must be.
fn value_rules() -> Vec<Value> {
    vec![
        rule(
            "!self.cronjob.schedule.contains('TZ=')",
            "a schedule has no time zone in it: remove TZ=… or CRON_TZ=… and set spec.cronjob.timeZone",
            "FieldValueInvalid",
            ".cronjob.schedule",
        ),
        rule(
            "!has(self.env.TYPE) || self.env.TYPE in ['pivot', 'generic', 'flexible']",
            "spec.env.TYPE must be pivot, generic or flexible",
            "FieldValueInvalid",
            ".env.TYPE",
        ),
        rule(
            "(has(self.env.TYPE) && self.env.TYPE == 'flexible') || \
             (has(self.env.SOURCE_WHERE_CLAUSE) && self.env.SOURCE_WHERE_CLAUSE.trim() != '')",
            "spec.env.SOURCE_WHERE_CLAUSE is required and may not be empty (but for TYPE flexible): \
             write an SQL condition without the word WHERE; true selects every row",
            "FieldValueRequired",
            ".env.SOURCE_WHERE_CLAUSE",
        ),
        rule(
            "!has(self.env.TYPE) || self.env.TYPE != 'flexible' || \
             (has(self.env.SOURCE_QUERY) && self.env.SOURCE_QUERY.trim() != '')",
            "TYPE flexible needs spec.env.SOURCE_QUERY: write the whole query there",
            "FieldValueRequired",
            ".env.SOURCE_QUERY",
        ),
        rule(
            // Bytes, not characters: PostgreSQL cuts longer names silently. What a template gives is known per cluster.
            &format!(
                "!has(self.env.TARGET_SEGMENT_NAME) || (self.env.TARGET_SEGMENT_NAME != '' && \
                 (self.env.TARGET_SEGMENT_NAME.contains('$(cluster.') || \
                 bytes(self.env.TARGET_SEGMENT_NAME).size() <= {IDENTIFIER_MAX_BYTES}))"
            ),
            &format!(
                "spec.env.TARGET_SEGMENT_NAME is the name of a table: it may not be empty, \
                 nor longer than the {IDENTIFIER_MAX_BYTES} bytes of a PostgreSQL identifier"
            ),
            "FieldValueInvalid",
            ".env.TARGET_SEGMENT_NAME",
        ),
    ]
}

/// What the maps of variables hold.
fn map_rules() -> Vec<Value> {
    let mut rules = vec![
        rule(
            &format!(
                "!has(self.envFromSecrets) || self.envFromSecrets.all(v, v in {} || has(self.envFromSecrets[v].key))",
                cel_list(SECRET_VARIABLES)
            ),
            "each variable of spec.envFromSecrets needs a key; only DB_NAME, DB_PASSWORD and DB_USER have a default key",
            "FieldValueRequired",
            ".envFromSecrets",
        ),
        rule(
            &format!(
                "!has(self.extraEnv) || self.extraEnv.all(v, !(v in {}) && !(v in {}))",
                cel_list(SegmentEnv::NAMES),
                cel_list(SECRET_VARIABLES)
            ),
            "spec.extraEnv is for variables that the script does not know: \
             move what it knows into spec.env, and DB_NAME, DB_PASSWORD, DB_USER into spec.envFromSecrets",
            "FieldValueForbidden",
            ".extraEnv",
        ),
        rule(
            "!has(self.extraEnv) || !has(self.envFromSecrets) || self.extraEnv.all(v, !(v in self.envFromSecrets))",
            "a variable stands in both spec.extraEnv and spec.envFromSecrets: remove it from one of them",
            "FieldValueForbidden",
            ".extraEnv",
        ),
    ];
    // What Kubernetes calls a C identifier. The kubelet takes more, the shells and libraries in the image do not.
    rules.extend(["extraEnv", "envFromSecrets"].map(|field| {
        rule(
            &format!("!has(self.{field}) || self.{field}.all(v, v.matches('^[A-Za-z_][A-Za-z0-9_]*$'))"),
            &format!("the name of a variable in spec.{field} has letters, digits and _ only, and no digit in front"),
            "FieldValueInvalid",
            &format!(".{field}"),
        )
    }));
    rules
}

/// What must be there, one rule for each variable, so that the message names it.
fn required_variable_rules() -> impl Iterator<Item = Value> {
    // SOURCE_WHERE_CLAUSE is required by TYPE, and has a rule of its own.
    let always = REQUIRED_VARIABLES
        .iter()
        .filter(|name| **name != "SOURCE_WHERE_CLAUSE");
    always.map(|name| {
        let hint = match *name {
            "TARGET_SEGMENT_INDEXES" | "TARGET_SEGMENT_VIEWS" => "; it may be empty",
            "CITUS_DIST_COL" => "; it may be empty where DB_TYPE is postgres",
            "TYPE" => ": pivot, generic or flexible",
            _ => "",
        };
        rule(
            &format!("has(self.env.{name})"),
            &format!("spec.env.{name} is required{hint}"),
            "FieldValueRequired",
            &format!(".env.{name}"),
        )
    })
}

/// A variable has one source only: the container would take the last one, and nobody could tell which that is.
fn one_place_rules() -> impl Iterator<Item = Value> {
    SegmentEnv::NAMES.iter().map(|name| {
        rule(
            &format!("!has(self.env.{name}) || !has(self.envFromSecrets) || !('{name}' in self.envFromSecrets)"),
            &format!("{name} stands in both spec.env and spec.envFromSecrets: remove it from one of them"),
            "FieldValueForbidden",
            &format!(".env.{name}"),
        )
    })
}

/// One rule. `reason` is never `FieldValueDuplicate`: the API server prints no message with that one.
fn rule(rule: &str, message: &str, reason: &str, field_path: &str) -> Value {
    json!({ "rule": rule, "message": message, "reason": reason, "fieldPath": field_path })
}

fn cel_list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(", "))
}
