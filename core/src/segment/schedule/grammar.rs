//! The fields of a schedule: lists of values, ranges and steps.
//!
//! In: one field with its byte offset. Out: its values as bits, or where it is wrong.
//! Law: as robfig/cron 3.0.1 reads them, its oddities included. Not: `H`, macros.

use super::ScheduleError;
use crate::finding::shown;

/// One of the five fields.
pub(super) struct Bounds {
    pub(super) what: &'static str,
    pub(super) min: u64,
    pub(super) max: u64,
    /// Names of the values from `min` on, in lower case.
    names: &'static [&'static str],
}

pub(super) const BOUNDS: [Bounds; 5] = [
    Bounds {
        what: "minute",
        min: 0,
        max: 59,
        names: &[],
    },
    Bounds {
        what: "hour",
        min: 0,
        max: 23,
        names: &[],
    },
    Bounds {
        what: "day of month",
        min: 1,
        max: 31,
        names: &[],
    },
    Bounds {
        what: "month",
        min: 1,
        max: 12,
        names: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    Bounds {
        what: "day of week",
        min: 0,
        max: 6,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

/// A part of the schedule with its byte offset.
pub(super) type Part<'a> = (usize, &'a str);

/// Splits at white space, as Go's `strings.Fields`.
pub(super) fn split_fields(text: &str) -> Vec<Part<'_>> {
    split_where(text, 0, char::is_whitespace)
}

/// Splits where the judge says so and leaves empty parts out.
pub(super) fn split_where(
    text: &str,
    start: usize,
    separator: impl Fn(char) -> bool,
) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut offset = start;
    for part in text.split(separator) {
        if !part.is_empty() {
            parts.push((offset, part));
        }
        // The separators are found again by where the next part begins.
        offset += part.len();
        offset += text[offset - start..]
            .chars()
            .next()
            .map_or(0, char::len_utf8);
    }
    parts
}

/// The values of a field, and whether a star is among its parts.
pub(super) struct Values {
    pub(super) bits: u64,
    pub(super) star: bool,
}

pub(super) fn field((offset, text): Part<'_>, bounds: &Bounds) -> Result<Values, ScheduleError> {
    let mut values = Values {
        bits: 0,
        star: false,
    };
    for part in split_where(text, offset, |c| c == ',') {
        let range = range(part, bounds)?;
        values.bits |= range.bits;
        values.star |= range.star;
    }
    Ok(values)
}

/// `number`, `number-number`, either with `/step`; `*` and `?` stand for all.
fn range((offset, text): Part<'_>, bounds: &Bounds) -> Result<Values, ScheduleError> {
    let fail = |message: String| ScheduleError::new(offset, format!("{}: {message}", bounds.what));
    let mut halves = text.split('/');
    let base = halves.next().unwrap_or_default();
    let step = halves.next();
    if halves.next().is_some() {
        return Err(fail(format!("too many slashes in {}", shown(text))));
    }

    let mut ends = base.split('-');
    let first = ends.next().unwrap_or_default();
    let second = ends.next();
    let (start, mut end, mut star) = if first == "*" || first == "?" {
        // What follows a star and a hyphen is not looked at, as in robfig/cron.
        (bounds.min, bounds.max, true)
    } else {
        if ends.next().is_some() {
            return Err(fail(format!("too many hyphens in {}", shown(text))));
        }
        // What other crons take, Kubernetes does not.
        let fail = |message: String| {
            let error = fail(message);
            if text.contains(['L', 'W', '#']) {
                error
                    .help("Kubernetes takes numbers, names, lists, ranges and steps: not L, W or #")
            } else {
                error
            }
        };
        let start = value(first, bounds).map_err(fail)?;
        let end = second
            .map_or(Ok(start), |second| value(second, bounds))
            .map_err(fail)?;
        (start, end, false)
    };

    let step = match step {
        None => 1,
        Some(step) => {
            let step = number(step).map_err(fail)?;
            if second.is_none() {
                end = bounds.max;
            }
            star &= step <= 1;
            step
        }
    };

    if start < bounds.min {
        return Err(fail(format!("{start} is below {}", bounds.min)));
    }
    if end > bounds.max {
        let error = fail(format!("{end} is above {}", bounds.max));
        let sunday = bounds.what == "day of week" && end == 7;
        return Err(if sunday {
            error.help("Sunday is 0")
        } else {
            error
        });
    }
    if start > end {
        return Err(fail(format!(
            "the range {} ends before it begins",
            shown(text)
        )));
    }
    let Ok(stride) = usize::try_from(step) else {
        return Err(fail(format!("{step} is no step")));
    };
    if stride == 0 {
        return Err(fail("a step must be above 0".to_owned()));
    }
    let bits = (start..=end)
        .step_by(stride)
        .fold(0, |bits, value| bits | 1 << value);
    Ok(Values { bits, star })
}

/// A number, or the name of a value in any case.
fn value(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let lower = text.to_lowercase();
    match (bounds.min..)
        .zip(bounds.names)
        .find(|(_, name)| **name == lower)
    {
        Some((value, _)) => Ok(value),
        None => number(text),
    }
}

/// A number as Go's `strconv.Atoi` takes it: a sign is allowed, and 63 bits.
pub(super) fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{} is not a number", shown(text)));
    }
    digits
        .parse::<i64>()
        .ok()
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| format!("{} is too large", shown(text)))
}
