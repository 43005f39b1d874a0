//! A watch that goes on over lost connections.
//!
//! In: a watch's method. Out: changes, one after the other. Law: after a break it resumes where it was; when the hub
//! says that this is too old, or after the hub changed, it starts again with a snapshot. Waits grow and have a cap.

use super::{Hub, Rpc};
use crate::exit::Failure;
use rand::Rng as _;
use segment_proto::v1::{
    Cluster, EventType, Segment, WatchClustersRequest, WatchClustersResponse, WatchSegmentsRequest,
    WatchSegmentsResponse,
};
use std::time::Duration;

/// First wait after a lost connection.
const WAIT_MIN: Duration = Duration::from_millis(200);
/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What a watch tells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change<T> {
    /// All is unknown again: a snapshot follows.
    Restarted,
    /// There, or changed.
    Is(T),
    /// Gone: only its name is known.
    Gone(T),
    /// The snapshot is complete.
    Synced,
}

/// The messages of a watch.
pub(crate) trait Watched {
    /// Its request.
    type Request: prost::Message + Clone + Send + Sync + 'static;
    /// What is watched.
    type Item;
    /// A request that goes on from a token.
    fn resume(request: &Self::Request, token: &str) -> Self::Request;
    /// What happened, the thing, the token.
    fn parts(self) -> (EventType, Option<Self::Item>, String);
}

impl Watched for WatchSegmentsResponse {
    type Request = WatchSegmentsRequest;
    type Item = Segment;
    fn resume(request: &Self::Request, token: &str) -> Self::Request {
        WatchSegmentsRequest {
            resume_token: token.to_owned(),
            ..request.clone()
        }
    }
    fn parts(self) -> (EventType, Option<Segment>, String) {
        (self.r#type(), self.segment, self.resume_token)
    }
}

impl Watched for WatchClustersResponse {
    type Request = WatchClustersRequest;
    type Item = Cluster;
    fn resume(request: &Self::Request, token: &str) -> Self::Request {
        WatchClustersRequest {
            resume_token: token.to_owned(),
            ..request.clone()
        }
    }
    fn parts(self) -> (EventType, Option<Cluster>, String) {
        (self.r#type(), self.cluster, self.resume_token)
    }
}

/// Watches until `each` fails, or the hub says that it may not be watched.
pub(crate) async fn watch<A>(
    hub: &Hub,
    rpc: Rpc<A::Request, A>,
    request: A::Request,
    mut each: impl FnMut(Change<A::Item>) -> Result<(), Failure>,
) -> Result<(), Failure>
where
    A: Watched + prost::Message + Default + Send + Sync + 'static,
{
    let mut token = String::new();
    let mut wait = WAIT_MIN;
    let mut ever = false;
    loop {
        if token.is_empty() {
            each(Change::Restarted)?;
        }
        let failure = match hub.stream(rpc, A::resume(&request, &token)).await {
            Ok(mut stream) => loop {
                match stream.message().await {
                    Ok(Some(message)) => {
                        ever = true;
                        wait = WAIT_MIN;
                        let (event, item, next) = message.parts();
                        if !next.is_empty() {
                            token = next;
                        }
                        match (event, item) {
                            (EventType::Added | EventType::Modified, Some(item)) => {
                                each(Change::Is(item))?;
                            }
                            (EventType::Deleted, Some(item)) => each(Change::Gone(item))?,
                            (EventType::Synced, _) => each(Change::Synced)?,
                            _ => {}
                        }
                    }
                    Ok(None) => break None,
                    Err(status) if status.code() == tonic::Code::OutOfRange => {
                        token.clear();
                        break None;
                    }
                    Err(status) => break Some(hub.failure(&status)),
                }
            },
            Err(failure) => Some(failure),
        };
        if let Some(failure) = failure {
            // Until the first answer a failure is the answer: a wrong address is not waited for.
            if !ever || !failure.transient {
                return Err(failure);
            }
            crate::output::note(&format!("{}; trying again", failure.message));
        }
        let spread = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(wait.mul_f64(spread)).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}
