//! Durations as Go writes them: `1h30m`.
//!
//! In: the text behind `@every `. Out: nanoseconds, and the seconds between runs.
//! Law: takes what Go's `time.ParseDuration` takes. Not: any other use of durations.

/// Nanoseconds of a duration; `None` where Go refuses it.
pub(super) fn go_duration_nanos(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    // Go adds in u64 and takes up to 2^63, which is legal for negative ones.
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (nanos, left) = one_unit(rest)?;
        total = total.checked_add(nanos).filter(|&total| total <= 1 << 63)?;
        rest = left;
    }
    if negative {
        return Some((-i128::from(total)).try_into().unwrap_or(i64::MIN));
    }
    i64::try_from(total).ok()
}

/// The first number with its unit, in nanoseconds, and what follows it.
fn one_unit(text: &str) -> Option<(u64, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole_len = digits(text);
    let (whole, rest) = text.split_at(whole_len);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(behind) => behind.split_at(digits(behind)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit_len = rest
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_len);
    let nanos_per_unit: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let nanos = whole
        .checked_mul(nanos_per_unit)
        .filter(|&nanos| nanos <= 1 << 63)?;
    let nanos = nanos.checked_add(fraction_nanos(fraction, nanos_per_unit))?;
    (nanos <= 1 << 63).then_some((nanos, rest))
}

/// Digits behind the point, rounded down; those past the 15th are below a nanosecond even of an hour.
fn fraction_nanos(fraction: &str, nanos_per_unit: u64) -> u64 {
    let kept = &fraction[..fraction.len().min(15)];
    let Ok(value) = kept.parse::<u128>() else {
        return 0;
    };
    let scale = kept.bytes().fold(1u128, |scale, _| scale * 10);
    u64::try_from(value * u128::from(nanos_per_unit) / scale).unwrap_or_default()
}

/// Seconds between runs: whole ones, at least one.
pub(super) fn whole_seconds(nanos: i64) -> i64 {
    (nanos / 1_000_000_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1s", Some(1_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            (".5s", Some(500_000_000)),
            ("1.s", Some(1_000_000_000)),
            ("-5s", Some(-5_000_000_000)),
            ("+5s", Some(5_000_000_000)),
            ("1µs", Some(1_000)),
            ("1μs2ns", Some(1_002)),
            ("2562047h47m16.854775807s", Some(i64::MAX)),
            ("-2562047h47m16.854775808s", Some(i64::MIN)),
            ("2562047h47m16.854775808s", None),
            ("9999999h", None),
            ("", None),
            ("-", None),
            ("1", None),
            (".s", None),
            ("1d", None),
            ("1 s", None),
            ("s", None),
        ] {
            assert_eq!(go_duration_nanos(text), expected, "{text:?}");
        }
    }
}
