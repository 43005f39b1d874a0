//! The rollout as a whole, against a model of the fleet: random strategies, edits, reports, clusters that come, go and
//! change waves, users who meddle, and a hub that is killed at any step.
//!
//! What must hold at every step: no cluster comes into change beyond its wave's budget or the fleet-wide cap; none gets
//! the revision before the waves before it are on record as done; a halt names its cause; orders never go back. And in the
//! end: whoever is selected has what is wanted.

use crate::world::{at, hub_id};
use proptest::prelude::*;
use segment_core::assignment::{Desired, EntryId, Holdings, OrderNumber};
use segment_core::ids::{ClusterName, KeyHash, Revision, RootDigest, SegmentKey};
use segment_core::index::{Changed, FleetIndex, SeenSegment, Settings};
use segment_core::report::{Report, Runs, State};
use segment_core::rollout::{By, Command, Progress, Waits};
use segment_core::segment::HouseDefaults;
use segment_core::sync::frame::{Ack, AckVerdict, Hello, ReportBatch};
use segment_core::testing::{self, StoredRollouts, view};
use segment_crds::Rollout;
use std::sync::Arc;

/// Schedules that are run by each of the two tests, which share the cores: each is a fleet, a strategy, and up to forty
/// steps. A seed that fails is printed and shrunk.
const SCHEDULES: u32 = 50_000;
/// Clusters of a fleet.
const CLUSTERS: usize = 5;
/// Waves that a cluster's label may name; the last is that of no wave.
const WAVES: [&str; 3] = ["canary", "staging", "none"];
/// How long a cluster may take, in seconds.
const DEADLINE: i64 = 600;
/// A cluster that was not heard from for this long after a hub's start is away.
const STALE: i64 = 60;

#[derive(Clone, Debug)]
enum Step {
    Edit(u8),
    Deliver(usize),
    Report(usize, bool),
    Cut(usize),
    Connect(usize),
    Move(usize, usize),
    Select(usize, bool),
    Crash,
    Wait(i64),
    Say(u8),
}

fn steps(least: usize) -> impl Strategy<Value = Vec<Step>> {
    let who = 0..CLUSTERS;
    let step = prop_oneof![
        2 => (0..4_u8).prop_map(Step::Edit),
        8 => who.clone().prop_map(Step::Deliver),
        8 => (who.clone(), prop::bool::weighted(0.85)).prop_map(|(i, ok)| Step::Report(i, ok)),
        1 => who.clone().prop_map(Step::Cut),
        3 => who.clone().prop_map(Step::Connect),
        1 => (who.clone(), 0..WAVES.len()).prop_map(|(i, wave)| Step::Move(i, wave)),
        1 => (who, any::<bool>()).prop_map(|(i, yes)| Step::Select(i, yes)),
        1 => Just(Step::Crash),
        2 => prop_oneof![Just(1), Just(31), Just(61), Just(700)].prop_map(Step::Wait),
        3 => (0..6_u8).prop_map(Step::Say),
    ];
    prop::collection::vec(step, least..40)
}

fn strategies() -> impl Strategy<Value = Rollout> {
    let amount = || {
        prop_oneof![
            "[1-3]".prop_map(|n| n.parse::<i32>().unwrap().into_value()),
            Just("50%".into_value())
        ]
    };
    let wave = |name: &'static str| {
        (
            amount(),
            0..2_i64,
            prop_oneof![Just("None"), Just("Before"), Just("After")],
            0..2_i32,
        )
            .prop_map(move |(concurrent, soak, approval, failures)| {
                serde_json::json!({
                    "name": name,
                    "clusterSelector": {"matchLabels": {"wave": name}},
                    "maxConcurrent": concurrent,
                    "maxFailures": failures,
                    "soakSeconds": soak * 45,
                    "approval": approval,
                })
            })
    };
    let on_failure = prop_oneof![Just("Pause"), Just("Abort"), Just("Rollback")];
    (
        wave("canary"),
        wave("staging"),
        0..3_usize,
        amount(),
        on_failure,
        prop_oneof![Just(100), Just(40)],
    )
        .prop_map(|(canary, staging, waves, concurrent, on_failure, away)| {
            let waves: Vec<_> = [canary, staging].into_iter().take(waves).collect();
            serde_json::from_value(serde_json::json!({
                "waves": waves,
                "maxConcurrent": concurrent,
                "onFailure": on_failure,
                "unreachable": {"maxPercent": away},
            }))
            .unwrap()
        })
}

trait IntoValue {
    fn into_value(self) -> serde_json::Value;
}
impl IntoValue for i32 {
    fn into_value(self) -> serde_json::Value {
        self.into()
    }
}
impl IntoValue for &str {
    fn into_value(self) -> serde_json::Value {
        self.into()
    }
}

