//! The authority: a root that is only needed to make the next intermediate, and an intermediate that issues.
//!
//! ```text
//! root (P-256, 10 years) ─► intermediate (P-256, 90 days) ─┬► agent: clientAuth, spiffe://<hubId>/<cluster>/<uid>
//!                                                          └► hub's servers: serverAuth, DNS names and addresses
//! ```
//! **In:** PEM values and the time. **Out:** PEM values.
//! **Law:** a leaf never outlives its intermediate; the names in it are the hub's words, never the request's.
//! **Not:** where keys are kept, when an intermediate is due, who may ask.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use rand::RngCore;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
    SerialNumber,
};
use rustls_pki_types::CertificateDer;
use segment_core::ids::{ClusterName, HubId, Uid};
use segment_runtime::tls::{TlsError, parse_certs, spki_pin};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::csr::CsrKey;

/// How long a root lives.
pub const ROOT_LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// How long an intermediate lives.
pub const INTERMEDIATE_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How long a leaf lives unless told otherwise.
pub const LEAF_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// How far before its issue a certificate is valid, for clocks that lag.
pub const BACKDATE: SignedDuration = SignedDuration::from_mins(5);

/// The authority cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A stored certificate or key cannot be read.
    #[error("the authority's {what} cannot be read")]
    Unreadable {
        /// Which of the stored values.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The stored values are not one authority.
    #[error("the authority's parts do not belong together: {0}")]
    Mismatch(&'static str),
    /// Nothing can be issued any more.
    #[error("the intermediate certificate ended at {not_after}: a new one is needed")]
    IntermediateExpired {
        /// When it ended.
        not_after: Timestamp,
    },
    /// A name that cannot stand in a certificate.
    #[error("{name:?} cannot stand in a certificate")]
    Name {
        /// The name.
        name: String,
    },
    /// Making or signing failed.
    #[error("a certificate could not be made")]
    Make(#[from] rcgen::Error),
}

/// A certificate and its key, PEM. Belongs in a Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct PemPair {
    /// The certificate.
    pub cert: String,
    /// The key, PKCS #8.
    pub key: String,
}

impl std::fmt::Debug for PemPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PemPair")
            .field("cert", &self.cert)
            .finish_non_exhaustive()
    }
}

/// A whole authority as it is stored: root and intermediate in Secrets of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityPems {
    /// Needed only to make the next intermediate; may be kept offline.
    pub root: PemPair,
    /// What the hub issues with.
    pub intermediate: PemPair,
}

/// A certificate that was issued.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// PEM, leaf first. An agent's ends with the intermediate, a server's with the root (a join token pins it there).
    pub chain_pem: String,
    /// The key, PKCS #8 PEM, where the hub made it; an agent keeps its own.
    pub key_pem: Option<String>,
    /// From when it is valid: [`BACKDATE`] before its issue.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// Serial number, hex.
    pub serial: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued")
            .field("serial", &self.serial)
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// Issues certificates.
pub struct CertificateAuthority {
    root: CertificateDer<'static>,
    root_pem: String,
    intermediate_pem: String,
    intermediate_not_before: Timestamp,
    intermediate_not_after: Timestamp,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateAuthority")
            .field("intermediate_not_after", &self.intermediate_not_after)
            .finish_non_exhaustive()
    }
}

