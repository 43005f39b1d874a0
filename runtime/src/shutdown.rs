//! How the process ends.
//!
//! **In:** SIGTERM and SIGINT, and tasks that end unasked. **Out:** a drained process.
//! **Law:** the first signal drains (streams say goodbye, status is flushed), the second ends at once.
//! **Not:** what draining means to a task; each sees it on [`Tasks::shutdown_token`].

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::tasks::{DrainTimeout, TaskEnded, Tasks};

/// The signals that end the process, registered before any port is bound so that none is lost.
#[derive(Debug)]
pub struct Signals {
    term: Signal,
    int: Signal,
}

/// The process did not end as asked.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A task ended unasked.
    #[error("{0}")]
    Task(Arc<TaskEnded>),
    /// Tasks did not drain in time.
    #[error("the drain did not finish")]
    Drain(#[source] DrainTimeout),
}

impl Signals {
    /// Registers the handlers.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn install() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }

    /// The next signal's name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }

    /// Lives until a signal or the first task that ends unasked, then drains all tasks within `limit`.
    ///
    /// # Errors
    /// When a task ended unasked, or did not drain in time.
    pub async fn run(mut self, tasks: &Tasks, limit: Duration) -> Result<(), RunError> {
        let culprit = tokio::select! {
            name = self.next() => {
                tracing::info!(signal = name, "draining; a second signal ends at once");
                None
            }
            ended = tasks.first_unasked_end() => Some(ended),
        };
        let drained = tokio::select! {
            drained = tasks.drain(limit) => drained,
            name = self.next() => abort(name),
        };
        match (culprit, drained) {
            (Some(ended), _) => Err(RunError::Task(ended)),
            (None, Err(late)) => Err(RunError::Drain(late)),
            (None, Ok(())) => Ok(()),
        }
    }
}

#[allow(
    clippy::exit,
    reason = "the second signal asks for exactly this: no destructor may delay it"
)]
fn abort(signal: &str) -> ! {
    tracing::warn!(signal, "second signal: ending at once");
    std::process::exit(130)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_unasked_drains_the_others() {
        let tasks = Tasks::new();
        let token = tasks.shutdown_token();
        tasks.spawn("steady", async move { token.cancelled().await });
        tasks.spawn("fickle", async {});
        let error = Signals::install()
            .unwrap()
            .run(&tasks, Duration::from_secs(5))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "task \"fickle\" ended unasked: it returned"
        );
    }

    #[tokio::test]
    async fn the_first_signal_drains() {
        let tasks = Tasks::new();
        let token = tasks.shutdown_token();
        let (drained, seen) = tokio::sync::oneshot::channel();
        tasks.spawn("steady", async move {
            token.cancelled().await;
            let _ = drained.send(());
        });
        let signals = Signals::install().unwrap();
        let kill = std::process::Command::new("kill")
            .args(["-TERM", &std::process::id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        signals.run(&tasks, Duration::from_secs(5)).await.unwrap();
        seen.await.unwrap();
    }
}
