//! Keys that live in files of a Secret volume.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

use super::{ReloadingKey, TlsError, certified_key};

/// A chain and its key as two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileKey {
    /// PEM chain, leaf first (`tls.crt`).
    pub cert: PathBuf,
    /// PEM key (`tls.key`).
    pub key: PathBuf,
}

impl FileKey {
    /// Reads and checks both.
    ///
    /// # Errors
    /// When a file cannot be read, or they do not belong together.
    pub fn load(&self) -> Result<CertifiedKey, TlsError> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| TlsError::File {
                file: path.display().to_string(),
                source,
            })
        };
        certified_key(&read(&self.cert)?, &read(&self.key)?)
    }
}

/// Re-reads the files every `period` until `stop`, and swaps the key when the chain has changed.
/// By content, not by inotify: that misses the symlink swap of Secret volumes. A pair that does not match
/// (caught between two writes) is tried again at the next period.
pub async fn reload_files(
    files: FileKey,
    target: Arc<ReloadingKey>,
    period: Duration,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(period);
    let mut failing = false;
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match files.load() {
            Ok(key) => {
                failing = false;
                if target
                    .current()
                    .is_none_or(|current| current.cert != key.cert)
                {
                    tracing::info!(cert = %files.cert.display(), "certificate reloaded");
                    target.replace(key);
                }
            }
            // Once: a certificate that is yet to be issued may take its time.
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    let error = crate::tasks::with_causes(&error);
                    tracing::warn!(error, cert = %files.cert.display(), "certificate not loaded");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::self_signed;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_renewed_file_is_served_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let files = FileKey {
            cert: dir.path().join("tls.crt"),
            key: dir.path().join("tls.key"),
        };
        let write = |cert: &str, key: &str| {
            std::fs::write(&files.cert, cert).unwrap();
            std::fs::write(&files.key, key).unwrap();
        };
        let (old, old_key) = self_signed("a");
        write(&old, &old_key);
        let target = Arc::new(ReloadingKey::new(files.load().unwrap()));
        let first = target.current().unwrap();
        let period = Duration::from_secs(30);
        let tasks = crate::Tasks::new();
        tasks.spawn(
            "reload",
            reload_files(
                files.clone(),
                target.clone(),
                period,
                tasks.shutdown_token(),
            ),
        );

        let (new, new_key) = self_signed("a");
        write(&new, &old_key);
        tokio::time::sleep(period * 2).await;
        assert_eq!(
            target.current().unwrap().cert,
            first.cert,
            "a mismatched pair is not served"
        );

        write(&new, &new_key);
        tokio::time::sleep(period * 2).await;
        assert_ne!(target.current().unwrap().cert, first.cert);
    }
}
