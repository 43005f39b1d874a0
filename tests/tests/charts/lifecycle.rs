//! Install, fill, upgrade, uninstall, install again on a real API server: what was filled in is still there.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::{Value, json};

use crate::helm::{NAMESPACE, agent, chart, render, tool};

/// A control plane for this test alone. It ends when its standard input does, so also when the test panics.
struct ControlPlane {
    child: Child,
    stdin: Option<ChildStdin>,
    kubeconfig: PathBuf,
    _folder: tempfile::TempDir,
}

impl ControlPlane {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(tool("controlplane"))
            .args(["start", "--until-stdin-ends", "--name", "charts", "--dir"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("controlplane runs");
        let stdin = child.stdin.take();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("one line when it is ready");
        let ready: Value = serde_json::from_str(&line).expect("one JSON line when it is ready");
        let kubeconfig = PathBuf::from(ready["kubeconfig"].as_str().expect("a path"));
        Self {
            child,
            stdin,
            kubeconfig,
            _folder: folder,
        }
    }

    /// Runs a tool against this control plane.
    fn run(&self, name: &str, arguments: &[&str], input: Option<&Value>) -> Result<String, String> {
        let mut child = Command::new(tool(name))
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool runs");
        let stdin = child.stdin.take().expect("a pipe");
        if let Some(input) = input {
            serde_json::to_writer(stdin, input).expect("the tool reads");
        } else {
            drop(stdin);
        }
        let output = child.wait_with_output().expect("the tool ends");
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).expect("UTF-8"))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        self.run("kubectl", arguments, None)
            .unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}"))
    }

    fn helm(&self, arguments: &[&str]) {
        let all = [arguments, &["--namespace", NAMESPACE]].concat();
        self.run("helm", &all, None)
            .unwrap_or_else(|error| panic!("helm {all:?}: {error}"));
    }

    /// These objects as they are now, by one read.
    fn get(&self, objects: &[Value]) -> Vec<Value> {
        let answer = self.kubectl(&[
            "get",
            "secrets,configmaps,leases",
            "--all-namespaces",
            "--output",
            "json",
        ]);
        let mut list: Value = serde_json::from_str(&answer).expect("JSON");
        let Value::Array(all) = list["items"].take() else {
            panic!("a list has items")
        };
        let is = |object: &Value, wanted: &Value| {
            object["kind"] == wanted["kind"]
                && ["namespace", "name"]
                    .iter()
                    .all(|field| object["metadata"][field] == wanted["metadata"][field])
        };
        let find = |wanted: &Value| all.iter().find(|object| is(object, wanted)).cloned();
        objects
            .iter()
            .map(|wanted| find(wanted).unwrap_or_else(|| panic!("gone: {wanted}")))
            .collect()
    }

    fn replace(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.run("kubectl", &["replace", "--filename", "-"], Some(&list))
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let mut rest = String::new();
        if let Some(stdout) = self.child.stdout.as_mut() {
            let _ = stdout.read_to_string(&mut rest);
        }
        let _ = self.child.wait();
    }
}

/// As the programs fill what the charts make empty.
fn filled(mut object: Value) -> Value {
    let name = object["metadata"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    object["metadata"]["annotations"]["segment.grnry.io/term"] = json!("1764110000");
    match object["kind"].as_str() {
        // base64 of four bytes.
        Some("Secret") => object["data"] = json!({"value": "c2VjcmV0"}),
        Some("ConfigMap") => object["binaryData"] = json!({"value": "c3RvcmU="}),
        Some("Lease") => {
            object["spec"] =
                json!({"holderIdentity": format!("{name}-0/id"), "leaseDurationSeconds": 8});
        }
        kind => panic!("{kind:?} is kept"),
    }
    object
}

/// Everything of an object but what an unchanged object may differ in: managed fields are bookkeeping.
fn content(mut object: Value) -> Value {
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    metadata.remove("managedFields");
    object
}

/// As [`content`], less the version: Helm takes over what it finds by writing to it, without a change of content.
fn content_of_any_version(object: Value) -> Value {
    let mut object = content(object);
    object["metadata"]
        .as_object_mut()
        .expect("metadata")
        .remove("resourceVersion");
    object
}

fn path(chart: &Path) -> String {
    chart.to_str().expect("UTF-8").to_owned()
}

#[test]
fn what_was_filled_in_survives_upgrade_uninstallation_and_a_new_installation() {
    let plane = ControlPlane::start();
    for namespace in [NAMESPACE, "granary", "reports"] {
        plane.kubectl(&["create", "namespace", namespace]);
    }
    let (hub, agent_chart) = (path(&chart("segment-hub")), path(&chart("segment-agent")));
    let hub_install = ["install", "segment-hub", hub.as_str()];
    let agent_install = [
        &["install", "segment-agent", agent_chart.as_str()],
        &crate::helm::AGENT[..],
    ]
    .concat();
    plane.helm(&hub_install);
    plane.helm(&agent_install);

    let kept: Vec<Value> = [render("segment-hub", &[]), agent()]
        .concat()
        .into_iter()
        .filter(|o| o["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep")
        .collect();
    assert_eq!(kept.len(), 6 + 19);
    plane.replace(&plane.get(&kept).into_iter().map(filled).collect::<Vec<_>>());
    let contents = || {
        plane
            .get(&kept)
            .into_iter()
            .map(content)
            .collect::<Vec<_>>()
    };
    let before = contents();
    // What stands as the webhook's certificate, and what the API server is told to trust.
    let certificate = || {
        plane.kubectl(&[
            "get",
            "secret/segment-hub-webhook-tls",
            "validatingwebhookconfigurations/segment-hub",
            "--namespace",
            NAMESPACE,
            "--output",
            "jsonpath={.items[*].data}{.items[*].webhooks[*].clientConfig.caBundle}",
        ])
    };
    let first = certificate();

    // An upgrade does not even move the version: a program that writes with the one it knows is not disturbed.
    plane.helm(&[
        "upgrade",
        "segment-hub",
        hub.as_str(),
        "--set",
        "log.level=debug",
    ]);
    let agent_upgrade = [
        &["upgrade"],
        &agent_install[1..],
        &["--set", "log.level=debug"],
    ]
    .concat();
    plane.helm(&agent_upgrade);
    assert_eq!(contents(), before);
    assert_eq!(certificate(), first, "an upgrade keeps the certificate");
    plane.helm(&[
        "upgrade",
        "segment-hub",
        hub.as_str(),
        "--set",
        "webhook.url=https://hub.corp:9444/admission",
    ]);
    assert_ne!(certificate(), first, "another host has another certificate");

    plane.helm(&["uninstall", "segment-hub"]);
    plane.helm(&["uninstall", "segment-agent"]);
    assert_eq!(contents(), before);

    plane.helm(&hub_install);
    plane.helm(&agent_install);
    let of_any_version = |objects: Vec<Value>| {
        objects
            .into_iter()
            .map(content_of_any_version)
            .collect::<Vec<_>>()
    };
    assert_eq!(of_any_version(contents()), of_any_version(before));
}
