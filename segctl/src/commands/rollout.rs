//! `rollout`: how a revision goes out, and what is done about it.

use super::names;
use crate::api::{Hub, rollout_rpc};
use crate::args::{
    ApproveArgs, Document, OperateArgs, RolloutCommand, RolloutHistoryArgs, RolloutStatusArgs,
    RolloutWatchArgs, Times, UndoArgs,
};
use crate::exit::{Exit, Failure};
use crate::output::age::Clock;
use crate::output::{self, rollout as shown};
use segment_proto::v1::{
    ApproveRolloutRequest, ControlRolloutRequest, GetRolloutRequest, GetRolloutResponse,
    ListRevisionsRequest, Rollout, RolloutAction, RolloutState,
};
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

/// How often a rollout is asked for while it is waited for.
const POLL_PERIOD: Duration = Duration::from_secs(1);
/// For how long the hub may be away while a rollout is waited for: a new leader is there sooner.
const HUB_AWAY: Duration = Duration::from_mins(2);

pub(super) async fn run(hub: &Hub, command: RolloutCommand) -> Result<Exit, Failure> {
    match command {
        RolloutCommand::Status(args) => status(hub, args).await,
        RolloutCommand::Watch(args) => watch(hub, args).await,
        RolloutCommand::History(args) => history(hub, args).await,
        RolloutCommand::Pause(args) => control(hub, args, RolloutAction::Pause, "").await,
        RolloutCommand::Resume(args) => control(hub, args, RolloutAction::Resume, "").await,
        RolloutCommand::Abort(args) => control(hub, args, RolloutAction::Abort, "").await,
        RolloutCommand::Retry(args) => control(hub, args, RolloutAction::Retry, "").await,
        RolloutCommand::Undo(UndoArgs { operate, to }) => {
            control(hub, operate, RolloutAction::Undo, &to).await
        }
        RolloutCommand::Approve(args) => approve(hub, args).await,
    }
}

async fn get(hub: &Hub, name: &str) -> Result<GetRolloutResponse, Failure> {
    let request = GetRolloutRequest {
        segment: name.to_owned(),
    };
    match hub.call(rollout_rpc::get(), request).await {
        Ok(answer) => Ok(answer),
        Err(failure) => Err(names::explain_segment(hub, name, failure).await),
    }
}

/// The same, over a hub that is away for a moment.
async fn get_again(hub: &Hub, name: &str) -> Result<GetRolloutResponse, Failure> {
    let since = Instant::now();
    let mut said = false;
    loop {
        match get(hub, name).await {
            Err(failure) if failure.transient && since.elapsed() < HUB_AWAY => {
                if !said {
                    output::note(&format!("{}; trying on", failure.message));
                    said = true;
                }
                tokio::time::sleep(POLL_PERIOD).await;
            }
            other => return other,
        }
    }
}

/// What a script wants to know: `None` while it goes on.
fn verdict(rollout: &Rollout, pinned: &str) -> Option<Exit> {
    if !pinned.is_empty() && !rollout.revision.starts_with(pinned) {
        return Some(Exit::No);
    }
    match rollout.state() {
        RolloutState::Completed if rollout.undone_revision.is_empty() => Some(Exit::Yes),
        // An undo that is complete is not what was asked for, unless it was.
        RolloutState::Completed if !pinned.is_empty() => Some(Exit::Yes),
        RolloutState::Completed | RolloutState::Halted => Some(Exit::No),
        _ => None,
    }
}

async fn status(hub: &Hub, args: RolloutStatusArgs) -> Result<Exit, Failure> {
    let name = names::segment(hub, &args.segment).await?;
    let pinned = args.revision.trim().to_ascii_lowercase();
    let since = Instant::now();
    let mut last = String::new();
    let mut answer = get(hub, &name).await?;
    loop {
        let rollout = answer.rollout.clone().unwrap_or_default();
        let done = verdict(&rollout, &pinned);
        if done.is_some() || args.no_wait {
            let clock = Clock::new(Times::Relative, answer.source.as_ref());
            output::document(
                args.output,
                || rollout_rpc::get().answer_json(&answer),
                || shown::sentence(&rollout, &pinned, clock),
            )?;
            return Ok(done.unwrap_or(Exit::No));
        }
        let line = shown::progress(&rollout);
        if line != last {
            output::note(&line);
            last = line;
        }
        if !args.timeout.is_zero() && since.elapsed() >= args.timeout {
            return Err(Failure::new(
                Exit::TimedOut,
                format!(
                    "rollout of {name} is not complete after {} s",
                    args.timeout.as_secs()
                ),
            )
            .help(format!(
                "segctl rollout watch {name} shows what it waits for"
            )));
        }
        tokio::time::sleep(POLL_PERIOD).await;
        answer = get_again(hub, &name).await?;
    }
}

