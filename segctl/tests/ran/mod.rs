//! What a run of the program came to.

use std::process::Output;

/// Exit code and output, as text.
pub(crate) struct Ran {
    /// The exit code; -1 where a signal ended it.
    pub(crate) code: i32,
    /// What was written to stdout.
    pub(crate) out: String,
    /// What was written to stderr.
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
