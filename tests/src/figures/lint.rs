//! Lint and plan: what they cost in CPU time of one core.
//!
//! In: rounds. Out: Segments linted in a second, the worst Segment of a megabyte, plans over ten thousand clusters, each
//! with its target. Law: CPU time of this thread, so that a shared machine counts little; the first round is thrown away.
//! Not: the API server, the wire, the hub's lock.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "figures talk to the person at the terminal"
)]

mod plans;
mod segments;

use super::cpu::measured;
use super::statistics::spread;
use crate::paths;
use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use segment_core::lint::{lint, lint_on};
use segment_core::segment::{HouseDefaults, parse};
use segment_core::testing::{self, Worst, worst};
use segment_crds::Segment;
use serde::Serialize;
use std::sync::Arc;

/// Seconds for the worst Segment.
const TARGET_WORST: f64 = 1.0;
/// Seconds for a plan.
const TARGET_PLAN: f64 = 2.0;
/// A Segment may have so many bytes.
const WORST_BYTES: usize = 1024 * 1024;
/// Segments that are made from the corpus.
const MADE: usize = 10_000;

/// What was measured: seconds of CPU, one for each round.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    /// How many things were done in these seconds.
    of: usize,
    seconds: Vec<f64>,
    /// Seconds that all of it may take.
    target: Option<f64>,
}

/// Measures and prints.
///
/// # Errors
/// When the corpus can't be read, or the kernel does not tell the time.
pub fn run(rounds: usize) -> Result<()> {
    ensure!(rounds > 0, "at least one round");
    let now: Timestamp = "2026-11-25T12:00:00Z".parse()?;
    let mut rows = Vec::new();

    let corpus = segments::corpus()?;
    let made = segments::made(&corpus, MADE);
    for (what, list, times) in [
        ("lint of the corpus", &corpus, 20),
        ("lint of Segments made from it", &made, 1),
    ] {
        eprintln!("{what} …");
        rows.push(linted(what, list, times, rounds, now)?);
    }
    eprintln!("the worst Segments of {WORST_BYTES} bytes …");
    let (name, row) = worst_of(rounds, now)?;
    rows.push(row);
    for case in plans::cases(now)? {
        eprintln!("{} …", case.what);
        rows.push(Row {
            what: case.what.to_owned(),
            of: 1,
            seconds: seconds(rounds, || case.plan(now))?,
            target: Some(TARGET_PLAN),
        });
    }
    report(&rows, &name)
}

/// One measurement for each round that counts.
fn seconds(rounds: usize, mut work: impl FnMut()) -> Result<Vec<f64>> {
    let mut seconds = Vec::with_capacity(rounds);
    for round in 0..=rounds {
        let ((), took) = measured(&mut work)?;
        if round > 0 {
            seconds.push(took);
        }
    }
    Ok(seconds)
}

fn linted(
    what: &str,
    list: &[Segment],
    times: usize,
    rounds: usize,
    now: Timestamp,
) -> Result<Row> {
    let defaults = HouseDefaults::default();
    let seconds = seconds(rounds, || {
        for _ in 0..times {
            for segment in list {
                std::hint::black_box(lint(segment, &defaults, now));
            }
        }
    })?;
    Ok(Row {
        what: what.to_owned(),
        of: list.len() * times,
        seconds,
        target: None,
    })
}

/// Judges one by itself and on a cluster. What is refused is judged there all the same, where it can be read at all.
fn judge(worst: &Worst, now: Timestamp) {
    let defaults = HouseDefaults::default();
    let view = testing::view("a", &[("env", "prod"), ("region", "a--b")]);
    let verdict = lint(&worst.segment, &defaults, now);
    let parsed = verdict
        .parsed
        .or_else(|| parse(&worst.segment).ok().map(Arc::new));
    if let Some(parsed) = parsed {
        std::hint::black_box(lint_on(&parsed, &defaults, &view, now));
    }
}

/// The one that takes longest, measured again in each round.
fn worst_of(rounds: usize, now: Timestamp) -> Result<(String, Row)> {
    let mut longest: Option<(f64, Worst)> = None;
    let mut count = 0;
    for one in worst(WORST_BYTES) {
        count += 1;
        let ((), took) = measured(|| judge(&one, now))?;
        if longest.as_ref().is_none_or(|(most, _)| *most < took) {
            longest = Some((took, one));
        }
    }
    let (_, worst) = longest.context("there is no worst Segment")?;
    let row = Row {
        what: format!("worst of {count} Segments of 1 MiB, with one cluster"),
        of: 1,
        seconds: seconds(rounds, || judge(&worst, now))?,
        target: Some(TARGET_WORST),
    };
    Ok((worst.name, row))
}

fn report(rows: &[Row], worst: &str) -> Result<()> {
    let folder = paths::target()?.join("figures");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("lint.json");
    std::fs::write(&file, serde_json::to_vec_pretty(rows)?)?;
    println!("| one core, CPU time | median of the rounds (min–max) | target |");
    println!("|---|---|---|");
    for row in rows {
        let (median, least, most) = spread(&row.seconds);
        let figure = if row.target.is_some() {
            format!(
                "{:.0} ms ({:.0}–{:.0})",
                median * 1e3,
                least * 1e3,
                most * 1e3
            )
        } else {
            #[allow(clippy::cast_precision_loss, reason = "some thousand Segments")]
            let of = row.of as f64;
            format!(
                "{:.0} a second ({:.0}–{:.0})",
                of / median,
                of / most,
                of / least
            )
        };
        let target = match row.target {
            Some(target) if median <= target => format!("{:.0} ms: met", target * 1e3),
            Some(target) => format!("{:.0} ms: not met", target * 1e3),
            None => "none".to_owned(),
        };
        println!("| {} | {figure} | {target} |", row.what);
    }
    println!("\nthe worst: {worst}");
    println!(
        "raw: {}",
        file.strip_prefix(paths::root()).unwrap_or(&file).display()
    );
    Ok(())
}
