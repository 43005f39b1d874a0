//! The cause of a run in words that are the same wherever it happens.
//!
//! In: a run's result, exit code, reason and message, and names that differ from place to place. Out: one line.
//! Law: two runs that differ in numbers, quoted names, hashes, times and the names of clusters, Segments and Jobs have the
//! same; it has no line breaks and at most [`MAX_CAUSE_BYTES`]. Not: grouping (`group.rs`).

use crate::report::{RunResult, cut};

/// Longest cause, in bytes: a line of a table.
pub const MAX_CAUSE_BYTES: usize = 160;
/// What stands for what differs.
const GAP: &str = "…";
/// Hexadecimal digits from which a word is a hash and not a word such as `bad` or `feed`.
const HASH_DIGITS: usize = 7;

/// The cause of a run. `names` are replaced wherever they stand as a whole word: of the cluster, the Segment, the Job.
pub fn cause(
    result: RunResult,
    exit_code: Option<i32>,
    reason: &str,
    message: &str,
    names: &[&str],
) -> String {
    let mut head = match result {
        RunResult::Failed | RunResult::Running | RunResult::Succeeded => String::new(),
        RunResult::Missed | RunResult::Skipped | RunResult::Stuck | RunResult::Unknown => {
            result.as_str().to_owned()
        }
    };
    let mut add = |text: &str, between: &str| {
        if !text.is_empty() {
            if !head.is_empty() {
                head.push_str(between);
            }
            head.push_str(text);
        }
    };
    // Of a container that ended by itself its exit code and words say more than that the Job tried often enough.
    let exit = exit_code
        .filter(|code| *code != 0)
        .map(|code| format!("exit {code}"));
    match exit {
        Some(exit) => add(&exit, ": "),
        None => add(reason, ": "),
    }
    add(&normal(message, names), ": ");
    if head.is_empty() {
        result.as_str().clone_into(&mut head);
    }
    cut(&head, MAX_CAUSE_BYTES)
}

/// A message without what differs from place to place.
fn normal(message: &str, names: &[&str]) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        let taken = if let Some(length) = quoted(rest) {
            gap(&mut out, Some(first));
            length
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            // A full stop or a colon at the end of a word ends a sentence.
            let word = rest[..end].trim_end_matches(['.', ':', '-', '/']);
            if word.is_empty() {
                push(&mut out, first);
                first.len_utf8()
            } else {
                if differs(word, names) {
                    gap(&mut out, None);
                } else {
                    numbers(&mut out, word);
                }
                word.len()
            }
        } else {
            push(&mut out, first);
            first.len_utf8()
        };
        rest = &rest[taken..];
        // A message has 1 KiB, a cause far less.
        if out.len() > 2 * MAX_CAUSE_BYTES {
            break;
        }
    }
    out.trim().to_owned()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/' | '@')
}

/// Length of a quoted text at the beginning, quotes included; an apostrophe within a word is none.
fn quoted(text: &str) -> Option<usize> {
    let quote = text
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let end = text[1..].find(quote)? + 2;
    // Over a line break, or to a letter: two apostrophes that are no pair.
    let inner = &text[1..end - 1];
    let pair = quote != '\'' || !text[end..].starts_with(char::is_alphanumeric);
    (pair && !inner.contains('\n')).then_some(end)
}

/// Whether a whole word differs from place to place.
fn differs(word: &str, names: &[&str]) -> bool {
    let hex = |part: &str| {
        part.len() >= HASH_DIGITS
            && part.bytes().all(|b| b.is_ascii_hexdigit())
            && part.bytes().any(|b| b.is_ascii_digit())
    };
    let uuid = word.len() == 36 && word.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    let time = word.len() >= 19 && word.parse::<jiff::Timestamp>().is_ok();
    let has_name = names.iter().any(|name| !name.is_empty() && *name == word);
    let digest = word
        .rsplit_once("sha256:")
        .is_some_and(|(_, hash)| hex(hash));
    has_name || uuid || time || digest || hex(word)
}

/// A word with its numbers replaced.
fn numbers(out: &mut String, word: &str) {
    let mut in_number = false;
    for c in word.chars() {
        if c.is_ascii_digit() {
            if !in_number {
                out.push_str(GAP);
            }
            in_number = true;
        } else {
            in_number = false;
            out.push(c);
        }
    }
}

fn gap(out: &mut String, quote: Option<char>) {
    match quote {
        Some(quote) => {
            out.push(quote);
            out.push_str(GAP);
            out.push(quote);
        }
        None => out.push_str(GAP),
    }
}

/// One blank for any number of blanks and control characters.
fn push(out: &mut String, c: char) {
    if c.is_whitespace() || c.is_control() {
        if !out.ends_with(' ') {
            out.push(' ');
        }
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_place_to_place_is_left_out() {
        let failed = RunResult::Failed;
        for (result, code, reason, message, expected) in [
            (
                failed,
                Some(1),
                "BackoffLimitExceeded",
                "ERROR: relation \"profilestore_v2\" does not exist",
                "exit 1: ERROR: relation \"…\" does not exist",
            ),
            (
                failed,
                Some(1),
                "Error",
                "could not connect to db-7.eu-1.example:5432 after 3 tries",
                "exit 1: could not connect to db-….eu-….example:… after … tries",
            ),
            (
                failed,
                None,
                "DeadlineExceeded",
                "Job was active longer than specified deadline",
                "DeadlineExceeded: Job was active longer than specified deadline",
            ),
            (failed, Some(137), "OOMKilled", "", "exit 137"),
            (failed, None, "", "", "Failed"),
            (
                RunResult::Stuck,
                None,
                "ImagePullBackOff",
                "Back-off pulling image \"grnry/x:0.9.2\"",
                "Stuck: ImagePullBackOff: Back-off pulling image \"…\"",
            ),
            (
                RunResult::Skipped,
                None,
                "Forbid",
                "previous run visits-29874501 has been running since 2026-11-25T22:35:00Z",
                "Skipped: Forbid: previous run … has been running since …",
            ),
            (
                RunResult::Missed,
                None,
                "StartingDeadline",
                "not started within startingDeadlineSeconds (60); kubectl describe cronjob visits tells more",
                "Missed: StartingDeadline: not started within startingDeadlineSeconds (…); kubectl describe cronjob … tells more",
            ),
            (
                failed,
                Some(2),
                "",
                "on eu-1: row 7b0d9c3e-2f51-4c1f-9d55-0f6d1a3a9b11 of 9c0e2aab, can't\n  be  read, don't ask",
                "exit 2: on …: row … of …, can't be read, don't ask",
            ),
            (
                failed,
                Some(2),
                "",
                "image x@sha256:0123456789abcdef",
                "exit 2: image …",
            ),
            (failed, Some(2), "", "\"", "exit 2: \""),
            (
                failed,
                Some(2),
                "",
                "ünïcödé 'ß' ...",
                "exit 2: ünïcödé '…' ...",
            ),
        ] {
            let names = ["eu-1", "visits", "visits-29874501"];
            assert_eq!(
                cause(result, code, reason, message, &names),
                expected,
                "{message}"
            );
        }
    }

    #[test]
    fn a_cause_is_one_line_of_bounded_length() {
        for message in [
            "x ".repeat(2_000),
            "\u{1}".repeat(1_024),
            "ä\"".repeat(900),
            "'".repeat(999),
        ] {
            let cause = cause(RunResult::Failed, Some(1), "r", &message, &[]);
            assert!(
                cause.len() <= MAX_CAUSE_BYTES && !cause.contains('\n'),
                "{cause}"
            );
        }
    }
}
