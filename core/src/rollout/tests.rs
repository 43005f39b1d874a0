//! Tables of the rollout's step: one row for each thing that a strategy can say.

use super::*;
use crate::segment::schedule::time_zone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use segment_crds::Rollout;
use segment_crds::rollout::{Approval, Gate as GateSpec, GateRun, OnFailure, Wave as WaveSpec};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn members(standings: &[(usize, Standing)]) -> Vec<Member<usize>> {
    standings
        .iter()
        .enumerate()
        .map(|(cluster, &(wave, standing))| Member {
            cluster,
            standing,
            wave,
            proven: false,
            failed_before: false,
            opening: Opening::Open,
            counted: false,
        })
        .collect()
}

fn one_wave(standings: &[Standing]) -> Vec<Member<usize>> {
    members(&standings.iter().map(|s| (0, *s)).collect::<Vec<_>>())
}

struct Case {
    strategy: Strategy,
    progress: Progressed,
    stored: bool,
    completed: bool,
    cap: usize,
    now: i64,
}

impl Case {
    fn new(rollout: &Rollout) -> Self {
        Self {
            strategy: Strategy::parse(Some(rollout)).unwrap(),
            progress: Progressed::default(),
            stored: true,
            completed: false,
            cap: 1_000,
            now: 1_000,
        }
    }

    fn decide(&self, members: &[Member<usize>]) -> Decision<usize> {
        rollout(
            members,
            &Facts {
                strategy: &self.strategy,
                progress: &self.progress,
                stored: self.stored,
                completed: self.completed,
                paused: false,
                cap: self.cap,
                deadline: SignedDuration::from_secs(600),
                now: at(self.now),
            },
        )
    }
}

fn waves(waves: &[WaveSpec]) -> Rollout {
    Rollout {
        waves: waves.to_vec(),
        ..Rollout::default()
    }
}

fn canary() -> WaveSpec {
    WaveSpec {
        name: "canary".into(),
        max_concurrent: Some(IntOrString::String("100%".into())),
        ..WaveSpec::default()
    }
}

#[test]
fn a_quarter_of_the_clusters_is_in_change_at_once_rounded_up() {
    use Standing::{Away, Confirmed, Failed, Released, Unheard, Waiting, Withheld};
    let check = |standings: &[Standing], release: &[usize], progress, why: &str| {
        let decision = Case::new(&Rollout::default()).decide(&one_wave(standings));
        assert_eq!(
            (decision.release.as_slice(), decision.progress),
            (release, progress),
            "{why}"
        );
    };
    check(&[Waiting; 3], &[0], Progress::Progressing, "one of three");
    check(&[Waiting; 5], &[0, 1], Progress::Progressing, "two of five");
    check(
        &[Released(at(990)), Waiting, Waiting],
        &[],
        Progress::Progressing,
        "the budget is used",
    );
    check(
        &[Confirmed, Waiting, Waiting],
        &[1],
        Progress::Progressing,
        "confirmed frees the budget",
    );
    check(
        &[Confirmed, Confirmed, Away],
        &[],
        Progress::Completed,
        "an absent one does not block",
    );
    check(
        &[Unheard, Waiting, Waiting],
        &[],
        Progress::Progressing,
        "after a start the unheard count",
    );
    check(
        &[Failed, Waiting, Waiting],
        &[],
        Progress::Halted,
        "the first failure stops it",
    );
    check(
        &[Released(at(400)), Waiting],
        &[],
        Progress::Halted,
        "silence past the deadline is a failure",
    );
    check(
        &[Withheld, Waiting],
        &[1],
        Progress::Progressing,
        "what can't be released does not block",
    );
    check(&[], &[], Progress::Completed, "nobody is selected");
}

#[test]
fn amounts_round_as_kubernetes_rounds_surge_and_unavailable() {
    for (amount, all, up, down) in [
        (Amount::Percent(25), 5, 2, 1),
        (Amount::Percent(25), 3, 1, 0),
        (Amount::Percent(0), 10, 1, 0),
        (Amount::Count(0), 10, 1, 0),
        (Amount::Count(3), 2, 3, 3),
        (Amount::Percent(100), 7, 7, 7),
        (Amount::Percent(10), 0, 1, 0),
    ] {
        assert_eq!((amount.at_least_one(all), amount.at_most(all)), (up, down));
    }
}

