//! `render`: the `CronJob` of a Segment on one cluster.
//!
//! In: files, or a Segment of the hub; a cluster by name, labels and annotations. Out: what an agent would write there.
//! Law: one renderer, the core's; offline what only a hub knows is left out. Not: whether the cluster is selected.

use super::{blocking, names};
use crate::api::{Hub, segment_rpc};
use crate::args::{Globals, RenderArgs, RenderForm};
use crate::exit::{Exit, Failure};
use crate::input::{self, Document};
use crate::lint::report::{Reported, located};
use crate::lint::{Context, Told, judge, shape};
use crate::output::{self, findings};
use segment_core::assignment::{Assignment, Controls, Entry, OrderNumber, Owner};
use segment_core::cronjob::cronjob_json;
use segment_core::finding::Finding;
use segment_core::ids::{ClusterName, HubId};
use segment_core::names::{ANNOTATION_HUB, ANNOTATION_UID};
use segment_core::placement::{ClusterView, Placement, place};
use segment_core::render::render;
use segment_core::revision::revision;
use segment_core::segment::ParsedSegment;
use segment_proto::v1::GetAssignmentRequest;
use serde_json::{Value, json};

pub(super) async fn run(globals: &Globals, args: RenderArgs) -> Result<Exit, Failure> {
    if let Some(segment) = &args.segment {
        return from_hub(&Hub::find(globals).await?, segment, &args).await;
    }
    let namespace = globals.namespace.clone();
    blocking("render", move || offline(namespace, &args)).await
}

/// What the hub renders.
async fn from_hub(hub: &Hub, typed: &str, args: &RenderArgs) -> Result<Exit, Failure> {
    let cluster = args.cluster.clone().ok_or_else(|| {
        Failure::usage("which cluster? give --cluster NAME").help("segctl get clusters lists them")
    })?;
    let segment = names::segment(hub, typed).await?;
    let request = GetAssignmentRequest {
        segment: segment.clone(),
        cluster: cluster.clone(),
    };
    let answer = match hub.call(segment_rpc::get_assignment(), request).await {
        Ok(answer) => answer,
        Err(failure) if failure.message.contains("cluster") => {
            return Err(names::explain_cluster(hub, &cluster, failure).await);
        }
        Err(failure) => return Err(names::explain_segment(hub, &segment, failure).await),
    };
    let text = answer.assignment.unwrap_or_default().cron_job_yaml;
    if text.is_empty() {
        return Err(Failure::new(
            Exit::No,
            format!("the hub has no CronJob of {segment} for cluster {cluster}"),
        )
        .help(format!("segctl why {segment} --cluster {cluster} says why")));
    }
    match args.output {
        RenderForm::Yaml => output::print(&text)?,
        RenderForm::Json => {
            let value: Value = serde_saphyr::from_str(&text).map_err(|error| {
                Failure::new(
                    Exit::No,
                    format!("the hub's CronJob can't be read: {error}"),
                )
            })?;
            output::print(&output::json(&value)?)?;
        }
    }
    Ok(Exit::Yes)
}

/// What files would come to.
fn offline(namespace: Option<String>, args: &RenderArgs) -> Result<Exit, Failure> {
    let context = Context::new(args.defaults.as_deref(), namespace)?;
    let clusters = clusters(args)?;
    let mut rendered = Vec::new();
    let mut wrong = Vec::new();
    let mut segments = 0;
    for document in input::read(&args.file)? {
        let document = document.map_err(|error| Failure::usage(error.to_string()))?;
        let Some(judged) = judge(&document, &context) else {
            continue;
        };
        segments += 1;
        let key = judged.key.clone();
        let told = match judged.parsed {
            Some(parsed) => match one(&parsed, &clusters, &context, args)? {
                Ok(cronjob) => {
                    rendered.push(cronjob);
                    Vec::new()
                }
                Err(findings) => on_cluster(judged.shape, findings),
            },
            None => judged.told,
        };
        wrong.extend(errors(&document, &key, told));
    }
    if segments == 0 {
        return Err(Failure::usage("there is no Segment in these files"));
    }
    if !rendered.is_empty() {
        output::print(&text(args.output, rendered)?)?;
    }
    for reported in &wrong {
        findings::say(reported);
    }
    Ok(if wrong.is_empty() {
        Exit::Yes
    } else {
        Exit::No
    })
}

