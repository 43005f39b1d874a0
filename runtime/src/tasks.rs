//! Every task of the process has a name and an owner.
//!
//! **In:** futures. **Out:** running tasks; the name of the first that ended unasked.
//! **Law:** no task dies unseen (tests below): a supervised task that returns, fails or panics before the shutdown
//! starts it, and its name is the process' last word. A child (one connection, one call) may end as it likes, but a
//! panic in it is logged.
//! **Not:** signals (`shutdown`).

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts tasks and watches over them. Clones are cheap and share everything.
#[derive(Debug, Clone)]
pub struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tracker: TaskTracker,
    shutdown: CancellationToken,
    kill: CancellationToken,
    first_end: watch::Sender<Option<Arc<TaskEnded>>>,
    running: Mutex<BTreeMap<u64, Cow<'static, str>>>,
    next: std::sync::atomic::AtomicU64,
}

/// A supervised task ended though nobody had asked it to.
#[derive(Debug, thiserror::Error)]
#[error("task {name:?} ended unasked: {how}")]
pub struct TaskEnded {
    /// The name it was started with.
    pub name: Cow<'static, str>,
    /// How it ended.
    pub how: End,
}

/// How a task ended.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// It returned without an error.
    #[error("it returned")]
    Returned,
    /// It returned an error (printed with its causes, since the task's end is the last chance to see them).
    #[error("{0}")]
    Failed(String),
    /// It panicked.
    #[error("panic: {0}")]
    Panicked(String),
}

/// Some tasks did not end within the time that the shutdown gave them.
#[derive(Debug, thiserror::Error)]
#[error("still running after {}: {}", limit.as_secs_f32(), names.join(", "))]
pub struct DrainTimeout {
    /// What they had, seconds.
    pub limit: Duration,
    /// Names of the supervised tasks that remain; `children` stands for connections.
    pub names: Vec<String>,
}

/// What a supervised task may return: nothing, or a result whose error is the process' last word.
pub trait Outcome: Send + 'static {
    /// As text with all causes, if it is an error.
    fn failure(self) -> Option<String>;
}

impl Outcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E> Outcome for Result<(), E>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    fn failure(self) -> Option<String> {
        self.err().map(|error| with_causes(&*error.into()))
    }
}

