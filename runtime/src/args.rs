//! Flags that both processes share, as groups that a binary flattens into its own.
//!
//! **In:** the command line and the environment, read once. **Out:** parsed values and a Kubernetes client.
//! **Law:** what is wrong on the command line is refused before a port is bound.
//! **Not:** a binary's own flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use tracing_subscriber::EnvFilter;

/// Longest wait for a TCP connection and TLS handshake with an API server, in seconds.
/// kube's own default is 30: longer than a Lease lives.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for a request body to be taken, in seconds.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// What is logged, and how.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// Level, or filter directives such as `info,kube=debug`
    #[arg(long, env = "LOG_LEVEL", default_value = "info", value_name = "LEVEL", value_parser = log_level)]
    pub log_level: String,

    /// Form of the lines on stderr
    #[arg(
        long,
        env = "LOG_FORMAT",
        default_value = "plain",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line per event for people.
    Plain,
    /// One JSON object per line for collectors.
    Json,
}

fn log_level(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

/// Where health and metrics are served.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Health and metrics")]
pub struct AdminArgs {
    /// Address of /livez, /readyz and /metrics
    #[arg(
        long,
        env = "ADMIN_ADDR",
        default_value = "0.0.0.0:8080",
        value_name = "IP:PORT"
    )]
    pub admin_addr: SocketAddr,
}

/// How the Kubernetes API server is found. Without flags: `$KUBECONFIG` or `~/.kube/config`, else the service account
/// that every Pod has.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubeArgs {
    /// Kubeconfig file; in a Pod none is needed
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Context in the kubeconfig instead of its current one
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// No client could be made.
#[derive(Debug, thiserror::Error)]
pub enum KubeArgsError {
    /// The named or default kubeconfig cannot be read, or the context is not in it.
    #[error("no usable kubeconfig{}", .file.as_ref().map(|f| format!(" in {}", f.display())).unwrap_or_default())]
    Kubeconfig {
        /// The file given by flag.
        file: Option<PathBuf>,
        /// What was wrong with it.
        #[source]
        source: kube::config::KubeconfigError,
    },
    /// Neither a kubeconfig nor a service account was found.
    #[error("no Kubernetes API server: give --kubeconfig or run in a Pod")]
    Infer(#[source] kube::config::InferConfigError),
    /// The configuration names a certificate, key or login that cannot be used.
    #[error("the Kubernetes login cannot be used")]
    Client(#[source] kube::Error),
}

impl KubeArgs {
    /// The configuration that the flags and the environment give, with our timeouts and without hidden retries.
    ///
    /// # Errors
    /// When no configuration is found, or the one named cannot be read.
    pub async fn config(&self) -> Result<kube::Config, KubeArgsError> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let failed = |source| KubeArgsError::Kubeconfig {
            file: self.kubeconfig.clone(),
            source,
        };
        let mut config = if let Some(file) = &self.kubeconfig {
            let kubeconfig = Kubeconfig::read_from(file).map_err(failed)?;
            kube::Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(failed)?
        } else if self.context.is_some() {
            kube::Config::from_kubeconfig(&options)
                .await
                .map_err(failed)?
        } else {
            kube::Config::infer().await.map_err(KubeArgsError::Infer)?
        };
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.write_timeout = Some(WRITE_TIMEOUT);
        // A read timeout would cut idle watches. Every other call has a deadline of its own (`backoff::deadline`).
        config.read_timeout = None;
        // kube repeats 429, 503 and 504 up to 15 times by itself, from 5 ms on: that hides Retry-After from our
        // backoff, multiplies the load on a server that asked for less, and outlives our deadlines.
        config.default_retry = false;
        // kube takes HTTPS_PROXY for the API server as well, whatever NO_PROXY says. That variable is meant for the
        // way out of the cluster; the API server is next door.
        if config.proxy_url.is_some() && config.proxy_url == proxy_from_env() {
            config.proxy_url = None;
        }
        Ok(config)
    }

    /// A client, and the configuration it was made from. No request is sent.
    ///
    /// # Errors
    /// As [`KubeArgs::config`], and when the login in it cannot be used.
    pub async fn client(&self) -> Result<(kube::Client, kube::Config), KubeArgsError> {
        crate::tls::install_provider();
        let config = self.config().await?;
        let client = kube::Client::try_from(config.clone()).map_err(KubeArgsError::Client)?;
        Ok((client, config))
    }
}

fn proxy_from_env() -> Option<http::Uri> {
    ["HTTPS_PROXY", "https_proxy"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())?
        .parse()
        .ok()
}

/// The value of a flag that is a time: `10s`, `500ms`, `1h30m`, or a number of seconds.
///
/// # Errors
/// When it is none, zero, or negative.
pub fn period(text: &str) -> Result<Duration, String> {
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => text
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok()),
    };
    parsed
        .filter(|period| !period.is_zero())
        .ok_or_else(|| format!("{text:?} is no time such as 10s, 500ms or 1h30m"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct All {
        #[command(flatten)]
        log: LogArgs,
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        kube: KubeArgs,
    }

    #[test]
    fn flags_are_refused_before_anything_starts() {
        let rows: [(&[&str], bool, &str); 6] = [
            (&[], true, "everything has a default"),
            (
                &["--log-level", "info,kube=debug"],
                true,
                "directives are a level",
            ),
            (&["--log-level", "kube=loud"], false, "not a level"),
            (&["--log-format", "json"], true, "known format"),
            (&["--log-format", "xml"], false, "unknown format"),
            (
                &["--admin-addr", "8080"],
                false,
                "an address has a port and a host",
            ),
        ];
        for (flags, accepted, why) in rows {
            let line = std::iter::once("binary").chain(flags.iter().copied());
            assert_eq!(All::try_parse_from(line).is_ok(), accepted, "{why}");
        }
    }

    #[tokio::test]
    async fn a_missing_kubeconfig_is_named() {
        let args = KubeArgs {
            kubeconfig: Some("/does/not/exist".into()),
            context: None,
        };
        let error = args.config().await.unwrap_err();
        assert_eq!(error.to_string(), "no usable kubeconfig in /does/not/exist");
    }

    const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: a
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:6443'}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: a, context: {cluster: c, user: u, namespace: n}}]
";

    #[tokio::test]
    async fn a_client_retries_nothing_behind_our_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), KUBECONFIG).unwrap();
        let args = KubeArgs {
            kubeconfig: Some(file.path().into()),
            context: None,
        };
        let (_, config) = args.client().await.unwrap();
        assert!(!config.default_retry);
        assert_eq!(config.connect_timeout, Some(CONNECT_TIMEOUT));
        assert_eq!(config.read_timeout, None);
        assert_eq!(config.default_namespace, "n");
    }

    #[test]
    fn a_time_is_written_with_its_unit_or_in_seconds() {
        for (text, expected) in [
            ("500ms", Some(500)),
            ("2", Some(2000)),
            ("0.5", Some(500)),
            ("1m", Some(60_000)),
        ] {
            assert_eq!(
                period(text).ok(),
                expected.map(Duration::from_millis),
                "{text}"
            );
        }
        for text in ["", "0", "-1", "soon", "1 parsec"] {
            assert!(period(text).is_err(), "{text}");
        }
    }
}
