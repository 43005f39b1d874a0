//! Times in tables.
//!
//! In: a time, and the hub's now: the caller's clock may be wrong, the hub's answer is one moment. Out: `12m ago`.

use crate::args::Times;
use jiff::Timestamp;
use segment_proto::Timestamp as Wire;

/// How times are written, and relative to which moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Relative or not.
    pub(crate) times: Times,
    /// The moment of the answer.
    pub(crate) now: Timestamp,
}

impl Clock {
    /// Relative to the moment that the hub's answer names, else to the caller's clock.
    pub(crate) fn new(times: Times, source: Option<&segment_proto::v1::Source>) -> Self {
        let now = source.and_then(|source| read(source.as_of.as_ref()));
        Self {
            times,
            now: now.unwrap_or_else(Timestamp::now),
        }
    }

    /// `12m`, or nothing.
    pub(crate) fn age(self, time: Option<&Wire>) -> String {
        self.write(time, human)
    }

    /// `12m ago`, `in 9h`, or nothing.
    pub(crate) fn relative(self, time: Option<&Wire>) -> String {
        self.write(time, |seconds| {
            if seconds < 0 {
                format!("in {}", human(-seconds))
            } else {
                format!("{} ago", human(seconds))
            }
        })
    }

    fn write(self, time: Option<&Wire>, relative: impl Fn(i64) -> String) -> String {
        let Some(time) = read(time) else {
            return String::new();
        };
        match self.times {
            Times::Relative => relative(self.now.as_second().saturating_sub(time.as_second())),
            Times::Utc => seconds_of(time),
        }
    }
}

/// A time of the wire, if it is there and one.
pub(crate) fn read(time: Option<&Wire>) -> Option<Timestamp> {
    time.and_then(|time| segment_proto::convert::time::from_wire("time", *time).ok())
}

/// RFC 3339 in whole seconds.
pub(crate) fn seconds_of(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second())
        .unwrap_or(time)
        .to_string()
}

/// As kubectl writes ages (`k8s.io/apimachinery/pkg/util/duration.HumanDuration`): at most two units, fewer with age.
pub(crate) fn human(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        if small == 0 {
            format!("{big}{big_unit}")
        } else {
            format!("{big}{big_unit}{small}{small_unit}")
        }
    };
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        two(minutes, "m", seconds % 60, "s")
    } else if hours < 3 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if days < 8 {
        two(days, "d", hours % 24, "h")
    } else if days < 2 * 365 {
        format!("{days}d")
    } else if days < 8 * 365 {
        two(days / 365, "y", days % 365, "d")
    } else {
        format!("{}y", days / 365)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_as_kubectl_writes_them() {
        for (seconds, text) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (3 * 3_600 - 1, "179m"),
            (3 * 3_600 + 60, "3h1m"),
            (9 * 3_600, "9h"),
            (3 * 86_400, "3d"),
            (3 * 86_400 + 7_200, "3d2h"),
            (30 * 86_400, "30d"),
            (800 * 86_400, "2y70d"),
            (3_000 * 86_400, "8y"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn past_and_future_are_told_apart() {
        let clock = Clock {
            times: Times::Relative,
            now: Timestamp::from_second(10_000).unwrap(),
        };
        let at = |seconds| Wire { seconds, nanos: 0 };
        assert_eq!(clock.relative(Some(&at(9_280))), "12m ago");
        assert_eq!(clock.relative(Some(&at(10_000 + 9 * 3_600))), "in 9h");
        assert_eq!(clock.relative(None), "");
        let utc = Clock {
            times: Times::Utc,
            ..clock
        };
        assert_eq!(utc.relative(Some(&at(0))), "1970-01-01T00:00:00Z");
    }
}
