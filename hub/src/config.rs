//! Flags and environment, judged before any port is bound.

use crate::args::{Args, PeriodArgs};
use jiff::SignedDuration;
use segment_core::finding::Finding;
use segment_core::index::Settings;
use segment_core::segment::HouseDefaults;
use segment_runtime::lease::LeaseTimes;
use std::time::Duration;

/// What the hub runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// As given.
    pub args: Args,
    /// House defaults in force.
    pub defaults: HouseDefaults,
    /// Periods of the index.
    pub settings: Settings,
    /// Periods of the Lease.
    pub lease: LeaseTimes,
    /// Life of an agent's certificate.
    pub leaf_life: SignedDuration,
    /// Host and port for agents.
    pub agents_address: String,
    /// Host and port for users.
    pub users_address: String,
}

/// The hub can't run like this.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// House defaults that no Segment could be rendered with.
    #[error("invalid house defaults in the environment: {}", list(.0))]
    Defaults(Vec<Finding>),
    /// A holder must step down before others take over.
    #[error(
        "--lease-renew-deadline ({deadline:?}) must be between --lease-retry ({retry:?}) and --lease-duration ({duration:?})"
    )]
    Lease {
        /// As given.
        deadline: Duration,
        /// As given.
        retry: Duration,
        /// As given.
        duration: Duration,
    },
    /// More than 292 billion years.
    #[error("{flag} is too long")]
    TooLong {
        /// Which.
        flag: &'static str,
    },
    /// An address that nobody could dial.
    #[error("{flag} must be host:port, not {value:?}")]
    Address {
        /// Which.
        flag: &'static str,
        /// As given.
        value: String,
    },
}

fn list(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

impl Config {
    /// Judges flags and environment.
    ///
    /// # Errors
    /// Names what is wrong.
    pub fn new(
        args: Args,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let defaults = HouseDefaults::from_env(environment).map_err(ConfigError::Defaults)?;
        let PeriodArgs {
            lease_duration,
            lease_renew_deadline,
            lease_retry,
            settle,
            stale_after,
            progress_deadline,
            max_changing,
            certificate_life,
            drain_limit: _,
        } = args.periods;
        if lease_renew_deadline >= lease_duration || lease_retry >= lease_renew_deadline {
            return Err(ConfigError::Lease {
                deadline: lease_renew_deadline,
                retry: lease_retry,
                duration: lease_duration,
            });
        }
        let signed = |flag, period: Duration| {
            SignedDuration::try_from(period).map_err(|_| ConfigError::TooLong { flag })
        };
        let service = |port: u16| format!("segment-hub.{}.svc:{port}", args.listen.namespace);
        let address = |flag, given: &Option<String>, port| match given {
            Some(value) if host_of(value).is_some() => Ok(value.clone()),
            Some(value) => Err(ConfigError::Address {
                flag,
                value: value.clone(),
            }),
            None => Ok(service(port)),
        };
        Ok(Self {
            agents_address: address(
                "--public-agents-address",
                &args.listen.public_agents_address,
                8443,
            )?,
            users_address: address(
                "--public-users-address",
                &args.listen.public_users_address,
                9443,
            )?,
            defaults,
            settings: Settings {
                progress_deadline: signed("--progress-deadline", progress_deadline)?,
                max_changing_percent: max_changing.into(),
                settle: signed("--settle", settle)?,
                stale_after: signed("--stale-after", stale_after)?,
            },
            lease: LeaseTimes {
                duration: lease_duration,
                renew_deadline: lease_renew_deadline,
                retry: lease_retry,
            },
            leaf_life: signed("--certificate-life", certificate_life)?,
            args,
        })
    }

    /// Names that the hub's own certificates carry: how it is dialled from outside and inside.
    pub fn server_names(&self) -> Vec<String> {
        let namespace = &self.args.listen.namespace;
        let mut names = vec![
            "segment-hub".to_owned(),
            format!("segment-hub.{namespace}"),
            format!("segment-hub.{namespace}.svc"),
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
        ];
        names.extend(
            [&self.agents_address, &self.users_address]
                .into_iter()
                .filter_map(|a| host_of(a)),
        );
        names.sort();
        names.dedup();
        names
    }
}

/// The host of `host:port` (`[::1]:8443` too).
fn host_of(address: &str) -> Option<String> {
    let (host, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok().filter(|port| *port > 0)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn config(flags: &[&str], environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let args =
            Args::try_parse_from(std::iter::once("segment-hub").chain(flags.iter().copied()))
                .unwrap();
        Config::new(
            args,
            environment
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        )
    }

    #[test]
    fn what_cannot_work_is_refused_by_name_before_the_start() {
        for (flags, environment, named) in [
            (
                &["--lease-renew-deadline", "9s"][..],
                &[][..],
                "--lease-renew-deadline (9s)",
            ),
            (
                &["--public-agents-address", "hub"],
                &[],
                "--public-agents-address",
            ),
            (
                &["--public-users-address", "hub:0"],
                &[],
                "--public-users-address",
            ),
            (&[], &[("DB_TYPE", "oracle")], "DB_TYPE"),
        ] {
            let error = config(flags, environment).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn the_certificates_carry_the_names_that_are_dialled() {
        let names = config(&["--public-agents-address", "hub.corp:8443"], &[])
            .unwrap()
            .server_names();
        assert!(
            names.contains(&"hub.corp".to_owned())
                && names.contains(&"segment-hub.segment-system.svc".to_owned())
        );
    }
}
