//! `Logs`: what a run wrote, passed on from its cluster.
//!
//! Law: the cluster's own policy decides whether anything is read; without it the answer says why, and no more.

use super::audit;
use crate::fleet::Logs;
use crate::users::access::Caller;
use crate::users::errors::{self, Reason};
use crate::users::filter;
use crate::users::state::Services;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use segment_core::ids::{ClusterName, RunId};
use segment_proto::v1::{LogsRequest, LogsResponse};
use std::time::Duration;
use tonic::Status;

/// How long an agent may be silent about logs that it does not follow.
const SILENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether the cluster is still there.
const LOOK: Duration = Duration::from_secs(2);

impl Services {
    pub(super) async fn logs(
        &self,
        caller: &Caller,
        request: LogsRequest,
    ) -> Result<BoxStream<'static, Result<LogsResponse, Status>>, Status> {
        let outcome = self.ask_logs(caller, &request).await;
        let shown = |text: &str| text.chars().take(256).collect::<String>();
        let subject = format!(
            "segment/{} on cluster/{}",
            shown(&request.segment),
            shown(&request.cluster)
        );
        audit(caller, "segment.logs", subject, "", &outcome);
        let (logs, cluster) = outcome?;
        let reader = Reader {
            services: self.clone(),
            session: self.session(&cluster),
            cluster,
            logs,
            follow: request.follow,
            ended: false,
        };
        let told = stream::unfold(reader, |mut reader| async move {
            let next = reader.next().await?;
            Some((next, reader))
        });
        Ok(told.boxed())
    }

    async fn ask_logs(
        &self,
        caller: &Caller,
        request: &LogsRequest,
    ) -> Result<(Logs, ClusterName), Status> {
        let key = filter::segment("segment", &request.segment)?;
        let cluster = filter::cluster("cluster", &request.cluster)?;
        let run = match request.run.as_str() {
            "" => None,
            text => Some(text.parse::<RunId>().map_err(|_| {
                let message = "is no id of a run: 16 hexadecimal digits";
                errors::invalid(Reason::InvalidValue, "run", message)
            })?),
        };
        self.access
            .authz()
            .require(
                &caller.user,
                &caller.row.right,
                Some(&key.namespace),
                Some(key.name.as_str()),
            )
            .await?;
        let subject = format!("cluster/{cluster}");
        let unavailable =
            |message: &str| errors::precondition(Reason::LogsNotAvailable, &subject, message);
        {
            let index = self.fleet().index();
            if !index.segments().contains_key(&key) {
                return Err(errors::not_found("segment", &key.to_string()));
            }
            let Some(found) = index.clusters().get(&cluster) else {
                return Err(errors::not_found("cluster", cluster.as_str()));
            };
            if !found.is_connected() {
                return Err(unavailable("its agent is not connected"));
            }
            if !found.passes_logs {
                return Err(unavailable("its agent is too old to pass logs on"));
            }
        }
        let asked = self
            .fleet()
            .logs(
                &cluster,
                &caller.user.name,
                (key.hash(), run),
                request.follow,
            )
            .await;
        let logs = asked.ok_or_else(|| {
            let message = "you read other logs of this cluster, or too many are read at the hub: try again when they have ended";
            errors::exhausted(Reason::TooManyLogs, &subject, message)
        })?;
        Ok((logs, cluster))
    }

    fn session(&self, cluster: &ClusterName) -> Option<u64> {
        self.fleet().index().clusters().get(cluster)?.session
    }
}

struct Reader {
    services: Services,
    session: Option<u64>,
    cluster: ClusterName,
    logs: Logs,
    follow: bool,
    ended: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<LogsResponse, Status>> {
        let subject = format!("cluster/{}", self.cluster);
        let mut silent = Duration::ZERO;
        while !self.ended {
            let chunk = tokio::select! {
                biased;
                () = self.services.shutdown.cancelled() => {
                    self.ended = true;
                    return Some(Err(super::plan::gone()));
                }
                chunk = self.logs.chunks.recv() => chunk,
                () = tokio::time::sleep(LOOK) => {
                    silent += LOOK;
                    let lost = self.services.session(&self.cluster) != self.session;
                    if lost || (!self.follow && silent >= SILENCE) {
                        self.ended = true;
                        let message = "the cluster's agent has gone, or does not answer";
                        return Some(Err(errors::precondition(Reason::LogsNotAvailable, &subject, message)));
                    }
                    continue;
                }
            };
            let Some(chunk) = chunk else {
                self.ended = true;
                let message = "logs came faster than they were read";
                return Some(Err(errors::exhausted(
                    Reason::TooManyLogs,
                    &subject,
                    message,
                )));
            };
            if let Some(end) = chunk.end {
                self.ended = true;
                if !end.reason.is_empty() {
                    let message = format!("{}: {}", end.reason, end.message);
                    let status = errors::precondition(Reason::LogsNotAvailable, &subject, message);
                    return Some(Err(status));
                }
            }
            if !chunk.data.is_empty() {
                return Some(Ok(LogsResponse { data: chunk.data }));
            }
        }
        None
    }
}
