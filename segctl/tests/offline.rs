//! What needs no hub, as users run it: files in, text and exit codes out.

#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod ran;

use assert_cmd::Command;
use ran::Ran;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

fn segctl(folder: &Path, line: &str, stdin: &str) -> Ran {
    Command::cargo_bin("segctl")
        .unwrap()
        .args(line.split(' '))
        .current_dir(folder)
        .env_remove("KUBECONFIG")
        .env_remove("SEGCTL_HUB")
        .write_stdin(stdin)
        .timeout(Duration::from_mins(1))
        .output()
        .unwrap()
        .into()
}

fn segment(name: &str, schedule: &str) -> String {
    format!(
        "apiVersion: segment.grnry.io/v1alpha1
kind: Segment
metadata:
  name: {name}
  namespace: granary
spec:
  cronjob:
    schedule: \"{schedule}\"
  env:
    TYPE: generic
    CITUS_DIST_COL: event_id
    SOURCE_WHERE_CLAUSE: |
      event_type = 'search'
    TARGET_SEGMENT_NAME: search_terms
    TARGET_SEGMENT_VIEWS: \"\"
    TARGET_SEGMENT_INDEXES: \"\"
    GENERIC_COLUMNS: event_id
    GENERIC_TRANSFORMATIONS: \"term=lower(message->>'q')::text|hits=message->'hits'::jsonb\"
"
    )
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn a_mistake_is_shown_with_its_line_a_caret_and_its_cure() {
    let text = segment("demo", "0 3 * * *").replace(")::text|", ")|");
    let folder = folder(&[("demo.yaml", &text)]);
    let ran = segctl(folder.path(), "lint demo.yaml", "");
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("error[MissingType]: "), "{}", ran.out);
    assert!(
        lines[1].starts_with("  --> demo.yaml:18:")
            && lines[1].ends_with(" spec.env.GENERIC_TRANSFORMATIONS of granary/demo"),
        "{}",
        ran.out
    );
    assert!(
        lines[3].starts_with("18 |     GENERIC_TRANSFORMATIONS: \""),
        "{}",
        ran.out
    );
    assert!(
        lines[4].trim_start().starts_with('|') && lines[4].ends_with('^'),
        "{}",
        ran.out
    );
    assert!(lines[5].starts_with("   = help: "), "{}", ran.out);
    assert_eq!(ran.err, "1 Segment in 1 file: 1 error\n");
}

#[test]
fn folders_stdin_and_other_kinds() {
    let good = segment("good", "@daily");
    let folder = folder(&[
        ("a/good.yaml", &good),
        (
            "a/deep/list.json",
            "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"kind\": \"Deployment\"}]}",
        ),
        ("a/.hidden/bad.yaml", ": : :"),
        ("a/notes.txt", "not read"),
        ("a/empty.yml", "# nothing\n---\n"),
    ]);
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("a"), folder.path().join("a/deep/loop")).unwrap();
    let ran = segctl(folder.path(), "lint a", "");
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (
            0,
            "",
            "1 Segment in 3 files: no findings; 1 document of other kinds skipped\n"
        )
    );
    let ran = segctl(
        folder.path(),
        "lint - -o json",
        &segment("bad", "0 3 * *").replace('\n', "\r\n"),
    );
    assert_eq!(ran.code, 1, "{}", ran.err);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found[0]["file"], "<stdin>");
    assert_eq!(found[0]["line"], 8);
    assert_eq!(found[0]["code"], "InvalidSchedule");
    assert_eq!(found[0]["severity"], "error");
    for (line, message) in [
        ("lint nowhere.yaml", "error: nowhere.yaml does not exist\n"),
        (
            "lint - -",
            "error: - (stdin) stands twice: it can be read only once\n",
        ),
    ] {
        let ran = segctl(folder.path(), line, "");
        assert_eq!((ran.code, ran.err.as_str()), (2, message));
    }
}

#[test]
fn warnings_are_denied_on_request_and_sarif_is_complete() {
    let text = segment("demo", "@daily").replace(
        "    TYPE: generic\n",
        "    TYPE: generic\n    PIVOT_PATHS: /a\n",
    );
    let folder = folder(&[("x y.yaml", &text)]);
    let ran = segctl(folder.path(), "lint . -o sarif", "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let log: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert_eq!(result["level"], "warning");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "x%20y.yaml");
        assert!(place["region"]["endColumn"].as_u64() > place["region"]["startColumn"].as_u64());
    }
    assert!(
        rules
            .iter()
            .all(|rule| rule["helpUri"].as_str().unwrap().contains("docs/lint.md#"))
    );
    assert_eq!(segctl(folder.path(), "lint . --deny-warnings", "").code, 1);
}

