//! A broken Segment is refused at `kubectl apply`, in the words of the condition `Accepted`; and where the webhook does
//! not answer, nobody is kept from anything.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::hub::Hub;
use segment_tests::objects::condition;
use segment_tests::{https, install, run, wait};
use serde_json::{Value, json};

const PATH: &str = "/admission";

/// Wrong in two places, one of them with an offset.
fn broken(stage: &Stage, name: &str) -> Value {
    let mut segment = stage.segment(name);
    segment["spec"]["cronjob"]["schedule"] = json!("0 25 * * *");
    segment["spec"]["env"]["SOURCE_WHERE_CLAUSE"] = json!("site = '$(cluster.nam)'");
    segment
}

/// What is said of [`broken`], from core.
fn errors(segment: &Value) -> Result<Vec<String>> {
    let segment = serde_json::from_value(segment.clone())?;
    let verdict = segment_core::lint::lint(
        &segment,
        &segment_core::segment::HouseDefaults::default(),
        jiff::Timestamp::now(),
    );
    let errors: Vec<String> = verdict
        .findings
        .iter()
        .filter(|finding| finding.is_error())
        .map(ToString::to_string)
        .collect();
    ensure!(
        errors.len() >= 2
            && errors
                .iter()
                .any(|e| e.starts_with("spec.env.SOURCE_WHERE_CLAUSE:8 ")),
        "{errors:?}"
    );
    Ok(errors)
}

