//! The users' API is Kubernetes' own idea of a user; grpcurl is enough to use it.

use anyhow::{Context as _, Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::tools::{Printed, Tool};
use segment_tests::{install, run};
use serde_json::{Value, json};

const LIST: &str = "grnry.segment.v1.SegmentService/ListSegments";
/// grpcurl's exit status is this and the gRPC code.
const GRPC: i32 = 64;
const PERMISSION_DENIED: i32 = GRPC + 7;
const UNAUTHENTICATED: i32 = GRPC + 16;

/// A service account; a viewer may list Segments in the stage's namespace.
async fn account(stage: &Stage, name: &str, viewer: bool) -> Result<String> {
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": stage.name}}),
    ];
    if viewer {
        objects.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": stage.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "segment-viewer"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": stage.name}],
        }));
    }
    install::apply(&stage.hub.plane, &objects).await?;
    stage
        .hub
        .plane
        .token(&stage.name, name, Some("segment-hub"))
        .await
}

/// grpcurl against the hub, with or without a token.
async fn grpcurl(stage: &Stage, token: Option<&str>, arguments: &[&str]) -> Result<Printed> {
    let ca = stage.hub.ca_file().await?.display().to_string();
    let mut tool = Tool::grpcurl()?.with(&["-cacert", &ca]);
    if let Some(token) = token {
        tool = tool.with(&["-H", &format!("authorization: Bearer {token}")]);
    }
    tool.run(arguments).await
}

/// All Segments of a stage, as a viewer gets them by grpcurl.
pub(crate) async fn list_segments(stage: &Stage) -> Result<Value> {
    let token = account(stage, "grpc-viewer", true).await?;
    let request = json!({"namespace": stage.name}).to_string();
    grpcurl(
        stage,
        Some(&token),
        &["-d", &request, &stage.hub.users_address(), LIST],
    )
    .await?
    .json()
}

#[test]
fn who_has_no_token_or_no_right_is_told_so_and_a_viewer_sees_the_data() -> Result<()> {
    run(async {
        let stage = Stage::shared("viewers", &[("a", &[])]).await?;
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;
        let address = stage.hub.users_address();
        let request = json!({"namespace": stage.name}).to_string();

        let nobody = grpcurl(&stage, None, &["-d", &request, &address, LIST]).await?;
        ensure!(
            nobody.status == UNAUTHENTICATED && nobody.err.contains("Unauthenticated"),
            "{nobody:?}"
        );

        let wrong = grpcurl(
            &stage,
            Some("no.such.token"),
            &["-d", &request, &address, LIST],
        )
        .await?;
        ensure!(wrong.status == UNAUTHENTICATED, "{wrong:?}");

        let token = account(&stage, "stranger", false).await?;
        let stranger = grpcurl(&stage, Some(&token), &["-d", &request, &address, LIST]).await?;
        let words = format!(
            "segments.segment.grnry.io is forbidden: User \"system:serviceaccount:{0}:stranger\" cannot list resource \
             \"segments\" in API group \"segment.grnry.io\" in the namespace \"{0}\"",
            stage.name
        );
        ensure!(
            stranger.status == PERMISSION_DENIED && stranger.err.contains(&words),
            "{stranger:?}\nexpected: {words}"
        );

        let all = list_segments(&stage).await?;
        let found = &all["segments"][0];
        ensure!(
            found["name"] == format!("{}/visits", stage.name)
                && all["segments"].as_array().is_some_and(|all| all.len() == 1),
            "{all}"
        );
        // Zeros are said: proto3 would leave them out.
        ensure!(
            found["clusters"]["failing"] == 0 && found["clusters"]["ready"] == 1,
            "{found}"
        );
        Ok(())
    })
}

#[test]
fn grpcurl_lists_describes_with_comments_and_gets_errors_that_say_the_fix() -> Result<()> {
    run(async {
        let stage = Stage::shared("grpcurl", &[]).await?;
        let address = stage.hub.users_address();
        let listed = grpcurl(&stage, None, &[&address, "list"]).await?.ok()?;
        for service in [
            "grnry.segment.v1.ClusterService",
            "grnry.segment.v1.SegmentService",
            "grpc.health.v1.Health",
        ] {
            ensure!(listed.lines().any(|line| line == service), "{listed}");
        }
        ensure!(
            !listed.contains("grnry.segment.agent"),
            "the agents' service is not for users: {listed}"
        );

        let described = grpcurl(
            &stage,
            None,
            &[&address, "describe", "grnry.segment.v1.SegmentService"],
        )
        .await?
        .ok()?;
        ensure!(
            described.contains("//") && described.contains("ListSegments"),
            "no comments: {described}"
        );

        let token = account(&stage, "reader", true).await?;
        let request = json!({"name": format!("{}/no-such", stage.name)}).to_string();
        let missing = grpcurl(
            &stage,
            Some(&token),
            &[
                "-d",
                &request,
                &address,
                "grnry.segment.v1.SegmentService/GetSegment",
            ],
        )
        .await?;
        ensure!(
            missing.status != 0
                && missing.err.contains("no-such")
                && missing.err.contains("ErrorInfo"),
            "{missing:?}"
        );

        let healthy = grpcurl(
            &stage,
            None,
            &["-d", "{}", &address, "grpc.health.v1.Health/Check"],
        )
        .await?
        .ok()?;
        ensure!(healthy.contains("SERVING"), "{healthy}");
        Ok(())
    })
}

#[test]
fn segctl_needs_a_kubeconfig_and_nothing_else() -> Result<()> {
    run(async {
        let stage = Stage::shared("segctl", &[("a", &[("env", "prod")])]).await?;
        let mut segment = stage.segment("visits");
        segment["spec"]["clusterSelector"] =
            json!({"matchLabels": {"stage": stage.name, "env": "prod"}});
        stage.apply(&segment).await?;
        stage.ready("visits").await?;
        let cluster = &stage.agents[0].cluster;
        let segctl = stage.hub.segctl()?;
        for (arguments, expected) in [
            (vec!["status", "-n", &stage.name], "visits"),
            (
                vec!["get", "segments", "-n", &stage.name, "-o", "name"],
                "visits",
            ),
            (
                vec!["get", "assignments", "-n", &stage.name],
                cluster.as_str(),
            ),
            (
                vec!["get", "clusters", "-l", "stage=segctl"],
                cluster.as_str(),
            ),
            (vec!["cluster", "list", "-o", "json"], cluster.as_str()),
            (vec!["why", "segctl/visits", "--cluster", cluster], "visits"),
            (vec!["describe", "segment", "segctl/visits"], "visits"),
            (vec!["hub", "info"], "grnry-pg-citus"),
            (vec!["version"], env!("CARGO_PKG_VERSION")),
            (
                vec!["config", "grpcurl", "--ca-file", "/dev/null"],
                "grpcurl",
            ),
        ] {
            let printed = segctl.run(&arguments).await?;
            let text = printed
                .clone()
                .ok()
                .with_context(|| format!("segctl {arguments:?}: {printed:?}"))?;
            ensure!(text.contains(expected), "segctl {arguments:?}: {printed:?}");
        }
        // Exit codes: not found is 4, and the message names what was typed.
        let missing = segctl.run(&["status", "segctl/visit"]).await?;
        ensure!(
            missing.status == 4 && missing.err.contains("visit"),
            "{missing:?}"
        );
        Ok(())
    })
}
