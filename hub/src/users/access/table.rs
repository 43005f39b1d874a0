//! The one table of rights: which method needs what.
//!
//! In: a path. Out: its [`Row`], or nothing: then the call is refused.
//! Law: every method of the users' descriptors has a row (test `every_method_of_the_descriptors_has_a_row`). Whoever
//! may do the like with kubectl may do it here; what kubectl can't do are verbs on subresources.
//! Not: asking for them (`authz.rs`).

/// What is asked of Kubernetes' authorisation, in API group `segment.grnry.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// The verb.
    pub verb: &'static str,
    /// The resource.
    pub resource: &'static str,
    /// The subresource.
    pub subresource: Option<&'static str>,
}

/// Where a right is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In all namespaces; else what is shown is kept to the namespaces where the caller has it.
    Namespaces,
    /// In the namespace of the Segment that the request names.
    Segment,
    /// At the cluster scope.
    Cluster,
}

/// One method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// `package.Service/Method`, without the leading slash.
    pub method: &'static str,
    /// What it needs.
    pub right: Right,
    /// Where.
    pub scope: Scope,
    /// What a part of it needs: that part is left out, or done otherwise, without it.
    pub part: Option<Right>,
    /// Whether it changes something: then it leaves an audit line, also when it is refused.
    pub changes: bool,
}

const fn right(verb: &'static str, resource: &'static str) -> Right {
    Right {
        verb,
        resource,
        subresource: None,
    }
}

const GET_SEGMENTS: Right = right("get", "segments");
const LIST_SEGMENTS: Right = right("list", "segments");
const WATCH_SEGMENTS: Right = right("watch", "segments");
const GET_CLUSTERS: Right = right("get", "clusters");
/// Whoever may list clusters may know their names and labels.
pub const LIST_CLUSTERS: Right = right("list", "clusters");
const WATCH_CLUSTERS: Right = right("watch", "clusters");
const CREATE_CLUSTERS: Right = right("create", "clusters");
const CLUSTER_ACCESS: Right = Right {
    verb: "update",
    resource: "clusters",
    subresource: Some("access"),
};
const ROLLOUT: Right = Right {
    verb: "create",
    resource: "segments",
    subresource: Some("rollout"),
};
const HOLD: Right = Right {
    verb: "create",
    resource: "segments",
    subresource: Some("hold"),
};
const APPROVE: Right = Right {
    verb: "create",
    resource: "segments",
    subresource: Some("approval"),
};

/// A run is made, as kubectl would make a Job; on every cluster it is asked of.
const RUN: Right = Right {
    verb: "create",
    resource: "segments",
    subresource: Some("run"),
};

/// What a run wrote, as kubectl has pods/log.
const LOGS: Right = Right {
    verb: "get",
    resource: "segments",
    subresource: Some("log"),
};

const fn shows(method: &'static str, right: Right, scope: Scope, part: Option<Right>) -> Row {
    Row {
        method,
        right,
        scope,
        part,
        changes: false,
    }
}

const fn changes(method: &'static str, right: Right, part: Option<Right>) -> Row {
    Row {
        method,
        right,
        scope: Scope::Cluster,
        part,
        changes: true,
    }
}

const fn changes_segment(method: &'static str, right: Right, scope: Scope) -> Row {
    Row {
        method,
        right,
        scope,
        part: None,
        changes: true,
    }
}