#[test]
fn a_fix_goes_first_to_those_that_failed_whatever_their_wave() {
    let mut all = members(&[
        (0, Standing::Waiting),
        (1, Standing::Waiting),
        (1, Standing::Waiting),
    ]);
    all[2].failed_before = true;
    let decision = Case::new(&waves(&[canary()])).decide(&all);
    assert_eq!(decision.release, [2, 0]);
    assert_eq!(decision.look_again, Some(at(1_600)));
}

#[test]
fn a_wave_opens_once_the_one_before_is_done_stored_soaked_and_approved() {
    use Standing::{Confirmed, Released, Waiting};
    let mut case = Case::new(&waves(&[WaveSpec {
        soak_seconds: Some(60),
        approval: Some(Approval::After),
        ..canary()
    }]));
    let done = members(&[(0, Confirmed), (1, Waiting)]);
    let open = members(&[(0, Released(at(990))), (1, Waiting)]);
    let decision = case.decide(&open);
    assert_eq!((decision.done, decision.release), (None, vec![]));
    let decision = case.decide(&done);
    assert_eq!(
        (decision.done.as_deref(), decision.release.len()),
        (Some("canary"), 0),
        "its end is to be recorded first"
    );
    case.progress.done.insert("canary".into(), at(1_000));
    let decision = case.decide(&done);
    assert_eq!(decision.waves[0].waits, Some(Waits::Soak(at(1_060))));
    assert_eq!(decision.look_again, Some(at(1_060)));
    case.now = 1_060;
    let decision = case.decide(&done);
    assert_eq!(
        decision.waves[0].waits,
        Some(Waits::Approval("after/canary".into()))
    );
    case.progress
        .approved
        .insert("after/canary".into(), By::default());
    case.stored = false;
    assert!(
        case.decide(&done).release.is_empty(),
        "the approval is not stored"
    );
    case.stored = true;
    assert_eq!(case.decide(&done).release, [1]);
    assert_eq!(
        case.decide(&members(&[(0, Waiting), (1, Waiting)])).release,
        [0, 1],
        "who joins a wave that is done does not close the next"
    );
}

#[test]
fn an_approval_before_a_wave_is_waited_for_and_an_empty_wave_waits_for_nothing() {
    let mut case = Case::new(&waves(&[WaveSpec {
        approval: Some(Approval::Before),
        ..canary()
    }]));
    let decision = case.decide(&members(&[(0, Standing::Waiting), (1, Standing::Waiting)]));
    assert_eq!(
        (decision.release.len(), &decision.waves[0].waits),
        (0, &Some(Waits::Approval("before/canary".into())))
    );
    assert_eq!(
        case.decide(&members(&[(1, Standing::Waiting)])).release,
        [0]
    );
    case.progress
        .approved
        .insert("before/canary".into(), By::default());
    assert_eq!(
        case.decide(&members(&[(0, Standing::Waiting), (1, Standing::Waiting)]))
            .release,
        [0]
    );
}

#[test]
fn failures_are_counted_by_wave_and_in_all() {
    use Standing::{Confirmed, Failed, Waiting};
    let rollout = Rollout {
        max_failures: Some(IntOrString::Int(1)),
        waves: vec![WaveSpec {
            max_failures: Some(IntOrString::Int(2)),
            ..canary()
        }],
        ..Rollout::default()
    };
    let mut case = Case::new(&rollout);
    case.progress.done.insert("canary".into(), at(1));
    let some = members(&[(0, Failed), (0, Confirmed), (1, Waiting)]);
    assert_eq!(case.decide(&some).release, [2]);
    let decision = case.decide(&members(&[(0, Failed), (0, Failed), (1, Waiting)]));
    assert_eq!(
        decision
            .exceeded
            .map(|e| (e.wave, e.failed, e.may_fail, e.example)),
        Some((None, 2, 1, 0)),
        "in all"
    );
    let decision = case.decide(&members(&[(0, Failed), (1, Failed), (1, Failed)]));
    assert_eq!(
        decision.exceeded.map(|e| (e.wave, e.failed)),
        Some((Some(REST.to_owned()), 2))
    );
    case.completed = true;
    let decision = case.decide(&members(&[(0, Failed), (1, Failed), (1, Waiting)]));
    assert_eq!(
        (decision.exceeded, decision.release),
        (None, vec![2]),
        "a revision that everybody has had is not stopped any more"
    );
}

