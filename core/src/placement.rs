//! Placement: Segment × cluster → in or out, each with its reason.
//!
//! In: selector, tolerations, a cluster, and whether its inventory has an entry. Out: [`Placement`].
//! Law: nothing is added or removed on what is not known yet (`Undecided`).
//! Not: which revision a cluster may have (`rollout.rs`), brakes.

use crate::finding::{Code, Finding};
use crate::ids::ClusterName;
use crate::names::{LABEL_CLUSTER, SYSTEM_NAMESPACE};
use crate::segment::ParsedSegment;
use crate::selector::{Requirement, Selector};
use segment_crds::{Access, Cluster, ClusterToleration, Taint, TaintEffect, TolerationOperator};
use std::collections::BTreeMap;
use std::fmt;

/// Names that no cluster may have: they would read like something else.
pub const RESERVED_CLUSTER_NAMES: [&str; 3] = ["hub", "default", SYSTEM_NAMESPACE];

/// What decisions need of a Cluster. Only hub admins write it; an agent's word is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClusterView {
    /// Its name.
    pub name: ClusterName,
    /// Its labels, the implicit `segment.grnry.io/cluster` included.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Whether it may have anything.
    pub access: Access,
    /// Nothing new goes there.
    pub paused: bool,
    /// Its people's time zone (IANA name), for windows.
    pub time_zone: Option<String>,
}

/// Whether a Segment belongs on a cluster. `Display` is the reason, for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Placement {
    /// It does.
    In,
    /// It does not.
    Out(OutReason),
    /// Not known before the cluster's inventory is: neither add nor remove.
    Undecided(UndecidedReason),
}

/// Why a cluster is out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OutReason {
    /// A requirement of `clusterSelector` does not hold.
    Selector {
        /// The first that does not.
        requirement: Requirement,
        /// What the cluster has for its key.
        found: Option<String>,
    },
    /// A taint is not tolerated.
    Taint(Taint),
    /// The cluster has no access: it gets no orders at all.
    Access(Access),
}

/// Why nothing is decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UndecidedReason {
    /// A `NoSelectIfNew` taint is not tolerated, and the inventory is not known.
    InventoryUnknown(Taint),
}

/// Decides for one Segment and one cluster. `holds_entry`: whether the cluster's inventory has an entry for the Segment;
/// `None` before the inventory is known.
pub fn placement(
    selector: &Selector,
    tolerations: &[ClusterToleration],
    cluster: &ClusterView,
    holds_entry: Option<bool>,
) -> Placement {
    if cluster.access != Access::Accepted {
        return Placement::Out(OutReason::Access(cluster.access));
    }
    if let Some(requirement) = selector.failed(&cluster.labels) {
        return Placement::Out(OutReason::Selector {
            found: cluster.labels.get(&requirement.key).cloned(),
            requirement: requirement.clone(),
        });
    }
    let mut not_tolerated = cluster.taints.iter().filter(|taint| {
        !tolerations
            .iter()
            .any(|toleration| tolerates(toleration, taint))
    });
    // NoSelect decides whatever else there is.
    if let Some(taint) = not_tolerated
        .clone()
        .find(|taint| taint.effect == TaintEffect::NoSelect)
    {
        return Placement::Out(OutReason::Taint(taint.clone()));
    }
    match (not_tolerated.next(), holds_entry) {
        (None, _) | (Some(_), Some(true)) => Placement::In,
        (Some(taint), Some(false)) => Placement::Out(OutReason::Taint(taint.clone())),
        (Some(taint), None) => {
            Placement::Undecided(UndecidedReason::InventoryUnknown(taint.clone()))
        }
    }
}

/// [`placement`] of a Segment.
pub fn place(
    segment: &ParsedSegment,
    cluster: &ClusterView,
    holds_entry: Option<bool>,
) -> Placement {
    placement(
        &segment.selector,
        &segment.spec.cluster_tolerations,
        cluster,
        holds_entry,
    )
}

/// Whether a Segment belongs on a cluster that has it: a taint that keeps new ones away is none then.
pub fn selects(segment: &ParsedSegment, cluster: &ClusterView) -> bool {
    place(segment, cluster, Some(true)).is_in()
}

