//! What a rollout does or waits for, in words.
//!
//! In: a Segment in the index. Out: one word and one sentence. Law: a message says what is waited for and, where a human
//! is, what to type; times are absolute, so that the words stay while nothing changes.
//! Not: counts of clusters (`aggregate`), conditions (`status.rs`).

use super::{Progress, Waits, WaveStand};
use crate::index::SegmentState;
use jiff::Timestamp;
use segment_crds::Reason;
use segment_crds::rollout::OnFailure;

/// Whole seconds, as the API server has them.
fn time(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second())
        .unwrap_or(at)
        .to_string()
}

/// What one wave waits for, with the name of the Segment for what is to be typed.
pub fn wave_words(wave: &WaveStand, segment: &str) -> Option<String> {
    Some(match wave.waits.as_ref()? {
        Waits::Soak(until) => format!("soaks until {}", time(*until)),
        Waits::Approval(approval) => {
            let when = approval.split_once('/').map_or("", |(when, _)| when);
            format!(
                "waits for an approval {when} it: segctl rollout approve {segment} --wave {}",
                wave.name
            )
        }
        Waits::Window(Some(opens)) => format!("waits: window opens {}", time(*opens)),
        Waits::Window(None) => "waits: no window ever opens".to_owned(),
        Waits::Unreachable { away, allowed } => format!(
            "waits: {away} clusters are away, {allowed} may be (spec.rollout.unreachable.maxPercent)"
        ),
        Waits::Withheld => {
            "waits: no cluster of it can be released (segctl why says more)".to_owned()
        }
        Waits::Cap => {
            "waits: as many clusters are in change as the hub allows for all Segments together"
                .to_owned()
        }
    })
}

fn reason_of(waits: Option<&Waits>) -> Reason {
    match waits {
        Some(Waits::Soak(_)) => Reason::Soaking,
        Some(Waits::Approval(_)) => Reason::WaitingForApproval,
        Some(Waits::Window(_)) => Reason::WaitingForWindow,
        _ => Reason::Progressing,
    }
}

/// How a Segment's rollout stands: a reason, and words that are empty where there is nothing to say.
pub fn rollout_story(segment: &SegmentState) -> (Reason, String) {
    let undo = segment
        .good
        .as_ref()
        .and_then(|good| segment.ops.undo_of(good.revision));
    let (reason, words) = going(segment);
    let Some(undo) = undo else {
        return (reason, words);
    };
    let why = if undo.cause.is_empty() {
        undo.by.words()
    } else {
        undo.cause.clone()
    };
    let mut all = format!(
        "revision {} is undone, {} goes out instead: {why}; change the Segment to end this",
        undo.of.short(),
        undo.to.short()
    );
    if !words.is_empty() {
        all.push_str("; ");
        all.push_str(&words);
    }
    (Reason::RolledBack, all)
}

fn going(segment: &SegmentState) -> (Reason, String) {
    let record = &segment.ops.rollout;
    match segment.progress {
        Progress::Completed => (Reason::Completed, String::new()),
        Progress::Halted => match &record.halted {
            Some(halt) if halt.kind == OnFailure::Abort => (Reason::Aborted, halt.cause.clone()),
            Some(halt) => (
                Reason::Halted,
                format!(
                    "{}; nothing goes out until it is tried again (segctl rollout retry), undone, or the Segment is changed",
                    halt.cause
                ),
            ),
            None => (Reason::Halted, String::new()),
        },
        Progress::Paused => match &record.paused {
            Some(by) => (Reason::Paused, format!("paused {}", by.words())),
            None => (Reason::Paused, "spec.paused is set".to_owned()),
        },
        Progress::Progressing => {
            let name = segment.key.to_string();
            let count = segment.waves.len();
            let waiting = segment
                .waves
                .iter()
                .enumerate()
                .find(|(_, wave)| wave.waits.is_some())
                .or_else(|| {
                    segment
                        .waves
                        .iter()
                        .enumerate()
                        .rev()
                        .find(|(_, wave)| wave.open)
                });
            let Some((index, wave)) = waiting.filter(|(_, wave)| count > 1 || wave.waits.is_some())
            else {
                return (Reason::Progressing, String::new());
            };
            let mut words = if count > 1 {
                format!("wave {} ({}/{count})", wave.name, index + 1)
            } else {
                String::new()
            };
            if let Some(waits) = wave_words(wave, &name) {
                if !words.is_empty() {
                    words.push(' ');
                }
                words.push_str(&waits);
            }
            (reason_of(wave.waits.as_ref()), words)
        }
    }
}