#[derive(Clone, Debug)]
struct Agent {
    name: ClusterName,
    wave: usize,
    selected: bool,
    session: Option<u64>,
    held: Option<(EntryId, OrderNumber)>,
    /// It came into change for this revision, then; `None` once it said how it went.
    changing: Option<(Revision, i64)>,
    /// It was let go for this revision before, and never got the order.
    again: Option<Revision>,
    /// When its stream ended, or the hub began.
    unheard_since: i64,
    /// The hub has heard of it since its start.
    heard: bool,
    rendered: segment_core::ids::Digest,
}

struct Model {
    now: i64,
    index: FleetIndex,
    stored: StoredRollouts,
    versions: Vec<SeenSegment>,
    version: usize,
    generation: i64,
    key: SegmentKey,
    hash: KeyHash,
    agents: Vec<Agent>,
    sessions: u64,
    hello: Hello,
}

fn fresh(now: i64) -> FleetIndex {
    let settings = Settings {
        max_changing_percent: 40,
        ..Settings::default()
    };
    let defaults = HouseDefaults::from_env(std::iter::empty()).unwrap();
    FleetIndex::new(hub_id(), defaults, settings, at(now))
}

impl Model {
    fn new(rollout: &Rollout) -> Self {
        let versions: Vec<SeenSegment> = (0..4)
            .map(|n| {
                let mut segment = testing::segment("granary/a");
                segment.spec.rollout = Some(rollout.clone());
                segment.spec.cluster_selector = Some(testing::label_selector(&[("in", "yes")]));
                segment.spec.cronjob.failed_jobs_history_limit = Some(n);
                testing::seen(&segment)
            })
            .collect();
        let key = versions[0].key.clone();
        let agents = (0..CLUSTERS)
            .map(|i| Agent {
                name: ClusterName::new(format!("c{i}")).unwrap(),
                wave: i % WAVES.len(),
                selected: true,
                session: None,
                held: None,
                changing: None,
                again: None,
                unheard_since: 0,
                heard: false,
                rendered: segment_core::ids::Digest::default(),
            })
            .collect();
        let mut model = Self {
            now: 0,
            index: fresh(0),
            stored: StoredRollouts::default(),
            hash: key.hash(),
            key,
            versions,
            version: 0,
            generation: 1,
            agents,
            sessions: 0,
            hello: testing::hello(),
        };
        model.boot();
        for i in 0..CLUSTERS {
            model.connect(i);
        }
        model
    }

    /// What a hub reads when it starts.
    fn boot(&mut self) {
        self.index = fresh(self.now);
        self.stored.restore(&mut self.index);
        let seen = self.seen();
        let mut changed = self.index.apply_segment(seen, at(self.now));
        for i in 0..CLUSTERS {
            changed.extend(self.place(i));
            self.agents[i].session = None;
            self.agents[i].heard = false;
            self.agents[i].unheard_since = self.now;
        }
        self.settle(changed);
    }

    fn seen(&self) -> SeenSegment {
        let mut seen = self.versions[self.version].clone();
        seen.generation = self.generation;
        seen.parsed = seen.parsed.map(|parsed| {
            let mut parsed = (*parsed).clone();
            parsed.generation = self.generation;
            Arc::new(parsed)
        });
        seen
    }

    fn place(&mut self, i: usize) -> Changed {
        let agent = &self.agents[i];
        let selected = if agent.selected { "yes" } else { "no" };
        let view = view(
            agent.name.as_str(),
            &[("wave", WAVES[agent.wave]), ("in", selected)],
        );
        self.index.apply_cluster(view, 1, None, None, at(self.now))
    }

    fn settle(&mut self, mut changed: Changed) {
        changed.extend(self.index.settle(at(self.now)));
        let _ = self
            .stored
            .carry_out(&mut self.index, changed, at(self.now));
    }

    fn connect(&mut self, i: usize) {
        if self.agents[i].session.is_some() {
            return;
        }
        self.sessions += 1;
        let agent = &mut self.agents[i];
        agent.session = Some(self.sessions);
        // An order that never came changes nothing; it is given anew, or not.
        let holds = agent.held.map(|(id, _)| id.revision);
        if agent.changing.map(|(revision, _)| revision) != holds {
            agent.again = agent.changing.take().map(|(revision, _)| revision);
        }
        agent.heard = true;
        let held: Holdings = agent.held.iter().map(|(id, _)| (id.key, *id)).collect();
        let (name, now) = (agent.name.clone(), at(self.now));
        // What it was doing has its time anew.
        if let Some((_, since)) = &mut agent.changing {
            *since = self.now;
        }
        let mut changed = self
            .index
            .connected(&name, self.sessions, &self.hello, None, now);
        changed.extend(self.index.inventory(&name, self.sessions, held, now));
        self.settle(changed);
    }

