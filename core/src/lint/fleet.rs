//! Shared tables: two Segments that write one table on one cluster.
//!
//! In: Segments, each with its clusters, and the house defaults. Out: one warning for each Segment of such a group.
//! Law: linear in Segments × clusters where overrides or references matter, in Segments alone where not.
//! Not: two Segments on one `CronJob` (`index`, `Collision`).

use crate::finding::{Code, Finding};
use crate::ids::{ClusterName, SegmentKey};
use crate::placement::ClusterView;
use crate::segment::overrides::{effective, matching};
use crate::segment::{EffectiveSegment, HouseDefaults, ParsedSegment, template};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The variable that names the table.
const NAME: &str = "TARGET_SEGMENT_NAME";

/// Variables that say which table it is.
const TABLE: [&str; 4] = ["DB_HOST", "DB_PORT", "TARGET_SCHEMA_NAME", NAME];

/// The key in a Secret in which the database's name is kept.
const DATABASE: &str = "DB_NAME";

/// A table: its variables' values, and where the database's name is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Table {
    values: [String; TABLE.len()],
    secret: String,
    key: String,
}

/// Which clusters of a Segment write a table.
type Writers<'a> = BTreeMap<&'a SegmentKey, BTreeSet<&'a str>>;

/// Names that a Segment's table may have on some cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableNames {
    /// As written.
    names: BTreeSet<String>,
    /// One of them depends on the cluster, or comes from a Secret: it may be any.
    any: bool,
}

impl TableNames {
    /// Those of a Segment, its overrides included.
    pub fn of(segment: &ParsedSegment) -> Self {
        let mut all = Self::default();
        let spec = &segment.spec;
        let base = spec.env.get(NAME);
        let others = spec.overrides.iter().filter_map(|one| one.env.get(NAME));
        for name in base.into_iter().chain(others) {
            all.any |= template::mentions_cluster(name);
            all.names.insert(name.to_owned());
        }
        all.any |= base.is_none();
        all
    }

    /// Whether both may be one table.
    pub fn may_meet(&self, other: &Self) -> bool {
        self.any || other.any || !self.names.is_disjoint(&other.names)
    }
}

/// The warnings, sorted by Segment. A Segment whose table is not known on a cluster is left out there.
pub fn shared_tables(
    segments: &[(&ParsedSegment, Vec<&ClusterView>)],
    defaults: &HouseDefaults,
) -> Vec<(SegmentKey, Finding)> {
    let clusters = |count, example: &str| {
        if count == 1 {
            format!("cluster {example}")
        } else {
            format!("{count} clusters, such as {example}")
        }
    };
    shared(segments, defaults, clusters)
}

/// The same where no cluster is known: Segments that would meet on a cluster which has just the labels that one of them
/// selects by.
pub fn shared_by_selectors(
    segments: &[&ParsedSegment],
    defaults: &HouseDefaults,
) -> Vec<(SegmentKey, Finding)> {
    let candidates = with_common_names(segments);
    let wanted: BTreeSet<BTreeMap<String, String>> = candidates
        .iter()
        .map(|segment| labels_of(segment))
        .collect();
    let views: Vec<ClusterView> = wanted
        .into_iter()
        .enumerate()
        .filter_map(|(at, labels)| view(at, labels))
        .collect();
    let placed: Vec<(&ParsedSegment, Vec<&ClusterView>)> = candidates
        .into_iter()
        .map(|segment| {
            let selected = views
                .iter()
                .filter(|view| segment.selector.matches(&view.labels));
            (segment, selected.collect())
        })
        .collect();
    shared(&placed, defaults, |_, _| {
        "clusters that both select".to_owned()
    })
}

/// Segments whose table may have the name of another's.
fn with_common_names<'a>(segments: &[&'a ParsedSegment]) -> Vec<&'a ParsedSegment> {
    let named: Vec<(&ParsedSegment, TableNames)> = segments
        .iter()
        .map(|segment| (*segment, TableNames::of(segment)))
        .collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for name in named.iter().flat_map(|(_, names)| &names.names) {
        *counts.entry(name).or_default() += 1;
    }
    let is_common = |name: &String| counts.get(name.as_str()).is_some_and(|count| *count > 1);
    named
        .iter()
        .filter(|(_, names)| names.any || names.names.iter().any(is_common))
        .map(|(segment, _)| *segment)
        .collect()
}

