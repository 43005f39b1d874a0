//! Rights are exactly what is needed: the judge reads what every other test left in the audit logs.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use segment_tests::audit::{AuditLog, Event};
use segment_tests::fleet::{self, Stage};
use segment_tests::{install, run};
use serde_json::{Value, json};

/// What is refused on purpose: part of the user's name, verb, resource, and the test that wants it.
const WANTED: [(&str, &str, &str, &str); 2] = [
    (
        "no-namespace-a-system:segment-agent",
        "",
        "",
        "policy::a_namespace_that_is_missing_is_said_and_filled_when_it_comes",
    ),
    (
        // A quota's refusal has the same code as a missing right.
        "missed-quota-a-system:segment-agent",
        "create",
        "jobs",
        "missed::a_quota_that_refuses_the_job_is_told_in_the_api_servers_words",
    ),
];

/// (group, resource, verb)
type Right = (String, String, String);

/// Audit logs of this run, if every other test has run.
fn logs() -> Result<Option<Vec<AuditLog>>> {
    if std::env::var_os("SEGMENT_E2E_JUDGE").is_none() {
        println!("not judged: `cargo e2e` runs the judge after all other tests");
        return Ok(None);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(fleet::state()?)? {
        let log: PathBuf = entry?.path().join("audit.log");
        if log.is_file() {
            found.push(AuditLog::new(log));
        }
    }
    ensure!(
        !found.is_empty(),
        "no audit logs in {}",
        fleet::state()?.display()
    );
    Ok(Some(found))
}

fn is_ours(event: &Event) -> bool {
    let user = &event.user.username;
    user.starts_with("system:serviceaccount:")
        && (user.ends_with(":segment-agent") || user.ends_with(":segment-hub"))
}

#[test]
fn judge_nothing_was_forbidden_but_what_a_test_wanted() -> Result<()> {
    let Some(logs) = logs()? else { return Ok(()) };
    let mut unwanted = Vec::new();
    for log in logs {
        let forbidden = log.events(|event| is_ours(event) && event.response_status.code == 403)?;
        unwanted.extend(forbidden.into_iter().filter(|event| {
            !WANTED.iter().any(|(user, verb, resource, _)| {
                event.user.username.contains(user)
                    && (verb.is_empty() || event.verb == *verb)
                    && (resource.is_empty() || event.resource() == *resource)
            })
        }));
    }
    let lines: BTreeSet<String> = unwanted
        .iter()
        .map(|event| {
            format!(
                "{} {} {}: {}",
                event.user.username,
                event.verb,
                event.resource(),
                event.response_status.message
            )
        })
        .collect();
    ensure!(
        lines.is_empty(),
        "refused with 403, and no test wants that:\n{}",
        lines.into_iter().collect::<Vec<_>>().join("\n")
    );
    Ok(())
}

#[test]
fn judge_no_granted_verb_is_unused() -> Result<()> {
    let Some(logs) = logs()? else { return Ok(()) };
    run(async {
        let agent = json!({"hub": {"address": "hub:8443"}, "policy": {"namespaces": ["granary"]}});
        for (chart, values, account) in [
            ("segment-hub", json!({}), ":segment-hub"),
            ("segment-agent", agent, ":segment-agent"),
        ] {
            let granted = granted(
                &install::render(chart, "segment-system", &values).await?,
                account.trim_start_matches(':'),
            )?;
            let mut used: BTreeSet<Right> = BTreeSet::new();
            for log in &logs {
                for event in log.events(|event| {
                    is_ours(event) && event.user.username.ends_with(account) && event.succeeded()
                })? {
                    used.insert((
                        event.object_ref.api_group.clone(),
                        event.resource(),
                        event.verb,
                    ));
                }
            }
            let unused: Vec<_> = granted.difference(&used).collect();
            ensure!(
                unused.is_empty(),
                "{chart} grants what no test used: {unused:?}"
            );
        }
        Ok(())
    })
}

/// What the roles bound to a service account grant. Kubernetes' own role is not ours to judge.
fn granted(objects: &[Value], account: &str) -> Result<BTreeSet<Right>> {
    let of_kind = |kind: &'static str| {
        objects.iter().filter(move |object| {
            object["kind"]
                .as_str()
                .is_some_and(|found| found.ends_with(kind))
        })
    };
    let bound: BTreeSet<&str> = of_kind("RoleBinding")
        .filter(|binding| {
            binding["subjects"]
                .as_array()
                .is_some_and(|all| all.iter().any(|subject| subject["name"] == account))
        })
        .filter_map(|binding| binding["roleRef"]["name"].as_str())
        .collect();
    let mut rights = BTreeSet::new();
    for role in of_kind("Role").filter(|role| {
        role["metadata"]["name"]
            .as_str()
            .is_some_and(|name| bound.contains(name))
    }) {
        for rule in role["rules"].as_array().context("rules")? {
            let list = |key: &str| -> Vec<String> {
                rule[key]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|item| item.as_str().map(str::to_owned))
                    .collect()
            };
            for group in list("apiGroups") {
                for resource in list("resources") {
                    rights.extend(
                        list("verbs")
                            .into_iter()
                            .map(|verb| (group.clone(), resource.clone(), verb)),
                    );
                }
            }
        }
    }
    ensure!(!rights.is_empty(), "no rights found for {account}");
    Ok(rights)
}

#[test]
fn the_agent_cannot_read_a_secret_of_the_segments_namespace() -> Result<()> {
    run(async {
        let stage = Stage::shared("secrets", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "grnry-pg-citus-secret", "namespace": stage.name},
            "stringData": {"superuser-password": "geheim"},
        });
        install::apply(&agent.plane, &[secret]).await?;
        let kubectl = agent.plane.kubectl()?;
        for (verb, what, namespace) in [
            ("get", "secrets/grnry-pg-citus-secret", stage.name.as_str()),
            ("list", "secrets", &stage.name),
            ("list", "secrets", &agent.system),
            ("create", "secrets", &agent.system),
            ("create", "pods", &stage.name),
            ("create", "jobs", &stage.name),
            ("delete", "pods", &stage.name),
            ("create", "namespaces", ""),
            ("get", "cronjobs", "default"),
        ] {
            let user = agent.user();
            let mut arguments = vec!["auth", "can-i", verb, what, "--as", &user];
            if !namespace.is_empty() {
                arguments.extend(["-n", namespace]);
            }
            let printed = kubectl.run(&arguments).await?;
            ensure!(
                printed.out.trim() == "no",
                "{verb} {what} in {namespace:?}: {printed:?}"
            );
        }
        Ok(())
    })
}
