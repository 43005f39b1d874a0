//! The plan against a small API server: it keeps one CronJob per place and answers as the real one was measured to.

#![allow(clippy::too_many_lines, reason = "tables are read as a whole")]

use super::*;
use crate::admit::Refusal;
use crate::assignment::Owner;
use crate::assignment::{
    Assignment, ConcurrencyPolicy, Controls, Hold, Modes, OrderNumber, PodSecurity, PullPolicy,
    Removal, RemovalPolicy, Rendered, RestartPolicy, RunningJobs, Template,
};
use crate::ids::{CronJobName, HubId, Namespace, Revision, SegmentKey, Uid};
use crate::names;
use jiff::Timestamp;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const NOW: &str = "2026-01-02T03:30:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn template() -> Template {
    Template {
        namespace: Namespace::new("granary").unwrap(),
        name: CronJobName::new("a").unwrap(),
        schedule: "0 3 * * *".to_owned(),
        time_zone: None,
        suspend: false,
        concurrency_policy: ConcurrencyPolicy::Allow,
        starting_deadline_seconds: None,
        failed_jobs_history_limit: 1,
        successful_jobs_history_limit: 1,
        backoff_limit: None,
        active_deadline_seconds: None,
        ttl_seconds_after_finished: None,
        image: "registry/segment:1".to_owned(),
        image_pull_policy: PullPolicy::IfNotPresent,
        image_pull_secrets: Vec::new(),
        restart_policy: RestartPolicy::OnFailure,
        service_account_name: None,
        node_selector: BTreeMap::new(),
        tolerations: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        requests: BTreeMap::new(),
        limits: BTreeMap::new(),
        env: BTreeMap::new(),
        secret_env: BTreeMap::new(),
        pod_security: PodSecurity::Baseline,
    }
}

fn entry(change: impl FnOnce(&mut Template)) -> Entry {
    let mut template = template();
    change(&mut template);
    Entry {
        assignment: Assignment {
            key: SegmentKey::new("granary", "a").unwrap(),
            uid: Uid([1; 16]),
            number: OrderNumber {
                generation: 1,
                order: 0,
            },
            revision: Revision([1; 8]),
            rendered: Rendered::new(template).unwrap(),
            modes: Modes::default(),
        },
        controls: Controls::default(),
        removing: None,
    }
}

fn removing(policy: RemovalPolicy, running_jobs: RunningJobs) -> Entry {
    Entry {
        removing: Some(Removal {
            policy,
            running_jobs,
        }),
        ..entry(|_| {})
    }
}

/// An API server with CronJobs, and the agent's shell around the plan.
struct World {
    objects: BTreeMap<Place, Value>,
    record: Record,
    jobs: u32,
    now: Timestamp,
    verdict: Result<(), Refusal>,
    held_namespace: Result<(), Refusal>,
    /// What the policy makes of the order's mode.
    adoption: Adoption,
    /// Seconds that the agent's clock is behind the server's.
    lag: i64,
    create_error: Option<&'static str>,
    stray: Option<Place>,
    waiting_since: Option<Timestamp>,
    suspension: Option<Suspension>,
    runs_over: BTreeSet<String>,
    version: u64,
    /// What was written, in words.
    log: Vec<String>,
    dry_runs: u32,
}

impl World {
    fn new() -> Self {
        Self {
            objects: BTreeMap::new(),
            record: Record::default(),
            jobs: 0,
            now: at(NOW),
            verdict: Ok(()),
            held_namespace: Ok(()),
            adoption: Adoption::IfSame,
            lag: 0,
            create_error: None,
            stray: None,
            waiting_since: None,
            suspension: None,
            runs_over: BTreeSet::new(),
            version: 100,
            log: Vec::new(),
            dry_runs: 0,
        }
    }

    /// A cluster on which this entry is applied already; nothing in the log.
    fn with(entry: &Entry) -> Self {
        let mut world = Self::new();
        assert_eq!(
            world.run(entry).map(|outcome| outcome.state),
            Some(State::Applied)
        );
        assert_eq!(world.take_log(), ["create"]);
        world.dry_runs = 0;
        world.now = at("2026-01-02T12:00:00Z");
        world
    }

    fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    fn object(&mut self) -> &mut Value {
        self.objects.values_mut().next().unwrap()
    }

    /// Someone changes the live object.
    fn edit(&mut self, manager: &str, change: impl FnOnce(&mut Value)) {
        self.version += 1;
        let (version, now) = (self.version, self.now);
        let object = self.object();
        change(object);
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        object["metadata"]["managedFields"] = json!([
            {"manager": "segment-agent", "time": "2026-01-01T00:00:00Z"},
            {"manager": "kube-controller-manager", "time": "2027-01-01T00:00:00Z", "subresource": "status"},
            {"manager": manager, "time": now.to_string()},
        ]);
    }

