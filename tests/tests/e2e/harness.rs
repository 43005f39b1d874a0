//! The harness keeps its own promises: what it starts does not outlive it, what it disturbs was asked for.

use std::time::Duration;

use anyhow::{Result, ensure};
use segment_tests::control_plane::{ControlPlane, client};
use segment_tests::fleet;
use segment_tests::objects::Objects;
use segment_tests::processes::Process;
use segment_tests::proxy::http::{Action, HttpProxy, Rule};
use segment_tests::proxy::tcp::{Mode, TcpProxy};
use segment_tests::{run, wait};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[test]
fn a_process_can_be_stopped_woken_ended_and_ends_with_its_owner() -> Result<()> {
    run(async {
        let log = std::env::temp_dir().join(format!("segment-harness-{}.log", std::process::id()));
        let program = "/bin/sh".into();
        let script =
            "echo began $NAME; trap 'echo told; exit 7' TERM; while :; do sleep 0.05; done";
        let process = Process::new(
            "script",
            program,
            vec!["-c".to_owned(), script.to_owned()],
            log.clone(),
        );
        process.set("NAME", "once");
        process.start()?;
        process.pause()?;
        ensure!(process.runs(), "a stopped process is there");
        process.resume()?;
        wait::until("it began", wait::SOON, || async {
            ensure!(process.log().contains("began once"), "{}", process.log());
            Ok(())
        })
        .await?;
        ensure!(process.end().await? == 7, "its own exit status");
        ensure!(process.check().is_err(), "it has ended");
        process.start()?;
        let pid = process.pid()?;
        drop(process);
        wait::until("it ended with its owner", wait::SOON, || async {
            ensure!(
                !std::path::Path::new(&format!("/proc/{pid}")).exists(),
                "pid {pid}"
            );
            Ok(())
        })
        .await?;
        std::fs::remove_file(log)?;
        Ok(())
    })
}

#[test]
fn the_tcp_proxy_passes_stalls_and_cuts() -> Result<()> {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = TcpProxy::start(&listener.local_addr()?.to_string()).await?;
        let mut near = TcpStream::connect(proxy.address()).await?;
        let (mut far, _) = listener.accept().await?;
        let mut byte = [0];
        near.write_all(b"1").await?;
        far.read_exact(&mut byte).await?;
        ensure!(byte == *b"1");

        proxy.set(Mode::Stall);
        near.write_all(b"2").await?;
        let late =
            tokio::time::timeout(Duration::from_millis(300), far.read_exact(&mut byte)).await;
        ensure!(late.is_err(), "nothing passes");
        proxy.set(Mode::Pass);
        far.read_exact(&mut byte).await?;
        ensure!(byte == *b"2", "nothing was lost");

        proxy.set(Mode::Cut);
        ensure!(near.read(&mut byte).await.unwrap_or(0) == 0, "cut");
        Ok(())
    })
}

#[test]
fn the_http_proxy_passes_tokens_and_can_hold_a_list_and_answer_429() -> Result<()> {
    run(async {
        let plane = fleet::spokes().await?[0].clone();
        plane
            .kubectl()?
            .run(&["create", "serviceaccount", "proxied", "-n", "default"])
            .await?
            .ok()?;
        plane
            .kubectl()?
            .run(&[
                "create",
                "clusterrolebinding",
                "proxied",
                "--clusterrole=view",
                "--serviceaccount=default:proxied",
            ])
            .await?
            .ok()?;
        let proxy = HttpProxy::start(&plane).await?;
        let file = plane
            .token_kubeconfig("default", "proxied", &proxy.url(), proxy.ca_pem())
            .await?;
        let maps = Objects::config_maps(&client(&file).await?, "default");
        ensure!(!maps.list("").await?.is_empty(), "a list passes");

        proxy.set(vec![Rule::lists("configmaps", Action::Hold)]);
        let held = tokio::time::timeout(Duration::from_millis(500), maps.list("")).await;
        ensure!(held.is_err(), "a list is held");
        proxy.set(vec![Rule::lists("configmaps", Action::Answer(403, None))]);
        ensure!(
            maps.list("").await.is_err(),
            "a list is answered by the proxy"
        );
        proxy.set(Vec::new());
        ensure!(!maps.list("").await?.is_empty(), "and passes again");
        Ok(())
    })
}

#[test]
fn a_restored_control_plane_is_as_it_was_when_it_was_copied() -> Result<()> {
    run(async {
        let dir = fleet::state()?.join("own-copied");
        let plane = ControlPlane::start(&dir, "own-copied").await?;
        let map = |value: &str| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map", "namespace": "default"}, "data": {"key": value},
            })
        };
        let maps = Objects::config_maps(&plane.client().await?, "default");
        maps.apply(&map("old")).await?;
        plane.stop().await?;
        let copy = fleet::state()?.join("own-copied-data");
        plane.copy(&copy).await?;
        plane.start_again().await?;
        maps.apply(&map("new")).await?;
        plane.stop().await?;
        plane.restore(&copy).await?;
        plane.start_again().await?;
        ensure!(
            maps.get("map").await?["data"]["key"] == "old",
            "the same port, the same keys, the old data"
        );
        Ok(())
    })
}
