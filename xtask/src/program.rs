//! Running other programs.
//!
//! In: a command line. Out: success, or an error that names it. Law: what it prints is passed through, untouched.
//! Not: which programs.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
        .to_path_buf()
}

/// Says what comes next.
pub(crate) fn step(what: &str) {
    eprintln!("\n==> {what}");
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What `cargo run` told this program about itself is not for the cargo that it starts: build scripts would run anew.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text == "CARGO_CRATE_NAME"
        {
            command.env_remove(name);
        }
    }
    command
}

/// Becomes a program of ours: a Ctrl-C is its own to handle, and whoever started us waits until it is done.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn become_program(program: impl AsRef<OsStr>, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).current_dir(root());
    // Only a failure comes back.
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", line(&command)))
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) fn finish(command: &mut Command) -> Result<()> {
    let line = line(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start {line}"))?;
    if !status.success() {
        bail!("{status}: {line}");
    }
    Ok(())
}

/// A command as one would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let mut words = vec![program.to_string_lossy()];
    words.extend(command.get_args().map(OsStr::to_string_lossy));
    words.join(" ")
}
