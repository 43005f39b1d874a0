//! Findings for programs: JSON of our own, and SARIF for code scanning.
//!
//! In: a [`Report`]. Out: JSON. Law: fields of the JSON are stable; the SARIF is what its schema of version 2.1.0 and
//! GitHub ask for (tests `lint`). Not: text.

use super::findings::{sentence, severity};
use crate::lint::report::{Report, Reported};
use segment_core::finding::{Code, Severity};
use serde_json::{Value, json};
use std::path::Path;

/// An array of findings.
pub(crate) fn json(report: &Report) -> Value {
    report.findings.iter().map(plain).collect()
}

fn plain(reported: &Reported) -> Value {
    let Reported { finding, .. } = reported;
    json!({
        "file": reported.file,
        "line": reported.at.map(|(line, _)| line),
        "column": reported.at.map(|(_, column)| column),
        "segment": reported.segment,
        "code": finding.code.as_str(),
        "field": finding.field,
        "offset": finding.offset,
        "severity": severity(finding.severity),
        "message": finding.message,
        "help": finding.help,
    })
}

/// A log of one run.
pub(crate) fn sarif(report: &Report) -> Value {
    let codes: Vec<Code> = report.codes().into_iter().collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(*code)).collect();
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|reported| result(reported, &codes))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "segctl",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: Code) -> Value {
    let name = code.as_str();
    json!({
        "id": name,
        "name": name,
        "shortDescription": { "text": title(code) },
        "helpUri": help_uri(code),
    })
}

/// Where a code is explained.
pub(crate) fn help_uri(code: Code) -> String {
    format!(
        "{}/blob/main/docs/lint.md#{}",
        env!("CARGO_PKG_REPOSITORY"),
        code.as_str().to_ascii_lowercase()
    )
}

/// `MissingType` as `missing type`, until there is a better one.
fn title(code: Code) -> String {
    let mut title = String::new();
    for c in code.as_str().chars() {
        if c.is_ascii_uppercase() && !title.is_empty() {
            title.push(' ');
        }
        title.push(c.to_ascii_lowercase());
    }
    title
}

fn result(reported: &Reported, codes: &[Code]) -> Value {
    let Reported { finding, .. } = reported;
    let mut message = sentence(finding);
    if !finding.help.is_empty() {
        message = format!("{message}: {}", finding.help);
    }
    let mut physical = json!({ "artifactLocation": { "uri": uri(&reported.file) } });
    if let Some((line, column)) = reported.at {
        physical["region"] = json!({
            "startLine": line,
            "startColumn": column,
            "endColumn": column + reported.width,
        });
    }
    let mut location = json!({ "physicalLocation": physical });
    if !finding.field.is_empty() {
        location["logicalLocations"] = json!([{
            "fullyQualifiedName": format!("{}:{}", reported.segment, finding.field),
            "kind": "member",
        }]);
    }
    json!({
        "ruleId": finding.code.as_str(),
        "ruleIndex": codes.iter().position(|code| *code == finding.code),
        "level": match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": { "text": message },
        "locations": [location],
        "partialFingerprints": {
            "segmentFinding/v1": format!("{}/{}/{}", finding.code, reported.segment, finding.field),
        },
    })
}

/// A path as a URI: relative as it was named, so that code scanning finds it in its checkout.
fn uri(file: &str) -> String {
    let plain = file.strip_prefix("./").unwrap_or(file);
    let prefix = if Path::new(plain).is_absolute() {
        "file://"
    } else {
        ""
    };
    let mut uri = prefix.to_owned();
    for byte in plain.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    uri
}

fn digit(value: u8) -> char {
    char::from_digit(value.into(), 16)
        .unwrap_or_default()
        .to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri() {
        for (file, wanted) in [
            ("./a/b c.yaml", "a/b%20c.yaml"),
            ("/x/é.yaml", "file:///x/%C3%A9.yaml"),
            ("<stdin>", "%3Cstdin%3E"),
        ] {
            assert_eq!(uri(file), wanted);
        }
    }
}
