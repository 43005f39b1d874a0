//! Every unary call has an end.
//!
//! In: the header `grpc-timeout`. Out: `DEADLINE_EXCEEDED` when nothing has come by then. Law: without the header
//! 30 s, and never longer. Not: streams: the limit is on their first word, and `watch` ends them.

use crate::users::errors;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use segment_proto::limits::UNARY_DEADLINE;
use std::time::Duration;

/// Runs a call within its limit.
pub(super) async fn deadline(request: Request, next: Next) -> Response {
    let asked = request
        .headers()
        .get("grpc-timeout")
        .and_then(|value| value.to_str().ok())
        .and_then(parse)
        .map_or(UNARY_DEADLINE, |asked| asked.min(UNARY_DEADLINE));
    match tokio::time::timeout(asked, next.run(request)).await {
        Ok(response) => response,
        Err(_) => errors::late().into_http(),
    }
}

/// At most eight digits and a unit
/// ([source](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests)); anything else is as if absent.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_grpc_writes_it() {
        for (text, expected) in [
            ("1H", Some(Duration::from_hours(1))),
            ("2M", Some(Duration::from_mins(2))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", Some(Duration::ZERO)),
            ("", None),
            ("S", None),
            ("123456789S", None),
            ("1", None),
            ("1X", None),
            ("-1S", None),
            ("1ä", None),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
