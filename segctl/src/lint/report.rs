//! What lint tells of all files together.
//!
//! In: documents one after another. Out: [`Report`]: findings with file, line and excerpt, and counts. Law: memory is
//! bounded by what is printed, and by what the first [`MAX_COMPARED`] Segments mean. Not: the form of the output.

use super::{Context, Judged, Told, judge, shape};
use crate::input::{Document, Read, Unreadable};
use crate::output::excerpt::Excerpt;
use segment_core::finding::{Code, Finding, Severity};
use segment_core::ids::SegmentKey;
use segment_core::lint::fleet::shared_by_selectors;
use segment_core::segment::ParsedSegment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many findings of one document are told.
const MAX_FINDINGS: usize = 500;
/// How many Segments are compared with each other.
const MAX_COMPARED: usize = 10_000;

/// A finding where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Reported {
    /// The file as it was named.
    pub(crate) file: String,
    /// Line and column from 1; `None` for a file that can't be read at all.
    pub(crate) at: Option<(usize, usize)>,
    /// How many characters are meant.
    pub(crate) width: usize,
    /// `namespace/name`; empty where there is no Segment.
    pub(crate) segment: String,
    /// What is wrong.
    pub(crate) finding: Finding,
    /// The line, cut to the terminal's width.
    pub(crate) excerpt: Option<Excerpt>,
}

/// Everything that lint has to say.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Findings in the order of files and lines.
    pub(crate) findings: Vec<Reported>,
    /// How many Segments were judged.
    pub(crate) segments: usize,
    /// How many files were read.
    pub(crate) files: usize,
    /// How many documents were of other kinds.
    pub(crate) skipped: usize,
    /// How many documents can't be read.
    pub(crate) unreadable: usize,
    /// Findings left out, as there were too many of one document.
    pub(crate) left_out: usize,
    /// Width of the terminal, in characters.
    width: usize,
    /// Where each Segment was first.
    seen: BTreeMap<String, String>,
    /// Segments that are not refused, each with where its table is named.
    good: Vec<(Arc<ParsedSegment>, Reported)>,
}

impl Report {
    /// Nothing read yet; excerpts are cut to `width` characters.
    pub(crate) fn new(width: usize) -> Self {
        Self {
            width,
            ..Self::default()
        }
    }

    /// Judges what one file holds.
    pub(crate) fn add_file(&mut self, name: &str, named: bool, read: Vec<Read>, context: &Context) {
        self.files += 1;
        let (before, skipped) = (self.segments + self.unreadable, self.skipped);
        let first = self.findings.len();
        for document in read {
            match document {
                Ok(document) => self.add(&document, context),
                Err(unreadable) => self.unreadable(unreadable),
            }
        }
        // A file that was named for this and holds no Segment is a mistake; in a folder it is not.
        if named && self.segments + self.unreadable == before {
            let message = if self.skipped > skipped {
                "holds no Segment, but other objects"
            } else {
                "is empty"
            };
            self.unreadable(Unreadable {
                file: name.to_owned(),
                at: None,
                message: message.to_owned(),
                help:
                    "a Segment begins with apiVersion: segment.grnry.io/v1alpha1 and kind: Segment"
                        .to_owned(),
            });
        }
        self.findings[first..].sort_by_key(|reported| reported.at);
    }

    fn add(&mut self, document: &Document, context: &Context) {
        let Some(judged) = judge(document, context) else {
            self.skipped += 1;
            return;
        };
        self.segments += 1;
        let mut told = judged.told.clone();
        told.extend(self.twice(document, &judged));
        if let Some(parsed) = &judged.parsed
            && self.good.len() < MAX_COMPARED
        {
            let table = shape::field(judged.shape, "spec.env.TARGET_SEGMENT_NAME");
            let place = Told::of(Finding::warning(Code::SharedTable, table, ""));
            let place = located(document, &judged.key, place, self.width);
            self.good.push((Arc::clone(parsed), place));
        }
        self.left_out += told.len().saturating_sub(MAX_FINDINGS);
        // Errors are kept before warnings; they are sorted by place afterwards.
        told.sort_by_key(|told| !told.finding.is_error());
        for told in told.into_iter().take(MAX_FINDINGS) {
            self.findings
                .push(located(document, &judged.key, told, self.width));
        }
    }

    /// Says what is wrong between Segments, after the last file.
    pub(crate) fn finish(&mut self, context: &Context) {
        let good = std::mem::take(&mut self.good);
        let segments: Vec<&ParsedSegment> = good.iter().map(|(parsed, _)| &**parsed).collect();
        let mut found: BTreeMap<SegmentKey, Finding> =
            shared_by_selectors(&segments, &context.defaults)
                .into_iter()
                .collect();
        for (parsed, place) in &good {
            if let Some(finding) = found.remove(&parsed.key) {
                let finding = Finding {
                    field: place.finding.field.clone(),
                    ..finding
                };
                self.findings.push(Reported {
                    finding,
                    ..place.clone()
                });
            }
        }
    }

    /// One name in two documents: applied one after the other, the last would win.
    fn twice(&mut self, document: &Document, judged: &Judged) -> Option<Told> {
        if judged.key.ends_with('/') {
            return None;
        }
        let place = document.positions.place("metadata.name", false, None);
        let here = format!("{}:{}", document.file, place.line);
        let first = self.seen.get(&judged.key).cloned();
        let Some(first) = first else {
            self.seen.insert(judged.key.clone(), here);
            return None;
        };
        Some(Told::of(
            Finding::warning(
                Code::DuplicateSegment,
                "metadata.name",
                format!(
                    "segment {} is defined a second time, first in {first}",
                    judged.key
                ),
            )
            .help("the last one applied would win: remove one, or give it another name"),
        ))
    }

    fn unreadable(&mut self, unreadable: Unreadable) {
        self.unreadable += 1;
        self.findings.push(Reported {
            file: unreadable.file,
            at: unreadable.at,
            width: 1,
            segment: String::new(),
            finding: Finding::error(Code::Unreadable, "", unreadable.message).help(unreadable.help),
            excerpt: None,
        });
    }

    /// Findings of one severity.
    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|reported| reported.finding.severity == severity)
            .count()
    }

    /// The codes that occur.
    pub(crate) fn codes(&self) -> BTreeSet<Code> {
        self.findings
            .iter()
            .map(|reported| reported.finding.code)
            .collect()
    }
}

/// A finding with its place in the file.
pub(crate) fn located(document: &Document, key: &str, told: Told, width: usize) -> Reported {
    let offset = told.finding.offset.map(|offset| offset as usize);
    let place = document
        .positions
        .place(&told.finding.field, told.at_name, offset);
    let excerpt = Excerpt::new(document.positions.line(&place), &place, width);
    Reported {
        file: document.file.clone(),
        at: Some((place.line, place.column)),
        width: place.width,
        segment: key.to_owned(),
        finding: told.finding,
        excerpt: Some(excerpt),
    }
}