/// As `Toleration.ToleratesTaint` of Kubernetes.
fn tolerates(toleration: &ClusterToleration, taint: &Taint) -> bool {
    let key = toleration.key.as_deref().unwrap_or_default();
    toleration
        .effect
        .is_none_or(|effect| effect == taint.effect)
        && (key.is_empty() || key == taint.key)
        && match toleration.operator() {
            TolerationOperator::Exists => true,
            TolerationOperator::Equal => {
                toleration.value.as_deref().unwrap_or_default()
                    == taint.value.as_deref().unwrap_or_default()
            }
        }
}

// === impl ClusterView ===

impl ClusterView {
    /// A cluster of which only the name and some labels are known, as overrides and references see it. The implicit label
    /// has its name, whatever is given there.
    pub fn named(name: ClusterName, mut labels: BTreeMap<String, String>) -> Self {
        labels.insert(LABEL_CLUSTER.to_owned(), name.to_string());
        Self {
            name,
            labels,
            annotations: BTreeMap::new(),
            taints: Vec::new(),
            access: Access::Accepted,
            paused: false,
            time_zone: None,
        }
    }

    /// Reads a Cluster. The implicit label has the cluster's name, whatever was written there.
    ///
    /// # Errors
    /// When its name is not one, or reserved.
    pub fn from_cluster(cluster: &Cluster) -> Result<Self, Finding> {
        let invalid = |message: String| Finding::error(Code::InvalidName, "metadata.name", message);
        let name = ClusterName::new(cluster.metadata.name.as_deref().unwrap_or_default())
            .map_err(|error| invalid(error.to_string()))?;
        if RESERVED_CLUSTER_NAMES.contains(&name.as_str()) {
            return Err(invalid(format!("the name {name} is reserved")));
        }
        let labels = cluster.metadata.labels.clone().unwrap_or_default();
        Ok(Self {
            annotations: cluster.metadata.annotations.clone().unwrap_or_default(),
            taints: cluster.spec.taints.clone(),
            access: cluster.spec.access(),
            paused: cluster.spec.paused(),
            time_zone: cluster.spec.time_zone.clone(),
            ..Self::named(name, labels)
        })
    }
}

// === impl Placement ===

impl Placement {
    /// Whether it is in.
    pub fn is_in(&self) -> bool {
        *self == Self::In
    }

    /// Whether an entry that the cluster holds is to go. Not for want of access: such a cluster gets no orders.
    pub fn removes(&self) -> bool {
        matches!(
            self,
            Self::Out(OutReason::Selector { .. } | OutReason::Taint(_))
        )
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In => f.write_str("selected"),
            Self::Out(reason) => reason.fmt(f),
            Self::Undecided(reason) => reason.fmt(f),
        }
    }
}

impl fmt::Display for OutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selector { requirement, found } => {
                let key = &requirement.key;
                match found {
                    Some(value) => write!(f, "label {key} is {value:?}")?,
                    None => write!(f, "label {key} is absent")?,
                }
                write!(f, "; selector wants {requirement}")
            }
            Self::Taint(taint) => write!(f, "taint {} is not tolerated", Shown(taint)),
            Self::Access(access) => write!(f, "access is {access}"),
        }
    }
}

impl fmt::Display for UndecidedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::InventoryUnknown(taint) = self;
        let taint = Shown(taint);
        write!(
            f,
            "taint {taint} is not tolerated, and what the cluster holds is not known yet"
        )
    }
}

