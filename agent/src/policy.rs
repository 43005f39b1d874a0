//! The local policy: the ConfigMap of the cluster's admin, watched.
//!
//! In: ConfigMap `segment-agent-policy` (get, list, watch by name). Out: [`PolicyState`], watched.
//! Law: until it is read, when it is gone, and when it can't be understood, everything is refused, and nothing is told to
//! the hub. Not: what it admits (`segment_core::admit`), when it is told (`segment_core::sync`).

use crate::health::Health;
use crate::observer::{IDLE_WATCH, next_event};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::runtime::watcher::{self, Event, watcher};
use segment_core::admit::{Policy, PolicyError, PolicyText, Refusal};
use segment_core::ids::{Namespace, PolicyDigest};
use segment_core::names;
use segment_runtime::admin::ReadyHandle;
use segment_runtime::backoff::Backoff;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What is known of the policy.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyState {
    /// Not read yet.
    Unread,
    /// There is none.
    Missing,
    /// It can't be understood.
    Wrong(PolicyError),
    /// As written.
    Read {
        /// What it says.
        policy: Arc<Policy>,
        /// How it is written, for the hub; none where that is more than is told.
        text: Option<Arc<PolicyText>>,
    },
}

impl PolicyState {
    /// The policy, or why everything is refused.
    ///
    /// # Errors
    /// When there is no usable policy.
    pub fn policy(&self) -> Result<&Arc<Policy>, Refusal> {
        let message = match self {
            Self::Read { policy, .. } => return Ok(policy),
            Self::Unread => "the policy has not been read yet".to_owned(),
            Self::Missing => format!("ConfigMap {} does not exist", names::POLICY_CONFIG_MAP),
            Self::Wrong(error) => error.to_string(),
        };
        Err(Refusal {
            rule: "policy",
            message,
        })
    }

    /// What may be told to the hub.
    pub fn text(&self) -> Option<&Arc<PolicyText>> {
        match self {
            Self::Read { text, .. } => text.as_ref(),
            Self::Unread | Self::Missing | Self::Wrong(_) => None,
        }
    }

    /// Digest of what may be told to the hub.
    pub fn digest(&self) -> Option<PolicyDigest> {
        self.text().map(|text| text.digest())
    }

    fn of(map: &ConfigMap) -> Self {
        let data = map.data.clone().unwrap_or_default();
        match Policy::from_data(&data) {
            Ok(policy) => Self::Read {
                policy: Arc::new(policy),
                text: PolicyText::new(data).ok().map(Arc::new),
            },
            Err(error) => Self::Wrong(error),
        }
    }
}

/// Watches the policy until the end.
pub async fn watch_policy(
    client: kube::Client,
    namespace: Namespace,
    state: watch::Sender<PolicyState>,
    health: Health,
    ready: ReadyHandle,
    stop: CancellationToken,
) {
    let api: Api<ConfigMap> = Api::namespaced(client, namespace.as_str());
    let config =
        watcher::Config::default().fields(&format!("metadata.name={}", names::POLICY_CONFIG_MAP));
    let publish = |new: PolicyState| {
        if let Err(refusal) = new.policy() {
            health.policy(Some(refusal.message));
        } else {
            health.policy(None);
        }
        state.send_if_modified(|old| {
            let changed = *old != new;
            if changed {
                match &new {
                    PolicyState::Read { text: Some(_), .. } => tracing::info!("policy read"),
                    PolicyState::Read { text: None, .. } => tracing::warn!(
                        max_keys = PolicyText::MAX_KEYS,
                        max_bytes = PolicyText::MAX_BYTES,
                        "policy read; it is too large to be told to the hub, whose plans go without it"
                    ),
                    other => tracing::warn!(policy = ?other, "everything is refused"),
                }
            }
            *old = new;
            changed
        });
        ready.ready();
    };
    let mut backoff = Backoff::api();
    'watch: loop {
        let mut events = watcher(api.clone(), config.clone()).boxed();
        let mut seen = None;
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = next_event(&mut events, IDLE_WATCH) => event,
            };
            match event {
                Ok(event) => {
                    backoff.reset();
                    health.api("policy", None);
                    match event {
                        Event::Init => seen = None,
                        Event::InitApply(map) => seen = Some(PolicyState::of(&map)),
                        Event::InitDone => publish(seen.take().unwrap_or(PolicyState::Missing)),
                        Event::Apply(map) => publish(PolicyState::of(&map)),
                        Event::Delete(_) => publish(PolicyState::Missing),
                    }
                }
                Err(error) => {
                    // What was read before stands: a policy that can't be re-read has not changed.
                    health.api(
                        "policy",
                        Some(format!("the policy can't be watched: {error}")),
                    );
                    tracing::warn!(%error, "the policy can't be watched");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(backoff.delay(None)) => {}
                    }
                    continue 'watch;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(data: &[(&str, &str)]) -> PolicyState {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        PolicyState::of(&ConfigMap {
            data: Some(data.iter().map(owned).collect()),
            ..ConfigMap::default()
        })
    }

    #[test]
    fn what_is_obeyed_is_told() {
        let state = of(&[("namespaces", "granary: {}")]);
        let text = state.text().unwrap();
        assert_eq!(text.policy().as_ref(), Ok(&**state.policy().unwrap()));
        assert_eq!(state.digest(), Some(text.digest()));
        let other = of(&[("namespaces", "granary: {} # as before")]);
        assert_ne!(other, state, "the hub is told of every change");
        let none = PolicyState::of(&ConfigMap::default());
        assert!(none.digest().is_some(), "a policy without a rule is one");
    }

    #[test]
    fn what_is_not_obeyed_or_too_large_is_not_told() {
        let wrong = of(&[("namespace", "granary: {}")]);
        assert!(matches!(wrong, PolicyState::Wrong(_)));
        for state in [wrong, PolicyState::Missing, PolicyState::Unread] {
            assert_eq!(state.digest(), None, "{state:?}");
        }
        let comment = format!("granary: {{}} # {}", "x".repeat(PolicyText::MAX_BYTES));
        let large = of(&[("namespaces", &comment)]);
        assert!(large.policy().is_ok(), "it is obeyed");
        assert_eq!(large.digest(), None);
    }

    #[test]
    fn the_text_is_not_printed() {
        let state = of(&[("namespaces", "granary: {} # internal")]);
        assert!(!format!("{state:?}").contains("internal"));
    }
}