/// An error and its causes on one line, as the log's `error` field has them.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some libraries print their cause themselves: once is enough.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                tracker: TaskTracker::new(),
                shutdown: CancellationToken::new(),
                kill: CancellationToken::new(),
                first_end: watch::Sender::new(None),
                running: Mutex::default(),
                next: std::sync::atomic::AtomicU64::new(0),
            }),
        }
    }

    /// Cancelled when the process is to end: tasks finish what they hold and return.
    pub fn shutdown_token(&self) -> CancellationToken {
        self.shared.shutdown.clone()
    }

    /// Asks all tasks to end.
    pub fn shut_down(&self) {
        self.shared.shutdown.cancel();
    }

    /// Whether the end has been asked for.
    pub fn is_shutting_down(&self) -> bool {
        self.shared.shutdown.is_cancelled()
    }

    /// Starts a task that is to live as long as the process. When it ends before that, the process ends with its name.
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, task: F)
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
    {
        let name = name.into();
        let tasks = self.clone();
        let number = self
            .shared
            .next
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.running().insert(number, name.clone());
        let kill = self.shared.kill.clone();
        self.shared.tracker.spawn(async move {
            let how = tokio::select! {
                biased;
                () = kill.cancelled() => None,
                ended = AssertUnwindSafe(task).catch_unwind() => Some(match ended {
                    Ok(outcome) => outcome.failure().map_or(End::Returned, End::Failed),
                    Err(panic) => End::Panicked(panic_text(&*panic)),
                }),
            };
            tasks.running().remove(&number);
            if let Some(how) = how {
                tasks.ended(name, how);
            }
        });
    }

    /// Starts a task that may end at any time, such as one connection. A panic in it is logged and stops nobody else.
    pub fn spawn_child<F>(&self, name: &'static str, task: F) -> AbortHandle
    where
        F: Future + Send + 'static,
    {
        let kill = self.shared.kill.clone();
        let handle = self.shared.tracker.spawn(async move {
            tokio::select! {
                biased;
                () = kill.cancelled() => {}
                ended = AssertUnwindSafe(task).catch_unwind() => if let Err(panic) = ended {
                    tracing::error!(task = name, panic = panic_text(&*panic), "a child task panicked");
                }
            }
        });
        handle.abort_handle()
    }

    /// Waits until a supervised task ends unasked; for ever if none does.
    pub async fn first_unasked_end(&self) -> Arc<TaskEnded> {
        let mut first = self.shared.first_end.subscribe();
        match first.wait_for(Option::is_some).await.map(|end| end.clone()) {
            Ok(Some(end)) => end,
            // The sender lives in `self`, so the channel cannot close.
            _ => std::future::pending().await,
        }
    }

    /// Asks all tasks to end and waits for them, at most `limit`; what then still runs is cut off.
    ///
    /// # Errors
    /// When the limit was not enough, with the names of those that were cut off.
    pub async fn drain(&self, limit: Duration) -> Result<(), DrainTimeout> {
        self.shut_down();
        self.shared.tracker.close();
        if tokio::time::timeout(limit, self.shared.tracker.wait())
            .await
            .is_ok()
        {
            return Ok(());
        }
        let mut names: Vec<String> = self.running().values().map(ToString::to_string).collect();
        if self.shared.tracker.len() > names.len() {
            names.push("children".to_owned());
        }
        self.shared.kill.cancel();
        Err(DrainTimeout { limit, names })
    }

    fn ended(&self, name: Cow<'static, str>, how: End) {
        if self.is_shutting_down() {
            if !matches!(how, End::Returned) {
                tracing::warn!(task = %name, error = %how, "a task did not end cleanly");
            }
            return;
        }
        self.shared.first_end.send_if_modified(|first| {
            if first.is_some() {
                return false;
            }
            tracing::error!(task = %name, error = %how, "a task ended unasked: the process ends");
            *first = Some(Arc::new(TaskEnded { name, how }));
            true
        });
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Cow<'static, str>>> {
        self.shared
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn end_of(task: impl Future<Output: Outcome> + Send + 'static) -> String {
        let tasks = Tasks::new();
        tasks.spawn("bystander", std::future::pending::<()>());
        tasks.spawn("culprit", task);
        tasks.first_unasked_end().await.to_string()
    }

    #[tokio::test]
    async fn a_task_that_ends_unasked_is_named() {
        assert_eq!(
            end_of(async {}).await,
            "task \"culprit\" ended unasked: it returned"
        );
        let failed = async { Err::<(), _>(std::io::Error::other("disk")) };
        assert_eq!(end_of(failed).await, "task \"culprit\" ended unasked: disk");
        let panicked = async { assert!(std::env::args().count() == usize::MAX, "bug 7") };
        assert_eq!(
            end_of(panicked).await,
            "task \"culprit\" ended unasked: panic: bug 7"
        );
    }

    #[tokio::test]
    async fn a_task_that_ends_on_request_ends_nobody() {
        let tasks = Tasks::new();
        let token = tasks.shutdown_token();
        tasks.spawn("obedient", async move { token.cancelled().await });
        tasks.drain(Duration::from_secs(5)).await.unwrap();
        assert!(tasks.shared.first_end.borrow().is_none());
    }

    #[tokio::test]
    async fn a_child_may_end_or_panic_without_ending_the_process() {
        let tasks = Tasks::new();
        tasks.spawn_child("quiet", async {});
        tasks.spawn_child("loud", async {
            assert!(std::env::args().count() == usize::MAX, "bug 8");
        });
        tasks.drain(Duration::from_secs(5)).await.unwrap();
        assert!(tasks.shared.first_end.borrow().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_drain_is_cut_off_and_named() {
        let tasks = Tasks::new();
        tasks.spawn("stubborn", std::future::pending::<()>());
        tasks.spawn_child("connection", std::future::pending::<()>());
        let error = tasks.drain(Duration::from_secs(3)).await.unwrap_err();
        assert_eq!(error.names, ["stubborn", "children"]);
        tasks.shared.tracker.wait().await;
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_are_printed_once() {
        assert_eq!(
            with_causes(&Outer(std::io::Error::other("inner"))),
            "outer: inner"
        );
    }
}
