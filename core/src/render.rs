//! Render: Segment × cluster × defaults → the `CronJob`'s template, or findings.
//!
//! In: [`ParsedSegment`], [`HouseDefaults`], [`ClusterView`]. Out: [`Rendered`].
//! Law: a function: map order, other clusters and time change nothing (test `render_is_a_function`); equal
//! [`RenderKey`]s, equal bytes (test `equal_keys_render_equal_bytes`); what `parse` passes renders wherever its
//! references resolve (test `what_parse_passes_renders`).
//! Not: which revision (`rollout.rs`), the Kubernetes object (`cronjob.rs`).

use crate::assignment::{
    ConcurrencyPolicy, PodToleration, PullPolicy, Rendered, RenderedError, RestartPolicy, Template,
};
use crate::finding::{Code, Finding};
use crate::ids::ClusterName;
use crate::lint;
use crate::placement::ClusterView;
use crate::segment::resolved::{self, Variables, variables};
use crate::segment::{EffectiveSegment, effective, overrides, schedule};
pub use crate::segment::{HouseDefaults, ParsedSegment, parse, parse_spec};
use k8s_openapi::api::core::v1::Toleration;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use segment_crds::ImageSettings;
use std::collections::BTreeMap;

/// Renders a Segment for one cluster.
///
/// # Errors
/// Findings of this Segment on this cluster: references that do not resolve, what an override takes away or puts in two
/// places, what does not fit the house defaults, and a result over
/// [`MAX_RENDERED_BYTES`](crate::assignment::MAX_RENDERED_BYTES).
pub fn render(
    segment: &ParsedSegment,
    defaults: &HouseDefaults,
    cluster: &ClusterView,
) -> Result<Rendered, Vec<Finding>> {
    let effective = effective(segment, &cluster.labels);
    // What was accepted before lint knew better stands as it is.
    if segment.linted {
        let found = lint::on_cluster(segment, &effective, defaults, cluster, &segment.warnings);
        let errors: Vec<Finding> = found.into_iter().filter(Finding::is_error).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
    }
    as_it_is(segment, &effective, defaults, cluster)
}

/// Renders what a Segment says for a cluster without asking lint.
pub(crate) fn as_it_is(
    segment: &ParsedSegment,
    effective: &EffectiveSegment,
    defaults: &HouseDefaults,
    cluster: &ClusterView,
) -> Result<Rendered, Vec<Finding>> {
    let schedule = hashed_schedule(segment, effective, cluster);
    let (variables, schedule) = match (variables(segment, effective, defaults, cluster), schedule) {
        (Ok(variables), Ok(schedule)) => (variables, schedule),
        (Ok(_), Err(finding)) => return Err(vec![finding]),
        (Err(findings), schedule) => {
            return Err(findings.into_iter().chain(schedule.err()).collect());
        }
    };
    let template = template(segment, effective, defaults, variables, schedule);
    Rendered::new(template).map_err(|error| {
        let code = match error {
            RenderedError::TooLarge { .. } => Code::TooLarge,
            RenderedError::Unreadable(_) => Code::InvalidValue,
        };
        vec![Finding::error(code, "spec", error.to_string())]
    })
}

/// What is wrong under these defaults wherever no override matches; empty is no promise for a cluster. With it a Segment
/// that could run nowhere is refused before a cluster is selected.
pub fn base_findings(segment: &ParsedSegment, defaults: &HouseDefaults) -> Vec<Finding> {
    resolved::base_findings(&segment.spec, defaults)
}

/// What of a cluster the rendered bytes depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RenderKey {
    /// Which overrides match.
    overrides: Vec<usize>,
    /// What each reference stands for, those of the base first.
    values: Vec<Option<String>>,
    /// The cluster's name, where the schedule has an `H`.
    h: Option<ClusterName>,
}

impl RenderKey {
    /// The same for all clusters that differ only in what their `H` becomes: with the same schedule, same bytes.
    #[must_use]
    pub fn without_h(self) -> Self {
        Self { h: None, ..self }
    }
}

/// Clusters with equal keys get equal bytes (or equal findings) of one Segment under the same defaults. Cheap: renders
/// nothing.
pub fn render_key(segment: &ParsedSegment, cluster: &ClusterView) -> RenderKey {
    let overrides: Vec<usize> = overrides::matching(segment, &cluster.labels).collect();
    let changes = overrides
        .iter()
        .filter_map(|&index| segment.needs.overrides.get(index));
    let mut values = Vec::new();
    let mut h = false;
    for need in std::iter::once(&segment.needs.base).chain(changes) {
        values.extend(
            need.references
                .iter()
                .map(|reference| reference.value(cluster).map(str::to_owned)),
        );
        h |= need.h;
    }
    RenderKey {
        overrides,
        values,
        h: h.then(|| cluster.name.clone()),
    }
}

