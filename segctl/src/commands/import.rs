//! `import`: what users have already, as Segments.
//!
//! In: files, or contexts of the kubeconfig. Out: Segments on stdout, notes on stderr. Law: one document that can't be
//! read hides no other; nothing is written to a cluster. Not: what a shape means (`segment_core::import`).

mod clusters;

use super::blocking;
use crate::args::{Globals, ImportArgs, ImportForm};
use crate::exit::{Exit, Failure};
use crate::input::{self, Read};
use crate::lint::defaults;
use crate::output;
use crate::text::one_line;
use segment_core::export::to_resource;
use segment_core::finding::{Finding, Severity};
use segment_core::import::{Imported, Naming, Note, Shape, import_with};
use segment_core::lint::lint;
use segment_core::segment::HouseDefaults;
use serde_json::{Value, json};
use std::path::PathBuf;

pub(super) async fn run(globals: &Globals, args: ImportArgs) -> Result<Exit, Failure> {
    let defaults = defaults::load(args.defaults.as_deref())?;
    let naming = Naming {
        name: args.name.clone(),
        namespace: globals.namespace.clone(),
    };
    let mut done = Done::default();
    if args.from_cluster.is_empty() {
        let several = "--name names one Segment";
        for (place, imported) in from_files(args.files, naming.clone(), defaults.clone()).await? {
            match imported {
                Ok(imported) => done.take(&place, &imported, &defaults),
                Err(failure) => done.refuse(&failure),
            }
        }
        if naming.name.is_some() && done.segments.len() > 1 {
            return Err(Failure::usage(format!(
                "{several}, and these files hold {}",
                done.segments.len()
            ))
            .help("import them one by one"));
        }
    } else {
        let live = clusters::read(globals, &args.from_cluster, &args.selector).await?;
        let count = live.len();
        let found = clusters::imported(&live, &naming, &defaults)?;
        for note in &found.passed_over {
            say_note("", note);
        }
        if found.imported.is_empty() {
            return Err(Failure::new(
                Exit::NotFound,
                format!(
                    "none of {} creates segments",
                    crate::text::count(count, "CronJob")
                ),
            )
            .help("is it another namespace (-n) or context?"));
        }
        for imported in found.imported {
            let place = format!(
                "{}/{}",
                imported
                    .segment
                    .metadata
                    .namespace
                    .as_deref()
                    .unwrap_or_default(),
                imported
                    .segment
                    .metadata
                    .name
                    .as_deref()
                    .unwrap_or_default()
            );
            done.take(&place, &imported, &defaults);
        }
    }
    if args.defaults.is_none() && done.left_out {
        output::note(
            "note: the house defaults are the built-in ones; for a hub with others give --defaults FILE",
        );
    }
    done.print(args.output)
}

/// A document's place, for people, and what became of it.
pub(super) type FromFile = (String, Result<Imported, Failure>);

/// Imports every document of these files. What is none of the shapes is refused, as is what can't be read.
pub(super) async fn from_files(
    files: Vec<PathBuf>,
    naming: Naming,
    defaults: HouseDefaults,
) -> Result<Vec<FromFile>, Failure> {
    let import = move || {
        let documents = input::read(&files)?;
        Ok(documents
            .into_iter()
            .map(|document| from_document(document, &naming, &defaults))
            .collect())
    };
    blocking("import", import).await
}

fn from_document(document: Read, naming: &Naming, defaults: &HouseDefaults) -> FromFile {
    let document = match document {
        Ok(document) => document,
        Err(unreadable) => {
            let failure = Failure::usage(one_line(&unreadable.to_string()));
            return (unreadable.file, Err(failure));
        }
    };
    let file = one_line(&document.file);
    let imported = import_with(&document.value, naming, defaults).map_err(|findings| {
        let place = |finding: &Finding| {
            let (line, column) = document.positions.of(&finding.field)?;
            Some(format!("{file}:{line}:{column}"))
        };
        refusal(&file, &findings, &place)
    });
    (file, imported)
}

