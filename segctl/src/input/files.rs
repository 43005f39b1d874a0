//! Which files, and their text.
//!
//! In: paths as typed. Out: [`Source`]s in the order of the paths, those of a folder sorted. Law: hidden files and
//! folders below a folder are left out, links are followed and no folder is read twice. Not: what is in the text.

use super::{MAX_FILE_BYTES, Unreadable};
use crate::exit::Failure;
use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The most files of one call.
const MAX_FILES: usize = 100_000;

/// How deep folders are followed.
const MAX_DEPTH: usize = 64;

/// One file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    path: Option<PathBuf>,
    name: String,
    named: bool,
}

impl Source {
    /// The file as users know it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it was named itself, and not a folder around it.
    pub(crate) fn is_named(&self) -> bool {
        self.named
    }

    /// Its text.
    ///
    /// # Errors
    /// A file that can't be read, is too long, or is no UTF-8.
    pub(crate) fn text(&self) -> Result<String, Unreadable> {
        let wrong = |message: String, help: &str| Unreadable {
            file: self.name.clone(),
            at: None,
            message,
            help: help.to_owned(),
        };
        let read = match &self.path {
            Some(path) => fs::File::open(path).and_then(bounded),
            None => bounded(io::stdin().lock()),
        };
        let bytes = read.map_err(|error| wrong(format!("can't be read: {error}"), ""))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(wrong(
                format!(
                    "is longer than the {} MB that a file may have",
                    MAX_FILE_BYTES / 1024 / 1024
                ),
                "split it into several files",
            ));
        }
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(wrong("is UTF-16".to_owned(), "save it as UTF-8"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let line = String::from_utf8_lossy(&error.as_bytes()[..good])
                .matches('\n')
                .count()
                + 1;
            wrong(
                format!("is not UTF-8: byte {good}, in line {line}"),
                "save it as UTF-8",
            )
        })?;
        Ok(match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        })
    }
}

/// One byte more than allowed tells that there is more.
fn bounded(from: impl io::Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The files at these paths.
///
/// # Errors
/// A path that is not there, a folder that can't be listed, too many files, stdin named twice.
pub(crate) fn list(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut found = Found::default();
    for path in paths {
        if path.as_os_str() == "-" {
            if std::mem::replace(&mut found.stdin, true) {
                return Err(Failure::usage(
                    "- (stdin) stands twice: it can be read only once",
                ));
            }
            found.sources.push(Source {
                path: None,
                name: "<stdin>".to_owned(),
                named: true,
            });
            continue;
        }
        let metadata = fs::metadata(path).map_err(|error| not_read(path, &error))?;
        if metadata.is_dir() {
            found.folder(path, 0)?;
        } else {
            found.file(path, true)?;
        }
    }
    Ok(found.sources)
}

#[derive(Default)]
struct Found {
    sources: Vec<Source>,
    stdin: bool,
    folders: HashSet<PathBuf>,
    files: HashSet<PathBuf>,
}

impl Found {
    fn file(&mut self, path: &Path, named: bool) -> Result<(), Failure> {
        // The same file by two paths would be two Segments of one name.
        if !self.files.insert(path.to_owned()) {
            return Ok(());
        }
        if self.sources.len() >= MAX_FILES {
            return Err(
                Failure::usage(format!("there are more than {MAX_FILES} files"))
                    .help("name the folders that hold Segments"),
            );
        }
        self.sources.push(Source {
            path: Some(path.to_owned()),
            name: path.display().to_string(),
            named,
        });
        Ok(())
    }

    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), Failure> {
        let real = fs::canonicalize(folder).map_err(|error| not_read(folder, &error))?;
        if depth > MAX_DEPTH || !self.folders.insert(real) {
            return Ok(());
        }
        let mut entries: Vec<PathBuf> = fs::read_dir(folder)
            .and_then(|entries| {
                entries
                    .map(|entry| entry.map(|entry| entry.path()))
                    .collect()
            })
            .map_err(|error| not_read(folder, &error))?;
        entries.sort();
        for path in entries {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            // A link that leads nowhere is nothing to read.
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            if metadata.is_dir() {
                self.folder(&path, depth + 1)?;
            } else if metadata.is_file() && is_document(&path) {
                self.file(&path, false)?;
            }
        }
        Ok(())
    }
}

fn is_document(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["yaml", "yml", "json"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

fn not_read(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    if error.kind() == io::ErrorKind::NotFound {
        Failure::usage(format!("{shown} does not exist"))
    } else {
        Failure::usage(format!("{shown} can't be read: {error}"))
    }
}
