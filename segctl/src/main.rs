//! `segctl`, the command line of Segment fleet; also `kubectl segment` where it is installed as `kubectl-segment`.
//!
//! In: arguments, a kubeconfig. Out: data on stdout, progress and errors on stderr, an exit code that means something.
//! Law: exit codes as `exit.rs` says; JSON is canonical proto3 JSON, the same that grpcurl prints.
//! Not: changes of Segments, which stay with kubectl and GitOps.

mod api;
mod args;
mod commands;
mod connect;
mod exit;
mod input;
mod lint;
mod nearest;
mod output;
mod text;

use clap::{CommandFactory as _, FromArgMatches as _};
use exit::{Exit, Failure};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let (args, typed_as) = match parse(std::env::args_os().collect()) {
        Ok(parsed) => parsed,
        Err(error) => {
            // clap's own text: help and version go to stdout with 0, mistakes to stderr with 2.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Yes
            }
            .into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&Failure::new(
                Exit::No,
                format!("no threads can be started: {error}"),
            ));
            return Exit::No.into();
        }
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = commands::run(args, &typed_as) => outcome,
            _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
        }
    });
    // A watch may still be blocked on a terminal: nothing is waited for.
    runtime.shutdown_background();
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::complain(&failure);
            failure.exit.into()
        }
    }
}

/// The arguments, and the command as it was typed: `segctl`, or `kubectl segment` for the plugin.
fn parse(arguments: Vec<OsString>) -> Result<(args::Args, String), clap::Error> {
    let typed_as = match arguments.first().map(Path::new).and_then(Path::file_stem) {
        Some(name) if name == "kubectl-segment" => "kubectl segment",
        _ => "segctl",
    };
    let command = args::Args::command().bin_name(typed_as);
    let matches = command.try_get_matches_from(arguments)?;
    Ok((args::Args::from_arg_matches(&matches)?, typed_as.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(args::Args, String), clap::Error> {
        parse(line.split(' ').map(OsString::from).collect())
    }

    #[test]
    fn the_plugin_is_named_as_it_was_typed() {
        assert_eq!(
            parsed("/usr/bin/kubectl-segment status").unwrap().1,
            "kubectl segment"
        );
        assert_eq!(parsed("segctl status").unwrap().1, "segctl");
        let help = parsed("kubectl-segment get --help")
            .unwrap_err()
            .to_string();
        assert!(help.contains("Usage: kubectl segment get"), "{help}");
    }

    #[test]
    fn every_command_of_the_readme_parses() {
        for line in [
            "segctl status",
            "segctl status granary/demo-segment -w",
            "segctl status -n granary --failing",
            "segctl status -A -l team=data -o wide",
            "segctl get segments -o json",
            "segctl get seg demo-segment -n granary",
            "segctl get clusters -l env=prod --no-headers",
            "segctl get assignments --segment granary/demo-segment --cluster eu-21 -o yaml",
            "segctl describe cluster eu-21",
            "segctl describe segment granary/demo-segment",
            "segctl why granary/demo-segment --cluster eu-21",
            "segctl lint a.yaml dir - -o sarif --deny-warnings --defaults house.env",
            "segctl import values.yaml api.json - --name visits -n granary -o json --defaults house.env",
            "segctl import --from-cluster eu-1 --from-cluster prod=us-1 -n granary -l team=data",
            "segctl export granary/demo-segment -o api",
            "segctl export -f a.yaml -o helm-values --cluster eu-1 --labels region=eu,env=prod",
            "segctl plan -f a.yaml -f dir --delete granary/old -o json",
            "segctl diff -f -",
            "segctl forecast --window 90m --per db-host -l team=data --clusters env=prod --peaks 3",
            "segctl forecast granary/demo-segment --time utc -o yaml",
            "segctl render granary/demo-segment --cluster eu-21 -o json",
            "segctl render -f a.yaml -f dir --cluster eu-21 --labels env=prod,region=eu --annotations a=b --defaults house.env",
            "segctl explain",
            "segctl explain DB_HOST -o json",
            "segctl explain -f a.yaml -f dir --defaults house.env",
            "segctl rollout status granary/demo-segment --timeout 5m --revision 7f3a91c",
            "segctl rollout watch demo-segment -n granary",
            "segctl rollout history granary/demo-segment -o json",
            "segctl rollout pause granary/demo-segment --reason incident",
            "segctl rollout resume granary/demo-segment --dry-run",
            "segctl rollout approve granary/demo-segment --wave canary --reason seen",
            "segctl rollout abort granary/demo-segment",
            "segctl rollout retry granary/demo-segment",
            "segctl rollout undo granary/demo-segment --to 9c0e2aa --reason bad",
            "segctl hold",
            "segctl hold granary/demo-segment --until 4h --reason maintenance",
            "segctl hold -l team=data --until 2027-01-31T06:00:00Z",
            "segctl release --all -n granary --reason done",
            "segctl orphans --cluster eu-21 -o name",
            "segctl cluster join eu-21 --labels env=prod,region=eu-west --ttl 30m --wait --timeout 2m",
            "segctl cluster join eu-21 -o manifest",
            "segctl cluster list",
            "segctl token list",
            "segctl token revoke k3f9ab --reason leaked",
            "segctl hub info",
            "segctl hub accept-restore --reason drill --yes",
            "segctl config grpcurl --ca-file /tmp/ca.pem",
            "segctl version --client",
            "segctl completion bash",
            "segctl --context prod --kubeconfig /tmp/k --request-timeout 5s --hub hub:9443 --show-rpc status",
        ] {
            assert!(
                parsed(line).is_ok(),
                "{line}: {}",
                parsed(line).unwrap_err()
            );
        }
    }

    #[test]
    fn a_mistake_in_the_arguments_is_exit_code_2() {
        for line in [
            "segctl",
            "segctl get",
            "segctl frobnicate",
            "segctl why demo",
            "segctl get segments -o xml",
            "segctl import",
            "segctl import a.yaml --from-cluster eu-1",
            "segctl import a.yaml -l a=b",
            "segctl export demo",
            "segctl export demo -f a.yaml -o api",
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.use_stderr(), "{line}");
        }
        args::Args::command().debug_assert();
    }
}
