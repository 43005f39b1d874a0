//! The last line of defence: what the cluster's own policy lets the hub order.
//!
//! In: [`Policy`] (from a ConfigMap that only the cluster's admin writes), a [`Template`], the Segment's namespace on
//! the hub. Out: nothing, or the [`Refusal`] with the rule's name, which is the ConfigMap's key.
//! Law: default deny; a stricter policy never admits more (test `admit_is_monotone`); what is refused is not written.
//! Not: how the policy is written (`admit/policy.rs`), the brake and holds (they are only kept here).

mod policy;
#[cfg(test)]
mod tests;
mod text;

pub use policy::{
    Brake, Ceiling, DEFAULT_MAX_CRON_JOBS, DEFAULT_MINIMUM_INTERVAL_SECONDS, Holds, Interval,
    NamespaceRule, PerNamespace, Policy, PolicyError, SecretKeys, Share, TolerationRule,
};
pub use text::{PolicyText, PolicyTextTooLarge};

use crate::assignment::{Adoption, Hold, PodSecurity, PodToleration, Template};
use crate::ids::Namespace;
use crate::segment::{quantity, schedule};
use jiff::Timestamp;
use policy::of;
use segment_crds::env::SegmentEnv;
use std::collections::BTreeMap;

/// Annotations and labels with this prefix are ours alone, whatever the policy lists.
const OWN_PREFIX: &str = "segment.grnry.io/";

/// Runs looked at to find the shortest interval. Within one day every run is seen that a schedule of a quarter of an
/// hour can have, and the nights between the following days with it.
const RUNS_LOOKED_AT: usize = 400;

/// Why an order is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[error("policy rule {rule}: {message}")]
pub struct Refusal {
    /// The rule: the key in the policy's ConfigMap.
    pub rule: &'static str,
    /// What it does not admit.
    pub message: String,
}

fn refuse<T>(rule: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        rule,
        message: message.into(),
    })
}

/// Judges an order for one CronJob.
///
/// # Errors
/// The first rule that does not admit it.
pub fn admit(
    policy: &Policy,
    template: &Template,
    hub_namespace: &Namespace,
) -> Result<(), Refusal> {
    admit_namespace(policy, &template.namespace, hub_namespace)?;
    let at = template.namespace.as_str();
    image(policy, at, &template.image)?;
    names(
        "pullSecrets",
        "pull secret",
        &policy.pull_secrets,
        at,
        template.image_pull_secrets.iter(),
    )?;
    secrets(policy, at, template)?;
    variables(policy, at, &template.env)?;
    if let Some(account) = template
        .service_account_name
        .as_ref()
        .filter(|name| *name != "default")
    {
        names(
            "serviceAccounts",
            "service account",
            &policy.service_accounts,
            at,
            [account],
        )?;
    }
    prefixes("labels", "label", &policy.labels, at, &template.labels)?;
    prefixes(
        "annotations",
        "annotation",
        &policy.annotations,
        at,
        &template.annotations,
    )?;
    node_selector(policy, at, &template.node_selector)?;
    for toleration in &template.tolerations {
        tolerated(policy, at, toleration)?;
    }
    pod_security(policy, at, template.pod_security)?;
    interval(policy, at, template)?;
    resources(policy, at, template)
}

/// Judges whether the hub may hold a CronJob at all.
///
/// # Errors
/// Rule `holds`.
pub fn admit_hold(policy: &Policy, hold: Option<&Hold>, now: Timestamp) -> Result<(), Refusal> {
    let holds = hold.is_some_and(|hold| hold.until.is_none_or(|until| until > now));
    if holds && !policy.holds.allowed {
        return refuse("holds", "the hub may hold nothing here");
    }
    Ok(())
}

/// Judges an order to run once: by the rules for the CronJob that it would be, and by whether runs may be ordered at all.
///
/// # Errors
/// Rule `runNow`, or the first rule that does not admit the template.
pub fn admit_run(
    policy: &Policy,
    template: &Template,
    hub_namespace: &Namespace,
) -> Result<(), Refusal> {
    if !policy.run_now {
        return refuse("runNow", "the hub may order no runs here");
    }
    admit(policy, template, hub_namespace)
}

/// Judges whether the hub may read logs in a namespace.
///
/// # Errors
/// Rule `logs`, or `namespaces`.
pub fn admit_logs(
    policy: &Policy,
    namespace: &Namespace,
    hub_namespace: &Namespace,
) -> Result<(), Refusal> {
    if !policy.logs {
        return refuse("logs", "the hub may read no logs here");
    }
    admit_namespace(policy, namespace, hub_namespace)
}

/// How a CronJob that is not ours may be adopted: as asked where the policy lists it, else by the next stricter mode.
pub fn admitted_adoption(policy: &Policy, asked: Adoption) -> Adoption {
    let stricter: &[Adoption] = match asked {
        Adoption::Always => &[Adoption::Always, Adoption::IfSame],
        Adoption::IfSame => &[Adoption::IfSame],
        Adoption::Never => &[],
    };
    stricter
        .iter()
        .find(|mode| policy.adoption.contains(mode))
        .copied()
        .unwrap_or(Adoption::Never)
}

