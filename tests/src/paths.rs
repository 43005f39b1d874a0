//! Where things are.
//!
//! In: this crate's place in the workspace, the running program's place in the target folder. Out: paths.
//! Law: nothing outside the target folder is written. Not: ports.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
        .to_path_buf()
}

/// The folder of the profile that this program was built with: `target/debug` or `target/release`.
fn profile() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program's own path")?;
    let mut folder = own.parent().context("a folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("a folder")?;
    }
    Ok(folder.to_path_buf())
}

/// The target folder.
pub fn target() -> Result<PathBuf> {
    Ok(profile()?
        .parent()
        .context("a target folder")?
        .to_path_buf())
}

/// A program of this workspace. Cargo builds it: a package's tests are only told of its own programs.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = profile()?.join(name);
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo e2e` or `cargo demo`, or `cargo build --workspace --bins` first",
        path.display()
    );
    Ok(path)
}

/// A program that `tests/controlplane/build.sh` builds; another folder of them by `SEGMENT_TOOLS_DIR`.
pub fn tool(name: &str) -> Result<PathBuf> {
    let folder = std::env::var_os("SEGMENT_TOOLS_DIR")
        .map_or_else(|| root().join("tests/controlplane/bin"), PathBuf::from);
    let path = folder.join(name);
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo xtask tools`, or set SEGMENT_TOOLS_DIR",
        path.display()
    );
    Ok(path)
}

/// The tools' folder, for PATH.
pub fn tools() -> PathBuf {
    std::env::var_os("SEGMENT_TOOLS_DIR")
        .map_or_else(|| root().join("tests/controlplane/bin"), PathBuf::from)
}

/// A chart.
pub fn chart(name: &str) -> PathBuf {
    root().join("deploy/charts").join(name)
}
