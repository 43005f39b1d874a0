//! One order, table by table: when it starts, when it waits, what ends it.

use super::*;
use crate::assignment::Owner;
use crate::ids::{CronJobName, HubId, Uid};
use crate::observe::any_job_seen;
use crate::run_order::job::job;
use crate::run_order::known::{KNOWN_RUNS, KnownRuns};
use crate::testing;
use serde_json::{Value, json};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn cronjob(concurrency: ConcurrencyPolicy, next: Option<i64>) -> CronJobFacts {
    CronJobFacts {
        concurrency,
        next: next.map(at),
        suspended_for: None,
        held: true,
    }
}

fn found(cronjob: Option<CronJobFacts>, active: u32) -> Found {
    Found {
        now: at(1000),
        verdict: Ok(()),
        job: JobLook::Absent,
        cronjob,
        siblings: Siblings {
            active,
            longest: None,
        },
    }
}

fn next(found: &Found) -> Next {
    let order = testing::run_order("r", 0);
    begin(
        &order,
        &ordered(&order, at(0)),
        found,
        &RunSettings::default(),
    )
}

fn words(next: &Next) -> (RunPhase, &str) {
    match next {
        Next::Tell(tell) => (tell.phase, tell.reason.as_str()),
        Next::Suspend(_) => (RunPhase::Waiting, "(suspend)"),
        Next::Create => (RunPhase::Running, "(create)"),
    }
}

#[test]
fn a_run_waits_for_active_and_due_ones_and_suspends_what_forbids_others() {
    use ConcurrencyPolicy::{Allow, Forbid, Replace};
    for (case, found, expected) in [
        ("no CronJob", found(None, 0), "(create)"),
        (
            "no CronJob, another ordered run",
            found(None, 1),
            "RunActive",
        ),
        (
            "allow, active and due",
            found(Some(cronjob(Allow, Some(1001))), 2),
            "(create)",
        ),
        (
            "forbid, free",
            found(Some(cronjob(Forbid, Some(5000))), 0),
            "(suspend)",
        ),
        (
            "forbid, never due",
            found(Some(cronjob(Forbid, None)), 0),
            "(suspend)",
        ),
        (
            "forbid, active",
            found(Some(cronjob(Forbid, Some(5000))), 1),
            "RunActive",
        ),
        (
            "forbid, due",
            found(Some(cronjob(Forbid, Some(1060))), 0),
            "RunDue",
        ),
        (
            "forbid, due later than usual",
            found(Some(cronjob(Forbid, Some(1061))), 0),
            "(suspend)",
        ),
        (
            "replace, free",
            found(Some(cronjob(Replace, None)), 0),
            "(create)",
        ),
        (
            "replace, active",
            found(Some(cronjob(Replace, None)), 1),
            "RunActive",
        ),
    ] {
        assert_eq!(words(&next(&found)).1, expected, "{case}");
    }
    let mut long = found(Some(cronjob(Forbid, Some(1200))), 0);
    long.siblings.longest = Some(SignedDuration::from_secs(300));
    assert_eq!(words(&next(&long)).1, "RunDue", "what was seen counts");
    let order = testing::run_order("r", 0);
    let mut suspended = cronjob(Forbid, None);
    suspended.suspended_for = Some(ordered(&order, at(0)).job);
    assert_eq!(next(&found(Some(suspended), 0)), Next::Create);
}

#[test]
fn what_is_refused_or_late_never_starts() {
    let mut refused = found(None, 0);
    refused.verdict = Err(Refusal {
        rule: "runNow",
        message: "no".to_owned(),
    });
    assert_eq!(words(&next(&refused)), (RunPhase::Refused, "runNow"));
    let mut late = found(None, 0);
    late.now = at(3601);
    assert_eq!(words(&next(&late)), (RunPhase::Expired, "StartDeadline"));
    late.now = at(3600);
    assert_eq!(next(&late), Next::Create);
}

fn owner() -> Owner {
    Owner {
        hub: HubId::new("hub-0123456789").unwrap(),
    }
}

fn body(status: &Value) -> Value {
    let mut body = job(&testing::run_order("r", 0), &owner(), None);
    body["metadata"]["uid"] = json!(Uid([9; 16]).to_string());
    body["metadata"]["creationTimestamp"] = json!("1970-01-01T00:16:40Z");
    body["status"] = status.clone();
    body
}

fn look(status: &Value) -> JobLook {
    JobLook::Seen(Box::new(any_job_seen(&body(status)).unwrap()), None)
}

