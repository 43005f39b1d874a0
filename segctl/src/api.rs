//! Calls of the hub's API: one place for deadlines, `--show-rpc`, errors.
//!
//! In: a method and its request. Out: its answer, or a [`Failure`]. Law: every call has a deadline unless the user took
//! it away; a list is read to its last page. Not: what is done with the answer.

mod lists;
mod rpc;
mod watch;

pub(crate) use lists::{assignments, clusters, orphans, segments};
pub(crate) use rpc::{Rpc, cluster_rpc, hub_rpc, plan_rpc, run_rpc, segment_rpc};
pub(crate) use watch::{Change, watch};

use crate::args::Globals;
use crate::connect::{self, HubChannel, Link};
use crate::exit::{Exit, Failure, failure_of};
use prost::Message;
use std::time::Duration;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic_prost::ProstCodec;

/// The hub, as commands use it.
pub(crate) struct Hub {
    /// How it is reached.
    pub(crate) link: Link,
    limit: Option<Duration>,
    show_rpc: bool,
    namespace: Option<String>,
}

impl Hub {
    /// Finds the hub.
    pub(crate) async fn find(globals: &Globals) -> Result<Self, Failure> {
        let link = connect::link(globals).await?;
        let namespace = link.login.scope(globals);
        Ok(Self {
            link,
            limit: (!globals.request_timeout.is_zero()).then_some(globals.request_timeout),
            show_rpc: globals.show_rpc,
            namespace,
        })
    }

    /// The namespace that lists are kept to; empty: all.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    /// One call.
    pub(crate) async fn call<Q, A>(&self, rpc: Rpc<Q, A>, request: Q) -> Result<A, Failure>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.show(rpc, &request)?;
        let mut request = tonic::Request::new(request);
        if let Some(limit) = self.limit {
            request.set_timeout(limit);
        }
        let call = async {
            let mut grpc = self.ready().await?;
            grpc.unary(request, rpc.path(), ProstCodec::<Q, A>::default())
                .await
                .map_err(|status| self.failure(&status))
        };
        let answer = match self.limit {
            Some(limit) => tokio::time::timeout(limit, call)
                .await
                .map_err(|_| self.late())??,
            None => call.await?,
        };
        Ok(answer.into_inner())
    }

    /// A stream of answers. Only its start has a deadline.
    pub(crate) async fn stream<Q, A>(
        &self,
        rpc: Rpc<Q, A>,
        request: Q,
    ) -> Result<tonic::Streaming<A>, Failure>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.show(rpc, &request)?;
        let call = async {
            let mut grpc = self.ready().await?;
            grpc.server_streaming(
                tonic::Request::new(request),
                rpc.path(),
                ProstCodec::<Q, A>::default(),
            )
            .await
            .map_err(|status| self.failure(&status))
        };
        let answer = match self.limit {
            Some(limit) => tokio::time::timeout(limit, call)
                .await
                .map_err(|_| self.late())??,
            None => call.await?,
        };
        Ok(answer.into_inner())
    }

    /// A status as a failure that names this hub.
    pub(crate) fn failure(&self, status: &tonic::Status) -> Failure {
        failure_of(status, &self.link.address.to_string())
    }

    async fn ready(&self) -> Result<Grpc<HubChannel>, Failure> {
        let mut grpc =
            Grpc::new(self.link.channel.clone()).accept_compressed(CompressionEncoding::Gzip);
        grpc.ready().await.map_err(|error| {
            let error: tower::BoxError = error;
            let mut failure = Failure::new(
                Exit::Unreachable,
                format!("hub {}: {error}", self.link.address),
            );
            failure.transient = true;
            failure
        })?;
        Ok(grpc)
    }

    fn late(&self) -> Failure {
        Failure::new(
            Exit::TimedOut,
            format!("hub {} did not answer in time", self.link.address),
        )
        .help("give it longer with --request-timeout")
    }

    fn show<Q: Message, A>(&self, rpc: Rpc<Q, A>, request: &Q) -> Result<(), Failure> {
        if self.show_rpc {
            let line = format!(
                "grpcurl -cacert hub-ca.pem -expand-headers -H 'authorization: Bearer ${{TOKEN}}' -d {} {} {}/{}",
                quoted(&rpc.request_json(request)?),
                self.link.address,
                rpc.service,
                rpc.name
            );
            crate::output::note(&line);
        }
        Ok(())
    }
}

/// In single quotes, for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_a_shell() {
        assert_eq!(
            quoted(r#"{"labelSelector":"a in (b)"}"#),
            r#"'{"labelSelector":"a in (b)"}'"#
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