/// A taint as kubectl writes it.
struct Shown<'a>(&'a Taint);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Taint { key, value, effect } = self.0;
        match value.as_deref().unwrap_or_default() {
            "" => write!(f, "{key}:{effect}"),
            value => write!(f, "{key}={value}:{effect}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn toleration(
        key: &str,
        operator: TolerationOperator,
        value: &str,
        effect: Option<TaintEffect>,
    ) -> ClusterToleration {
        ClusterToleration {
            key: Some(key.to_owned()).filter(|key| !key.is_empty()),
            operator: Some(operator),
            value: Some(value.to_owned()).filter(|value| !value.is_empty()),
            effect,
        }
    }

    fn check(
        selector: &str,
        taints: &[(&str, &str, TaintEffect)],
        tolerations: &[ClusterToleration],
        holds_entry: Option<bool>,
        expected: &str,
    ) {
        let mut view = testing::view("eu-1", &[("env", "prod")]);
        view.taints = taints
            .iter()
            .map(|&(key, value, effect)| Taint {
                key: key.to_owned(),
                value: Some(value.to_owned()).filter(|value| !value.is_empty()),
                effect,
            })
            .collect();
        let selector = Selector::parse_text(selector, "f").unwrap();
        let got = placement(&selector, tolerations, &view, holds_entry);
        assert_eq!(got.to_string(), expected);
    }

    #[test]
    fn every_cluster_is_in_or_out_with_a_reason() {
        use TaintEffect::{NoSelect, NoSelectIfNew};
        use TolerationOperator::{Equal, Exists};
        let known = Some(false);
        check("", &[], &[], None, "selected");
        check("env=prod", &[], &[], known, "selected");
        check("segment.grnry.io/cluster=eu-1", &[], &[], known, "selected");
        check(
            "env=test",
            &[],
            &[],
            known,
            "label env is \"prod\"; selector wants env=test",
        );
        check(
            "region",
            &[],
            &[],
            known,
            "label region is absent; selector wants region",
        );

        let drain = [("gone", "", NoSelect)];
        check(
            "",
            &drain,
            &[],
            Some(true),
            "taint gone:NoSelect is not tolerated",
        );
        check(
            "",
            &drain,
            &[],
            None,
            "taint gone:NoSelect is not tolerated",
        );
        check(
            "",
            &drain,
            &[toleration("gone", Exists, "", None)],
            known,
            "selected",
        );
        check(
            "",
            &drain,
            &[toleration("gone", Equal, "", Some(NoSelect))],
            known,
            "selected",
        );
        check(
            "",
            &drain,
            &[toleration("", Exists, "", None)],
            known,
            "selected",
        );
        let other_effect = [toleration("gone", Exists, "", Some(NoSelectIfNew))];
        check(
            "",
            &drain,
            &other_effect,
            known,
            "taint gone:NoSelect is not tolerated",
        );

        let cordon = [("full", "yes", NoSelectIfNew)];
        check("", &cordon, &[], Some(true), "selected");
        check(
            "",
            &cordon,
            &[],
            Some(false),
            "taint full=yes:NoSelectIfNew is not tolerated",
        );
        let unknown = "taint full=yes:NoSelectIfNew is not tolerated, and what the cluster holds is not known yet";
        check("", &cordon, &[], None, unknown);
        check(
            "",
            &cordon,
            &[toleration("full", Equal, "yes", None)],
            None,
            "selected",
        );
        let other_value = [toleration("full", Equal, "no", None)];
        check(
            "",
            &cordon,
            &other_value,
            known,
            "taint full=yes:NoSelectIfNew is not tolerated",
        );

        let both = [cordon[0], drain[0]];
        check("", &both, &[], None, "taint gone:NoSelect is not tolerated");
    }

    #[test]
    fn a_cluster_without_access_gets_nothing_and_loses_nothing() {
        let mut view = testing::view("eu-1", &[]);
        for access in [Access::Pending, Access::Revoked] {
            view.access = access;
            let got = placement(&Selector::default(), &[], &view, Some(true));
            assert_eq!(got.to_string(), format!("access is {access}"));
            assert!(!got.is_in());
            assert!(!got.removes());
        }
    }

    #[test]
    fn a_cluster_has_its_name_as_a_label_whatever_was_written() {
        let cluster = testing::cluster("eu-1", &[("env", "prod"), (LABEL_CLUSTER, "other")]);
        let view = ClusterView::from_cluster(&cluster).unwrap();
        assert_eq!(view.labels[LABEL_CLUSTER], "eu-1");
        assert_eq!(view.labels["env"], "prod");
        for name in ["hub", "default", "segment-system", "Eu", "eu.", ""] {
            assert!(
                ClusterView::from_cluster(&testing::cluster(name, &[])).is_err(),
                "{name:?}"
            );
        }
    }
}