/// All methods.
pub const TABLE: &[Row] = &[
    // The part: names of clusters that are quiet.
    shows(
        "grnry.segment.v1.SegmentService/ListSegments",
        LIST_SEGMENTS,
        Scope::Namespaces,
        Some(LIST_CLUSTERS),
    ),
    shows(
        "grnry.segment.v1.SegmentService/GetSegment",
        GET_SEGMENTS,
        Scope::Segment,
        None,
    ),
    shows(
        "grnry.segment.v1.SegmentService/WatchSegments",
        WATCH_SEGMENTS,
        Scope::Namespaces,
        None,
    ),
    shows(
        "grnry.segment.v1.SegmentService/ListAssignments",
        GET_SEGMENTS,
        Scope::Namespaces,
        None,
    ),
    shows(
        "grnry.segment.v1.SegmentService/GetAssignment",
        GET_SEGMENTS,
        Scope::Segment,
        None,
    ),
    shows(
        "grnry.segment.v1.SegmentService/Why",
        GET_SEGMENTS,
        Scope::Segment,
        None,
    ),
    // Orphans belong to no Segment here: they are the clusters' affair.
    shows(
        "grnry.segment.v1.SegmentService/ListOrphans",
        LIST_CLUSTERS,
        Scope::Cluster,
        None,
    ),
    // The part: counts of Segments, of those that the caller may see.
    shows(
        "grnry.segment.v1.ClusterService/ListClusters",
        LIST_CLUSTERS,
        Scope::Cluster,
        Some(GET_SEGMENTS),
    ),
    shows(
        "grnry.segment.v1.ClusterService/GetCluster",
        GET_CLUSTERS,
        Scope::Cluster,
        Some(GET_SEGMENTS),
    ),
    shows(
        "grnry.segment.v1.ClusterService/WatchClusters",
        WATCH_CLUSTERS,
        Scope::Cluster,
        Some(GET_SEGMENTS),
    ),
    // Makes the Cluster, which needs the right to make it; where it is there, the part: it lets a spoke into it.
    changes(
        "grnry.segment.v1.ClusterService/JoinCluster",
        CREATE_CLUSTERS,
        Some(CLUSTER_ACCESS),
    ),
    shows(
        "grnry.segment.v1.ClusterService/ListTokens",
        CLUSTER_ACCESS,
        Scope::Cluster,
        None,
    ),
    changes(
        "grnry.segment.v1.ClusterService/RevokeToken",
        CLUSTER_ACCESS,
        None,
    ),
    // The part is needed as well: both name clusters with their labels.
    shows(
        "grnry.segment.v1.PlanService/Plan",
        GET_SEGMENTS,
        Scope::Namespaces,
        Some(LIST_CLUSTERS),
    ),
    shows(
        "grnry.segment.v1.PlanService/Forecast",
        GET_SEGMENTS,
        Scope::Namespaces,
        Some(LIST_CLUSTERS),
    ),
    shows(
        "grnry.segment.v1.RolloutService/GetRollout",
        GET_SEGMENTS,
        Scope::Segment,
        None,
    ),
    shows(
        "grnry.segment.v1.RolloutService/ListRevisions",
        GET_SEGMENTS,
        Scope::Segment,
        None,
    ),
    changes_segment(
        "grnry.segment.v1.RolloutService/ControlRollout",
        ROLLOUT,
        Scope::Segment,
    ),
    changes_segment(
        "grnry.segment.v1.RolloutService/ApproveRollout",
        APPROVE,
        Scope::Segment,
    ),
    changes_segment(
        "grnry.segment.v1.RolloutService/HoldSegments",
        HOLD,
        Scope::Namespaces,
    ),
    changes_segment(
        "grnry.segment.v1.RolloutService/ReleaseSegments",
        HOLD,
        Scope::Namespaces,
    ),
    shows(
        "grnry.segment.v1.RolloutService/ListHolds",
        GET_SEGMENTS,
        Scope::Namespaces,
        None,
    ),
    // Runs of Segments that the caller may see; causes and clusters among them are counted of these alone.
    shows(
        "grnry.segment.v1.RunService/ListRuns",
        GET_SEGMENTS,
        Scope::Namespaces,
        None,
    ),
    Row {
        scope: Scope::Segment,
        ..changes("grnry.segment.v1.RunService/Run", RUN, None)
    },
    shows(
        "grnry.segment.v1.RunService/Logs",
        LOGS,
        Scope::Segment,
        None,
    ),
    // House defaults and the clusters that wait for a restore: the fleet's, not one namespace's.
    shows(
        "grnry.segment.v1.HubService/GetHub",
        LIST_CLUSTERS,
        Scope::Cluster,
        None,
    ),
    changes("grnry.segment.v1.HubService/AcceptRestore", APPROVE, None),
];

/// Services that are open to whoever reaches the port: they show schema, and that the hub is there.
pub const OPEN: &[&str] = &[
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The row of a path (`/package.Service/Method`).
pub fn row(path: &str) -> Option<&'static Row> {
    let method = path.strip_prefix('/')?;
    TABLE.iter().find(|row| row.method == method)
}

/// Whether a path is one of an open service.
pub fn is_open(path: &str) -> bool {
    path.strip_prefix('/')
        .and_then(|path| path.split_once('/'))
        .is_some_and(|(service, _)| OPEN.contains(&service))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use std::collections::BTreeSet;

    fn described() -> BTreeSet<String> {
        let set = prost_types::FileDescriptorSet::decode(segment_proto::USERS_DESCRIPTORS).unwrap();
        let mut methods = BTreeSet::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    methods.insert(format!(
                        "{}.{}/{}",
                        file.package(),
                        service.name(),
                        method.name()
                    ));
                }
            }
        }
        methods
    }

    #[test]
    fn every_method_of_the_descriptors_has_a_row() {
        let rows: BTreeSet<String> = TABLE.iter().map(|row| row.method.to_owned()).collect();
        assert_eq!(rows, described());
        assert_eq!(rows.len(), TABLE.len(), "no method has two rows");
    }

    #[test]
    fn what_is_not_in_the_table_has_no_row() {
        for path in [
            "",
            "/",
            "grnry.segment.v1.HubService/GetHub",
            "/grnry.segment.v1.HubService/getHub",
            "/grnry.segment.v1.HubService/GetHub/",
            "/grnry.segment.agent.v1.SyncService/Sync",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(row(path), None, "{path}");
        }
        assert_eq!(
            row("/grnry.segment.v1.HubService/GetHub").unwrap().right,
            LIST_CLUSTERS
        );
    }

    #[test]
    fn only_schema_and_health_are_open() {
        assert!(is_open("/grpc.health.v1.Health/Check"));
        for path in [
            "/grnry.segment.v1.HubService/GetHub",
            "/grpc.health.v1.Healthy/Check",
            "/grpc.health.v1.Health",
        ] {
            assert!(!is_open(path), "{path}");
        }
    }
}
