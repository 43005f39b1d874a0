//! Data to stdout, everything else to stderr.
//!
//! In: one value. Out: a table, JSON, YAML or names. Law: tables are for people and may change, JSON is stable.
//! Not: what is in a row (`output/rows.rs`).

pub(crate) mod age;
pub(crate) mod detail;
pub(crate) mod excerpt;
pub(crate) mod explain;
pub(crate) mod findings;
pub(crate) mod forecast;
pub(crate) mod machine;
pub(crate) mod ordered_runs;
pub(crate) mod plan;
pub(crate) mod rollout;
pub(crate) mod rows;
pub(crate) mod runs;
pub(crate) mod table;

use crate::exit::{Exit, Failure};
use std::io::Write as _;

/// Writes data. A reader that went away (`| head`) ends the program quietly.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let mut written = out.write_all(text.as_bytes());
    if written.is_ok() && !text.ends_with('\n') {
        written = out.write_all(b"\n");
    }
    written
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new(Exit::No, format!("stdout can't be written: {error}")))
}

/// How many characters a line of the terminal has; some usual width where stdout is none.
pub(crate) fn terminal_width() -> usize {
    const USUAL: usize = 120;
    terminal_size::terminal_size().map_or(USUAL, |(width, _)| width.0.into())
}

/// Writes a line to stderr.
pub(crate) fn note(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// Says why a command could not answer.
pub(crate) fn complain(failure: &Failure) {
    let bold = anstyle::Style::new()
        .bold()
        .fg_color(Some(anstyle::AnsiColor::Red.into()));
    note(&format!("{bold}error:{bold:#} {}", failure.message));
    for line in &failure.help {
        note(&format!("  {line}"));
    }
}

/// A value as indented JSON.
pub(crate) fn json(value: &serde_json::Value) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(Exit::No, format!("JSON can't be written: {error}")))
}

/// A value as YAML.
pub(crate) fn yaml(value: &serde_json::Value) -> Result<String, Failure> {
    serde_saphyr::to_string(value)
        .map_err(|error| Failure::new(Exit::No, format!("YAML can't be written: {error}")))
}

/// Prints a single thing as the flag says.
pub(crate) fn document(
    form: crate::args::Document,
    value: impl FnOnce() -> Result<serde_json::Value, Failure>,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    use crate::args::Document;
    match form {
        Document::Text => print(&text()),
        Document::Json => print(&json(&value()?)?),
        Document::Yaml => print(&yaml(&value()?)?),
    }
}

/// Prints a list as the flag says.
pub(crate) fn listing(
    flags: crate::args::Listing,
    value: impl FnOnce() -> Result<serde_json::Value, Failure>,
    table: impl FnOnce() -> table::Table,
    nothing: &str,
) -> Result<(), Failure> {
    use crate::args::Format;
    match flags.output {
        Format::Json => print(&json(&value()?)?),
        Format::Yaml => print(&yaml(&value()?)?),
        Format::Name => {
            let names = table().names();
            if names.is_empty() {
                Ok(())
            } else {
                print(&names)
            }
        }
        Format::Table | Format::Wide => {
            let table = table();
            if table.is_empty() {
                note(nothing);
                return Ok(());
            }
            print(&table.text(flags.output == Format::Wide, !flags.no_headers))
        }
    }
}
