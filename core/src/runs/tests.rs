//! Tables of the ledger, and what holds whatever is seen in whatever order.

#![allow(clippy::too_many_lines, reason = "tables are read as a whole")]

use super::look::Phase;
use super::*;
use crate::ids::{CronJobName, KeyHash};
use crate::observe::{job_seen, pod_seen};
use proptest::prelude::*;
use serde_json::{Value, json};

const KEY: KeyHash = KeyHash([7; 16]);
const CRONJOB: &str = "00000000-0000-0000-0000-000000000001";

fn at(text: &str) -> Timestamp {
    format!("2026-01-02T{text}Z").parse().unwrap()
}

fn secs(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_312_000 + seconds).unwrap()
}

fn uid(n: u8) -> Uid {
    Uid([n; 16])
}

fn run(due: Timestamp, job: u8, result: RunResult) -> LedgerRun {
    LedgerRun {
        job: format!("a-{job}"),
        job_uid: Some(uid(job)),
        started: Some(due),
        ..LedgerRun::without_job(due, result, "", "")
    }
}

fn hourly() -> CronJobSeen<'static> {
    CronJobSeen {
        name: "visits",
        schedule: "0 * * * *",
        time_zone: None,
        starting_deadline: None,
        forbids: true,
        one_at_a_time: true,
        created: Some(at("00:30:00")),
        last_schedule: None,
        last_successful: None,
        suspension: Suspension::Active,
    }
}

fn phase(since: &str, suspension: Suspension) -> Phase {
    Phase {
        since: at(since),
        suspension,
    }
}