/// Whether clusters may get different bytes at all.
pub fn depends_on_cluster(segment: &ParsedSegment) -> bool {
    let needs = &segment.needs;
    !segment.override_selectors.is_empty() || needs.base.h || !needs.base.references.is_empty()
}

fn hashed_schedule(
    segment: &ParsedSegment,
    effective: &EffectiveSegment,
    cluster: &ClusterView,
) -> Result<String, Finding> {
    let field = || effective.path(segment, "cronjob.schedule");
    let Some(text) = &effective.cronjob.schedule else {
        return Err(Finding::error(
            Code::RequiredVariable,
            field(),
            "is required, and an override takes it away",
        ));
    };
    schedule::replace_h(text, &segment.key, &cluster.name).map_err(|error| error.finding(&field()))
}

/// Everything was judged before; this only puts it together.
fn template(
    segment: &ParsedSegment,
    effective: &EffectiveSegment,
    defaults: &HouseDefaults,
    variables: Variables,
    schedule: String,
) -> Template {
    let cronjob = &effective.cronjob;
    let image = &effective.image;
    let resources = cronjob.resources.clone().unwrap_or_default();
    Template {
        namespace: segment.target_namespace.clone(),
        name: segment.cronjob_name.clone(),
        schedule,
        time_zone: cronjob.time_zone.clone(),
        suspend: cronjob.suspend.unwrap_or(false),
        concurrency_policy: cronjob.concurrency_policy.map_or(
            defaults.concurrency_policy,
            |policy| match policy {
                // Always is Granary's word for Allow.
                segment_crds::ConcurrencyPolicy::Allow
                | segment_crds::ConcurrencyPolicy::Always => ConcurrencyPolicy::Allow,
                segment_crds::ConcurrencyPolicy::Forbid => ConcurrencyPolicy::Forbid,
                segment_crds::ConcurrencyPolicy::Replace => ConcurrencyPolicy::Replace,
            },
        ),
        starting_deadline_seconds: cronjob.starting_deadline_seconds,
        failed_jobs_history_limit: cronjob
            .failed_jobs_history_limit
            .unwrap_or(defaults.failed_jobs_history_limit),
        successful_jobs_history_limit: cronjob
            .successful_jobs_history_limit
            .unwrap_or(defaults.successful_jobs_history_limit),
        backoff_limit: cronjob.backoff_limit,
        active_deadline_seconds: cronjob.active_deadline_seconds,
        ttl_seconds_after_finished: cronjob.ttl_seconds_after_finished,
        image: image_reference(image, defaults),
        image_pull_policy: image
            .pull_policy
            .map_or(defaults.image_pull_policy, |policy| match policy {
                segment_crds::PullPolicy::Always => PullPolicy::Always,
                segment_crds::PullPolicy::IfNotPresent => PullPolicy::IfNotPresent,
                segment_crds::PullPolicy::Never => PullPolicy::Never,
            }),
        image_pull_secrets: image.pull_secrets.as_deref().map_or_else(
            || defaults.image_pull_secrets.clone(),
            crate::segment::defaults::pull_secret_names,
        ),
        restart_policy: image
            .restart_policy
            .map_or(defaults.image_restart_policy, |policy| match policy {
                segment_crds::RestartPolicy::OnFailure => RestartPolicy::OnFailure,
                segment_crds::RestartPolicy::Never => RestartPolicy::Never,
            }),
        service_account_name: cronjob.service_account_name.clone(),
        node_selector: cronjob.node_selector.clone().unwrap_or_default(),
        tolerations: cronjob
            .tolerations
            .iter()
            .flatten()
            .map(toleration)
            .collect(),
        labels: cronjob.labels.clone().unwrap_or_default(),
        annotations: cronjob.annotations.clone().unwrap_or_default(),
        requests: amounts(resources.requests),
        limits: amounts(resources.limits),
        env: variables.env,
        secret_env: variables.secret_env,
        pod_security: defaults.pod_security,
    }
}

/// A tag of the form `sha256:…` is a digest.
fn image_reference(image: &ImageSettings, defaults: &HouseDefaults) -> String {
    let repository = image
        .repository
        .as_deref()
        .unwrap_or(&defaults.image_repository);
    let tag = image.tag.as_deref().unwrap_or(&defaults.image_tag);
    let separator = if tag.starts_with("sha256:") { '@' } else { ':' };
    format!("{repository}{separator}{tag}")
}

fn toleration(toleration: &Toleration) -> PodToleration {
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    PodToleration {
        key: text(&toleration.key),
        operator: text(&toleration.operator),
        value: text(&toleration.value),
        effect: text(&toleration.effect),
        toleration_seconds: toleration.toleration_seconds,
    }
}

fn amounts(amounts: BTreeMap<String, Quantity>) -> BTreeMap<String, String> {
    amounts
        .into_iter()
        .map(|(name, amount)| (name, amount.0))
        .collect()
}
