//! `import` and `export` of files, as users run them: no hub, no kubeconfig.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what broke by panicking"
)]

mod ran;

use assert_cmd::Command;
use ran::Ran;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

fn segctl(line: &str, input: &str) -> Ran {
    Command::cargo_bin("segctl")
        .unwrap()
        .args(line.split_whitespace())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/examples"))
        .env("KUBECONFIG", "/nowhere")
        .env("HOME", "/nowhere")
        .write_stdin(input)
        .timeout(Duration::from_mins(1))
        .output()
        .unwrap()
        .into()
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in:\n{text}");
    }
}

#[test]
fn every_example_is_imported() {
    let ran = segctl(
        "import -n granary granary-api.json granary-api-generic.json helm-values.yaml segment-pivot.yaml",
        "",
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let documents: Vec<Value> = ran
        .out
        .split("---\n")
        .map(|text| serde_saphyr::from_str(text).unwrap())
        .collect();
    let names: Vec<&str> = documents
        .iter()
        .map(|document| document["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "loyal-customers",
            "search-terms-raw",
            "app-installs",
            "newsletter-readers"
        ]
    );
    assert_eq!(documents[2]["spec"]["env"]["DB_PORT"], "5432");
    assert_eq!(documents[2]["spec"]["env"]["DB_USE_SSL"], "True");
    says(
        &ran.err,
        &[
            "note: granary-api.json: id is absent: the Segment is named loyal-customers",
            "note: helm-values.yaml: env.DEBUG is a boolean without quotes: taken as the text \"True\"",
            // Lint speaks in the words of the file.
            "warning: helm-values.yaml: env.GENERIC_COLUMNS",
        ],
    );
}

#[test]
fn one_broken_document_hides_no_other() {
    let good = "metadata: {displayName: Good one}\ndata:\n  cronjob: {schedule: '@daily'}\n  env: {TYPE: generic, \
                TARGET_SEGMENT_NAME: a, SOURCE_WHERE_CLAUSE: 'true', CITUS_DIST_COL: x, GENERIC_COLUMNS: x}\n";
    let input = format!(
        "{good}---\ncronjob: {{}}\nenv:\n  TYPE: pivot\n  DB_PORT: [1]\n---\nkind: ConfigMap\n---\na: [\n"
    );
    let ran = segctl("import - -o json", &input);
    assert_eq!(ran.code, 2, "{}", ran.err);
    let segment: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(segment["metadata"]["name"], "good-one");
    says(
        &ran.err,
        &[
            "error: <stdin>:9:12: env.DB_PORT",
            " is a list, a variable is text (quote the whole value)",
            "cronjob.schedule is required (for example \"0 3 * * *\")",
            "\"ConfigMap\" is neither a Segment nor a CronJob",
        ],
    );
}

#[test]
fn a_name_is_for_one_segment() {
    let ran = segctl("import --name x granary-api.json helm-values.yaml", "");
    assert_eq!(ran.code, 2);
    says(
        &ran.err,
        &["--name names one Segment, and these files hold 2"],
    );
    let ran = segctl("import missing.yaml", "");
    assert_eq!(ran.code, 2);
    says(&ran.err, &["missing.yaml"]);
}

#[test]
fn what_is_exported_is_imported_again() {
    for (form, file) in [
        ("api", "granary-api.json"),
        ("yaml", "segment-pivot.yaml"),
        ("helm-values", "helm-values.yaml"),
    ] {
        let segment = segctl(&format!("import --name demo -o json {file}"), "");
        let exported = segctl(&format!("export -f - -o {form}"), &segment.out);
        assert_eq!(exported.code, 0, "{}", exported.err);
        let again = segctl("import --name demo -o json -", &exported.out);
        assert_eq!(again.out, segment.out, "{file}");
    }
}

#[test]
fn what_a_form_cannot_carry_is_said() {
    let ran = segctl("export -f segment-pivot.yaml -o helm-values", "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    says(
        &ran.err,
        &[
            "spec.cronjob.schedule has an H",
            "spec.clusterSelector has no place in the chart's values",
        ],
    );
    let ran = segctl(
        "export -f segment-pivot.yaml -o helm-values --cluster eu-1",
        "",
    );
    let values: Value = serde_saphyr::from_str(&ran.out).unwrap();
    let schedule = values["cronjob"]["schedule"].as_str().unwrap();
    assert!(
        schedule.ends_with(" 3 * * *") && !schedule.contains('H'),
        "{schedule}"
    );
    let ran = segctl("export -f segment-pivot.yaml -o api --cluster eu-1", "");
    assert_eq!(ran.code, 2);
}

#[test]
fn a_context_that_no_cluster_can_be_called_after_says_what_to_write() {
    let ran = segctl("import --from-cluster arn:aws:eks/x", "");
    assert_eq!(ran.code, 2);
    says(&ran.err, &["--from-cluster arn:aws:eks/x=NAME"]);
}
