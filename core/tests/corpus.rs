//! The corpus: Segments as people write them, each with what is found in it, and nothing else.
//!
//! Format: `tests/corpus/README.md`.

#![allow(clippy::unwrap_used, reason = "a test")]

use segment_core::finding::{Finding, Severity};
use segment_core::lint::lint;
use segment_core::segment::HouseDefaults;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/corpus")
        .join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    files
}

fn expected(text: &str) -> BTreeSet<String> {
    text.lines()
        .map_while(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with("expect: ") || line.starts_with("warn: "))
        .map(str::to_owned)
        .collect()
}

fn said(finding: &Finding) -> String {
    let kind = match finding.severity {
        Severity::Error => "expect",
        Severity::Warning => "warn",
    };
    let offset = finding
        .offset
        .map_or_else(String::new, |at| format!(":{at}"));
    format!("{kind}: {} {}{offset}", finding.code, finding.field)
}

#[test]
fn every_segment_of_the_corpus_has_its_verdict() {
    // Warnings about the change of the clocks name dates.
    let now = "2026-11-25T12:00:00Z".parse().unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (folder, refused) in [("valid", false), ("broken", true)] {
        for path in files(folder) {
            seen += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            let segment = serde_saphyr::from_str(&text).unwrap();
            let verdict = lint(&segment, &HouseDefaults::default(), now);
            let found: BTreeSet<String> = verdict.findings.iter().map(said).collect();
            if found != expected(&text) || verdict.is_refused() != refused {
                let words: Vec<String> = verdict
                    .findings
                    .iter()
                    .map(|f| format!("    {f}"))
                    .collect();
                wrong.push(format!(
                    "{}\n  expected {:#?}\n  found {found:#?}\n{}",
                    path.display(),
                    expected(&text),
                    words.join("\n")
                ));
            }
            for finding in &verdict.findings {
                assert!(
                    !finding.message.is_empty() && !finding.message.ends_with('.'),
                    "{}: {finding}",
                    path.display()
                );
            }
        }
    }
    assert!(seen >= 150, "only {seen} files");
    assert!(
        wrong.is_empty(),
        "{} of {seen}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
