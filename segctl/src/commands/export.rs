//! `export`: a Segment in the forms that other programs read.
//!
//! In: a Segment of the hub's API server, or files. Out: JSON or YAML on stdout, notes on stderr. Law: what a form can't
//! carry is said. Not: the forms (`segment_core::export`).

use super::import::{FromFile, documents, from_files, refusal, say_note};
use crate::args::{ExportArgs, ExportForm, Globals};
use crate::connect::{Login, causes};
use crate::exit::{Exit, Failure};
use crate::lint::defaults;
use crate::output;
use kube::api::Api;
use kube::core::NamespaceResourceScope;
use segment_core::export::{to_api, to_helm_values, to_helm_values_on, to_resource};
use segment_core::ids::ClusterName;
use segment_core::import::Naming;
use segment_core::placement::ClusterView;
use segment_core::render::parse;
use segment_core::segment::HouseDefaults;
use segment_crds::{Cluster, Segment};
use serde_json::{Value, json};

pub(super) async fn run(globals: &Globals, args: ExportArgs) -> Result<Exit, Failure> {
    if args.cluster.is_some() && args.output != ExportForm::HelmValues {
        return Err(Failure::usage("--cluster is for -o helm-values")
            .help("the other forms carry the overrides themselves"));
    }
    let defaults = defaults::load(args.defaults.as_deref())?;
    let (segments, refused, cluster) = if let Some(typed) = &args.segment {
        let login = Login::read(globals).await?;
        let segment = of_hub(globals, &login, typed).await?;
        let cluster = match &args.cluster {
            Some(name) => Some(cluster(&login, name, &args.labels).await?),
            None => None,
        };
        (vec![(typed.clone(), segment)], false, cluster)
    } else {
        let naming = Naming {
            name: None,
            namespace: globals.namespace.clone(),
        };
        let (segments, refused) =
            sorted(from_files(args.files.clone(), naming, defaults.clone()).await?);
        let cluster = match &args.cluster {
            Some(name) => Some(named(name, &args.labels)?),
            None => None,
        };
        (segments, refused, cluster)
    };
    let mut values = Vec::new();
    for (place, segment) in &segments {
        values.push(exported(
            place,
            segment,
            args.output,
            cluster.as_ref(),
            &defaults,
        )?);
    }
    if !values.is_empty() {
        output::print(&match args.output {
            ExportForm::Api => match &values[..] {
                [only] => output::json(only)?,
                all => output::json(&json!({"items": all}))?,
            },
            ExportForm::Yaml | ExportForm::HelmValues => documents(&values)?,
        })?;
    }
    Ok(if refused { Exit::Usage } else { Exit::Yes })
}

/// Says what could not be read and what the import noted; the rest, and whether something was refused.
fn sorted(read: Vec<FromFile>) -> (Vec<(String, Segment)>, bool) {
    let mut segments = Vec::new();
    let mut refused = false;
    for (place, imported) in read {
        match imported {
            Ok(imported) => {
                for note in &imported.notes {
                    say_note(&place, note);
                }
                segments.push((place, imported.segment));
            }
            Err(failure) => {
                output::complain(&failure);
                refused = true;
            }
        }
    }
    (segments, refused)
}

fn exported(
    place: &str,
    segment: &Segment,
    form: ExportForm,
    cluster: Option<&ClusterView>,
    defaults: &HouseDefaults,
) -> Result<Value, Failure> {
    let (value, notes) = match (form, cluster) {
        (ExportForm::Yaml, _) => (to_resource(segment), Vec::new()),
        (ExportForm::Api, _) => to_api(segment),
        (ExportForm::HelmValues, None) => to_helm_values(segment),
        (ExportForm::HelmValues, Some(cluster)) => {
            let mut segment = segment.clone();
            segment
                .metadata
                .namespace
                .get_or_insert_with(|| "default".to_owned());
            parse(&segment)
                .and_then(|parsed| to_helm_values_on(&parsed, defaults, cluster))
                .map_err(|findings| refusal(place, &findings, &|_| None))?
        }
    };
    for note in &notes {
        say_note(place, note);
    }
    Ok(value)
}

/// A cluster of which only what was typed is known.
fn named(name: &str, labels: &[(String, String)]) -> Result<ClusterView, Failure> {
    ClusterName::new(name)
        .map(|name| ClusterView::named(name, labels.iter().cloned().collect()))
        .map_err(|error| Failure::usage(format!("--cluster {name}: {error}")))
}

/// A cluster of the hub, with the labels that it has there and those that were typed.
async fn cluster(
    login: &Login,
    name: &str,
    labels: &[(String, String)],
) -> Result<ClusterView, Failure> {
    let api: Api<Cluster> = Api::all(client(login)?);
    let found = api
        .get(name)
        .await
        .map_err(|error| refused(login, &format!("cluster {name}"), &error))?;
    let mut view = ClusterView::from_cluster(&found)
        .map_err(|finding| Failure::usage(format!("--cluster {name}: {}", finding.message)))?;
    view.labels.extend(labels.iter().cloned());
    Ok(view)
}

async fn of_hub(globals: &Globals, login: &Login, typed: &str) -> Result<Segment, Failure> {
    let namespace = globals.namespace.as_deref().or(login.namespace.as_deref());
    let (namespace, name) = match typed.split_once('/') {
        Some(parts) => parts,
        None => (
            namespace.ok_or_else(|| {
                Failure::usage(format!("segment {typed} has no namespace"))
                    .help("say which: namespace/name, or -n namespace")
            })?,
            typed,
        ),
    };
    get::<Segment>(login, namespace, name).await
}

async fn get<K>(login: &Login, namespace: &str, name: &str) -> Result<K, Failure>
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client(login)?, namespace);
    api.get(name)
        .await
        .map_err(|error| refused(login, &format!("segment {namespace}/{name}"), &error))
}

fn client(login: &Login) -> Result<kube::Client, Failure> {
    kube::Client::try_from(login.config.clone()).map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            format!("the kubeconfig can't be used: {}", causes(&error)),
        )
    })
}

fn refused(login: &Login, what: &str, error: &kube::Error) -> Failure {
    let server = &login.config.cluster_url;
    match error {
        kube::Error::Api(status) if status.code == 404 => Failure::new(
            Exit::NotFound,
            format!("{what} not found on API server {server}"),
        )
        .help("is this the hub's cluster? choose another with --context"),
        kube::Error::Api(status) => Failure::new(
            Exit::Unreachable,
            format!("API server {server}: {}", status.message),
        )
        .help("try: kubectl auth can-i get segments"),
        _ => Failure::new(
            Exit::Unreachable,
            format!("API server {server}: {}", causes(error)),
        )
        .help("try: kubectl version"),
    }
}
