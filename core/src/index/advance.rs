//! The rollout's step: who may have the newest revision now, and what is rendered for them.

use super::{Changed, FleetIndex, Member, Released, SegmentState};
use crate::assignment::{Assignment, Controls, Entry, OrderNumber, Rendered};
use crate::finding::{Code, Finding};
use crate::ids::{ClusterName, SegmentKey};
use crate::placement::ClusterView;
use crate::render::{render, render_key};
use crate::rollout::{self, Standing, rollout};
use crate::segment::HouseDefaults;
use jiff::Timestamp;
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
        let mut members = Vec::with_capacity(names.len());
        for (i, name) in names.iter().enumerate() {
            let standing = self.standing(key, name, now, changed);
            let failed_before = self
                .segments
                .get(key)
                .and_then(|s| s.members.get(name))
                .is_some_and(|m| m.failed_before);
            members.push(rollout::Member {
                cluster: i,
                standing,
                failed_before,
            });
        }
        let decision = rollout(&members, &self.settings.strategy, now);
        let unheard = members
            .iter()
            .any(|member| member.standing == Standing::Unheard);
        let version = self.bump();
        let Some(segment) = self.segments.get_mut(key) else {
            return;
        };
        let Some(revision) = segment.revision() else {
            return;
        };
        for i in decision.release {
            if let Some(member) = segment.members.get_mut(&names[i]) {
                member.released = Some(Released { revision, at: now });
                member.ordered = true;
                member.refused = None;
                member.version = version;
                changed.desired(&names[i], key.hash());
            }
        }
        // The window after a start in which the unheard count as in change ends by time alone.
        let window = unheard
            .then(|| self.started.checked_add(self.settings.stale_after).ok())
            .flatten();
        segment.look_again = [decision.look_again, window].into_iter().flatten().min();
        if segment.progress != decision.progress {
            segment.progress = decision.progress;
            segment.version = version;
        }
        changed.segments.insert(key.clone());
    }

    /// Where one selected cluster stands; makes its entry on the way.
    fn standing(
        &mut self,
        key: &SegmentKey,
        name: &ClusterName,
        now: Timestamp,
        changed: &mut Changed,
    ) -> Standing {
        let made = self.newest_entry(key, name);
        let version = self.version + 1;
        let (Some(segment), Some(cluster)) = (self.segments.get_mut(key), self.clusters.get(name))
        else {
            return Standing::Withheld;
        };
        let revision = segment.revision();
        let paused =
            segment.deleting || !segment.finalizer || segment.is_paused() || cluster.view.paused;
        let Some(member) = segment.members.get_mut(name) else {
            return Standing::Withheld;
        };
        let entry = match made {
            Ok(Some(entry)) => entry,
            Ok(None) => return Standing::Withheld,
            Err(findings) => {
                if member.findings != findings {
                    member.findings = findings;
                    member.version = version;
                }
                return Standing::Withheld;
            }
        };
        if !member.findings.is_empty() {
            member.findings.clear();
            member.version = version;
        }
        let expected = entry.id();
        // An inventory first feeds the rollout: what holds the newest revision counts as released.
        if member
            .released
            .is_none_or(|released| Some(released.revision) != revision)
        {
            member.released = member
                .held
                .filter(|held| held.uid == expected.uid && Some(held.revision) == revision)
                .map(|held| Released {
                    revision: held.revision,
                    at: now,
                });
        }
        let before = member.expected.replace(expected);
        if before != Some(expected) {
            // Labels of the cluster, or modes, changed what it shall hold: under the released revision, at once.
            if before.is_some()
                && let Some(released) = &mut member.released
                && member.held != Some(expected)
            {
                released.at = now;
            }
            member.version = version;
            changed.desired(name, expected.key);
        }
        member.entry = Some(entry);
        member.ordered |= member.released.is_some();
        match member.released {
            Some(_) if member.confirmed() && member.held == Some(expected) => Standing::Confirmed,
            Some(_) if member.failed() => Standing::Failed,
            Some(released)
                if !cluster.is_connected()
                    && now.duration_since(released.at)
                        >= self.settings.strategy.progress_deadline =>
            {
                Standing::Away
            }
            Some(released) => Standing::Released(released.at),
            None if paused || cluster.went_back.is_some() => Standing::Withheld,
            None if cluster.is_connected() && cluster.inventory_known => Standing::Waiting,
            None if cluster.since.is_none()
                && now.duration_since(self.started) < self.settings.stale_after =>
            {
                Standing::Unheard
            }
            None => Standing::Away,
        }
    }

    /// The entry of the newest revision for one cluster: `Ok(None)` where there is nothing to render.
    ///
    /// # Errors
    /// The findings, where it can't be rendered for this cluster.
    pub(super) fn newest_entry(
        &mut self,
        key: &SegmentKey,
        name: &ClusterName,
    ) -> Result<Option<Arc<Entry>>, Vec<Finding>> {
        let Some(cluster) = self.clusters.get(name) else {
            return Ok(None);
        };
        let Some(segment) = self.segments.get_mut(key) else {
            return Ok(None);
        };
        let Some(good) = segment.good.clone() else {
            return Ok(None);
        };
        if let Some(entry) = segment
            .members
            .get(name)
            .and_then(|member| member.entry.clone())
        {
            return Ok(Some(entry));
        }
        let rendered = Self::rendered(segment, &cluster.view, &self.defaults)?;
        self.check_collision(key, name, &rendered)?;
        Ok(Some(Arc::new(Entry {
            assignment: Assignment {
                key: key.clone(),
                uid: good.parsed.uid,
                number: OrderNumber {
                    generation: good.parsed.generation,
                    order: 0,
                },
                revision: good.revision,
                rendered,
                modes: good.modes,
            },
            controls: Controls::default(),
            removing: None,
        })))
    }

    fn rendered(
        segment: &mut SegmentState,
        view: &ClusterView,
        defaults: &HouseDefaults,
    ) -> Result<Rendered, Vec<Finding>> {
        let Some(good) = &segment.good else {
            return Err(Vec::new());
        };
        let render_key = render_key(&good.parsed, view);
        if let Some(rendered) = segment.rendered.get(&render_key) {
            return rendered.clone();
        }
        let rendered = render(&good.parsed, defaults, view);
        segment.rendered.insert(render_key, rendered.clone());
        rendered
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
