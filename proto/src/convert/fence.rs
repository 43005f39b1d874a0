//! Fences and watermarks.

use super::error::{ConvertError, required};
use super::ids;
use crate::agent::v1;
use segment_core::fence::{Fence, Watermark};

/// A fence for the wire.
pub fn to_wire(fence: Fence) -> v1::Fence {
    v1::Fence {
        era: fence.era,
        shard_map: fence.shard_map,
        term: fence.term,
        instance: ids::bytes(fence.instance.as_bytes()),
    }
}

/// A fence from the wire.
///
/// # Errors
/// When the instance has not 16 bytes.
pub fn from_wire(fence: &v1::Fence) -> Result<Fence, ConvertError> {
    Ok(Fence {
        era: fence.era,
        shard_map: fence.shard_map,
        term: fence.term,
        instance: ids::instance("instance", &fence.instance)?,
    })
}

/// A fence that must be there.
pub(super) fn required_fence(fence: Option<v1::Fence>) -> Result<Fence, ConvertError> {
    from_wire(&required("fence", fence)?).map_err(|error| error.within("fence"))
}

/// A watermark for the wire.
pub fn watermark_to_wire(mark: Watermark) -> v1::Watermark {
    v1::Watermark {
        term: mark.term,
        n: mark.n,
    }
}

/// A watermark from the wire.
pub fn watermark_from_wire(mark: v1::Watermark) -> Watermark {
    Watermark {
        term: mark.term,
        n: mark.n,
    }
}