#[test]
fn a_run_that_is_missing_has_a_cause_in_words() {
    let active = || vec![phase("00:30:00", Suspension::Active)];
    let holds = vec![
        phase("00:30:00", Suspension::Active),
        phase(
            "04:30:00",
            Suspension::Held("held by the hub: freeze".into()),
        ),
    ];
    let moment_later = vec![
        phase("00:30:00", Suspension::Active),
        phase(
            "05:00:01",
            Suspension::Held("held by the hub: freeze".into()),
        ),
    ];
    let lifted = vec![
        phase(
            "04:30:00",
            Suspension::ForRun("suspended for an ordered run".into()),
        ),
        phase("05:00:20", Suspension::Active),
    ];
    let busy = vec![LedgerRun {
        started: Some(at("04:00:02")),
        ..run(at("04:00:00"), 4, RunResult::Running)
    }];
    let done = vec![LedgerRun {
        finished: Some(at("04:10:00")),
        ..run(at("04:00:00"), 4, RunResult::Succeeded)
    }];
    let allow = || CronJobSeen {
        forbids: false,
        one_at_a_time: false,
        ..hourly()
    };
    let deadline = CronJobSeen {
        starting_deadline: Some(20),
        ..hourly()
    };
    let last = |last: &str| CronJobSeen {
        last_schedule: Some(at(last)),
        ..hourly()
    };
    let succeeded = CronJobSeen {
        last_successful: Some(at("05:00:20")),
        ..last("05:00:00")
    };
    let away = "06:00:00";
    let watching = "00:30:00";
    for (cronjob, runs, watch, phases, expected) in [
        (
            hourly(),
            vec![],
            watching,
            active(),
            Some((
                RunResult::Missed,
                "NotCreated",
                "the controller did not create its Job; kubectl describe cronjob visits tells more",
            )),
        ),
        (
            hourly(),
            done.clone(),
            watching,
            active(),
            Some((
                RunResult::Missed,
                "NotCreated",
                "the controller did not create its Job; kubectl describe cronjob visits tells more",
            )),
        ),
        (
            hourly(),
            busy.clone(),
            watching,
            active(),
            Some((
                RunResult::Skipped,
                "Forbid",
                "concurrencyPolicy Forbid: previous run a-4 has been running since 2026-01-02T04:00:02Z",
            )),
        ),
        (
            allow(),
            busy.clone(),
            watching,
            active(),
            Some((
                RunResult::Missed,
                "NotCreated",
                "the controller did not create its Job; kubectl describe cronjob visits tells more",
            )),
        ),
        (
            hourly(),
            vec![run(at("05:00:00"), 5, RunResult::Running)],
            watching,
            active(),
            None,
        ),
        (
            hourly(),
            vec![],
            watching,
            vec![phase("00:30:00", Suspension::ByUser)],
            None,
        ),
        (
            hourly(),
            vec![],
            watching,
            holds.clone(),
            Some((RunResult::Skipped, "Held", "held by the hub: freeze")),
        ),
        (
            hourly(),
            vec![],
            watching,
            moment_later,
            Some((RunResult::Skipped, "Held", "held by the hub: freeze")),
        ),
        (
            hourly(),
            vec![],
            watching,
            lifted,
            Some((
                RunResult::Skipped,
                "SuspendedForRun",
                "suspended for an ordered run",
            )),
        ),
        (
            hourly(),
            vec![],
            watching,
            vec![phase("00:30:00", Suspension::Drifted)],
            Some((
                RunResult::Missed,
                "Suspended",
                "spec.suspend was set on the CronJob by someone else, and was taken back later",
            )),
        ),
        (
            deadline,
            vec![],
            watching,
            active(),
            Some((
                RunResult::Missed,
                "StartingDeadline",
                "not started within startingDeadlineSeconds (20); kubectl describe cronjob visits tells more",
            )),
        ),
        (
            last("05:00:00"),
            vec![],
            watching,
            active(),
            Some((
                RunResult::Unknown,
                "JobGone",
                "the controller started it, and its Job was gone before the agent saw it",
            )),
        ),
        (
            succeeded,
            vec![],
            watching,
            active(),
            Some((RunResult::Succeeded, "", "")),
        ),
        (
            last("05:30:00"),
            vec![],
            away,
            active(),
            Some((
                RunResult::Unknown,
                "AgentAway",
                "the agent was not watching then (it is since 2026-01-02T06:00:00Z); a run may have come and gone",
            )),
        ),
        (
            last("04:00:00"),
            vec![],
            away,
            active(),
            Some((
                RunResult::Missed,
                "NotCreated",
                "the controller did not create its Job; kubectl describe cronjob visits tells more (the agent was not watching then)",
            )),
        ),
        (
            last("05:30:00"),
            vec![],
            away,
            holds,
            Some((RunResult::Skipped, "Held", "held by the hub: freeze")),
        ),
    ] {
        let runs: Vec<&LedgerRun> = runs.iter().collect();
        let watch = Watch {
            examined: at("04:30:00"),
            watching: at(watch),
            phases: &phases,
            floor: None,
        };
        let (missing, examined) = expected_at(&cronjob, &runs, watch, "05:00:40");
        assert_eq!(examined, at("05:00:00"));
        let said = missing.first().map(|missing| {
            let run = &missing.run;
            assert_eq!(
                (run.key, run.scheduled),
                (RunKey::Due(at("05:00:00")), at("05:00:00"))
            );
            assert_eq!(
                missing.needs_words,
                NEEDS_WORDS.contains(&run.reason.as_str())
            );
            (run.result, run.reason.as_str(), run.message.as_str())
        });
        assert_eq!(said, expected);
        assert!(missing.len() <= 1);
    }
}

fn expected_at(
    cronjob: &CronJobSeen<'_>,
    runs: &[&LedgerRun],
    watch: Watch<'_>,
    now: &str,
) -> (Vec<Missing>, Timestamp) {
    expected(cronjob, runs, watch, &ExpectSettings::default(), at(now))
}

#[test]
fn nothing_is_expected_within_the_grace_and_at_most_so_many_in_one_look() {
    let watch = |examined: Timestamp| Watch {
        examined,
        watching: at("00:00:00"),
        phases: &[],
        floor: None,
    };
    let count = |cronjob: &CronJobSeen<'_>, examined, now: &str| {
        expected_at(cronjob, &[], watch(examined), now).0.len()
    };
    assert_eq!(count(&hourly(), at("04:30:00"), "05:00:29"), 0);
    assert_eq!(count(&hourly(), at("04:30:00"), "05:00:30"), 1);
    let minutely = CronJobSeen {
        schedule: "* * * * *",
        ..hourly()
    };
    assert_eq!(count(&minutely, at("00:00:00"), "12:00:00"), MAX_EXPECTED);
    let years: Timestamp = "1990-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(count(&minutely, years, "12:00:00"), MAX_EXPECTED);
    let never = CronJobSeen {
        schedule: "0 0 31 2 *",
        ..hourly()
    };
    assert_eq!(count(&never, at("00:00:00"), "12:00:00"), 0);
    // Each 10 minutes after 00:30, in which the first look was at 01:05.
    let every = CronJobSeen {
        schedule: "@every 10m",
        ..hourly()
    };
    let (missing, _) = expected_at(&every, &[], watch(at("01:05:00")), "01:21:00");
    let due: Vec<_> = missing
        .iter()
        .map(|missing| missing.run.scheduled)
        .collect();
    assert_eq!(due, [at("01:10:00"), at("01:20:00")]);
}