    fn defaulted(body: &Value) -> Value {
        let mut object = body.clone();
        let spec = object["spec"].as_object_mut().unwrap();
        spec.entry("suspend").or_insert(json!(false));
        let pod = &mut object["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        pod["dnsPolicy"] = json!("ClusterFirst");
        pod["schedulerName"] = json!("default-scheduler");
        object
    }

    fn store(&mut self, place: &Place, body: &Value) -> Value {
        self.version += 1;
        let mut object = Self::defaulted(body);
        let old = self.objects.get(place);
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        object["metadata"]["uid"] = match old {
            Some(old) => old["metadata"]["uid"].clone(),
            None => json!(Uid([u8::try_from(self.version).unwrap(); 16]).to_string()),
        };
        object["metadata"]["creationTimestamp"] = match old {
            Some(old) => old["metadata"]["creationTimestamp"].clone(),
            None => json!(self.now.to_string()),
        };
        if let Some(old) = old.filter(|_| object["status"].is_null()) {
            object["status"] = old["status"].clone();
        }
        self.objects.insert(place.clone(), object.clone());
        object
    }

    /// Runs the plan to its end; `None` once the entry is removed.
    fn run(&mut self, entry: &Entry) -> Option<Outcome> {
        self.run_until(entry, 20).expect("the plan ends")
    }

    /// Another place than the entry's where a CronJob carries its marks, as the observer shows it.
    fn other_place(&self, entry: &Entry) -> Option<Place> {
        let key = entry.assignment.key.to_string();
        let ours = |object: &Value| {
            let annotations = &object["metadata"]["annotations"];
            annotations[names::ANNOTATION_SEGMENT] == json!(key)
        };
        let target = target(entry);
        let mut others = self
            .objects
            .iter()
            .filter(|(place, object)| **place != target && ours(object));
        others.next().map(|(place, _)| place.clone())
    }

    /// Runs at most so many steps of the plan: the process dies before the next one (`Err`).
    fn run_until(&mut self, entry: &Entry, steps: usize) -> Result<Option<Outcome>, ()> {
        let owner = Owner {
            hub: HubId::new("hub-00000001").unwrap(),
        };
        let agents_now = self.now - jiff::SignedDuration::from_secs(self.lag);
        let mut facts = Facts {
            now: agents_now,
            stray: self.stray.clone().or_else(|| self.other_place(entry)),
            waiting_since: self.waiting_since,
            suspension: self.suspension.clone(),
            runs_over: Arc::new(self.runs_over.clone()),
            ..Facts::default()
        };
        for _ in 0..steps {
            let order = Order {
                entry,
                owner: &owner,
                verdict: self.verdict.clone(),
                adoption: self.adoption,
                room: Ok(()),
                held_namespace: self.held_namespace.clone(),
            };
            match plan(&order, &self.record, &facts, &Settings::default()) {
                Step::Done(outcome) => {
                    self.waiting_since = self
                        .waiting_since
                        .or(Some(agents_now))
                        .filter(|_| outcome.waits_for_run);
                    return Ok(Some(outcome));
                }
                Step::Removed => return Ok(None),
                Step::Note(record) => self.record = *record,
                Step::Read(place) => {
                    let look = match self.objects.get(&place) {
                        Some(object) => Look::Seen(Box::new(
                            Live::read(object.clone(), Some(self.now)).unwrap(),
                        )),
                        None => Look::Absent { read: true },
                    };
                    facts.looks.insert(place, look);
                }
                Step::Compare { place, body } => {
                    self.dry_runs += 1;
                    let resource_version = self.objects[&place]["metadata"]["resourceVersion"]
                        .as_str()
                        .unwrap()
                        .to_owned();
                    assert_eq!(
                        body["metadata"]["resourceVersion"].as_str(),
                        Some(resource_version.as_str())
                    );
                    facts.dry_run = Some(DryRun {
                        resource_version,
                        answer: Some(Self::defaulted(&body)),
                    });
                }
                Step::Create {
                    place,
                    body,
                    wrote,
                    dry_run,
                    moves_from,
                } => {
                    assert!(!self.objects.contains_key(&place));
                    if let Some(error) = self.create_error {
                        facts.create_failed = Some(("Forbidden".to_owned(), error.to_owned()));
                        continue;
                    }
                    if dry_run {
                        facts.create_would_succeed = true;
                        continue;
                    }
                    self.log.push("create".to_owned());
                    let live = Live::read(self.store(&place, &body), Some(self.now)).unwrap();
                    self.record.after_create(&live, wrote, &body, moves_from);
                    facts.looks.insert(place, Look::Seen(Box::new(live)));
                }
                Step::Put {
                    place,
                    body,
                    wrote,
                    status_first,
                    why,
                } => {
                    let Look::Seen(before) = facts.look(&place).clone() else {
                        panic!("a replacement of nothing")
                    };
                    let stored = self.objects[&place]["metadata"].clone();
                    for key in ["uid", "resourceVersion"] {
                        assert_eq!(
                            body["metadata"][key], stored[key],
                            "{key} is a precondition"
                        );
                    }
                    if let Some(status) = status_first {
                        let time = status["status"]["lastScheduleTime"].as_str().unwrap();
                        self.log.push(format!("status {time}"));
                        self.objects.get_mut(&place).unwrap()["status"] = status["status"].clone();
                    }
                    self.log.push(format!("put {why:?}"));
                    let live = Live::read(self.store(&place, &body), Some(self.now)).unwrap();
                    self.record
                        .after_put(why, &live, wrote, &body, Some(&before), agents_now);
                    facts.looks.insert(place, Look::Seen(Box::new(live)));
                }
                Step::Delete {
                    place,
                    uid,
                    resource_version,
                } => {
                    let object = self.objects.remove(&place).unwrap();
                    assert_eq!(
                        object["metadata"]["uid"].as_str(),
                        Some(uid.to_string().as_str())
                    );
                    assert_eq!(
                        object["metadata"]["resourceVersion"].as_str(),
                        Some(resource_version.as_str())
                    );
                    self.log.push("delete".to_owned());
                    facts.looks.remove(&place);
                }
                Step::CountJobs { uid, .. } => {
                    facts.unfinished_jobs.insert(uid, self.jobs);
                }
            }
        }
        Err(())
    }

    fn state(&mut self, entry: &Entry) -> (State, String) {
        self.run(entry)
            .map_or((State::Removed, String::new()), |outcome| {
                (outcome.state, outcome.reason)
            })
    }

    fn after(&mut self, seconds: i64) {
        self.now += jiff::SignedDuration::from_secs(seconds);
    }
}

fn applied() -> (State, String) {
    (State::Applied, String::new())
}

#[test]
fn an_unchanged_cronjob_is_not_written_whether_the_record_is_there_or_lost() {
    let entry = entry(|_| {});
    let mut world = World::with(&entry);
    assert_eq!(world.state(&entry), applied());
    assert_eq!((world.take_log(), world.dry_runs), (vec![], 0));
    world.record = Record::default();
    assert_eq!(world.state(&entry), applied());
    assert_eq!(
        (world.take_log(), world.dry_runs),
        (vec![], 1),
        "one dry-run finds the reference again"
    );
    assert_eq!(world.state(&entry), applied());
    assert_eq!(world.dry_runs, 1);
}

#[test]
fn a_change_of_the_order_is_one_put_and_foreign_marks_stay() {
    let mut world = World::with(&entry(|template| {
        template.labels.insert("team".to_owned(), "blue".to_owned());
    }));
    world.edit("kubectl", |object| {
        object["metadata"]["labels"]["foreign"] = json!("yes");
        object["metadata"]["finalizers"] = json!(["example.org/f"]);
    });
    assert_eq!(
        world.state(&entry(
            |template| template.image = "registry/segment:2".to_owned()
        )),
        applied()
    );
    assert_eq!(world.take_log(), ["put Update"]);
    let metadata = world.object()["metadata"].clone();
    assert_eq!(metadata["labels"]["foreign"], json!("yes"));
    assert_eq!(metadata["finalizers"], json!(["example.org/f"]));
}

#[test]
fn an_edit_by_hand_is_healed_whole_and_counted_with_the_managers_name() {
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit, &[&str]); 5] = [
        (
            "suspend",
            |o| o["spec"]["suspend"] = json!(true),
            &["status 2026-01-02T12:00:00Z", "put Drift"],
        ),
        (
            "schedule",
            |o| o["spec"]["schedule"] = json!("5 * * * *"),
            &["status 2026-01-02T12:00:00Z", "put Drift"],
        ),
        (
            "hostPath",
            |o| {
                o["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"] =
                    json!([{"name": "h", "hostPath": {"path": "/"}}]);
            },
            &["put Drift"],
        ),
        (
            "our label",
            |o| o["metadata"]["labels"] = json!({}),
            &["put Drift"],
        ),
        (
            "our annotations",
            |o| o["metadata"]["annotations"] = json!({}),
            &["put Drift"],
        ),
    ];
    for (what, edit, log) in edits {
        let entry = entry(|_| {});
        let mut world = World::with(&entry);
        let before = digest(world.object());
        world.edit("kubectl-edit", edit);
        assert_eq!(world.state(&entry), applied(), "{what}");
        assert_eq!(world.take_log(), log, "{what}");
        assert_eq!(digest(world.object()), before, "{what}");
        assert_eq!(
            (world.record.corrections, world.record.drifted_by.as_str()),
            (1, "kubectl-edit"),
            "{what}"
        );
        assert_eq!(world.state(&entry), applied(), "{what}");
        assert_eq!(
            world.take_log(),
            [""; 0],
            "{what}: a healed CronJob causes no further write"
        );
    }
}

