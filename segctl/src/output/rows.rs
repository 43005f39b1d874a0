//! What stands in a row.
//!
//! In: messages of the hub. Out: tables. Law: a state always stands beside its age; what is not known is `<none>`, and
//! never 0. Not: how a table looks.

use super::age::Clock;
use super::table::{Column, Row, Table, column, wide};
use segment_proto::v1::{
    Assignment, AssignmentState, Cluster, Orphan, Run, RunResult, Segment, Token, TokenState,
};

/// Longest message in a cell, in characters: `describe` has the whole.
const MESSAGE_CHARS: usize = 100;

/// Segments. A namespace column stands there when they may be of several.
pub(crate) fn segments(segments: &[Segment], clock: Clock, namespaces: bool) -> Table {
    let mut columns: Vec<Column> = Vec::new();
    if namespaces {
        columns.push(column("NAMESPACE"));
    }
    columns.extend([
        column("SEGMENT"),
        column("REVISION"),
        column("CLUSTERS"),
        column("UPDATED"),
        column("READY"),
        column("ROLLING"),
        column("FAILING"),
        column("STALE"),
        column("HELD"),
        wide("OWED"),
        wide("SCHEDULE"),
        wide("SUSPEND"),
        column("LAST RUN"),
        column("NEXT"),
        wide("AGE"),
        column("MESSAGE"),
    ]);
    let rows = segments.iter().map(|segment| {
        let (namespace, name) = split(&segment.name);
        let counts = segment.clusters.unwrap_or_default();
        let mut cells = Vec::with_capacity(columns.len());
        if namespaces {
            cells.push(namespace.to_owned());
        }
        cells.extend([
            name.to_owned(),
            short(&segment.revision),
            number(counts.selected),
            number(counts.updated),
            number(counts.ready),
            number(counts.rolling),
            number(counts.failing),
            number(counts.stale),
            number(counts.held),
            number(counts.owed),
            segment.schedule.clone(),
            truth(segment.suspended),
            clock.relative(segment.last_run.as_ref()),
            clock.relative(segment.next_run.as_ref()),
            clock.age(segment.create_time.as_ref()),
            message(&segment.message),
        ]);
        Row {
            name: format!("segment.segment.grnry.io/{name}"),
            cells,
        }
    });
    let rows = rows.collect();
    Table { columns, rows }
}

/// Clusters.
pub(crate) fn clusters(clusters: &[Cluster], clock: Clock) -> Table {
    let columns = vec![
        column("NAME"),
        column("READY"),
        column("CONNECTED"),
        column("LAST HEARD"),
        column("SEGMENTS"),
        column("IN SYNC"),
        column("FAILING"),
        wide("HELD"),
        wide("OWED"),
        wide("ORPHANS"),
        column("VERSION"),
        column("AGENT"),
        wide("ACCESS"),
        wide("TAINTS"),
        wide("LABELS"),
        column("AGE"),
        column("MESSAGE"),
    ];
    let rows = clusters.iter().map(|cluster| {
        let counts = cluster.segments.unwrap_or_default();
        let heard = if cluster.connected == Some(true) {
            "now".to_owned()
        } else {
            clock.relative(cluster.last_heard.as_ref())
        };
        Row {
            name: format!("cluster.segment.grnry.io/{}", cluster.name),
            cells: vec![
                cluster.name.clone(),
                cluster.ready.clone(),
                truth(cluster.connected),
                heard,
                number(counts.placed),
                number(counts.ready),
                number(counts.failing),
                number(counts.held),
                number(counts.owed),
                number(cluster.orphans),
                cluster.kubernetes_version.clone(),
                cluster.agent_version.clone(),
                cluster.access.clone(),
                cluster.taints.join(","),
                labels(&cluster.labels),
                clock.age(cluster.create_time.as_ref()),
                message(&cluster.message),
            ],
        }
    });
    let rows = rows.collect();
    Table { columns, rows }
}

