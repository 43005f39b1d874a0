//! Every call has an end, and every retry a limit.
//!
//! **In:** a future, or a call that may be repeated. **Out:** its result within a deadline, or the delays between tries.
//! **Law:** full jitter, never over the cap (60 s), and never sooner than the server asked (Retry-After).
//! **Not:** which errors are worth a retry; [`ApiError::is_transient`] says that.

use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use backoff::Retryable;
use rand::Rng;

use crate::error::ApiError;

/// Longest delay between two tries of anything, however long it has been failing.
pub const CAP: Duration = Duration::from_mins(1);

/// A call did not end in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: no answer within {} s", limit.as_secs_f32())]
pub struct TimedOut {
    /// What was waited for.
    pub what: Cow<'static, str>,
    /// For how long.
    pub limit: Duration,
}

/// Waits for `call`, at most `limit`. kube has no read timeout: a stopped API server would hang a call for ever.
///
/// # Errors
/// When the limit is over; the call is dropped, and whether the other side carried it out is unknown.
pub async fn deadline<F: Future>(
    limit: Duration,
    what: impl Into<Cow<'static, str>>,
    call: F,
) -> Result<F::Output, TimedOut> {
    tokio::time::timeout(limit, call)
        .await
        .map_err(|_| TimedOut {
            what: what.into(),
            limit,
        })
}

/// A typed call of kube's with a deadline and a sorted error.
///
/// # Errors
/// As [`ApiError`] tells: refused, out of time, unreachable, or malformed.
pub async fn call<T>(
    limit: Duration,
    what: impl Into<Cow<'static, str>>,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ApiError> {
    let what = what.into();
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|error| ApiError::from_kube(what, error)),
        Err(_) => Err(ApiError::Deadline { what, limit }),
    }
}

/// The delays between tries: each a random part of a ceiling that doubles from `first` up to `cap`
/// ([full jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/): the whole of the delay
/// is random, so that 10,000 agents that lost their hub in one instant do not come back in one).
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// From `first` on, doubled each time, at most `cap` (and never over [`CAP`]).
    pub fn new(first: Duration, cap: Duration) -> Self {
        let cap = cap.min(CAP);
        let first = first.min(cap);
        Self {
            first,
            cap,
            ceiling: first,
        }
    }

    /// For calls to an API server: from 250 ms to 60 s.
    pub fn api() -> Self {
        Self::new(Duration::from_millis(250), CAP)
    }

    /// The next delay, not shorter than what the server asked for. A server's wish is capped as well.
    pub fn delay(&mut self, retry_after: Option<Duration>) -> Duration {
        let jittered = self.ceiling.mul_f64(rand::rng().random_range(0.0..=1.0));
        self.ceiling = self.ceiling.saturating_mul(2).min(self.cap);
        match retry_after {
            // Spread out: everyone who was refused in one second was given the same answer.
            Some(wish) => wish
                .min(CAP)
                .max(jittered)
                .saturating_add(jittered.min(Duration::from_secs(1)))
                .min(CAP),
            None => jittered,
        }
    }

    /// After a success: the next failure starts from `first` again.
    pub fn reset(&mut self) {
        self.ceiling = self.first;
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.delay(None))
    }
}

/// Repeats a call while its error is transient, at most `tries` times in all, as the server's Retry-After allows.
///
/// # Errors
/// The last error, or the first that is not transient.
pub async fn retry<T, F, Call>(policy: Backoff, tries: usize, call: F) -> Result<T, ApiError>
where
    F: FnMut() -> Call,
    Call: Future<Output = Result<T, ApiError>>,
{
    call.retry(policy.take(tries.saturating_sub(1)))
        .when(ApiError::is_transient)
        .adjust(|error, delay| {
            delay.map(|delay| delay.max(error.retry_after().unwrap_or_default()).min(CAP))
        })
        .notify(|error, delay| tracing::debug!(%error, ?delay, "will try again"))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;
    use std::cell::Cell;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_answers_ends_at_its_deadline() {
        let limit = Duration::from_secs(10);
        let error = deadline(limit, "GET /x", std::future::pending::<()>())
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "GET /x: no answer within 10 s");
        let error = call(
            limit,
            "GET /x",
            std::future::pending::<Result<(), kube::Error>>(),
        )
        .await
        .unwrap_err();
        assert!(error.is_transient());
        assert_eq!(error.reason(), "deadline");
    }

    #[test]
    fn delays_double_under_full_jitter_and_stay_under_the_cap() {
        let mut ceiling = 1.0_f64;
        let mut policy = Backoff::new(Duration::from_secs(1), Duration::from_mins(10));
        for _ in 0..200 {
            assert!(policy.delay(None).as_secs_f64() <= ceiling);
            ceiling = (ceiling * 2.0).min(60.0);
        }
        policy.reset();
        assert!(policy.delay(None) <= Duration::from_secs(1));
    }

    #[test]
    fn a_delay_is_never_shorter_than_the_server_asked_nor_over_the_cap() {
        let mut policy = Backoff::api();
        for asked in [1, 5, 59, 3600] {
            let delay = policy.delay(Some(Duration::from_secs(asked)));
            assert!(
                delay >= Duration::from_secs(asked.min(60)) && delay <= CAP,
                "{asked}: {delay:?}"
            );
        }
    }

    fn refused(code: u16, retry_after: Option<u64>) -> ApiError {
        let status = Status::failure("no", "").with_code(code);
        ApiError::refused(
            "GET /x".into(),
            status,
            retry_after.map(Duration::from_secs),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_waits_as_long_as_the_server_asked_and_has_a_limit() {
        let start = Instant::now();
        let tries = Cell::new(0);
        let result = retry(Backoff::api(), 3, || {
            tries.set(tries.get() + 1);
            async { Err::<(), _>(refused(429, Some(7))) }
        });
        assert_eq!(result.await.unwrap_err().code(), Some(429));
        assert_eq!(tries.get(), 3);
        assert!(start.elapsed() >= Duration::from_secs(14));
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_not_change_is_not_tried_again() {
        let tries = Cell::new(0);
        let result = retry(Backoff::api(), 3, || {
            tries.set(tries.get() + 1);
            async { Err::<(), _>(refused(422, None)) }
        });
        assert!(result.await.unwrap_err().is_invalid());
        assert_eq!(tries.get(), 1);
    }
}