    fn cut(&mut self, i: usize) {
        if let Some(session) = self.agents[i].session.take() {
            self.agents[i].unheard_since = self.now;
            let name = self.agents[i].name.clone();
            let changed = self.index.disconnected(&name, session, at(self.now));
            self.settle(changed);
        }
    }

    /// The agent takes what is ordered.
    fn deliver(&mut self, i: usize) -> Result<(), TestCaseError> {
        let (Some(session), name) = (self.agents[i].session, self.agents[i].name.clone()) else {
            return Ok(());
        };
        let Some(Desired::Entry(entry)) = self.index.desired(&name, self.hash) else {
            return Ok(());
        };
        let (id, number) = (entry.id(), entry.assignment.number);
        if let Some((_, before)) = self.agents[i].held {
            prop_assert!(
                number >= before,
                "an order that the agent would refuse: {number:?} after {before:?}"
            );
        }
        self.agents[i].held = Some((id, number));
        self.agents[i].rendered = entry.assignment.rendered.digest();
        let ack = Ack {
            key: self.hash,
            uid: id.uid,
            number,
            verdict: AckVerdict::Holds(id),
        };
        let changed = self.index.acked(&name, session, vec![ack], at(self.now));
        self.settle(changed);
        Ok(())
    }

    fn report(&mut self, i: usize, ok: bool) {
        let (Some(session), Some((id, _))) = (self.agents[i].session, self.agents[i].held) else {
            return;
        };
        let name = self.agents[i].name.clone();
        let report = Report {
            key: self.hash,
            uid: id.uid,
            revision: id.revision,
            digest: self.agents[i].rendered,
            state: if ok { State::Applied } else { State::Failed },
            reason: if ok {
                String::new()
            } else {
                "Quota".to_owned()
            },
            message: if ok {
                String::new()
            } else {
                "exceeded".to_owned()
            },
            since: at(self.now),
            corrections: 0,
            drifted_by: String::new(),
            runs: Runs::default(),
        };
        if self.agents[i]
            .changing
            .is_some_and(|(revision, _)| revision == id.revision)
        {
            self.agents[i].changing = None;
        }
        let batch = ReportBatch {
            token: RootDigest([u8::try_from(self.now % 200).unwrap(); 16]),
            complete: true,
            reports: vec![report],
        };
        let changed = self.index.reports(&name, session, batch, at(self.now));
        self.settle(changed);
    }

    fn say(&mut self, command: &Command) {
        let by = By {
            who: "alice".to_owned(),
            reason: "because".to_owned(),
            at: at(self.now),
        };
        let done = self
            .index
            .command(&self.key, command, by, None, at(self.now));
        self.settle(done.unwrap_or_default());
    }

    fn target(&self) -> Option<Revision> {
        self.index.segments()[&self.key].revision()
    }

    /// In change, in truth: ordered, not answered, its time not over, and not away.
    fn is_changing(&self, i: usize) -> bool {
        let agent = &self.agents[i];
        let away =
            agent.session.is_none() && !agent.heard && self.now - agent.unheard_since >= STALE;
        agent.selected
            && !away
            && agent.changing.is_some_and(|(revision, since)| {
                Some(revision) == self.target() && self.now - since < DEADLINE
            })
    }

