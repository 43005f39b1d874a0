//! A Segment on one cluster: what overrides and `$(cluster.…)` make of it there.
//!
//! In: a Segment, house defaults, a cluster. Out: findings that are not the Segment's own.
//! Law: offsets are those in the values as written; where neither overrides nor references make a difference, nothing
//! is judged again. Not: references that do not resolve (`segment::resolved`).

use super::report::{Place, Report};
use super::script::{Script, is_grammar};
use super::{rules, spec};
use crate::finding::Finding;
use crate::placement::ClusterView;
use crate::segment::rules::Seen;
use crate::segment::template::Origins;
use crate::segment::{EffectiveSegment, HouseDefaults, ParsedSegment, template};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// What is found there and not in the Segment by itself (`known`); without what the renderer says. `effective` is what
/// the Segment says for the cluster.
pub(crate) fn on_cluster(
    segment: &ParsedSegment,
    effective: &EffectiveSegment,
    defaults: &HouseDefaults,
    cluster: &ClusterView,
    known: &[Finding],
) -> Vec<Finding> {
    let expanded: BTreeMap<&str, Option<Cow<'_, str>>> = effective
        .env
        .iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .filter(|(_, value)| template::mentions_cluster(value))
        .map(|(name, value)| (name, template::expand(value, cluster, "").ok()))
        .collect();
    let changes = || {
        effective
            .overrides
            .iter()
            .filter_map(|&index| segment.spec.overrides.get(index))
    };
    let lists_differ =
        expanded.keys().any(|name| is_grammar(name)) || changes().any(spec::speaks_of_lists);
    if expanded.is_empty() && !lists_differ {
        return Vec::new();
    }
    let path = |field: &str| effective.path(segment, field);
    // Made where something is found in the value, which is seldom.
    let origins: BTreeMap<&str, OnceCell<Origins>> = expanded
        .keys()
        .map(|name| (*name, OnceCell::new()))
        .collect();
    let origin = |name: &str, offset: usize| match (origins.get(name), effective.env.get(name)) {
        (Some(origins), Some(written)) => origins
            .get_or_init(|| Origins::new(written, cluster))
            .of(offset),
        _ => (offset, false),
    };
    let mut report = Report::new(Place {
        path: &path,
        origin: &origin,
    });
    let kind = effective.env.type_.as_deref();
    for (name, _) in effective.env.iter() {
        if let Some(Some(value)) = expanded.get(name)
            && spec::is_read(name, kind)
        {
            rules::part(name, value, &mut report);
        }
    }
    if lists_differ {
        let own = |name: &'static str| match expanded.get(name) {
            Some(Some(value)) if !effective.env_from_secrets.contains_key(name) => {
                Seen::Text(value)
            }
            _ => effective.seen(name),
        };
        let script = Script::new(&own, defaults, effective.image.tag.as_deref());
        rules::grammar(&script, &mut report);
    }
    report.findings.retain(|finding| !known.contains(finding));
    report.findings
}