fn job(name: &str, uid: u8, metadata: &Value, status: &Value) -> Value {
    let mut object = json!({
        "metadata": {
            "name": name, "uid": Uid([uid; 16]).to_string(), "creationTimestamp": "2026-01-02T03:00:01Z",
            "annotations": {"segment.grnry.io/revision": "0102030405060708"},
            "ownerReferences": [{"kind": "CronJob", "uid": CRONJOB, "controller": true}],
        },
        "status": status,
    });
    for (key, value) in metadata.as_object().unwrap() {
        object["metadata"][key] = value.clone();
    }
    object
}

#[test]
fn a_job_is_a_run_by_what_made_it() {
    let due = "batch.kubernetes.io/cronjob-scheduled-timestamp";
    let ordered = |purpose: &str| {
        json!({
            "annotations": {"segment.grnry.io/run": "0000000000000009", "segment.grnry.io/run-purpose": purpose},
            "ownerReferences": [{"kind": "CronJob", "uid": CRONJOB}],
        })
    };
    let id = RunKey::Id(RunId([0, 0, 0, 0, 0, 0, 0, 9]));
    for (metadata, expected) in [
        (
            json!({"annotations": {due: "2026-01-02T03:00:00Z"}}),
            Some((RunKind::Scheduled, RunKey::Due(at("03:00:00")))),
        ),
        (
            json!({}),
            Some((RunKind::Manual, RunKey::Id(RunId::of(&[2; 16])))),
        ),
        (ordered("proof"), Some((RunKind::Proof, id))),
        (ordered("manual"), Some((RunKind::Manual, id))),
        (ordered("else"), None),
        (json!({"ownerReferences": []}), None),
        (
            json!({"ownerReferences": [{"kind": "CronJob", "uid": CRONJOB}]}),
            None,
        ),
    ] {
        let seen_job = job_seen(&job("a", 2, &metadata, &json!({})));
        let run = seen_job.map(|job| seen(&job, [], &SeenSettings::default(), at("03:00:02")));
        assert_eq!(run.map(|run| (run.kind, run.key)), expected, "{metadata}");
    }
}

#[test]
fn a_run_is_stuck_when_its_pod_can_not_start_for_too_long() {
    let waiting = |reason: &str| json!({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": reason, "message": "words"}}}]});
    let unschedulable = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]});
    let runs = json!({"phase": "Running", "containerStatuses": [{"state": {"running": {}}, "restartCount": 2}]});
    for (pod, now, result, reason, attempts) in [
        (None, "03:05:00", RunResult::Running, "", 0),
        (None, "03:05:01", RunResult::Stuck, "NoPod", 0),
        (
            Some(waiting("ImagePullBackOff")),
            "03:05:01",
            RunResult::Running,
            "ImagePullBackOff",
            1,
        ),
        (
            Some(waiting("ImagePullBackOff")),
            "03:05:02",
            RunResult::Stuck,
            "ImagePullBackOff",
            1,
        ),
        (
            Some(waiting("CreateContainerConfigError")),
            "03:05:02",
            RunResult::Stuck,
            "CreateContainerConfigError",
            1,
        ),
        (
            Some(waiting("ContainerCreating")),
            "03:59:00",
            RunResult::Running,
            "",
            1,
        ),
        (
            Some(waiting("SomethingNew")),
            "03:59:00",
            RunResult::Running,
            "SomethingNew",
            1,
        ),
        (
            Some(unschedulable),
            "03:05:02",
            RunResult::Stuck,
            "Unschedulable",
            1,
        ),
        (Some(runs), "03:59:00", RunResult::Running, "", 3),
    ] {
        let job = job_seen(&job("a", 2, &json!({}), &json!({}))).unwrap();
        let pod = pod.map(|status| {
            pod_seen(&json!({
                "metadata": {"uid": Uid([3; 16]).to_string(), "creationTimestamp": "2026-01-02T03:00:02Z",
                             "ownerReferences": [{"kind": "Job", "uid": Uid([2; 16]).to_string(), "controller": true}]},
                "status": status,
            }))
            .unwrap()
        });
        let run = seen(&job, &pod, &SeenSettings::default(), at(now));
        assert_eq!(
            (run.result, run.reason.as_str(), run.attempts),
            (result, reason, attempts),
            "{pod:?} {now}"
        );
    }
}