/// Why a document was not imported: the first finding is the message, the others and the cures follow.
pub(super) fn refusal(
    file: &str,
    findings: &[Finding],
    place: &dyn Fn(&Finding) -> Option<String>,
) -> Failure {
    let line = |finding: &Finding| {
        let at = place(finding).unwrap_or_else(|| file.to_owned());
        let separator = if at.is_empty() { "" } else { ": " };
        let field = if finding.field.is_empty() {
            String::new()
        } else {
            format!("{} ", finding.field)
        };
        one_line(&format!("{at}{separator}{field}{}", finding.message))
    };
    let mut findings = findings.iter();
    let mut failure = Failure::usage(findings.next().map_or_else(String::new, |first| {
        if first.help.is_empty() {
            line(first)
        } else {
            format!("{} ({})", line(first), one_line(&first.help))
        }
    }));
    for finding in findings.clone().take(SHOWN) {
        failure = failure.help(if finding.help.is_empty() {
            line(finding)
        } else {
            format!("{} ({})", line(finding), one_line(&finding.help))
        });
    }
    let more = findings.count().saturating_sub(SHOWN);
    if more > 0 {
        failure = failure.help(format!("and {} more", crate::text::count(more, "finding")));
    }
    failure
}

/// Findings shown below the first one.
const SHOWN: usize = 20;

/// Prints a note.
pub(super) fn say_note(place: &str, note: &Note) {
    let place = if place.is_empty() {
        String::new()
    } else {
        format!("{place}: ")
    };
    output::note(&one_line(&format!("note: {place}{note}")));
}

/// Prints a finding of lint.
fn say_finding(place: &str, finding: &Finding, shape: Shape) {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let field = shape.field(&finding.field);
    let help = if finding.help.is_empty() {
        String::new()
    } else {
        format!(" ({})", finding.help)
    };
    output::note(&one_line(&format!(
        "{severity}: {place}: {field} {}{help}",
        finding.message
    )));
}

/// What has been imported so far.
#[derive(Default)]
struct Done {
    segments: Vec<Value>,
    left_out: bool,
    refused: bool,
    lint_errors: bool,
}

impl Done {
    fn refuse(&mut self, failure: &Failure) {
        output::complain(failure);
        self.refused = true;
    }

    fn take(&mut self, place: &str, imported: &Imported, defaults: &HouseDefaults) {
        for note in &imported.notes {
            say_note(place, note);
        }
        self.left_out |= imported.shape == Shape::CronJob;
        let mut judged = imported.segment.clone();
        // kubectl apply puts it into the namespace of the context.
        judged
            .metadata
            .namespace
            .get_or_insert_with(|| "default".to_owned());
        for finding in lint(&judged, defaults, jiff::Timestamp::now()).findings {
            self.lint_errors |= finding.is_error();
            say_finding(place, &finding, imported.shape);
        }
        self.segments.push(to_resource(&imported.segment));
    }

    fn print(self, form: ImportForm) -> Result<Exit, Failure> {
        if !self.segments.is_empty() {
            output::print(&match form {
                ImportForm::Yaml => documents(&self.segments)?,
                ImportForm::Json => match &self.segments[..] {
                    [only] => output::json(only)?,
                    all => {
                        output::json(&json!({"apiVersion": "v1", "kind": "List", "items": all}))?
                    }
                },
            })?;
        }
        Ok(if self.refused {
            Exit::Usage
        } else if self.lint_errors {
            Exit::No
        } else {
            Exit::Yes
        })
    }
}

/// Values as YAML documents.
pub(super) fn documents(values: &[Value]) -> Result<String, Failure> {
    let documents: Vec<String> = values.iter().map(output::yaml).collect::<Result<_, _>>()?;
    Ok(documents.join("---\n"))
}
