//! Values of the older Helm chart.
//!
//! In: `cronjob`, `image`, `env` and `envFromSecrets` at the top. Out: a Segment. Law: the rendered `CronJob` equals the
//! chart's own (golden file `chart-helm-values.json`). Not: other charts.

use super::block::{BLOCKS, Reading, say_unknown};
use super::{Imported, Naming, Shape, name};
use crate::finding::{Code, Finding};
use crate::ids::SegmentName;
use crate::segment::HouseDefaults;
use segment_crds::Segment;
use serde_json::{Map, Value};

pub(super) fn import(
    document: &Value,
    naming: &Naming,
    defaults: &HouseDefaults,
) -> Result<Imported, Vec<Finding>> {
    let mut reading = Reading::default();
    let empty = Map::new();
    let map = document.as_object().unwrap_or(&empty);
    say_unknown(
        map,
        "",
        &[&BLOCKS[..], &["fullnameOverride"]].concat(),
        "is not read from the chart's values: left out; a Segment has timeZone, resources, nodeSelector, tolerations, \
         serviceAccountName, labels and annotations in spec.cronjob",
        &mut reading,
    );
    let spec = reading.blocks(map, "", defaults);
    let release = map.get("fullnameOverride").and_then(Value::as_str);
    let target = spec.env.target_segment_name.as_deref();
    let name = if let Some(name) = &naming.name {
        if let Err(error) = SegmentName::new(name) {
            reading
                .findings
                .push(Finding::error(Code::InvalidName, "", error.to_string()));
        }
        name.clone()
    } else if let Some((field, name)) = release
        .map(|release| ("fullnameOverride", name::from_table(release)))
        .or_else(|| target.map(|target| ("env.TARGET_SEGMENT_NAME", name::from_table(target))))
    {
        if let Some(name) = name {
            reading.note(
                field,
                format!(
                    "gives the Segment its name, {name}; to take over a CronJob that runs already, give the Segment \
                     that CronJob's name"
                ),
            );
            name
        } else {
            reading.findings.push(
                Finding::error(
                    Code::InvalidName,
                    field,
                    "has no letter or digit that a resource's name may have",
                )
                .help("give the Segment a name"),
            );
            String::new()
        }
    } else {
        // TARGET_SEGMENT_NAME is missing: found as required.
        String::new()
    };
    let mut segment = Segment::new(&name, spec);
    segment.metadata.namespace.clone_from(&naming.namespace);
    if reading.findings.is_empty() {
        Ok(Imported {
            segment,
            shape: Shape::HelmValues,
            notes: reading.notes,
        })
    } else {
        Err(reading.findings)
    }
}