fn on_cluster(shape: shape::Shape, findings: Vec<Finding>) -> Vec<Told> {
    findings
        .into_iter()
        .map(|mut finding| {
            finding.field = shape::field(shape, &finding.field);
            Told::of(finding)
        })
        .collect()
}

fn errors<'a>(
    document: &'a Document,
    key: &'a str,
    told: Vec<Told>,
) -> impl Iterator<Item = Reported> + 'a {
    told.into_iter()
        .filter(|told| told.finding.is_error())
        .map(|told| located(document, key, told, output::terminal_width()))
}

/// The cluster as it was described; where it has no name, twice with different ones: what differs then needs a name.
fn clusters(args: &RenderArgs) -> Result<Vec<ClusterView>, Failure> {
    let names = match &args.cluster {
        Some(name) => vec![name.as_str()],
        None => vec!["unnamed-1", "unnamed-2"],
    };
    names
        .into_iter()
        .map(|name| {
            let name = ClusterName::new(name)
                .map_err(|error| Failure::usage(format!("--cluster: {error}")))?;
            Ok(ClusterView {
                annotations: args.annotations.iter().cloned().collect(),
                ..ClusterView::named(name, args.labels.iter().cloned().collect())
            })
        })
        .collect()
}

/// One Segment's `CronJob`, or what is wrong with it on this cluster.
fn one(
    segment: &ParsedSegment,
    clusters: &[ClusterView],
    context: &Context,
    args: &RenderArgs,
) -> Result<Result<Value, Vec<Finding>>, Failure> {
    let mut first = None;
    for cluster in clusters {
        let rendered = match render(segment, &context.defaults, cluster) {
            Ok(rendered) => rendered,
            Err(findings) => return Ok(Err(findings)),
        };
        match &first {
            None => first = Some(rendered),
            Some(other) if *other == rendered => {}
            Some(_) => {
                return Err(Failure::usage(format!(
                    "the CronJob of {} depends on the cluster's name: give --cluster NAME",
                    segment.key
                ))
                .help("its schedule has an H, or it holds $(cluster.name)"));
            }
        }
    }
    if let (Some(cluster), true) = (
        clusters.first(),
        args.cluster.is_some() || !args.labels.is_empty(),
    ) && let Placement::Out(reason) = place(segment, cluster, Some(true))
    {
        output::note(&format!(
            "note: {} would not be placed on this cluster: {reason}",
            segment.key
        ));
    }
    let Some(rendered) = first else {
        return Ok(Err(Vec::new()));
    };
    let suspend = rendered.template().suspend;
    let entry = Entry {
        assignment: Assignment {
            key: segment.key.clone(),
            uid: segment.uid,
            number: OrderNumber::default(),
            revision: revision(segment, &context.defaults),
            rendered,
            modes: segment.modes(),
        },
        controls: Controls::default(),
        removing: None,
    };
    let hub: HubId = "no-hub-offline"
        .parse()
        .map_err(|error| Failure::new(Exit::No, format!("{error}")))?;
    let owner = Owner { hub };
    let mut value = cronjob_json(&entry, &owner, suspend);
    unknown_here(&mut value);
    Ok(Ok(value))
}

/// Which hub it is, and which uid a Segment has there, is not known offline.
fn unknown_here(value: &mut Value) {
    for pointer in [
        "/metadata/annotations",
        "/spec/jobTemplate/metadata/annotations",
        "/spec/jobTemplate/spec/template/metadata/annotations",
    ] {
        if let Some(Value::Object(annotations)) = value.pointer_mut(pointer) {
            annotations.remove(ANNOTATION_HUB);
            annotations.remove(ANNOTATION_UID);
        }
    }
}

fn text(form: RenderForm, mut rendered: Vec<Value>) -> Result<String, Failure> {
    match form {
        RenderForm::Yaml => {
            let documents: Result<Vec<String>, Failure> =
                rendered.iter().map(output::yaml).collect();
            Ok(documents?.join("---\n"))
        }
        RenderForm::Json => match (rendered.pop(), rendered.is_empty()) {
            (Some(only), true) => output::json(&only),
            (last, _) => {
                rendered.extend(last);
                output::json(&json!({ "apiVersion": "v1", "kind": "List", "items": rendered }))
            }
        },
    }
}
