//! The key of a certificate signing request, and nothing else of it.
//!
//! **In:** DER from an agent, at most 8 KiB. **Out:** a public key that the sender has shown to hold.
//! **Law:** subject, names and extensions of the request are never read.

use std::fmt;

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SubjectPublicKeyInfo};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

/// Longest request taken, bytes: a P-256 one has about 300; the rest is room for extensions that we ignore.
pub const MAX_CSR_BYTES: usize = 8 * 1024;

/// A request that gets no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Longer than [`MAX_CSR_BYTES`].
    #[error("certificate signing request has {bytes} bytes, at most {MAX_CSR_BYTES} are taken")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not a request, or with something after it.
    #[error("certificate signing request cannot be parsed")]
    Malformed,
    /// The sender has not shown to hold the key.
    #[error("certificate signing request is not signed by its own key")]
    Signature,
    /// A kind of key that we issue nothing for.
    #[error("key is neither P-256 nor Ed25519")]
    KeyKind,
}

/// A public key whose holder asked for a certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct CsrKey {
    pub(super) spki: SubjectPublicKeyInfo,
    digest: KeyDigest,
}

impl CsrKey {
    /// Checks the request's own signature and takes its key.
    ///
    /// # Errors
    /// As [`CsrError`] tells.
    pub fn parse(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > MAX_CSR_BYTES {
            return Err(CsrError::TooLong { bytes: der.len() });
        }
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| CsrError::Malformed)?;
        if !rest.is_empty() {
            return Err(CsrError::Malformed);
        }
        let raw = request.certification_request_info.subject_pki.raw;
        let spki = SubjectPublicKeyInfo::from_der(raw).map_err(|_| CsrError::KeyKind)?;
        let kind = rcgen::PublicKeyData::algorithm(&spki);
        if kind != &PKCS_ECDSA_P256_SHA256 && kind != &PKCS_ED25519 {
            return Err(CsrError::KeyKind);
        }
        request
            .verify_signature()
            .map_err(|_| CsrError::Signature)?;
        Ok(Self {
            spki,
            digest: KeyDigest::of(raw),
        })
    }

    /// What the key is remembered by.
    pub fn digest(&self) -> KeyDigest {
        self.digest
    }
}

impl fmt::Debug for CsrKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CsrKey({})", self.digest)
    }
}

/// First 16 bytes of the SHA-256 of a public key (`SubjectPublicKeyInfo`, DER), hex. Half a digest: thousands of them
/// share one Secret, and to find a second key for it takes 2¹²⁸ tries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyDigest([u8; 16]);

impl KeyDigest {
    /// Of a `SubjectPublicKeyInfo` in DER.
    pub fn of(spki: &[u8]) -> Self {
        let mut short = [0; 16];
        short.copy_from_slice(&Sha256::digest(spki)[..16]);
        Self(short)
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest({self})")
    }
}

impl From<KeyDigest> for String {
    fn from(digest: KeyDigest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for KeyDigest {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384};

    /// A request as an agent makes it; the names in it are a thief's.
    pub(crate) fn request(key: &KeyPair) -> Vec<u8> {
        let params = CertificateParams::new(["stolen.example".to_owned()]).unwrap();
        params.serialize_request(key).unwrap().der().to_vec()
    }

    #[test]
    fn only_a_signed_request_with_a_known_kind_of_key_is_taken() {
        let good = request(&KeyPair::generate().unwrap());
        let ed25519 = request(&KeyPair::generate_for(&PKCS_ED25519).unwrap());
        let p384 = request(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
        let mut forged = good.clone();
        *forged.last_mut().unwrap() ^= 1;
        let trailing = [good.as_slice(), b"x"].concat();
        let long = vec![0; MAX_CSR_BYTES + 1];
        let rows: [(&[u8], Option<CsrError>); 8] = [
            (&good, None),
            (&ed25519, None),
            (&p384, Some(CsrError::KeyKind)),
            (&forged, Some(CsrError::Signature)),
            (&trailing, Some(CsrError::Malformed)),
            (&good[..good.len() / 2], Some(CsrError::Malformed)),
            (b"", Some(CsrError::Malformed)),
            (
                &long,
                Some(CsrError::TooLong {
                    bytes: MAX_CSR_BYTES + 1,
                }),
            ),
        ];
        for (der, refused) in rows {
            assert_eq!(CsrKey::parse(der).err(), refused);
        }
    }

    #[test]
    fn the_same_key_has_the_same_digest_whatever_the_request() {
        let key = KeyPair::generate().unwrap();
        let (a, b) = (
            CsrKey::parse(&request(&key)).unwrap(),
            CsrKey::parse(&request(&key)).unwrap(),
        );
        assert_eq!(a.digest(), b.digest());
        let text = String::from(a.digest());
        assert_eq!(KeyDigest::try_from(text).unwrap(), a.digest());
    }
}
