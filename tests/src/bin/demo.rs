//! `cargo demo`: a hub and three spokes at work on this machine.
//!
//! In: the programs that `cargo demo` has built. Out: progress on stderr, a table on stdout, the lines to go on by hand.
//! Law: nothing is shown that did not happen: real control planes, the real hub and agents with the charts' rights; only
//! the kubelet is a stand-in that writes Pod statuses.
//! Not: proof (`cargo e2e`).

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "this program talks to the person at the terminal"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use segment_tests::control_plane::ControlPlane;
use segment_tests::hub::{Hub, NAMESPACE};
use segment_tests::kubelet::{Ending, Kubelet};
use segment_tests::objects::{Objects, condition, name};
use segment_tests::spoke::Agent;
use segment_tests::{install, paths, run, wait};
use serde_json::{Value, json};

/// The namespace of Segments and CronJobs.
const GRANARY: &str = "granary";
/// Clusters with their labels.
const CLUSTERS: [(&str, &str, &str); 3] = [
    ("berlin", "prod", "eu-central"),
    ("dublin", "prod", "eu-west"),
    ("iowa", "test", "us-central"),
];
/// Segments, in the order in which they are applied.
const EXAMPLES: [&str; 3] = [
    "segment-pivot.yaml",
    "segment-generic.yaml",
    "segment-each-minute.yaml",
];
/// The one that comes due while one watches, and the cluster that is looked at.
const EACH_MINUTE: (&str, &str) = ("visits-per-shop", "dublin");

/// Shows a hub and three spokes at work.
#[derive(Debug, Parser)]
struct Args {
    /// End after the table
    #[arg(long)]
    exit: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    run(async {
        tokio::select! {
            done = demo(&args) => match done {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("\nThe demo failed: {error:#}");
                    ExitCode::FAILURE
                }
            },
            _ = tokio::signal::ctrl_c() => {
                eprintln!("\nStopping.");
                ExitCode::SUCCESS
            }
        }
    })
}

fn say(began: Instant, text: &str) {
    eprintln!("{:>5.1}s  {text}", began.elapsed().as_secs_f32());
}

async fn demo(args: &Args) -> Result<()> {
    let began = Instant::now();
    let state = paths::target()?.join("demo");
    if state.exists() {
        std::fs::remove_dir_all(&state).with_context(|| format!("remove {}", state.display()))?;
    }
    std::fs::create_dir_all(&state)?;

    say(
        began,
        "starting four Kubernetes control planes: hub, berlin, dublin, iowa",
    );
    let (hub, spokes) = tokio::try_join!(start_hub(&state, began), start_spokes(&state, began))?;
    let agents = join(&hub, spokes, began).await?;
    let _kubelets: Vec<Kubelet> = agents
        .iter()
        .map(|agent| Kubelet::start(agent.client().clone(), GRANARY, Ending::Succeeds))
        .collect();

    install::namespace(&hub.plane, GRANARY).await?;
    for file in EXAMPLES {
        let path = paths::root()
            .join("tests/examples")
            .join(file)
            .display()
            .to_string();
        let said = hub
            .plane
            .kubectl()?
            .run(&["apply", "--server-side", "-f", &path])
            .await?
            .ok()?;
        say(
            began,
            &format!("kubectl apply -f tests/examples/{file}: {}", said.trim()),
        );
    }
    fill_in(&hub, began).await?;
    first_run(&hub, &agents, began).await?;
    table(&hub, &agents).await?;
    by_hand(&hub, &agents, &state).await?;
    if args.exit {
        return Ok(());
    }
    eprintln!("\nAll of it stays up until Ctrl-C.");
    std::future::pending().await
}

async fn start_hub(state: &Path, began: Instant) -> Result<Hub> {
    let plane = ControlPlane::start(&state.join("hub"), "hub").await?;
    say(
        began,
        "hub: control plane is up; installing charts segment-crds and segment-hub",
    );
    let hub = Hub::install(plane).await?;
    hub.process.start()?;
    hub.ready().await?;
    say(
        began,
        &format!(
            "hub: ready, agents at {}, users at {}",
            hub.agents_address(),
            hub.users_address()
        ),
    );
    Ok(hub)
}

async fn start_spokes(state: &Path, began: Instant) -> Result<Vec<Arc<ControlPlane>>> {
    let starts = CLUSTERS.iter().map(|(cluster, _, _)| {
        let dir = state.join(cluster);
        async move {
            let plane = ControlPlane::start(&dir, cluster).await?;
            say(began, &format!("{cluster}: control plane is up"));
            anyhow::Ok(Arc::new(plane))
        }
    });
    futures::future::try_join_all(starts).await
}

