//! The same `CronJob` on many clusters becomes one Segment: a base, and overrides for what differs.
//!
//! In: `CronJob`s with the names of their clusters. Out: a Segment for each namespace and name. Law: for every cluster the
//! Segment renders to that cluster's `CronJob`; where it can't, a note says so (test `what_is_imported_renders_to_itself`).
//! Not: reading them from clusters (`segctl`).

use super::block::{fill_in, missing};
use super::flat::{self, Differences, Field, Flat};
use super::live::{self, Live};
use super::note::Note;
use super::{Imported, MAX_ITEMS, Naming, Shape};
use crate::assignment::Template;
use crate::finding::{Code, Finding};
use crate::ids::{ClusterName, SegmentKey, SegmentName, Uid};
use crate::names::LABEL_CLUSTER;
use crate::placement::ClusterView;
use crate::render::{base_findings, parse_spec, render};
use crate::segment::HouseDefaults;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use segment_crds::limits::OVERRIDES_MAX;
use segment_crds::{Segment, SegmentSpec};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the `CronJob`s of clusters become.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FromClusters {
    /// A Segment for each namespace and name, sorted by these.
    pub imported: Vec<Imported>,
    /// `CronJob`s that were passed over, and why.
    pub passed_over: Vec<Note>,
}

/// One cluster's `CronJob`.
struct One {
    /// `None` for a file: no cluster is known.
    cluster: Option<ClusterName>,
    flat: Flat,
    notes: Vec<Note>,
}

