//! What a refusal and a warning say.
//!
//! In: findings. Out: text that kubectl prints. Law: bounded; the lines of a refusal are the findings' own text, which
//! the condition `Accepted` shows too. Not: what is wrong (`segment_core::lint`).

use segment_core::finding::Finding;
use std::fmt::Write;

/// Most that a refusal says, bytes.
const REFUSAL: usize = 16 * 1024;
/// Most of one warning, bytes: the API server cuts at 256 characters once there are many.
const WARNING: usize = 256;
/// Warnings of one answer: the API server passes 4,096 characters in all.
const WARNINGS: usize = 4096 / WARNING;

/// Every error on a line of its own.
pub(super) fn refusal(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.is_error());
    let mut text = String::new();
    for (said, error) in errors.clone().enumerate() {
        let line = error.to_string();
        if said > 0 && text.len() + line.len() > REFUSAL {
            let more = errors.count() - said;
            let _ = write!(text, "\nand {more} more; `segctl lint` shows all");
            break;
        }
        if said > 0 {
            text.push('\n');
        }
        text.push_str(cut(&line, REFUSAL));
    }
    text
}

/// The warnings, none longer than kubectl shows.
pub(super) fn warnings(findings: &[Finding]) -> Vec<String> {
    let all = findings.iter().filter(|finding| !finding.is_error());
    let count = all.clone().count();
    let shown = if count > WARNINGS {
        WARNINGS - 1
    } else {
        count
    };
    let mut lines: Vec<String> = all
        .take(shown)
        .map(|finding| one_line(&finding.to_string()))
        .collect();
    if shown < count {
        lines.push(format!(
            "{} more warnings; `segctl lint` shows all",
            count - shown
        ));
    }
    lines
}

/// A warning travels in a header: one line, no control characters.
pub(super) fn one_line(text: &str) -> String {
    // Only as much as can be shown is looked at.
    let flat: String = cut(text, 4 * WARNING)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    segment_core::report::cut(&flat, WARNING)
}

/// The longest beginning of at most `limit` bytes.
fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_core::finding::Code;

    fn error(n: usize, size: usize) -> Finding {
        Finding::error(
            Code::InvalidValue,
            format!("spec.env.X{n}"),
            "x".repeat(size),
        )
        .at(12)
        .help("write y")
    }

    #[test]
    fn a_refusal_has_a_line_for_each_error_and_an_end() {
        let warning = Finding::warning(Code::InvalidValue, "spec", "w");
        assert_eq!(
            refusal(&[error(1, 2), warning, error(2, 1)]),
            "spec.env.X1:12 xx (write y)\nspec.env.X2:12 x (write y)"
        );
        let many: Vec<_> = (0..100).map(|n| error(n, 1000)).collect();
        let text = refusal(&many);
        assert!(text.len() < REFUSAL + 100, "{}", text.len());
        let said = text.lines().count() - 1;
        assert!(text.ends_with(&format!("and {} more; `segctl lint` shows all", 100 - said)));
        assert!(refusal(&[error(0, 1 << 20)]).len() <= REFUSAL);
    }

    #[test]
    fn warnings_fit_into_headers() {
        let warn = |text: &str| Finding::warning(Code::InvalidValue, "spec.env.X", text.to_owned());
        assert_eq!(
            warnings(&[error(0, 1), warn("two\nlines\u{7}")]),
            ["spec.env.X two lines "]
        );
        let long = warnings(&[warn(&"ä".repeat(1 << 20))]).concat();
        assert!(long.len() <= WARNING && long.ends_with("ä…"), "{long}");
        let many = warnings(&vec![warn("w"); 1000]);
        assert_eq!(many.len(), WARNINGS);
        assert_eq!(
            many.last().map(String::as_str),
            Some("985 more warnings; `segctl lint` shows all")
        );
        assert_eq!(warnings(&vec![warn("w"); WARNINGS]).len(), WARNINGS);
    }
}
