//! `segment-hub`.

use clap::Parser as _;
use segment_hub::args::Args;
use segment_hub::config::Config;

fn main() -> std::process::ExitCode {
    let args = Args::parse();
    if let Err(error) = segment_runtime::log::init(&args.log) {
        #[allow(clippy::print_stderr, reason = "there is no log yet")]
        {
            eprintln!("segment-hub: {error}");
        }
        return std::process::ExitCode::from(2);
    }
    let outcome = Config::new(args, std::env::vars())
        .map_err(anyhow::Error::from)
        .and_then(|config| {
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?
                .block_on(segment_hub::run::run(config))
        });
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
