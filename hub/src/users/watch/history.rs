//! What was deleted lately: the index forgets it, a watch that goes on must not.
//!
//! In: the index, as its version rises. Out: names by the version at which they were seen to be gone.
//! Law: bounded; what has fallen out moves the floor, and a token from below it is too old. Not: what lives.

use crate::fleet::Fleet;
use rand::Rng;
use segment_core::ids::{ClusterName, SegmentKey};
use segment_core::index::FleetIndex;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Names that are kept: the deletion of the largest fleet's Clusters, once.
const KEPT: usize = 10_000;
/// Between two looks: each compares all names.
const PACE: Duration = Duration::from_millis(200);

/// From where on deletions are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// After this version of the index.
    Version(u64),
    /// After this many deletions.
    Count(u64),
}

/// What was deleted lately. Cheap to clone.
#[derive(Clone, Debug)]
pub struct History {
    /// Random id of this process' history.
    process: u64,
    log: Arc<Mutex<Log>>,
}

#[derive(Debug)]
struct Log {
    floor: u64,
    count: u64,
    segments: BTreeSet<SegmentKey>,
    clusters: BTreeSet<ClusterName>,
    gone: VecDeque<Gone>,
}

#[derive(Clone, Debug)]
struct Gone {
    version: u64,
    number: u64,
    name: Name,
}

#[derive(Clone, Debug)]
enum Name {
    Segment(SegmentKey),
    Cluster(ClusterName),
}

impl History {
    /// Begins with what is there now.
    pub fn new(index: &FleetIndex) -> Self {
        let log = Log {
            floor: index.version(),
            count: 0,
            segments: index.segments().keys().cloned().collect(),
            clusters: index.clusters().keys().cloned().collect(),
            gone: VecDeque::new(),
        };
        Self {
            process: rand::rng().random(),
            log: Arc::new(Mutex::new(log)),
        }
    }

    /// Id of this process' history.
    pub fn process(&self) -> u64 {
        self.process
    }

    /// Whether all deletions after this version are known.
    pub fn reaches(&self, version: u64) -> bool {
        self.log().floor <= version
    }

    /// Segments that were deleted after `place`, oldest first, and how many deletions there were in all.
    pub fn segments(&self, place: Place) -> (Vec<SegmentKey>, u64) {
        self.after(place, |name| match name {
            Name::Segment(key) => Some(key.clone()),
            Name::Cluster(_) => None,
        })
    }

    /// Clusters that were deleted after `place`, oldest first, and how many deletions there were in all.
    pub fn clusters(&self, place: Place) -> (Vec<ClusterName>, u64) {
        self.after(place, |name| match name {
            Name::Cluster(name) => Some(name.clone()),
            Name::Segment(_) => None,
        })
    }

    fn after<T>(&self, place: Place, pick: impl Fn(&Name) -> Option<T>) -> (Vec<T>, u64) {
        let log = self.log();
        let is_after = |gone: &Gone| match place {
            Place::Version(version) => gone.version > version,
            Place::Count(count) => gone.number > count,
        };
        let picked = log
            .gone
            .iter()
            .filter(|gone| is_after(gone))
            .filter_map(|gone| pick(&gone.name))
            .collect();
        (picked, log.count)
    }

    /// Follows the index until `shutdown`.
    pub async fn follow(self, fleet: Fleet, shutdown: CancellationToken) {
        let mut version = fleet.version();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = version.changed() => if changed.is_err() { return },
            }
            self.look(&fleet.index());
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(PACE) => {}
            }
        }
    }

    fn look(&self, index: &FleetIndex) {
        let mut log = self.log();
        let version = index.version();
        let segments: Vec<_> = log
            .segments
            .iter()
            .filter(|key| !index.segments().contains_key(*key))
            .cloned()
            .collect();
        let clusters: Vec<_> = log
            .clusters
            .iter()
            .filter(|name| !index.clusters().contains_key(*name))
            .cloned()
            .collect();
        for key in segments {
            log.segments.remove(&key);
            log.push(version, Name::Segment(key));
        }
        for name in clusters {
            log.clusters.remove(&name);
            log.push(version, Name::Cluster(name));
        }
        if log.segments.len() < index.segments().len() {
            log.segments = index.segments().keys().cloned().collect();
        }
        if log.clusters.len() < index.clusters().len() {
            log.clusters = index.clusters().keys().cloned().collect();
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn push(&mut self, version: u64, name: Name) {
        if self.gone.len() >= KEPT
            && let Some(oldest) = self.gone.pop_front()
        {
            self.floor = self.floor.max(oldest.version);
        }
        self.count += 1;
        self.gone.push_back(Gone {
            version,
            number: self.count,
            name,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use segment_core::index::Settings;
    use segment_core::segment::HouseDefaults;
    use segment_core::testing;

    #[test]
    fn a_deletion_is_known_to_who_goes_on_from_before_it() {
        let now = Timestamp::UNIX_EPOCH;
        let hub = "hub-00000000".parse().unwrap();
        let mut index = FleetIndex::new(hub, HouseDefaults::default(), Settings::default(), now);
        index.apply_cluster(testing::view("eu-1", &[]), 1, None, None, now);
        let history = History::new(&index);
        let before = index.version();
        assert!(history.reaches(before) && !history.reaches(before - 1));
        index.apply_cluster(testing::view("eu-2", &[]), 1, None, None, now);
        history.look(&index);
        index.delete_cluster(&"eu-1".parse().unwrap());
        index.delete_cluster(&"eu-2".parse().unwrap());
        history.look(&index);
        let names = |place| {
            history
                .clusters(place)
                .0
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(Place::Version(before)), ["eu-1", "eu-2"]);
        assert_eq!(names(Place::Count(1)), ["eu-2"]);
        assert!(names(Place::Version(index.version())).is_empty());
        assert_eq!(history.segments(Place::Count(0)), (Vec::new(), 2));
    }

    #[test]
    fn what_falls_out_moves_the_floor() {
        let mut log = Log {
            floor: 1,
            count: 0,
            segments: BTreeSet::new(),
            clusters: BTreeSet::new(),
            gone: VecDeque::new(),
        };
        for version in 0..=KEPT as u64 {
            log.push(version + 10, Name::Cluster("eu-1".parse().unwrap()));
        }
        assert_eq!((log.gone.len(), log.floor), (KEPT, 10));
    }
}
