//! Which clusters may have the newest revision now.
//!
//! In: one [`Member`] for each selected cluster, the [`Strategy`], the time. Out: whom to release, and how it stands.
//! Law: at no step are more clusters in change than allowed, a restart in the middle included; a cluster that is away
//! neither blocks nor counts as failed (`tests/laws.rs`).
//! Not: waves, gates, windows (they come with the rollout field); what a release sends (`index`).

use jiff::{SignedDuration, Timestamp};

/// How a revision goes out. The default is that of an absent `spec.rollout`: one wave, 25 % at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strategy {
    /// Percent of the selected clusters that may be in change at once; rounded up, at least one.
    pub max_concurrent_percent: u32,
    /// Clusters that may fail before it stops.
    pub max_failures: u32,
    /// A cluster that has not confirmed this long after its release has failed.
    pub progress_deadline: SignedDuration,
}

impl Default for Strategy {
    fn default() -> Self {
        Self {
            max_concurrent_percent: 25,
            max_failures: 0,
            progress_deadline: SignedDuration::from_secs(600),
        }
    }
}

impl Strategy {
    /// How many of `selected` clusters may be in change at once. Rounded up, as Kubernetes does with `maxSurge`.
    pub fn max_concurrent(&self, selected: usize) -> usize {
        (selected * self.max_concurrent_percent as usize)
            .div_ceil(100)
            .max(1)
    }
}

/// Where one selected cluster stands with regard to the newest revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has been ordered (or was found holding it) since this time, and has not confirmed.
    Released(Timestamp),
    /// It holds the newest revision and said so.
    Confirmed,
    /// It was released and reports that it can't.
    Failed,
    /// It waits for its turn.
    Waiting,
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
    /// It failed the revision before this one: a fix goes there first.
    pub failed_before: bool,
}

/// How a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Everyone that can be reached has it.
    Completed,
    /// It goes on.
    Progressing,
    /// More failed than may.
    FailuresExceeded,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<T> {
    /// Release these.
    pub release: Vec<T>,
    /// How it stands once that is done.
    pub progress: Progress,
    /// Look again at this time, if nothing happens before: the next progress deadline.
    pub look_again: Option<Timestamp>,
}

/// Decides whom to release.
pub fn rollout<T: Copy>(members: &[Member<T>], strategy: &Strategy, now: Timestamp) -> Decision<T> {
    let overdue = |since: Timestamp| now.duration_since(since) >= strategy.progress_deadline;
    let mut in_change = 0_usize;
    let mut failed = 0_u32;
    let mut look_again: Option<Timestamp> = None;
    for member in members {
        match member.standing {
            Standing::Released(since) if overdue(since) => failed += 1,
            Standing::Released(since) => {
                in_change += 1;
                if let Ok(deadline) = since.checked_add(strategy.progress_deadline) {
                    look_again = Some(look_again.map_or(deadline, |t| t.min(deadline)));
                }
            }
            Standing::Unheard => in_change += 1,
            Standing::Failed => failed += 1,
            Standing::Confirmed | Standing::Waiting | Standing::Away | Standing::Withheld => {}
        }
    }
    let mut waiting: Vec<&Member<T>> = members
        .iter()
        .filter(|member| member.standing == Standing::Waiting)
        .collect();
    if failed > strategy.max_failures {
        return Decision {
            release: Vec::new(),
            progress: Progress::FailuresExceeded,
            look_again,
        };
    }
    // What can't be released (paused, unrenderable, not yet under our finalizer) does not block the others, but a rollout
    // that lacks it is not complete.
    let withheld = members
        .iter()
        .any(|member| member.standing == Standing::Withheld);
    let completed = waiting.is_empty() && in_change == 0 && !withheld;
    waiting.sort_by_key(|member| !member.failed_before);
    let budget = strategy
        .max_concurrent(members.len())
        .saturating_sub(in_change);
    let release: Vec<T> = waiting
        .into_iter()
        .take(budget)
        .map(|member| member.cluster)
        .collect();
    if !release.is_empty()
        && let Ok(deadline) = now.checked_add(strategy.progress_deadline)
    {
        look_again = Some(look_again.map_or(deadline, |t| t.min(deadline)));
    }
    Decision {
        release,
        progress: if completed {
            Progress::Completed
        } else {
            Progress::Progressing
        },
        look_again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn members(standings: &[Standing]) -> Vec<Member<usize>> {
        standings
            .iter()
            .enumerate()
            .map(|(cluster, &standing)| Member {
                cluster,
                standing,
                failed_before: false,
            })
            .collect()
    }

    fn check(standings: &[Standing], release: &[usize], progress: Progress, why: &str) {
        let decision = rollout(&members(standings), &Strategy::default(), at(1_000));
        assert_eq!(
            (decision.release.as_slice(), decision.progress),
            (release, progress),
            "{why}"
        );
    }

    #[test]
    fn a_quarter_of_the_clusters_is_in_change_at_once_rounded_up() {
        use Standing::{Away, Confirmed, Failed, Released, Unheard, Waiting, Withheld};
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
            Progress::FailuresExceeded,
            "the first failure stops it",
        );
        check(
            &[Released(at(400)), Waiting],
            &[],
            Progress::FailuresExceeded,
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
    fn a_fix_goes_first_to_those_that_failed() {
        let mut all = members(&[Standing::Waiting; 4]);
        all[3].failed_before = true;
        let decision = rollout(&all, &Strategy::default(), at(0));
        assert_eq!(decision.release, [3]);
        assert_eq!(decision.look_again, Some(at(600)));
    }
}
