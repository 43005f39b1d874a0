//! The rollout's step: who may have the revision that goes out now, and what is rendered for them.

use super::standing::proof_id;
use super::{Changed, FleetIndex, Good, Member, News, Released, SegmentState};
use crate::assignment::{Assignment, Controls, Entry, Hold, OrderNumber, Rendered};
use crate::finding::{Code, Finding};
use crate::ids::{ClusterName, SegmentKey};
use crate::placement::ClusterView;
use crate::render::{render, render_key};
use crate::report;
use crate::rollout::{
    self, By, Decision, Exceeded, Facts, Halt, MAX_REASON_BYTES, Standing, rollout,
};
use crate::run_order::{RunOrder, RunPurpose};
use crate::segment::HouseDefaults;
use jiff::Timestamp;
use segment_crds::rollout::OnFailure;
use std::sync::Arc;

impl FleetIndex {
    /// Time has passed: deadlines, settle times, silence. Call it about once a second.
    pub fn tick(&mut self, now: Timestamp) -> Changed {
        let mut changed = Changed::default();
        let due: Vec<SegmentKey> = self
            .segments
            .values()
            .filter(|segment| segment.look_again.is_some_and(|at| at <= now))
            .map(|segment| segment.key.clone())
            .collect();
        self.dirty.extend(due);
        self.expire_run_orders(now, &mut changed);
        if self.cap_left() > 0 {
            self.wake_capped();
        }
        changed.extend(self.settle(now));
        changed
    }

    /// Moves the rollouts of all Segments on that events have touched. Events of one moment are settled together, so
    /// that ten thousand acknowledgements of one revision are one step and not ten thousand.
    pub fn settle(&mut self, now: Timestamp) -> Changed {
        let mut changed = Changed::default();
        for key in std::mem::take(&mut self.dirty) {
            self.advance(&key, now, &mut changed);
        }
        changed
    }

    /// Moves one Segment's rollout on.
    fn advance(&mut self, key: &SegmentKey, now: Timestamp, changed: &mut Changed) {
        let Some(names) = self.segments.get(key).map(|segment| {
            segment
                .members
                .iter()
                .filter(|(_, member)| member.is_selected())
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        }) else {
            return;
        };
        if let Some(segment) = self.segments.get_mut(key)
            && segment.hold_ends.is_some_and(|ends| ends <= now)
        {
            // The hold is over: entries are made without it.
            segment.hold_ends = None;
            segment.forget_entries();
        }
        let mut members = Vec::with_capacity(names.len());
        for (i, name) in names.iter().enumerate() {
            members.push(self.member_of(key, i, name, now, changed));
        }
        let cap = self.cap_without(key, &names);
        let deadline = self.deadline(key);
        let Some(segment) = self.segments.get(key) else {
            return;
        };
        if segment.target().is_none() {
            self.seek_and_store(key, changed);
            return;
        }
        let decision = rollout(
            &members,
            &Facts {
                strategy: &segment.strategy,
                progress: &segment.ops.rollout,
                stored: segment.is_stored(),
                completed: segment.has_completed(),
                paused: segment.is_paused(),
                cap,
                deadline,
                now,
            },
        );
        self.let_go(key, &names, &members, &decision, now, changed);
        self.note_changing(key, &names, &decision);
        self.record(key, &names, &decision, now, changed);
        self.carry_joined(key, &names, &members, now, changed);
        self.seek_and_store(key, changed);
        let unheard = members
            .iter()
            .any(|member| member.standing == Standing::Unheard);
        // The window after a start in which the unheard count as in change ends by time alone.
        let window = unheard
            .then(|| self.started.checked_add(self.settings.stale_after).ok())
            .flatten();
        let version = self.bump();
        if decision.capped {
            self.capped.insert(key.clone());
        }
        let Some(segment) = self.segments.get_mut(key) else {
            return;
        };
        let held_until = segment.ops.held(now).and_then(|hold| hold.until);
        segment.hold_ends = held_until;
        segment.look_again = [decision.look_again, window, held_until]
            .into_iter()
            .flatten()
            .min();
        if segment.progress != decision.progress || segment.waves != decision.waves {
            segment.progress = decision.progress;
            segment.waves = decision.waves;
            segment.version = version;
        }
        changed.segments.insert(key.clone());
    }

