//! `Run`: a Segment is run once on each of some clusters, and whoever asked is told how it goes.
//!
//! In: the request. Out: what was begun, each change, the summary. Law: what is wrong with the request is said before
//! anything is ordered; a listener that leaves stops nothing. Not: carrying it out (`users::runs`).

use super::{audit_change, reason};
use crate::users::access::Caller;
use crate::users::errors::{self, Reason};
use crate::users::filter;
use crate::users::runs::order::{Ask, Released, Unordered, released, rendered};
use crate::users::runs::{self, Campaigns, Refused, Running, Wish};
use crate::users::state::Services;
use crate::users::view::ordered_run as view;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jiff::{SignedDuration, Timestamp};
use segment_core::ids::{ClusterName, Namespace, SegmentKey, Uid};
use segment_core::render::{RenderKey, render_key};
use segment_core::run_order::campaign::{Campaign, run_id};
use segment_core::run_order::with_env::VARIABLES;
use segment_core::segment::HouseDefaults;
use segment_core::selector::Selector;
use segment_proto::limits::REAUTHORISE_PERIOD;
use segment_proto::v1::{RunRequest, RunResponse};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tonic::Status;

/// Longest request id, in characters.
const ID_MAX_CHARS: usize = 64;
/// Clusters that may be named in one request.
const NAMES: usize = 1_000;
/// Clusters that run at the same time when nothing is said.
const PARALLEL: u32 = 10;
/// Time for a start when nothing is said.
const START_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// Longest time that may be asked for.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);
/// Bytes of one variable's value: as the longest that a Segment may have.
const VALUE_MAX_BYTES: usize = 64 * 1024;

/// A request, read.
struct Wanted {
    key: SegmentKey,
    selector: Selector,
    names: BTreeSet<ClusterName>,
    max_parallel: usize,
    ask: Ask,
    asked: [u8; 32],
}

/// What is run where.
struct Chosen {
    /// Namespace of the Jobs.
    namespace: Namespace,
    /// The clusters, with what they hold where that can be run.
    clusters: Vec<(ClusterName, Option<Released>)>,
    /// Why nothing could be run there now.
    unordered: BTreeMap<ClusterName, Unordered>,
}