/// The fewest labels with which a cluster is selected, as far as the selector says them.
fn labels_of(segment: &ParsedSegment) -> BTreeMap<String, String> {
    let Some(selector) = &segment.spec.cluster_selector else {
        return BTreeMap::new();
    };
    let exact = selector.match_labels.clone().unwrap_or_default();
    let any = selector.match_expressions.iter().flatten();
    any.filter(|one| matches!(one.operator.as_str(), "In" | "Exists"))
        .map(|one| {
            let value = one.values.iter().flatten().next().cloned();
            (one.key.clone(), value.unwrap_or_default())
        })
        .chain(exact)
        .collect()
}

fn view(at: usize, labels: BTreeMap<String, String>) -> Option<ClusterView> {
    let name = ClusterName::new(format!("example-{at}")).ok()?;
    Some(ClusterView {
        // The implicit label may be one of those that are selected by.
        labels,
        ..ClusterView::named(name, BTreeMap::new())
    })
}

fn shared(
    segments: &[(&ParsedSegment, Vec<&ClusterView>)],
    defaults: &HouseDefaults,
    clusters: impl Fn(usize, &str) -> String,
) -> Vec<(SegmentKey, Finding)> {
    let mut tables: HashMap<Table, Writers<'_>> = HashMap::new();
    for (segment, clusters) in segments {
        let mut said: HashMap<Vec<usize>, EffectiveSegment> = HashMap::new();
        let mut same: HashMap<Vec<usize>, Option<Table>> = HashMap::new();
        for cluster in clusters {
            let overrides: Vec<usize> = matching(segment, &cluster.labels).collect();
            let effective = said
                .entry(overrides.clone())
                .or_insert_with(|| effective(segment, &cluster.labels));
            let table = if depends_on_cluster(effective) {
                table(effective, defaults, cluster)
            } else {
                same.entry(overrides)
                    .or_insert_with(|| table(effective, defaults, cluster))
                    .clone()
            };
            if let Some(table) = table {
                tables
                    .entry(table)
                    .or_default()
                    .entry(&segment.key)
                    .or_default()
                    .insert(cluster.name.as_str());
            }
        }
    }
    let mut found: BTreeMap<&SegmentKey, Finding> = BTreeMap::new();
    let mut shared: Vec<(&Table, &Writers<'_>)> = tables
        .iter()
        .filter(|(_, writers)| writers.len() > 1)
        .collect();
    shared.sort();
    for (table, writers) in shared {
        for (key, other, count, example) in pairs(writers) {
            found
                .entry(key)
                .or_insert_with(|| finding(table, other, &clusters(count, example)));
        }
    }
    found
        .into_iter()
        .map(|(key, finding)| (key.clone(), finding))
        .collect()
}

/// For each Segment that shares a cluster with another: one such other, on how many clusters, and one of them.
fn pairs<'a>(writers: &Writers<'a>) -> Vec<(&'a SegmentKey, &'a SegmentKey, usize, &'a str)> {
    let mut on: BTreeMap<&str, Vec<&'a SegmentKey>> = BTreeMap::new();
    for (key, clusters) in writers {
        for cluster in clusters {
            on.entry(cluster).or_default().push(key);
        }
    }
    writers
        .iter()
        .filter_map(|(key, clusters)| {
            // The first other on each shared cluster: one pass, however many share.
            let mut shared = clusters.iter().filter_map(|cluster| {
                let other = on.get(cluster)?.iter().find(|other| *other != key)?;
                Some((*other, *cluster))
            });
            let (other, example) = shared.next()?;
            Some((*key, other, 1 + shared.count(), example))
        })
        .collect()
}

fn finding(table: &Table, other: &SegmentKey, clusters: &str) -> Finding {
    let [host, _, schema, name] = &table.values;
    Finding::warning(
        Code::SharedTable,
        "spec.env.TARGET_SEGMENT_NAME",
        format!("segment {other} writes {schema}.{name} at {host}, too, on {clusters}"),
    )
    .help("each run throws away what the other made: give one of them another name or schema")
}

fn depends_on_cluster(effective: &EffectiveSegment) -> bool {
    TABLE.iter().any(|name| {
        effective
            .env
            .get(name)
            .is_some_and(template::mentions_cluster)
    })
}