#[test]
fn a_foreign_annotation_or_a_new_default_is_no_drift() {
    let entry = entry(|_| {});
    let mut world = World::with(&entry);
    world.edit("kubectl", |object| {
        object["metadata"]["annotations"]["foreign"] = json!("yes");
    });
    assert_eq!(world.state(&entry), applied());
    assert_eq!(
        (world.take_log(), world.dry_runs, world.record.corrections),
        (vec![], 1, 0)
    );
}

#[test]
fn a_deleted_cronjob_is_made_again() {
    let entry = entry(|_| {});
    let mut world = World::with(&entry);
    world.objects.clear();
    assert_eq!(world.state(&entry), applied());
    assert_eq!(world.take_log(), ["create"]);
}

#[test]
fn a_change_of_schedule_zone_or_suspend_starts_no_past_run() {
    type Change = fn(&mut Template);
    let rows: [(&str, Change, bool); 5] = [
        ("schedule", |t| t.schedule = "5 3 * * *".to_owned(), true),
        (
            "zone",
            |t| t.time_zone = Some("Europe/Berlin".to_owned()),
            true,
        ),
        ("deadline", |t| t.starting_deadline_seconds = Some(5), true),
        ("suspended: starts nothing", |t| t.suspend = true, false),
        (
            "image",
            |t| t.image = "registry/segment:2".to_owned(),
            false,
        ),
    ];
    for (what, change, status) in rows {
        let mut world = World::with(&entry(|_| {}));
        assert_eq!(world.state(&entry(change)).0, State::Applied, "{what}");
        let expected = if status {
            vec!["status 2026-01-02T12:00:00Z", "put Update"]
        } else {
            vec!["put Update"]
        };
        assert_eq!(world.take_log(), expected, "{what}");
    }
    let mut world = World::with(&entry(|template| template.suspend = true));
    assert_eq!(world.state(&entry(|_| {})), applied());
    assert_eq!(
        world.take_log(),
        ["status 2026-01-02T12:00:00Z", "put Update"],
        "an unsuspend"
    );
}

