//! Files that users hand to us: YAML and JSON, with the place of every field.
//!
//! In: paths, `-` for stdin. Out: [`Document`]s, or what can't be read and where. Law: one broken document hides no
//! other; whatever the bytes are, reading ends soon and with little memory (tests `hostile`). Scalars mean what they
//! mean to kubectl, whose YAML is 1.1: `yes` and `True` are booleans. Not: what a document is about.

mod files;
mod offset;
mod positions;
mod scalar;
mod split;
mod tree;

pub(crate) use files::{Source, list};
pub(crate) use positions::{Place, Positions};

use crate::exit::Failure;
use std::path::PathBuf;
use std::sync::Arc;

/// The longest file, in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 10 * 1024 * 1024;

/// How much one call of [`read`] keeps in memory, in bytes of text.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// One document of a file, or one item of a `List` in it.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The file as it was named, or `<stdin>`.
    pub(crate) file: String,
    /// Which document of the file, from 0; items of a `List` count one each.
    #[allow(
        dead_code,
        reason = "part of what a document is; not every command asks"
    )]
    pub(crate) index: usize,
    /// What it says.
    pub(crate) value: serde_json::Value,
    /// Where it says so.
    pub(crate) positions: Positions,
}

/// A document that can't be read: what, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// The file as it was named, or `<stdin>`.
    pub(crate) file: String,
    /// Line and column, from 1, where they are known.
    pub(crate) at: Option<(usize, usize)>,
    /// What is wrong with it.
    pub(crate) message: String,
    /// What to do; empty where the message says it.
    pub(crate) help: String,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        if !self.help.is_empty() {
            write!(f, " ({})", self.help)?;
        }
        Ok(())
    }
}

/// What reading one document came to.
pub(crate) type Read = Result<Document, Unreadable>;

/// Reads everything at these paths: files, folders with all that is in them, `-` for stdin.
///
/// # Errors
/// A path that is not there or can't be looked at; more text than fits into memory.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Read>, Failure> {
    let mut documents = Vec::new();
    let mut bytes = 0_usize;
    for source in list(paths)? {
        match source.text() {
            Ok(text) => {
                bytes = bytes.saturating_add(text.len());
                if bytes > MAX_BYTES {
                    return Err(Failure::usage(format!(
                        "these files have more than {} MB together",
                        MAX_BYTES / 1024 / 1024
                    ))
                    .help("name fewer files at once"));
                }
                documents.extend(parse(&source, text));
            }
            Err(unreadable) => documents.push(Err(unreadable)),
        }
    }
    Ok(documents)
}

/// Reads one file.
pub(crate) fn read_one(source: &Source) -> Vec<Read> {
    match source.text() {
        Ok(text) => parse(source, text),
        Err(unreadable) => vec![Err(unreadable)],
    }
}

fn parse(source: &Source, text: String) -> Vec<Read> {
    let text: Arc<str> = text.into();
    let mut index = 0;
    let mut out = Vec::new();
    for part in split::parts(&text) {
        match part.and_then(|part| tree::read(&text, &part)) {
            Ok(roots) => {
                for root in roots.iter().flat_map(tree::items) {
                    out.push(Ok(Document {
                        file: source.name().to_owned(),
                        index,
                        value: root.value(),
                        positions: Positions::new(root, Arc::clone(&text)),
                    }));
                    index += 1;
                }
            }
            Err(broken) => {
                out.push(Err(Unreadable {
                    file: source.name().to_owned(),
                    at: Some((broken.line, broken.column)),
                    message: broken.message,
                    help: broken.help,
                }));
                index += 1;
            }
        }
    }
    out
}

/// What is wrong with a part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Broken {
    line: usize,
    column: usize,
    message: String,
    help: String,
}

#[cfg(test)]
mod tests;
