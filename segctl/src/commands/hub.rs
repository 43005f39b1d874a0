//! `hub`: the hub itself.

use crate::api::{Hub, hub_rpc};
use crate::args::{HubCommand, Times};
use crate::exit::{Exit, Failure};
use crate::output::age::Clock;
use crate::output::{self, detail};
use segment_proto::v1::{AcceptRestoreRequest, GetHubRequest};
use std::io::IsTerminal as _;

pub(super) async fn run(hub: &Hub, command: HubCommand) -> Result<Exit, Failure> {
    match command {
        HubCommand::Info { output } => {
            let answer = hub.call(hub_rpc::get(), GetHubRequest {}).await?;
            let clock = Clock::new(Times::Relative, answer.source.as_ref());
            let info = answer.hub.clone().unwrap_or_default();
            output::document(
                output,
                || hub_rpc::get().answer_json(&answer),
                || detail::hub(&info, clock),
            )?;
            Ok(Exit::Yes)
        }
        HubCommand::AcceptRestore {
            reason,
            yes,
            dry_run,
        } => accept_restore(hub, reason, yes, dry_run).await,
    }
}

async fn accept_restore(
    hub: &Hub,
    reason: String,
    yes: bool,
    dry_run: bool,
) -> Result<Exit, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::usage("--reason must say why"));
    }
    let request = |validate_only| AcceptRestoreRequest {
        reason: reason.clone(),
        request_id: format!("{:032x}", rand::random::<u128>()),
        validate_only,
    };
    let preview = hub.call(hub_rpc::accept_restore(), request(true)).await?;
    let waiting = crate::text::count(preview.went_back.len(), "cluster");
    if dry_run {
        output::print(&format!(
            "era {} would be raised; {waiting} wait for it (dry run)",
            preview.previous_era()
        ))?;
        return Ok(Exit::Yes);
    }
    if !yes && !asked(&format!(
        "The hub at {} may then roll clusters back to what it knows ({waiting} wait for it). Go on?",
        hub.link.address
    ))
    .await?
    {
        return Ok(Exit::No);
    }
    let answer = hub.call(hub_rpc::accept_restore(), request(false)).await?;
    output::print(&format!(
        "era raised from {} to {}",
        answer.previous_era(),
        answer.era()
    ))?;
    Ok(Exit::Yes)
}

/// Asks on a terminal; without one, nobody is there to answer.
pub(super) async fn asked(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("nobody can be asked without a terminal").help("say --yes"));
    }
    output::note(&format!("{question} [y/N]"));
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    })
    .await;
    Ok(matches!(line, Ok(Ok(line)) if matches!(line.trim(), "y" | "Y" | "yes")))
}