#[test]
fn a_retry_gives_what_failed_its_time_once_more() {
    let mut case = Case::new(&Rollout::default());
    let all = one_wave(&[Standing::Failed, Standing::Waiting]);
    assert_eq!(case.decide(&all).progress, Progress::Halted);
    case.progress.retried = Some(at(900));
    let decision = case.decide(&all);
    assert_eq!(
        (decision.progress, decision.look_again),
        (Progress::Progressing, Some(at(1_500)))
    );
    assert!(
        decision.release.is_empty(),
        "what is tried again is in change"
    );
    case.now = 1_500;
    assert_eq!(case.decide(&all).progress, Progress::Halted);
}

#[test]
fn a_halt_is_over_by_itself_only_where_all_are_well_and_nobody_waits() {
    use Standing::{Confirmed, Failed, Waiting};
    let mut case = Case::new(&Rollout::default());
    let halt = |kind| Halt {
        kind,
        cause: "one failed".into(),
        by: By::default(),
    };
    case.progress.halted = Some(halt(OnFailure::Pause));
    let progress = |case: &Case, standings: &[Standing]| case.decide(&one_wave(standings)).progress;
    assert_eq!(
        progress(&case, &[Confirmed, Confirmed]),
        Progress::Completed
    );
    assert_eq!(progress(&case, &[Confirmed, Waiting]), Progress::Halted);
    assert_eq!(progress(&case, &[Confirmed, Failed]), Progress::Halted);
    case.progress.halted = Some(halt(OnFailure::Abort));
    assert_eq!(progress(&case, &[Confirmed, Confirmed]), Progress::Halted);
}

#[test]
fn more_clusters_away_than_may_be_stop_it_without_failing_it() {
    use Standing::{Away, Confirmed, Waiting};
    let mut case = Case::new(&Rollout {
        unreachable: Some(segment_crds::rollout::Unreachable {
            max_percent: Some(25),
        }),
        ..Rollout::default()
    });
    let decision = case.decide(&one_wave(&[Away, Away, Waiting, Waiting]));
    assert_eq!(
        (decision.release.len(), decision.progress),
        (0, Progress::Progressing)
    );
    assert_eq!(
        decision.waves[0].waits,
        Some(Waits::Unreachable {
            away: 2,
            allowed: 1
        })
    );
    let decision = case.decide(&one_wave(&[Away, Confirmed, Waiting, Waiting]));
    assert_eq!(decision.release, [2]);
    case.completed = true;
    let decision = case.decide(&one_wave(&[Waiting, Confirmed, Confirmed, Confirmed]));
    assert_eq!(decision.release, [0], "caught up on its return");
}

#[test]
fn the_cap_of_the_fleet_holds_and_costs_nothing_for_who_is_in_change_already() {
    let mut case = Case::new(&Rollout {
        max_concurrent: Some(IntOrString::Int(10)),
        ..Rollout::default()
    });
    case.cap = 1;
    let mut all = one_wave(&[Standing::Waiting; 4]);
    all[3].counted = true;
    let decision = case.decide(&all);
    assert_eq!((decision.release, decision.capped), (vec![0, 3], true));
    assert_eq!(decision.waves[0].waits, Some(Waits::Cap));
    assert_eq!(decision.changing, [true, false, false, true]);
}

#[test]
fn a_gate_now_proves_before_it_releases_and_who_proved_goes() {
    let case = Case::new(&Rollout {
        gate: Some(GateSpec {
            run: Some(GateRun::Now),
            timeout_seconds: Some(100),
        }),
        max_concurrent: Some(IntOrString::Int(2)),
        ..Rollout::default()
    });
    let mut all = one_wave(&[Standing::Waiting; 3]);
    let decision = case.decide(&all);
    assert_eq!((decision.prove, decision.release), (vec![0, 1], vec![]));
    all[0].standing = Standing::Proving(at(1_100));
    all[1].proven = true;
    let decision = case.decide(&all);
    assert_eq!((decision.prove, decision.release), (vec![], vec![1]));
    all[0].standing = Standing::Proving(at(1_000));
    assert_eq!(
        case.decide(&all).progress,
        Progress::Halted,
        "a proof that does not end has failed"
    );
    let mut completed = case;
    completed.completed = true;
    assert_eq!(
        completed.decide(&one_wave(&[Standing::Waiting])).release,
        [0],
        "who joins later needs no proof"
    );
}

