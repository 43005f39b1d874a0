//! Revisions as `ControllerRevision`s, as StatefulSets have them: what renders, and the whole last good spec.
//!
//! In: a revision's data. Out: the newest good one of a Segment after a restart. Law: written once per revision; at most
//! `revisionHistoryLimit` are kept; they go with their Segment (owner reference). Not: rollouts.

use super::CALL_LIMIT;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client, Resource as _};
use segment_core::ids::{Revision, SegmentKey, Uid};
use segment_core::names::{
    ANNOTATION_AUTHOR, ANNOTATION_CHANGE_CAUSE, LABEL_REVISION, LABEL_SEGMENT_HASH, MANAGER_HUB,
};
use segment_core::revision::spec_from_revision_data;
use segment_core::segment::ParsedSegment;
use segment_crds::Segment;
use segment_runtime::{ApiError, backoff};
use std::collections::BTreeMap;

/// A revision to be kept.
#[derive(Clone, Debug)]
pub struct StoredRevision {
    /// Which Segment.
    pub key: SegmentKey,
    /// Its uid.
    pub uid: Uid,
    /// Its generation when the revision was made.
    pub generation: i64,
    /// The revision.
    pub revision: Revision,
    /// As `core::revision::revision_data` makes it.
    pub data: serde_json::Value,
    /// How many are kept.
    pub history: usize,
    /// Who wrote the spec: its field manager.
    pub author: Option<String>,
    /// Why, in the author's words.
    pub cause: Option<String>,
}

fn label_of(key: &SegmentKey) -> String {
    key.hash().to_string()
}

fn api(client: &Client, key: &SegmentKey) -> Api<ControllerRevision> {
    Api::namespaced(client.clone(), key.namespace.as_str())
}

/// All stored ones of a Segment's uid, oldest first.
///
/// # Errors
/// When the API server refuses or does not answer.
pub async fn list(
    client: &Client,
    key: &SegmentKey,
    uid: Uid,
) -> Result<Vec<ControllerRevision>, ApiError> {
    let params = ListParams::default().labels(&format!("{LABEL_SEGMENT_HASH}={}", label_of(key)));
    let what = format!("LIST ControllerRevisions of segment {key}");
    let mut found = backoff::call(CALL_LIMIT, what, api(client, key).list(&params))
        .await?
        .items;
    let owner = uid.to_string();
    found.retain(|revision| {
        revision
            .metadata
            .owner_references
            .iter()
            .flatten()
            .any(|reference| reference.uid == owner)
    });
    found.sort_by_key(|revision| revision.revision);
    Ok(found)
}

/// What a stored revision means, under the revision that it is stored as; `None`, and a line in the log, where today's
/// rules can't use it.
pub fn read(
    stored: &ControllerRevision,
    key: &SegmentKey,
    uid: Uid,
) -> Option<(Revision, ParsedSegment)> {
    let parsed = stored
        .data
        .as_ref()
        .ok_or_else(|| "it has no data".to_owned())
        .and_then(|data| spec_from_revision_data(&data.0).map_err(|error| error.to_string()))
        .and_then(|revision| {
            revision
                .parse(key.clone(), uid, stored.revision)
                .map_err(|findings| format!("{findings:?}"))
        });
    match (parsed, revision_of(stored)) {
        (Ok(parsed), Some(revision)) => Some((revision, parsed)),
        (parsed, _) => {
            let error = parsed.err().unwrap_or_else(|| "it has no label".to_owned());
            tracing::warn!(segment = %key, error, "a stored revision can't be used");
            None
        }
    }
}

/// The revision that an object stores.
pub fn revision_of(stored: &ControllerRevision) -> Option<Revision> {
    let labels = stored.metadata.labels.as_ref()?;
    labels.get(LABEL_REVISION)?.parse().ok()
}

/// Keeps a revision and forgets the oldest beyond the limit. Keeping it again changes nothing.
///
/// # Errors
/// When the API server refuses or does not answer.
pub async fn keep(client: &Client, new: &StoredRevision) -> Result<(), ApiError> {
    // Generation and uid are in the name: the same revision comes again after an edit and its undo, or under a namesake.
    let uid = new.uid.to_string();
    let name = format!(
        "{}-{}-{}-{}",
        trimmed(new.key.name.as_str()),
        new.revision,
        uid.get(..8).unwrap_or_default(),
        new.generation
    );
    let object = ControllerRevision {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some(BTreeMap::from([
                (LABEL_SEGMENT_HASH.to_owned(), label_of(&new.key)),
                (LABEL_REVISION.to_owned(), new.revision.to_string()),
            ])),
            annotations: Some(
                [
                    (ANNOTATION_AUTHOR, &new.author),
                    (ANNOTATION_CHANGE_CAUSE, &new.cause),
                ]
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)))
                .collect(),
            ),
            owner_references: Some(vec![OwnerReference {
                api_version: Segment::api_version(&()).into_owned(),
                kind: Segment::kind(&()).into_owned(),
                name: new.key.name.to_string(),
                uid: new.uid.to_string(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        data: Some(k8s_openapi::apimachinery::pkg::runtime::RawExtension(
            new.data.clone(),
        )),
        revision: new.generation,
    };
    let params = PostParams {
        field_manager: Some(MANAGER_HUB.to_owned()),
        ..PostParams::default()
    };
    let what = format!("POST ControllerRevision {}/{name}", new.key.namespace);
    match backoff::call(
        CALL_LIMIT,
        what,
        api(client, &new.key).create(&params, &object),
    )
    .await
    {
        Ok(_) => {}
        Err(error) if error.is_already_exists() => return Ok(()),
        Err(error) => return Err(error),
    }
    let all = list(client, &new.key, new.uid).await?;
    // Of one revision the newest generation is enough; of the rest, the newest few.
    let (same, others): (Vec<_>, Vec<_>) = all
        .iter()
        .rev()
        .filter(|old| old.revision < new.generation)
        .partition(|old| {
            old.metadata
                .labels
                .as_ref()
                .and_then(|labels| labels.get(LABEL_REVISION))
                == Some(&new.revision.to_string())
        });
    for old in same
        .into_iter()
        .chain(others.into_iter().skip(new.history.max(1) - 1))
    {
        let Some(name) = &old.metadata.name else {
            continue;
        };
        let what = format!("DELETE ControllerRevision {}/{name}", new.key.namespace);
        match backoff::call(
            CALL_LIMIT,
            what,
            api(client, &new.key).delete(name, &DeleteParams::default()),
        )
        .await
        {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// A Segment's name has up to 134 characters and ours 17 more; a name may have 253. Nothing to cut today, but said.
fn trimmed(name: &str) -> &str {
    name.get(..200).unwrap_or(name)
}
