//! Who an agent is: what its certificate says, and nothing that it says itself.
//!
//! **In:** a client certificate that TLS has verified up to our root. **Out:** names, and the life of the certificate.
//! **Law:** exactly one name, `spiffe://<hubId>/<cluster>/<uid>`, in the form that the hub writes; anything else is
//! not one of ours.
//! **Not:** whether it is still good (expiry, eviction, bans): that is judged per call.

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use segment_core::ids::{ClusterName, HubId, Uid};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::enrolment::KeyDigest;
use crate::enrolment::ca::BACKDATE;

/// What an agent's certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafInfo {
    /// The hub that issued it.
    pub hub_id: HubId,
    /// The cluster.
    pub cluster: ClusterName,
    /// The kube-system uid of the spoke that the identity is bound to.
    pub cluster_uid: Uid,
    /// From when it is valid; [`LeafInfo::issued`] is when it was made.
    pub not_before: Timestamp,
    /// Until when. TLS lets expired ones in: the caller answers with a status.
    pub not_after: Timestamp,
    /// Serial number, hex.
    pub serial: String,
    /// Its key, as enrolment remembers it.
    pub key: KeyDigest,
    /// The certificate itself.
    pub der: CertificateDer<'static>,
}

/// A certificate that names no agent of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not a certificate.
    #[error("certificate cannot be parsed")]
    Malformed,
    /// Not one URI name, or others beside it.
    #[error("certificate does not have exactly one name, a URI")]
    Names,
    /// A URI in another form than the hub's.
    #[error("certificate's name is not spiffe://<hubId>/<cluster>/<uid>")]
    Uri,
}

impl LeafInfo {
    /// Reads a certificate.
    ///
    /// # Errors
    /// When it is not of the form that the hub issues.
    pub fn parse(der: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let (rest, cert) = X509Certificate::from_der(der).map_err(|_| IdentityError::Malformed)?;
        if !rest.is_empty() {
            return Err(IdentityError::Malformed);
        }
        let names = cert
            .subject_alternative_name()
            .map_err(|_| IdentityError::Malformed)?;
        let names = names.ok_or(IdentityError::Names)?;
        let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else {
            return Err(IdentityError::Names);
        };
        let (hub_id, cluster, cluster_uid) = parse_uri(uri).ok_or(IdentityError::Uri)?;
        let time = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp()).map_err(|_| IdentityError::Malformed)
        };
        Ok(Self {
            hub_id,
            cluster,
            cluster_uid,
            not_before: time(cert.validity().not_before)?,
            not_after: time(cert.validity().not_after)?,
            serial: hex::encode(cert.raw_serial()),
            key: KeyDigest::of(cert.public_key().raw),
            der: der.clone().into_owned(),
        })
    }

    /// When the hub issued it: what a name's `validFrom` is compared with.
    pub fn issued(&self) -> Timestamp {
        self.not_before
            .checked_add(BACKDATE)
            .unwrap_or(self.not_before)
    }

    /// Whether it has ended.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now > self.not_after
    }

    /// Whether it has ended, and more than `grace` ago: then not even a renewal is left.
    pub fn is_beyond(&self, grace: SignedDuration, now: Timestamp) -> bool {
        self.not_after.checked_add(grace).is_ok_and(|end| now > end)
    }
}

/// Exactly the form that the hub writes: no port, query, fragment, escape, further or empty part, no upper case.
fn parse_uri(uri: &str) -> Option<(HubId, ClusterName, Uid)> {
    let mut parts = uri.strip_prefix("spiffe://")?.split('/');
    let (hub, cluster, uid) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let parsed: Uid = uid.parse().ok()?;
    if parsed.to_string() != uid {
        return None;
    }
    Some((
        HubId::new(hub).ok()?,
        ClusterName::new(cluster).ok()?,
        parsed,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    const UID: &str = "07070707-0707-0707-0707-0707070707ab";

    fn certificate(names: &[SanType]) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        params
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .der()
            .clone()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    #[test]
    fn only_the_form_that_the_hub_writes_is_an_identity() {
        let upper = UID.to_uppercase();
        let rows = [
            (format!("spiffe://hub-12345678/eu-1/{UID}"), true),
            (format!("spiffe://hub-12345678/eu-1/{UID}/"), false),
            (format!("spiffe://hub-12345678/eu-1/{UID}/x"), false),
            (format!("spiffe://hub-12345678//{UID}"), false),
            (format!("spiffe:///eu-1/{UID}"), false),
            (format!("spiffe://hub-12345678/EU-1/{UID}"), false),
            (format!("spiffe://hub-12345678/eu-1/{upper}"), false),
            (format!("spiffe://hub-12345678:443/eu-1/{UID}"), false),
            (format!("spiffe://hub-12345678/eu%2d1/{UID}"), false),
            (format!("spiffe://hub-12345678/eu-1/{UID}?a"), false),
            (format!("SPIFFE://hub-12345678/eu-1/{UID}"), false),
            (format!("https://hub-12345678/eu-1/{UID}"), false),
            (format!("spiffe://hub-12345678/../{UID}"), false),
            ("spiffe://hub-12345678/eu-1".to_owned(), false),
        ];
        for (text, accepted) in rows {
            assert_eq!(
                LeafInfo::parse(&certificate(&[uri(&text)])).is_ok(),
                accepted,
                "{text}"
            );
        }
    }

    #[test]
    fn a_second_name_makes_it_nobody() {
        let ours = uri(&format!("spiffe://hub-12345678/eu-1/{UID}"));
        let dns = SanType::DnsName("eu-2".try_into().unwrap());
        for names in [
            vec![],
            vec![dns.clone()],
            vec![ours.clone(), dns],
            vec![ours.clone(), ours],
        ] {
            assert_eq!(
                LeafInfo::parse(&certificate(&names)),
                Err(IdentityError::Names)
            );
        }
        assert_eq!(
            LeafInfo::parse(&b"x".to_vec().into()),
            Err(IdentityError::Malformed)
        );
    }

    #[test]
    fn the_issue_is_known_from_the_backdated_start() {
        let leaf = LeafInfo::parse(&certificate(&[uri(&format!(
            "spiffe://hub-12345678/eu-1/{UID}"
        ))]));
        let leaf = leaf.unwrap();
        assert_eq!(leaf.issued().duration_since(leaf.not_before), BACKDATE);
        let end = leaf.not_after;
        let hour = SignedDuration::from_hours(1);
        assert!(!leaf.is_expired(end) && leaf.is_expired(end + SignedDuration::from_secs(1)));
        assert!(!leaf.is_beyond(hour, end + hour));
        assert!(leaf.is_beyond(hour, end + hour + SignedDuration::from_secs(1)));
    }
}
