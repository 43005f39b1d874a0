//! What the watches show, as small as decisions and reports allow.
//!
//! In: objects as compact values. Out: looks at places, runs, and the keys of entries that a change concerns.
//! Law: a list replaces what was known of its namespace and kind at its end, never before. Not: watching (`observer.rs`).

use jiff::Timestamp;
use segment_core::apply::{Live, Look, Place};
use segment_core::ids::{CronJobName, KeyHash, Namespace, Uid};
use segment_core::observe::{JobSeen, PodSeen, runs};
use segment_core::report::Runs;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// One object.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A CronJob of ours.
    CronJob(Box<Live>),
    /// A Job.
    Job(Box<JobSeen>),
    /// A Pod.
    Pod(Box<PodSeen>),
}

#[derive(Debug, Default)]
struct View {
    /// The list of CronJobs was complete once.
    synced: bool,
    /// Since when Jobs are watched without a gap, and Pods.
    jobs_since: Option<Timestamp>,
    pods_since: Option<Timestamp>,
    cronjobs: HashMap<CronJobName, Live>,
    names: HashMap<Uid, CronJobName>,
    jobs: HashMap<Uid, HashMap<Uid, JobSeen>>,
    cronjob_of_job: HashMap<Uid, Uid>,
    pods: HashMap<Uid, HashMap<Uid, PodSeen>>,
}

/// What the watches show.
#[derive(Debug, Default)]
pub struct Cache {
    views: RwLock<BTreeMap<Namespace, View>>,
}

/// A CronJob with its Jobs and their Pods.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The CronJob.
    pub live: Live,
    /// Its Jobs, those that were ordered included.
    pub jobs: Vec<(JobSeen, Vec<PodSeen>)>,
    /// Since when all of it is watched without a gap.
    pub watching: Timestamp,
}

fn key_of(live: &Live) -> Option<KeyHash> {
    live.segment.as_deref().map(KeyHash::of)
}

impl View {
    fn key_of_cronjob(&self, uid: Uid) -> Option<KeyHash> {
        key_of(self.cronjobs.get(self.names.get(&uid)?)?)
    }

    fn key_of_job(&self, job: Uid) -> Option<KeyHash> {
        self.key_of_cronjob(*self.cronjob_of_job.get(&job)?)
    }

    /// Takes an object. An older view than the one that is known (our own write's answer may be ahead of the watch)
    /// changes nothing.
    fn put(&mut self, seen: Seen) -> Option<KeyHash> {
        match seen {
            Seen::CronJob(live) => {
                let key = key_of(&live);
                let old = self.cronjobs.get(&live.place.name);
                if old.is_some_and(|old| old.uid == live.uid && old.generation > live.generation) {
                    return None;
                }
                let old_key = old.and_then(key_of);
                if let Some(old) = old {
                    self.names.remove(&old.uid.clone());
                }
                self.names.insert(live.uid, live.place.name.clone());
                self.cronjobs.insert(live.place.name.clone(), *live);
                // Its marks may have been taken off: then the one it belonged to is to look.
                key.or(old_key)
            }
            Seen::Job(job) => {
                self.cronjob_of_job.insert(job.uid, job.cronjob);
                let cronjob = job.cronjob;
                let old = self
                    .jobs
                    .entry(cronjob)
                    .or_default()
                    .insert(job.uid, (*job).clone());
                if old.as_ref() == Some(&*job) {
                    None
                } else {
                    self.key_of_cronjob(cronjob)
                }
            }
            Seen::Pod(pod) => {
                let job = pod.job;
                let old = self
                    .pods
                    .entry(job)
                    .or_default()
                    .insert(pod.uid, (*pod).clone());
                if old.as_ref() == Some(&*pod) {
                    None
                } else {
                    self.key_of_job(job)
                }
            }
        }
    }

    fn remove(&mut self, seen: &Seen) -> Option<KeyHash> {
        match seen {
            Seen::CronJob(live) => {
                let known = self
                    .cronjobs
                    .get(&live.place.name)
                    .filter(|known| known.uid == live.uid)?;
                let key = key_of(known);
                self.cronjobs.remove(&live.place.name);
                self.names.remove(&live.uid);
                key
            }
            Seen::Job(job) => {
                let key = self.key_of_job(job.uid);
                self.cronjob_of_job.remove(&job.uid);
                if let Some(jobs) = self.jobs.get_mut(&job.cronjob) {
                    jobs.remove(&job.uid);
                    if jobs.is_empty() {
                        self.jobs.remove(&job.cronjob);
                    }
                }
                self.pods.remove(&job.uid);
                key
            }
            Seen::Pod(pod) => {
                let pods = self.pods.get_mut(&pod.job)?;
                pods.remove(&pod.uid);
                if pods.is_empty() {
                    self.pods.remove(&pod.job);
                }
                self.key_of_job(pod.job)
            }
        }
    }
}