async fn join(hub: &Hub, spokes: Vec<Arc<ControlPlane>>, began: Instant) -> Result<Vec<Agent>> {
    // One example takes its user from a Secret of its own; a policy admits that by name. What is said for a namespace
    // stands in the preset's place, so the preset's own three are said again.
    let policy = json!({
        "namespaces": [GRANARY],
        "rules": {"secrets": {"*": {
            "DB_USER": ["grnry-pg-citus-secret/superuser-username", "shop-db/username"],
            "DB_NAME": "grnry-pg-citus-secret/superuser-database",
            "DB_PASSWORD": "grnry-pg-citus-secret/superuser-password",
        }}},
    });
    let joins = CLUSTERS.iter().zip(spokes).map(|((cluster, env, region), plane)| {
        let policy = &policy;
        async move {
            let address = hub.agents_address();
            let agent = Agent::install(plane, cluster, NAMESPACE, GRANARY, &address, policy).await?;
            agent.join(hub, &[("env", env), ("region", region)]).await?;
            agent.connected(hub).await?;
            say(began, &format!("{cluster}: joined by segctl cluster join (env={env}, region={region}), agent connected"));
            anyhow::Ok(agent)
        }
    });
    futures::future::try_join_all(joins).await
}

/// Says each change of the Segments' readiness until all are ready.
async fn fill_in(hub: &Hub, began: Instant) -> Result<()> {
    let segments = Objects::segments(hub.client(), GRANARY);
    let said = std::cell::RefCell::new(Vec::new());
    wait::until("every Segment is ready", wait::SOON, || async {
        let all = segments.list("").await?;
        let mut waiting = Vec::new();
        for segment in &all {
            let ready = segment["status"]["ready"].as_str().unwrap_or("-");
            let line = format!("Segment {}: {ready} clusters ready", name(segment));
            if ready != "-" && !said.borrow().contains(&line) {
                say(began, &line);
                said.borrow_mut().push(line);
            }
            let condition = condition(segment, "Ready");
            if segment["status"]["observedGeneration"] != segment["metadata"]["generation"]
                || condition.is_none_or(|condition| condition["status"] != "True")
            {
                waiting.push(format!("{}: {}", name(segment), segment["status"]));
            }
        }
        ensure!(
            all.len() == EXAMPLES.len() && waiting.is_empty(),
            "{}",
            waiting.join("\n")
        );
        Ok(())
    })
    .await
}

/// Waits for a CronJob to come due, for its Job, and for its result on the hub.
async fn first_run(hub: &Hub, agents: &[Agent], began: Instant) -> Result<()> {
    let (segment, cluster) = EACH_MINUTE;
    say(
        began,
        &format!("waiting for the next full minute, when CronJob {segment} is due"),
    );
    let agent = agents
        .iter()
        .find(|agent| agent.cluster == cluster)
        .context("a cluster of that name")?;
    let minutes = Duration::from_secs(150);
    let job = wait::until("the CronJob controller makes a Job", minutes, || async {
        let jobs = agent.jobs().list("").await?;
        jobs.iter()
            .map(name)
            .find(|job| job.starts_with(segment))
            .map(str::to_owned)
            .context("no Job yet")
    })
    .await?;
    say(
        began,
        &format!(
            "{cluster}: Kubernetes made Job {job} (its Pod's status is written by a stand-in for the kubelet)"
        ),
    );
    let segments = Objects::segments(hub.client(), GRANARY);
    let last = wait::until(
        "the run's result is in the Segment's status",
        minutes,
        || async {
            let segment = segments.get(segment).await?;
            let succeeding = condition(&segment, "RunsSucceeding");
            ensure!(
                succeeding.is_some_and(|runs| runs["status"] == "True"),
                "status {}",
                segment["status"]
            );
            Ok(segment["status"]["lastRun"]
                .as_str()
                .unwrap_or_default()
                .to_owned())
        },
    )
    .await?;
    say(
        began,
        &format!("hub: {segment} says RunsSucceeding=True, last run {last}"),
    );
    Ok(())
}