#[test]
fn what_waits_for_its_scheduled_run_is_not_in_change_but_its_wave_is_not_done() {
    let case = Case::new(&Rollout {
        gate: Some(GateSpec {
            run: Some(GateRun::NextSchedule),
            timeout_seconds: None,
        }),
        ..waves(&[canary()])
    });
    let decision = case.decide(&members(&[
        (0, Standing::Gated(at(9_000))),
        (0, Standing::Waiting),
        (1, Standing::Waiting),
    ]));
    assert_eq!((decision.release, decision.done), (vec![1], None));
}

#[test]
fn a_window_opens_by_the_wall_clock_of_its_zone_clock_changes_included() {
    let rollout: Rollout = serde_json::from_value(serde_json::json!({
        "windows": [
            {"start": "0 22 * * *", "durationSeconds": 3600, "timeZone": "Europe/Berlin"},
            {"start": "30 2 * * *", "durationSeconds": 7200, "timeZone": "Cluster"},
        ],
    }))
    .unwrap();
    let strategy = Strategy::parse(Some(&rollout)).unwrap();
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let opening = |zone: Option<&str>, now: &str| strategy.opening(zone, time(now));
    // Summer and winter time in Berlin.
    assert_eq!(opening(None, "2026-07-01T20:00:00Z"), Opening::Open);
    assert_eq!(
        opening(None, "2026-01-01T20:00:00Z"),
        Opening::Closed(Some(time("2026-01-01T21:00:00Z")))
    );
    assert_eq!(opening(None, "2026-01-01T21:59:59Z"), Opening::Open);
    assert_eq!(
        opening(None, "2026-01-01T22:00:00Z"),
        Opening::Closed(Some(time("2026-01-02T02:30:00Z")))
    );
    // Each cluster's own zone; the night in which 02:30 does not exist has no such window, as it has no such run.
    assert_eq!(
        opening(Some("Asia/Tokyo"), "2026-01-01T17:30:00Z"),
        Opening::Open
    );
    assert_eq!(
        opening(Some("Europe/Berlin"), "2026-03-29T01:00:00Z"),
        Opening::Closed(Some(time("2026-03-29T20:00:00Z")))
    );
    assert_eq!(
        opening(Some("Europe/Berlin"), "2026-03-30T00:30:00Z"),
        Opening::Open
    );
    assert!(time_zone("Europe/Berlin").is_ok());
}

#[test]
fn closed_windows_are_waited_for_and_soak_goes_on_meanwhile() {
    let case = Case::new(&Rollout::default());
    let mut all = one_wave(&[Standing::Waiting; 4]);
    for member in &mut all {
        member.opening = Opening::Closed(Some(at(5_000)));
    }
    all[2].opening = Opening::Open;
    let decision = case.decide(&all);
    assert_eq!(decision.release, [2]);
    assert_eq!(
        decision.waves[0].waits,
        Some(Waits::Window(Some(at(5_000))))
    );
}

#[test]
fn what_cannot_be_meant_is_named_with_its_place() {
    let wrong = serde_json::json!({
        "maxConcurrent": "120%",
        "maxFailures": -1,
        "waves": [
            {"name": "a", "maxConcurrent": "x"},
            {"name": "a", "clusterSelector": {"matchExpressions": [{"key": "e", "operator": "Like"}]}},
            {"name": "rest"},
        ],
        "windows": [
            {"start": "61 * * * *", "durationSeconds": 60},
            {"start": "@every 1h", "durationSeconds": 60, "timeZone": "Europe/Berlin"},
            {"start": "0 1 * * *", "durationSeconds": 60, "timeZone": "Mars/Olympus"},
        ],
    });
    let findings = Strategy::parse(Some(&serde_json::from_value(wrong).unwrap())).unwrap_err();
    let fields: Vec<&str> = findings.iter().map(|f| f.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.rollout.maxConcurrent",
            "spec.rollout.maxFailures",
            "spec.rollout.waves[0].maxConcurrent",
            "spec.rollout.waves[1].name",
            "spec.rollout.waves[1].clusterSelector.matchExpressions[0]",
            "spec.rollout.waves[2].name",
            "spec.rollout.windows[0].start",
            "spec.rollout.windows[1].start",
            "spec.rollout.windows[2].timeZone",
        ]
    );
}