/// Judges whether a hub namespace may order in a namespace at all: what removals and moves are asked as well.
///
/// # Errors
/// Rule `namespaces`.
pub fn admit_namespace(
    policy: &Policy,
    namespace: &Namespace,
    hub_namespace: &Namespace,
) -> Result<(), Refusal> {
    let Some(rule) = policy.namespaces.get(namespace.as_str()) else {
        return refuse("namespaces", format!("namespace {namespace} is not listed"));
    };
    let admitted = match &rule.from {
        Some(from) => from.iter().any(|name| name == hub_namespace.as_str()),
        None => namespace == hub_namespace,
    };
    if admitted {
        return Ok(());
    }
    refuse(
        "namespaces",
        format!("namespace {namespace} takes no orders from the hub's namespace {hub_namespace}"),
    )
}

/// Judges whether a cluster that has `held` CronJobs of ours may get one more.
///
/// # Errors
/// Rule `maxCronJobs`.
pub fn admit_one_more(policy: &Policy, held: usize) -> Result<(), Refusal> {
    if held < policy.max_cron_jobs {
        return Ok(());
    }
    refuse(
        "maxCronJobs",
        format!(
            "this cluster has {held} CronJobs, at most {} are allowed",
            policy.max_cron_jobs
        ),
    )
}

fn image(policy: &Policy, at: &str, image: &str) -> Result<(), Refusal> {
    let listed = of(&policy.images, at)
        .into_iter()
        .flatten()
        .any(|entry| image_is(entry, image));
    if !listed {
        return refuse("images", format!("image {image} is not listed"));
    }
    if of(&policy.digests_only, at) == Some(&true) && !image.contains("@sha256:") {
        return refuse(
            "digestsOnly",
            format!("image {image} is not named by its digest"),
        );
    }
    Ok(())
}

/// An entry is a whole reference, a repository (any tag or digest), or, with a `/` at its end, all below it.
fn image_is(entry: &str, image: &str) -> bool {
    let Some(rest) = image.strip_prefix(entry).filter(|_| !entry.is_empty()) else {
        return false;
    };
    if rest.is_empty() || entry.ends_with('/') {
        return true;
    }
    // A tag pins: `repo:1` is not `repo:1@sha256:…`, whose tag nobody reads. Nor is `repo` a prefix of `repo-evil`, or
    // `host` one of `host:5000/evil`.
    let is_repository = !entry
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains([':', '@']));
    is_repository
        && (rest.starts_with('@') || rest.strip_prefix(':').is_some_and(|tag| !tag.contains('/')))
}

fn names<'a>(
    rule: &'static str,
    what: &str,
    listed: &PerNamespace<Vec<String>>,
    at: &str,
    asked: impl IntoIterator<Item = &'a String>,
) -> Result<(), Refusal> {
    let listed = of(listed, at);
    match asked
        .into_iter()
        .find(|name| !listed.is_some_and(|listed| listed.contains(name)))
    {
        Some(name) => refuse(rule, format!("{what} {name} is not listed")),
        None => Ok(()),
    }
}

fn secrets(policy: &Policy, at: &str, template: &Template) -> Result<(), Refusal> {
    let listed = of(&policy.secrets, at);
    for (variable, source) in &template.secret_env {
        let asked = format!("{}/{}", source.secret, source.key);
        let keys = listed.and_then(|listed| listed.get(variable));
        if !keys.is_some_and(|keys| keys.0.contains(&asked)) {
            return refuse(
                "secrets",
                format!("variable {variable} may not come from {asked}"),
            );
        }
        if template.env.contains_key(variable) {
            return refuse(
                "secrets",
                format!("variable {variable} has a value and a secret"),
            );
        }
    }
    for (variable, value) in &template.env {
        if let Some(name) = references(value).find(|name| template.secret_env.contains_key(*name)) {
            // The kubelet would expand it: the password would go to wherever this variable goes.
            return refuse(
                "secrets",
                format!("variable {variable} holds $({name}), which comes from a secret"),
            );
        }
    }
    Ok(())
}

/// Names in `$(NAME)` as the kubelet expands them; `$$` stands for a dollar.
///
/// Source: `k8s.io/kubernetes/third_party/forked/golang/expansion`.
pub fn references(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value;
    std::iter::from_fn(move || {
        loop {
            let dollar = rest.find('$')?;
            let after = &rest[dollar + 1..];
            if let Some(inner) = after.strip_prefix('(') {
                let Some(end) = inner.find(')') else {
                    // An open reference is text, but another may stand inside it.
                    rest = inner;
                    continue;
                };
                rest = &inner[end + 1..];
                return Some(&inner[..end]);
            }
            rest = after.strip_prefix('$').unwrap_or(after);
        }
    })
}

