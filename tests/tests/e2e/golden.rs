//! Files that hold what was once right.
//!
//! In: a value. Out: nothing, or a difference. Law: `UPDATE_EXPECT=1` writes them anew. Not: judging what is new.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Compares a value with `golden/NAME.json`.
pub(crate) fn same(name: &str, value: &Value) -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/e2e/golden")
        .join(format!("{name}.json"));
    let text = format!("{}\n", serde_json::to_string_pretty(value)?);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        return std::fs::write(&file, text).with_context(|| format!("write {}", file.display()));
    }
    let expected =
        std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    ensure!(
        expected == text,
        "{} says otherwise (UPDATE_EXPECT=1 rewrites it). Now:\n{text}",
        file.display()
    );
    Ok(())
}