impl CertificateAuthority {
    /// A new authority, to be stored before it is used. Once in a hub's life: another root is another hub to agents.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn create(hub: &HubId, now: Timestamp) -> Result<AuthorityPems, CaError> {
        let mut params = authority(&format!("segment-hub {hub} root"), 1);
        set_life(&mut params, now - BACKDATE, now + ROOT_LIFE);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let intermediate = intermediate(hub, &root, now, now + ROOT_LIFE)?;
        let root = PemPair {
            cert: root.pem(),
            key: root.key().serialize_pem(),
        };
        Ok(AuthorityPems { root, intermediate })
    }

    /// The next intermediate under the same root.
    ///
    /// # Errors
    /// When the root's certificate or key cannot be read, or they do not match.
    pub fn next_intermediate(
        hub: &HubId,
        root: &PemPair,
        now: Timestamp,
    ) -> Result<PemPair, CaError> {
        let key = key("root key", &root.key)?;
        let cert = one_cert("root certificate", &root.cert)?;
        let parsed = parse("root certificate", &cert)?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(CaError::Mismatch("the root's key is not its certificate's"));
        }
        let end = timestamp(parsed.validity().not_after.timestamp());
        intermediate(hub, &Issuer::from_ca_cert_der(&cert, key)?, now, end)
    }

    /// The authority as stored: the root's certificate (its key is not needed) and the intermediate.
    ///
    /// # Errors
    /// When a value cannot be read, or the intermediate is not of this root or not of this key.
    pub fn load(root_cert: &str, intermediate: &PemPair) -> Result<Self, CaError> {
        let root = one_cert("root certificate", root_cert)?;
        let cert = one_cert("intermediate certificate", &intermediate.cert)?;
        let key = key("intermediate key", &intermediate.key)?;
        let (not_before, not_after) = {
            let root = parse("root certificate", &root)?;
            let parsed = parse("intermediate certificate", &cert)?;
            if parsed.verify_signature(Some(root.public_key())).is_err() {
                return Err(CaError::Mismatch(
                    "the intermediate is not signed by the root",
                ));
            }
            if parsed.public_key().raw != key.subject_public_key_info() {
                return Err(CaError::Mismatch(
                    "the intermediate's key is not its certificate's",
                ));
            }
            let validity = parsed.validity();
            (
                timestamp(validity.not_before.timestamp()),
                timestamp(validity.not_after.timestamp()),
            )
        };
        let issuer = Issuer::from_ca_cert_der(&cert, key)?;
        Ok(Self {
            root,
            root_pem: ensure_newline(root_cert),
            intermediate_pem: ensure_newline(&intermediate.cert),
            intermediate_not_before: not_before,
            intermediate_not_after: not_after,
            issuer,
        })
    }

    /// A certificate for an agent: who it is stands in a URI of the hub's own making, and it is good for TLS clients
    /// only. A repeated call with the same `issued` gives the same names and dates under another serial number.
    ///
    /// # Errors
    /// When the intermediate has ended.
    pub fn issue_agent(
        &self,
        key: &CsrKey,
        identity: &AgentIdentity<'_>,
        issued: Timestamp,
        life: SignedDuration,
    ) -> Result<Issued, CaError> {
        let mut params = leaf(
            identity.cluster.as_str(),
            ExtendedKeyUsagePurpose::ClientAuth,
        );
        params.subject_alt_names = vec![SanType::URI(identity.uri().try_into()?)];
        let mut issued = self.issue(params, &key.spki, issued, life)?;
        issued.chain_pem.push_str(&self.intermediate_pem);
        Ok(issued)
    }

    /// A certificate and key for a server of the hub, under these DNS names and IP addresses.
    ///
    /// # Errors
    /// When the intermediate has ended, or a name cannot stand in a certificate.
    pub fn issue_server(
        &self,
        names: &[String],
        issued: Timestamp,
        life: SignedDuration,
    ) -> Result<Issued, CaError> {
        let mut params = leaf("segment-hub", ExtendedKeyUsagePurpose::ServerAuth);
        for name in names {
            let san = if let Ok(address) = name.parse::<IpAddr>() {
                SanType::IpAddress(address)
            } else {
                let host = name.clone().try_into();
                SanType::DnsName(host.map_err(|_| CaError::Name { name: name.clone() })?)
            };
            params.subject_alt_names.push(san);
        }
        let key = KeyPair::generate()?;
        let mut issued = self.issue(params, &key, issued, life)?;
        issued.chain_pem.push_str(&self.intermediate_pem);
        issued.chain_pem.push_str(&self.root_pem);
        issued.key_pem = Some(key.serialize_pem());
        Ok(issued)
    }

    /// The root, for verifiers.
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The root, PEM.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// `sha256:<hex>` of the root's public key: what a join token pins.
    ///
    /// # Errors
    /// Never for a root that was loaded.
    pub fn root_pin(&self) -> Result<String, TlsError> {
        spki_pin(&self.root)
    }

    /// `sha256:<hex>` of the root's certificate: what the hub's identity records, so that a lost or exchanged
    /// authority is noticed at the start.
    pub fn root_fingerprint(&self) -> String {
        format!("sha256:{}", hex::encode(Sha256::digest(&self.root)))
    }

    /// When the intermediate ends; nothing that it issued lives longer.
    pub fn intermediate_not_after(&self) -> Timestamp {
        self.intermediate_not_after
    }

    /// When the next intermediate is due: with a third of this one's life left.
    pub fn intermediate_due(&self) -> Timestamp {
        let life = self
            .intermediate_not_after
            .duration_since(self.intermediate_not_before);
        self.intermediate_not_after - life / 3
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        issued: Timestamp,
        life: SignedDuration,
    ) -> Result<Issued, CaError> {
        if issued >= self.intermediate_not_after {
            return Err(CaError::IntermediateExpired {
                not_after: self.intermediate_not_after,
            });
        }
        let not_before = whole_seconds(issued - BACKDATE);
        let not_after = whole_seconds(issued + life).min(self.intermediate_not_after);
        set_life(&mut params, not_before, not_after);
        let serial = serial_number();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let chain_pem = params.signed_by(key, &self.issuer)?.pem();
        let serial = hex::encode(serial);
        Ok(Issued {
            chain_pem,
            key_pem: None,
            not_before,
            not_after,
            serial,
        })
    }
}

