//! `explain`: what a variable means, a code of lint, or what a Segment makes in the database.
//!
//! In: a name, files, or nothing. Out: text, JSON or YAML. Law: the words and rules are the core's (`lint::variables`,
//! `lint::catalog`, `outcome`): there is no second list. Not: whether a value is right (`lint`).

use super::blocking;
use crate::args::{Document as Form, ExplainArgs, Globals};
use crate::exit::{Exit, Failure};
use crate::input;
use crate::lint::{Context, judge};
use crate::nearest::nearest;
use crate::output;
use crate::output::table::{Row, Table, column};
use crate::output::{explain as words, machine};
use crate::text::one_line;
use segment_core::lint::catalog::{self, Entry};
use segment_core::lint::variables::{VariableHelp, variable, variables};
use segment_core::outcome::outcome;
use segment_core::segment::base;
use serde_json::{Value, json};

pub(super) async fn run(globals: &Globals, args: ExplainArgs) -> Result<Exit, Failure> {
    if !args.file.is_empty() {
        let namespace = globals.namespace.clone();
        return blocking("explain", move || files(namespace, &args)).await;
    }
    let Some(typed) = &args.name else {
        print(
            args.output,
            Value::Array(variables().iter().map(value).collect()),
            || list().text(false, true),
        )?;
        return Ok(Exit::Yes);
    };
    if let Some(variable) = variable(typed) {
        print(args.output, value(variable), || words::variable(variable))?;
    } else if let Some(entry) = catalog::find(typed) {
        print(args.output, code(entry), || {
            words::code(entry, &machine::help_uri(entry.code))
        })?;
    } else {
        return Err(unknown(typed));
    }
    Ok(Exit::Yes)
}

fn print(form: Form, value: Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
    output::document(form, || Ok(value), text)
}

fn unknown(typed: &str) -> Failure {
    let codes = catalog::entries().iter().map(|entry| entry.code.as_str());
    let known = variables()
        .iter()
        .map(|variable| variable.name)
        .chain(codes);
    let meant =
        nearest(typed, known).map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
    let typed: String = typed.chars().take(80).collect();
    Failure::new(
        Exit::NotFound,
        format!(
            "{} is neither a variable nor a code of lint{meant}",
            one_line(&typed)
        ),
    )
    .help("segctl explain lists the variables; segctl explain -f FILE says what a Segment makes")
}

/// What the Segments of files make.
fn files(namespace: Option<String>, args: &ExplainArgs) -> Result<Exit, Failure> {
    let context = Context::new(args.defaults.as_deref(), namespace)?;
    let (mut made, mut texts) = (Vec::new(), Vec::new());
    let mut refused = false;
    for document in input::read(&args.file)? {
        let document = document.map_err(|error| Failure::usage(error.to_string()))?;
        let Some(judged) = judge(&document, &context) else {
            continue;
        };
        let Some(parsed) = judged.parsed else {
            refused = true;
            output::note(&format!(
                "{}: segment {} is refused: segctl lint says why",
                one_line(&document.file),
                one_line(&judged.key)
            ));
            continue;
        };
        let outcome = outcome(&base(&parsed.spec), &context.defaults);
        let overrides = parsed.spec.overrides.len();
        texts.push(words::outcome(&judged.key, &outcome, overrides));
        made.push(json!({"segment": judged.key, "makes": outcome, "overrides": overrides}));
    }
    if made.is_empty() && !refused {
        return Err(Failure::usage("there is no Segment in these files"));
    }
    if !made.is_empty() {
        print(args.output, Value::Array(made), || texts.join("\n"))?;
    }
    Ok(if refused { Exit::No } else { Exit::Yes })
}

fn list() -> Table {
    Table {
        columns: ["VARIABLE", "TYPE", "DEFAULT", "MEANING"]
            .map(column)
            .to_vec(),
        rows: variables()
            .iter()
            .map(|variable| Row {
                name: variable.name.to_owned(),
                cells: vec![
                    variable.name.to_owned(),
                    words::types(variable),
                    words::default(variable),
                    variable.meaning.to_owned(),
                ],
            })
            .collect(),
    }
}

fn value(variable: &VariableHelp) -> Value {
    json!({
        "variable": variable.name,
        "meaning": variable.meaning,
        "default": variable.default,
        "hubVariable": variable.hub_variable,
        "types": variable.types,
        "required": variable.required,
        "example": variable.example,
    })
}

fn code(entry: &Entry) -> Value {
    json!({
        "code": entry.code.as_str(),
        "severity": entry.severity.as_str(),
        "title": entry.title,
        "why": entry.why,
        "wrong": entry.wrong,
        "right": entry.right,
        "url": machine::help_uri(entry.code),
    })
}