#[test]
fn a_run_outlives_its_job_and_a_look_twice_changes_nothing() {
    let mut ledger = Ledger::default();
    let settings = ExpectSettings::default();
    let mut look_at = |jobs: Vec<LedgerRun>, cronjob: &CronJobSeen<'_>, now: &str| {
        let found = look(
            &mut ledger,
            KEY,
            cronjob,
            jobs.clone(),
            at("00:30:00"),
            &settings,
            at(now),
        );
        let again = look(
            &mut ledger,
            KEY,
            cronjob,
            jobs,
            at("00:30:00"),
            &settings,
            at(now),
        );
        assert_eq!(again, Found::default(), "twice at {now}");
        let runs = ledger.get(KEY).unwrap().runs();
        (
            found.news,
            runs.map(|run| (run.result, run.exit_code, run.reason.clone()))
                .collect::<Vec<_>>(),
        )
    };
    let none = String::new;
    assert_eq!(look_at(vec![], &hourly(), "03:50:00"), (false, vec![]));
    let running = run(at("04:00:00"), 4, RunResult::Running);
    assert_eq!(
        look_at(vec![running.clone()], &hourly(), "04:00:05"),
        (true, vec![(RunResult::Running, None, none())])
    );
    let failed = LedgerRun {
        exit_code: Some(3),
        reason: "Error".into(),
        result: RunResult::Failed,
        finished: Some(at("04:01:00")),
        ..running.clone()
    };
    let told = vec![(RunResult::Failed, Some(3), "Error".to_owned())];
    assert_eq!(
        look_at(vec![failed.clone()], &hourly(), "04:01:01"),
        (true, told.clone())
    );
    let without_pods = LedgerRun {
        exit_code: None,
        reason: "BackoffLimitExceeded".into(),
        ..failed
    };
    assert_eq!(
        look_at(vec![without_pods], &hourly(), "04:02:00"),
        (false, told.clone()),
        "its Pods went"
    );
    assert_eq!(
        look_at(vec![], &hourly(), "04:03:00"),
        (false, told.clone()),
        "its Job went"
    );
    // The next one goes before it is seen to end; the CronJob's status tells.
    let next = run(at("05:00:00"), 5, RunResult::Running);
    look_at(vec![next], &hourly(), "05:00:01");
    let (_, runs) = look_at(vec![], &hourly(), "05:00:09");
    assert_eq!(runs[1], (RunResult::Unknown, None, "JobGone".to_owned()));
    look_at(
        vec![run(at("06:00:00"), 6, RunResult::Running)],
        &hourly(),
        "06:00:01",
    );
    let told_by_status = CronJobSeen {
        last_successful: Some(at("06:00:05")),
        ..hourly()
    };
    let (_, runs) = look_at(vec![], &told_by_status, "06:00:09");
    assert_eq!(runs[2], (RunResult::Succeeded, None, none()));
    // Missed, and started after all: one run, which is late.
    let (_, runs) = look_at(vec![], &told_by_status, "07:00:31");
    assert_eq!(runs[3].0, RunResult::Missed);
    let late = LedgerRun {
        started: Some(at("07:05:00")),
        ..run(at("07:00:00"), 7, RunResult::Running)
    };
    let (_, runs) = look_at(vec![late], &told_by_status, "07:05:01");
    assert_eq!((runs.len(), runs[3].0), (4, RunResult::Running));
    assert!(ledger.get(KEY).unwrap().runs().last().unwrap().is_late());
}

#[test]
fn a_changed_schedule_expects_nothing_from_before() {
    let mut ledger = Ledger::default();
    let settings = ExpectSettings::default();
    let mut news = |cronjob: &CronJobSeen<'_>, now: &str| {
        look(
            &mut ledger,
            KEY,
            cronjob,
            vec![],
            at("00:00:00"),
            &settings,
            at(now),
        )
        .news
    };
    assert!(!news(&hourly(), "03:59:00"));
    let other = CronJobSeen {
        schedule: "30 * * * *",
        ..hourly()
    };
    assert!(
        !news(&other, "04:50:00"),
        "04:00 was due by the old one, 04:30 by the new one"
    );
    assert!(news(&other, "05:31:00"));
}