async fn accepted_false(stage: &Stage, name: &str) -> Result<String> {
    let found = wait::until("Accepted is False", wait::SOON, || async {
        let segment = stage.segments().get(name).await?;
        let accepted = condition(&segment, "Accepted").context("no condition Accepted")?;
        ensure!(accepted["status"] == "False", "{accepted}");
        Ok(accepted.clone())
    })
    .await?;
    Ok(found["message"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_broken_segment_is_refused_at_apply_in_the_words_of_its_condition() -> Result<()> {
    run(async {
        let stage = Stage::shared("admission", &[]).await?;
        let segment = broken(&stage, "visits");
        let errors = errors(&segment)?;
        let printed = stage.kubectl_apply(&segment).await?;
        println!("{}", printed.err);
        ensure!(
            printed.status != 0 && printed.err.contains("segments.segment.grnry.io"),
            "{printed:?}"
        );
        // Each on a line of its own.
        for error in &errors {
            ensure!(
                printed
                    .err
                    .lines()
                    .any(|line| line.ends_with(error.as_str())),
                "{error} is not in {}",
                printed.err
            );
        }
        ensure!(stage.segments().find("visits").await?.is_none());

        // The same from kubectl's other ways to write.
        for arguments in [
            &["create", "-f", "-"][..],
            &["apply", "-f", "-"],
            &["apply", "--dry-run=server", "-f", "-"],
        ] {
            let kubectl = stage.hub.plane.kubectl()?;
            let printed = kubectl.run_with(arguments, &segment.to_string()).await?;
            ensure!(
                printed.status != 0 && errors.iter().all(|error| printed.err.contains(error)),
                "{arguments:?}: {printed:?}"
            );
        }

        // And where the webhook is not asked.
        stage.without_webhook().await?;
        stage.kubectl_apply(&segment).await?.ok()?;
        let message = accepted_false(&stage, "visits").await?;
        for error in &errors {
            ensure!(message.contains(error), "{error} is not in {message}");
        }
        Ok(())
    })
}

#[test]
fn a_warning_is_printed_and_stops_nothing() -> Result<()> {
    run(async {
        let stage = Stage::shared("warned", &[("a", &[])]).await?;
        let mut segment = stage.segment("visits");
        // 30 February.
        segment["spec"]["cronjob"]["schedule"] = json!("0 0 30 2 *");
        let printed = stage.kubectl_apply(&segment).await?;
        println!("{}", printed.err);
        ensure!(
            printed.status == 0
                && printed
                    .err
                    .lines()
                    .any(|line| line.starts_with("Warning: spec.cronjob.schedule")),
            "{printed:?}"
        );
        stage.ready("visits").await?;
        Ok(())
    })
}

#[test]
fn what_leaves_the_spec_as_it_is_passes_even_where_the_spec_is_broken() -> Result<()> {
    run(async {
        let stage = Stage::shared("untouched", &[]).await?;
        stage.without_webhook().await?;
        let segment = broken(&stage, "visits");
        stage.apply(&segment).await?;
        accepted_false(&stage, "visits").await?;
        stage.with_webhook().await?;
        let mut other = stage.segment("other");
        other["spec"]["cronjob"]["schedule"] = json!("61 25 * * *");
        wait::until("the webhook is asked again", wait::SOON, || async {
            let printed = stage.kubectl_apply(&other).await?;
            ensure!(printed.status != 0, "{printed:?}");
            Ok(())
        })
        .await?;

        let labels = json!({"metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}}});
        stage.segments().patch("visits", &labels).await?;
        let status = json!({"status": {"nextRun": null}});
        stage.segments().patch_status("visits", &status).await?;
        let worse = json!({"spec": {"cronjob": {"schedule": "61 25 * * *"}}});
        let refused = stage.segments().patch("visits", &worse).await;
        ensure!(
            refused.is_err_and(|error| format!("{error:#}").contains("spec.cronjob.schedule")),
            "another spec is judged"
        );
        // Its finalizer is taken off by an update.
        stage.segments().delete("visits").await?;
        wait::until("it is gone", wait::SOON, || async {
            ensure!(stage.segments().find("visits").await?.is_none(), "there");
            Ok(())
        })
        .await
    })
}

#[test]
fn without_the_hub_everything_is_accepted_and_judged_when_it_is_back() -> Result<()> {
    run(async {
        let stage = Stage::own("fails-open", &[]).await?;
        let segment = broken(&stage, "visits");
        ensure!(stage.kubectl_apply(&segment).await?.status != 0);

        stage.hub.process.end().await?;
        stage.kubectl_apply(&segment).await?.ok()?;
        stage.hub.process.start()?;
        let message = accepted_false(&stage, "visits").await?;
        for error in errors(&segment)? {
            ensure!(message.contains(&error), "{error} is not in {message}");
        }

        // A hub that hangs: the API server waits its 5 s and goes on.
        stage.hub.ready().await?;
        stage.hub.process.pause()?;
        let began = Instant::now();
        let printed = stage.kubectl_apply(&broken(&stage, "more")).await;
        stage.hub.process.resume()?;
        printed?.ok()?;
        println!("waited {:.1} s", began.elapsed().as_secs_f32());

        // A replica that stands by judges too.
        let second = stage.hub.second().await?;
        second.start()?;
        let ca = stage.hub.webhook_tls().join("ca.crt");
        let review = review(&segment).to_string();
        let (status, answer) = wait::until("the standby answers", wait::SOON, || {
            let address = stage.hub.second_webhook_address();
            let (ca, review) = (&ca, &review);
            async move { https::post(&address, ca, PATH, review.as_bytes()).await }
        })
        .await?;
        let answer: Value = serde_json::from_str(&answer)?;
        ensure!(
            status == 200 && answer["response"]["allowed"] == false,
            "{status} {answer}"
        );
        ensure!(
            stage.hub.leader().await?.starts_with("segment-hub-0/"),
            "it was the standby that answered"
        );
        second.end().await?;
        Ok(())
    })
}

fn review(object: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5", "operation": "CREATE",
            "kind": {"group": "segment.grnry.io", "version": "v1alpha1", "kind": "Segment"},
            "resource": {"group": "segment.grnry.io", "version": "v1alpha1", "resource": "segments"},
            "userInfo": {"username": "alice"}, "object": object,
        },
    })
}

async fn ask(hub: &Hub, path: &str, body: &[u8]) -> Result<(u16, String)> {
    let ca = hub.webhook_tls().join("ca.crt");
    https::post(&hub.webhook_address(), &ca, path, body).await
}

#[test]
fn hostile_bodies_are_answered_and_do_no_harm() -> Result<()> {
    run(async {
        let stage = Stage::shared("hostile", &[]).await?;
        let hub = &stage.hub;
        let pid = hub.process.pid()?;
        let deep = "[".repeat(500_000);
        let big = vec![b' '; 2 * 1024 * 1024];
        for (what, path, body, expected) in [
            ("nothing", PATH, &b""[..], 400),
            ("garbage", PATH, b"\xff\x00{]", 400),
            ("another type", PATH, b"{\"kind\":\"Pod\"}", 400),
            (
                "half a review",
                PATH,
                b"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\"}",
                400,
            ),
            ("depth", PATH, deep.as_bytes(), 400),
            ("2 MiB", PATH, &big, 413),
            ("another path", "/", b"{}", 404),
        ] {
            let (status, text) = ask(hub, path, body).await.context(what)?;
            ensure!(status == expected, "{what}: {status} {text}");
        }
        let mut pod =
            review(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}));
        pod["request"]["kind"] = json!({"group": "", "version": "v1", "kind": "Pod"});
        pod["request"]["resource"] = json!({"group": "", "version": "v1", "resource": "pods"});
        let (status, text) = ask(hub, PATH, pod.to_string().as_bytes()).await?;
        let answer: Value = serde_json::from_str(&text)?;
        ensure!(
            status == 200
                && answer["response"]["allowed"] == true
                && answer["response"]["uid"] == "705ab4f5"
                && answer["response"]["warnings"]
                    .as_array()
                    .is_some_and(|w| w.len() == 1),
            "{status} {answer}"
        );
        // Just below the limit, all of it in one value, many at a time.
        let mut large = stage.segment("large");
        large["spec"]["env"]["SOURCE_WHERE_CLAUSE"] = json!("('a',".repeat(1000 * 1000 / 5));
        let large = review(&large).to_string();
        let asked = (0..8).map(|_| ask(hub, PATH, large.as_bytes()));
        for answer in futures::future::join_all(asked).await {
            let (status, text) = answer?;
            ensure!(status == 429 || status == 200, "{status} {text}");
        }
        // Who says nothing does not keep others from being heard.
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(tokio::net::TcpStream::connect(hub.webhook_address()).await?);
        }
        let good = review(&stage.segment("good")).to_string();
        let (status, text) = ask(hub, PATH, good.as_bytes()).await?;
        ensure!(
            status == 200 && text.contains("\"allowed\":true"),
            "{status} {text}"
        );
        drop(silent);
        ensure!(
            hub.process.pid()? == pid,
            "it was the same process all along"
        );
        let metrics = hub.metrics().await?;
        for line in [
            "segment_webhook_allowed_total",
            "segment_webhook_refused_total",
            "segment_webhook_errors_total",
        ] {
            ensure!(metrics.contains(line), "{line} is not in {metrics}");
        }
        Ok(())
    })
}

