//! A note: what an import or an export filled in, changed or left out.

use std::fmt;

/// One thing that is not in the result as it was in the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Where in the source; empty: the whole of it.
    pub field: String,
    /// What was done with it, in one sentence without a full stop.
    pub message: String,
    /// On which clusters, where the source was many.
    pub clusters: Vec<String>,
    /// Whether what will run is not what runs now (a `CronJob` that renders to something else).
    pub changes: bool,
}

impl Note {
    /// A note about a field.
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
            clusters: Vec::new(),
            changes: false,
        }
    }

    /// The same, where what will run is not what runs now.
    #[must_use]
    pub(crate) fn changes(mut self) -> Self {
        self.changes = true;
        self
    }
}

/// Clusters named in one note; the rest is counted.
const NAMED: usize = 5;

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{} ", self.field)?;
        }
        f.write_str(&self.message)?;
        if !self.clusters.is_empty() {
            let named = &self.clusters[..self.clusters.len().min(NAMED)];
            write!(f, " (on {}", named.join(", "))?;
            if self.clusters.len() > NAMED {
                write!(f, " and {} more", self.clusters.len() - NAMED)?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}
