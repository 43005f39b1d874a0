//! The brakes: how much may go at once before a human is asked.
//!
//! In: how many go, of how many. Out: [`Over`], where that is more than may. Law: monotone: more that go is never less
//! over the limit (test `more_is_never_less_over`). Not: holding anything, windows, approval.

use crate::admit::Share;

/// The hub's brake, judged per Segment (rule 13): clusters that lose it, of those that hold it.
pub const HUB: Share = Share {
    min: 3,
    percent: 20,
};

/// The agent's brake where its policy says nothing else (rule 12): removals, suspensions and schedules that never fire,
/// of the CronJobs that the cluster holds.
pub const AGENT: Share = Share {
    min: 5,
    percent: 20,
};

/// More than a brake lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Over {
    /// How many go.
    pub count: usize,
    /// How many there are.
    pub of: usize,
    /// How many may go.
    pub limit: usize,
}

/// How many of `of` may go: the larger one of the share's number and its part.
pub fn limit(share: Share, of: usize) -> usize {
    let part = of as u128 * u128::from(share.percent) / 100;
    usize::try_from(part)
        .unwrap_or(usize::MAX)
        .max(usize::try_from(share.min).unwrap_or(usize::MAX))
}

/// Whether `count` of `of` is more than may go.
pub fn over(share: Share, count: usize, of: usize) -> Option<Over> {
    let limit = limit(share, of);
    (count > limit).then_some(Over { count, of, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_larger_of_number_and_part() {
        for (share, count, of, expected) in [
            (HUB, 3, 3, None),
            (HUB, 3, 4, None),
            (HUB, 4, 4, Some(3)),
            (HUB, 100, 500, None),
            (HUB, 101, 500, Some(100)),
            (HUB, 4, 19, Some(3)),
            (AGENT, 5, 5, None),
            (AGENT, 6, 10, Some(5)),
            (AGENT, 0, 0, None),
            (Share { min: 0, percent: 0 }, 1, 9, Some(0)),
        ] {
            let got = over(share, count, of);
            assert_eq!(got.map(|over| over.limit), expected, "{count} of {of}");
        }
    }

    #[test]
    fn more_is_never_less_over() {
        for of in 0..60 {
            let first = (0..=60).find(|&count| over(HUB, count, of).is_some());
            for count in first.unwrap_or(61)..=60 {
                assert!(over(HUB, count, of).is_some(), "{count} of {of}");
            }
        }
    }
}
