//! `plan` and `diff`: what changes would do on every cluster, asked of the hub.
//!
//! In: files, names of Segments to delete. Out: the hub's plan, for people or programs. Law: nothing is written anywhere;
//! what the API server would refuse for its form is said here, with its line, and nothing is planned then.
//! Not: judging (`lint`), planning (the hub), words (`output/plan.rs`).

use super::{blocking, names};
use crate::api::{Hub, plan_rpc};
use crate::args::{Document as Form, Globals, PlanArgs};
use crate::exit::{Exit, Failure};
use crate::input::{self, Document};
use crate::lint::report::located;
use crate::lint::{Context, Told, form, shape};
use crate::output::plan::Style;
use crate::output::{self, findings, plan as words};
use segment_core::finding::Finding;
use segment_core::lint::catalog;
use segment_proto::v1::planned_change::Change;
use segment_proto::v1::{
    PlanRequest, PlanResponse, PlanSummary, PlannedChange, SegmentPlan, plan_response,
};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Bytes of Segments in one request: what fits a message of the users' API with what is around them.
const REQUEST_BYTES: usize = segment_proto::limits::USERS_MESSAGE_MAX_BYTES - 256 * 1024;

/// What the hub answered.
struct Answer {
    segments: Vec<SegmentPlan>,
    summary: PlanSummary,
    json: Value,
}

/// The documents that are planned, by the Segment's name.
type Written = HashMap<String, Document>;

pub(super) async fn run(globals: &Globals, args: PlanArgs, style: Style) -> Result<Exit, Failure> {
    let files = args.file.clone();
    let read = blocking("reading", move || {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        input::read(&files)
    })
    .await?;
    let hub = Hub::find(globals).await?;
    let namespace = Some(hub.namespace()).filter(|namespace| !namespace.is_empty());
    let context = Context::new(None, namespace.map(str::to_owned))?;
    let (mut changes, written) = changes(read, &context)?;
    let mut deleted = Vec::new();
    for typed in &args.delete {
        deleted.push(names::segment(&hub, typed).await?);
    }
    changes.extend(deleted.iter().cloned().map(Change::Delete));
    if changes.is_empty() {
        return Err(Failure::usage("there is no Segment in these files"));
    }
    let answer = match ask(&hub, changes, &context.namespace).await {
        Ok(answer) => answer,
        Err(failure) => {
            // Only a deletion can be of a Segment that is not there.
            let missing = deleted.iter().find(|name| failure.message.contains(*name));
            return Err(match missing {
                Some(name) => names::explain_segment(&hub, name, failure).await,
                None => failure,
            });
        }
    };
    match args.output {
        Form::Text => {
            for segment in &answer.segments {
                output::print(&words::segment(segment, style))?;
                say_findings(segment, &written);
            }
            let files: Vec<String> = args
                .file
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            output::note(&words::summary(&answer.summary, &files, &deleted));
        }
        Form::Json => output::print(&output::json(&answer.json)?)?,
        Form::Yaml => output::print(&output::yaml(&answer.json)?)?,
    }
    Ok(exit(&answer.summary))
}

/// No changes, changes, or something that would be refused.
fn exit(summary: &PlanSummary) -> Exit {
    if summary.refused() > 0 {
        Exit::Usage
    } else if summary.has_changes() {
        Exit::No
    } else {
        Exit::Yes
    }
}

