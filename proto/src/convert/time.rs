//! Times ↔ `google.protobuf.Timestamp`.

use super::error::{ConvertError, Problem};
use jiff::Timestamp;

/// A time for the wire: nanoseconds count forward, also before 1970.
pub fn to_wire(time: Timestamp) -> prost_types::Timestamp {
    let (mut seconds, mut nanos) = (time.as_second(), time.subsec_nanosecond());
    if nanos < 0 {
        seconds -= 1;
        nanos += 1_000_000_000;
    }
    prost_types::Timestamp { seconds, nanos }
}

/// A time from the wire.
///
/// # Errors
/// When it is none.
pub fn from_wire(field: &str, time: prost_types::Timestamp) -> Result<Timestamp, ConvertError> {
    if !(0..1_000_000_000).contains(&time.nanos) {
        return Err(ConvertError::new(field, Problem::Time));
    }
    let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    Timestamp::from_nanosecond(nanos).map_err(|_| ConvertError::new(field, Problem::Time))
}

/// A time that may be absent.
///
/// # Errors
/// When it is there and none.
pub fn maybe_from_wire(
    field: &str,
    time: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, ConvertError> {
    time.map(|time| from_wire(field, time)).transpose()
}