#[test]
fn what_cannot_be_read_is_exit_code_2_and_hides_nothing() {
    let good = segment("good", "@daily");
    let bad = segment("bad", "@dayly");
    let both = format!("{good}---\nx: [\n---\n{bad}");
    let twice = good.replace(
        "    TYPE: generic\n",
        "    TYPE: generic\n    TYPE: pivot\n",
    );
    let tabs = good.replace("    TYPE", "\tTYPE");
    let nul = good.replace("search_terms", "search\0terms");
    let folder = folder(&[
        ("both.yaml", &both),
        ("twice.yaml", &twice),
        ("tabs.yaml", &tabs),
        ("nul.yaml", &nul),
    ]);
    let ran = segctl(folder.path(), "lint both.yaml", "");
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(
        ran.out.contains("error[Unreadable]: is not YAML") || ran.out.contains("error[Unreadable]"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("error[InvalidSchedule]"), "{}", ran.out);
    for (file, words) in [
        (
            "twice.yaml",
            "TYPE stands twice in one mapping, first in line 10",
        ),
        ("tabs.yaml", "indent with spaces"),
        ("nul.yaml", "nul.yaml:14:"),
    ] {
        let ran = segctl(folder.path(), &format!("lint {file}"), "");
        assert_eq!(ran.code, 2, "{file}: {}", ran.out);
        assert!(ran.out.contains(words), "{file}: {}", ran.out);
    }
}

#[test]
fn bombs_depth_and_size_are_clear_errors_at_once() {
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..20 {
        let below = format!("*a{},", level - 1).repeat(10);
        let _ = writeln!(
            bomb,
            "a{level}: &a{level} [{}]",
            below.trim_end_matches(',')
        );
    }
    let deep = "[".repeat(1024 * 1024);
    let long = format!("a: {}", "x".repeat(10 * 1024 * 1024));
    let folder = folder(&[
        ("bomb.yaml", &bomb),
        ("deep.yaml", &deep),
        ("long.yaml", &long),
    ]);
    for (file, words) in [
        ("bomb.yaml", "when its aliases are written out"),
        ("deep.yaml", "nested"),
        ("long.yaml", "is longer than the 10 MB that a file may have"),
    ] {
        let ran = segctl(folder.path(), &format!("lint {file}"), "");
        assert_eq!(ran.code, 2, "{file}: {}", ran.out);
        assert!(ran.out.contains(words), "{file}: {}", ran.out);
    }
}

#[test]
fn house_defaults_are_those_of_the_file() {
    let text = segment("demo", "@daily").replace(
        "    CITUS_DIST_COL: event_id\n",
        "    CITUS_DIST_COL: \"\"\n",
    );
    let folder = folder(&[
        ("demo.yaml", &text),
        ("house.env", "DB_TYPE=postgres\nDB_HOST=grnry-pg\n"),
        ("bad.env", "DB_PORT=x\n"),
    ]);
    assert_eq!(segctl(folder.path(), "lint demo.yaml", "").code, 1);
    assert_eq!(
        segctl(folder.path(), "lint demo.yaml --defaults house.env", "").code,
        0
    );
    let ran = segctl(folder.path(), "lint demo.yaml --defaults bad.env", "");
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("bad.env:1: DB_PORT \"x\" is not a port"),
        "{}",
        ran.err
    );
    let ran = segctl(
        folder.path(),
        "render -f demo.yaml --defaults house.env -o json",
        "",
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let cronjob: Value = serde_json::from_str(&ran.out).unwrap();
    let env = &cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["env"];
    assert!(
        env.as_array()
            .unwrap()
            .iter()
            .any(|var| var["name"] == "DB_HOST" && var["value"] == "grnry-pg")
    );
    assert!(!ran.out.contains("segment.grnry.io/hub\""), "{}", ran.out);
}

#[test]
fn a_cronjob_is_rendered_for_the_cluster_that_is_described() {
    let text =
        segment("demo", "H 3 * * *").replace("search_terms", "terms_$(cluster.labels['region'])");
    let folder = folder(&[("demo.yaml", &text)]);
    let ran = segctl(folder.path(), "render -f demo.yaml --labels region=eu", "");
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(
        ran.err
            .contains("depends on the cluster's name: give --cluster NAME"),
        "{}",
        ran.err
    );
    let ran = segctl(
        folder.path(),
        "render -f demo.yaml --labels region=eu --cluster eu-21",
        "",
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.starts_with("apiVersion: batch/v1\nkind: CronJob\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("terms_eu"), "{}", ran.out);
    let again = segctl(
        folder.path(),
        "render -f demo.yaml --labels region=eu --cluster eu-22",
        "",
    );
    assert_ne!(ran.out, again.out, "H is another on another cluster");
    let ran = segctl(folder.path(), "render -f demo.yaml --cluster eu-21", "");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(
        ran.err.contains("error[UnknownReference]") && ran.err.contains("demo.yaml:14:"),
        "{}",
        ran.err
    );
}

#[test]
fn a_thousand_files_are_linted_in_seconds() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..1_000 {
        let path = folder.path().join(format!("{n:04}.yaml"));
        fs::write(
            path,
            segment(&format!("seg-{n}"), "@daily").replace("search_terms", &format!("terms_{n}")),
        )
        .unwrap();
    }
    let ran = segctl(folder.path(), "lint .", "");
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (0, "1000 Segments in 1000 files: no findings\n"),
        "{}",
        ran.out
    );
}

#[test]
fn api_json_and_helm_values_are_judged_in_their_own_places() {
    let helm = "cronjob:\n  schedule: '@daily'\nenv:\n  TYPE: generic\n  CITUS_DIST_COL: id\n  SOURCE_WHERE_CLAUSE: a = 1\n  TARGET_SEGMENT_NAME: terms\n  GENERIC_COLUMNS: id\n  GENERIC_TRANSFORMATIONS: 'term=lower(x)'\n";
    let api = "{\n  \"metadata\": {\"displayName\": \"Terms\"},\n  \"data\": {\n    \"cronjob\": {\"schedule\": \"0 3 * *\"},\n    \"env\": {\"TYPE\": \"generic\", \"CITUS_DIST_COL\": \"id\", \"SOURCE_WHERE_CLAUSE\": \"a = 1\", \"TARGET_SEGMENT_NAME\": \"other\", \"GENERIC_COLUMNS\": \"id\"}\n  }\n}\n";
    let folder = folder(&[("values.yaml", helm), ("terms.json", api)]);
    let ran = segctl(folder.path(), "lint . -o json", "");
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    let places: Vec<(&str, &str, i64, &str)> = found
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["severity"] == "error")
        .map(|finding| {
            (
                finding["file"].as_str().unwrap(),
                finding["code"].as_str().unwrap(),
                finding["line"].as_i64().unwrap(),
                finding["field"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            (
                "./terms.json",
                "InvalidSchedule",
                4,
                "data.cronjob.schedule"
            ),
            (
                "./values.yaml",
                "MissingType",
                9,
                "env.GENERIC_TRANSFORMATIONS"
            ),
        ]
    );
}

#[test]
fn what_a_segment_makes_is_explained() {
    let here = Path::new(".");
    let segment = "apiVersion: segment.grnry.io/v1alpha1\nkind: Segment\nmetadata: {name: visits, namespace: granary}\n\
                   spec:\n  cronjob: {schedule: 0 3 * * *}\n  env:\n    TYPE: generic\n    TARGET_SEGMENT_NAME: visits\n    \
                   CITUS_DIST_COL: correlation_id\n    SOURCE_WHERE_CLAUSE: event_type = 'visit'\n    \
                   GENERIC_COLUMNS: event_id,inserted\n    TARGET_SEGMENT_INDEXES: by_id=(event_id)\n    \
                   TARGET_SEGMENT_VIEWS: new:inserted > now()\n";
    let ran = segctl(here, "explain -f -", segment);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for said in [
        "segment granary/visits makes table segments.visits",
        "distributed  by correlation_id",
        "columns      event_id (as its source)",
        "indexes      by_id (event_id)",
        "views        new where inserted > now()",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    let ran = segctl(here, "explain -f - -o json", segment);
    assert!(
        ran.out.contains("\"distributedBy\": \"correlation_id\""),
        "{}",
        ran.out
    );
    let ran = segctl(here, "explain -f -", &segment.replace("generic", "genric"));
    assert!(
        ran.code == 1 && ran.err.contains("segctl lint says why"),
        "{}",
        ran.err
    );
}

#[test]
fn a_variable_is_explained_and_a_typo_is_understood() {
    let here = Path::new(".");
    let ran = segctl(here, "explain DB_HOST", "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("grnry-pg-citus"), "{}", ran.out);
    let ran = segctl(here, "explain DB_HSOT", "");
    assert_eq!(ran.code, 4);
    assert!(
        ran.err.starts_with(
            "error: DB_HSOT is neither a variable nor a code of lint; did you mean DB_HOST?\n"
        ),
        "{}",
        ran.err
    );
    let ran = segctl(here, "explain missingtype", "");
    assert!(
        ran.code == 0 && ran.out.contains("docs/lint.md#missingtype"),
        "{}",
        ran.out
    );
    let ran = segctl(here, "explain severalstatements", "");
    assert!(
        ran.out.contains("Wrong:") && ran.out.contains("Right:"),
        "{}",
        ran.out
    );
    let ran = segctl(here, "explain", "");
    assert!(
        ran.out.contains("PIVOT_TRANSFORMATIONS") && ran.out.contains("DB_PASSWORD"),
        "{}",
        ran.out
    );
}
