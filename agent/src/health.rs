//! What stops the agent as a whole, for the Cluster's conditions.
//!
//! In: what the parts meet. Out: [`AgentHealth`], watched. Law: a fault stands until the part that reported it takes it
//! back. Not: faults of one object, which are reports.

use segment_core::sync::frame::AgentHealth;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Seconds that clocks may differ without a word (rule 18).
const SKEW_SECONDS: i64 = 10;

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Api,
    Rights,
    Policy,
    Store,
}

/// Faults by kind and place.
#[derive(Clone, Debug)]
pub struct Health {
    faults: Arc<Mutex<BTreeMap<(Kind, String), String>>>,
    told: watch::Sender<AgentHealth>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            faults: Arc::default(),
            told: watch::Sender::new(AgentHealth::default()),
        }
    }
}

impl Health {
    /// As it changes.
    pub fn watch(&self) -> watch::Receiver<AgentHealth> {
        self.told.subscribe()
    }

    fn set(&self, kind: Kind, place: &str, fault: Option<String>) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = match fault {
            Some(fault) => faults
                .insert((kind, place.to_owned()), fault.clone())
                .is_none_or(|old| old != fault),
            None => faults.remove(&(kind, place.to_owned())).is_some(),
        };
        if !changed {
            return;
        }
        let first = |kind: Kind| {
            let mut of_kind = faults
                .iter()
                .filter(|((of, _), _)| *of == kind)
                .map(|(_, fault)| fault);
            of_kind
                .next()
                .map(|fault| segment_core::report::cut_message(fault))
        };
        self.told.send_if_modified(|told| {
            let health = AgentHealth {
                api_unavailable: first(Kind::Api),
                no_rights: first(Kind::Rights),
                policy_error: first(Kind::Policy),
                store_error: first(Kind::Store),
                clock_skew_seconds: told.clock_skew_seconds,
            };
            let changed = *told != health;
            *told = health;
            changed
        });
    }

    /// The API server does not answer here, or does again.
    pub fn api(&self, place: &str, fault: Option<String>) {
        self.set(Kind::Api, place, fault);
    }

    /// A right is missing here, or there again.
    pub fn rights(&self, place: &str, fault: Option<String>) {
        self.set(Kind::Rights, place, fault);
    }

    /// The policy can't be read, or can again.
    pub fn policy(&self, fault: Option<String>) {
        self.set(Kind::Policy, "", fault);
    }

    /// The store can't be written or read, or can again.
    pub fn store(&self, place: &str, fault: Option<String>) {
        self.set(Kind::Store, place, fault);
    }

    /// Seconds that the API server's clock is ahead of ours.
    pub fn clock(&self, ahead: i64) {
        let ahead = if ahead.abs() > SKEW_SECONDS { ahead } else { 0 };
        self.told.send_if_modified(|told| {
            // A second more or less is no news.
            let changed = (told.clock_skew_seconds - ahead).abs() > 1
                || (ahead == 0) != (told.clock_skew_seconds == 0);
            if changed {
                told.clock_skew_seconds = ahead;
            }
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_stands_until_its_place_takes_it_back() {
        let health = Health::default();
        let told = health.watch();
        health.rights("a", Some("no a".to_owned()));
        health.rights("b", Some("no b".to_owned()));
        health.rights("a", None);
        assert_eq!(told.borrow().no_rights.as_deref(), Some("no b"));
        health.rights("b", None);
        assert_eq!(*told.borrow(), AgentHealth::default());
        health.clock(10);
        assert!(told.borrow().clock_skew_seconds == 0);
        health.clock(150);
        assert!(told.borrow().clock_skew_seconds == 150);
    }
}
