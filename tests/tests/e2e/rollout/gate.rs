//! Proof runs: a cluster's schedule is trusted with a revision only after one Job of it has succeeded there.

use anyhow::{Result, ensure};
use segment_core::names::{ANNOTATION_REVISION, ANNOTATION_RUN_PURPOSE};
use segment_tests::fleet::Stage;
use segment_tests::kubelet::{Ending, Kubelet};
use segment_tests::rollouts::{version, with_rollout};
use segment_tests::{run, wait};
use serde_json::{Value, json};

/// Proof Jobs of a revision on a cluster.
async fn proofs(stage: &Stage, agent: usize, revision: &str) -> Result<Vec<Value>> {
    let mut jobs = stage.agents[agent].jobs().list("").await?;
    jobs.retain(|job| {
        let annotations = &job["metadata"]["annotations"];
        annotations[ANNOTATION_RUN_PURPOSE] == "proof"
            && annotations[ANNOTATION_REVISION] == revision
    });
    Ok(jobs)
}

#[test]
fn a_revision_is_proven_before_any_schedule_is_trusted_with_it() -> Result<()> {
    run(async {
        let clusters: [(&str, &[(&str, &str)]); 5] = [
            ("a", &[("wave", "canary")]),
            ("b", &[]),
            ("c", &[]),
            ("d", &[]),
            ("e", &[]),
        ];
        let stage = Stage::own("gate", &clusters).await?;
        let mut policy = segment_tests::spoke::policy("gate");
        policy["rules"] = json!({"runNow": true});
        for agent in &stage.agents {
            agent
                .set_policy(&stage.hub.agents_address(), &policy)
                .await?;
        }
        let segment = with_rollout(
            &stage.segment("visits"),
            &json!({
                "maxConcurrent": "100%",
                "gate": {"run": "Now", "timeoutSeconds": 300},
                "waves": [{"name": "canary", "clusterSelector": {"matchLabels": {"wave": "canary"}}}],
            }),
        );
        let first = stage.apply_revision(&segment).await?;
        wait::until("the canary is being proven", wait::SOON, || async {
            let proofs = proofs(&stage, 0, &first).await?;
            ensure!(proofs.len() == 1, "{}", stage.rollout("visits").await?);
            Ok(())
        })
        .await?;
        ensure!(
            stage.with_revision("visits", &first).await?.is_empty(),
            "no schedule has it yet"
        );
        // The hub dies meanwhile: what it ordered is not ordered twice.
        stage.hub.crash().await?;
        stage.hub.ready().await?;
        let kubelets: Vec<Kubelet> = stage
            .agents
            .iter()
            .map(|agent| Kubelet::start(agent.client().clone(), "gate", Ending::Succeeds))
            .collect();
        stage
            .have_revision("visits", &first, &[0, 1, 2, 3, 4])
            .await?;
        stage.ready("visits").await?;
        for agent in 0..5 {
            let proofs = proofs(&stage, agent, &first).await?.len();
            ensure!(proofs == 1, "one proof on each: {proofs} on {agent}");
        }
        drop(kubelets);

        // A revision that fails its proof never gets onto any schedule, and says what it said.
        let failing = Kubelet::start(stage.agents[0].client().clone(), "gate", Ending::Fails(3));
        let mut bad = version(&segment, 2);
        bad["spec"]["cronjob"]["backoffLimit"] = json!(0);
        let second = stage.apply_revision(&bad).await?;
        let halted = stage.says("visits", "Stalled", "True", "Halted").await?;
        println!("{}", halted["message"]);
        ensure!(
            halted["message"].as_str().is_some_and(|words| {
                words.contains("in wave canary")
                    && words.contains("proof run failed")
                    && words.contains("exit 3")
            }),
            "{halted}"
        );
        ensure!(stage.with_revision("visits", &first).await? == [0, 1, 2, 3, 4]);
        ensure!(
            proofs(&stage, 1, &second).await?.is_empty(),
            "it never leaves wave 1"
        );
        drop(failing);

        // It is tried again once what was wrong is mended, and goes on by itself.
        let kubelets: Vec<Kubelet> = stage
            .agents
            .iter()
            .map(|agent| Kubelet::start(agent.client().clone(), "gate", Ending::Succeeds))
            .collect();
        stage
            .rollout_verb("retry", "visits", &["--reason", "the database is back"])
            .await?;
        stage
            .have_revision("visits", &second, &[0, 1, 2, 3, 4])
            .await?;
        stage.ready("visits").await?;
        ensure!(
            proofs(&stage, 0, &second).await?.len() == 2,
            "another run, another id"
        );
        drop(kubelets);
        Ok(())
    })
}
