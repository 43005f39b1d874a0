//! The rules of the Lease as functions of what was seen and the monotonic clock.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

/// Who holds or wants a Lease, written `<pod>/<instance id>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the Pod. One Pod of a name lives at a time, so an older instance of our own Pod is dead.
    pub pod: String,
    /// Random, new with each start of the process.
    pub instance: String,
}

impl Identity {
    /// Of a `holderIdentity`; without a slash all of it is the Pod's part.
    pub fn parse(text: &str) -> Self {
        let (pod, instance) = text.split_once('/').unwrap_or((text, ""));
        Self {
            pod: pod.to_owned(),
            instance: instance.to_owned(),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pod, self.instance)
    }
}

/// The periods of a Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    /// How long others wait after the last renewal that they saw. Whole seconds on the wire, rounded up.
    pub duration: Duration,
    /// How long after sending its last successful renewal the holder still counts itself as such. Shorter than
    /// `duration`: the gap is what a take-over is safe by.
    pub renew_deadline: Duration,
    /// Between renewals, and between looks of those who stand by.
    pub retry: Duration,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(8),
            renew_deadline: Duration::from_secs(5),
            retry: Duration::from_secs(1),
        }
    }
}

impl LeaseTimes {
    /// The duration as Kubernetes stores it.
    pub fn duration_seconds(&self) -> u64 {
        self.duration
            .as_millis()
            .div_ceil(1000)
            .try_into()
            .unwrap_or(u64::MAX)
            .max(1)
    }
}

/// What of the Lease object decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The holder; absent and empty are the same.
    pub holder: Option<Identity>,
    /// How long the holder asked others to wait.
    pub duration: Option<Duration>,
    /// When the holder last renewed, by its own clock: compared for change only.
    pub renew_time: Option<String>,
    /// How often the holder changed.
    pub transitions: u64,
    /// All annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Record {
    /// Reads the object. Fields of an unexpected kind count as absent: an empty Lease made by the chart is free.
    pub fn from_json(object: &Value) -> Self {
        let spec = &object["spec"];
        let text = |value: &Value| {
            value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let annotations = object["metadata"]["annotations"].as_object();
        Self {
            holder: text(&spec["holderIdentity"]).map(|text| Identity::parse(&text)),
            duration: spec["leaseDurationSeconds"]
                .as_u64()
                .map(Duration::from_secs),
            renew_time: text(&spec["renewTime"]),
            transitions: spec["leaseTransitions"].as_u64().unwrap_or(0),
            annotations: annotations
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
        }
    }

    /// Whether nothing was renewed between the two reads.
    pub fn same_tenure(&self, other: &Self) -> bool {
        (
            &self.holder,
            self.duration,
            &self.renew_time,
            self.transitions,
        ) == (
            &other.holder,
            other.duration,
            &other.renew_time,
            other.transitions,
        )
    }
}

/// A record, and since when we have seen no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// As last read.
    pub record: Record,
    /// When it was first read, by our own clock: clocks of others are not compared.
    pub since: Instant,
}

/// What we believe to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Not the holder.
    Standby,
    /// The holder, until the deadline of its last renewal.
    Holding {
        /// That deadline.
        until: Instant,
    },
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write ourselves in.
    Acquire,
    /// Write that we still hold it.
    Renew,
    /// Look again, at the latest at this moment.
    Wait {
        /// When the holder's time is over if it renews no more.
        until: Instant,
    },
    /// Stop acting as the holder, at once.
    StepDown(LossReason),
}

/// Why a Lease is not ours any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LossReason {
    /// No renewal succeeded in time.
    #[error("no renewal succeeded by the deadline")]
    Deadline,
    /// The object names another holder.
    #[error("taken by {0}")]
    TakenBy(Identity),
    /// The object names nobody: someone cleared it.
    #[error("the holder was cleared by someone else")]
    Cleared,
    /// We gave it back.
    #[error("given back")]
    Released,
}

