//! Ordered runs in words.

use super::age::{Clock, human, read};
use super::table::{Row, Table, column, wide};
use segment_proto::v1::{
    OrderedRun, OrderedRunState, RunChange, RunCounts, RunStarted, RunSummary,
};

/// What was begun.
pub(crate) fn started(started: &RunStarted) -> String {
    let clusters = usize::try_from(started.clusters()).unwrap_or(usize::MAX);
    let verb = if started.attached() {
        "attached to the runs"
    } else {
        "runs"
    };
    format!(
        "{} {verb} on {} (request {})",
        started.segment,
        crate::text::count(clusters, "cluster"),
        started.request_id
    )
}

fn state(run: &OrderedRun) -> &'static str {
    match run.state() {
        OrderedRunState::Unspecified => "",
        OrderedRunState::Pending => "Pending",
        OrderedRunState::Waiting => "Waiting",
        OrderedRunState::Running => "Running",
        OrderedRunState::Succeeded => "Succeeded",
        OrderedRunState::Failed => "Failed",
        OrderedRunState::Refused => "Refused",
        OrderedRunState::Expired => "Expired",
    }
}

/// `exit 1: Error: words`, as far as there is anything.
fn why(run: &OrderedRun) -> String {
    let exit = run.exit_code.filter(|code| *code != 0);
    [
        exit.map(|code| format!("exit {code}")).unwrap_or_default(),
        run.reason.clone(),
        crate::text::one_line(&run.message),
    ]
    .into_iter()
    .filter(|part| !part.is_empty())
    .collect::<Vec<_>>()
    .join(": ")
}

/// One line of progress.
pub(crate) fn change(change: &RunChange) -> String {
    let run = change.run.clone().unwrap_or_default();
    let why = match why(&run) {
        why if why.is_empty() => String::new(),
        why => format!("  {why}"),
    };
    let counts = change.counts.unwrap_or_default();
    let over = counts.succeeded() + counts.failed() + counts.refused() + counts.expired();
    let all = over + counts.pending() + counts.waiting() + counts.running();
    format!("{over}/{all}  {:<10} {}{why}", state(&run), run.cluster)
}

/// How many are how far.
pub(crate) fn counts(counts: Option<&RunCounts>) -> String {
    let counts = counts.copied().unwrap_or_default();
    let parts = [
        (counts.succeeded(), "succeeded"),
        (counts.failed(), "failed"),
        (counts.refused(), "refused"),
        (counts.expired(), "expired"),
        (counts.running(), "running"),
        (counts.waiting(), "waiting"),
        (counts.pending(), "pending"),
    ];
    parts
        .iter()
        .filter(|(count, word)| *count > 0 || *word == "succeeded")
        .map(|(count, word)| format!("{count} {word}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Where to look at the first that failed.
pub(crate) fn next(summary: &RunSummary) -> Option<String> {
    let is_there = |run: &OrderedRun| {
        !run.job.is_empty() && !matches!(run.reason.as_str(), "JobGone" | "Interrupted")
    };
    let failed = summary
        .runs
        .iter()
        .find(|run| run.state() == OrderedRunState::Failed && is_there(run))?;
    Some(format!(
        "  next: kubectl --context {} -n {} logs job/{}   (it is kept for 10 minutes)",
        failed.cluster, failed.namespace, failed.job
    ))
}

/// The summary.
pub(crate) fn table(summary: &RunSummary, clock: Clock) -> Table {
    let columns = vec![
        column("CLUSTER"),
        column("STATE"),
        column("STARTED"),
        column("TOOK"),
        column("WHY"),
        wide("NAMESPACE"),
        wide("JOB"),
        wide("RUN"),
    ];
    let rows = summary.runs.iter().map(|run| Row {
        name: format!("cluster/{}", run.cluster),
        cells: vec![
            run.cluster.clone(),
            state(run).to_owned(),
            clock.relative(run.started.as_ref()),
            took(run),
            why(run),
            run.namespace.clone(),
            run.job.clone(),
            run.id.clone(),
        ],
    });
    let rows = rows.collect();
    Table { columns, rows }
}

fn took(run: &OrderedRun) -> String {
    match (read(run.started.as_ref()), read(run.finished.as_ref())) {
        (Some(started), Some(finished)) => {
            human(finished.as_second().saturating_sub(started.as_second()))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_progress_says_who_how_far_and_why() {
        let line = change(&RunChange {
            run: Some(OrderedRun {
                cluster: "eu-1".into(),
                state: OrderedRunState::Failed.into(),
                reason: "BackoffLimitExceeded".into(),
                message: "relation\nis missing".into(),
                exit_code: Some(1),
                ..OrderedRun::default()
            }),
            counts: Some(RunCounts {
                succeeded: Some(1),
                failed: Some(1),
                pending: Some(2),
                ..RunCounts::default()
            }),
        });
        assert!(line.starts_with("2/4  Failed     eu-1  exit 1: BackoffLimitExceeded: relation"));
        assert!(!line.contains('\n'), "{line}");
    }

    #[test]
    fn counts_are_said_where_there_are_any() {
        let all = RunCounts {
            succeeded: Some(2),
            expired: Some(1),
            ..RunCounts::default()
        };
        assert_eq!(counts(Some(&all)), "2 succeeded, 1 expired");
        assert_eq!(counts(None), "0 succeeded");
    }
}
