//! Plans over ten thousand clusters.
//!
//! In: the time. Out: [`Case`]s: one Segment with `H`, references and three overrides, on clusters of five policies.
//! Law: what the hub does for one request of `segctl plan`: a snapshot and a plan. Not: the answer on the wire.

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use segment_core::admit::Policy;
use segment_core::ids::HubId;
use segment_core::index::{FleetIndex, SeenSegment, Settings};
use segment_core::plan::{Draft, Plan, Snapshot, plan};
use segment_core::segment::HouseDefaults;
use segment_core::testing::{label_selector, seen, segment, view};
use segment_crds::{Override, Segment};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Clusters of the fleet.
const CLUSTERS: usize = 10_000;

/// One plan.
pub(super) struct Case {
    pub(super) what: &'static str,
    index: Arc<FleetIndex>,
    policies: Vec<Arc<Policy>>,
    draft: Draft,
}

impl Case {
    /// Plans it.
    pub(super) fn plan(&self, now: Timestamp) {
        std::hint::black_box(self.planned(now));
    }

    fn planned(&self, now: Timestamp) -> Plan {
        let drafts = std::slice::from_ref(&self.draft);
        let mut snapshot = Snapshot::of(&self.index, drafts);
        for (at, cluster) in snapshot.clusters.iter_mut().enumerate() {
            cluster.policy = self.policies.get(at % self.policies.len()).cloned();
        }
        plan(&snapshot, drafts, now)
    }
}

/// A new Segment, and changes of one that stands.
pub(super) fn cases(now: Timestamp) -> Result<Vec<Case>> {
    let policies = policies()?;
    let case = |what, index: &Arc<FleetIndex>, edited: Segment| -> Result<Case> {
        let draft = Draft::put(edited, "granary", index.defaults(), now)
            .map_err(|findings| anyhow::anyhow!("{findings:?}"))?;
        Ok(Case {
            what,
            index: Arc::clone(index),
            policies: policies.clone(),
            draft,
        })
    };
    let standing = before();
    let mut condition = standing.clone();
    condition.spec.env.source_where_clause =
        Some("profile_type = 'crm' and region = '$(cluster.labels['region'])'".to_owned());
    let mut schedule = standing.clone();
    schedule.spec.cronjob.schedule = Some("H H(1-5) * * *".to_owned());
    let mut selector = standing.clone();
    selector.spec.cluster_selector = Some(label_selector(&[("env", "prod")]));
    let (empty, fleet) = (
        Arc::new(fleet(None, now)?),
        Arc::new(fleet(Some(&standing), now)?),
    );
    Ok(vec![
        case("plan: a new Segment on 10,000 clusters", &empty, standing)?,
        case("plan: another condition", &fleet, condition)?,
        case("plan: another schedule", &fleet, schedule)?,
        case("plan: another selector", &fleet, selector)?,
    ])
}

/// A Segment with an `H` and three overrides.
fn before() -> Segment {
    let mut segment = segment("granary/demo");
    segment.spec.cronjob.schedule = Some("H 3 * * *".to_owned());
    segment.spec.env.pivot_paths = Some("/mail/topic,/mail/lastOpened".to_owned());
    let change = |labels: &[(&str, &str)]| Override {
        cluster_selector: Some(label_selector(labels)),
        ..Override::default()
    };
    let mut test = change(&[("env", "test")]);
    test.cronjob.suspend = Some(true);
    let mut far = change(&[("region", "ap")]);
    far.cronjob.schedule = Some("H H(18-20) * * *".to_owned());
    far.env.db_host = Some("grnry-pg-ap".to_owned());
    let mut big = change(&[("tier", "big")]);
    big.env.source_table_name = Some("profilestore_$(cluster.labels['region'])".to_owned());
    segment.spec.overrides = vec![test, far, big];
    segment
}

/// The clusters, in three regions, with the Segment that stands.
fn fleet(standing: Option<&Segment>, now: Timestamp) -> Result<FleetIndex> {
    let mut index = FleetIndex::new(
        HubId::new("hub-figures-1")?,
        HouseDefaults::default(),
        Settings::default(),
        now,
    );
    for at in 0..CLUSTERS {
        let labels = [
            ("env", if at % 10 == 9 { "test" } else { "prod" }),
            ("region", ["eu", "us", "ap"][at % 3]),
            ("tier", if at % 7 == 0 { "big" } else { "small" }),
        ];
        index.apply_cluster(view(&format!("c-{at:05}"), &labels), 1, None, None, now);
    }
    if let Some(segment) = standing {
        let verdict = segment_core::lint::lint(segment, index.defaults(), now);
        let parsed = verdict
            .parsed
            .context("the Segment that stands is refused")?;
        index.apply_segment(
            SeenSegment {
                parsed: Ok(parsed),
                ..seen(segment)
            },
            now,
        );
    }
    Ok(index)
}

/// Five that differ in what they admit; the last admits nothing of this.
fn policies() -> Result<Vec<Arc<Policy>>> {
    let house = [
        ("namespaces", "granary: {}"),
        (
            "images",
            "\"*\": [gitlab.alvary.io:5000/grnry/segment-table-creation]",
        ),
        (
            "secrets",
            "\"*\": {DB_USER: grnry-pg-citus-secret/superuser-username, DB_NAME: grnry-pg-citus-secret/superuser-database, \
             DB_PASSWORD: grnry-pg-citus-secret/superuser-password}",
        ),
        ("pullSecrets", "\"*\": [grnry-base-private-registry-token]"),
    ];
    let rules: [&[(&str, &str)]; 5] = [
        &[("dbHosts", "\"*\": [grnry-pg-citus, grnry-pg-ap]")],
        &[("dbHosts", "\"*\": [grnry-pg-citus]")],
        &[
            ("dbHosts", "\"*\": [grnry-pg-citus, grnry-pg-ap]"),
            ("minimumInterval", "\"*\": 1h"),
        ],
        &[("dbHosts", "\"*\": [grnry-pg-ap]"), ("maxCronJobs", "10")],
        &[("digestsOnly", "\"*\": true")],
    ];
    rules
        .iter()
        .map(|more| {
            let data: BTreeMap<String, String> = house
                .iter()
                .chain(*more)
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
            Ok(Arc::new(Policy::from_data(&data)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_core::plan::Action;

    #[test]
    fn what_is_measured_is_a_plan() {
        let now = "2026-11-25T12:00:00Z".parse().unwrap();
        let cases = cases(now).unwrap();
        let actions = [
            Action::Create,
            Action::Update,
            Action::Update,
            Action::Update,
        ];
        for (case, action) in cases.iter().zip(actions) {
            let plan = case.planned(now);
            let segment = &plan.segments[0];
            assert_eq!(
                segment.action, action,
                "{}: {:?}",
                case.what, segment.findings
            );
            assert_eq!(plan.clusters, CLUSTERS);
            assert!(segment.agents.admit > 0, "{}", case.what);
            assert!(segment.agents.refuse.count() > 0, "{}", case.what);
            assert_eq!(segment.problems.count(), 0, "{}", case.what);
        }
    }
}