/// Makes Segments of the older chart's `CronJob`s. Each comes with the name of its cluster; `CronJob`s of the same namespace
/// and name become one Segment. What is no `CronJob` of the chart is passed over.
///
/// # Errors
/// What of them can't be read or is missing; fields begin with the cluster.
pub fn from_cronjobs(
    live: &[(String, Value)],
    naming: &Naming,
    defaults: &HouseDefaults,
) -> Result<FromClusters, Vec<Finding>> {
    if live.len() > MAX_ITEMS {
        let message = format!(
            "{} CronJobs, at most {MAX_ITEMS} are taken at once",
            live.len()
        );
        return Err(vec![
            Finding::error(Code::TooLarge, "", message).help("choose fewer by namespace or labels"),
        ]);
    }
    let mut findings = Vec::new();
    let mut result = FromClusters::default();
    let mut groups: BTreeMap<(String, String), Vec<One>> = BTreeMap::new();
    for (cluster, cronjob) in live {
        let metadata = &cronjob["metadata"];
        let name = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        let place = format!("{cluster}: CronJob {}/{}", name("namespace"), name("name"));
        let prefixed = |finding: Finding| Finding {
            field: format!("{place} {}", finding.field).trim_end().to_owned(),
            ..finding
        };
        let cluster = match ClusterName::new(cluster) {
            Ok(cluster) => cluster,
            Err(error) => {
                findings.push(Finding::error(
                    Code::InvalidName,
                    cluster,
                    error.to_string(),
                ));
                continue;
            }
        };
        if let Err(finding) = super::document::bounded(cronjob) {
            findings.push(prefixed(finding));
            continue;
        }
        match live::read(cronjob) {
            Ok(Live::Chart(template, notes)) => {
                let one = One::new(Some(cluster), &template, notes, defaults);
                let group = groups
                    .entry((template.namespace.to_string(), template.name.to_string()))
                    .or_default();
                if group.iter().any(|known| known.cluster == one.cluster) {
                    findings.push(prefixed(Finding::error(
                        Code::Collision,
                        "",
                        "was given twice for this cluster",
                    )));
                }
                group.push(one);
            }
            Ok(Live::Other) => {
                result.passed_over.push(Note::new(
                    place,
                    "has no container that creates segments: passed over",
                ));
            }
            Ok(Live::Ours(segment)) => {
                let message = format!("belongs to Segment {segment} already: passed over");
                result.passed_over.push(Note::new(place, message));
            }
            Err(found) => findings.extend(found.into_iter().map(prefixed)),
        }
    }
    if naming.name.is_some() && groups.len() > 1 {
        let names: Vec<String> = groups
            .keys()
            .map(|(namespace, name)| format!("{namespace}/{name}"))
            .collect();
        findings.push(
            Finding::error(
                Code::Collision,
                "",
                format!(
                    "one name was given for {} CronJobs: {}",
                    names.len(),
                    names.join(", ")
                ),
            )
            .help("leave the name out, or choose one CronJob"),
        );
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    for ((namespace, name), group) in groups {
        match segment(&namespace, &name, group, naming, defaults) {
            Ok(imported) => result.imported.push(imported),
            Err(found) => findings.extend(found.into_iter().map(|finding| Finding {
                field: format!("CronJob {namespace}/{name} {}", finding.field),
                ..finding
            })),
        }
    }
    if findings.is_empty() {
        Ok(result)
    } else {
        Err(findings)
    }
}

/// Makes a Segment of a `CronJob` in a file: no cluster is known, so that it selects all.
pub(super) fn from_file(
    cronjob: &Value,
    naming: &Naming,
    defaults: &HouseDefaults,
) -> Result<Imported, Vec<Finding>> {
    match live::read(cronjob)? {
        Live::Chart(template, notes) => {
            let one = One::new(None, &template, notes, defaults);
            // A file may have no namespace; then the Segment has none either.
            let namespace = cronjob["metadata"]["namespace"]
                .as_str()
                .unwrap_or_default();
            segment(
                namespace,
                template.name.as_str(),
                vec![one],
                naming,
                defaults,
            )
        }
        Live::Other => Err(vec![
            Finding::error(
                Code::InvalidValue,
                "spec.jobTemplate.spec.template.spec.containers",
                "none of them creates segments",
            )
            .help(
                "one is called segment-table-creation, or is the only one with the variable TYPE",
            ),
        ]),
        Live::Ours(segment) => Err(vec![
            Finding::error(
                Code::InvalidValue,
                "metadata.annotations",
                format!("belongs to Segment {segment} already"),
            )
            .help("export that Segment instead"),
        ]),
    }
}

impl One {
    /// Adds what is rendered in any case, so that no override has to say it.
    fn new(
        cluster: Option<ClusterName>,
        template: &Template,
        mut notes: Vec<Note>,
        defaults: &HouseDefaults,
    ) -> Self {
        let mut flat = flat::of_template(template);
        let (mut spec, _) = flat::spec(&flat, &Flat::new());
        let mut added = |name: &str, value: Value, message: &str| {
            flat.entry(Field::Variable(name.to_owned()))
                .or_insert_with(|| {
                    notes.push(Note::new(format!("env.{name}"), message).changes());
                    value
                });
        };
        for (name, value) in &defaults.env {
            added(
                name,
                json!(value),
                &format!("is absent there: will be the default, {value:?}"),
            );
        }
        for (name, key) in &defaults.secret_keys {
            let value = json!({"secret": defaults.secret, "key": key});
            let message = format!(
                "is absent there: will come from the default Secret, {}/{key}",
                defaults.secret
            );
            added(name, value, &message);
        }
        for (name, message) in fill_in(&mut spec, defaults) {
            added(name, json!(""), message);
        }
        Self {
            cluster,
            flat,
            notes,
        }
    }
}

fn segment(
    namespace: &str,
    name: &str,
    mut group: Vec<One>,
    naming: &Naming,
    defaults: &HouseDefaults,
) -> Result<Imported, Vec<Finding>> {
    group.sort_by(|a, b| a.cluster.cmp(&b.cluster));
    let segment_name = naming.name.as_deref().unwrap_or(name);
    let own_namespace = naming.namespace.as_deref().unwrap_or(namespace);
    let segment_name = SegmentName::new(segment_name)
        .map_err(|error| vec![Finding::error(Code::InvalidName, "", error.to_string())])?;

    let house = flat::of_defaults(defaults);
    let mut spec = Err(Vec::new());
    for base in [majority(&group), most_common(&group)] {
        spec = spec_of(&base, &house, &group);
        let key = SegmentKey::new(
            own_namespace_or_default(own_namespace),
            segment_name.as_str(),
        );
        // A base of majorities may join what does not belong together; that of one cluster never does.
        if let (Ok((spec, _)), Ok(key)) = (&spec, key)
            && parse_spec(key, Uid::default(), 0, Arc::new(spec.clone()))
                .is_ok_and(|parsed| base_findings(&parsed, defaults).is_empty())
        {
            break;
        }
    }
    let (mut spec, left_out) = spec?;
    if !namespace.is_empty() && own_namespace != namespace {
        spec.target_namespace = Some(namespace.to_owned());
    }
    let absent = missing(&spec);
    if !absent.is_empty() {
        return Err(absent
            .into_iter()
            .map(|(field, help)| {
                let field = live::field(field).unwrap_or_else(|| field.to_owned());
                Finding::error(Code::RequiredVariable, field, "is required").help(help)
            })
            .collect());
    }

    let mut notes = gathered(&group);
    let mut segment = Segment::new(segment_name.as_str(), spec);
    segment.metadata.namespace = Some(own_namespace.to_owned()).filter(|name| !name.is_empty());
    notes.extend(verified(&segment, &group, defaults));
    if segment_name.as_str() != name {
        notes.push(
            Note::new(
                "metadata.name",
                format!(
                    "is {name} there: a Segment of another name makes another CronJob beside it"
                ),
            )
            .changes(),
        );
    }
    if notes.iter().any(|note| note.changes) {
        notes.push(Note::new(
            "",
            "what will be written is not what is there: with adoption IfSame the CronJob is left alone and reported; \
             spec.adoption: Always takes it over and changes it",
        ));
    }
    if left_out > 0 {
        notes.push(Note::new(
            "",
            format!("{left_out} values equal the house defaults and were left out"),
        ));
    }
    Ok(Imported {
        segment,
        shape: Shape::CronJob,
        notes,
    })
}

fn own_namespace_or_default(namespace: &str) -> &str {
    if namespace.is_empty() {
        "default"
    } else {
        namespace
    }
}

/// The value that most clusters have, field by field; of equally many, that of the first cluster.
fn majority(group: &[One]) -> Flat {
    let fields: BTreeSet<&Field> = group.iter().flat_map(|one| one.flat.keys()).collect();
    let mut base = Flat::new();
    for field in fields {
        let mut counts: BTreeMap<Option<String>, (usize, usize)> = BTreeMap::new();
        for (index, one) in group.iter().enumerate() {
            let value = one.flat.get(field).map(Value::to_string);
            counts.entry(value).or_insert((0, index)).0 += 1;
        }
        let first = counts
            .into_values()
            .max_by_key(|&(count, first)| (count, std::cmp::Reverse(first)))
            .map(|(_, first)| first);
        let value = first
            .and_then(|index| group.get(index))
            .and_then(|one| one.flat.get(field));
        if let Some(value) = value {
            base.insert(field.clone(), value.clone());
        }
    }
    base
}

/// The `CronJob` that most clusters have as a whole; of equally many, that of the first cluster.
fn most_common(group: &[One]) -> Flat {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (index, one) in group.iter().enumerate() {
        counts
            .entry(format!("{:?}", one.flat))
            .or_insert((0, index))
            .0 += 1;
    }
    counts
        .into_values()
        .max_by_key(|&(count, first)| (count, std::cmp::Reverse(first)))
        .and_then(|(_, first)| group.get(first))
        .map(|one| one.flat.clone())
        .unwrap_or_default()
}

/// Base and overrides; how many values the house defaults say.
fn spec_of(base: &Flat, house: &Flat, group: &[One]) -> Result<(SegmentSpec, usize), Vec<Finding>> {
    let (mut spec, left_out) = flat::spec(base, house);
    let mut same: BTreeMap<String, (Differences, Vec<String>)> = BTreeMap::new();
    let mut clusters = Vec::new();
    for one in group {
        let Some(cluster) = &one.cluster else {
            continue;
        };
        clusters.push(cluster.to_string());
        let differences = flat::differences(base, &one.flat);
        if !differences.is_empty() {
            same.entry(format!("{differences:?}"))
                .or_insert_with(|| (differences, Vec::new()))
                .1
                .push(cluster.to_string());
        }
    }
    if same.len() > OVERRIDES_MAX {
        let message = format!(
            "differs in {} ways between {} clusters, a Segment has at most {OVERRIDES_MAX} overrides",
            same.len(),
            clusters.len()
        );
        return Err(vec![Finding::error(Code::TooLarge, "", message).help(
            "import fewer clusters at once; a value that differs on each belongs into a label of its Cluster: \
             $(cluster.labels['key'])",
        )]);
    }
    let mut same: Vec<(Differences, Vec<String>)> = same.into_values().collect();
    same.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.1.cmp(&b.1)));
    spec.overrides = same
        .into_iter()
        .map(|(differences, clusters)| {
            let mut change = flat::change(base, &differences);
            change.cluster_selector = Some(these(clusters));
            change
        })
        .collect();
    spec.cluster_selector = (!clusters.is_empty()).then(|| these(clusters));
    Ok((spec, left_out))
}

