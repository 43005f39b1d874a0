//! One step of a rollout: whom to release now, and how it stands.
//!
//! In: one [`Member`] for each selected cluster, [`Facts`]. Out: [`Decision`].
//! Law: at no step are more clusters of a wave in change than allowed, a restart in the middle included; a wave opens only
//! once the end of the one before is stored; a cluster that is away neither blocks nor counts as failed
//! (`tests/laws/rollout.rs`). Not: what a release sends (`index`).

use super::record::Progressed;
use super::strategy::{Opening, Strategy, Wave};
use jiff::{SignedDuration, Timestamp};
use segment_crds::rollout::{Approval, GateRun, OnFailure};

/// Where one selected cluster stands with regard to the revision that goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has been ordered (or was found holding it) since this time, and has not confirmed.
    Released(Timestamp),
    /// It confirmed, and its next scheduled run is waited for until then.
    Gated(Timestamp),
    /// It holds the revision and said so, and its gate is passed.
    Confirmed,
    /// It was released and reports that it can't; or its proof failed.
    Failed,
    /// It waits for its turn.
    Waiting,
    /// Its proof run is ordered, and waited for until then.
    Proving(Timestamp),
    /// The hub has just started and has not heard from it: it may be in change.
    Unheard,
    /// It is away: released on its return, within the budget.
    Away,
    /// It can't be released whatever the budget: unrenderable there, paused, held.
    Withheld,
}

/// One selected cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<T> {
    /// Who.
    pub cluster: T,
    /// How it stands.
    pub standing: Standing,
    /// Its wave, as an index.
    pub wave: usize,
    /// Its proof run has succeeded.
    pub proven: bool,
    /// It failed the revision before this one: a fix goes there first.
    pub failed_before: bool,
    /// Whether the windows let it be released now.
    pub opening: Opening,
    /// Another Segment has it in change already: it costs nothing of the fleet-wide cap.
    pub counted: bool,
}

/// What a step is decided upon, beside the members.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// How it is to go out.
    pub strategy: &'a Strategy,
    /// What is on record.
    pub progress: &'a Progressed,
    /// The record is stored as it is: until then nothing is loosened.
    pub stored: bool,
    /// This revision has once been complete: who comes later gets it at once.
    pub completed: bool,
    /// `spec.paused`.
    pub paused: bool,
    /// Clusters that may be in change, fleet-wide, beside those that are so for other Segments.
    pub cap: usize,
    /// How long a cluster may take.
    pub deadline: SignedDuration,
    /// Now.
    pub now: Timestamp,
}

/// How a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Everyone that can be reached has it.
    Completed,
    /// It goes on, or waits for something that comes by itself or by an approval.
    Progressing,
    /// Paused by a user.
    Paused,
    /// Stopped, by failures or by a user.
    Halted,
}

/// What a rollout waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waits {
    /// A wave is done and has to stay good until then.
    Soak(Timestamp),
    /// A human: `before/WAVE` or `after/WAVE`.
    Approval(String),
    /// A window; `None`: none ever opens.
    Window(Option<Timestamp>),
    /// More clusters are away than may be.
    Unreachable {
        /// So many.
        away: usize,
        /// So many may be.
        allowed: usize,
    },
    /// No cluster of the wave can be released.
    Withheld,
    /// The fleet-wide cap is used up.
    Cap,
}

/// How one wave stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaveStand {
    /// Its name.
    pub name: String,
    /// Clusters in it.
    pub clusters: usize,
    /// Those that have it.
    pub done: usize,
    /// Those in change.
    pub running: usize,
    /// Those whose proof or scheduled run is waited for.
    pub proof: usize,
    /// Those that failed.
    pub failed: usize,
    /// How many may fail.
    pub may_fail: usize,
    /// Those that are away.
    pub away: usize,
    /// It is done, since then.
    pub since: Option<Timestamp>,
    /// Its clusters may be released.
    pub open: bool,
    /// What it waits for.
    pub waits: Option<Waits>,
}

