//! From a kubeconfig to a channel to the hub.
//!
//! In: flags and a kubeconfig. Out: [`Link`]: where the hub is, whom to trust, and the channel that logs in.
//! Law: the kubeconfig is the only login; TLS is never left out and never unchecked. Not: calls (`api.rs`).

pub(crate) mod address;
mod channel;
mod discover;
mod kubeconfig;

pub(crate) use channel::HubChannel;
pub(crate) use kubeconfig::{Login, causes};

use crate::args::Globals;
use crate::exit::{Exit, Failure};
use address::Address;

/// A way to the hub.
pub(crate) struct Link {
    /// Where the hub is.
    pub(crate) address: Address,
    /// Root certificates, PEM.
    pub(crate) roots_pem: String,
    /// Who logs in.
    pub(crate) login: Login,
    /// The channel.
    pub(crate) channel: HubChannel,
}

/// Finds the hub and makes the channel; the connection itself is made with the first call.
pub(crate) async fn link(globals: &Globals) -> Result<Link, Failure> {
    let login = Login::read(globals).await?;
    let given_roots = globals
        .hub_ca
        .as_deref()
        .map(|file| {
            std::fs::read_to_string(file)
                .map_err(|error| Failure::usage(format!("--hub-ca {}: {error}", file.display())))
        })
        .transpose()?;
    let (address, roots_pem) = match (&globals.hub, given_roots) {
        (Some(hub), Some(roots)) => (hub.clone(), roots),
        (hub, roots) => {
            let found = discover::hub(&login, globals.request_timeout).await?;
            (
                hub.clone().unwrap_or(found.users),
                roots.unwrap_or(found.roots_pem),
            )
        }
    };
    let address: Address = address
        .parse()
        .map_err(|problem| Failure::usage(format!("address of the hub {address:?}: {problem}")))?;
    let channel = channel::channel(&login, &address, &roots_pem)?;
    Ok(Link {
        address,
        roots_pem,
        login,
        channel,
    })
}

/// Neither reachable nor logged in.
fn unreachable(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Unreachable, message)
}