fn table(
    effective: &EffectiveSegment,
    defaults: &HouseDefaults,
    cluster: &ClusterView,
) -> Option<Table> {
    let value = |name: &str| -> Option<String> {
        if effective.env_from_secrets.contains_key(name) {
            return None;
        }
        let value = match effective.env.get(name) {
            Some(value) => template::expand(value, cluster, "").ok()?.into_owned(),
            None => defaults.env.get(name)?.clone(),
        };
        Some(value)
    };
    let [host, port, schema, name] = TABLE.map(value);
    let reference = effective.env_from_secrets.get(DATABASE);
    let secret = reference.and_then(|reference| reference.secret.as_ref());
    let key = reference.and_then(|reference| reference.key.as_ref());
    Some(Table {
        values: [host?, port?, schema?, name?],
        secret: secret.unwrap_or(&defaults.secret).clone(),
        key: key
            .or_else(|| defaults.secret_keys.get(DATABASE))
            .cloned()
            .unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::parse;
    use crate::testing;
    use segment_crds::{SecretRef, Segment};

    fn segment(key: &str, change: impl FnOnce(&mut Segment)) -> ParsedSegment {
        let mut segment = testing::segment(key);
        segment.spec.env.target_segment_name = Some("visits".to_owned());
        change(&mut segment);
        parse(&segment).unwrap()
    }

    fn shared(segments: &[ParsedSegment], clusters: &[ClusterView]) -> Vec<(String, String)> {
        let placed: Vec<(&ParsedSegment, Vec<&ClusterView>)> = segments
            .iter()
            .map(|segment| (segment, clusters.iter().collect()))
            .collect();
        shared_tables(&placed, &HouseDefaults::default())
            .into_iter()
            .map(|(key, finding)| (key.to_string(), finding.message))
            .collect()
    }

    #[test]
    fn one_table_of_two_segments_is_said_of_both() {
        let clusters = [testing::view("eu-1", &[]), testing::view("eu-2", &[])];
        let both = [segment("crm/a", |_| ()), segment("shop/b", |_| ())];
        assert_eq!(
            shared(&both, &clusters),
            [("crm/a", "shop/b"), ("shop/b", "crm/a")].map(|(key, other)| (
                key.to_owned(),
                format!(
                    "segment {other} writes segments.visits at grnry-pg-citus, too, on 2 clusters, such as eu-1"
                )
            ))
        );
    }

    #[test]
    fn without_clusters_the_selectors_decide() {
        let selecting = |name, labels: &[(&str, &str)]| {
            let selector = testing::label_selector(labels);
            segment(name, move |s| {
                s.spec.cluster_selector = Some(selector.clone());
            })
        };
        let prod = selecting("crm/a", &[("env", "prod")]);
        let all = selecting("crm/b", &[]);
        let test = selecting("crm/c", &[("env", "test")]);
        let found = |segments: &[&ParsedSegment]| -> Vec<String> {
            shared_by_selectors(segments, &HouseDefaults::default())
                .into_iter()
                .map(|(key, finding)| format!("{key}: {}", finding.message))
                .collect()
        };
        assert_eq!(
            found(&[&prod, &all]),
            [
                "crm/a: segment crm/b writes segments.visits at grnry-pg-citus, too, on clusters that both select",
                "crm/b: segment crm/a writes segments.visits at grnry-pg-citus, too, on clusters that both select",
            ]
        );
        assert_eq!(found(&[&prod, &test]), Vec::<String>::new());
        let named = segment("crm/d", |s| {
            s.spec.env.target_segment_name = Some("other".to_owned());
        });
        assert_eq!(found(&[&prod, &named]), Vec::<String>::new());
    }

    #[test]
    fn another_place_is_another_table() {
        type Change = fn(&mut Segment);
        let clusters = [testing::view("eu-1", &[])];
        let changes: [Change; 5] = [
            |s| s.spec.env.db_host = Some("other".to_owned()),
            |s| s.spec.env.db_port = Some("5433".to_owned()),
            |s| s.spec.env.target_schema_name = Some("other".to_owned()),
            |s| s.spec.env.target_segment_name = Some("other".to_owned()),
            |s| {
                let reference = SecretRef {
                    secret: Some("other".to_owned()),
                    key: None,
                };
                s.spec.env_from_secrets = [("DB_NAME".to_owned(), reference)].into();
            },
        ];
        for change in changes {
            let both = [segment("crm/a", |_| ()), segment("crm/b", change)];
            assert_eq!(shared(&both, &clusters), []);
        }
    }

    #[test]
    fn what_the_clusters_make_of_a_name_counts() {
        let clusters = [
            testing::view("eu-1", &[("name", "visits")]),
            testing::view("eu-2", &[("name", "other")]),
            testing::view("eu-3", &[]),
        ];
        let both = [
            segment("crm/a", |_| ()),
            segment("crm/b", |s| {
                s.spec.env.target_segment_name = Some("$(cluster.labels['name'])".to_owned());
            }),
        ];
        let found = shared(&both, &clusters);
        assert_eq!(found.len(), 2);
        assert!(
            found
                .iter()
                .all(|(_, message)| message.ends_with("on cluster eu-1")),
            "{found:?}"
        );
    }
}