#[test]
fn a_job_that_may_have_been_made_is_made_by_no_other_process() {
    let order = testing::run_order("r", 0);
    let mut known = ordered(&order, at(0));
    known.begun = Begun::Creating;
    assert_eq!(follow(&known, &JobLook::Absent, true), Next::Create);
    let interrupted = follow(&known, &JobLook::Absent, false);
    assert_eq!(words(&interrupted), (RunPhase::Failed, "Interrupted"));
    let running = look(&json!({"startTime": "1970-01-01T00:16:41Z"}));
    let Next::Tell(tell) = follow(&known, &running, false) else {
        panic!("it is there")
    };
    assert_eq!(
        (tell.phase, tell.started),
        (RunPhase::Running, Some(at(1001)))
    );
    known.event = tell.event(&known, at(1002));
    assert_eq!(known.event.job, known.job);
    for tried_here in [true, false] {
        let gone = follow(&known, &JobLook::Absent, tried_here);
        assert_eq!(words(&gone), (RunPhase::Failed, "JobGone"), "collected");
    }
    let failed = look(
        &json!({"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded",
        "message": "too long", "lastTransitionTime": "1970-01-01T00:16:50Z"}]}),
    );
    assert_eq!(
        words(&follow(&known, &failed, false)),
        (RunPhase::Failed, "DeadlineExceeded")
    );
    // Its store was lost, its Job was not.
    let mut again = found(Some(cronjob(ConcurrencyPolicy::Forbid, None)), 1);
    again.job = running;
    assert_eq!(words(&next(&again)).0, RunPhase::Running);
}

#[test]
fn a_pod_that_cannot_start_is_told_while_the_job_runs() {
    let pod = PodSeen {
        restarts: 0,
        waits: true,
        uid: Uid([4; 16]),
        job: Uid([9; 16]),
        created: at(1001),
        exit_code: None,
        reason: "ImagePullBackOff".into(),
        message: "Back-off pulling image".into(),
    };
    let mut known = ordered(&testing::run_order("r", 0), at(0));
    known.begun = Begun::Creating;
    let JobLook::Seen(job, _) = look(&json!({"startTime": "1970-01-01T00:16:41Z"})) else {
        panic!("a Job")
    };
    let stuck = follow(&known, &JobLook::Seen(job, Some(Box::new(pod))), false);
    assert_eq!(words(&stuck), (RunPhase::Running, "ImagePullBackOff"));
}

#[test]
fn the_job_has_our_marks_its_own_end_and_no_controller() {
    let mut order = testing::run_order("r", 0);
    order.deadline = Some(SignedDuration::from_secs(30));
    let name = CronJobName::new("s").unwrap();
    let job = job(&order, &owner(), Some((&name, Uid([3; 16]))));
    assert_eq!(job["metadata"]["name"], format!("s-p-{}", order.id));
    assert_eq!(job["spec"]["ttlSecondsAfterFinished"], 600);
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 30);
    let reference = &job["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&reference["kind"], &reference["name"]),
        (&json!("CronJob"), &json!("s"))
    );
    assert!(reference.get("controller").is_none() && reference.get("blockOwnerDeletion").is_none());
    for metadata in [&job["metadata"], &job["spec"]["template"]["metadata"]] {
        assert_eq!(
            metadata["annotations"]["segment.grnry.io/run"],
            order.id.to_string()
        );
        assert_eq!(
            metadata["annotations"]["segment.grnry.io/run-purpose"],
            "manual"
        );
        assert_eq!(metadata["annotations"]["segment.grnry.io/segment"], "n/s");
        assert_eq!(
            metadata["labels"]["app.kubernetes.io/managed-by"],
            "segment-agent"
        );
    }
    let long = CronJobName::new(format!("{}-b", "a".repeat(39))).unwrap();
    let name = crate::run_order::job::job_name(&long, order.id);
    assert!(
        name.len() <= 63 && name.starts_with(&format!("{}-p-", "a".repeat(39))),
        "{name}"
    );
}

#[test]
fn the_newest_are_known_and_none_that_goes_on_is_forgotten() {
    let known = |n: usize, phase: RunPhase| {
        let order = testing::run_order(&n.to_string(), 0);
        let mut known = ordered(&order, at(0));
        known.event.phase = phase;
        known.begun = Begun::Creating;
        known
    };
    let mut runs = KnownRuns::default();
    assert!(runs.put(known(0, RunPhase::Running)));
    for n in 1..KNOWN_RUNS + 10 {
        assert!(runs.put(known(n, RunPhase::Succeeded)));
    }
    let stored = runs.to_store();
    assert_eq!(stored.len(), KNOWN_RUNS);
    let id = |n: usize| testing::run_order(&n.to_string(), 0).id;
    assert!(runs.get(id(0)).is_some() && runs.get(id(1)).is_none());
    assert!(runs.get(id(KNOWN_RUNS + 9)).is_some());
    assert_eq!(KnownRuns::new(stored.clone()).to_store(), stored);
    let mut full = KnownRuns::default();
    for n in 0..KNOWN_RUNS {
        assert!(full.put(known(n, RunPhase::Running)));
    }
    assert!(!full.put(known(KNOWN_RUNS, RunPhase::Waiting)), "no room");
}

#[test]
fn the_largest_list_is_a_small_part_of_a_shard() {
    let mut runs = KnownRuns::default();
    for n in 0..KNOWN_RUNS {
        let order = testing::run_order(&n.to_string(), 0);
        let mut known = ordered(&order, at(0));
        known.begun = Begun::Creating;
        known.event.message = "\u{e4}".repeat(2_000);
        runs.put(known);
    }
    let bytes = serde_json::to_vec(&runs.to_store()).unwrap().len();
    assert!(bytes < 256 * 1024, "{bytes}");
}
