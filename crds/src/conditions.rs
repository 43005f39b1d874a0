//! Conditions: which there are, why they stand, and how a list of them changes.
//!
//! In: type, status, reason, message, generation and time. Out: Kubernetes' own `Condition`. Law: `lastTransitionTime`
//! moves only when the status does (test `a_condition_keeps_its_time_until_its_status_changes`). Not: when a condition
//! holds; the core decides.
//!
//! Source of the form: <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties>

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::closed::closed_enum;

closed_enum! {
    /// Conditions of a Segment.
    pub enum SegmentCondition {
        /// The spec can be read, rendered and is supported.
        Accepted,
        /// Delivered and confirmed on all selected clusters but the tolerated ones. Says nothing about runs.
        Ready,
        /// On its way; present only when True (kstatus reads it so).
        Reconciling,
        /// Will not go on without a human; present only when True.
        Stalled,
        /// The newest revision is where it shall be.
        RolloutCompleted,
        /// The last runs succeeded.
        RunsSucceeding,
        /// Nothing new goes out.
        Paused,
    }
}

closed_enum! {
    /// Conditions of a Cluster.
    pub enum ClusterCondition {
        /// Connected, accepted, and nothing below stands against it.
        Ready,
        /// The agent's stream is open.
        Connected,
        /// Two spokes, or another than the enrolled one, use this name.
        IdentityConflict,
        /// The spoke's policy refuses something that was ordered.
        PolicyConflict,
        /// The agent holds orders back until someone on the spoke releases them.
        BrakeEngaged,
        /// Someone else keeps changing a `CronJob` of ours.
        Contested,
        /// The spoke has seen a newer state of the hub than the hub knows.
        HubWentBack,
        /// The agent lacks rights in a namespace.
        NoRights,
    }
}

closed_enum! {
    /// Status of a condition.
    pub enum ConditionStatus {
        /// It holds.
        True,
        /// It does not.
        False,
        /// Not known.
        Unknown,
    }
}

closed_enum! {
    /// Why a condition stands as it does: one word for programs.
    pub enum Reason {
        // Segment: Accepted.
        /// The spec is good.
        Accepted,
        /// Lint or rendering refused the spec; the last good one stands.
        Invalid,
        /// The spec is good, but a value in it is not supported yet.
        NotYet,
        /// The spec cannot be rendered on any selected cluster.
        Unrenderable,
        /// What was rendered is larger than an assignment may be.
        TooLarge,
        /// Another Segment holds the `CronJob` of this name.
        Collision,
        // Segment: Ready, Reconciling, Stalled.
        /// Rendered; the clusters have not confirmed yet.
        Rendered,
        /// Every selected cluster has what it shall have.
        AllReady,
        /// Every selected cluster that is heard from has; the rest is within its budget.
        ReadyButUnreachable,
        /// A revision is going out.
        RollingOut,
        /// Clusters could not apply it.
        ClustersFailing,
        /// Clusters were not heard from.
        Stale,
        /// Selector and taints leave no cluster.
        NoClusterSelected,
        /// More clusters failed than the rollout allows.
        FailuresExceeded,
        /// Clusters took longer than the rollout allows.
        ProgressDeadlineExceeded,
        /// The `CronJob` cannot move to its new namespace or name.
        MoveBlocked,
        /// The agent's store has no room.
        StoreFull,
        /// The hub has started and waits for the clusters' first word.
        Waiting,
        /// The `CronJob`s are being removed.
        Removing,
        /// Held by a human or a brake.
        Held,
        /// A reference such as `$(cluster.labels['region'])` has no value on a cluster.
        Unresolved,
        // Segment: RolloutCompleted.
        /// The newest revision is everywhere.
        Completed,
        /// It is going out.
        Progressing,
        /// It stands still until a human says more.
        Halted,
        /// It was ended by a human or by `onFailure: Abort`.
        Aborted,
        /// An earlier revision goes out instead.
        RolledBack,
        /// A wave is done and has to stay good for a while.
        Soaking,
        /// A human has to agree.
        WaitingForApproval,
        /// No window is open.
        WaitingForWindow,
        // Segment: RunsSucceeding.
        /// The last runs succeeded.
        Succeeding,
        /// Last runs failed.
        Failing,
        /// There was no run yet.
        NoRuns,
        // Paused.
        /// `spec.paused` is set.
        Paused,
        /// It is not.
        NotPaused,
        /// `spec.cronjob.suspend` is set.
        Suspended,
        // Cluster.
        /// The agent's stream is open.
        Connected,
        /// It was, and is not.
        Disconnected,
        /// No agent ever came under this name.
        NeverConnected,
        /// Nothing stands against it.
        AllGood,
        /// Another identity came under this name.
        IdentityConflict,
        /// One identity only.
        IdentityBound,
        /// The spoke's policy refuses something.
        PolicyConflict,
        /// The spoke's policy admits everything that was ordered.
        PolicyAdmits,
        /// The agent's brake holds orders back.
        BrakeEngaged,
        /// It holds nothing back.
        BrakeReleased,
        /// Someone else keeps changing a `CronJob` of ours.
        Contested,
        /// Nobody does.
        Uncontested,
        /// A `CronJob` of our name is not ours.
        NotOwned,
        /// The spoke has seen a newer state of the hub than the hub knows.
        HubWentBack,
        /// Hub and spoke agree on the order of things.
        InOrder,
        /// The agent lacks rights.
        NoRights,
        /// It lacks none.
        RightsComplete,
        /// `spec.access` is Revoked.
        Revoked,
        /// `spec.access` is Pending.
        Pending,
    }
}

/// One condition, ready for a list.
///
/// `kind` is a [`SegmentCondition`] or a [`ClusterCondition`], as text.
pub fn condition(
    kind: &str,
    status: ConditionStatus,
    reason: Reason,
    message: impl Into<String>,
    observed_generation: i64,
    now: Time,
) -> Condition {
    Condition {
        type_: kind.to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.as_str().to_owned(),
        message: message.into(),
        observed_generation: Some(observed_generation),
        last_transition_time: now,
    }
}

/// Puts a condition in its place in the list, or at the end; its time stays while its status does.
/// Answers whether the list changed.
pub fn set_condition(list: &mut Vec<Condition>, mut new: Condition) -> bool {
    let Some(old) = list.iter_mut().find(|old| old.type_ == new.type_) else {
        list.push(new);
        return true;
    };
    if old.status == new.status {
        new.last_transition_time = old.last_transition_time.clone();
    }
    if *old == new {
        return false;
    }
    *old = new;
    true
}

/// Takes a condition out of the list, for those that are present only when True. Answers whether it was there.
pub fn remove_condition(list: &mut Vec<Condition>, kind: &str) -> bool {
    let before = list.len();
    list.retain(|condition| condition.type_ != kind);
    list.len() != before
}

/// The condition of this type, if the list has it.
pub fn find_condition<'a>(list: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    list.iter().find(|condition| condition.type_ == kind)
}
