//! The pinned Helm, and what it renders as values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The namespace that the tests install into.
pub(crate) const NAMESPACE: &str = segment_core::names::SYSTEM_NAMESPACE;

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate stands in the workspace")
        .to_path_buf()
}

/// Folder of a chart.
pub(crate) fn chart(name: &str) -> PathBuf {
    root().join("deploy/charts").join(name)
}

/// A program that `tests/controlplane/build.sh` builds; another folder of them by `SEGMENT_TOOLS_DIR`.
pub(crate) fn tool(name: &str) -> PathBuf {
    let folder = std::env::var_os("SEGMENT_TOOLS_DIR")
        .map_or_else(|| root().join("tests/controlplane/bin"), PathBuf::from);
    let program = folder.join(name);
    assert!(
        program.is_file(),
        "{} is missing: run `tests/controlplane/build.sh tests/controlplane/bin`, or set SEGMENT_TOOLS_DIR",
        program.display()
    );
    program
}

/// The text that `helm template` prints, or what it complains about. The release has the chart's name.
///
/// # Errors
/// Helm's standard error.
pub(crate) fn try_render(name: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(tool("helm"))
        .arg("template")
        .arg(name)
        .arg(chart(name))
        .args(["--namespace", NAMESPACE])
        .args(arguments)
        .output()
        .expect("helm runs");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).expect("YAML is UTF-8"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The objects that a chart renders.
pub(crate) fn render(name: &str, arguments: &[&str]) -> Vec<Value> {
    let text =
        try_render(name, arguments).unwrap_or_else(|error| panic!("{name} {arguments:?}: {error}"));
    objects(&text)
}

/// The objects in a YAML text of several documents. A key that stands twice is refused.
pub(crate) fn objects(text: &str) -> Vec<Value> {
    let all: Vec<Value> =
        serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    all.into_iter().filter(|object| !object.is_null()).collect()
}

/// An agent for two namespaces, as one is installed.
pub(crate) fn agent() -> Vec<Value> {
    render("segment-agent", &AGENT)
}

/// Values of [`agent`].
pub(crate) const AGENT: [&str; 4] = [
    "--set",
    "hub.address=hub.example.org:8443,join.token=id.secret.pin",
    "--set-json",
    r#"policy.namespaces={"granary":{"from":["granary","granary-test"]},"reports":{}}"#,
];

/// The one object of a kind and name.
pub(crate) fn one<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found: Vec<_> = objects
        .iter()
        .filter(|o| o["kind"] == kind && o["metadata"]["name"] == name)
        .collect();
    assert_eq!(found.len(), 1, "objects {kind} {name}");
    found[0]
}

/// A map of strings, empty when absent.
pub(crate) fn strings(value: &Value) -> BTreeMap<String, String> {
    match value {
        Value::Null => BTreeMap::new(),
        value => serde_json::from_value(value.clone()).expect("a map of strings"),
    }
}