/// The Segments of the documents as changes. Documents of other kinds are passed over.
fn changes(read: Vec<input::Read>, context: &Context) -> Result<(Vec<Change>, Written), Failure> {
    let mut changes = Vec::new();
    let mut written = Written::new();
    let (mut bytes, mut wrong) = (0, 0);
    for document in read {
        let document = document.map_err(|error| Failure::usage(error.to_string()))?;
        let Some(shape) = shape::of(&document.value) else {
            continue;
        };
        let (segment, told) = segment(&document, shape, context);
        let name = segment.as_ref().map(|value| name(value, context));
        for told in told.into_iter().filter(|told| told.finding.is_error()) {
            wrong += 1;
            say(&document, name.as_deref().unwrap_or_default(), told);
        }
        let (Some(segment), Some(name)) = (segment, name) else {
            continue;
        };
        let text = segment.to_string();
        bytes += text.len();
        if bytes > REQUEST_BYTES {
            return Err(Failure::usage(format!(
                "these Segments have more than {} KiB together: plan fewer at a time",
                REQUEST_BYTES / 1024
            )));
        }
        if let Some(first) = written.get(&name) {
            return Err(Failure::usage(format!(
                "segment {name} is there twice: in {} and in {}",
                first.file, document.file
            ))
            .help("the last one applied would win: remove one"));
        }
        changes.push(Change::Segment(text));
        written.insert(name, document);
    }
    if wrong > 0 {
        return Err(
            Failure::usage("the API server would refuse these files: nothing was planned")
                .help("segctl lint FILE says more"),
        );
    }
    Ok((changes, written))
}

/// A document as the resource that it is, or comes to, and what is wrong with its form.
fn segment(
    document: &Document,
    shape: shape::Shape,
    context: &Context,
) -> (Option<Value>, Vec<Told>) {
    if shape == shape::Shape::Segment {
        return (Some(document.value.clone()), form(document));
    }
    match shape::import(document, context) {
        Ok(segment) => (serde_json::to_value(segment).ok(), Vec::new()),
        Err(findings) => (None, findings.into_iter().map(Told::of).collect()),
    }
}

fn name(segment: &Value, context: &Context) -> String {
    let text = |pointer| segment.pointer(pointer).and_then(Value::as_str);
    let namespace = text("/metadata/namespace").unwrap_or(&context.namespace);
    format!("{namespace}/{}", text("/metadata/name").unwrap_or_default())
}

async fn ask(hub: &Hub, changes: Vec<Change>, namespace: &str) -> Result<Answer, Failure> {
    let request = PlanRequest {
        changes: changes
            .into_iter()
            .map(|change| PlannedChange {
                change: Some(change),
            })
            .collect(),
        namespace: namespace.to_owned(),
    };
    let mut stream = hub.stream(plan_rpc::plan(), request).await?;
    let (mut segments, mut told) = (Vec::new(), Vec::new());
    while let Some(part) = stream
        .message()
        .await
        .map_err(|status| hub.failure(&status))?
    {
        let json = plan_rpc::plan().answer_json(&part)?;
        match part {
            PlanResponse {
                part: Some(plan_response::Part::Segment(segment)),
            } => {
                told.push(json["segment"].clone());
                segments.push(segment);
            }
            PlanResponse {
                part: Some(plan_response::Part::Summary(summary)),
            } => {
                return Ok(Answer {
                    segments,
                    json: json!({"segments": told, "summary": json["summary"]}),
                    summary,
                });
            }
            // Of a newer hub.
            PlanResponse { part: None } => {}
        }
    }
    let mut failure = Failure::new(
        Exit::Unreachable,
        format!("hub {} ended its plan early", hub.link.address),
    );
    failure.transient = true;
    Err(failure.help("try again"))
}

/// What lint says, with the line where it is written.
fn say_findings(plan: &SegmentPlan, written: &Written) {
    let Some(document) = written.get(&plan.segment) else {
        return;
    };
    for finding in &plan.findings {
        // A code of a newer hub is in the plan's own lines all the same.
        let Some(entry) = catalog::find(&finding.code) else {
            continue;
        };
        let (field, message) = (finding.field.clone(), finding.message.clone());
        let mut ours = if finding.error() {
            Finding::error(entry.code, field, message)
        } else {
            Finding::warning(entry.code, field, message)
        }
        .help(finding.help.clone());
        ours.offset = finding.offset;
        let shape = shape::of(&document.value).unwrap_or(shape::Shape::Segment);
        ours.field = shape::field(shape, &ours.field);
        say(document, &plan.segment, Told::of(ours));
    }
}

fn say(document: &Document, key: &str, told: Told) {
    findings::say(&located(document, key, told, output::terminal_width()));
}
