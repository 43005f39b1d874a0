//! Segments to lint: those of the corpus, and many made from them.

use crate::paths;
use anyhow::{Context as _, Result};
use segment_core::testing::label_selector;
use segment_crds::{Override, Segment};

/// Every Segment of `tests/corpus`.
pub(super) fn corpus() -> Result<Vec<Segment>> {
    let mut all = Vec::new();
    for folder in ["valid", "broken"] {
        let folder = paths::root().join("tests/corpus").join(folder);
        let mut files: Vec<_> = std::fs::read_dir(&folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        files.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
        files.sort();
        for path in files {
            let text = std::fs::read_to_string(&path)?;
            let segment = serde_saphyr::from_str(&text)
                .with_context(|| format!("{} can't be read", path.display()))?;
            all.push(segment);
        }
    }
    Ok(all)
}

/// So many, each one of the corpus under another name, with overrides for three regions.
pub(super) fn made(corpus: &[Segment], count: usize) -> Vec<Segment> {
    corpus
        .iter()
        .cycle()
        .take(count)
        .enumerate()
        .map(|(number, segment)| {
            let mut segment = segment.clone();
            segment.metadata.name = Some(format!("made-{number}"));
            segment.spec.cronjob.schedule = Some(format!("{} H(1-4) * * *", number % 60));
            segment.spec.overrides = ["eu", "ap", "us"]
                .map(|region| {
                    let mut change = Override {
                        cluster_selector: Some(label_selector(&[("region", region)])),
                        ..Override::default()
                    };
                    change.env.db_host = Some(format!("db-{region}-{number}"));
                    change.env.source_where_clause =
                        Some(format!("region = '{region}' and number > {number}"));
                    change
                })
                .into();
            segment
        })
        .collect()
}
