//! Rollouts, revisions and holds as text.
//!
//! In: answers of the hub. Out: tables and sentences. Law: a state is always beside what it waits for, and what to type.
//! Not: JSON and YAML, which are the answers themselves.

use super::age::Clock;
use super::table::{Row, Table, column, wide};
use crate::text::{count, one_line};
use segment_proto::v1::{Hold, Revision, Rollout, RolloutState, Wave};
use std::fmt::Write as _;

/// Failures that are shown below a rollout.
const FAILURES_SHOWN: usize = 5;

fn short(revision: &str) -> &str {
    revision.get(..7).unwrap_or(revision)
}

fn state(rollout: &Rollout) -> &'static str {
    match rollout.state() {
        RolloutState::Completed if !rollout.undone_revision.is_empty() => "Undone",
        RolloutState::Completed => "Completed",
        RolloutState::Progressing | RolloutState::Unspecified => "Progressing",
        RolloutState::Paused => "Paused",
        RolloutState::Halted => "Halted",
    }
}

/// How far it is, on one line.
pub(crate) fn progress(rollout: &Rollout) -> String {
    let (done, all) = rollout.waves.iter().fold((0, 0), |(done, all), wave| {
        (done + wave.done(), all + wave.clusters())
    });
    let mut line = format!(
        "{} {}: {done} of {}",
        state(rollout),
        short(&rollout.revision),
        count(all as usize, "cluster")
    );
    if !rollout.message.is_empty() {
        let _ = write!(line, "; {}", one_line(&rollout.message));
    }
    line
}

/// What `rollout status` ends with.
pub(crate) fn sentence(rollout: &Rollout, pinned: &str, clock: Clock) -> String {
    if !pinned.is_empty() && !rollout.revision.starts_with(pinned) {
        return format!(
            "{}: revision {pinned} was overtaken by {}",
            rollout.segment,
            short(&rollout.revision)
        );
    }
    format!(
        "{}: {} (began {})",
        rollout.segment,
        progress(rollout),
        clock.relative(rollout.since.as_ref())
    )
}

/// A rollout, wave by wave.
pub(crate) fn block(rollout: &Rollout, clock: Clock) -> String {
    let mut text = rollout.segment.clone();
    let _ = match rollout.completed_revision.as_str() {
        "" => write!(text, " {}", short(&rollout.revision)),
        before if before == rollout.revision => write!(text, " {}", short(before)),
        before => write!(text, " {} → {}", short(before), short(&rollout.revision)),
    };
    let _ = write!(
        text,
        "   {} {}",
        state(rollout),
        clock.age(rollout.since.as_ref())
    );
    if !rollout.author.is_empty() {
        let _ = write!(text, "   by {}", one_line(&rollout.author));
    }
    if !rollout.change_cause.is_empty() {
        let _ = write!(text, " \"{}\"", one_line(&rollout.change_cause));
    }
    text.push('\n');
    let table = Table {
        columns: [
            "WAVE", "CLUSTERS", "DONE", "RUNNING", "PROOF", "FAILED", "AWAY", "STATE",
        ]
        .map(column)
        .to_vec(),
        rows: rollout.waves.iter().map(|wave| row(wave, clock)).collect(),
    };
    text.push_str(&table.text(false, true));
    if !rollout.message.is_empty() {
        let _ = writeln!(text, "{}", one_line(&rollout.message));
    }
    for failure in rollout.failures.iter().take(FAILURES_SHOWN) {
        let _ = writeln!(
            text,
            "‼ {}  {}: {}",
            failure.cluster,
            failure.reason,
            one_line(&failure.message)
        );
    }
    let name = &rollout.segment;
    let next = match rollout.state() {
        RolloutState::Halted => {
            format!("rollout retry|undo {name} · segctl why {name} --cluster …")
        }
        RolloutState::Paused => format!("rollout resume|abort|undo {name}"),
        RolloutState::Progressing => format!("rollout pause|abort {name}"),
        _ => String::new(),
    };
    if !next.is_empty() {
        let _ = writeln!(text, "  next: segctl {next}");
    }
    text
}

fn row(wave: &Wave, clock: Clock) -> Row {
    let failed = if wave.failed() > 0 || wave.may_fail() > 0 {
        format!("{}/{}", wave.failed(), wave.may_fail())
    } else {
        "0".to_owned()
    };
    let finished = wave.running() + wave.proof() == 0
        && wave.done() + wave.failed() + wave.away() == wave.clusters();
    let state = if !wave.waits.is_empty() {
        format!("○ {}", one_line(&wave.waits))
    } else if wave.failed() > wave.may_fail() {
        "× too many failed".to_owned()
    } else if wave.open() && finished {
        match &wave.done_since {
            Some(since) => format!("✓ done {}", clock.relative(Some(since))),
            None => "✓ done".to_owned(),
        }
    } else if wave.open() {
        "● running".to_owned()
    } else {
        "○ waits for the waves before".to_owned()
    };
    Row {
        name: wave.name.clone(),
        cells: vec![
            one_line(&wave.name),
            wave.clusters().to_string(),
            wave.done().to_string(),
            wave.running().to_string(),
            wave.proof().to_string(),
            failed,
            wave.away().to_string(),
            state,
        ],
    }
}

/// Stored revisions.
pub(crate) fn history(segment: &str, revisions: &[Revision], clock: Clock) -> Table {
    Table {
        columns: vec![
            column("REVISION"),
            column("GENERATION"),
            column("AGE"),
            column("CLUSTERS"),
            column("STATE"),
            column("AUTHOR"),
            column("REASON"),
            wide("FULL REVISION"),
        ],
        rows: revisions
            .iter()
            .map(|revision| {
                let state = match (revision.current(), revision.completed()) {
                    (true, true) => "current, completed",
                    (true, false) => "current",
                    (false, true) => "completed",
                    (false, false) if revision.can_undo == Some(false) => "can't be used any more",
                    (false, false) => "",
                };
                Row {
                    name: format!("{segment}@{}", short(&revision.revision)),
                    cells: vec![
                        short(&revision.revision).to_owned(),
                        revision.generation().to_string(),
                        clock.age(revision.created.as_ref()),
                        revision.clusters().to_string(),
                        state.to_owned(),
                        one_line(&revision.author),
                        one_line(&revision.change_cause),
                        revision.revision.clone(),
                    ],
                }
            })
            .collect(),
    }
}

/// Holds.
pub(crate) fn holds(holds: &[Hold], clock: Clock) -> Table {
    Table {
        columns: [
            "SEGMENT",
            "HELD",
            "UNTIL",
            "CONFIRMED",
            "BY",
            "SINCE",
            "REASON",
        ]
        .map(column)
        .to_vec(),
        rows: holds
            .iter()
            .map(|hold| {
                let until = match (hold.held(), &hold.until) {
                    (true, Some(until)) => clock.relative(Some(until)),
                    (true, None) => "released".to_owned(),
                    (false, _) => String::new(),
                };
                Row {
                    name: format!("segment.segment.grnry.io/{}", hold.segment),
                    cells: vec![
                        hold.segment.clone(),
                        if hold.held() { "yes" } else { "no" }.to_owned(),
                        until,
                        format!("{}/{}", hold.confirmed(), hold.clusters()),
                        one_line(&hold.by),
                        if hold.held() {
                            clock.age(hold.since.as_ref())
                        } else {
                            String::new()
                        },
                        one_line(&hold.reason),
                    ],
                }
            })
            .collect(),
    }
}
