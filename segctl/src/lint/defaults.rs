//! House defaults from a file of hub variables.
//!
//! In: lines `KEY=VALUE`, as a hub's environment is written in an env file. Out: [`HouseDefaults`]. Law: a value that a
//! hub would not start with is refused here too, with its line. Not: the defaults of a running hub (`segctl hub info`).

use crate::exit::Failure;
use crate::nearest::nearest;
use crate::output;
use crate::text::one_line;
use segment_core::segment::HouseDefaults;
use std::path::Path;

/// The longest file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The defaults of this file, or the built-in ones.
///
/// # Errors
/// A file that can't be read; a line or a value that is wrong.
pub(crate) fn load(file: Option<&Path>) -> Result<HouseDefaults, Failure> {
    let Some(file) = file else {
        return Ok(HouseDefaults::default());
    };
    let shown = file.display().to_string();
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("--defaults {shown} can't be read: {error}"))
    };
    let length = std::fs::metadata(file)
        .map_err(|error| cannot(&error))?
        .len();
    if length > MAX_BYTES {
        return Err(cannot(&"it is longer than 1 MB"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| cannot(&error))?;
    let (defaults, notes) = parse(&shown, &text)?;
    for line in &notes {
        output::note(line);
    }
    Ok(defaults)
}

fn parse(file: &str, text: &str) -> Result<(HouseDefaults, Vec<String>), Failure> {
    let known = HouseDefaults::default().effective();
    let mut pairs: Vec<(usize, String, String)> = Vec::new();
    let mut notes = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let number = number + 1;
        let Some((name, value)) = line.split_once('=') else {
            return Err(
                Failure::usage(format!("{file}:{number}: expected KEY=VALUE"))
                    .help("one hub variable on each line, as in DB_TYPE=postgres"),
            );
        };
        let name = name.trim();
        if !known.iter().any(|default| default.variable == name) {
            let meant = nearest(name, known.iter().map(|default| default.variable.as_str()))
                .map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
            let name: String = name.chars().take(80).collect();
            notes.push(format!(
                "{file}:{number}: {} is none of the hub's variables{meant}",
                one_line(&name)
            ));
        }
        pairs.push((number, name.to_owned(), unquoted(value.trim()).to_owned()));
    }
    let variables = pairs
        .iter()
        .map(|(_, name, value)| (name.clone(), value.clone()));
    match HouseDefaults::from_env(variables) {
        Ok(defaults) => Ok((defaults, notes)),
        Err(findings) => {
            let mut failure =
                Failure::usage(format!("{file}: a hub would not start with these defaults"));
            for finding in findings {
                let line = pairs
                    .iter()
                    .rev()
                    .find(|(_, name, _)| *name == finding.field)
                    .map_or(0, |(number, _, _)| *number);
                failure =
                    failure.help(format!("{file}:{line}: {}", one_line(&finding.to_string())));
            }
            Err(failure)
        }
    }
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_env_file_is_read_as_shells_write_it() {
        let text = "# house\n\nDB_TYPE=postgres\nexport DB_HOST=\"grnry-pg\"\r\nDB_HSOT=x\nDB_SECRET='grnry-pg'\n";
        let (defaults, notes) = parse("a.env", text).unwrap();
        assert_eq!(defaults.env["DB_TYPE"], "postgres");
        assert_eq!(defaults.env["DB_HOST"], "grnry-pg");
        assert_eq!(defaults.secret, "grnry-pg");
        assert_eq!(
            notes,
            ["a.env:5: DB_HSOT is none of the hub's variables; did you mean DB_HOST?"]
        );
    }

    #[test]
    fn what_a_hub_would_not_start_with_is_refused_with_its_line() {
        let failure = parse("a.env", "DB_TYPE=postgres\nDB_PORT=x\n").unwrap_err();
        assert_eq!(
            failure.help,
            ["a.env:2: DB_PORT \"x\" is not a port from 1 to 65535"]
        );
        let failure = parse("a.env", "DB_TYPE\n").unwrap_err();
        assert_eq!(failure.message, "a.env:1: expected KEY=VALUE");
    }
}