    /// Who came into change in this step; and whether that was allowed.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let Some(target) = self.target() else {
            return Ok(());
        };
        let segment = &self.index.segments()[&self.key];
        let strategy = Arc::clone(&segment.strategy);
        let completed = segment.has_completed();
        let failed_before: Vec<bool> = self
            .agents
            .iter()
            .map(|agent| {
                segment
                    .members
                    .get(&agent.name)
                    .is_some_and(|m| m.failed_before)
            })
            .collect();
        if let Some(halt) = &segment.ops.rollout.halted {
            prop_assert!(
                halt.cause.contains("alice") || halt.cause.contains("; c"),
                "a cause names who: {}",
                halt.cause
            );
        }
        let counted = self
            .index
            .clusters()
            .values()
            .filter(|cluster| cluster.changing > 0)
            .count();
        prop_assert_eq!(self.index.changing(), counted);
        let mut came: Vec<usize> = Vec::new();
        for i in 0..CLUSTERS {
            let desired = self.index.desired(&self.agents[i].name, self.hash);
            let agent = &mut self.agents[i];
            if !agent.selected {
                agent.changing = None;
                continue;
            }
            let holds = agent.held.is_some_and(|(id, _)| id.revision == target);
            let ordered = matches!(&desired, Some(Desired::Entry(entry)) if entry.assignment.revision == target);
            let known = agent
                .changing
                .is_some_and(|(revision, _)| revision == target);
            if ordered && !holds && !known && agent.session.is_some() {
                agent.changing = Some((target, self.now));
                // What is given anew was let go once, under the budget of then.
                if agent.again.take() != Some(target) {
                    came.push(i);
                }
            } else if agent.session.is_some()
                && agent
                    .changing
                    .is_some_and(|(revision, _)| revision != target)
            {
                // What was ordered and not taken is ordered no more.
                agent.changing = None;
            }
        }
        let wave_of = |i: usize| {
            strategy
                .waves
                .iter()
                .position(|wave| wave.name == WAVES[self.agents[i].wave])
                .unwrap_or(strategy.waves.len() - 1)
        };
        let members = |wave: usize| {
            (0..CLUSTERS)
                .filter(|i| self.agents[*i].selected && wave_of(*i) == wave)
                .count()
        };
        for &i in &came {
            let wave = wave_of(i);
            let changing = (0..CLUSTERS)
                .filter(|i| wave_of(*i) == wave && self.is_changing(*i))
                .count();
            let allowed = strategy.waves[wave]
                .max_concurrent
                .at_least_one(members(wave));
            prop_assert!(changing <= allowed, "wave {wave}: {changing} of {allowed}");
            let all = (0..CLUSTERS).filter(|i| self.is_changing(*i)).count();
            prop_assert!(
                all <= self.index.max_changing(),
                "fleet-wide: {all} of {}",
                self.index.max_changing()
            );
            if completed || failed_before[i] {
                continue;
            }
            let record = &self.stored.operations.get(&self.key);
            for (before, one) in strategy.waves.iter().enumerate().take(wave) {
                prop_assert!(
                    members(before) == 0
                        || record.is_some_and(|ops| ops.rollout.target == Some(target)
                            && ops.rollout.done.contains_key(&one.name)),
                    "wave {} goes before {} is on record as done",
                    wave,
                    one.name
                );
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Edit(n) => {
                self.version = usize::from(*n);
                self.generation += 1;
                let seen = self.seen();
                let changed = self.index.apply_segment(seen, at(self.now));
                self.settle(changed);
            }
            Step::Deliver(i) => self.deliver(*i)?,
            Step::Report(i, ok) => self.report(*i, *ok),
            Step::Cut(i) => self.cut(*i),
            Step::Connect(i) => self.connect(*i),
            Step::Move(i, wave) => {
                self.agents[*i].wave = *wave;
                let changed = self.place(*i);
                self.settle(changed);
            }
            Step::Select(i, yes) => {
                self.agents[*i].selected = *yes;
                let changed = self.place(*i);
                self.settle(changed);
            }
            Step::Crash => self.boot(),
            Step::Wait(seconds) => {
                self.now += seconds;
                let changed = self.index.tick(at(self.now));
                self.settle(changed);
            }
            Step::Say(n) => {
                let command = match n {
                    0 => Command::Pause,
                    1 => Command::Resume,
                    2 => Command::Abort,
                    3 => Command::Retry,
                    4 => Command::Undo(None),
                    _ => Command::Approve(None),
                };
                self.say(&command);
            }
        }
        self.check()
    }

    fn play(&mut self, steps: &[Step]) -> Result<(), TestCaseError> {
        self.check()?;
        for step in steps {
            self.step(step)?;
        }
        self.heal()
    }

    /// Faults end, and humans do what they are asked to do.
    fn heal(&mut self) -> Result<(), TestCaseError> {
        for i in 0..CLUSTERS {
            self.connect(i);
        }
        for _ in 0..40 {
            for i in 0..CLUSTERS {
                self.deliver(i)?;
                self.report(i, true);
            }
            let segment = &self.index.segments()[&self.key];
            let waits = segment
                .waves
                .iter()
                .any(|wave| matches!(wave.waits, Some(Waits::Approval(_))));
            match segment.progress {
                Progress::Paused => self.say(&Command::Resume),
                Progress::Halted => self.say(&Command::Retry),
                Progress::Progressing if waits => self.say(&Command::Approve(None)),
                Progress::Completed => break,
                Progress::Progressing => {}
            }
            self.step(&Step::Wait(61))?;
        }
        let target = self.target();
        let segment = &self.index.segments()[&self.key];
        prop_assert_eq!(
            segment.progress,
            Progress::Completed,
            "{:?} {:?}",
            segment.ops,
            segment.waves
        );
        for agent in self.agents.iter().filter(|agent| agent.selected) {
            prop_assert_eq!(
                agent.held.map(|(id, _)| id.revision),
                target,
                "{}",
                agent.name
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: SCHEDULES, ..ProptestConfig::default() })]

    #[test]
    fn budgets_hold_waves_are_kept_and_everyone_gets_what_is_wanted(rollout in strategies(), steps in steps(1)) {
        Model::new(&rollout).play(&steps)?;
    }

    #[test]
    fn the_same_holds_over_longer_schedules(rollout in strategies(), steps in steps(20)) {
        Model::new(&rollout).play(&steps)?;
    }
}