/// Which kind of objects a list was of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// CronJobs of ours.
    CronJobs,
    /// Their Jobs.
    Jobs,
    /// Their Pods.
    Pods,
}

impl Cache {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Namespace, View>> {
        self.views.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Namespace, View>> {
        self.views.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an object; answers the entry that it concerns.
    pub fn put(&self, namespace: &Namespace, seen: Seen) -> Option<KeyHash> {
        self.write().entry(namespace.clone()).or_default().put(seen)
    }

    /// Takes the answer of a live read or of our own write, so that the next look need not wait for the watch.
    pub fn put_live(&self, live: &Live) {
        let mut views = self.write();
        // A place that is not watched is not kept: nobody would tell when it changes.
        let Some(view) = views
            .get_mut(&live.place.namespace)
            .filter(|view| view.synced)
        else {
            return;
        };
        let mut watched = live.clone();
        watched.whole = None;
        watched.source = segment_core::apply::Source::Watch;
        view.put(Seen::CronJob(Box::new(watched)));
    }

    /// A live read showed that nothing is there.
    pub fn remove_place(&self, place: &Place) {
        if let Some(view) = self.write().get_mut(&place.namespace)
            && let Some(live) = view.cronjobs.remove(&place.name)
        {
            view.names.remove(&live.uid);
        }
    }

    /// Forgets an object; answers the entry that it concerns.
    pub fn remove(&self, namespace: &Namespace, seen: &Seen) -> Option<KeyHash> {
        self.write().get_mut(namespace)?.remove(seen)
    }

    /// A list is complete: it replaces what was known. Answers the entries that any of both concerns.
    pub fn replace(
        &self,
        namespace: &Namespace,
        kind: Kind,
        listed: Vec<Seen>,
        now: Timestamp,
    ) -> BTreeSet<KeyHash> {
        let mut views = self.write();
        let view = views.entry(namespace.clone()).or_default();
        let mut keys: BTreeSet<KeyHash> = BTreeSet::new();
        match kind {
            Kind::CronJobs => {
                keys.extend(view.cronjobs.values().filter_map(key_of));
                view.cronjobs.clear();
                view.names.clear();
                view.synced = true;
            }
            Kind::Jobs => {
                keys.extend(view.jobs.keys().filter_map(|uid| view.key_of_cronjob(*uid)));
                view.jobs_since = Some(now);
                view.jobs.clear();
                view.cronjob_of_job.clear();
            }
            Kind::Pods => {
                keys.extend(view.pods.keys().filter_map(|job| view.key_of_job(*job)));
                view.pods_since = Some(now);
                view.pods.clear();
            }
        }
        keys.extend(listed.into_iter().filter_map(|seen| view.put(seen)));
        keys
    }

    /// A watch has a gap until its next list.
    pub fn unwatched(&self, namespace: &Namespace, kind: Kind) {
        if let Some(view) = self.write().get_mut(namespace) {
            match kind {
                Kind::CronJobs => {}
                Kind::Jobs => view.jobs_since = None,
                Kind::Pods => view.pods_since = None,
            }
        }
    }

    /// The CronJob in a place with its Jobs and Pods, while all three are watched.
    pub fn observed(&self, place: &Place) -> Option<Observed> {
        let views = self.read();
        let view = views.get(&place.namespace).filter(|view| view.synced)?;
        let watching = view.jobs_since?.max(view.pods_since?);
        let live = view.cronjobs.get(&place.name)?.clone();
        let jobs = view.jobs.get(&live.uid).into_iter().flatten();
        let pods_of = |job: &Uid| {
            let pods = view.pods.get(job).into_iter().flatten();
            pods.map(|(_, pod)| pod.clone()).collect()
        };
        let jobs = jobs.map(|(uid, job)| (job.clone(), pods_of(uid))).collect();
        Some(Observed {
            live,
            jobs,
            watching,
        })
    }

    /// Whether a Job is there.
    pub fn has_job(&self, namespace: &Namespace, job: Uid) -> bool {
        self.read()
            .get(namespace)
            .is_some_and(|view| view.cronjob_of_job.contains_key(&job))
    }

    /// Whether the CronJobs of all these namespaces have been listed.
    pub fn all_listed<'a>(&self, namespaces: impl IntoIterator<Item = &'a String>) -> bool {
        let views = self.read();
        let mut names = namespaces
            .into_iter()
            .filter_map(|name| Namespace::new(name).ok());
        names.all(|namespace| views.get(&namespace).is_some_and(|view| view.synced))
    }

    /// A namespace is not watched any more.
    pub fn forget(&self, namespace: &Namespace) {
        self.write().remove(namespace);
    }

