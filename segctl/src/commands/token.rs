//! `token`: join tokens.

use crate::api::{Hub, cluster_rpc};
use crate::args::TokenCommand;
use crate::exit::{Exit, Failure};
use crate::output::age::Clock;
use crate::output::{self, rows};
use segment_proto::v1::{ListTokensRequest, RevokeTokenRequest};

pub(super) async fn run(hub: &Hub, command: TokenCommand) -> Result<Exit, Failure> {
    match command {
        TokenCommand::List { cluster, listing } => {
            let answer = hub
                .call(cluster_rpc::list_tokens(), ListTokensRequest { cluster })
                .await?;
            let clock = Clock::new(listing.time, None);
            output::listing(
                listing,
                || cluster_rpc::list_tokens().answer_json(&answer),
                || rows::tokens(&answer.tokens, clock),
                "No tokens found",
            )?;
        }
        TokenCommand::Revoke {
            id,
            reason,
            dry_run,
        } => {
            // A whole token pasted by mistake: its secret part stays here.
            let id = id
                .split_once('.')
                .map_or(id.as_str(), |(id, _)| id)
                .to_owned();
            let request = RevokeTokenRequest {
                id: id.clone(),
                validate_only: dry_run,
                reason,
            };
            hub.call(cluster_rpc::revoke_token(), request).await?;
            let dry = if dry_run { " (dry run)" } else { "" };
            output::print(&format!("token/{id} revoked{dry}"))?;
        }
    }
    Ok(Exit::Yes)
}
