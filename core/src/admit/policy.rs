//! The policy as the cluster's admin writes it: one key of the ConfigMap per rule, each value YAML (or JSON).
//!
//! ```yaml
//! namespaces: |
//!   granary: {from: [granary, granary-test]}   # hub namespaces that may order here
//!   reports: {}                                # only the hub namespace of the same name
//! # The rules below are maps from a namespace to its value; "*" stands for every namespace without a value of its own.
//! images: |
//!   "*": [gitlab.alvary.io:5000/grnry/segment-table-creation]   # a repository, a whole reference, or a prefix with "/"
//! digestsOnly: |
//!   granary: true
//! secrets: |
//!   "*": {DB_USER: grnry-pg-citus-secret/superuser-username}    # variable: secret/key, or a list of them
//! pullSecrets: |
//!   "*": [grnry-base-private-registry-token]
//! dbHosts: |
//!   "*": [grnry-pg-citus]
//! pushgateways: |
//!   "*": ["pushgateway.monitoring:9091"]
//! serviceAccounts: |
//!   "*": [segments]                                  # beside `default`, which needs no word
//! extraEnv: |
//!   "*": [PGAPPNAME]                                 # variables that the script does not know, by name
//! labels: |
//!   "*": [team.example.org/]                         # prefixes
//! annotations: |
//!   "*": [prometheus.io/]                            # prefixes
//! nodeSelectors: |
//!   "*": {pool: [batch]}                             # label: its values
//! tolerations: |
//!   "*": [{key: dedicated, value: batch}]            # what a rule names must be equal; what it leaves out may be anything
//! minimumInterval: |
//!   "*": 5m                                          # between two runs; 1m where nothing is said
//! resources: |
//!   "*": {cpu: "2", memory: 4Gi}                     # most that may be requested or set as a limit
//! podSecurity: |
//!   "*": baseline                                    # least that Pods must have: chart, baseline or restricted
//! maxCronJobs: "1000"                                # on the whole cluster; 1000 where nothing is said
//! adoption: "[IfSame, Never]"                        # how CronJobs that are not ours may be adopted; Always only where listed
//! brake: '{removals: {min: 5, percent: 20}, windowMinutes: 60, replacements: false}'
//! holds: '{allowed: true, maxDays: 7, inDays: 30}'
//! runNow: "false"
//! logs: "false"
//! ```
//! In: the ConfigMap's data. Out: [`Policy`], or the key that can't be read.
//! Law: an unknown key or field is an error: a typo must not open or close anything in silence.
//! Not: what it admits (`admit.rs`).

use crate::assignment::{Adoption, PodSecurity};
use crate::segment::quantity;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// A rule's value by namespace; `*` stands for every namespace that has none of its own.
pub type PerNamespace<T> = BTreeMap<String, T>;

/// CronJobs that a cluster may hold where the policy says nothing: what the store is tested for.
pub const DEFAULT_MAX_CRON_JOBS: usize = 1_000;
/// Least seconds between two runs where the policy says nothing: the finest that five fields can say.
pub const DEFAULT_MINIMUM_INTERVAL_SECONDS: i64 = 60;

/// What anchors may repeat in a value of any length, in bytes and in nodes.
const REPEATED_AT_LEAST: usize = 4_096;

/// Why a policy can't be read: everything is refused until it can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy {key:?}: {message}")]
pub struct PolicyError {
    /// The ConfigMap's key.
    pub key: String,
    /// What is wrong with its value.
    pub message: String,
}

/// Which hub namespaces may order in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceRule {
    /// Namespaces of the hub; absent: only the one of the same name.
    #[serde(default)]
    pub from: Option<Vec<String>>,
}

/// Which keys of Secrets one variable may come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretKeys(pub Vec<String>);

impl<'de> Deserialize<'de> for SecretKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(String),
            Many(Vec<String>),
        }
        let keys = match Form::deserialize(deserializer)? {
            Form::One(key) => vec![key],
            Form::Many(keys) => keys,
        };
        match keys
            .iter()
            .find(|key| key.split('/').filter(|part| !part.is_empty()).count() != 2)
        {
            Some(key) => Err(serde::de::Error::custom(format!(
                "{key:?} must have the form secret/key"
            ))),
            None => Ok(Self(keys)),
        }
    }
}

