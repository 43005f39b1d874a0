//! Quantities of resources, as far as a request must be compared with a limit.
//!
//! In: text such as `500m` or `1Gi`. Out: its value in billionths. Law: takes what Kubernetes takes; larger values than
//! an `i128` of billionths count as the largest. Not: their canonical text (the API server's business).
//! Source: `k8s.io/apimachinery/pkg/api/resource`.

/// One, in billionths.
const ONE: i128 = 1_000_000_000;

/// The value in billionths, rounded up; `None` where Kubernetes refuses the text.
pub(crate) fn parse(text: &str) -> Option<i128> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let (multiplier, divisor) = scale(suffix)?;
    let value = amount(whole, fraction, multiplier, divisor);
    Some(if negative { -value } else { value })
}

/// Billionths that one of this suffix stands for, as multiplier and divisor.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let power = |exponent: i32| {
        let steps = exponent.checked_add(9)?.clamp(-38, 38);
        let factor = 10i128.checked_pow(steps.unsigned_abs())?;
        Some(if steps < 0 { (1, factor) } else { (factor, 1) })
    };
    let binary = |bits: u32| Some((ONE << bits, 1));
    match suffix {
        "n" => power(-9),
        "u" => power(-6),
        "m" => power(-3),
        "" => power(0),
        "k" => power(3),
        "M" => power(6),
        "G" => power(9),
        "T" => power(12),
        "P" => power(15),
        "E" => power(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let digits = suffix.strip_prefix(['e', 'E'])?;
            let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(digits);
            if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            power(digits.parse().ok()?)
        }
    }
}

fn amount(whole: &str, fraction: &str, multiplier: i128, divisor: i128) -> i128 {
    // Digits past the 18th behind the point are below a billionth even of an exa; they only round up.
    let (kept, cut) = fraction.split_at(fraction.len().min(18));
    let digits = format!("{whole}{kept}");
    let mut ten_power = 1i128;
    for _ in kept.bytes() {
        ten_power *= 10;
    }
    let Some(product) = digits
        .parse::<i128>()
        .ok()
        .and_then(|value| value.checked_mul(multiplier))
    else {
        return i128::MAX;
    };
    let Some(divisor) = ten_power.checked_mul(divisor) else {
        return i128::from(product > 0);
    };
    let rest = product % divisor != 0 || cut.bytes().any(|b| b != b'0');
    product / divisor + i128::from(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_read_as_kubernetes_reads_it() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1", Some(ONE)),
            ("+1", Some(ONE)),
            ("-1", Some(-ONE)),
            ("1000m", Some(ONE)),
            ("0.1", Some(ONE / 10)),
            (".5", Some(ONE / 2)),
            ("5.", Some(5 * ONE)),
            ("1Ki", Some(1024 * ONE)),
            ("1.5Gi", Some(3 * 512 * 1024 * 1024 * ONE)),
            ("1e3", Some(1000 * ONE)),
            ("1E-3", Some(ONE / 1000)),
            ("1E", Some(ONE * 1_000_000_000_000_000_000)),
            ("1n", Some(1)),
            ("0.1n", Some(1)),
            ("99999999999999999999999999999999999999E", Some(i128::MAX)),
            ("", None),
            (".", None),
            ("1.2.3", None),
            ("1 Gi", None),
            ("1gi", None),
            ("1K", None),
            ("Gi", None),
            ("1e", None),
            ("1ex", None),
            ("--1", None),
            ("ä", None),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
