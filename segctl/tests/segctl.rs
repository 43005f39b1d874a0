//! The program as users run it: a kubeconfig, a hub behind TLS, output and exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what broke by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the made-up servers end with the test"
)]

mod hub;
mod ran;

use assert_cmd::Command;
use hub::FakeHub;
use ran::Ran;
use std::time::Duration;

async fn segctl(hub: &FakeHub, user: &str, line: &str) -> Ran {
    let folder = hub.folder().to_path_buf();
    let kubeconfig = hub.kubeconfig();
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    words.extend(["--kubeconfig".to_owned(), kubeconfig.display().to_string()]);
    words.extend(["--context".to_owned(), user.to_owned()]);
    tokio::task::spawn_blocking(move || {
        Command::cargo_bin("segctl")
            .unwrap()
            .args(words)
            .current_dir(folder)
            .env_remove("KUBECONFIG")
            .env_remove("SEGCTL_HUB")
            .env_remove("SEGCTL_HUB_CA")
            .timeout(Duration::from_secs(30))
            .output()
            .unwrap()
            .into()
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_only_a_kubeconfig_status_is_right_at_once() {
    let hub = FakeHub::start().await;
    for user in ["token", "certificate"] {
        let ran = segctl(&hub, user, "status").await;
        assert_eq!(
            (ran.code, ran.err.as_str()),
            (
                0,
                "2 segments, 3 clusters (1 not heard from: eu-17). As of 00:16:40Z, hub segment-hub-0 (leader).\n"
            ),
            "{user}"
        );
        assert_eq!(
            ran.out,
            "NAMESPACE   SEGMENT        REVISION   CLUSTERS   UPDATED   READY   ROLLING   FAILING   STALE   HELD   LAST RUN   NEXT     MESSAGE\n\
             granary     demo-segment   7f3a91c    3          2         2       0         0         1       0      2m ago     <none>   <none>\n\
             test        other          b1200de    3          3         3       0         0         0       0      2m ago     <none>   <none>\n"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_has_its_exit_code_and_says_what_to_do() {
    let hub = FakeHub::start().await;
    for (user, line, code, words) in [
        (
            "token",
            "status demo-segmnt -n granary",
            4,
            "error: segment granary/demo-segmnt not found; did you mean granary/demo-segment?",
        ),
        (
            "token",
            "status demo-segmnt",
            4,
            "did you mean demo-segment?",
        ),
        ("token", "status demo-segment", 1, ""),
        (
            "token",
            "describe cluster eu-12",
            4,
            "error: cluster eu-12 not found; did you mean eu-17?",
        ),
        ("token", "why granary/demo-segment --cluster eu-17", 0, ""),
        ("token", "get segments -l a==", 2, "label_selector: "),
        (
            "nobody",
            "status",
            3,
            "neither a bearer token nor a client certificate",
        ),
        ("stranger", "status", 3, "is forbidden: User"),
        (
            "token",
            "status --hub 127.0.0.1:1",
            3,
            "error: hub 127.0.0.1:1: ",
        ),
        (
            "token",
            "get segments --hub nonsense:x",
            2,
            "address of the hub \"nonsense:x\"",
        ),
        (
            "absent",
            "status",
            3,
            "context absent is not in the kubeconfig",
        ),
        ("tokn", "status", 3, "did you mean token?"),
        (
            "token",
            "cluster join eu-22 --wait --timeout 1s",
            5,
            "cluster eu-22: waiting for its agent",
        ),
        ("token", "hub accept-restore --reason drill", 2, "say --yes"),
    ] {
        let ran = segctl(&hub, user, line).await;
        assert_eq!(ran.code, code, "{user}: {line}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(words), "{user}: {line}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{line}: {}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_what_grpcurl_prints_over_all_pages() {
    let hub = FakeHub::start().await;
    let ran = segctl(&hub, "token", "get segments -o json").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["segments"].as_array().unwrap().len(), 2);
    assert_eq!(json["segments"][0]["clusters"]["failing"], 0);
    assert_eq!(json["segments"][0]["lastRun"], "1970-01-01T00:14:40Z");
    assert_eq!(json["totalSize"], 2);
    let ran = segctl(&hub, "token", "get segments -o name").await;
    assert_eq!(
        ran.out,
        "segment.segment.grnry.io/demo-segment\nsegment.segment.grnry.io/other\n"
    );
    let ran = segctl(&hub, "token", "get clusters -o yaml").await;
    assert!(ran.out.contains("name: eu-21"), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_prints_the_line_to_run_on_stdout_and_nothing_else() {
    let hub = FakeHub::start().await;
    let ran = segctl(&hub, "token", "cluster join eu-21 --labels env=prod").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.starts_with("  helm install segment-agent "),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .contains("--set join.token=k3f9ab.secret.sha256:9cfa"),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("Cluster eu-21 created"), "{}", ran.err);
    let ran = segctl(&hub, "token", "cluster join eu-21 --wait").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.contains("Cluster eu-21: connected, 2/2 in sync"),
        "{}",
        ran.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grpcurl_line_stands_under_every_command() {
    let hub = FakeHub::start().await;
    let ran = segctl(
        &hub,
        "token",
        "why granary/demo-segment --cluster eu-17 --show-rpc",
    )
    .await;
    let line = format!(
        r#"grpcurl -cacert hub-ca.pem -expand-headers -H 'authorization: Bearer ${{TOKEN}}' -d '{{"cluster":"eu-17","segment":"granary/demo-segment"}}' {} grnry.segment.v1.SegmentService/Why"#,
        hub.address()
    );
    assert!(ran.err.contains(&line), "{}", ran.err);
    assert!(
        ran.out
            .starts_with("granary/demo-segment on eu-17: not placed: SelectorMismatch: "),
        "{}",
        ran.out
    );
    let ran = segctl(&hub, "certificate", "config grpcurl --client-certificate").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.starts_with(
            "grpcurl -cacert hub-ca.pem -cert hub-client.pem -key hub-client-key.pem -d '{}' "
        ),
        "{}",
        ran.out
    );
    for file in ["hub-ca.pem", "hub-client.pem", "hub-client-key.pem"] {
        assert!(
            std::fs::read_to_string(hub.folder().join(file))
                .unwrap()
                .starts_with("-----BEGIN "),
            "{file}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_over_a_lost_connection_and_ends_with_the_right_to_it() {
    let hub = FakeHub::start().await;
    let ran = segctl(&hub, "token", "get segments -w -o name").await;
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("is forbidden"), "{}", ran.err);
    let name = |name: &str| format!("segment.segment.grnry.io/{name}\n");
    assert_eq!(
        ran.out,
        [name("demo-segment"), name("other"), name("demo-segment")].concat()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_to_their_last_page_chosen_and_grouped() {
    let hub = FakeHub::start().await;
    let header =
        "SEGMENT        CLUSTER   DUE       TOOK     RESULT                REVISION   MESSAGE\n";
    let ran = segctl(&hub, "token", "runs -n granary").await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(
        ran.out,
        format!(
            "{header}\
             demo-segment   eu-21     60s ago   <none>   Missed (NotCreated)   7f3a91c    exceeded quota: small\n\
             demo-segment   eu-21     2m ago    <none>   Failed (Error)        7f3a91c    no relation\n\
             demo-segment   eu-21     3m ago    <none>   Succeeded             7f3a91c    <none>\n"
        )
    );
    let ran = segctl(&hub, "token", "get runs -n granary -o name").await;
    assert_eq!((ran.code, ran.out.lines().count()), (0, 3), "{}", ran.err);
    let ran = segctl(
        &hub,
        "token",
        "runs demo-segment -n granary --missed --since 24h",
    )
    .await;
    assert_eq!((ran.code, ran.out.lines().count()), (0, 2), "{}", ran.out);
    let ran = segctl(&hub, "token", "runs -n granary --failed --group-by cause").await;
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (0, "… and 2 runs in groups that are not shown\n")
    );
    assert_eq!(
        ran.out,
        "CAUSE                                 SEGMENTS   CLUSTERS   RUNS   FIRST    LAST      SINCE REVISION   EXAMPLE\n\
         exit 1: relation \"…\" does not exist   1          38         38     6m ago   60s ago   7f3a91c          granary/demo-segment@eu-21\n"
    );
    let ran = segctl(&hub, "token", "runs -n granary -o json").await;
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["runs"][0]["run"]["result"], "RUN_RESULT_MISSED");
    assert_eq!(
        (json["runs"].as_array().unwrap().len(), &json["totalSize"]),
        (3, &3.into())
    );
    for (line, code) in [
        ("runs nosuch -n granary", 4),
        ("runs --group-by cause -w", 2),
        ("runs --group-by else", 2),
        ("get runs x", 2),
    ] {
        assert_eq!(segctl(&hub, "token", line).await.code, code, "{line}");
    }
}