#[test]
fn the_api_servers_words_replace_only_what_nothing_explained() {
    let mut ledger = Ledger::default();
    let now = at("05:01:00");
    let missed = LedgerRun::without_job(at("05:00:00"), RunResult::Missed, "NotCreated", "?");
    let held = LedgerRun::without_job(at("04:00:00"), RunResult::Skipped, "Held", "held");
    let keys = [missed.key, held.key, RunKey::Due(at("03:00:00"))];
    ledger.upsert(KEY, missed, now);
    ledger.upsert(KEY, held, now);
    assert!(explain(&mut ledger, KEY, &keys, "exceeded quota: q", now));
    assert!(!explain(&mut ledger, KEY, &keys, "exceeded quota: q", now));
    let words: Vec<_> = ledger
        .get(KEY)
        .unwrap()
        .runs()
        .map(|run| run.message.clone())
        .collect();
    assert_eq!(
        words,
        ["held", "the API server refuses its Job: exceeded quota: q"]
    );
}

#[test]
fn a_hub_is_told_everything_once_and_the_newest_few_when_it_remembers_nothing() {
    let mut ledger = Ledger::default();
    for key in 0..20 {
        for minute in 0..30 {
            ledger.upsert(
                KeyHash([key; 16]),
                run(secs(60 * minute), 1, RunResult::Succeeded),
                secs(0),
            );
        }
    }
    let tell = |ledger: &Ledger, mut feed: Feed| {
        let mut told = Vec::new();
        while let Some((batch, next)) = feed.next(ledger) {
            assert!(batch.runs.len() <= RUNS_CHUNK && batch.upto > 0);
            told.extend(batch.runs);
            feed = next;
        }
        assert!(!feed.has_news(ledger));
        (told, feed)
    };
    let (told, feed) = tell(&ledger, Feed::new(&ledger, 0));
    assert_eq!(told.len(), 20 * FIRST_RUNS);
    assert!(
        told.iter()
            .all(|told| told.run.scheduled >= secs(60 * 22) && told.run.job_uid.is_none())
    );
    // What changes later is told, however old it is.
    let old = LedgerRun {
        exit_code: Some(1),
        ..run(secs(60), 1, RunResult::Succeeded)
    };
    let exited = LedgerRun {
        exit_code: Some(0),
        ..run(secs(120), 1, RunResult::Succeeded)
    };
    assert!(ledger.upsert(KEY, exited, secs(1)));
    assert!(ledger.upsert(KeyHash([3; 16]), old, secs(1)));
    assert_eq!(tell(&ledger, feed).0.len(), 2);
    let seq = ledger.last_seq();
    assert_eq!(
        Feed::new(&ledger, seq).next(&ledger),
        None,
        "a hub that remembers all is told nothing"
    );
}

#[test]
fn what_a_hub_keeps_is_what_it_was_told() {
    let name = CronJobName::new("visits").unwrap();
    let due = at("03:00:00");
    let usual = format!("visits-{}", due.as_second() / 60);
    let plain = LedgerRun {
        job_uid: None,
        job: usual,
        ..run(due, 1, RunResult::Succeeded)
    };
    let mut texts = Texts::default();
    for run in [
        plain.clone(),
        LedgerRun::without_job(due, RunResult::Missed, "NotCreated", "words"),
        LedgerRun {
            key: RunKey::Id(RunId([1; 8])),
            kind: RunKind::Proof,
            job: "visits-p-1".into(),
            exit_code: Some(-1),
            attempts: 7,
            finished: Some(at("04:00:00")),
            revision: Some(Revision([9; 8])),
            ..plain.clone()
        },
        LedgerRun {
            job: String::new(),
            ..plain.clone()
        },
    ] {
        for known in [Some(&name), None] {
            let kept = KeptRun::new(&run, known, |words| texts.share(words));
            assert_eq!(kept.run(&name), run);
        }
    }
    assert!(std::mem::size_of::<KeptRun>() <= 64);
    let mut cluster = ClusterRuns::default();
    let mut batch = |runs: Vec<LedgerRun>| {
        let runs = runs
            .into_iter()
            .map(|run| ToldRun { key: KEY, run })
            .collect();
        let batch = RunBatch {
            upto: 5,
            dropped: 1,
            runs,
        };
        cluster
            .take(batch, &mut texts, |_| Some(name.clone()))
            .len()
    };
    assert_eq!(
        (batch(vec![plain.clone()]), batch(vec![plain])),
        (1, 0),
        "told twice is one run"
    );
    batch(
        (0..20)
            .map(|minute| run(secs(60 * minute), 1, RunResult::Failed))
            .collect(),
    );
    assert_eq!(
        (cluster.of(KEY).len(), cluster.told, cluster.dropped),
        (KEPT_RUNS, 5, 1)
    );
    cluster.retain(|_| false);
    assert!(cluster.is_empty());
}

