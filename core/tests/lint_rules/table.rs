//! A row of the table, and how it is judged.

use segment_core::finding::{Code, Finding, Severity};
use segment_core::lint::{lint, lint_on};
use segment_core::segment::HouseDefaults;
use segment_core::testing;
use segment_crds::Segment;
use serde_json::{Value, json};

/// No such field.
pub(crate) const ABSENT: &str = "\u{1}";

/// Fields and their values: texts for variables and schedules, else YAML.
pub(crate) type With = &'static [(&'static str, &'static str)];

/// One rule, or one branch of it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) code: Code,
    pub(crate) severity: Severity,
    /// Found on the cluster only, else in the Segment by itself.
    pub(crate) there: bool,
    /// Field and offset, as a finding shows them.
    pub(crate) place: &'static str,
    /// Part of the message.
    pub(crate) says: &'static str,
    /// What the Segment has besides.
    pub(crate) with: With,
    /// The field that differs.
    pub(crate) field: &'static str,
    pub(crate) wrong: &'static str,
    pub(crate) right: &'static str,
}

type Cure = (&'static str, &'static str, &'static str);

/// An error; `cure` is the field, its wrong value and its right one.
pub(crate) const fn e(
    code: Code,
    place: &'static str,
    says: &'static str,
    with: With,
    cure: Cure,
) -> Row {
    let (field, wrong, right) = cure;
    let severity = Severity::Error;
    Row {
        code,
        severity,
        there: false,
        place,
        says,
        with,
        field,
        wrong,
        right,
    }
}

/// A warning.
pub(crate) const fn w(
    code: Code,
    place: &'static str,
    says: &'static str,
    with: With,
    cure: Cure,
) -> Row {
    let severity = Severity::Warning;
    Row {
        severity,
        ..e(code, place, says, with, cure)
    }
}

/// The same, found on the cluster only.
#[allow(
    clippy::needless_pass_by_value,
    reason = "made of another row in place"
)]
pub(crate) const fn on(row: Row) -> Row {
    Row { there: true, ..row }
}

impl Row {
    /// What is wrong with the row.
    pub(crate) fn check(&self) -> Result<(), String> {
        let before = found(&self.segment(self.wrong));
        let expected = |finding: &Finding| {
            finding.code == self.code
                && finding.severity == self.severity
                && place(finding) == self.place
                && finding.message.contains(self.says)
        };
        let after = found(&self.segment(self.right));
        if let [(finding, there)] = &before[..]
            && expected(finding)
            && *there == self.there
            && after.is_empty()
        {
            return Ok(());
        }
        let said = |findings: &[(Finding, bool)]| -> String {
            let lines: Vec<String> = findings
                .iter()
                .map(|(finding, there)| {
                    let where_ = if *there { " on the cluster" } else { "" };
                    format!(
                        "\n    {:?} {}{where_} {finding}",
                        finding.severity, finding.code
                    )
                })
                .collect();
            lines.concat()
        };
        Err(format!(
            "{:?} {} at {} ({}), {} = {:?}\n  wrong:{}\n  right:{}",
            self.severity,
            self.code,
            self.place,
            self.says,
            self.field,
            self.wrong,
            said(&before),
            said(&after)
        ))
    }

    /// A good Segment with the row's fields.
    fn segment(&self, value: &str) -> Segment {
        let mut whole = json!({
            "apiVersion": "segment.grnry.io/v1alpha1", "kind": "Segment",
            "metadata": {"name": "demo", "namespace": "granary"},
            "spec": {
                "cronjob": {"schedule": "0 5 * * *"},
                "image": {"tag": "0.9.1"},
                "env": {
                    "TYPE": "generic", "TARGET_SEGMENT_NAME": "demo", "CITUS_DIST_COL": "correlation_id",
                    "SOURCE_WHERE_CLAUSE": "event_type = 'visit'", "GENERIC_COLUMNS": "event_id",
                    "TARGET_SEGMENT_INDEXES": "", "TARGET_SEGMENT_VIEWS": "",
                },
            },
        });
        let kind = self.with.iter().find(|(field, _)| *field == "env.TYPE");
        if let Some((_, kind)) = kind {
            set(&mut whole, "env.GENERIC_COLUMNS", ABSENT);
            if *kind == "flexible" {
                set(&mut whole, "env.SOURCE_WHERE_CLAUSE", ABSENT);
            }
        }
        for (field, value) in self.with {
            set(&mut whole, field, value);
        }
        set(&mut whole, self.field, value);
        serde_json::from_value(whole).unwrap_or_else(|error| panic!("{}: {error}", self.place))
    }
}

/// What is found in a Segment by itself, and what besides on a cluster; each with whether it is the latter.
pub(crate) fn found(segment: &Segment) -> Vec<(Finding, bool)> {
    let defaults = HouseDefaults::default();
    // Warnings about the change of clocks name dates.
    let now = "2026-11-25T12:00:00Z".parse().unwrap();
    let verdict = lint(segment, &defaults, now);
    let mut findings: Vec<_> = verdict.findings.into_iter().map(|f| (f, false)).collect();
    if let Some(parsed) = verdict.parsed {
        let mut view = testing::view("eu-1", &[("region", "eu-west"), ("cut", "a--b")]);
        view.annotations
            .insert("owner".to_owned(), "Data Team".to_owned());
        let there = lint_on(&parsed, &defaults, &view, now);
        findings.extend(there.into_iter().map(|f| (f, true)));
    }
    findings
}

fn place(finding: &Finding) -> String {
    match finding.offset {
        Some(offset) => format!("{}:{offset}", finding.field),
        None => finding.field.clone(),
    }
}

/// Sets a field by its path, from `spec` on, or `metadata`.
fn set(whole: &mut Value, field: &str, value: &str) {
    let is_text = ["env.", "extraEnv.", "cronjob.schedule"]
        .iter()
        .any(|text| field.starts_with(text));
    let mut at = if field.starts_with("metadata.") {
        whole
    } else {
        &mut whole["spec"]
    };
    let (parents, last) = field.rsplit_once('.').unwrap_or(("", field));
    for name in parents.split('.').filter(|name| !name.is_empty()) {
        at = match name.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[name],
        };
    }
    if value == ABSENT {
        if let Some(fields) = at.as_object_mut() {
            fields.remove(last);
        }
    } else {
        at[last] = if is_text {
            json!(value)
        } else {
            serde_saphyr::from_str(value).unwrap()
        };
    }
}
