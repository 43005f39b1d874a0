//! The join token: one line that a person carries from the hub to a new cluster.
//!
//! `id.secret` or `id.secret.sha256:<hex>`: the id is public (lists and revocation use it), the secret has 128 bits,
//! the third part pins the hub's root for the first connection.
//! **Law:** the hub keeps only the digest; the text is never logged.

use std::fmt;
use std::str::FromStr;

use rand::{CryptoRng, Rng};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Length of the public part, characters.
const ID_CHARS: usize = 8;

/// Length of the secret part: 128 bits in hex.
const SECRET_CHARS: usize = 32;

/// What ids are made of: nothing that is read as something else.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A join token as text has it.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    id: String,
    secret: String,
    pin: Option<String>,
}

/// Not a join token at all. What is wrong is not said: it may be half a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a join token: expected id.secret or id.secret.sha256:<hex>, as `segctl cluster join` prints it"
)]
pub struct NotAToken;

impl JoinToken {
    /// A new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let id = (0..ID_CHARS).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
        let id = id.collect();
        let secret: [u8; SECRET_CHARS / 2] = rng.random();
        Self {
            id,
            secret: hex::encode(secret),
            pin: None,
        }
    }

    /// The same token with the pin of the hub's root (`sha256:<hex>`).
    #[must_use]
    pub fn with_pin(self, pin: impl Into<String>) -> Self {
        Self {
            pin: Some(pin.into()),
            ..self
        }
    }

    /// The public part.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The pin, if the token carries one.
    pub fn pin(&self) -> Option<&str> {
        self.pin.as_deref()
    }

    /// The whole text, to be shown once.
    pub fn reveal(&self) -> String {
        let pin = self
            .pin
            .as_ref()
            .map(|pin| format!(".{pin}"))
            .unwrap_or_default();
        format!("{}.{}{pin}", self.id, self.secret)
    }

    /// What is kept of it. The pin is no part: it is the hub's, not the token's.
    pub fn digest(&self) -> TokenDigest {
        let mut short = [0; 16];
        let text = format!("{}.{}", self.id, self.secret);
        short.copy_from_slice(&Sha256::digest(text)[..16]);
        TokenDigest(short)
    }
}

impl FromStr for JoinToken {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let mut parts = text.trim().splitn(3, '.');
        let id = parts.next().ok_or(NotAToken)?;
        let secret = parts.next().ok_or(NotAToken)?;
        let pin = parts.next();
        let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let pin_is_one = |pin: &str| {
            pin.strip_prefix("sha256:")
                .is_some_and(|hex| hex.len() == 64 && is_hex(hex))
        };
        let id_is_one = id.len() == ID_CHARS && id.bytes().all(|b| ALPHABET.contains(&b));
        let secret_is_one = secret.len() == SECRET_CHARS && is_hex(secret);
        if !id_is_one || !secret_is_one || !pin.is_none_or(pin_is_one) {
            return Err(NotAToken);
        }
        Ok(Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
            pin: pin.map(str::to_owned),
        })
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({}.…)", self.id)
    }
}

/// First 16 bytes of the SHA-256 of `id.secret`, hex: as many bits as the secret has.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenDigest([u8; 16]);

impl TokenDigest {
    /// Whether both are equal, in a time that does not tell where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(other.0)
            .fold(0, |differs, (a, b)| differs | (a ^ b))
            == 0
    }
}

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other)
    }
}

impl Eq for TokenDigest {}

impl From<TokenDigest> for String {
    fn from(digest: TokenDigest) -> Self {
        hex::encode(digest.0)
    }
}

impl TryFrom<String> for TokenDigest {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_being_written_and_read() {
        let token = JoinToken::generate(&mut rand::rng());
        assert_eq!(token.reveal().parse(), Ok(token.clone()));
        let pinned = token
            .clone()
            .with_pin(format!("sha256:{}", "0a".repeat(32)));
        assert_eq!(
            format!("  {}\n", pinned.reveal()).parse(),
            Ok(pinned.clone())
        );
        assert_eq!(pinned.digest(), token.digest());
        assert!(pinned.reveal().len() <= 128, "the wire takes 128 bytes");
        assert_eq!(format!("{token:?}"), format!("JoinToken({}.…)", token.id()));
    }

    #[test]
    fn what_is_no_token_is_refused_without_a_word_of_it() {
        let secret = "0".repeat(32);
        let rows = [
            String::new(),
            "abcdefgh".to_owned(),
            format!("abcdefgh.{}", &secret[1..]),
            format!("abcdefg.{secret}"),
            format!("abcdefg0.{secret}"),
            format!("abcdefgh.{secret}."),
            format!("abcdefgh.{secret}.sha256:00"),
            format!("abcdefgh.{}", "G".repeat(32)),
            format!("äbcdefg.{secret}"),
        ];
        for row in rows {
            assert_eq!(row.parse::<JoinToken>(), Err(NotAToken), "{row}");
        }
    }
}
