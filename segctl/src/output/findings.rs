//! Findings for people: as compilers print them, with the line and a caret.
//!
//! In: a [`Report`]. Out: text. Law: whatever a file holds, the terminal shows it as text. Not: JSON and SARIF.

use crate::lint::report::{Report, Reported};
use crate::text::{count, one_line};
use anstyle::{AnsiColor, Style};
use segment_core::finding::{Finding, Severity};
use std::fmt::Write as _;

/// Messages that say something of the field, which stands in front of them then.
const PREDICATES: [&str; 12] = [
    "is ", "are ", "has ", "must ", "may ", "needs ", "can't ", "stands ", "holds ", "names ",
    "does ", "begins ",
];

/// Every finding, one after another.
pub(crate) fn text(report: &Report) -> String {
    let mut out = String::new();
    for reported in &report.findings {
        finding(&mut out, reported);
        out.push('\n');
    }
    out
}

/// The last line: `3 Segments in 2 files: 1 error, 2 warnings`.
pub(crate) fn summary(report: &Report) -> String {
    let (errors, warnings) = (
        report.count(Severity::Error),
        report.count(Severity::Warning),
    );
    let found = match (errors, warnings) {
        (0, 0) => "no findings".to_owned(),
        (errors, 0) => count(errors, "error"),
        (0, warnings) => count(warnings, "warning"),
        (errors, warnings) => {
            format!("{}, {}", count(errors, "error"), count(warnings, "warning"))
        }
    };
    let mut line = format!(
        "{} in {}: {found}",
        count(report.segments, "Segment"),
        count(report.files, "file")
    );
    if report.skipped > 0 {
        let _ = write!(
            line,
            "; {} of other kinds skipped",
            count(report.skipped, "document")
        );
    }
    if report.left_out > 0 {
        let _ = write!(
            line,
            "; {} more left out",
            count(report.left_out, "finding")
        );
    }
    line
}

/// One finding.
pub(crate) fn finding(out: &mut String, reported: &Reported) {
    let Reported { finding, .. } = reported;
    let color = match finding.severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
    };
    let strong = Style::new().bold().fg_color(Some(color.into()));
    let frame = Style::new().bold().fg_color(Some(AnsiColor::Blue.into()));
    let bold = Style::new().bold();
    let _ = writeln!(
        out,
        "{strong}{}[{}]{strong:#}{bold}: {}{bold:#}",
        severity(finding.severity),
        finding.code,
        one_line(&sentence(finding))
    );
    let number = reported
        .excerpt
        .as_ref()
        .map(|excerpt| excerpt.line.to_string());
    let gutter = " ".repeat(number.as_ref().map_or(1, String::len));
    let _ = writeln!(out, "{gutter}{frame}-->{frame:#} {}", place(reported));
    if let (Some(excerpt), Some(number)) = (&reported.excerpt, number) {
        let _ = writeln!(out, "{gutter} {frame}|{frame:#}");
        let _ = writeln!(
            out,
            "{frame}{number} |{frame:#} {}",
            excerpt.text.trim_end()
        );
        let _ = writeln!(
            out,
            "{gutter} {frame}|{frame:#} {}{strong}{}{strong:#}",
            " ".repeat(excerpt.before),
            "^".repeat(excerpt.width)
        );
    }
    if !finding.help.is_empty() {
        let _ = writeln!(
            out,
            "{gutter} {frame}={frame:#} {bold}help{bold:#}: {}",
            one_line(&finding.help)
        );
    }
}

/// Writes one to stderr.
pub(crate) fn say(reported: &Reported) {
    let mut text = String::new();
    finding(&mut text, reported);
    super::note(text.trim_end());
}

/// `file:line:column spec.env.TYPE of granary/demo`.
fn place(reported: &Reported) -> String {
    let mut place = one_line(&reported.file);
    if let Some((line, column)) = reported.at {
        let _ = write!(place, ":{line}:{column}");
    }
    for (word, text) in [("", &reported.finding.field), ("of ", &reported.segment)] {
        if !text.is_empty() {
            let _ = write!(place, " {word}{}", one_line(text));
        }
    }
    place
}

/// The message as a sentence by itself.
pub(crate) fn sentence(finding: &Finding) -> String {
    let says_of_the_field = PREDICATES
        .iter()
        .any(|start| finding.message.starts_with(start));
    if says_of_the_field && !finding.field.is_empty() {
        format!("{} {}", finding.field, finding.message)
    } else {
        finding.message.clone()
    }
}

/// `error`, `warning`.
pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
