//! What is generated from the .proto files is current. `UPDATE_EXPECT=1 cargo test generated` rewrites it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what broke by panicking"
)]

use prost::Message as _;
use std::path::{Path, PathBuf};

/// What one audience gets: never in one set, so that reflection for users cannot show the agents' service.
const AUDIENCES: [(&str, &[&str]); 2] = [
    (
        "users.binpb",
        &[
            "grnry/segment/v1/segment.proto",
            "grnry/segment/v1/cluster.proto",
            "grnry/segment/v1/hub.proto",
            "grnry/segment/v1/plan.proto",
            "grnry/segment/v1/run.proto",
        ],
    ),
    (
        "agents.binpb",
        &[
            "grnry/segment/agent/v1/enrolment.proto",
            "grnry/segment/agent/v1/sync.proto",
        ],
    ),
];

fn room() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn generate(out: &Path) {
    for (set, files) in AUDIENCES {
        let descriptors = protox::Compiler::new([room().join("proto")])
            .unwrap()
            .include_source_info(true)
            .include_imports(true)
            .open_files(files)
            .unwrap_or_else(|error| panic!("{error:?}"))
            .file_descriptor_set();
        std::fs::write(out.join(set), descriptors.encode_to_vec()).unwrap();
        tonic_prost_build::configure()
            .build_transport(false)
            .bytes(".")
            .out_dir(out)
            .compile_fds(descriptors)
            .unwrap();
    }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(&path).unwrap(),
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn generated_code_and_descriptors_are_those_of_the_proto_files() {
    let committed = room().join("src/gen");
    let fresh = room().join("../target/proto-generated");
    let _ = std::fs::remove_dir_all(&fresh);
    std::fs::create_dir_all(&fresh).unwrap();
    generate(&fresh);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(&committed).unwrap();
        for (name, _) in files(&committed) {
            std::fs::remove_file(committed.join(name)).unwrap();
        }
        for (name, content) in files(&fresh) {
            std::fs::write(committed.join(name), content).unwrap();
        }
        return;
    }
    let (committed, fresh) = (files(&committed), files(&fresh));
    let names = |files: &[(String, Vec<u8>)]| {
        files
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&committed),
        names(&fresh),
        "run UPDATE_EXPECT=1 cargo test -p segment-proto generated"
    );
    for ((name, old), (_, new)) in committed.iter().zip(&fresh) {
        assert!(
            old == new,
            "{name} is not current: run UPDATE_EXPECT=1 cargo test -p segment-proto generated"
        );
    }
}