/// Who an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentIdentity<'a> {
    /// The hub that says so.
    pub hub: &'a HubId,
    /// The name it gave to the cluster.
    pub cluster: &'a ClusterName,
    /// Uid of the spoke's kube-system namespace, which the identity is bound to.
    pub cluster_uid: Uid,
}

impl AgentIdentity<'_> {
    /// As it stands in the certificate: `spiffe://<hubId>/<cluster>/<uid>`.
    pub fn uri(&self) -> String {
        format!(
            "spiffe://{}/{}/{}",
            self.hub, self.cluster, self.cluster_uid
        )
    }
}

fn intermediate(
    hub: &HubId,
    root: &Issuer<'_, KeyPair>,
    now: Timestamp,
    root_end: Timestamp,
) -> Result<PemPair, CaError> {
    let mut params = authority(&format!("segment-hub {hub} intermediate"), 0);
    set_life(
        &mut params,
        now - BACKDATE,
        (now + INTERMEDIATE_LIFE).min(root_end),
    );
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let cert = params.signed_by(&key, root)?.pem();
    Ok(PemPair {
        cert,
        key: key.serialize_pem(),
    })
}

fn authority(name: &str, intermediates_below: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(intermediates_below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(SerialNumber::from_slice(&serial_number()));
    params
}

fn leaf(name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// 127 random bits ([RFC 5280 §4.1.2.2](https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.2): positive, unique).
/// rcgen's default is a hash of the key: a renewal with the same key would repeat it.
fn serial_number() -> [u8; 16] {
    let mut serial = [0; 16];
    rand::rng().fill_bytes(&mut serial);
    // Positive, and without leading zeros that encoders would drop.
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}

fn set_life(params: &mut CertificateParams, not_before: Timestamp, not_after: Timestamp) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    // Never before 1970: a clock that far off would have failed long before.
    let at = |time: Timestamp| {
        let seconds = u64::try_from(time.as_second()).unwrap_or(0);
        epoch + std::time::Duration::from_secs(seconds)
    };
    params.not_before = at(not_before);
    params.not_after = at(not_after);
}

/// Certificates know whole seconds.
fn whole_seconds(time: Timestamp) -> Timestamp {
    timestamp(time.as_second())
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

fn one_cert(what: &'static str, pem: &str) -> Result<CertificateDer<'static>, CaError> {
    let certs = parse_certs(pem.as_bytes()).map_err(|source| CaError::Unreadable {
        what,
        source: source.into(),
    })?;
    match <[_; 1]>::try_from(certs) {
        Ok([cert]) => Ok(cert),
        Err(_) => Err(CaError::Mismatch(
            "one certificate is expected, several are there",
        )),
    }
}

fn key(what: &'static str, pem: &str) -> Result<KeyPair, CaError> {
    KeyPair::from_pem(pem).map_err(|source| CaError::Unreadable {
        what,
        source: source.into(),
    })
}

fn parse<'a>(
    what: &'static str,
    cert: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, CaError> {
    let parsed = X509Certificate::from_der(cert).map_err(|source| CaError::Unreadable {
        what,
        source: source.into(),
    })?;
    Ok(parsed.1)
}

fn ensure_newline(pem: &str) -> String {
    format!("{}\n", pem.trim_end())
}

#[cfg(test)]
mod tests;