#[test]
fn a_new_certificate_is_served_without_a_restart() -> Result<()> {
    run(async {
        let stage = Stage::own("certificate", &[]).await?;
        let hub = &stage.hub;
        let pid = hub.process.pid()?;
        let good = review(&stage.segment("good")).to_string();
        let old = std::fs::read(hub.webhook_tls().join("ca.crt"))?;
        let old_ca = hub.plane.dir().join("old-ca.crt");
        std::fs::write(&old_ca, old)?;

        // As `helm upgrade` after its Secret was deleted: another certificate, another CA.
        hub.install_again().await?;
        let new_ca = hub.webhook_tls().join("ca.crt");
        let address = hub.webhook_address();
        wait::until("the new one is served", Duration::from_secs(20), || async {
            https::post(&address, &new_ca, PATH, good.as_bytes()).await
        })
        .await?;
        let refused = https::post(&address, &old_ca, PATH, good.as_bytes()).await;
        ensure!(refused.is_err(), "the old one is not served any more");
        wait::until("the API server trusts it", wait::SOON, || async {
            let printed = stage.kubectl_apply(&broken(&stage, "visits")).await?;
            ensure!(printed.status != 0, "{printed:?}");
            Ok(())
        })
        .await?;

        // Half a pair changes nothing.
        let key = rcgen::KeyPair::generate()?.serialize_pem();
        let half = json!({"data": {"tls.key": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key)}});
        install::mount(&half, hub.webhook_tls())?;
        wait::until("the log says so", Duration::from_secs(20), || async {
            ensure!(
                hub.process.log().contains("certificate not loaded"),
                "it does not"
            );
            Ok(())
        })
        .await?;
        let (status, _) = https::post(&address, &new_ca, PATH, good.as_bytes()).await?;
        ensure!(status == 200 && hub.process.pid()? == pid);
        Ok(())
    })
}