/// A toleration that Pods may have: what is given must be equal, what is absent may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TolerationRule {
    /// Taint's key. Absent: any, also the toleration of everything.
    #[serde(default)]
    pub key: Option<String>,
    /// Taint's value.
    #[serde(default)]
    pub value: Option<String>,
    /// Taint's effect.
    #[serde(default)]
    pub effect: Option<String>,
}

/// Seconds between two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(pub i64);

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Seconds(i64),
            Text(String),
        }
        let seconds = match Form::deserialize(deserializer)? {
            Form::Seconds(seconds) => seconds,
            Form::Text(text) => text
                .parse::<jiff::SignedDuration>()
                .map_err(|_| {
                    serde::de::Error::custom(format!("{text:?} is no duration such as 5m or 1h"))
                })?
                .as_secs(),
        };
        if seconds < 0 {
            return Err(serde::de::Error::custom("an interval can't be negative"));
        }
        Ok(Self(seconds))
    }
}

/// A resource's ceiling, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ceiling(pub i128);

impl<'de> Deserialize<'de> for Ceiling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(i64),
            Text(String),
        }
        let text = match Form::deserialize(deserializer)? {
            Form::Number(number) => number.to_string(),
            Form::Text(text) => text,
        };
        let value = quantity::parse(&text);
        value.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is no quantity such as 500m or 1Gi"))
        })
    }
}

/// Part of the CronJobs that may go at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// At least this many.
    pub min: u32,
    /// And up to this part of all.
    pub percent: u32,
}

/// The agent's brake (rule 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Brake {
    /// Removals, suspensions and schedules that never fire, within the window.
    pub removals: Share,
    /// Length of the window.
    pub window_minutes: u32,
    /// Replacements count too.
    pub replacements: bool,
}

impl Default for Brake {
    fn default() -> Self {
        Self {
            removals: Share {
                min: 5,
                percent: 20,
            },
            window_minutes: 60,
            replacements: false,
        }
    }
}

/// Holds by the hub (rule 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Holds {
    /// Whether the hub may hold at all.
    pub allowed: bool,
    /// Days that one CronJob may be held …
    pub max_days: u32,
    /// … in any period of this many days.
    pub in_days: u32,
}

impl Default for Holds {
    fn default() -> Self {
        Self {
            allowed: true,
            max_days: 7,
            in_days: 30,
        }
    }
}

/// The spoke's own policy. The default admits nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "one field per key of the ConfigMap"
)]
pub struct Policy {
    /// `namespaces`: who may order where.
    pub namespaces: BTreeMap<String, NamespaceRule>,
    /// `images`.
    pub images: PerNamespace<Vec<String>>,
    /// `digestsOnly`: tags are refused.
    pub digests_only: PerNamespace<bool>,
    /// `secrets`: variable → `secret/key`.
    pub secrets: PerNamespace<BTreeMap<String, SecretKeys>>,
    /// `pullSecrets`: names.
    pub pull_secrets: PerNamespace<Vec<String>>,
    /// `dbHosts`: exact values of `DB_HOST`.
    pub db_hosts: PerNamespace<Vec<String>>,
    /// `pushgateways`: exact values of `PROMETHEUS_PUSHGATEWAY`; the empty one needs no word.
    pub pushgateways: PerNamespace<Vec<String>>,
    /// `serviceAccounts`: names; `default` needs no word.
    pub service_accounts: PerNamespace<Vec<String>>,
    /// `extraEnv`: names of variables that the script does not know.
    pub extra_env: PerNamespace<Vec<String>>,
    /// `labels`: prefixes.
    pub labels: PerNamespace<Vec<String>>,
    /// `annotations`: prefixes.
    pub annotations: PerNamespace<Vec<String>>,
    /// `nodeSelectors`: label → values.
    pub node_selectors: PerNamespace<BTreeMap<String, Vec<String>>>,
    /// `tolerations`.
    pub tolerations: PerNamespace<Vec<TolerationRule>>,
    /// `minimumInterval`.
    pub minimum_interval: PerNamespace<Interval>,
    /// `resources`: ceilings by name.
    pub resources: PerNamespace<BTreeMap<String, Ceiling>>,
    /// `podSecurity`: the least; `baseline` where nothing is said.
    pub pod_security: PerNamespace<PodSecurity>,
    /// `adoption`: modes in which what is not ours may be adopted.
    pub adoption: Vec<Adoption>,
    /// `maxCronJobs` on this cluster.
    pub max_cron_jobs: usize,
    /// `brake`.
    pub brake: Brake,
    /// `holds`.
    pub holds: Holds,
    /// `runNow`: one-off runs.
    pub run_now: bool,
    /// `logs`: Pods' logs may be read.
    pub logs: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            namespaces: BTreeMap::new(),
            images: BTreeMap::new(),
            digests_only: BTreeMap::new(),
            secrets: BTreeMap::new(),
            pull_secrets: BTreeMap::new(),
            db_hosts: BTreeMap::new(),
            pushgateways: BTreeMap::new(),
            service_accounts: BTreeMap::new(),
            extra_env: BTreeMap::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            node_selectors: BTreeMap::new(),
            tolerations: BTreeMap::new(),
            minimum_interval: BTreeMap::new(),
            resources: BTreeMap::new(),
            pod_security: BTreeMap::new(),
            adoption: vec![Adoption::IfSame, Adoption::Never],
            max_cron_jobs: DEFAULT_MAX_CRON_JOBS,
            brake: Brake::default(),
            holds: Holds::default(),
            run_now: false,
            logs: false,
        }
    }
}