/// More failed than may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded<T> {
    /// In which wave; `None`: in all together.
    pub wave: Option<String>,
    /// So many.
    pub failed: usize,
    /// So many may.
    pub may_fail: usize,
    /// One of them.
    pub example: T,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<T> {
    /// Order a proof run of these.
    pub prove: Vec<T>,
    /// Release these.
    pub release: Vec<T>,
    /// How it stands once that is done.
    pub progress: Progress,
    /// How each wave stands that has clusters.
    pub waves: Vec<WaveStand>,
    /// A wave is done: to be recorded.
    pub done: Option<String>,
    /// Everyone that can be reached has it for the first time: to be recorded.
    pub completes: bool,
    /// More failed than may: to be recorded.
    pub exceeded: Option<Exceeded<T>>,
    /// Who is in change once that is done, in the order of the members.
    pub changing: Vec<bool>,
    /// Somebody waits for the fleet-wide cap.
    pub capped: bool,
    /// Look again at this time, if nothing happens before.
    pub look_again: Option<Timestamp>,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    clusters: usize,
    done: usize,
    running: usize,
    proof: usize,
    failed: usize,
    waiting: usize,
    away: usize,
    withheld: usize,
}

impl Tally {
    fn is_finished(&self) -> bool {
        self.running + self.proof + self.waiting == 0
    }

    /// In change: what the budget counts. What waits for its scheduled run has changed already.
    fn in_change(&self, proving: usize) -> usize {
        self.running + proving
    }
}

/// What the fleet-wide cap counts.
fn is_changing(standing: Standing) -> bool {
    matches!(
        standing,
        Standing::Released(_) | Standing::Unheard | Standing::Proving(_)
    )
}

fn after(since: Timestamp, wait: SignedDuration) -> Timestamp {
    since.checked_add(wait).unwrap_or(Timestamp::MAX)
}

struct Step<'a, T> {
    facts: &'a Facts<'a>,
    members: &'a [Member<T>],
    tallies: Vec<Tally>,
    proving: Vec<usize>,
    /// Each member's standing once forgiveness and deadlines are counted in.
    standings: Vec<Standing>,
    look_again: Option<Timestamp>,
}

/// Decides one step.
pub fn rollout<T: Copy>(members: &[Member<T>], facts: &Facts<'_>) -> Decision<T> {
    let waves = facts.strategy.waves.len();
    let mut step = Step {
        facts,
        members,
        tallies: vec![Tally::default(); waves],
        proving: vec![0; waves],
        standings: Vec::with_capacity(members.len()),
        look_again: None,
    };
    step.count();
    step.decide()
}

