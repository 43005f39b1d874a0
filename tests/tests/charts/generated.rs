//! Files in `deploy` that are made from others. `UPDATE_EXPECT=1 cargo test generated` writes them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::helm::{chart, root, try_render};

/// Compares a folder's YAML files with what they should be, or writes them.
fn are_current(folder: &Path, expected: &BTreeMap<String, String>) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(folder).expect("a folder");
        for name in yaml_files(folder)
            .keys()
            .filter(|name| !expected.contains_key(*name))
        {
            fs::remove_file(folder.join(name)).expect("a file that is not wanted any more");
        }
        for (name, text) in expected {
            fs::write(folder.join(name), text).expect("a file");
        }
    }
    let found = yaml_files(folder);
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&found),
        names(expected),
        "files in {}",
        folder.display()
    );
    for (name, text) in expected {
        assert!(
            found[name] == *text,
            "{} is not current: run `UPDATE_EXPECT=1 cargo test -p segment-tests generated`",
            folder.join(name).display()
        );
    }
}

fn yaml_files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry").path());
    entries
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .map(|path| {
            let name = path
                .file_name()
                .expect("a name")
                .to_str()
                .expect("UTF-8")
                .to_owned();
            (name, fs::read_to_string(&path).expect("a file"))
        })
        .collect()
}

#[test]
fn generated_definitions_in_the_chart_are_the_apis() {
    let made = yaml_files(&root().join("crds/generated"));
    assert!(!made.is_empty(), "crds/generated has the definitions");
    are_current(&chart("segment-crds").join("files"), &made);
}

/// For who has no Helm: what the charts render, with the values that each file names at its top.
#[test]
fn generated_manifests_are_what_the_charts_render() {
    let agent = [
        "--set",
        "hub.address=hub.example.org:8443,join.existingSecret=segment-agent-join",
        "--set-json",
        r#"policy.namespaces={"granary":{}}"#,
    ];
    let expected = [
        ("segment-crds", "The custom resources. Apply with: kubectl apply --server-side -f segment-crds.yaml", &[][..]),
        (
            "segment-hub",
            "A hub in the namespace segment-system, which must exist. Set both --public-…-address to what is seen from outside.\n\
             # Without the webhook: a certificate is not made by a file. Broken Segments show in their condition Accepted.",
            &["--set", "webhook.enabled=false"][..],
        ),
        (
            "segment-agent",
            "An agent in the namespace segment-system for CronJobs in granary; both must exist. Set --hub-address, and its port in\n\
             # the NetworkPolicy, and make the Secret segment-agent-join with the key `token`.",
            &agent[..],
        ),
    ]
    .map(|(name, title, arguments)| {
        // The definitions are copied too: a run that writes both files must not depend on which test goes first.
        let text = if name == "segment-crds" {
            yaml_files(&root().join("crds/generated")).into_values().collect::<Vec<_>>().join("---\n")
        } else {
            try_render(name, arguments).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        (format!("{name}.yaml"), format!("# {title}\n# Made from the chart {name}; edit that, or patch this with kustomize.\n{text}"))
    });
    are_current(&root().join("deploy/manifests"), &BTreeMap::from(expected));
}