fn value<T: for<'de> Deserialize<'de>>(key: &str, text: &str) -> Result<T, PolicyError> {
    // The hub reads policies as agents tell them: what anchors repeat must not make much of a short text.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_total_scalar_bytes: text.len().saturating_mul(4).saturating_add(REPEATED_AT_LEAST),
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: text.len().saturating_add(REPEATED_AT_LEAST),
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| PolicyError {
        key: key.to_owned(),
        message: error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
    })
}

impl Policy {
    /// Reads the ConfigMap's data.
    ///
    /// # Errors
    /// At the first key that is unknown or whose value can't be read; then nothing may be admitted.
    pub fn from_data(data: &BTreeMap<String, String>) -> Result<Self, PolicyError> {
        let mut policy = Self::default();
        for (key, text) in data {
            match key.as_str() {
                "namespaces" => policy.namespaces = value(key, text)?,
                "images" => policy.images = value(key, text)?,
                "digestsOnly" => policy.digests_only = value(key, text)?,
                "secrets" => policy.secrets = value(key, text)?,
                "pullSecrets" => policy.pull_secrets = value(key, text)?,
                "dbHosts" => policy.db_hosts = value(key, text)?,
                "pushgateways" => policy.pushgateways = value(key, text)?,
                "serviceAccounts" => policy.service_accounts = value(key, text)?,
                "extraEnv" => policy.extra_env = value(key, text)?,
                "labels" => policy.labels = value(key, text)?,
                "annotations" => policy.annotations = value(key, text)?,
                "nodeSelectors" => policy.node_selectors = value(key, text)?,
                "tolerations" => policy.tolerations = value(key, text)?,
                "minimumInterval" => policy.minimum_interval = value(key, text)?,
                "resources" => policy.resources = value(key, text)?,
                "podSecurity" => policy.pod_security = value(key, text)?,
                "adoption" => policy.adoption = value(key, text)?,
                "maxCronJobs" => policy.max_cron_jobs = value(key, text)?,
                "brake" => policy.brake = value(key, text)?,
                "holds" => policy.holds = value(key, text)?,
                "runNow" => policy.run_now = value(key, text)?,
                "logs" => policy.logs = value(key, text)?,
                _ => {
                    return Err(PolicyError {
                        key: key.clone(),
                        message: "is no rule of the policy".to_owned(),
                    });
                }
            }
        }
        Ok(policy)
    }
}

/// A namespace's own value, else that of `*`.
pub(super) fn of<'a, T>(rule: &'a PerNamespace<T>, namespace: &str) -> Option<&'a T> {
    rule.get(namespace).or_else(|| rule.get("*"))
}
