//! What a request asks for, read once.
//!
//! In: names, selectors and enums as they came. Out: core's values, or `INVALID_ARGUMENT` with the field.
//! Law: an enum number that this version does not know is refused, never taken for "all".

use super::errors::{self, Reason};
use segment_core::ids::{ClusterName, InvalidId, Namespace, SegmentKey};
use segment_core::selector::Selector;
use segment_proto::v1::{AssignmentState, Connection, View};
use std::collections::BTreeSet;
use std::str::FromStr;
use tonic::Status;

/// Longest selector, in bytes: some 200 requirements.
const SELECTOR_MAX_BYTES: usize = 16 * 1024;

fn name<T: FromStr<Err = InvalidId>>(field: &str, text: &str) -> Result<T, Status> {
    text.parse()
        .map_err(|error: InvalidId| errors::invalid(Reason::InvalidName, field, error.to_string()))
}

/// A Segment's `namespace/name`.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn segment(field: &str, text: &str) -> Result<SegmentKey, Status> {
    name(field, text)
}

/// A Segment's name, if one is asked for.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn maybe_segment(field: &str, text: &str) -> Result<Option<SegmentKey>, Status> {
    (!text.is_empty()).then(|| name(field, text)).transpose()
}

/// A Cluster's name.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn cluster(field: &str, text: &str) -> Result<ClusterName, Status> {
    name(field, text)
}

/// A Cluster's name, if one is asked for.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn maybe_cluster(field: &str, text: &str) -> Result<Option<ClusterName>, Status> {
    (!text.is_empty()).then(|| name(field, text)).transpose()
}

/// A namespace, if one is asked for.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn maybe_namespace(field: &str, text: &str) -> Result<Option<Namespace>, Status> {
    (!text.is_empty()).then(|| name(field, text)).transpose()
}

/// What kubectl takes after `-l`.
///
/// # Errors
/// `INVALID_ARGUMENT` with the offset in the text.
pub fn selector(field: &str, text: &str) -> Result<Selector, Status> {
    if text.len() > SELECTOR_MAX_BYTES {
        let message = format!(
            "has {} bytes, at most {SELECTOR_MAX_BYTES} are allowed",
            text.len()
        );
        return Err(errors::invalid(Reason::InvalidSelector, field, message));
    }
    Selector::parse_text(text, field)
        .map_err(|finding| errors::finding(Reason::InvalidSelector, &finding))
}

/// A number that this version does not know.
pub fn unknown(field: &str, number: i32) -> Status {
    errors::invalid(
        Reason::InvalidValue,
        field,
        format!("{number} is not a value that this hub knows"),
    )
}

/// States; none asks for all.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn states(field: &str, numbers: &[i32]) -> Result<BTreeSet<i32>, Status> {
    let mut states = BTreeSet::new();
    for &number in numbers {
        match AssignmentState::try_from(number) {
            Ok(AssignmentState::Unspecified) => return Ok(BTreeSet::new()),
            Ok(_) => states.insert(number),
            Err(_) => return Err(unknown(field, number)),
        };
    }
    Ok(states)
}

/// Whether the view is FULL.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn is_full(number: i32) -> Result<bool, Status> {
    match View::try_from(number) {
        Ok(view) => Ok(view == View::Full),
        Err(_) => Err(unknown("view", number)),
    }
}

/// Whether clusters shall be connected, or not; `None`: all.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn connection(number: i32) -> Result<Option<bool>, Status> {
    match Connection::try_from(number) {
        Ok(Connection::Unspecified) => Ok(None),
        Ok(Connection::Connected) => Ok(Some(true)),
        Ok(Connection::Disconnected) => Ok(Some(false)),
        Err(_) => Err(unknown("connection", number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_refused_with_its_field() {
        for (status, message) in [
            (
                segment("name", "demo").unwrap_err(),
                "name: segment \"demo\" must have the form namespace/name",
            ),
            (
                segment("name", "").unwrap_err(),
                "name: segment \"\" must have the form namespace/name",
            ),
            (
                cluster("cluster", "").unwrap_err(),
                "cluster: cluster name \"\" is empty",
            ),
            (
                selector("label_selector", "a=")
                    .map(drop)
                    .and(selector("label_selector", "="))
                    .unwrap_err(),
                "",
            ),
            (
                states("states", &[1, 77]).unwrap_err(),
                "states: 77 is not a value that this hub knows",
            ),
            (
                is_full(9).unwrap_err(),
                "view: 9 is not a value that this hub knows",
            ),
            (
                connection(-1).unwrap_err(),
                "connection: -1 is not a value that this hub knows",
            ),
        ] {
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
            assert!(
                status.message().starts_with(message),
                "{}",
                status.message()
            );
        }
    }

    #[test]
    fn absent_asks_for_all() {
        assert_eq!(maybe_segment("f", "").unwrap(), None);
        assert_eq!(maybe_namespace("f", "").unwrap(), None);
        assert_eq!(maybe_cluster("f", "").unwrap(), None);
        assert!(states("f", &[]).unwrap().is_empty() && states("f", &[0, 1]).unwrap().is_empty());
        assert!(selector("f", "").unwrap().selects_everything());
        assert_eq!((connection(0).unwrap(), is_full(0).unwrap()), (None, false));
    }
}
