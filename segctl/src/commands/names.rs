//! Names of Segments as they are typed.
//!
//! In: `namespace/name`, or `name` with a namespace from elsewhere. Out: `namespace/name`. Law: a name that fits several
//! namespaces is asked back, never guessed.

use crate::api::{self, Hub};
use crate::exit::{Exit, Failure};
use crate::nearest::nearest;
use segment_proto::v1::{ListClustersRequest, ListSegmentsRequest};

/// The whole name of a Segment.
pub(super) async fn segment(hub: &Hub, typed: &str) -> Result<String, Failure> {
    if typed.contains('/') {
        return Ok(typed.to_owned());
    }
    if !hub.namespace().is_empty() {
        return Ok(format!("{}/{typed}", hub.namespace()));
    }
    let all = api::segments(hub, ListSegmentsRequest::default()).await?;
    choose(
        typed,
        all.segments.iter().map(|segment| segment.name.as_str()),
    )
}

fn choose<'a>(
    typed: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Result<String, Failure> {
    let mut fitting: Vec<&str> = known
        .clone()
        .filter(|name| name.split_once('/').is_some_and(|(_, name)| name == typed))
        .collect();
    fitting.sort_unstable();
    match &fitting[..] {
        [] => {
            let bare = known.filter_map(|name| name.split_once('/').map(|(_, name)| name));
            Err(not_found("segment", typed, nearest(typed, bare)))
        }
        [only] => Ok((*only).to_owned()),
        several => Err(Failure::usage(format!(
            "segment {typed} is in several namespaces: {}",
            several.join(", ")
        ))
        .help("say which: namespace/name, or -n namespace")),
    }
}

fn not_found(kind: &str, typed: &str, meant: Option<&str>) -> Failure {
    let message = match meant {
        Some(meant) => format!("{kind} {typed} not found; did you mean {meant}?"),
        None => format!("{kind} {typed} not found"),
    };
    Failure::new(Exit::NotFound, message)
}

/// Adds "did you mean" to a failure that says that a Segment is not there. Answers other failures as they are.
pub(super) async fn explain_segment(hub: &Hub, typed: &str, failure: Failure) -> Failure {
    if failure.exit != Exit::NotFound {
        return failure;
    }
    let namespace = typed
        .split_once('/')
        .map(|(namespace, _)| namespace.to_owned());
    let request = ListSegmentsRequest {
        namespace: namespace.unwrap_or_default(),
        ..ListSegmentsRequest::default()
    };
    match api::segments(hub, request).await {
        Ok(all) if all.segments.iter().any(|segment| segment.name == typed) => failure,
        Ok(all) => not_found(
            "segment",
            typed,
            nearest(
                typed,
                all.segments.iter().map(|segment| segment.name.as_str()),
            ),
        ),
        Err(_) => failure,
    }
}

/// The same for a Cluster.
pub(super) async fn explain_cluster(hub: &Hub, typed: &str, failure: Failure) -> Failure {
    if failure.exit != Exit::NotFound {
        return failure;
    }
    match api::clusters(hub, ListClustersRequest::default()).await {
        Ok(all) if all.clusters.iter().any(|cluster| cluster.name == typed) => failure,
        Ok(all) => not_found(
            "cluster",
            typed,
            nearest(
                typed,
                all.clusters.iter().map(|cluster| cluster.name.as_str()),
            ),
        ),
        Err(_) => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_completed_where_it_is_clear() {
        let known = ["granary/demo-segment", "granary/other", "test/other"];
        let choose = |typed| choose(typed, known.into_iter());
        assert_eq!(choose("demo-segment").unwrap(), "granary/demo-segment");
        let several = choose("other").unwrap_err();
        assert_eq!(several.exit, Exit::Usage);
        assert_eq!(
            several.message,
            "segment other is in several namespaces: granary/other, test/other"
        );
        let typo = choose("demo-segmnt").unwrap_err();
        assert_eq!(typo.exit, Exit::NotFound);
        assert_eq!(
            typo.message,
            "segment demo-segmnt not found; did you mean demo-segment?"
        );
    }
}
