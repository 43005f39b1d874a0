//! Host and port of the hub.

use std::fmt;
use std::str::FromStr;

/// Port of the users' API, where none is said.
const DEFAULT_PORT: u16 = 9443;

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Name or IP address; IPv6 without brackets.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text
            .strip_prefix("https://")
            .unwrap_or(text)
            .trim_end_matches('/');
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or("a bracket is not closed")?;
            (host, rest.strip_prefix(':'))
        } else {
            match text.rsplit_once(':') {
                // More than one colon and no brackets: an IPv6 address without a port.
                Some((host, _)) if host.contains(':') => (text, None),
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            Some(port) => port.parse().map_err(|_| format!("{port:?} is no port"))?,
            None => DEFAULT_PORT,
        };
        if host.is_empty() || host.contains(['/', ' ', '@', '?', '#']) {
            return Err("expected HOST:PORT".to_owned());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port() {
        for (text, expected) in [
            ("hub.corp:9443", "hub.corp:9443"),
            ("hub.corp", "hub.corp:9443"),
            ("https://hub.corp:443/", "hub.corp:443"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[::1]:9443", "[::1]:9443"),
            ("::1", "[::1]:9443"),
        ] {
            assert_eq!(
                text.parse::<Address>().unwrap().to_string(),
                expected,
                "{text}"
            );
        }
        for bad in ["", ":9443", "hub:x", "hub:99999", "http://hub/x", "[::1"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
