//! The profile of every certificate, and what the authority refuses.

use super::super::csr::tests::request;
use super::*;

fn now() -> Timestamp {
    "2026-11-25T12:00:00.7Z".parse().unwrap()
}

fn hub() -> HubId {
    HubId::new("hub-0123456789").unwrap()
}

fn loaded(pems: &AuthorityPems) -> CertificateAuthority {
    CertificateAuthority::load(&pems.root.cert, &pems.intermediate).unwrap()
}

fn agent(authority: &CertificateAuthority, at: Timestamp) -> Result<Issued, CaError> {
    let key = CsrKey::parse(&request(&KeyPair::generate().unwrap())).unwrap();
    let (hub, cluster) = (hub(), ClusterName::new("eu-1").unwrap());
    let identity = AgentIdentity {
        hub: &hub,
        cluster: &cluster,
        cluster_uid: Uid([7; 16]),
    };
    authority.issue_agent(&key, &identity, at, LEAF_LIFE)
}

/// One certificate in words: subject, issuer, life, what it may do, names.
fn describe(pem: &str) -> String {
    let cert = parse_certs(pem.as_bytes()).unwrap().remove(0);
    let cert = parse("test", &cert).unwrap();
    let time = |time: x509_parser::time::ASN1Time| timestamp(time.timestamp()).to_string();
    let (from, to) = (
        time(cert.validity().not_before),
        time(cert.validity().not_after),
    );
    let ca = cert.basic_constraints().unwrap().unwrap().value;
    let usage = cert.key_usage().unwrap().unwrap().value;
    let extended = cert
        .extended_key_usage()
        .unwrap()
        .map_or(String::new(), |usage| {
            let usage = usage.value;
            format!(
                "client={} server={} any={}",
                usage.client_auth, usage.server_auth, usage.any
            )
        });
    let names = cert
        .subject_alternative_name()
        .unwrap()
        .map_or(String::new(), |names| {
            let names = names.value.general_names.iter().map(ToString::to_string);
            names.collect::<Vec<_>>().join(" ")
        });
    format!(
        "{} by {}\n{from} to {to}\nca={} below={:?} sign-certs={} sign={}\n{extended}\n{names}",
        cert.subject(),
        cert.issuer(),
        ca.ca,
        ca.path_len_constraint,
        usage.key_cert_sign(),
        usage.digital_signature(),
    )
}

#[test]
fn root_and_intermediate_have_their_profile() {
    let pems = CertificateAuthority::create(&hub(), now()).unwrap();
    assert_eq!(
        describe(&pems.root.cert),
        "CN=segment-hub hub-0123456789 root by CN=segment-hub hub-0123456789 root\n\
         2026-11-25T11:55:00Z to 2036-11-22T12:00:00Z\n\
         ca=true below=Some(1) sign-certs=true sign=false\n\n"
    );
    assert_eq!(
        describe(&pems.intermediate.cert),
        "CN=segment-hub hub-0123456789 intermediate by CN=segment-hub hub-0123456789 root\n\
         2026-11-25T11:55:00Z to 2027-02-23T12:00:00Z\n\
         ca=true below=Some(0) sign-certs=true sign=false\n\n"
    );
}

#[test]
fn an_agents_certificate_says_what_the_hub_says_and_not_what_was_asked_for() {
    let authority = loaded(&CertificateAuthority::create(&hub(), now()).unwrap());
    let issued = agent(&authority, now()).unwrap();
    let text = describe(&issued.chain_pem);
    assert_eq!(
        text,
        "CN=eu-1 by CN=segment-hub hub-0123456789 intermediate\n\
         2026-11-25T11:55:00Z to 2026-11-26T12:00:00Z\n\
         ca=false below=None sign-certs=false sign=true\n\
         client=true server=false any=false\n\
         URI(spiffe://hub-0123456789/eu-1/07070707-0707-0707-0707-070707070707)"
    );
    assert_eq!(issued.not_before.to_string(), "2026-11-25T11:55:00Z");
    assert_eq!(issued.not_after.to_string(), "2026-11-26T12:00:00Z");
    assert_eq!(issued.key_pem, None);
    assert_eq!(
        parse_certs(issued.chain_pem.as_bytes()).unwrap().len(),
        2,
        "leaf, intermediate"
    );
}

