//! The CronJobs of clusters, by contexts of the kubeconfig.
//!
//! In: contexts. Out: CronJobs as untyped JSON, each with the name of its cluster. Law: a typed read would hide fields
//! newer than our types, and an import has to say what it leaves out. Not: what they become.

use super::refusal;
use crate::args::Globals;
use crate::connect::{Login, causes};
use crate::exit::{Exit, Failure};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use segment_core::ids::ClusterName;
use segment_core::import::{FromClusters, MAX_ITEMS, Naming, from_cronjobs};
use segment_core::placement::RESERVED_CLUSTER_NAMES;
use segment_core::segment::HouseDefaults;
use serde_json::Value;
use std::collections::BTreeSet;

/// Clusters asked at once.
const AT_ONCE: usize = 8;

/// CronJobs in one answer of an API server.
const PAGE: u32 = 500;

/// Reads the CronJobs of every context.
pub(super) async fn read(
    globals: &Globals,
    contexts: &[String],
    selector: &str,
) -> Result<Vec<(String, Value)>, Failure> {
    let mut seen = BTreeSet::new();
    let mut wanted = Vec::new();
    for given in contexts {
        let (context, cluster) = given.rsplit_once('=').unwrap_or((given, given));
        let name = ClusterName::new(cluster).map_err(|error| error.to_string());
        let name = match name {
            Ok(name) if RESERVED_CLUSTER_NAMES.contains(&name.as_str()) => {
                Err(format!("the name {name} is reserved"))
            }
            other => other,
        };
        if let Err(message) = name {
            return Err(Failure::usage(format!(
                "--from-cluster {given}: no Cluster can have this name: {message}"
            ))
            .help(format!(
                "say what its Cluster is called on the hub: --from-cluster {context}=NAME"
            )));
        }
        if !seen.insert(cluster.to_owned()) {
            return Err(Failure::usage(format!(
                "--from-cluster {given}: the cluster {cluster} was given twice"
            )));
        }
        wanted.push((context.to_owned(), cluster.to_owned()));
    }
    let lists: Vec<Vec<(String, Value)>> = futures::stream::iter(wanted)
        .map(|(context, cluster)| async move {
            let found = of_context(globals, &context, selector).await?;
            Ok::<_, Failure>(
                found
                    .into_iter()
                    .map(|cronjob| (cluster.clone(), cronjob))
                    .collect(),
            )
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(lists.into_iter().flatten().collect())
}

async fn of_context(
    globals: &Globals,
    context: &str,
    selector: &str,
) -> Result<Vec<Value>, Failure> {
    let globals = Globals {
        context: Some(context.to_owned()),
        ..globals.clone()
    };
    let login = Login::read(&globals).await?;
    let server = login.config.cluster_url.to_string();
    let namespace = login.scope(&globals);
    let client = kube::Client::try_from(login.config).map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            format!("context {context} can't be used: {}", causes(&error)),
        )
    })?;
    let resource = ApiResource {
        group: "batch".to_owned(),
        version: "v1".to_owned(),
        api_version: "batch/v1".to_owned(),
        kind: "CronJob".to_owned(),
        plural: "cronjobs".to_owned(),
    };
    let api: Api<DynamicObject> = match &namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let mut found = Vec::new();
    let mut page = ListParams::default().labels(selector).limit(PAGE);
    loop {
        let list = api
            .list(&page)
            .await
            .map_err(|error| refused(context, &server, &error))?;
        for item in list.items {
            let value = serde_json::to_value(item).map_err(|error| {
                Failure::new(
                    Exit::No,
                    format!("a CronJob of {context} can't be read: {error}"),
                )
            })?;
            found.push(value);
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) if found.len() <= MAX_ITEMS => page.continue_token = Some(token),
            _ => return Ok(found),
        }
    }
}

fn refused(context: &str, server: &str, error: &kube::Error) -> Failure {
    let at = format!("context {context}, API server {server}");
    match error {
        kube::Error::Api(status) if status.code == 400 => {
            Failure::usage(format!("{at}: {}", status.message))
        }
        kube::Error::Api(status) => {
            Failure::new(Exit::Unreachable, format!("{at}: {}", status.message)).help(format!(
                "try: kubectl --context {context} auth can-i list cronjobs.batch"
            ))
        }
        _ => Failure::new(Exit::Unreachable, format!("{at}: {}", causes(error)))
            .help(format!("try: kubectl --context {context} version")),
    }
}

/// Makes Segments of them.
pub(super) fn imported(
    live: &[(String, Value)],
    naming: &Naming,
    defaults: &HouseDefaults,
) -> Result<FromClusters, Failure> {
    from_cronjobs(live, naming, defaults).map_err(|findings| refusal("", &findings, &|_| None))
}