#[test]
fn a_run_that_is_due_by_the_old_schedule_is_waited_for_a_minute_at_most() {
    let changed = entry(|template| template.schedule = "0 4 * * *".to_owned());
    for (now, last, waits, why) in [
        (
            "2026-01-03T02:59:55Z",
            "2026-01-02T03:00:00Z",
            true,
            "due in five seconds",
        ),
        (
            "2026-01-03T03:00:05Z",
            "2026-01-02T03:00:00Z",
            true,
            "due five seconds ago and not started",
        ),
        (
            "2026-01-03T03:00:05Z",
            "2026-01-03T03:00:00Z",
            false,
            "due and started",
        ),
        (
            "2026-01-03T03:00:15Z",
            "2026-01-02T03:00:00Z",
            false,
            "long due: it will not start by itself now",
        ),
        (
            "2026-01-03T02:59:45Z",
            "2026-01-02T03:00:00Z",
            false,
            "not due yet",
        ),
    ] {
        let mut world = World::with(&entry(|_| {}));
        world.edit("controller", |object| {
            object["status"] = json!({"lastScheduleTime": last});
        });
        world.now = at(now);
        let outcome = world.run(&changed).unwrap();
        assert_eq!(outcome.waits_for_run, waits, "{why}");
        assert_eq!(world.take_log().is_empty(), waits, "{why}");
    }
    let mut world = World::with(&entry(|_| {}));
    world.edit("kubectl", |object| {
        object["spec"]["schedule"] = json!("@every 1s");
    });
    assert_eq!(world.state(&changed).1, "WaitsForRun");
    world.after(59);
    assert_eq!(world.state(&changed).1, "WaitsForRun");
    world.after(1);
    assert_eq!(world.state(&changed), applied());
}

#[test]
fn someone_who_keeps_changing_it_is_named_and_answered_once_a_minute() {
    for lag in [0, 5, -5] {
        keeps_changing(lag);
    }
}

fn keeps_changing(lag: i64) {
    let entry = entry(|_| {});
    let mut world = World::with(&entry);
    world.lag = lag;
    for n in 0..5 {
        world.edit("fighter", |object| {
            object["spec"]["failedJobsHistoryLimit"] = json!(n + 7);
        });
        world.run(&entry).unwrap();
        world.after(1);
    }
    assert_eq!(world.take_log().len(), 5);
    world.edit("fighter", |object| {
        object["spec"]["failedJobsHistoryLimit"] = json!(99);
    });
    let outcome = world.run(&entry).unwrap();
    assert_eq!(
        (outcome.state, outcome.again),
        (State::Contested, Some(Duration::from_secs(59))),
        "the agent's clock is {lag} s behind"
    );
    assert!(
        outcome.message.starts_with("fighter keeps changing"),
        "{}",
        outcome.message
    );
    assert_eq!(world.take_log(), [""; 0]);
    world.after(59);
    assert_eq!(
        world.run(&entry).unwrap().state,
        State::Contested,
        "corrected, and still contested"
    );
    assert_eq!(world.take_log(), ["put Drift"]);
    world.after(600);
    assert_eq!(world.state(&entry), applied(), "peace for ten minutes");
}