async fn watch(hub: &Hub, args: RolloutWatchArgs) -> Result<Exit, Failure> {
    let name = names::segment(hub, &args.segment).await?;
    let screen = std::io::stdout().is_terminal();
    let mut last: Option<Rollout> = None;
    let mut answer = get(hub, &name).await?;
    loop {
        let rollout = answer.rollout.clone().unwrap_or_default();
        let clock = Clock::new(Times::Relative, answer.source.as_ref());
        let block = shown::block(&rollout, clock);
        let done = verdict(&rollout, "");
        if screen {
            output::print(&format!("\x1b[2J\x1b[H{block}"))?;
        } else if last.as_ref() != Some(&rollout) {
            // Ages alone are no news for a log.
            output::print(&block)?;
            last = Some(rollout);
        }
        if let Some(exit) = done {
            return Ok(exit);
        }
        tokio::time::sleep(POLL_PERIOD).await;
        answer = get_again(hub, &name).await?;
    }
}

async fn history(hub: &Hub, args: RolloutHistoryArgs) -> Result<Exit, Failure> {
    let name = names::segment(hub, &args.segment).await?;
    let request = ListRevisionsRequest {
        segment: name.clone(),
    };
    let answer = match hub.call(rollout_rpc::revisions(), request).await {
        Ok(answer) => answer,
        Err(failure) => return Err(names::explain_segment(hub, &name, failure).await),
    };
    let clock = Clock::new(args.listing.time, answer.source.as_ref());
    output::listing(
        args.listing,
        || rollout_rpc::revisions().answer_json(&answer),
        || shown::history(&name, &answer.revisions, clock),
        &format!("No revision of {name} is stored: its spec was never accepted."),
    )?;
    Ok(Exit::Yes)
}

async fn control(
    hub: &Hub,
    args: OperateArgs,
    action: RolloutAction,
    to: &str,
) -> Result<Exit, Failure> {
    let name = names::segment(hub, &args.segment).await?;
    let request = ControlRolloutRequest {
        segment: name.clone(),
        action: action.into(),
        to_revision: to.trim().to_owned(),
        reason: args.reason.clone(),
        validate_only: args.dry_run,
    };
    let answer = match hub.call(rollout_rpc::control(), request).await {
        Ok(answer) => answer,
        Err(failure) => return Err(names::explain_segment(hub, &name, failure).await),
    };
    if !answer.note.is_empty() {
        output::note(&answer.note);
    }
    done(&args, &name, answer.rollout.as_ref(), |form| match form {
        Document::Text => Ok(serde_json::Value::Null),
        _ => rollout_rpc::control().answer_json(&answer),
    })
}

async fn approve(hub: &Hub, args: ApproveArgs) -> Result<Exit, Failure> {
    let ApproveArgs { operate, wave } = args;
    let name = names::segment(hub, &operate.segment).await?;
    let request = ApproveRolloutRequest {
        segment: name.clone(),
        wave,
        reason: operate.reason.clone(),
        validate_only: operate.dry_run,
    };
    let answer = match hub.call(rollout_rpc::approve(), request).await {
        Ok(answer) => answer,
        Err(failure) => return Err(names::explain_segment(hub, &name, failure).await),
    };
    done(
        &operate,
        &name,
        answer.rollout.as_ref(),
        |form| match form {
            Document::Text => Ok(serde_json::Value::Null),
            _ => rollout_rpc::approve().answer_json(&answer),
        },
    )
}

fn done(
    args: &OperateArgs,
    name: &str,
    rollout: Option<&Rollout>,
    value: impl FnOnce(Document) -> Result<serde_json::Value, Failure>,
) -> Result<Exit, Failure> {
    if args.dry_run {
        output::note("it could be done; nothing was changed (dry run)");
    }
    let rollout = rollout.cloned().unwrap_or_default();
    output::document(
        args.output,
        || value(args.output),
        || format!("{name}: {}", shown::progress(&rollout)),
    )?;
    Ok(Exit::Yes)
}