fn variables(policy: &Policy, at: &str, env: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if let Some(host) = env.get("DB_HOST") {
        names("dbHosts", "database host", &policy.db_hosts, at, [host])?;
    }
    if let Some(gateway) = env
        .get("PROMETHEUS_PUSHGATEWAY")
        .filter(|value| !value.is_empty())
    {
        names(
            "pushgateways",
            "pushgateway",
            &policy.pushgateways,
            at,
            [gateway],
        )?;
    }
    names(
        "extraEnv",
        "variable",
        &policy.extra_env,
        at,
        env.keys().filter(|name| !SegmentEnv::is_known(name)),
    )
}

fn prefixes(
    rule: &'static str,
    what: &str,
    listed: &PerNamespace<Vec<String>>,
    at: &str,
    asked: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let listed = of(listed, at);
    let admitted = |key: &String| {
        !key.starts_with(OWN_PREFIX)
            && listed
                .is_some_and(|listed| listed.iter().any(|prefix| key.starts_with(prefix.as_str())))
    };
    match asked.keys().find(|key| !admitted(key)) {
        Some(key) => refuse(rule, format!("{what} {key} is not listed")),
        None => Ok(()),
    }
}

fn node_selector(
    policy: &Policy,
    at: &str,
    asked: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let listed = of(&policy.node_selectors, at);
    let admitted = |key: &String, value: &String| {
        listed
            .and_then(|listed| listed.get(key))
            .is_some_and(|values| values.contains(value))
    };
    match asked.iter().find(|(key, value)| !admitted(key, value)) {
        Some((key, value)) => refuse(
            "nodeSelectors",
            format!("node selector {key}={value} is not listed"),
        ),
        None => Ok(()),
    }
}

fn tolerated(policy: &Policy, at: &str, asked: &PodToleration) -> Result<(), Refusal> {
    let equal = |rule: &Option<String>, asked: &Option<String>| rule.is_none() || rule == asked;
    let admitted = of(&policy.tolerations, at)
        .into_iter()
        .flatten()
        .any(|rule| {
            equal(&rule.key, &asked.key)
                && equal(&rule.effect, &asked.effect)
                && (rule.value.is_none()
                    || (asked.operator.as_deref() != Some("Exists") && rule.value == asked.value))
        });
    if admitted {
        return Ok(());
    }
    let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
    refuse(
        "tolerations",
        format!(
            "toleration {}={}:{} is not listed",
            part(&asked.key),
            part(&asked.value),
            part(&asked.effect)
        ),
    )
}

fn pod_security(policy: &Policy, at: &str, asked: PodSecurity) -> Result<(), Refusal> {
    let least = of(&policy.pod_security, at).copied().unwrap_or_default();
    if asked >= least {
        return Ok(());
    }
    let name = |level: PodSecurity| format!("{level:?}").to_lowercase();
    refuse(
        "podSecurity",
        format!(
            "Pods of level {} are not admitted, only from {} on",
            name(asked),
            name(least)
        ),
    )
}

fn interval(policy: &Policy, at: &str, template: &Template) -> Result<(), Refusal> {
    let floor = of(&policy.minimum_interval, at)
        .map_or(DEFAULT_MINIMUM_INTERVAL_SECONDS, |interval| interval.0);
    let shortest = shortest_interval(&template.schedule, floor);
    if shortest.is_none_or(|shortest| shortest >= floor) {
        return Ok(());
    }
    refuse(
        "minimumInterval",
        format!(
            "schedule {:?} runs again after {} s, at least {floor} s are asked for",
            template.schedule,
            shortest.unwrap_or_default()
        ),
    )
}

/// Seconds between the two closest runs, as far as that matters for `floor`; `None` for what never runs twice.
/// In UTC: a zone's change of clock is not the schedule's doing.
fn shortest_interval(text: &str, floor: i64) -> Option<i64> {
    let mut last = schedule::next_after(text, None, jiff::Timestamp::UNIX_EPOCH)?;
    let mut shortest = None;
    // Five fields can't say less than a minute: then two runs tell as much as all.
    let looked_at = if floor <= DEFAULT_MINIMUM_INTERVAL_SECONDS {
        2
    } else {
        RUNS_LOOKED_AT
    };
    for _ in 0..looked_at {
        let Some(next) = schedule::next_after(text, None, last) else {
            break;
        };
        let gap = next.as_second() - last.as_second();
        shortest = Some(shortest.map_or(gap, |shortest: i64| shortest.min(gap)));
        if gap < floor {
            break;
        }
        last = next;
    }
    shortest
}

fn resources(policy: &Policy, at: &str, template: &Template) -> Result<(), Refusal> {
    let ceilings = of(&policy.resources, at);
    for (name, asked) in template.requests.iter().chain(&template.limits) {
        let Some(ceiling) = ceilings.and_then(|ceilings| ceilings.get(name)) else {
            return refuse("resources", format!("resource {name} is not listed"));
        };
        if quantity::parse(asked).is_none_or(|asked| asked > ceiling.0) {
            return refuse("resources", format!("{name} {asked} is over the ceiling"));
        }
    }
    Ok(())
}