impl<T: Copy> Step<'_, T> {
    fn at(&mut self, time: Timestamp) {
        self.look_again = Some(self.look_again.map_or(time, |t| t.min(time)));
    }

    /// Past its time is failed; what failed is given its time once more after a retry.
    fn effective(&mut self, standing: Standing) -> Standing {
        let Facts { now, deadline, .. } = *self.facts;
        let forgiven = self.facts.progress.retried;
        let released = match standing {
            Standing::Released(since) => Some(forgiven.map_or(since, |retry| retry.max(since))),
            Standing::Failed => forgiven,
            _ => None,
        };
        if let Some(since) = released {
            let until = after(since, deadline);
            if now >= until {
                return Standing::Failed;
            }
            self.at(until);
            return Standing::Released(since);
        }
        if let Standing::Gated(until) | Standing::Proving(until) = standing {
            if now >= until {
                return Standing::Failed;
            }
            self.at(until);
        }
        standing
    }

    fn count(&mut self) {
        let last = self.tallies.len().saturating_sub(1);
        for member in self.members {
            let standing = self.effective(member.standing);
            self.standings.push(standing);
            let wave = member.wave.min(last);
            let Some(tally) = self.tallies.get_mut(wave) else {
                continue;
            };
            tally.clusters += 1;
            match standing {
                Standing::Released(_) | Standing::Unheard => tally.running += 1,
                Standing::Proving(_) => {
                    tally.proof += 1;
                    self.proving[wave] += 1;
                }
                Standing::Gated(_) => tally.proof += 1,
                Standing::Confirmed => tally.done += 1,
                Standing::Failed => tally.failed += 1,
                Standing::Waiting => tally.waiting += 1,
                Standing::Away => tally.away += 1,
                Standing::Withheld => tally.withheld += 1,
            }
        }
    }

    /// The first budget of failures that is overdrawn. A revision that everybody has had is not stopped any more.
    fn exceeded(&self) -> Option<Exceeded<T>> {
        if self.facts.completed {
            return None;
        }
        let example = |wave: Option<usize>| {
            self.members
                .iter()
                .zip(&self.standings)
                .find(|(member, standing)| {
                    **standing == Standing::Failed && wave.is_none_or(|wave| member.wave == wave)
                })
                .map(|(member, _)| member.cluster)
        };
        for (index, (wave, tally)) in self.waves().enumerate() {
            let may_fail = wave.max_failures.at_most(tally.clusters);
            if tally.failed > may_fail
                && let Some(example) = example(Some(index))
            {
                return Some(Exceeded {
                    wave: Some(wave.name.clone()),
                    failed: tally.failed,
                    may_fail,
                    example,
                });
            }
        }
        let failed: usize = self.tallies.iter().map(|tally| tally.failed).sum();
        let may_fail = self
            .facts
            .strategy
            .max_failures?
            .at_most(self.members.len());
        (failed > may_fail)
            .then(|| example(None))
            .flatten()
            .map(|example| Exceeded {
                wave: None,
                failed,
                may_fail,
                example,
            })
    }

    fn waves(&self) -> impl Iterator<Item = (&Wave, &Tally)> {
        self.facts.strategy.waves.iter().zip(&self.tallies)
    }

    fn decide(mut self) -> Decision<T> {
        let exceeded = self.exceeded();
        let halted = self.facts.progress.halted.is_some() || exceeded.is_some();
        let paused = self.facts.progress.paused.is_some() || self.facts.paused;
        let away: usize = self.tallies.iter().map(|tally| tally.away).sum();
        let allowed = self.members.len() * self.facts.strategy.unreachable_percent as usize / 100;
        let mut walk = self.walk();
        if away > allowed && walk.waits.is_none() {
            walk.wait(
                walk.open.saturating_sub(1),
                Waits::Unreachable { away, allowed },
            );
        }
        let may = !halted && !paused && self.facts.stored && away <= allowed;
        let picked = if may {
            self.pick(&mut walk)
        } else {
            Picked::default()
        };
        let mut changing: Vec<bool> = self
            .standings
            .iter()
            .map(|standing| is_changing(*standing))
            .collect();
        for i in picked.prove.iter().chain(&picked.release) {
            changing[*i] = true;
        }
        let withheld = self.tallies.iter().any(|tally| tally.withheld > 0);
        let finished = self.tallies.iter().all(Tally::is_finished);
        let all = walk.all_done && finished && !withheld && away <= allowed;
        // What failed is well again, and nobody is left who could be released: nothing is left to stand still.
        let recovered = all
            && exceeded.is_none()
            && self.tallies.iter().all(|tally| tally.failed == 0)
            && self
                .facts
                .progress
                .halted
                .as_ref()
                .is_some_and(|halt| halt.kind == OnFailure::Pause);
        let halted = halted && !recovered;
        let done = walk.done.take().filter(|_| !halted && !paused);
        let progress = if all && !halted {
            Progress::Completed
        } else if halted && !self.facts.completed {
            Progress::Halted
        } else if paused && !all {
            Progress::Paused
        } else {
            Progress::Progressing
        };
        if !picked.prove.is_empty() || !picked.release.is_empty() {
            let until = after(self.facts.now, self.facts.deadline);
            self.at(until);
        }
        if let Some(time) = walk.look_again {
            self.at(time);
        }
        Decision {
            completes: progress == Progress::Completed
                && !self.facts.completed
                && self.tallies.iter().any(|tally| tally.done > 0),
            waves: self.stands(&walk),
            prove: self.named(&picked.prove),
            release: self.named(&picked.release),
            changing,
            progress,
            done,
            exceeded,
            capped: walk.capped,
            look_again: self.look_again,
        }
    }

    /// How far waves are open, and what the next one waits for.
    fn walk(&self) -> Walk {
        let mut walk = Walk {
            all_done: true,
            ..Walk::default()
        };
        let Facts { progress, now, .. } = *self.facts;
        if self.facts.completed {
            walk.open = self.tallies.len();
            return walk;
        }
        let last = self.tallies.iter().rposition(|tally| tally.clusters > 0);
        for (index, (wave, tally)) in self.waves().enumerate() {
            if tally.clusters == 0 {
                walk.open = index + 1;
                continue;
            }
            let recorded = progress.done.get(&wave.name).copied();
            let (before_it, after_it) = (
                format!("before/{}", wave.name),
                format!("after/{}", wave.name),
            );
            if recorded.is_none()
                && wave.approval == Approval::Before
                && !progress.approved.contains_key(&before_it)
            {
                walk.wait(index, Waits::Approval(before_it));
                return walk;
            }
            walk.open = index + 1;
            let Some(since) = recorded else {
                if !tally.is_finished() {
                    walk.all_done = false;
                    return walk;
                }
                if tally.done + tally.failed == 0 && tally.withheld > 0 {
                    walk.wait(index, Waits::Withheld);
                    return walk;
                }
                let counts = !wave.soak.is_zero() || wave.approval == Approval::After;
                if Some(index) != last || counts {
                    walk.done = Some(wave.name.clone());
                    walk.all_done = false;
                    return walk;
                }
                continue;
            };
            let soaked = after(since, wave.soak);
            if now < soaked {
                walk.wait(index, Waits::Soak(soaked));
                walk.look_again = Some(soaked);
                return walk;
            }
            if wave.approval == Approval::After && !progress.approved.contains_key(&after_it) {
                walk.wait(index, Waits::Approval(after_it));
                return walk;
            }
        }
        walk
    }

    /// Who of those that wait may go now.
    fn pick(&self, walk: &mut Walk) -> Picked {
        let mut picked = Picked::default();
        let own = self
            .members
            .iter()
            .zip(&self.standings)
            .filter(|(member, standing)| !member.counted && is_changing(**standing))
            .count();
        let mut cap = self.facts.cap.saturating_sub(own);
        let mut room: Vec<usize> = self
            .waves()
            .zip(&self.proving)
            .map(|((wave, tally), proving)| {
                let limit = wave.max_concurrent.at_least_one(tally.clusters);
                limit.saturating_sub(tally.in_change(*proving))
            })
            .collect();
        let mut waiting: Vec<(usize, &Member<T>)> = self
            .members
            .iter()
            .enumerate()
            .filter(|(i, _)| self.standings[*i] == Standing::Waiting)
            .filter(|(_, member)| member.wave < walk.open || member.failed_before && walk.open > 0)
            .collect();
        waiting.sort_by_key(|(_, member)| (!member.failed_before, member.wave));
        for (i, member) in waiting {
            if let Opening::Closed(opens) = member.opening {
                walk.window(member.wave, opens);
                continue;
            }
            let Some(room) = room.get_mut(member.wave).filter(|room| **room > 0) else {
                continue;
            };
            if !member.counted {
                if cap == 0 {
                    walk.capped = true;
                    continue;
                }
                cap -= 1;
            }
            *room -= 1;
            let must_prove = self.facts.strategy.gate.run == GateRun::Now
                && !self.facts.completed
                && !member.proven;
            if must_prove {
                picked.prove.push(i);
            } else {
                picked.release.push(i);
            }
        }
        picked
    }

    fn named(&self, picked: &[usize]) -> Vec<T> {
        picked.iter().map(|i| self.members[*i].cluster).collect()
    }

    fn stands(&self, walk: &Walk) -> Vec<WaveStand> {
        self.waves()
            .enumerate()
            .filter(|(_, (_, tally))| tally.clusters > 0)
            .map(|(index, (wave, tally))| {
                let mut waits = walk
                    .waits
                    .as_ref()
                    .filter(|(at, _)| *at == index)
                    .map(|(_, waits)| waits.clone());
                if waits.is_none() && walk.capped && index < walk.open && tally.waiting > 0 {
                    waits = Some(Waits::Cap);
                }
                WaveStand {
                    name: wave.name.clone(),
                    clusters: tally.clusters,
                    done: tally.done,
                    running: tally.running,
                    proof: tally.proof,
                    failed: tally.failed,
                    may_fail: wave.max_failures.at_most(tally.clusters),
                    away: tally.away,
                    since: self.facts.progress.done.get(&wave.name).copied(),
                    open: index < walk.open,
                    waits,
                }
            })
            .collect()
    }
}

/// By index of the member.
#[derive(Default)]
struct Picked {
    prove: Vec<usize>,
    release: Vec<usize>,
}

#[derive(Default)]
struct Walk {
    /// Waves whose clusters may be released: all before this index.
    open: usize,
    /// What is waited for, and by which wave.
    waits: Option<(usize, Waits)>,
    done: Option<String>,
    all_done: bool,
    capped: bool,
    look_again: Option<Timestamp>,
}

impl Walk {
    fn wait(&mut self, wave: usize, waits: Waits) {
        self.waits = Some((wave, waits));
        self.all_done = false;
    }

    fn window(&mut self, wave: usize, opens: Option<Timestamp>) {
        self.look_again = [self.look_again, opens].into_iter().flatten().min();
        let sooner = match &self.waits {
            Some((_, Waits::Window(known))) => match (known, opens) {
                (Some(known), Some(opens)) => opens < *known,
                (None, Some(_)) => true,
                _ => false,
            },
            Some(_) => false,
            None => true,
        };
        if sooner {
            self.waits = Some((wave, Waits::Window(opens)));
        }
    }
}