    /// One member as the rollout sees it.
    fn member_of(
        &mut self,
        key: &SegmentKey,
        i: usize,
        name: &ClusterName,
        now: Timestamp,
        changed: &mut Changed,
    ) -> rollout::Member<usize> {
        let (standing, proven) = self.standing(key, name, now, changed);
        let segment = self.segments.get(key);
        let member = segment.and_then(|segment| segment.members.get(name));
        let cluster = self.clusters.get(name);
        let opening = match segment {
            Some(segment) if !segment.has_completed() => segment.strategy.opening(
                cluster.and_then(|cluster| cluster.view.time_zone.as_deref()),
                now,
            ),
            _ => rollout::Opening::Open,
        };
        let others = cluster.map_or(0, |cluster| cluster.changing)
            - u32::from(member.is_some_and(|member| member.in_change));
        rollout::Member {
            cluster: i,
            standing,
            wave: match (segment, cluster) {
                (Some(segment), Some(cluster)) => segment.strategy.wave_of(&cluster.view.labels),
                _ => 0,
            },
            proven,
            failed_before: member.is_some_and(|member| member.failed_before),
            opening,
            counted: others > 0,
        }
    }

    /// Releases, and orders proofs.
    fn let_go(
        &mut self,
        key: &SegmentKey,
        names: &[ClusterName],
        members: &[rollout::Member<usize>],
        decision: &Decision<usize>,
        now: Timestamp,
        changed: &mut Changed,
    ) {
        let version = self.bump();
        let Some(segment) = self.segments.get_mut(key) else {
            return;
        };
        let Some(revision) = segment.revision() else {
            return;
        };
        let begins = !decision.release.is_empty()
            && members.iter().all(|member| {
                matches!(
                    member.standing,
                    Standing::Waiting | Standing::Away | Standing::Withheld
                )
            });
        if begins && !segment.has_completed() {
            changed.news.push(News {
                key: key.clone(),
                uid: segment.uid,
                reason: "RolloutStarted",
                about: revision.short(),
                message: format!(
                    "revision {} goes out to {} clusters",
                    revision.short(),
                    names.len()
                ),
                warning: false,
            });
        }
        for i in &decision.release {
            if let Some(member) = segment.members.get_mut(&names[*i]) {
                member.released = Some(Released { revision, at: now });
                member.sent = member.released;
                if member.held.map(|held| held.revision) != Some(revision) {
                    // What it said of this revision was said before it held another.
                    member.answered = false;
                }
                member.ordered = true;
                member.joined = false;
                member.refused = None;
                member.version = version;
                changed.desired(&names[*i], key.hash());
            }
        }
        let orders: Vec<(ClusterName, RunOrder)> = decision
            .prove
            .iter()
            .filter_map(|i| Some((names[*i].clone(), proof_of(segment, &names[*i], now)?)))
            .collect();
        for (name, order) in orders {
            changed.extend(self.order_run(&name, order, now));
        }
    }

    /// Counts who is in change, for the fleet-wide cap.
    fn note_changing(
        &mut self,
        key: &SegmentKey,
        names: &[ClusterName],
        decision: &Decision<usize>,
    ) {
        for (name, changes) in names.iter().zip(&decision.changing) {
            self.set_changing(key, name, *changes);
        }
    }

    /// Puts on record what must last.
    fn record(
        &mut self,
        key: &SegmentKey,
        names: &[ClusterName],
        decision: &Decision<usize>,
        now: Timestamp,
        changed: &mut Changed,
    ) {
        let defaults = self.defaults.clone();
        let Some(segment) = self.segments.get_mut(key) else {
            return;
        };
        let Some(revision) = segment.revision() else {
            return;
        };
        let uid = segment.uid;
        let mut tell = |reason, about: &str, message, warning| {
            changed.news.push(News {
                key: key.clone(),
                uid,
                reason,
                about: about.to_owned(),
                message,
                warning,
            });
        };
        if let Some(wave) = &decision.done {
            segment.ops.rollout.done.insert(wave.clone(), now);
            segment.ops_version += 1;
            tell(
                "WaveDone",
                wave,
                format!("wave {wave} has revision {}", revision.short()),
                false,
            );
        }
        if decision.completes {
            segment.ops.completed = Some(revision);
            segment.ops.rollout.halted = None;
            segment.ops_version += 1;
            tell(
                "RolloutCompleted",
                &revision.short(),
                format!(
                    "every cluster that can be reached has revision {}",
                    revision.short()
                ),
                false,
            );
        }
        let Some(exceeded) = decision
            .exceeded
            .as_ref()
            .filter(|_| segment.ops.rollout.halted.is_none())
        else {
            return;
        };
        let cause = cause(segment, exceeded, &names[exceeded.example]);
        segment.ops_version += 1;
        let back = segment.ops.completed.filter(|completed| {
            segment.strategy.on_failure == OnFailure::Rollback && *completed != revision
        });
        let by = By {
            at: now,
            ..By::default()
        };
        let newest = segment.good.as_ref().map(|good| good.revision);
        if let (Some(to), Some(newest)) = (back, newest) {
            tell(
                "RolledBack",
                &to.short(),
                format!("back to revision {}: {cause}", to.short()),
                true,
            );
            segment.ops.go_back(newest, to, by, cause);
            segment.retarget(&defaults, now);
            segment.forget_entries();
            self.dirty.insert(key.clone());
            return;
        }
        tell("RolloutHalted", &revision.short(), cause.clone(), true);
        let kind = match segment.strategy.on_failure {
            OnFailure::Abort => OnFailure::Abort,
            OnFailure::Pause | OnFailure::Rollback => OnFailure::Pause,
        };
        segment.ops.rollout.halted = Some(Halt { kind, cause, by });
    }