/// The next step of one candidate.
pub fn decide(
    now: Instant,
    me: &Identity,
    times: &LeaseTimes,
    role: Role,
    seen: Option<&Seen>,
) -> Action {
    match (role, seen) {
        (Role::Standby, None) => Action::Wait {
            until: now + times.retry,
        },
        (Role::Standby, Some(seen)) => match &seen.record.holder {
            None => Action::Acquire,
            Some(holder) if holder.pod == me.pod => Action::Acquire,
            Some(_) => {
                let until = seen.since + seen.record.duration.unwrap_or(times.duration);
                if now < until {
                    Action::Wait { until }
                } else {
                    Action::Acquire
                }
            }
        },
        (Role::Holding { until }, _) if now >= until => Action::StepDown(LossReason::Deadline),
        (Role::Holding { .. }, None) => Action::Renew,
        (Role::Holding { .. }, Some(seen)) => match &seen.record.holder {
            Some(holder) if holder == me => Action::Renew,
            Some(other) => Action::StepDown(LossReason::TakenBy(other.clone())),
            None => Action::StepDown(LossReason::Cleared),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// What hub-0/aa does at second `now`, having last seen `holder` renew at second `since`.
    fn step(now: u64, held_until: Option<u64>, holder: &str, since: u64) -> String {
        let start = Instant::now();
        let at = |n: u64| start + seconds(n);
        let record = Record {
            holder: (!holder.is_empty()).then(|| Identity::parse(holder)),
            duration: Some(seconds(8)),
            ..Record::default()
        };
        let seen = Seen {
            record,
            since: at(since),
        };
        let role = held_until.map_or(Role::Standby, |n| Role::Holding { until: at(n) });
        let me = Identity::parse("hub-0/aa");
        match decide(at(now), &me, &LeaseTimes::default(), role, Some(&seen)) {
            Action::Acquire => "acquire".to_owned(),
            Action::Renew => "renew".to_owned(),
            Action::Wait { until } => format!("wait until {}", (until - start).as_secs()),
            Action::StepDown(reason) => reason.to_string(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_candidate_takes_what_is_free_or_its_own_or_over() {
        let rows = [
            (0, "", 0, "acquire", "free"),
            (
                0,
                "hub-0/old",
                0,
                "acquire",
                "an older instance of our Pod is dead",
            ),
            (
                0,
                "hub-0/aa",
                0,
                "acquire",
                "our own write whose answer was lost",
            ),
            (0, "hub-1/bb", 0, "wait until 8", "first seen now"),
            (7, "hub-1/bb", 0, "wait until 8", "not over yet"),
            (8, "hub-1/bb", 0, "acquire", "over by our clock"),
            (8, "hub-1/bb", 3, "wait until 11", "renewed meanwhile"),
        ];
        for (now, holder, since, action, why) in rows {
            assert_eq!(step(now, None, holder, since), action, "{why}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_renews_until_it_is_late_or_reads_somebody_else() {
        let late = "no renewal succeeded by the deadline";
        let rows = [
            (3, "hub-0/aa", "renew", "ours"),
            (
                5,
                "hub-0/aa",
                late,
                "too late, though the object still names us",
            ),
            (3, "hub-1/bb", "taken by hub-1/bb", "another holder"),
            (
                3,
                "hub-0/bb",
                "taken by hub-0/bb",
                "another instance under our Pod's name",
            ),
            (3, "", "the holder was cleared by someone else", "cleared"),
        ];
        for (now, holder, action, why) in rows {
            assert_eq!(step(now, Some(5), holder, 0), action, "{why}");
        }
    }

    #[test]
    fn an_empty_lease_of_the_chart_is_free() {
        assert_eq!(
            Record::from_json(&json!({"metadata": {"name": "a"}})),
            Record::default()
        );
        assert_eq!(
            Record::from_json(&json!({"spec": {"holderIdentity": ""}})),
            Record::default()
        );
    }

    #[test]
    fn durations_are_rounded_up_to_whole_seconds() {
        let rows = [(8_000, 8), (1_500, 2), (200, 1), (0, 1)];
        for (millis, stored) in rows {
            let times = LeaseTimes {
                duration: Duration::from_millis(millis),
                ..LeaseTimes::default()
            };
            assert_eq!(times.duration_seconds(), stored);
        }
    }
}
