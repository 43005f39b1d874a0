#![allow(clippy::too_many_lines, reason = "tables are read as a whole")]

use super::*;
use serde_json::json;

const CRONJOB: &str = "00000000-0000-0000-0000-000000000001";
const JOB: &str = "00000000-0000-0000-0000-000000000002";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn cronjob(schedule: &str, suspend: bool) -> Live {
    Live::watched(&json!({
        "metadata": {"namespace": "granary", "name": "a", "uid": CRONJOB, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"schedule": schedule, "suspend": suspend},
    }))
    .unwrap()
}

fn job(due: &str, status: &Value) -> JobSeen {
    job_seen(&json!({
        "metadata": {
            "name": format!("a-{due}"), "uid": JOB, "creationTimestamp": "2026-01-02T03:00:01Z",
            "annotations": {SCHEDULED: due},
            "ownerReferences": [{"kind": "CronJob", "uid": CRONJOB, "controller": true}],
        },
        "status": status,
    }))
    .unwrap()
}

fn pod(status: &Value) -> PodSeen {
    pod_seen(&json!({
        "metadata": {
            "uid": "00000000-0000-0000-0000-000000000003", "creationTimestamp": "2026-01-02T03:00:02Z",
            "ownerReferences": [{"kind": "Job", "uid": JOB, "controller": true}],
        },
        "status": status,
    }))
    .unwrap()
}

#[test]
fn a_run_says_how_it_ended_and_why() {
    let due = "2026-01-02T03:00:00Z";
    let running = json!({"active": 1, "startTime": "2026-01-02T03:00:01Z"});
    let succeeded = json!({
        "startTime": "2026-01-02T03:00:01Z", "completionTime": "2026-01-02T03:01:00Z",
        "conditions": [{"type": "Complete", "status": "True"}],
    });
    let failed = json!({
        "startTime": "2026-01-02T03:00:01Z",
        "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often",
                        "lastTransitionTime": "2026-01-02T03:02:00Z"}],
    });
    let pulling = json!({"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}}]});
    let starting =
        json!({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]});
    let exited = |code: i32| json!({"containerStatuses": [{"state": {"terminated": {"exitCode": code, "reason": "Error"}}}]});
    let pending = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]});
    for (status, pod_status, result, exit_code, reason, message, why) in [
        (
            &running,
            None,
            RunResult::Running,
            None,
            "",
            "",
            "no Pod yet",
        ),
        (
            &running,
            Some(starting),
            RunResult::Running,
            None,
            "",
            "",
            "on its way",
        ),
        (
            &running,
            Some(pulling),
            RunResult::Running,
            None,
            "ImagePullBackOff",
            "no such tag",
            "stuck",
        ),
        (
            &running,
            Some(pending),
            RunResult::Running,
            None,
            "Unschedulable",
            "0/3 nodes",
            "no node",
        ),
        (
            &succeeded,
            Some(exited(0)),
            RunResult::Succeeded,
            Some(0),
            "",
            "",
            "well",
        ),
        (
            &failed,
            Some(exited(2)),
            RunResult::Failed,
            Some(2),
            "BackoffLimitExceeded",
            "too often",
            "the Job's words",
        ),
        (
            &failed,
            None,
            RunResult::Failed,
            None,
            "BackoffLimitExceeded",
            "too often",
            "Pods are gone",
        ),
    ] {
        let pods: Vec<_> = pod_status.as_ref().map(pod).into_iter().collect();
        let runs = runs(
            &cronjob("0 3 * * *", false),
            &[job(due, status)],
            &pods,
            at("2026-01-02T04:00:00Z"),
        );
        let last = runs.last.unwrap();
        assert_eq!(last.result, result, "{why}");
        assert_eq!(
            (last.exit_code, last.reason.as_str(), last.message.as_str()),
            (exit_code, reason, message),
            "{why}"
        );
        assert_eq!(last.scheduled, at(due), "{why}");
        assert_eq!(
            last.finished.is_some(),
            result != RunResult::Running,
            "{why}"
        );
        assert_eq!(
            runs.active,
            u32::from(result == RunResult::Running),
            "{why}"
        );
        assert_eq!(runs.next, Some(at("2026-01-03T03:00:00Z")), "{why}");
    }
}

#[test]
fn the_newest_run_is_the_one_that_was_due_last() {
    let done = json!({"completionTime": "2026-01-02T03:01:00Z", "conditions": [{"type": "Complete", "status": "True"}]});
    let jobs = [
        job("2026-01-02T03:00:00Z", &json!({})),
        job("2026-01-03T03:00:00Z", &done),
        job("2026-01-01T03:00:00Z", &done),
    ];
    let runs = runs(
        &cronjob("0 3 * * *", true),
        &jobs,
        &[],
        at("2026-01-03T04:00:00Z"),
    );
    assert_eq!(runs.last.unwrap().scheduled, at("2026-01-03T03:00:00Z"));
    assert_eq!(
        (runs.active, runs.next),
        (1, None),
        "suspended: no next run"
    );
}

#[test]
fn next_of_every_counts_from_the_last_run_so_that_a_report_does_not_change_by_itself() {
    let cronjob = cronjob("@every 1h", false);
    let next = |now: &str| runs(&cronjob, &[], &[], at(now)).next;
    assert_eq!(
        next("2026-01-01T00:10:00Z"),
        Some(at("2026-01-01T01:00:00Z"))
    );
    assert_eq!(next("2026-01-01T00:20:00Z"), next("2026-01-01T00:10:00Z"));
}

#[test]
fn a_job_counts_for_its_controller_only() {
    let owned = |kind: &str, uid: &str, controller: bool, conditions: Value| {
        json!({"metadata": {"ownerReferences": [{"kind": kind, "uid": uid, "controller": controller}]},
               "status": {"conditions": conditions}})
    };
    let other = "00000000-0000-0000-0000-000000000009";
    let jobs = [
        owned("CronJob", CRONJOB, true, json!([])),
        owned(
            "CronJob",
            CRONJOB,
            true,
            json!([{"type": "Suspended", "status": "True"}]),
        ),
        owned(
            "CronJob",
            CRONJOB,
            true,
            json!([{"type": "Complete", "status": "True"}]),
        ),
        owned(
            "CronJob",
            CRONJOB,
            true,
            json!([{"type": "Failed", "status": "True"}]),
        ),
        owned("CronJob", CRONJOB, false, json!([])),
        owned("CronJob", other, true, json!([])),
        owned("Other", CRONJOB, true, json!([])),
        json!({}),
    ];
    assert_eq!(unfinished_jobs(&jobs, CRONJOB.parse().unwrap()), 2);
    assert_eq!(
        (job_seen(&json!({})), pod_seen(&json!({"metadata": {}}))),
        (None, None)
    );
}
