//! `lint`: what is wrong with these files, said offline.

use super::blocking;
use crate::args::{Globals, LintArgs, LintForm};
use crate::exit::{Exit, Failure};
use crate::input::{self, Source};
use crate::lint::Context;
use crate::lint::report::Report;
use crate::output::{self, findings, machine};
use segment_core::finding::Severity;
use std::io::IsTerminal as _;

/// From so many files on there is a progress line.
const MANY_FILES: usize = 50;

pub(super) async fn run(globals: &Globals, args: LintArgs) -> Result<Exit, Failure> {
    let namespace = globals.namespace.clone();
    blocking("lint", move || of_files(namespace, &args)).await
}

fn of_files(namespace: Option<String>, args: &LintArgs) -> Result<Exit, Failure> {
    let context = Context::new(args.defaults.as_deref(), namespace)?;
    let sources = input::list(&args.files)?;
    let report = judge(&sources, &context);
    match args.output {
        LintForm::Text => {
            let text = findings::text(&report);
            if !text.is_empty() {
                output::print(text.trim_end_matches('\n'))?;
            }
        }
        LintForm::Json => output::print(&output::json(&machine::json(&report))?)?,
        LintForm::Sarif => output::print(&output::json(&machine::sarif(&report))?)?,
    }
    output::note(&findings::summary(&report));
    Ok(exit(&report, args.deny_warnings))
}

fn judge(sources: &[Source], context: &Context) -> Report {
    let mut report = Report::new(output::terminal_width());
    let progress = progress(sources.len());
    for source in sources {
        report.add_file(
            source.name(),
            source.is_named(),
            input::read_one(source),
            context,
        );
        progress.inc(1);
    }
    report.finish(context);
    progress.finish_and_clear();
    report
}

fn progress(files: usize) -> indicatif::ProgressBar {
    if files < MANY_FILES || !std::io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let style = indicatif::ProgressStyle::with_template("{pos}/{len} files {wide_bar} {elapsed}")
        .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
    indicatif::ProgressBar::new(files as u64).with_style(style)
}

fn exit(report: &Report, deny_warnings: bool) -> Exit {
    if report.unreadable > 0 {
        Exit::Usage
    } else if report.count(Severity::Error) > 0
        || (deny_warnings && report.count(Severity::Warning) > 0)
    {
        Exit::No
    } else {
        Exit::Yes
    }
}