#[test]
fn a_record_knows_what_makes_sense_now() {
    let key = "granary/demo".parse().unwrap();
    let uid = crate::ids::Uid([1; 16]);
    let mut ops = Operations::new(key, uid);
    let by = |reason: &str| By {
        who: "alice".into(),
        reason: reason.into(),
        at: at(5),
    };
    let none = std::collections::BTreeSet::new();
    let run =
        |ops: &mut Operations, command: Command| ops.command(&command, by("why"), &none, false);
    assert!(run(&mut ops, Command::Resume).is_err());
    assert!(run(&mut ops, Command::Release { spread: false }).is_err());
    assert!(run(&mut ops, Command::Pause).is_ok());
    assert!(run(&mut ops, Command::Pause).is_err(), "already");
    assert!(run(&mut ops, Command::Resume).is_ok());
    assert!(run(&mut ops, Command::Approve(None)).is_err());
    assert!(run(&mut ops, Command::Abort).is_ok());
    let halt = ops.rollout.halted.clone().unwrap();
    assert_eq!(
        (halt.kind, halt.cause.as_str()),
        (OnFailure::Abort, "aborted by alice \"why\"")
    );
    assert!(matches!(
        run(&mut ops, Command::Resume),
        Err(NotNow::Halted(_))
    ));
    assert!(run(&mut ops, Command::Retry).is_ok());
    assert_eq!(
        (
            ops.rollout.halted.clone(),
            ops.rollout.retried,
            ops.rollout.retries
        ),
        (None, Some(at(5)), 1)
    );
    let waiting = ["after/canary".to_owned()].into();
    let other = Command::Approve(Some("rest".into()));
    let refused = ops.command(&other, by(""), &waiting, false).unwrap_err();
    assert!(refused.to_string().contains("after/canary"), "{refused}");
    assert!(
        ops.command(
            &Command::Approve(Some("canary".into())),
            by(""),
            &waiting,
            false
        )
        .is_ok()
    );
    assert!(ops.rollout.approved.contains_key("after/canary"));
    assert!(
        ops.command(&Command::Pause, by(""), &none, true).is_err(),
        "a complete one has nothing to pause"
    );
}

#[test]
fn a_re_created_segment_inherits_its_hold_alone_and_a_record_is_of_one_revision() {
    let key: crate::ids::SegmentKey = "granary/demo".parse().unwrap();
    let mut ops = Operations::new(key, crate::ids::Uid([1; 16]));
    let (a, b) = (crate::ids::Revision([1; 8]), crate::ids::Revision([2; 8]));
    assert!(!ops.aim(a, at(1)), "nothing was there");
    ops.rollout.done.insert("canary".into(), at(2));
    ops.hold = Some(Held {
        until: Some(at(50)),
        released: None,
        by: By::default(),
    });
    assert!(!ops.aim(a, at(3)));
    assert!(ops.aim(b, at(4)), "what was there of another is gone");
    assert_eq!(ops.rollout.done.len(), 0);
    ops.go_back(b, a, By::default(), "bad".into());
    assert_eq!((ops.order, ops.undo_of(b).map(|u| u.to)), (1, Some(a)));
    assert!(ops.undo_of(a).is_none(), "over once the spec is another");
    let stored = serde_json::to_string(&ops).unwrap();
    assert_eq!(serde_json::from_str::<Operations>(&stored).unwrap(), ops);
    ops.inherit(crate::ids::Uid([2; 16]));
    assert_eq!(
        (
            ops.order,
            ops.undo.is_none(),
            ops.held(at(49)).is_some(),
            ops.held(at(50)).is_some()
        ),
        (0, true, true, false)
    );
}