async fn table(hub: &Hub, agents: &[Agent]) -> Result<()> {
    for arguments in [
        &["status", "-n", GRANARY][..],
        &["get", "assignments", "-n", GRANARY],
        &["cluster", "list"],
    ] {
        println!("\n$ segctl {}", arguments.join(" "));
        let printed = hub.segctl()?.run(arguments).await?;
        print!("{}{}", printed.out, printed.err);
    }
    println!("\n$ kubectl get seg,segcl -n {GRANARY}");
    print!(
        "{}",
        hub.plane
            .kubectl()?
            .run(&["get", "seg,segcl", "-n", GRANARY])
            .await?
            .ok()?
    );
    for agent in agents {
        println!(
            "\n$ kubectl --context {} get cronjobs,jobs -n {GRANARY}",
            agent.cluster
        );
        print!(
            "{}",
            agent
                .plane
                .kubectl()?
                .run(&["get", "cronjobs,jobs", "-n", GRANARY])
                .await?
                .ok()?
        );
    }
    Ok(())
}

async fn by_hand(hub: &Hub, agents: &[Agent], state: &Path) -> Result<()> {
    // What a person would get: a service account that may view Segments, whose token goes into grpcurl.
    let viewer = [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "viewer", "namespace": GRANARY}}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "demo-viewer"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "segment-viewer"},
            "subjects": [{"kind": "ServiceAccount", "name": "viewer", "namespace": GRANARY}],
        }),
    ];
    install::apply(&hub.plane, &viewer).await?;
    let ca = hub.ca_file().await?;
    let kubeconfig = merged(hub, agents, state)?;
    let (folder, tools) = (own_folder()?, paths::tools());
    let users = hub.users_address();
    eprintln!(
        "
Go on by hand, in another terminal:

  export KUBECONFIG={kubeconfig}
  export PATH={folder}:{tools}:$PATH

  segctl status -n {GRANARY}
  segctl get assignments -n {GRANARY} -o wide
  segctl why {GRANARY}/newsletter-readers --cluster iowa
  segctl describe segment {GRANARY}/visits-per-shop

  kubectl get seg,segcl -A
  kubectl -n {GRANARY} patch seg checkout-errors --type=merge -p '{{\"spec\":{{\"cronjob\":{{\"schedule\":\"20 * * * *\"}}}}}}'
  kubectl --context dublin -n {GRANARY} get cronjobs,jobs
  kubectl --context dublin -n {GRANARY} delete cronjob checkout-errors     # it comes back
  kubectl label segcl iowa env=prod --overwrite                          # {another} goes there too

  TOKEN=$(kubectl -n {GRANARY} create token viewer)
  grpcurl -cacert {ca} {users} list
  grpcurl -cacert {ca} -H \"authorization: Bearer $TOKEN\" -d '{{}}' {users} grnry.segment.v1.SegmentService/ListSegments

Logs: {state}/*/segment-*.log; who did what on each API server: {state}/*/audit.log",
        kubeconfig = kubeconfig.display(),
        folder = folder.display(),
        tools = tools.display(),
        another = EACH_MINUTE.0,
        ca = ca.display(),
        state = state.display(),
    );
    Ok(())
}

/// The folder of hub, agent and segctl.
fn own_folder() -> Result<PathBuf> {
    Ok(paths::program("segctl")?
        .parent()
        .context("a folder")?
        .to_path_buf())
}

/// One kubeconfig with a context for the hub, the current one, and one for each spoke.
fn merged(hub: &Hub, agents: &[Agent], state: &Path) -> Result<PathBuf> {
    let mut all =
        json!({"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []});
    let planes = std::iter::once(&hub.plane).chain(agents.iter().map(|agent| &*agent.plane));
    for plane in planes {
        let text = std::fs::read_to_string(plane.kubeconfig())?;
        let one: Value = serde_saphyr::from_str(&text)
            .with_context(|| format!("read {}", plane.kubeconfig().display()))?;
        let name = plane.name();
        let part = |list: &str, key: &str| one[list][0][key].clone();
        push(
            &mut all,
            "clusters",
            json!({"name": name, "cluster": part("clusters", "cluster")}),
        );
        push(
            &mut all,
            "users",
            json!({"name": name, "user": part("users", "user")}),
        );
        push(
            &mut all,
            "contexts",
            json!({"name": name, "context": {"cluster": name, "user": name}}),
        );
    }
    all["current-context"] = json!(hub.plane.name());
    let file = state.join("kubeconfig");
    std::fs::write(&file, serde_json::to_vec_pretty(&all)?)?;
    Ok(file)
}

fn push(config: &mut Value, list: &str, item: Value) {
    if let Some(list) = config[list].as_array_mut() {
        list.push(item);
    }
}
