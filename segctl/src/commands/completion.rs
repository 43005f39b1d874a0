//! `completion`: a script for a shell.

use crate::args::Args;
use crate::exit::{Exit, Failure};
use clap::CommandFactory as _;

pub(super) fn run(shell: clap_complete::Shell, typed_as: &str) -> Result<Exit, Failure> {
    // A shell completes programs, and a plugin's is called kubectl-segment.
    let program = typed_as.replace(' ', "-");
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), program, &mut script);
    crate::output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Yes)
}