#[test]
fn what_is_not_ours_is_left_alone_unless_it_is_the_same() {
    let entry = entry(|_| {});
    let foreign = |change: fn(&mut Value)| {
        let mut world = World::with(&entry);
        world.record = Record::default();
        world.edit("helm", |object| {
            object["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "granary"});
            object["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
            let pod = &mut object["spec"]["jobTemplate"]["spec"]["template"]["spec"];
            pod.as_object_mut()
                .unwrap()
                .remove("automountServiceAccountToken");
            pod["securityContext"] = json!({});
            change(object);
        });
        world
    };
    let mut same = foreign(|_| {});
    assert_eq!(same.state(&entry), applied());
    assert_eq!(same.take_log(), ["put Adopt"]);
    assert_eq!(
        same.object()["metadata"]["annotations"]["meta.helm.sh/release-name"],
        json!("granary")
    );

    let mut other = foreign(|object| object["spec"]["schedule"] = json!("0 5 * * *"));
    assert_eq!(
        other.state(&entry),
        (State::NotOwned, "NotOwned".to_owned())
    );
    assert_eq!(other.take_log(), [""; 0]);

    let mut always = entry.clone();
    always.assignment.modes.adoption = Adoption::Always;
    let outcome = other.run(&always).unwrap();
    assert_eq!(outcome.state, State::NotOwned);
    assert!(
        outcome
            .message
            .ends_with("policy rule adoption does not list Always"),
        "{}",
        outcome.message
    );
    assert_eq!(
        other.take_log(),
        [""; 0],
        "a hub's order alone takes nothing over"
    );
    other.adoption = Adoption::Always;
    assert_eq!(other.state(&always), applied());
    assert_eq!(
        other.take_log(),
        ["status 2026-01-02T12:00:00Z", "put Adopt"]
    );

    for (name, value) in [
        (names::ANNOTATION_HUB, "hub-of-others"),
        (names::ANNOTATION_SEGMENT, "granary/b"),
    ] {
        let mut world = World::with(&entry);
        world.edit("other", |object| {
            object["metadata"]["annotations"][name] = json!(value);
        });
        let outcome = world.run(&entry).unwrap();
        assert_eq!(outcome.state, State::NotOwned);
        assert!(outcome.message.contains(value), "{}", outcome.message);
        assert_eq!(world.take_log(), [""; 0]);
    }
}

#[test]
fn a_namesake_with_a_new_uid_is_updated_in_place() {
    let mut world = World::with(&entry(|_| {}));
    let mut again = entry(|_| {});
    again.assignment.uid = Uid([2; 16]);
    assert_eq!(world.state(&again), applied());
    assert_eq!(world.take_log(), ["put Update"]);
}

#[test]
fn what_the_policy_refuses_is_neither_written_nor_removed() {
    let mut world = World::with(&entry(|_| {}));
    let refusal = Refusal {
        rule: "images",
        message: "no".to_owned(),
    };
    world.verdict = Err(refusal.clone());
    world.edit("kubectl", |object| object["spec"]["suspend"] = json!(true));
    assert_eq!(
        world.state(&entry(|_| {})),
        (State::Refused, "images".to_owned())
    );
    assert_eq!(
        world.run(&removing(RemovalPolicy::Delete, RunningJobs::Kill)),
        None,
        "a removal asks the namespace only"
    );
    world.objects = World::with(&entry(|_| {})).objects;
    world.held_namespace = Err(refusal);
    world.take_log();
    assert_eq!(
        world
            .state(&removing(RemovalPolicy::Delete, RunningJobs::Kill))
            .0,
        State::Refused
    );
    world.record.applied = None;
    assert_eq!(
        world.run(&removing(RemovalPolicy::Delete, RunningJobs::Kill)),
        None,
        "never written there"
    );
    assert_eq!(world.take_log(), [""; 0]);
}

#[test]
fn holds_suspend_and_end_without_a_past_run() {
    let mut held = entry(|_| {});
    held.controls.hold = Some(Hold {
        until: Some(at("2026-01-02T13:00:00Z")),
        reason: "night shift".to_owned(),
    });
    let mut world = World::with(&entry(|_| {}));
    let outcome = world.run(&held).unwrap();
    assert_eq!(
        (outcome.state, outcome.reason.as_str(), outcome.again),
        (State::Held, "HeldByHub", Some(Duration::from_hours(1)))
    );
    assert_eq!(world.take_log(), ["put Update"]);
    world.after(3600);
    assert_eq!(world.state(&held), applied());
    assert_eq!(
        world.take_log(),
        ["status 2026-01-02T13:00:00Z", "put Update"]
    );

    world.edit("kubectl", |object| {
        object["metadata"]["annotations"][names::ANNOTATION_HOLD_UNTIL] =
            json!("2026-01-02T14:00:00Z");
    });
    assert_eq!(world.state(&held), (State::Held, "HoldUntil".to_owned()));
    assert_eq!(world.take_log(), ["put Update"]);
    world.after(3600);
    assert_eq!(world.state(&held), applied());
    assert_eq!(world.record.corrections, 0, "a hold is no drift");
}

#[test]
fn a_removal_finishes_kills_or_orphans() {
    let mut world = World::with(&entry(|_| {}));
    let finish = removing(RemovalPolicy::Delete, RunningJobs::Finish);
    world.jobs = 2;
    assert_eq!(
        world.state(&finish),
        (State::Removing, "WaitsForJobs".to_owned())
    );
    assert_eq!(world.take_log(), ["put Suspend"]);
    world.after(5);
    assert_eq!(
        world.state(&finish).0,
        State::Removing,
        "the list is not trusted yet"
    );
    world.after(5);
    assert_eq!(
        world.run(&finish).unwrap().message,
        "2 of its Jobs still run"
    );
    world.jobs = 0;
    assert_eq!(world.run(&finish), None);
    assert_eq!(world.take_log(), ["delete"]);

    let mut world = World::with(&entry(|_| {}));
    world.jobs = 1;
    world.run(&finish);
    world.after(24 * 3600);
    assert_eq!(
        world.run(&finish),
        None,
        "after a day a hanging Job does not count"
    );

    let mut world = World::with(&entry(|_| {}));
    (world.jobs, world.lag) = (1, -3600);
    world.run(&finish);
    world.after(23 * 3600 + 1800);
    assert_eq!(
        world.state(&finish).0,
        State::Removing,
        "an agent whose clock is ahead kills no Job earlier"
    );

    let mut world = World::with(&entry(|_| {}));
    assert_eq!(
        world.run(&removing(RemovalPolicy::Delete, RunningJobs::Kill)),
        None
    );
    assert_eq!(world.take_log(), ["delete"]);

    let mut world = World::with(&entry(|_| {}));
    assert_eq!(
        world.run(&removing(RemovalPolicy::Orphan, RunningJobs::Finish)),
        None
    );
    assert_eq!(world.take_log(), ["put Orphan"]);
    let object = world.object().clone();
    assert_eq!(object["spec"]["suspend"], json!(false));
    assert!(
        !object["metadata"].to_string().contains("segment.grnry.io"),
        "{object}"
    );
}

#[test]
fn a_removal_that_is_taken_back_runs_on_without_a_past_run() {
    let mut world = World::with(&entry(|_| {}));
    world.run(&removing(RemovalPolicy::Delete, RunningJobs::Finish));
    world.take_log();
    assert_eq!(world.state(&entry(|_| {})), applied());
    assert_eq!(
        world.take_log(),
        ["status 2026-01-02T12:00:00Z", "put Update"]
    );
    assert_eq!(
        (
            world.record.suspended_at,
            world.record.removing_since,
            world.record.corrections
        ),
        (None, None, 0)
    );
}

#[test]
fn a_removal_leaves_what_is_not_ours() {
    let mut world = World::with(&entry(|_| {}));
    world.edit("other", |object| {
        object["metadata"]["annotations"][names::ANNOTATION_HUB] = json!("hub-of-others");
    });
    assert_eq!(
        world.run(&removing(RemovalPolicy::Delete, RunningJobs::Kill)),
        None
    );
    assert_eq!(world.take_log(), [""; 0]);
}

#[test]
fn a_removal_deletes_nothing_whose_marks_were_taken_off() {
    for name in [names::ANNOTATION_HUB, names::ANNOTATION_SEGMENT] {
        let mut world = World::with(&entry(|_| {}));
        world.edit("kubectl", |object| {
            let annotations = object["metadata"]["annotations"].as_object_mut();
            annotations.unwrap().remove(name);
        });
        assert_eq!(
            world.run(&removing(RemovalPolicy::Delete, RunningJobs::Kill)),
            None,
            "{name}"
        );
        assert_eq!(world.take_log(), [""; 0], "{name}");
    }
}

#[test]
fn a_refusal_leaves_nothing_suspended_or_says_so() {
    let refusal = Refusal {
        rule: "images",
        message: "no".to_owned(),
    };
    let moved = entry(|template| template.namespace = Namespace::new("reports").unwrap());
    for (begun, then) in [
        (
            removing(RemovalPolicy::Delete, RunningJobs::Finish),
            entry(|_| {}),
        ),
        (moved.clone(), moved),
    ] {
        let mut world = World::with(&entry(|_| {}));
        world.run(&begun);
        assert_eq!(world.take_log(), ["put Suspend"]);
        world.verdict = Err(refusal.clone());
        let mut stays = Err(refusal.clone());
        std::mem::swap(&mut world.held_namespace, &mut stays);
        let outcome = world.run(&then).unwrap();
        assert_eq!(
            (outcome.state, outcome.message.as_str()),
            (State::Refused, "no; CronJob granary/a stays suspended")
        );
        assert_eq!(world.take_log(), [""; 0]);
        world.held_namespace = stays;
        assert_eq!(world.state(&then).0, State::Refused);
        assert_eq!(
            world.take_log(),
            ["status 2026-01-02T12:00:00Z", "put Resume"]
        );
        assert_eq!(world.state(&then).0, State::Refused);
        assert_eq!(world.take_log(), [""; 0]);
    }
}

#[test]
fn a_move_makes_the_new_one_before_the_old_one_goes() {
    let moved = entry(|template| template.namespace = Namespace::new("reports").unwrap());
    for lost in [false, true] {
        let mut world = World::with(&entry(|_| {}));
        if lost {
            world.stray = world.record.applied.take().map(|applied| applied.place);
        }
        world.jobs = 1;
        assert_eq!(world.state(&moved).0, State::Removing);
        assert_eq!(world.take_log(), ["put Suspend"]);
        world.after(10);
        assert_eq!(world.state(&moved).0, State::Removing, "a Job runs");
        world.jobs = 0;
        assert_eq!(world.state(&moved), applied());
        assert_eq!(world.take_log(), ["create", "delete"], "lost: {lost}");
        assert_eq!(world.objects.len(), 1);
    }
}

#[test]
fn a_running_copy_with_our_marks_is_left_alone() {
    let entry = entry(|_| {});
    let mut world = World::with(&entry);
    let mut copy = world.object().clone();
    copy["metadata"]["namespace"] = json!("reports");
    let place = Place {
        namespace: Namespace::new("reports").unwrap(),
        name: CronJobName::new("a").unwrap(),
    };
    world.objects.insert(place.clone(), copy);
    world.stray = Some(place);
    for lost in [false, true] {
        if lost {
            world.record = Record::default();
        }
        assert_eq!(world.state(&entry), applied());
        assert_eq!(world.take_log(), [""; 0], "lost: {lost}");
    }
}

#[test]
fn a_move_that_cannot_be_made_leaves_the_old_one_running() {
    let moved = entry(|template| template.namespace = Namespace::new("reports").unwrap());
    let mut world = World::with(&entry(|_| {}));
    world.create_error = Some("exceeded quota");
    assert_eq!(
        world.state(&moved),
        (State::MoveBlocked, "Forbidden".to_owned())
    );
    assert_eq!(world.take_log(), [""; 0]);

    world.create_error = None;
    world.state(&moved);
    assert_eq!(world.take_log(), ["put Suspend"]);
    world.after(10);
    world.create_error = Some("exceeded quota");
    assert_eq!(
        world.state(&moved).0,
        State::MoveBlocked,
        "the suspension is lifted"
    );
    assert_eq!(
        world.take_log(),
        ["status 2026-01-02T12:00:10Z", "put Resume"]
    );
    assert_eq!(world.object()["spec"]["suspend"], json!(false));

    world.held_namespace = Err(Refusal {
        rule: "namespaces",
        message: "no".to_owned(),
    });
    assert_eq!(
        world.state(&moved),
        (State::MoveBlocked, "namespaces".to_owned())
    );
}

#[test]
fn the_servers_words_are_kept_under_a_reason_for_programs() {
    for (code, reason, message, expected) in [
        (None, "", "no answer within 10 s", "ApiUnavailable"),
        (
            Some(403),
            "Forbidden",
            r#"cronjobs.batch is forbidden: User "x" cannot create"#,
            "NoRights",
        ),
        (
            Some(403),
            "Forbidden",
            "forbidden: unable to create in namespace x because it is being terminated",
            "NamespaceTerminating",
        ),
        (
            Some(403),
            "Forbidden",
            "forbidden: exceeded quota: q",
            "QuotaExceeded",
        ),
        (
            Some(404),
            "NotFound",
            r#"namespaces "x" not found"#,
            "NamespaceMissing",
        ),
        (
            Some(400),
            "BadRequest",
            r#"admission webhook "w" denied the request"#,
            "WebhookDenied",
        ),
        (Some(422), "Invalid", "spec.schedule", "Invalid"),
    ] {
        let outcome = failed(&Failure {
            code,
            reason,
            message,
        });
        assert_eq!(
            (
                outcome.state,
                outcome.reason.as_str(),
                outcome.message.as_str()
            ),
            (State::Failed, expected, message)
        );
    }
}

/// What happens to a CronJob, in the order of its number.
fn happening(number: u8, world: &mut World) -> Option<Entry> {
    match number {
        0 => Some(entry(|_| {})),
        1 => Some(entry(|template| {
            template.image = "registry/segment:2".to_owned();
        })),
        2 => Some(entry(|template| template.schedule = "0 4 * * *".to_owned())),
        3 => Some(entry(|template| template.suspend = true)),
        4 => Some(entry(|template| {
            template.namespace = Namespace::new("reports").unwrap();
        })),
        5 => {
            world.edit("kubectl", |object| object["spec"]["suspend"] = json!(true));
            None
        }
        6 => {
            world.edit("kubectl", |object| {
                object["metadata"]["annotations"] = json!({"foreign": "yes"});
            });
            None
        }
        7 => {
            world.edit("kubectl", |object| {
                object["spec"]["jobTemplate"]["spec"]["template"]["spec"]["hostPID"] = json!(true);
            });
            None
        }
        _ => {
            world.objects.clear();
            None
        }
    }
}

proptest::proptest! {
    // Each case is a dozen runs of the plan: 64 of them take some seconds in a debug build.
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Kill the process after any step, with or without what it remembered: the end is that of an undisturbed run, and
    /// then nothing is written.
    #[test]
    fn a_process_that_dies_anywhere_leaves_what_an_undisturbed_one_does(
        happenings in proptest::collection::vec((0u8..9, 0usize..12, proptest::bool::ANY), 1..12),
    ) {
        let mut order = entry(|_| {});
        let mut world = World::with(&order);
        for (number, dies_after, forgets) in happenings {
            if let Some(changed) = happening(number, &mut world) {
                order = changed;
            }
            let remembered = world.record.clone();
            let _ = world.run_until(&order, dies_after);
            if forgets {
                world.record = if dies_after % 2 == 0 { remembered } else { Record::default() };
            }
            for _ in 0..4 {
                world.run(&order);
                world.after(10);
            }
            world.after(160);
            proptest::prop_assert_eq!(world.state(&order), applied());
            let expected = World::with(&order).object()["spec"].clone();
            let places: Vec<Place> = world.objects.keys().cloned().collect();
            proptest::prop_assert_eq!(places, vec![target(&order)]);
            proptest::prop_assert_eq!(world.object()["spec"].clone(), expected);
            world.take_log();
            world.run(&order);
            proptest::prop_assert_eq!(world.take_log(), Vec::<String>::new());
        }
    }
}

#[test]
fn an_ordered_run_suspends_in_one_write_and_its_end_starts_no_past_run() {
    let entry = entry(|_| {});
    let mut world = World::with(&entry);
    let suspension = Suspension {
        job: "a-p-0102030405060708".to_owned(),
        until: at("2026-01-02T18:00:00Z"),
    };
    world.suspension = Some(suspension.clone());
    let outcome = world.run(&entry).unwrap();
    assert_eq!(
        (outcome.state, outcome.reason.as_str()),
        (State::Held, "OrderedRun")
    );
    assert_eq!(world.take_log(), ["put Update"]);
    let mark = |world: &World| {
        let object = world.objects.values().next().unwrap();
        object["metadata"]["annotations"][names::ANNOTATION_SUSPENDED_FOR].clone()
    };
    assert_eq!(world.object()["spec"]["suspend"], true);
    assert_eq!(mark(&world), suspension.to_string());
    // A process that began meanwhile knows nothing of it: the annotation stands.
    world.suspension = None;
    assert_eq!(world.run(&entry).unwrap().state, State::Held);
    assert!(world.take_log().is_empty());
    // The Job is over: its mark goes with the suspension, and nothing past is started.
    world.runs_over.insert(suspension.job.clone());
    assert_eq!(world.run(&entry).unwrap().state, State::Applied);
    assert_eq!(
        world.take_log(),
        ["status 2026-01-02T12:00:00Z", "put Update"]
    );
    assert_eq!(mark(&world), Value::Null);
    assert_eq!(world.run(&entry).unwrap().state, State::Applied);
    assert!(world.take_log().is_empty());
}

#[test]
fn a_suspension_for_a_run_ends_at_its_time_even_when_nobody_says_so() {
    let entry = entry(|_| {});
    let mut world = World::with(&entry);
    world.suspension = Some(Suspension {
        job: "a-p-0102030405060708".to_owned(),
        until: at("2026-01-02T12:30:00Z"),
    });
    assert_eq!(world.run(&entry).unwrap().state, State::Held);
    world.take_log();
    world.now = at("2026-01-02T12:30:00Z");
    assert_eq!(world.run(&entry).unwrap().state, State::Applied);
    assert_eq!(
        world.take_log(),
        ["status 2026-01-02T12:30:00Z", "put Update"]
    );
}
