//! A policy as it is told: `PolicyReport` ↔ frames. An empty digest is none; a text is within its bounds or no text.
//!
//! Law: no error quotes the text. Not: whether the digest is the text's (`segment_core::sync::hub`).

use super::error::{ConvertError, Problem, at_most};
use super::ids;
use crate::agent::v1;
use bytes::Bytes;
use segment_core::admit::PolicyText;
use segment_core::ids::PolicyDigest;
use segment_core::sync::frame::AgentFrame;
use std::sync::Arc;

pub(super) fn digest_to_wire(digest: Option<PolicyDigest>) -> Bytes {
    digest.map_or_else(Bytes::new, |digest| ids::bytes(digest.as_bytes()))
}

pub(super) fn digest_from_wire(
    field: &str,
    bytes: &[u8],
) -> Result<Option<PolicyDigest>, ConvertError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    ids::policy_digest(field, bytes).map(Some)
}

pub(super) fn text_to_wire(text: &PolicyText) -> v1::PolicyText {
    let data = text.data().iter();
    v1::PolicyText {
        data: data
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    }
}

fn text_from_wire(text: v1::PolicyText) -> Result<PolicyText, ConvertError> {
    let field = "text.data";
    at_most(field, text.data.len(), PolicyText::MAX_KEYS)?;
    PolicyText::new(text.data.into_iter().collect()).map_err(|too_large| {
        let problem = Problem::TooLong {
            bytes: too_large.bytes,
            limit: PolicyText::MAX_BYTES,
        };
        ConvertError::new(field, problem)
    })
}

pub(super) fn report_from_wire(report: v1::PolicyReport) -> Result<AgentFrame, ConvertError> {
    let digest = digest_from_wire("digest", &report.digest)?;
    match (digest, report.text) {
        (digest, None) => Ok(AgentFrame::Policy(digest)),
        (None, Some(_)) => Err(ConvertError::new("text", Problem::Unexpected)),
        (Some(digest), Some(text)) => Ok(AgentFrame::PolicyText {
            digest,
            text: Arc::new(text_from_wire(text)?),
        }),
    }
}