/// Exactly these clusters.
fn these(clusters: Vec<String>) -> LabelSelector {
    LabelSelector {
        match_labels: None,
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: LABEL_CLUSTER.to_owned(),
            operator: "In".to_owned(),
            values: Some(clusters),
        }]),
    }
}

/// The notes of all, each once, with its clusters.
fn gathered(group: &[One]) -> Vec<Note> {
    let mut order: Vec<Note> = Vec::new();
    let mut places: BTreeMap<Note, usize> = BTreeMap::new();
    for one in group {
        for note in &one.notes {
            let place = *places.entry(note.clone()).or_insert_with(|| {
                order.push(note.clone());
                order.len() - 1
            });
            if let (Some(note), Some(cluster)) = (order.get_mut(place), &one.cluster) {
                note.clusters.push(cluster.to_string());
            }
        }
    }
    order
}

/// Renders the Segment for each cluster and compares.
fn verified(segment: &Segment, group: &[One], defaults: &HouseDefaults) -> Vec<Note> {
    let mut notes = Vec::new();
    let key = segment.metadata.namespace.as_deref().unwrap_or_default();
    let name = segment.metadata.name.as_deref().unwrap_or_default();
    let Ok(key) = SegmentKey::new(own_namespace_or_default(key), name) else {
        return notes;
    };
    let parsed = match parse_spec(key, Uid::default(), 0, Arc::new(segment.spec.clone())) {
        Ok(parsed) => parsed,
        Err(findings) => {
            let first = findings.first().map(ToString::to_string);
            notes.push(Note::new(
                "",
                format!(
                    "could not be compared with what is there: {}",
                    first.unwrap_or_default()
                ),
            ));
            return notes;
        }
    };
    for one in group {
        let Some(view) = view(one.cluster.as_ref()) else {
            continue;
        };
        let differs = match render(&parsed, defaults, &view) {
            Ok(rendered) => flat::differences(&one.flat, &flat::of_template(rendered.template()))
                .into_keys()
                .map(|field| field.to_string())
                .collect::<Vec<_>>()
                .join(", "),
            Err(findings) => findings
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
        };
        if !differs.is_empty() {
            let mut note = Note::new("", format!("would not be the same: {differs}")).changes();
            note.clusters
                .extend(one.cluster.as_ref().map(ToString::to_string));
            notes.push(note);
        }
    }
    notes
}

/// A cluster of which only the name is known. A file's Segment has no overrides: there any name does.
fn view(cluster: Option<&ClusterName>) -> Option<ClusterView> {
    let name = cluster.cloned().or_else(|| ClusterName::new("any").ok())?;
    Some(ClusterView::named(name, BTreeMap::new()))
}