impl Services {
    pub(super) async fn run_now(
        &self,
        caller: Caller,
        request: RunRequest,
    ) -> Result<BoxStream<'static, Result<RunResponse, Status>>, Status> {
        let outcome = self.begin_runs(&caller, &request).await;
        let shown: String = request.segment.chars().take(256).collect();
        audit_change(
            &caller,
            "segment.run",
            format!("segment/{shown}"),
            &request.reason,
            request.validate_only,
            &outcome,
        );
        let (running, attached) = outcome?;
        if request.validate_only {
            let campaign = running.campaign();
            let told = vec![
                Ok(view::started(&running, &campaign, attached)),
                Ok(view::summary(&running, &campaign)),
            ];
            return Ok(stream::iter(told).boxed());
        }
        let seat = Arc::clone(&self.watches).try_acquire_owned().map_err(|_| {
            let message = "too many watches at the hub: the runs go on; attach again with the same request_id";
            errors::exhausted(Reason::TooManyWatches, "watches", message)
        })?;
        let first = view::started(&running, &running.campaign(), attached);
        let listener = Listener {
            services: self.clone(),
            caller,
            version: running.version(),
            told: 1,
            queue: VecDeque::from([first]),
            ended: false,
            ask_at: Instant::now() + REAUTHORISE_PERIOD,
            running,
            _seat: seat,
        };
        let told = stream::unfold(listener, |mut listener| async move {
            let next = listener.next().await?;
            Some((next, listener))
        });
        Ok(told.boxed())
    }

    async fn begin_runs(
        &self,
        caller: &Caller,
        request: &RunRequest,
    ) -> Result<(Arc<Running>, bool), Status> {
        reason(&request.reason)?;
        let wanted = wanted(request)?;
        self.access
            .authz()
            .require(
                &caller.user,
                &caller.row.right,
                Some(&wanted.key.namespace),
                Some(wanted.key.name.as_str()),
            )
            .await?;
        let uid = self.uid_of(&wanted.key)?;
        let request_id = match request.request_id.as_str() {
            "" => uuid::Uuid::new_v4().to_string(),
            id => id.to_owned(),
        };
        let refused = |refused| of_refused(refused, &request_id);
        if let Some(known) = self
            .campaigns
            .find(uid, &request_id, &wanted.asked)
            .map_err(refused)?
        {
            return Ok((known, true));
        }
        let now = Timestamp::now();
        let Chosen {
            namespace,
            clusters,
            unordered,
        } = self.chosen(&wanted, uid)?;
        let seat = self.seat_for_plans().await?;
        let env = wanted.ask.env.clone();
        let defaults = self.fleet().index().defaults().clone();
        // Each distinct rendering once: one variable may be wrong on some clusters only.
        let judged = tokio::task::spawn_blocking(move || judge(&clusters, &defaults, &env, now));
        let names = judged.await.map_err(|_| super::plan::gone())??;
        drop(seat);
        let validate_only = request.validate_only;
        let turns = names.into_iter().map(|name| {
            let id = run_id(&request_id, uid, &name);
            // What is not ready now may be when its turn comes; a preview says how it is now.
            let why = unordered
                .get(&name)
                .filter(|_| validate_only)
                .map(|why| (why.reason.to_owned(), why.message.clone()));
            (name, id, why)
        });
        let campaign = Campaign::new(turns, wanted.max_parallel, wanted.ask.start_within, now);
        let clusters = campaign.turns().len();
        let wish = Wish {
            request_id: request_id.clone(),
            key: wanted.key.clone(),
            uid,
            namespace,
            asked: wanted.asked,
            ask: wanted.ask,
        };
        let registry = if validate_only {
            &Campaigns::default()
        } else {
            &*self.campaigns
        };
        let (running, new) = registry.begin(wish, campaign, now).map_err(refused)?;
        if new && !validate_only {
            runs::start(Arc::clone(&running), self.fleet().clone(), &self.tasks);
            self.note_runs(caller, &wanted.key, uid, clusters, &request.reason);
        }
        Ok((running, !new))
    }

    pub(super) fn uid_of(&self, key: &SegmentKey) -> Result<Uid, Status> {
        let index = self.fleet().index();
        let segment = index.segments().get(key).filter(|found| !found.deleting);
        segment
            .map(|segment| segment.uid)
            .ok_or_else(|| errors::not_found("segment", &key.to_string()))
    }

    /// The clusters that are asked for, with what they hold, or why nothing can be run there now.
    fn chosen(&self, wanted: &Wanted, uid: Uid) -> Result<Chosen, Status> {
        let index = self.fleet().index();
        let found = index.segments().get(&wanted.key);
        let Some((segment, good)) = found.and_then(|found| Some((found, found.good.as_ref()?)))
        else {
            return Err(errors::not_found("segment", &wanted.key.to_string()));
        };
        let selected = |name: &ClusterName| {
            segment
                .members
                .get(name)
                .is_some_and(segment_core::index::Member::is_selected)
        };
        if let Some(name) = wanted.names.iter().find(|name| !selected(name)) {
            let message = format!("segment {} is not on cluster {name}", wanted.key);
            return Err(errors::invalid(Reason::InvalidValue, "clusters", message));
        }
        let mut chosen = Chosen {
            namespace: good.parsed.target_namespace.clone(),
            clusters: Vec::new(),
            unordered: BTreeMap::new(),
        };
        for (name, cluster) in index.clusters() {
            if !selected(name)
                || !(wanted.names.is_empty() || wanted.names.contains(name))
                || !wanted.selector.matches(&cluster.view.labels)
            {
                continue;
            }
            let held = released(&index, &wanted.key, uid, name);
            if !(cluster.is_connected() && cluster.inventory_known) {
                let why = Unordered {
                    reason: "Offline",
                    message: format!(
                        "its agent is not connected; it runs only if it is within {}",
                        wanted.ask.start_within
                    ),
                };
                chosen.unordered.insert(name.clone(), why);
            } else if let Err(why) = &held {
                chosen.unordered.insert(name.clone(), why.clone());
            }
            chosen.clusters.push((name.clone(), held.ok()));
        }
        if chosen.clusters.is_empty() {
            let message = format!("selects none of the clusters that {} is on", wanted.key);
            return Err(errors::invalid(
                Reason::InvalidValue,
                "cluster_selector",
                message,
            ));
        }
        Ok(chosen)
    }

    /// Leaves the Event.
    fn note_runs(
        &self,
        caller: &Caller,
        key: &SegmentKey,
        uid: Uid,
        clusters: usize,
        reason: &str,
    ) {
        let why = if reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        };
        let note = format!(
            "{} runs it once on {clusters} clusters{why}",
            caller.user.name
        );
        let (events, key) = (self.events.clone(), key.clone());
        self.tasks.spawn_child("event", async move {
            events.tell(&key, uid, "RunOrdered", "Run", &note).await;
        });
    }
}

