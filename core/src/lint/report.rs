//! Where rules put what they find.
//!
//! In: a rule's verdict on one variable. Out: findings with the path of the field in the resource.
//! Law: bounded: of one rule on one variable only the first [`MOST`] are told, of errors and of warnings each, so that
//! no warnings hide an error. Not: the rules.

pub(super) use crate::finding::shown;
use crate::finding::{Code, Finding, Severity};

/// Findings of one rule on one variable: the rest says the same, and a list may have a million members.
const MOST: usize = 10;

/// Where a variable's value stands.
pub(super) struct Place<'a> {
    /// Path of the field `env.NAME` in the resource.
    pub(super) path: &'a dyn Fn(&str) -> String,
    /// Offset in the value as written, from the variable's name and an offset in the value as judged, and whether a
    /// reference to the cluster has put there what stands there.
    pub(super) origin: &'a dyn Fn(&str, usize) -> (usize, bool),
}

/// Collects findings.
pub(super) struct Report<'a> {
    place: Place<'a>,
    counts: Vec<(Code, Severity, String, usize)>,
    pub(super) findings: Vec<Finding>,
}

impl<'a> Report<'a> {
    pub(super) fn new(place: Place<'a>) -> Self {
        Self {
            place,
            counts: Vec::new(),
            findings: Vec::new(),
        }
    }

    pub(super) fn error(
        &mut self,
        code: Code,
        variable: &str,
        offset: impl Into<Option<usize>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(
            code,
            Severity::Error,
            variable,
            offset.into(),
            message,
            help,
        );
    }

    pub(super) fn warning(
        &mut self,
        code: Code,
        variable: &str,
        offset: impl Into<Option<usize>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(
            code,
            Severity::Warning,
            variable,
            offset.into(),
            message,
            help,
        );
    }

    pub(super) fn add(
        &mut self,
        code: Code,
        severity: Severity,
        variable: &str,
        offset: Option<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if !self.counts_in(code, severity, variable) {
            return;
        }
        let field = (self.place.path)(&format!("env.{variable}"));
        let finding = Finding {
            severity,
            ..Finding::error(code, field, message).help(help)
        };
        self.findings.push(match offset {
            Some(offset) => finding.at((self.place.origin)(variable, offset).0),
            None => finding,
        });
    }

    /// Whether a reference to the cluster has put there what stands there.
    pub(super) fn is_from_cluster(&self, variable: &str, offset: usize) -> bool {
        (self.place.origin)(variable, offset).1
    }

    /// Whether there is still room for this one.
    fn counts_in(&mut self, code: Code, severity: Severity, variable: &str) -> bool {
        let known = self.counts.iter_mut().find(|(known, kind, name, _)| {
            (*known, *kind, name.as_str()) == (code, severity, variable)
        });
        if let Some((.., count)) = known {
            *count += 1;
            return *count <= MOST;
        }
        self.counts.push((code, severity, variable.to_owned(), 1));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_equal_findings_are_few() {
        let mut report = Report::new(Place {
            path: &|field| format!("spec.{field}"),
            origin: &|_, offset| (offset + 1, false),
        });
        for offset in 0..1_000 {
            report.error(Code::EmptyMember, "PIVOT_PATHS", offset, "is empty", "");
        }
        report.warning(Code::EmptyMember, "GENERIC_COLUMNS", None, "is empty", "");
        report.warning(Code::EmptyMember, "PIVOT_PATHS", None, "is empty", "");
        assert_eq!(report.findings.len(), MOST + 2);
        assert_eq!(report.findings[0].offset, Some(1));
        assert_eq!(report.findings[0].field, "spec.env.PIVOT_PATHS");
    }
}