    /// What is known of a place.
    pub fn look(&self, place: &Place) -> Look {
        match self.read().get(&place.namespace).filter(|view| view.synced) {
            None => Look::Unknown,
            Some(view) => match view.cronjobs.get(&place.name) {
                Some(live) => Look::Seen(Box::new(live.clone())),
                None => Look::Absent { read: false },
            },
        }
    }

    /// Another place where a CronJob carries the marks of this Segment.
    pub fn stray(&self, key: KeyHash, hub: &str, target: &Place) -> Option<Place> {
        let views = self.read();
        let mut ours = views
            .values()
            .flat_map(|view| view.cronjobs.values())
            .filter(|live| live.hub.as_deref() == Some(hub));
        ours.find(|live| live.place != *target && key_of(live) == Some(key))
            .map(|live| live.place.clone())
    }

    /// What the runs of the CronJob in a place do.
    pub fn runs(&self, place: &Place, now: Timestamp) -> Runs {
        let views = self.read();
        let Some(view) = views.get(&place.namespace) else {
            return Runs::default();
        };
        let Some(live) = view.cronjobs.get(&place.name) else {
            return Runs::default();
        };
        let jobs = view
            .jobs
            .get(&live.uid)
            .into_iter()
            .flat_map(HashMap::values);
        let pods = jobs
            .clone()
            .filter_map(|job| view.pods.get(&job.uid))
            .flat_map(HashMap::values);
        runs(live, jobs, pods, now)
    }

    /// CronJobs that carry this hub's id.
    pub fn count(&self, hub: &str) -> usize {
        let views = self.read();
        views
            .values()
            .flat_map(|view| view.cronjobs.values())
            .filter(|live| live.hub.as_deref() == Some(hub))
            .count()
    }

    /// Whether every CronJob that carries this hub's id is one of these, and each of the namespaces has been listed.
    pub fn all_known<'a>(
        &self,
        hub: &str,
        namespaces: impl IntoIterator<Item = &'a String>,
        known: impl Fn(KeyHash) -> bool,
    ) -> bool {
        if !self.all_listed(namespaces) {
            return false;
        }
        let views = self.read();
        !views.is_empty()
            && views.values().all(|view| {
                let mut ours = view
                    .cronjobs
                    .values()
                    .filter(|live| live.hub.as_deref() == Some(hub));
                view.synced && ours.all(|live| key_of(live).is_some_and(&known))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn cronjob(uid: u8, segment: &str, generation: i64) -> Seen {
        let object: Value = json!({
            "metadata": {"namespace": "a", "name": "x", "uid": Uid([uid; 16]).to_string(), "generation": generation,
                         "annotations": {"segment.grnry.io/segment": segment, "segment.grnry.io/hub": "hub"}},
            "spec": {"schedule": "0 3 * * *"},
        });
        Seen::CronJob(Box::new(Live::watched(&object).unwrap()))
    }

    #[test]
    fn a_list_replaces_at_its_end_and_names_whom_it_concerns() {
        let cache = Cache::default();
        let namespace = Namespace::new("a").unwrap();
        let place = Place {
            namespace: namespace.clone(),
            name: CronJobName::new("x").unwrap(),
        };
        assert_eq!(cache.look(&place), Look::Unknown);
        assert_eq!(
            cache.replace(&namespace, Kind::CronJobs, vec![], Timestamp::UNIX_EPOCH),
            BTreeSet::new()
        );
        assert_eq!(cache.look(&place), Look::Absent { read: false });
        let key = KeyHash::of("n/s");
        assert_eq!(cache.put(&namespace, cronjob(1, "n/s", 2)), Some(key));
        assert_eq!(
            cache.put(&namespace, cronjob(1, "n/s", 1)),
            None,
            "the watch lags behind our own write"
        );
        let all = |namespaces: &[&str], known: &dyn Fn(KeyHash) -> bool| {
            let namespaces: Vec<String> = namespaces.iter().map(|n| (*n).to_owned()).collect();
            cache.all_known("hub", &namespaces, known)
        };
        assert!(all(&["a"], &|known| known == key) && !all(&["a"], &|_| false));
        assert!(
            !all(&["a", "b"], &|_| true),
            "one that was not listed yet may hold anything"
        );
        assert_eq!(
            cache.replace(&namespace, Kind::CronJobs, vec![], Timestamp::UNIX_EPOCH),
            [key].into()
        );
        assert_eq!(cache.look(&place), Look::Absent { read: false });
    }

    #[test]
    fn a_deletion_of_an_older_namesake_changes_nothing() {
        let cache = Cache::default();
        let namespace = Namespace::new("a").unwrap();
        cache.put(&namespace, cronjob(2, "n/s", 1));
        assert_eq!(cache.remove(&namespace, &cronjob(1, "n/s", 1)), None);
        assert_eq!(cache.count("hub"), 1);
        assert_eq!(
            cache.remove(&namespace, &cronjob(2, "n/s", 1)),
            Some(KeyHash::of("n/s"))
        );
    }
}