#[test]
fn a_servers_certificate_names_hosts_and_carries_the_root() {
    let authority = loaded(&CertificateAuthority::create(&hub(), now()).unwrap());
    let names = ["hub.corp".to_owned(), "127.0.0.1".to_owned()];
    let issued = authority.issue_server(&names, now(), LEAF_LIFE).unwrap();
    let text = describe(&issued.chain_pem);
    assert!(
        text.contains("client=false server=true any=false\nDNSName(hub.corp) IPAddress("),
        "{text}"
    );
    let chain = parse_certs(issued.chain_pem.as_bytes()).unwrap();
    assert_eq!(chain.len(), 3);
    assert_eq!(&chain[2], authority.root());
    let error = authority
        .issue_server(&["häb".to_owned()], now(), LEAF_LIFE)
        .unwrap_err();
    assert_eq!(error.to_string(), "\"häb\" cannot stand in a certificate");
}

#[test]
fn a_leaf_never_outlives_its_intermediate() {
    let authority = loaded(&CertificateAuthority::create(&hub(), now()).unwrap());
    let end = authority.intermediate_not_after();
    let late = agent(&authority, end - SignedDuration::from_hours(1)).unwrap();
    assert_eq!(late.not_after, end);
    assert!(matches!(
        agent(&authority, end),
        Err(CaError::IntermediateExpired { .. })
    ));
}

#[test]
fn two_certificates_never_share_a_serial_number() {
    let authority = loaded(&CertificateAuthority::create(&hub(), now()).unwrap());
    let (a, b) = (
        agent(&authority, now()).unwrap(),
        agent(&authority, now()).unwrap(),
    );
    assert_ne!(a.serial, b.serial);
    assert_eq!(a.serial.len(), 32);
}

#[test]
fn the_next_intermediate_is_of_the_same_root_and_does_not_outlive_it() {
    let pems = CertificateAuthority::create(&hub(), now()).unwrap();
    let first = loaded(&pems);
    let later = first.intermediate_due();
    assert_eq!(later.to_string(), "2027-01-24T11:58:20Z");
    let next = CertificateAuthority::next_intermediate(&hub(), &pems.root, later).unwrap();
    let second = CertificateAuthority::load(&pems.root.cert, &next).unwrap();
    assert_eq!(second.root_pin().unwrap(), first.root_pin().unwrap());
    assert_eq!(second.root_fingerprint(), first.root_fingerprint());
    let near_end: Timestamp = "2036-11-01T00:00:00Z".parse().unwrap();
    let last = CertificateAuthority::next_intermediate(&hub(), &pems.root, near_end).unwrap();
    let last = CertificateAuthority::load(&pems.root.cert, &last).unwrap();
    assert_eq!(
        last.intermediate_not_after().to_string(),
        "2036-11-22T12:00:00Z"
    );
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let ours = CertificateAuthority::create(&hub(), now()).unwrap();
    let other = CertificateAuthority::create(&hub(), now()).unwrap();
    let mixed = PemPair {
        cert: ours.intermediate.cert.clone(),
        key: other.intermediate.key.clone(),
    };
    let two = format!("{}{}", ours.root.cert, other.root.cert);
    let broken = PemPair {
        cert: ours.intermediate.cert.clone(),
        key: String::new(),
    };
    let rows = [
        (
            ours.root.cert.as_str(),
            &other.intermediate,
            "the intermediate is not signed by the root",
        ),
        (
            &ours.root.cert,
            &mixed,
            "the intermediate's key is not its certificate's",
        ),
        (
            &two,
            &ours.intermediate,
            "one certificate is expected, several are there",
        ),
        ("", &ours.intermediate, "root certificate cannot be read"),
        (&ours.root.cert, &broken, "intermediate key cannot be read"),
    ];
    for (root, intermediate, message) in rows {
        let error = CertificateAuthority::load(root, intermediate)
            .unwrap_err()
            .to_string();
        assert!(error.ends_with(message), "{error}");
    }
    let foreign_root = PemPair {
        cert: ours.root.cert,
        key: other.root.key,
    };
    assert!(CertificateAuthority::next_intermediate(&hub(), &foreign_root, now()).is_err());
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let pems = CertificateAuthority::create(&hub(), now()).unwrap();
    let authority = loaded(&pems);
    let server = authority
        .issue_server(&["hub".to_owned()], now(), LEAF_LIFE)
        .unwrap();
    assert!(!format!("{pems:?} {authority:?} {server:?}").contains("PRIVATE"));
}
