//! The Go programs that demo and tests run: a control plane, kubectl, Helm and grpcurl.
//!
//! In: `tests/controlplane`. Out: four programs in `tests/controlplane/bin`. Law: the versions are those of its go.mod.
//! Not: how they are built (`tests/controlplane/build.sh`).

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::program;

const NO_GO: &str = "Go is not on PATH. It compiles the Kubernetes control planes that demo and tests run on; no container engine is \
needed.\n\n  Install Go 1.26 or newer (https://go.dev/doc/install), for example:\n\n    \
curl -L https://go.dev/dl/go1.26.8.linux-amd64.tar.gz | tar -C \"$HOME\" -xz && export PATH=$HOME/go/bin:$PATH\n\n  \
Without Go these still work: `cargo build`, `cargo test -p segment-core` and the other unit tests.";

/// Builds all four; seconds when nothing has changed.
///
/// # Errors
/// When Go is missing, or a build fails.
pub(crate) fn build() -> Result<()> {
    program::step(
        "Kubernetes control plane, kubectl, Helm, grpcurl (Go; minutes at the first time, then seconds)",
    );
    let go = Command::new("go")
        .arg("version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !go.is_ok_and(|status| status.success()) {
        bail!("{NO_GO}");
    }
    let folder = program::root().join("tests/controlplane");
    program::finish(Command::new(folder.join("build.sh")).arg(folder.join("bin")))
}
