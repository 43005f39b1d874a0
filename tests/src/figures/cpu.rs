//! The clock of figures that are no latencies: time that this thread was on a core.
//!
//! In: nothing. Out: seconds. Law: what others do on a shared machine does not count. Not: other threads. Source: the
//! kernel's documentation, "scheduler statistics": the first number of `schedstat` is nanoseconds on the CPU.

use anyhow::{Context as _, Result};

/// Seconds since the thread began.
///
/// # Errors
/// Where the kernel does not tell.
fn spent() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")
        .context("/proc/thread-self/schedstat: this figure needs Linux")?;
    let nanoseconds: u64 = text
        .split_ascii_whitespace()
        .next()
        .context("schedstat is empty")?
        .parse()?;
    #[allow(
        clippy::cast_precision_loss,
        reason = "years of nanoseconds fit into the 52 bits"
    )]
    Ok(nanoseconds as f64 / 1e9)
}

/// Does something and says how many seconds of CPU it took.
///
/// # Errors
/// Where the kernel does not tell.
pub(super) fn measured<T>(work: impl FnOnce() -> T) -> Result<(T, f64)> {
    let before = spent()?;
    let done = work();
    Ok((done, spent()? - before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_no_work() {
        let ((), slept) =
            measured(|| std::thread::sleep(std::time::Duration::from_millis(200))).unwrap();
        assert!(slept < 0.1, "{slept}");
    }
}
