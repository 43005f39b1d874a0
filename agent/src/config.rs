//! What the flags mean together.
//!
//! In: [`Args`]. Out: [`Config`], or what is wrong before anything starts. Law: nothing here is checked again later.
//! Not: reading flags (`args.rs`).

use crate::args::{Args, PeriodArgs};
use crate::ledger;
use jiff::SignedDuration;
use segment_core::apply::Settings;
use segment_core::ids::{InvalidId, Namespace};
use segment_core::run_order::carry_out::RunSettings;
use segment_core::runs::{ExpectSettings, SeenSettings};
use segment_runtime::lease::LeaseTimes;
use std::time::Duration;

/// Where the hub is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubAddress {
    /// Name or IP address, without brackets: what the hub's certificate is checked for.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl HubAddress {
    /// `host:port`, with brackets around an IPv6 address.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A join token, split where the agent needs it: the hub reads the rest.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The whole text.
    pub text: String,
    /// Pin of the hub's root: `sha256:<hex>`.
    pub pin: String,
}

// Not derived: a token must not reach a log.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("pin", &self.pin)
            .finish_non_exhaustive()
    }
}

/// What the agent runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The hub.
    pub hub: HubAddress,
    /// To join with, if not joined yet.
    pub token: Option<Token>,
    /// The agent's own namespace.
    pub namespace: Namespace,
    /// Holder of the Lease.
    pub pod_name: String,
    /// Concurrent reconciliations.
    pub workers: usize,
    /// Periods of the plan.
    pub apply: Settings,
    /// Periods of ordered runs.
    pub runs: RunSettings,
    /// Periods of the ledger of runs.
    pub ledger: ledger::Settings,
    /// Periods of the Lease.
    pub lease: LeaseTimes,
    /// All other periods.
    pub periods: PeriodArgs,
}

/// A flag that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not `host:port`.
    #[error("--hub-address {0:?} must have the form host:port")]
    HubAddress(String),
    /// Not a token. What is wrong is not said: it may be half a secret.
    #[error(
        "--join-token is not a token: expected id.secret.sha256:<hex>, as `segctl cluster join` prints it"
    )]
    Token,
    /// Not a namespace.
    #[error("--namespace can't be used")]
    Namespace(#[source] InvalidId),
    /// Periods of the Lease that make it unsafe.
    #[error("--lease-retry < --lease-renew-deadline < --lease-duration must hold")]
    Lease,
}

impl Config {
    /// Checks the flags.
    ///
    /// # Errors
    /// The first that can't be used.
    pub fn new(args: &Args) -> Result<Self, ConfigError> {
        let periods = args.periods.clone();
        if periods.lease_retry >= periods.lease_renew_deadline
            || periods.lease_renew_deadline >= periods.lease_duration
        {
            return Err(ConfigError::Lease);
        }
        let settings = Settings::default();
        Ok(Self {
            hub: hub_address(&args.hub.hub_address)?,
            token: args
                .hub
                .join_token
                .as_deref()
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(token)
                .transpose()?,
            namespace: Namespace::new(&args.own.namespace).map_err(ConfigError::Namespace)?,
            pod_name: args.own.pod_name.clone(),
            workers: usize::from(args.own.workers),
            apply: Settings {
                finish_wait: periods.finish_wait,
                finish_limit: periods.finish_limit,
                guard: periods.guard,
                guard_limit: periods.guard_limit,
                contested_window: periods.contested_window,
                contested_pause: periods.contested_pause,
                contested_after: settings.contested_after,
            },
            runs: RunSettings {
                usual: signed(periods.usual_run),
                suspended_at_most: signed(periods.suspended_at_most),
            },
            ledger: ledger::Settings {
                expect: ExpectSettings {
                    grace: signed(periods.missed_grace),
                },
                seen: SeenSettings {
                    stuck_after: signed(periods.stuck_after),
                },
            },
            lease: LeaseTimes {
                duration: periods.lease_duration,
                renew_deadline: periods.lease_renew_deadline,
                retry: periods.lease_retry,
            },
            periods,
        })
    }

    /// Deadline of one call to the API server.
    pub fn call_deadline(&self) -> Duration {
        self.periods.call_deadline
    }
}

/// A period that core counts with; one that is too long for it is for ever.
fn signed(period: Duration) -> SignedDuration {
    SignedDuration::try_from(period).unwrap_or(SignedDuration::MAX)
}

fn hub_address(text: &str) -> Result<HubAddress, ConfigError> {
    let wrong = || ConfigError::HubAddress(text.to_owned());
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = bare.unwrap_or(host);
    if host.is_empty() || (bare.is_none() && host.contains(':')) || host.contains('/') {
        return Err(wrong());
    }
    let port = port
        .parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(wrong)?;
    Ok(HubAddress {
        host: host.to_owned(),
        port,
    })
}

fn token(text: &str) -> Result<Token, ConfigError> {
    let pin = text.splitn(3, '.').nth(2).ok_or(ConfigError::Token)?;
    if !pin
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return Err(ConfigError::Token);
    }
    Ok(Token {
        text: text.to_owned(),
        pin: pin.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for (text, expected) in [
            (
                "hub.example.org:8443",
                Some(("hub.example.org", 8443, "hub.example.org:8443")),
            ),
            ("127.0.0.1:1", Some(("127.0.0.1", 1, "127.0.0.1:1"))),
            ("[::1]:8443", Some(("::1", 8443, "[::1]:8443"))),
            ("hub", None),
            ("hub:0", None),
            (":8443", None),
            ("::1:8443", None),
            ("https://hub:8443", None),
        ] {
            let address = hub_address(text).ok();
            let parts = address
                .as_ref()
                .map(|address| (address.host.as_str(), address.port));
            assert_eq!(
                parts,
                expected.map(|(host, port, _)| (host, port)),
                "{text}"
            );
            assert_eq!(
                address.map(|address| address.authority()).as_deref(),
                expected.map(|row| row.2),
                "{text}"
            );
        }
    }

    #[test]
    fn a_token_without_a_pin_is_refused_without_a_word_of_it() {
        let pin = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(token(&format!("abcdefgh.0123.{pin}")).unwrap().pin, pin);
        for text in ["abcdefgh.geheim", "geheim", "abcdefgh.geheim.sha256:00"] {
            assert!(!token(text).unwrap_err().to_string().contains("geheim"));
        }
    }
}