/// Assignments.
pub(crate) fn assignments(assignments: &[Assignment], clock: Clock, namespaces: bool) -> Table {
    let mut columns: Vec<Column> = Vec::new();
    if namespaces {
        columns.push(column("NAMESPACE"));
    }
    columns.extend([
        column("SEGMENT"),
        column("CLUSTER"),
        column("STATE"),
        column("SINCE"),
        column("REVISION"),
        wide("HOLDS"),
        wide("REPORTED"),
        wide("CRONJOB"),
        wide("SCHEDULE"),
        wide("CORRECTED"),
        column("LAST RUN"),
        column("RESULT"),
        column("NEXT"),
        column("MESSAGE"),
    ]);
    let rows = assignments.iter().map(|assignment| {
        let (namespace, name) = split(&assignment.segment);
        let mut cells = Vec::with_capacity(columns.len());
        if namespaces {
            cells.push(namespace.to_owned());
        }
        let run = assignment.last_run.as_ref();
        cells.extend([
            name.to_owned(),
            assignment.cluster.clone(),
            state(assignment.state()).to_owned(),
            clock.relative(assignment.state_since.as_ref()),
            short(&assignment.revision),
            short(&assignment.held_revision),
            assignment.reported.clone(),
            assignment.cron_job.clone(),
            assignment.schedule.clone(),
            number(assignment.corrections),
            clock.relative(run.and_then(|run| run.started.as_ref().or(run.scheduled.as_ref()))),
            run.map(result).unwrap_or_default(),
            clock.relative(assignment.next_run.as_ref()),
            message(&because(&assignment.reason, &assignment.message)),
        ]);
        Row {
            name: format!("assignment/{}@{}", assignment.segment, assignment.cluster),
            cells,
        }
    });
    let rows = rows.collect();
    Table { columns, rows }
}

/// Orphans.
pub(crate) fn orphans(orphans: &[Orphan]) -> Table {
    let columns = vec![
        column("CLUSTER"),
        column("SEGMENT"),
        column("REVISION"),
        column("UID"),
        wide("KEY HASH"),
    ];
    let rows = orphans.iter().map(|orphan| Row {
        name: format!(
            "orphan/{}@{}",
            if orphan.segment.is_empty() {
                &orphan.key_hash
            } else {
                &orphan.segment
            },
            orphan.cluster
        ),
        cells: vec![
            orphan.cluster.clone(),
            orphan.segment.clone(),
            short(&orphan.revision),
            orphan.uid.clone(),
            orphan.key_hash.clone(),
        ],
    });
    let rows = rows.collect();
    Table { columns, rows }
}

/// Join tokens.
pub(crate) fn tokens(tokens: &[Token], clock: Clock) -> Table {
    let columns = vec![
        column("TOKEN"),
        column("CLUSTER"),
        column("STATE"),
        column("EXPIRES"),
        column("AGE"),
        wide("CREATED BY"),
    ];
    let rows = tokens.iter().map(|token| Row {
        name: format!("token/{}", token.id),
        cells: vec![
            token.id.clone(),
            token.cluster.clone(),
            match token.state() {
                TokenState::Unspecified => "",
                TokenState::Unused => "Unused",
                TokenState::Used => "Used",
                TokenState::Expired => "Expired",
            }
            .to_owned(),
            clock.relative(token.expire_time.as_ref()),
            clock.age(token.create_time.as_ref()),
            token.created_by.clone(),
        ],
    });
    let rows = rows.collect();
    Table { columns, rows }
}

/// A state as people read it.
pub(crate) fn state(state: AssignmentState) -> &'static str {
    match state {
        AssignmentState::Unspecified => "Unknown",
        AssignmentState::Ready => "Ready",
        AssignmentState::Rolling => "Rolling",
        AssignmentState::Failing => "Failing",
        AssignmentState::Stale => "Stale",
        AssignmentState::Held => "Held",
        AssignmentState::Owed => "Owed",
    }
}

/// How a run ended: `Failed (exit 1)`.
pub(crate) fn result(run: &Run) -> String {
    let word = match run.result() {
        RunResult::Unspecified => return String::new(),
        RunResult::Running => "Running",
        RunResult::Succeeded => "Succeeded",
        RunResult::Failed => "Failed",
        RunResult::Missed => "Missed",
        RunResult::Skipped => "Skipped",
        RunResult::Stuck => "Stuck",
        RunResult::Unknown => "Unknown",
    };
    match (run.exit_code, run.reason.as_str()) {
        (Some(code), _) if code != 0 => format!("{word} (exit {code})"),
        (_, reason) if !reason.is_empty() && run.result() != RunResult::Succeeded => {
            format!("{word} ({reason})")
        }
        _ => word.to_owned(),
    }
}