fn any_run() -> impl Strategy<Value = (u8, LedgerRun)> {
    let results = prop::sample::select(vec![
        RunResult::Running,
        RunResult::Succeeded,
        RunResult::Failed,
        RunResult::Missed,
        RunResult::Skipped,
        RunResult::Stuck,
        RunResult::Unknown,
    ]);
    (0..2u8, 0..60i64, results, any::<bool>()).prop_map(|(key, minute, result, ordered)| {
        let due = secs(60 * minute);
        let mut run = if matches!(result, RunResult::Missed | RunResult::Skipped) {
            LedgerRun::without_job(due, result, "x", "words")
        } else {
            run(due, u8::try_from(minute).unwrap(), result)
        };
        if ordered {
            run.key = RunKey::Id(RunId::of(&minute.to_be_bytes()));
            run.kind = RunKind::Manual;
        }
        (key, run)
    })
}

proptest! {
    #[test]
    fn one_run_one_record_bounded_counted_and_numbered(
        runs in prop::collection::vec(any_run(), 0..300),
        clock in prop::collection::vec(0..100i64, 300),
        keep in 0..50usize,
    ) {
        let mut ledger = Ledger::default();
        let mut seen_ever: std::collections::BTreeSet<(u8, RunKey)> = std::collections::BTreeSet::new();
        let mut ended: std::collections::BTreeMap<(u8, RunKey), RunResult> = std::collections::BTreeMap::new();
        for ((key, run), now) in runs.iter().zip(&clock) {
            let before = ledger.last_seq();
            let id = KeyHash([*key; 16]);
            let below = ledger.get(id).is_some_and(|runs| runs.is_below_floor(run.scheduled) && runs.get(run.key).is_none());
            if !below {
                seen_ever.insert((*key, run.key));
            }
            let news = ledger.upsert(id, run.clone(), secs(*now));
            prop_assert_eq!(news, ledger.last_seq() > before, "a change has a number of its own");
            prop_assert!(!ledger.upsert(id, run.clone(), secs(*now)), "told twice is no news");
            if let Some(kept) = ledger.get(id).and_then(|runs| runs.get(run.key)) {
                if matches!(kept.result, RunResult::Succeeded | RunResult::Failed) {
                    ended.insert((*key, run.key), kept.result);
                } else {
                    prop_assert!(!ended.contains_key(&(*key, run.key)), "what ended has ended");
                }
            }
        }
        let mut seqs = std::collections::BTreeSet::new();
        for (id, runs) in ledger.segments() {
            let keys: std::collections::BTreeSet<_> = runs.runs().map(|run| run.key).collect();
            prop_assert_eq!(keys.len(), runs.runs().count(), "one run, one record");
            prop_assert!(keys.len() <= MAX_RUNS);
            let seen = seen_ever.iter().filter(|(key, _)| KeyHash([*key; 16]) == *id).count();
            prop_assert_eq!(keys.len() as u64 + runs.dropped(), seen as u64, "what is dropped is counted");
            prop_assert!(runs.runs().map(LedgerRun::place).is_sorted());
            for numbered in &runs.runs {
                prop_assert!(seqs.insert(numbered.seq), "numbers are unique");
            }
            let mut small = runs.clone();
            small.shrink(keep);
            prop_assert_eq!(small.runs().count(), runs.runs().count().min(keep.max(LEAST_RUNS)));
            prop_assert_eq!(small.runs().count() as u64 + small.dropped(), seen as u64);
            let text = serde_json::to_string(runs).unwrap();
            prop_assert_eq!(&serde_json::from_str::<SegmentRuns>(&text).unwrap(), runs);
        }
        let again = Ledger::new(ledger.segments().clone());
        prop_assert_eq!(again.segments(), ledger.segments());
        prop_assert!(again.last_seq() <= ledger.last_seq());
    }
}
