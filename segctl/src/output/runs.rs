//! Runs and groups of runs as tables.

use super::age::{Clock, human, read};
use super::rows::{because, message, number, result, short, split};
use super::table::{Column, Row, Table, column, wide};
use crate::args::GroupBy;
use segment_proto::v1::{Run, RunGroup, RunKind, RunRecord, RunResult};

/// Runs, the newest first.
pub(crate) fn runs(runs: &[RunRecord], clock: Clock, namespaces: bool) -> Table {
    let mut columns: Vec<Column> = Vec::new();
    if namespaces {
        columns.push(column("NAMESPACE"));
    }
    columns.extend([
        column("SEGMENT"),
        column("CLUSTER"),
        column("DUE"),
        wide("STARTED"),
        column("TOOK"),
        column("RESULT"),
        column("REVISION"),
        wide("KIND"),
        wide("LATE"),
        wide("ATTEMPTS"),
        wide("JOB"),
        column("MESSAGE"),
    ]);
    let rows = runs.iter().map(|record| {
        let (namespace, name) = split(&record.segment);
        let run = record.run.clone().unwrap_or_default();
        let mut cells = Vec::with_capacity(columns.len());
        if namespaces {
            cells.push(namespace.to_owned());
        }
        cells.extend([
            name.to_owned(),
            record.cluster.clone(),
            clock.relative(run.scheduled.as_ref()),
            clock.relative(run.started.as_ref()),
            took(&run, clock),
            result(&run),
            short(&run.revision),
            kind(&run).to_owned(),
            run.late_seconds.map(human).unwrap_or_default(),
            number(run.attempts),
            run.job.clone(),
            message(&words(&run)),
        ]);
        Row {
            name: format!("run/{}@{}/{}", record.segment, record.cluster, id(record)),
            cells,
        }
    });
    let rows = rows.collect();
    Table { columns, rows }
}

/// What tells a run from others of its Segment on its cluster: its Job, its id, or when it was due.
pub(crate) fn id(record: &RunRecord) -> String {
    let run = record.run.clone().unwrap_or_default();
    if !run.job.is_empty() {
        return run.job;
    }
    if !record.id.is_empty() {
        return record.id.clone();
    }
    read(run.scheduled.as_ref())
        .map(super::age::seconds_of)
        .unwrap_or_default()
}

fn words(run: &Run) -> String {
    match run.result() {
        RunResult::Succeeded => String::new(),
        // The reason stands beside the result already, unless the exit code does.
        _ if run.exit_code.is_some_and(|code| code != 0) => because(&run.reason, &run.message),
        _ => run.message.clone(),
    }
}

fn kind(run: &Run) -> &'static str {
    match run.kind() {
        RunKind::Unspecified => "",
        RunKind::Scheduled => "Scheduled",
        RunKind::Proof => "Proof",
        RunKind::Manual => "Manual",
    }
}

/// How long it took, or takes.
fn took(run: &Run, clock: Clock) -> String {
    let Some(started) = read(run.started.as_ref()) else {
        return String::new();
    };
    let active = matches!(run.result(), RunResult::Running | RunResult::Stuck);
    let end = read(run.finished.as_ref()).or(active.then_some(clock.now));
    end.map(|end| human(end.as_second().saturating_sub(started.as_second())))
        .unwrap_or_default()
}

/// Groups, most runs first.
pub(crate) fn groups(groups: &[RunGroup], by: GroupBy, clock: Clock) -> Table {
    let columns = vec![
        column(match by {
            GroupBy::Cause => "CAUSE",
            GroupBy::Cluster => "CLUSTER",
            GroupBy::Segment => "SEGMENT",
        }),
        column("SEGMENTS"),
        column("CLUSTERS"),
        column("RUNS"),
        column("FIRST"),
        column("LAST"),
        column("SINCE REVISION"),
        column("EXAMPLE"),
        wide("MESSAGE"),
    ];
    let rows = groups.iter().map(|group| {
        let example = group.example.clone().unwrap_or_default();
        let run = example.run.clone().unwrap_or_default();
        Row {
            name: group.name.clone(),
            cells: vec![
                message(&group.name),
                number(group.segments),
                number(group.clusters),
                number(group.runs),
                clock.relative(group.first.as_ref()),
                clock.relative(group.last.as_ref()),
                short(&group.since_revision),
                format!("{}@{}", example.segment, example.cluster),
                message(&because(&run.reason, &run.message)),
            ],
        }
    });
    let rows = rows.collect();
    Table { columns, rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Times;
    use segment_proto::Timestamp as Wire;

    fn clock() -> Clock {
        Clock {
            times: Times::Relative,
            now: jiff::Timestamp::from_second(10_000).unwrap(),
        }
    }

    fn at(seconds: i64) -> Wire {
        Wire { seconds, nanos: 0 }
    }

    fn record(result: RunResult, exit_code: Option<i32>, reason: &str, message: &str) -> RunRecord {
        let begun = !matches!(result, RunResult::Missed | RunResult::Skipped);
        RunRecord {
            segment: "granary/visits".into(),
            cluster: "eu-1".into(),
            run: Some(Run {
                job: if begun {
                    "visits-166".into()
                } else {
                    String::new()
                },
                scheduled: Some(at(9_960)),
                started: begun.then(|| at(9_961)),
                finished: (result == RunResult::Failed).then(|| at(9_970)),
                result: result.into(),
                exit_code,
                reason: reason.into(),
                message: message.into(),
                kind: RunKind::Scheduled.into(),
                revision: "7f3a91c0aabbccdd".into(),
                attempts: Some(2),
                ..Run::default()
            }),
            ..RunRecord::default()
        }
    }

    #[test]
    fn a_run_is_a_row_with_what_became_of_it() {
        let table = runs(
            &[
                record(
                    RunResult::Failed,
                    Some(1),
                    "BackoffLimitExceeded",
                    "no relation",
                ),
                record(RunResult::Stuck, None, "ImagePullBackOff", "no such tag"),
                record(
                    RunResult::Skipped,
                    None,
                    "Forbid",
                    "visits-165 has been running",
                ),
                record(RunResult::Succeeded, Some(0), "", ""),
            ],
            clock(),
            false,
        );
        assert_eq!(
            table.text(false, true),
            "SEGMENT   CLUSTER   DUE       TOOK     RESULT                     REVISION   MESSAGE\n\
             visits    eu-1      40s ago   9s       Failed (exit 1)            7f3a91c    BackoffLimitExceeded: no relation\n\
             visits    eu-1      40s ago   39s      Stuck (ImagePullBackOff)   7f3a91c    no such tag\n\
             visits    eu-1      40s ago   <none>   Skipped (Forbid)           7f3a91c    visits-165 has been running\n\
             visits    eu-1      40s ago   <none>   Succeeded                  7f3a91c    <none>\n"
        );
        let names = table.names();
        assert_eq!(
            names.lines().collect::<Vec<_>>()[1..3],
            [
                "run/granary/visits@eu-1/visits-166",
                "run/granary/visits@eu-1/1970-01-01T02:46:00Z"
            ]
        );
    }
}