/// All clusters, or what is wrong with a variable on the first where something is.
fn judge(
    chosen: &[(ClusterName, Option<Released>)],
    defaults: &HouseDefaults,
    env: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<Vec<ClusterName>, Status> {
    let mut seen: BTreeSet<RenderKey> = BTreeSet::new();
    for (name, released) in chosen {
        let Some(released) = released.as_ref().filter(|_| !env.is_empty()) else {
            continue;
        };
        if !seen.insert(render_key(&released.parsed, &released.view).without_h()) {
            continue;
        }
        if let Err(mut finding) = rendered(released, defaults, env, now) {
            finding.message = format!("{} (on cluster {name})", finding.message);
            return Err(errors::finding(Reason::InvalidValue, &finding));
        }
    }
    Ok(chosen.iter().map(|(name, _)| name.clone()).collect())
}

fn of_refused(refused: Refused, request_id: &str) -> Status {
    match refused {
        Refused::OtherRequest => {
            let message =
                format!("{request_id} is the id of a request that asked for something else");
            errors::invalid(Reason::InvalidValue, "request_id", message)
        }
        Refused::TooMany => errors::exhausted(
            Reason::TooManyRuns,
            "runs",
            format!(
                "{} requests to run are being carried out: wait for one to end",
                runs::CAMPAIGNS
            ),
        ),
    }
}

fn wanted(request: &RunRequest) -> Result<Wanted, Status> {
    let invalid = |field: &str, message: String| {
        Err::<(), _>(errors::invalid(Reason::InvalidValue, field, message))
    };
    if request.request_id.chars().count() > ID_MAX_CHARS {
        invalid(
            "request_id",
            format!("has more than {ID_MAX_CHARS} characters"),
        )?;
    }
    if request.clusters.len() > NAMES {
        invalid(
            "clusters",
            format!("has more than {NAMES} names: use cluster_selector"),
        )?;
    }
    if request.env.len() > VARIABLES {
        invalid("env", format!("has more than {VARIABLES} variables"))?;
    }
    for (name, value) in &request.env {
        if value.len() > VALUE_MAX_BYTES {
            invalid(
                &format!("env.{name}"),
                format!("has more than {VALUE_MAX_BYTES} bytes"),
            )?;
        }
    }
    let key = filter::segment("segment", &request.segment)?;
    let selector = filter::selector("cluster_selector", &request.cluster_selector)?;
    let names = request
        .clusters
        .iter()
        .map(|name| filter::cluster("clusters", name))
        .collect::<Result<BTreeSet<_>, _>>()?;
    let max_parallel = match request.max_parallel {
        0 => PARALLEL,
        given => given,
    };
    let ask = Ask {
        env: request.env.clone().into_iter().collect(),
        start_within: time("start_within", request.start_within.as_ref())?.unwrap_or(START_WITHIN),
        deadline: time("deadline", request.deadline.as_ref())?,
    };
    let asked = format!(
        "{:?}",
        (&key, &request.cluster_selector, &names, max_parallel, &ask)
    );
    Ok(Wanted {
        key,
        selector,
        names,
        max_parallel: usize::try_from(max_parallel).unwrap_or(usize::MAX),
        ask,
        asked: Sha256::digest(asked.as_bytes()).into(),
    })
}

fn time(
    field: &str,
    given: Option<&segment_proto::Duration>,
) -> Result<Option<SignedDuration>, Status> {
    let Some(given) = given else { return Ok(None) };
    let time = SignedDuration::from_secs(given.seconds)
        .saturating_add(SignedDuration::from_nanos(i64::from(given.nanos)));
    if time < SignedDuration::from_secs(1) || time > LONGEST {
        let message = format!("must be between 1s and {LONGEST}");
        return Err(errors::invalid(Reason::InvalidValue, field, message));
    }
    Ok(Some(time))
}

/// One caller that is told how it goes.
struct Listener {
    services: Services,
    caller: Caller,
    running: Arc<Running>,
    version: watch::Receiver<u64>,
    /// Version of the campaign that was told.
    told: u64,
    queue: VecDeque<RunResponse>,
    ended: bool,
    ask_at: Instant,
    _seat: OwnedSemaphorePermit,
}

impl Listener {
    async fn next(&mut self) -> Option<Result<RunResponse, Status>> {
        loop {
            if let Some(message) = self.queue.pop_front() {
                return Some(Ok(message));
            }
            if self.ended {
                return None;
            }
            self.version.mark_unchanged();
            self.look();
            if !self.queue.is_empty() {
                continue;
            }
            tokio::select! {
                biased;
                () = self.services.shutdown.cancelled() => {
                    self.ended = true;
                    let message = "this hub's process is ending: ask again with the same request_id";
                    return Some(Err(errors::unavailable(Reason::ShuttingDown, message, None)));
                }
                () = tokio::time::sleep_until(self.ask_at) => {
                    if let Err(status) = self.ask_again().await {
                        self.ended = true;
                        return Some(Err(status));
                    }
                }
                // The driver keeps its sender as long as this holds the campaign.
                _ = self.version.changed() => {}
            }
        }
    }

    /// What changed since the last look; of a run that changed twice the last.
    fn look(&mut self) {
        let campaign = self.running.campaign();
        let changed = campaign
            .turns()
            .iter()
            .filter(|(_, turn)| turn.version > self.told);
        self.queue
            .extend(changed.map(|(name, turn)| view::change(&self.running, &campaign, name, turn)));
        self.told = campaign.version();
        if campaign.is_over() {
            self.queue
                .push_back(view::summary(&self.running, &campaign));
            self.ended = true;
        }
    }

    async fn ask_again(&mut self) -> Result<(), Status> {
        self.ask_at = Instant::now() + REAUTHORISE_PERIOD;
        let access = &self.services.access;
        let user = access
            .authn()
            .user(&self.caller.credentials, Timestamp::now())
            .await?;
        self.caller.user = user;
        let key = &self.running.wish.key;
        access
            .authz()
            .require(
                &self.caller.user,
                &self.caller.row.right,
                Some(&key.namespace),
                Some(key.name.as_str()),
            )
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut RunRequest)) -> RunRequest {
        let mut request = RunRequest {
            segment: "granary/demo".into(),
            ..RunRequest::default()
        };
        change(&mut request);
        request
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field() {
        type Change = fn(&mut RunRequest);
        let cases: [(Change, &str); 6] = [
            (|r| r.segment = "demo".into(), "segment: "),
            (|r| r.request_id = "x".repeat(65), "request_id: "),
            (|r| r.clusters = vec![String::new()], "clusters: "),
            (|r| r.cluster_selector = "=".into(), "cluster_selector: "),
            (
                |r| {
                    r.start_within = Some(segment_proto::Duration {
                        seconds: 0,
                        nanos: 5,
                    });
                },
                "start_within: ",
            ),
            (
                |r| {
                    r.deadline = Some(segment_proto::Duration {
                        seconds: 86_401,
                        nanos: 0,
                    });
                },
                "deadline: ",
            ),
        ];
        for (change, message) in cases {
            let Err(status) = wanted(&request(change)) else {
                panic!("{message} is taken")
            };
            assert!(
                status.message().starts_with(message),
                "{}",
                status.message()
            );
        }
    }

    #[test]
    fn a_request_is_another_one_when_anything_but_its_reason_differs() {
        let asked = |change: fn(&mut RunRequest)| wanted(&request(change)).ok().map(|w| w.asked);
        let plain = asked(|_| {});
        assert_eq!(plain, asked(|r| r.reason = "again".into()));
        assert_eq!(plain, asked(|r| r.max_parallel = PARALLEL));
        assert_ne!(plain, asked(|r| r.max_parallel = 1));
        assert_ne!(plain, asked(|r| r.clusters = vec!["eu-1".into()]));
        assert_ne!(
            plain,
            asked(|r| drop(r.env.insert("DEBUG".into(), "True".into())))
        );
    }
}
