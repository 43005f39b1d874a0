//! Waiting for what shall come true.
//!
//! In: a condition that says what is still missing. Out: its value, or an error with what was seen last.
//! Law: no wait without a limit. Not: sleeping for a time and hoping.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a thing may take that usually takes a second or two, on a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_mins(1);

/// Looks until `condition` is `Ok`. Its error is what is missing; the last one is in this function's own.
pub async fn until<T, F, Fut>(what: &str, within: Duration, mut condition: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let began = Instant::now();
    let mut last;
    loop {
        match tokio::time::timeout(within, condition()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => last = error,
            Err(_) => last = anyhow!("the look itself did not end"),
        }
        if began.elapsed() >= within {
            return Err(last.context(format!(
                "not within {} s: {what}. Last seen",
                within.as_secs()
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks for a whole time that `condition` stays `Ok`: for what must not happen.
pub async fn holds<F, Fut>(what: &str, during: Duration, mut condition: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let began = Instant::now();
    while began.elapsed() < during {
        if let Err(error) = condition().await {
            return Err(error.context(format!(
                "did not hold after {:.1} s: {what}",
                began.elapsed().as_secs_f32()
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