    /// A cluster that holds nothing and has to wait for its turn gets the last revision that was complete, at once.
    fn carry_joined(
        &mut self,
        key: &SegmentKey,
        names: &[ClusterName],
        members: &[rollout::Member<usize>],
        now: Timestamp,
        changed: &mut Changed,
    ) {
        for (i, name) in names.iter().enumerate() {
            let Some(segment) = self.segments.get(key) else {
                return;
            };
            let Some(member) = segment.members.get(name) else {
                continue;
            };
            let target = segment.revision();
            let released = member
                .released
                .is_some_and(|released| Some(released.revision) == target);
            if released {
                continue;
            }
            let waits = matches!(
                members[i].standing,
                Standing::Waiting | Standing::Proving(_) | Standing::Failed
            );
            let joins = (member.joined || member.held.is_none() && waits && !segment.is_paused())
                && segment.ops.completed != target;
            let wanted = match (&member.held, joins) {
                (Some(held), _) if held.uid == segment.uid => Some(held.revision),
                (None, true) => segment.ops.completed,
                _ => None,
            }
            .filter(|wanted| Some(*wanted) != target);
            let joins = joins && member.held.is_none();
            let made = wanted.and_then(|wanted| self.older_entry(key, name, wanted, now));
            let Some(member) = self
                .segments
                .get_mut(key)
                .and_then(|segment| segment.members.get_mut(name))
            else {
                continue;
            };
            let before = member.older.as_ref().map(|entry| entry.id());
            let after = made.as_ref().map(|entry| entry.id());
            if joins && made.is_some() {
                member.joined = true;
                member.ordered = true;
            }
            member.older = made;
            if before != after {
                changed.desired(name, key.hash());
            }
        }
    }

    fn older_entry(
        &mut self,
        key: &SegmentKey,
        name: &ClusterName,
        wanted: crate::ids::Revision,
        now: Timestamp,
    ) -> Option<Arc<Entry>> {
        let cluster = self.clusters.get(name)?;
        let segment = self.segments.get_mut(key)?;
        if let Some(made) = segment
            .members
            .get(name)
            .and_then(|member| member.older.as_ref())
            .filter(|made| made.assignment.revision == wanted)
        {
            return Some(Arc::clone(made));
        }
        let good = segment.earlier(wanted, &self.defaults)?;
        let rendered = rendered(segment, &good, &cluster.view, &self.defaults).ok()?;
        Some(entry_of(segment, name, &good, rendered, now))
    }

    /// Hands out what is to be looked up and to be stored.
    fn seek_and_store(&mut self, key: &SegmentKey, changed: &mut Changed) {
        let Some(segment) = self.segments.get_mut(key) else {
            return;
        };
        if segment.lacks_earlier() {
            segment.sought = true;
            changed.sought.insert(key.clone());
        }
        if segment.ops_sent < segment.ops_version {
            segment.ops_sent = segment.ops_version;
            changed.operations.insert(key.clone());
        }
    }

    /// The entry of the revision that goes out, for one cluster: `Ok(None)` where there is nothing to render.
    ///
    /// # Errors
    /// The findings, where it can't be rendered for this cluster.
    pub(super) fn newest_entry(
        &mut self,
        key: &SegmentKey,
        name: &ClusterName,
        now: Timestamp,
    ) -> Result<Option<Arc<Entry>>, Vec<Finding>> {
        let Some(cluster) = self.clusters.get(name) else {
            return Ok(None);
        };
        let Some(segment) = self.segments.get_mut(key) else {
            return Ok(None);
        };
        let Some(target) = segment.target().cloned() else {
            return Ok(None);
        };
        if let Some(entry) = segment
            .members
            .get(name)
            .and_then(|member| member.entry.clone())
        {
            return Ok(Some(entry));
        }
        let rendered = rendered(segment, &target, &cluster.view, &self.defaults)?;
        self.check_collision(key, name, &rendered)?;
        Ok(self
            .segments
            .get(key)
            .map(|segment| entry_of(segment, name, &target, rendered, now)))
    }

