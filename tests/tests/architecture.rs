//! Who may depend on whom.
//!
//! In: `cargo metadata`. Out: nothing. Law: the tables below are the rooms' contract; a dependency that is not in them
//! is not in a `Cargo.toml`. Not: what a crate does with what it may use.

#![allow(
    clippy::panic,
    reason = "a helper of tests says what is wrong by a panic, as the tests do"
)]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .expect("cargo metadata")
}

fn member<'a>(metadata: &'a Metadata, name: &str) -> &'a Package {
    metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name.as_str() == name)
        .unwrap_or_else(|| panic!("no crate {name} in the workspace"))
}

/// Rooms, and those that they may use.
const ROOMS: [(&str, &[&str]); 9] = [
    ("segment-crds", &[]),
    ("segment-core", &["segment-crds"]),
    ("segment-proto", &["segment-core"]),
    ("segment-runtime", &[]),
    (
        "segment-hub",
        &[
            "segment-core",
            "segment-crds",
            "segment-proto",
            "segment-runtime",
        ],
    ),
    (
        "segment-agent",
        &["segment-core", "segment-proto", "segment-runtime"],
    ),
    ("segctl", &["segment-core", "segment-crds", "segment-proto"]),
    (
        "segment-tests",
        &["segment-core", "segment-crds", "segment-proto"],
    ),
    ("xtask", &[]),
];

#[test]
fn rooms_use_only_the_rooms_that_they_may() {
    let metadata = metadata();
    let members: BTreeSet<&str> = metadata
        .workspace_packages()
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let rooms: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    assert_eq!(members, rooms, "every crate of the workspace is a room");
    for (room, may) in ROOMS {
        let uses: BTreeSet<&str> = member(&metadata, room)
            .dependencies
            .iter()
            // A room may test itself with its own features switched on.
            .filter(|dependency| {
                dependency.kind == DependencyKind::Normal || dependency.name != room
            })
            .map(|dependency| dependency.name.as_str())
            .filter(|name| members.contains(name))
            .collect();
        let may: BTreeSet<&str> = may.iter().copied().collect();
        let more: Vec<_> = uses.difference(&may).collect();
        assert!(more.is_empty(), "{room} uses {more:?}");
    }
}

/// What would bring I/O into rooms that have none.
const FORBIDDEN: [&str; 12] = [
    "kube-client",
    "kube-runtime",
    "tokio",
    "hyper",
    "hyper-util",
    "rustls",
    "tokio-rustls",
    "reqwest",
    "axum",
    "rand",
    "tracing-subscriber",
    "prometheus-client",
];

#[test]
fn decisions_and_wire_know_no_client_no_runtime_and_no_tls() {
    let metadata = metadata();
    for room in ["segment-crds", "segment-core", "segment-proto"] {
        let package = member(&metadata, room);
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal)
        {
            assert!(
                !FORBIDDEN.contains(&dependency.name.as_str()),
                "{room} uses {}",
                dependency.name
            );
            if dependency.name == "kube" {
                assert_eq!(
                    room, "segment-crds",
                    "only crds knows kube, and only what derives"
                );
                assert!(
                    !dependency.uses_default_features,
                    "kube's default features bring a client"
                );
                let brings: Vec<_> = dependency
                    .features
                    .iter()
                    .filter(|feature| !["derive", "schema", "cel"].contains(&feature.as_str()))
                    .collect();
                assert!(brings.is_empty(), "{room} takes kube with {brings:?}");
            }
        }
    }
}

#[test]
fn xtask_builds_in_seconds() {
    let metadata = metadata();
    let uses: BTreeSet<&str> = member(&metadata, "xtask")
        .dependencies
        .iter()
        .map(|dependency| dependency.name.as_str())
        .collect();
    assert_eq!(uses, BTreeSet::from(["anyhow", "clap", "serde_json"]));
}

/// Crates of the whole graph, by name, with their versions.
fn graph(metadata: &Metadata) -> BTreeMap<&str, BTreeSet<String>> {
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for node in &resolve.nodes {
        let package = &metadata[&node.id];
        found
            .entry(package.name.as_str())
            .or_default()
            .insert(package.version.to_string());
    }
    found
}

#[test]
fn one_tls_one_yaml_no_openssl() {
    let metadata = metadata();
    let graph = graph(&metadata);
    for (name, why) in [
        (
            "aws-lc-rs",
            "ring is the one provider; a second one is chosen by chance",
        ),
        ("aws-lc-sys", "as aws-lc-rs"),
        ("openssl", "rustls is the one TLS"),
        ("openssl-sys", "rustls is the one TLS"),
        ("native-tls", "rustls is the one TLS"),
        ("serde_yaml", "unmaintained"),
        ("rustls-pemfile", "unmaintained: rustls-pki-types reads PEM"),
        ("backoff", "unmaintained"),
        ("failure", "unmaintained"),
    ] {
        assert!(!graph.contains_key(name), "{name} is in the graph: {why}");
    }
}

#[test]
fn what_stands_in_our_types_is_there_once() {
    let metadata = metadata();
    let graph = graph(&metadata);
    for name in [
        "jiff",
        "tonic",
        "prost",
        "rustls",
        "k8s-openapi",
        "kube",
        "schemars",
        "http",
        "hyper",
        "tokio",
    ] {
        let versions = &graph[name];
        assert_eq!(versions.len(), 1, "{name} is there as {versions:?}");
    }
}

#[test]
fn every_crate_has_the_workspaces_lints() {
    for (room, _) in ROOMS {
        let package = member(&metadata(), room).manifest_path.clone();
        let text = std::fs::read_to_string(&package).expect("a Cargo.toml");
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{package} has lints of its own"
        );
    }
}
