//! One file per verb.
//!
//! In: arguments. Out: an exit code. Not: how the hub is reached, how things are printed.

mod cluster;
mod completion;
mod config;
mod describe;
mod explain;
mod export;
mod forecast;
mod get;
mod hold;
mod hub;
mod import;
mod lint;
mod logs;
mod names;
mod orphans;
mod plan;
mod render;
mod rollout;
mod run_now;
mod runs;
mod status;
mod token;
mod version;
mod why;

use crate::api::Hub;
use crate::args::{Args, Command};
use crate::exit::{Exit, Failure};
use crate::output::plan::Style;

/// Work that blocks, such as reading files: an interrupt is to end the program all the same. `what` names it.
async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(Exit::No, format!("{what} ended early: {error}")))?
}

/// Runs a command. `typed_as` is what the user typed for it: `segctl` or `kubectl segment`.
pub(crate) async fn run(args: Args, typed_as: &str) -> Result<Exit, Failure> {
    let Args { globals, command } = args;
    match command {
        Command::Completion { shell } => completion::run(shell, typed_as),
        Command::Version(version) => version::run(&globals, &version).await,
        Command::Status(status) => status::run(&Hub::find(&globals).await?, status).await,
        Command::Get(get) => get::run(&Hub::find(&globals).await?, get).await,
        Command::Describe(describe) => describe::run(&Hub::find(&globals).await?, describe).await,
        Command::Lint(lint) => lint::run(&globals, lint).await,
        Command::Import(import) => import::run(&globals, import).await,
        Command::Export(export) => export::run(&globals, export).await,
        Command::Plan(plan) => plan::run(&globals, plan, Style::Plan).await,
        Command::Diff(plan) => plan::run(&globals, plan, Style::Diff).await,
        Command::Forecast(forecast) => forecast::run(&Hub::find(&globals).await?, forecast).await,
        Command::Render(render) => render::run(&globals, render).await,
        Command::Explain(explain) => explain::run(&globals, explain).await,
        Command::Rollout { command } => rollout::run(&Hub::find(&globals).await?, command).await,
        Command::Hold(hold) => hold::hold(&Hub::find(&globals).await?, hold).await,
        Command::Release(release) => hold::release(&Hub::find(&globals).await?, release).await,
        Command::Runs(runs) => runs::run(&Hub::find(&globals).await?, runs).await,
        Command::Why(why) => why::run(&Hub::find(&globals).await?, why).await,
        Command::Logs(logs) => logs::run(&Hub::find(&globals).await?, logs).await,
        Command::Run(args) => run_now::run(&Hub::find(&globals).await?, args).await,
        Command::Orphans(orphans) => orphans::run(&Hub::find(&globals).await?, orphans).await,
        Command::Cluster { command } => cluster::run(&Hub::find(&globals).await?, command).await,
        Command::Token { command } => token::run(&Hub::find(&globals).await?, command).await,
        Command::Hub { command } => hub::run(&Hub::find(&globals).await?, command).await,
        Command::Config { command } => config::run(&Hub::find(&globals).await?, command),
    }
}