    /// Two Segments on one CronJob of one cluster: the one that holds it keeps it, else the older; the other has a finding.
    fn check_collision(
        &self,
        key: &SegmentKey,
        name: &ClusterName,
        rendered: &Rendered,
    ) -> Result<(), Vec<Finding>> {
        let Some(cluster) = self.clusters.get(name) else {
            return Ok(());
        };
        let place = |r: &Rendered| (r.template().namespace.clone(), r.template().name.clone());
        let mine = place(rendered);
        // Two keys meet on one place only through targetNamespace or a shortened name: the few with that place.
        let ours = self.segments.get(key);
        for other_key in cluster.segments.iter().filter(|other| *other != key) {
            let Some(other) = self.segments.get(other_key) else {
                continue;
            };
            let Some(member) = other
                .members
                .get(name)
                .filter(|member| member.is_selected())
            else {
                continue;
            };
            let Some(entry) = &member.entry else { continue };
            if place(&entry.assignment.rendered) != mine {
                continue;
            }
            let holds = |segment: Option<&SegmentState>, member: Option<&Member>| {
                segment.is_some()
                    && member.is_some_and(|m| m.held.is_some() || m.released.is_some())
            };
            let we_hold = holds(ours, ours.and_then(|s| s.members.get(name)));
            let they_hold = holds(Some(other), Some(member));
            let older = ours.is_some_and(|s| (s.created, &s.key) < (other.created, &other.key));
            if (they_hold && !we_hold) || (they_hold == we_hold && !older) {
                return Err(vec![
                    Finding::error(
                        Code::Collision,
                        "metadata.name",
                        format!(
                            "segment {other_key} has CronJob {}/{} on this cluster",
                            mine.0, mine.1
                        ),
                    )
                    .help("give one of them another name or spec.targetNamespace"),
                ]);
            }
        }
        Ok(())
    }
}

/// What failed, in words: how many, of which wave, and what one of them said.
fn cause(segment: &SegmentState, exceeded: &Exceeded<usize>, example: &ClusterName) -> String {
    let where_ = exceeded
        .wave
        .as_ref()
        .map(|wave| format!(" in wave {wave}"))
        .unwrap_or_default();
    let said = segment
        .members
        .get(example)
        .map(Member::failure)
        .unwrap_or_default();
    let cause = format!(
        "{} clusters failed{where_}, {} may; {example}: {said}",
        exceeded.failed, exceeded.may_fail
    );
    report::cut(&cause, MAX_REASON_BYTES)
}

/// The order of a cluster's proof run.
fn proof_of(segment: &SegmentState, name: &ClusterName, now: Timestamp) -> Option<RunOrder> {
    let entry = segment.members.get(name)?.entry.as_ref()?;
    Some(RunOrder {
        id: proof_id(segment, name)?,
        purpose: RunPurpose::Proof,
        key: segment.key.clone(),
        uid: segment.uid,
        revision: entry.assignment.revision,
        rendered: entry.assignment.rendered.clone(),
        start_before: now.checked_add(segment.strategy.gate.timeout).ok()?,
        deadline: None,
    })
}

fn entry_of(
    segment: &SegmentState,
    name: &ClusterName,
    good: &Good,
    rendered: Rendered,
    now: Timestamp,
) -> Arc<Entry> {
    let newest = segment.good.as_ref().unwrap_or(good);
    Arc::new(Entry {
        assignment: Assignment {
            key: segment.key.clone(),
            uid: good.parsed.uid,
            number: OrderNumber {
                generation: newest.parsed.generation,
                order: segment.ops.order,
            },
            revision: good.revision,
            rendered,
            modes: newest.modes,
        },
        controls: Controls {
            hold: segment
                .ops
                .held(now)
                .map(|hold| (hold.until_on(name), hold))
                .filter(|(until, _)| until.is_none_or(|until| until > now))
                .map(|(until, hold)| Hold {
                    until,
                    reason: hold.by.words(),
                }),
        },
        removing: None,
    })
}

fn rendered(
    segment: &mut SegmentState,
    good: &Good,
    view: &ClusterView,
    defaults: &HouseDefaults,
) -> Result<Rendered, Vec<Finding>> {
    let key = (good.revision, render_key(&good.parsed, view));
    if let Some(rendered) = segment.rendered.get(&key) {
        return rendered.clone();
    }
    let rendered = render(&good.parsed, defaults, view);
    segment.rendered.insert(key, rendered.clone());
    rendered
}