/// `Reason: message`, or the one that is there.
pub(crate) fn because(reason: &str, message: &str) -> String {
    match (reason, message) {
        ("", message) => message.to_owned(),
        (reason, "") => reason.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// Seven digits of a revision, as git has them.
pub(crate) fn short(revision: &str) -> String {
    revision.chars().take(7).collect()
}

/// namespace and name.
pub(crate) fn split(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or(("", name))
}

/// A count that may be unknown.
pub(crate) fn number(count: Option<u32>) -> String {
    count.map(|count| count.to_string()).unwrap_or_default()
}

/// A truth that may be unknown.
pub(crate) fn truth(truth: Option<bool>) -> String {
    truth
        .map(|truth| if truth { "True" } else { "False" }.to_owned())
        .unwrap_or_default()
}

/// Labels as kubectl writes them, in the order of their keys.
pub(crate) fn labels(labels: &std::collections::HashMap<String, String>) -> String {
    let mut pairs: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.sort();
    pairs.join(",")
}

/// A message, on one line and cut.
pub(crate) fn message(text: &str) -> String {
    let text = crate::text::one_line(text);
    if text.chars().count() <= MESSAGE_CHARS {
        return text;
    }
    let cut: String = text.chars().take(MESSAGE_CHARS - 1).collect();
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Times;
    use segment_proto::Timestamp as Wire;
    use segment_proto::v1::ClusterCounts;

    fn clock() -> Clock {
        Clock {
            times: Times::Relative,
            now: jiff::Timestamp::from_second(1_000_000).unwrap(),
        }
    }

    fn at(seconds: i64) -> Wire {
        Wire { seconds, nanos: 0 }
    }

    #[test]
    fn a_segment_is_a_row_of_counts() {
        let segment = Segment {
            name: "granary/demo-segment".into(),
            revision: "7f3a91c0aabbccdd".into(),
            clusters: Some(ClusterCounts {
                selected: Some(500),
                ready: Some(480),
                rolling: Some(8),
                failing: Some(3),
                stale: Some(9),
                held: Some(0),
                updated: Some(42),
                owed: Some(0),
            }),
            last_run: Some(at(1_000_000 - 720)),
            next_run: Some(at(1_000_000 + 9 * 3_600)),
            message: "3 clusters: secret grnry-secret has no key superuser-name".into(),
            ..Segment::default()
        };
        assert_eq!(
            segments(std::slice::from_ref(&segment), clock(), false).text(false, true),
            "SEGMENT        REVISION   CLUSTERS   UPDATED   READY   ROLLING   FAILING   STALE   HELD   LAST RUN   NEXT    MESSAGE\n\
             demo-segment   7f3a91c    500        42        480     8         3         9       0      12m ago    in 9h   3 clusters: secret grnry-secret has no key superuser-name\n"
        );
        let table = segments(&[segment], clock(), true);
        assert!(table.text(false, true).starts_with("NAMESPACE   SEGMENT"));
        assert_eq!(table.names(), "segment.segment.grnry.io/demo-segment");
    }

    #[test]
    fn what_is_not_known_is_never_zero() {
        let text = clusters(
            &[Cluster {
                name: "eu-21".into(),
                ..Cluster::default()
            }],
            clock(),
        )
        .text(false, false);
        assert_eq!(
            text.split_whitespace()
                .filter(|cell| *cell == "<none>")
                .count(),
            10,
            "{text}"
        );
        assert!(!text.contains('0'), "{text}");
    }

    #[test]
    fn a_run_says_how_it_ended() {
        let run = |result: RunResult, exit_code, reason: &str| {
            super::result(&Run {
                result: result.into(),
                exit_code,
                reason: reason.into(),
                ..Run::default()
            })
        };
        assert_eq!(
            run(RunResult::Failed, Some(1), "BackoffLimitExceeded"),
            "Failed (exit 1)"
        );
        assert_eq!(
            run(RunResult::Running, None, "ImagePullBackOff"),
            "Running (ImagePullBackOff)"
        );
        assert_eq!(run(RunResult::Succeeded, Some(0), ""), "Succeeded");
    }

    #[test]
    fn an_assignment_shows_its_state_with_its_age_and_its_reason() {
        let assignment = Assignment {
            segment: "granary/demo".into(),
            cluster: "ap-09".into(),
            state: AssignmentState::Failing.into(),
            state_since: Some(at(1_000_000 - 30)),
            revision: "7f3a91c0aabbccdd".into(),
            reason: "images".into(),
            message: "registry.example/x is not allowed".into(),
            ..Assignment::default()
        };
        let table = assignments(&[assignment], clock(), false);
        assert_eq!(table.names(), "assignment/granary/demo@ap-09");
        assert_eq!(
            table.text(false, true),
            "SEGMENT   CLUSTER   STATE     SINCE     REVISION   LAST RUN   RESULT   NEXT     MESSAGE\n\
             demo      ap-09     Failing   30s ago   7f3a91c    <none>     <none>   <none>   images: registry.example/x is not allowed\n"
        );
    }
}
