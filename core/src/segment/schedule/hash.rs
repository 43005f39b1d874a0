//! `H`: a value made from the names of segment and cluster, so that a fleet does not start at the same second.
//!
//! In: a schedule with `H`, `H(a-b)`, `H/n` or `H(a-b)/n`, alone or in lists. Out: the schedule for one cluster.
//! Law: depends on `namespace/name` of the Segment, the cluster's name and the place in the schedule alone, never on
//! the hub (golden vectors in `h.json`: changing one moves every run of the fleet).
//! Not: macros (`@hourly` means what Kubernetes means by it). Source: the Jenkins handbook, "cron syntax".

use super::ScheduleError;
use super::grammar::{BOUNDS, Bounds, number, split_fields, split_where};
use crate::finding::shown;
use crate::ids::{ClusterName, SegmentKey};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Whether a schedule has an `H`. `THU` and `MARCH` have none.
pub fn uses_h(schedule: &str) -> bool {
    split_fields(schedule).into_iter().any(|(offset, field)| {
        split_where(field, offset, |c| c == ',')
            .iter()
            .any(|(_, part)| is_h(part))
    })
}

fn is_h(part: &str) -> bool {
    part.strip_prefix('H')
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['(', '/', '-']))
}

/// The schedule of one cluster. A schedule without `H` comes back as it is.
///
/// # Errors
/// When an `H` is not one of the four forms, or its range is outside of the field.
pub fn replace_h(
    schedule: &str,
    segment: &SegmentKey,
    cluster: &ClusterName,
) -> Result<String, ScheduleError> {
    if !uses_h(schedule) {
        return Ok(schedule.to_owned());
    }
    replace_with(schedule, |field, part| hash(segment, cluster, field, part))
}

/// First 8 bytes, big-endian, of SHA-256 over `namespace/name`, the cluster's name, the field (0 to 4) and the place in
/// the field's list, with line feeds between them.
fn hash(segment: &SegmentKey, cluster: &ClusterName, field: usize, part: usize) -> u64 {
    let digest = Sha256::digest(format!("{segment}\n{cluster}\n{field}\n{part}"));
    digest[..8]
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// The schedule with all values of each `H` at once: every run that some cluster has.
pub(super) fn replace_by_all(schedule: &str) -> Result<String, ScheduleError> {
    replace(schedule, |_, _| None)
}

pub(super) fn replace_with(
    schedule: &str,
    hash: impl Fn(usize, usize) -> u64,
) -> Result<String, ScheduleError> {
    replace(schedule, |field, part| Some(hash(field, part)))
}

/// A hash picks one of the values that an `H` stands for; `None` all of them.
fn replace(
    schedule: &str,
    hash: impl Fn(usize, usize) -> Option<u64>,
) -> Result<String, ScheduleError> {
    let mut out = String::with_capacity(schedule.len() + 16);
    for (index, (offset, field)) in split_fields(schedule).into_iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        let parts = split_where(field, offset, |c| c == ',');
        if !parts.iter().any(|(_, part)| is_h(part)) {
            out.push_str(field);
            continue;
        }
        for (place, (offset, part)) in parts.into_iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            match BOUNDS.get(index) {
                Some(bounds) if is_h(part) => {
                    replace_part(&mut out, part, offset, bounds, hash(index, place))?;
                }
                // A sixth field is refused where the schedule is parsed.
                _ => out.push_str(part),
            }
        }
    }
    Ok(out)
}

fn replace_part(
    out: &mut String,
    part: &str,
    offset: usize,
    bounds: &Bounds,
    hash: Option<u64>,
) -> Result<(), ScheduleError> {
    let fail = |message: String| {
        ScheduleError::new(offset, format!("{}: {message}", bounds.what))
            .help("H, H(a-b), H/n or H(a-b)/n")
    };
    let rest = &part[1..];
    let (range, rest) = match rest.strip_prefix('(') {
        Some(inner) => {
            let (range, rest) = inner
                .split_once(')')
                .ok_or_else(|| fail(format!("{} has no closing parenthesis", shown(part))))?;
            (Some(range), rest)
        }
        None => (None, rest),
    };
    let (low, high) = match range {
        Some(range) => {
            let (low, high) = range
                .split_once('-')
                .ok_or_else(|| fail(format!("{} is not a range", shown(range))))?;
            (number(low).map_err(fail)?, number(high).map_err(fail)?)
        }
        // Every month has 28 days.
        None if bounds.what == "day of month" => (1, 28),
        None => (bounds.min, bounds.max),
    };
    if low < bounds.min || high > bounds.max || low > high {
        return Err(fail(format!(
            "the range {low}-{high} is not within {}-{}",
            bounds.min, bounds.max
        )));
    }
    let size = high - low + 1;
    let step = match rest.strip_prefix('/') {
        None if rest.is_empty() => None,
        None => return Err(fail(format!("{} after H is not understood", shown(rest)))),
        Some(step) => {
            let step = number(step).map_err(fail)?;
            // Jenkins reads H/1 as H, most people as a star.
            if step < 2 || step > size {
                return Err(fail(format!("the step {step} is not within 2-{size}")));
            }
            Some(step)
        }
    };
    // Writing to a String never fails.
    let _ = match (hash, step) {
        (None, _) => write!(out, "{low}-{high}"),
        (Some(hash), None) => write!(out, "{}", low + hash % size),
        (Some(hash), Some(step)) => write!(out, "{}-{high}/{step}", low + hash % step),
    };
    Ok(())
}

/// The offset in the user's text of what stands at `offset` in the replaced one: the beginning of that field.
pub(super) fn original_offset(original: &str, replaced: &str, offset: usize) -> usize {
    let fields_before = split_fields(replaced)
        .iter()
        .take_while(|(start, _)| *start <= offset)
        .count();
    fields_before
        .checked_sub(1)
        .and_then(|index| split_fields(original).get(index).map(|(start, _)| *start))
        .unwrap_or(0)
}
