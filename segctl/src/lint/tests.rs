use super::report::Report;
use super::*;
use crate::input;
use crate::output::{findings, machine};

const GOOD: &str = "\
apiVersion: segment.grnry.io/v1alpha1
kind: Segment
metadata: {name: demo, namespace: granary}
spec:
  cronjob: {schedule: '@daily'}
  env:
    TYPE: generic
    CITUS_DIST_COL: id
    SOURCE_WHERE_CLAUSE: a = 1
    TARGET_SEGMENT_NAME: demo
    TARGET_SEGMENT_VIEWS: ''
    TARGET_SEGMENT_INDEXES: ''
    GENERIC_COLUMNS: id,a
";

fn report(text: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.yaml");
    std::fs::write(&path, text).unwrap();
    let context = Context {
        defaults: HouseDefaults::default(),
        namespace: "default".to_owned(),
        now: "2026-11-26T12:00:00Z".parse().unwrap(),
    };
    let mut report = Report::new(80);
    for source in input::list(&[path]).unwrap() {
        report.add_file("demo.yaml", true, input::read_one(&source), &context);
    }
    report.finish(&context);
    for reported in &mut report.findings {
        "demo.yaml".clone_into(&mut reported.file);
    }
    report
}

fn told(text: &str) -> Vec<String> {
    report(text)
        .findings
        .iter()
        .map(|reported| {
            let (line, column) = reported.at.unwrap_or_default();
            format!(
                "{line}:{column} {} {}",
                reported.finding.code, reported.finding
            )
        })
        .collect()
}

#[test]
fn what_is_right_is_right() {
    assert_eq!(told(GOOD), Vec::<String>::new());
    assert_eq!(
        findings::summary(&report(GOOD)),
        "1 Segment in 1 file: no findings"
    );
}

#[test]
fn two_that_write_one_table_are_told_at_both() {
    let other = GOOD.replace("name: demo", "name: other");
    let told = told(&format!("{GOOD}---\n{other}"));
    assert_eq!(told.len(), 2, "{told:?}");
    for told in told {
        assert!(
            told.contains("SharedTable spec.env.TARGET_SEGMENT_NAME")
                && told.contains("on clusters that both select"),
            "{told}"
        );
    }
}

#[test]
fn nothing_is_said_twice() {
    for (from, to, wanted) in [
        (
            "TYPE: generic",
            "TYPE: generics",
            "7:11 InvalidValue spec.env.TYPE ",
        ),
        (
            "    SOURCE_WHERE_CLAUSE: a = 1\n",
            "",
            "6:3 RequiredVariable spec.env.SOURCE_WHERE_CLAUSE ",
        ),
        (
            "TARGET_SEGMENT_NAME: demo",
            "TARGET_SEGMENT_NAME: 5",
            "10:26 WrongType spec.env.TARGET_SEGMENT_NAME must be a string, and is the number 5 (write it in quotes: TARGET_SEGMENT_NAME: \"5\")",
        ),
        (
            "schedule: '@daily'",
            "schedule: 'TZ=UTC 0 3 * * *'",
            "5:24 InvalidSchedule spec.cronjob.schedule",
        ),
        (
            "v1alpha1",
            "v1beta1",
            "1:13 InvalidValue apiVersion is \"segment.grnry.io/v1beta1\" (write apiVersion: segment.grnry.io/v1alpha1)",
        ),
        (
            "GENERIC_COLUMNS",
            "GENERIC_COLUMN",
            "13:5 UnknownField spec.env.GENERIC_COLUMN is not a field (did you mean GENERIC_COLUMNS?)",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let all = told(&GOOD.replace(from, to));
        let errors: Vec<&String> = all
            .iter()
            .filter(|told| !told.contains("NoColumns"))
            .collect();
        assert_eq!(errors.len(), 1, "{to}: {all:?}");
        assert!(errors[0].starts_with(wanted), "{to}: {all:?}");
    }
}

#[test]
fn the_rest_is_judged_beside_a_mistake_of_form() {
    let text = GOOD
        .replace(
            "TARGET_SEGMENT_NAME: demo",
            "TARGET_SEGMENT_NAME: demo\n    DB_PORT: 5432",
        )
        .replace("'@daily'", "'0 3 * *'");
    let told = told(&text);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("5:24 InvalidSchedule"), "{told:?}");
    assert!(
        told[1].starts_with("11:14 WrongType spec.env.DB_PORT"),
        "{told:?}"
    );
}

#[test]
fn a_name_that_stands_twice_is_a_warning() {
    let told = told(&format!("{GOOD}---\n{GOOD}"));
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("17:18 DuplicateSegment metadata.name segment granary/demo is defined a second time, first in "), "{told:?}");
}

#[test]
fn people_read_it_as_compilers_say_it() {
    let text = GOOD.replace("TYPE: generic", "TYPE: generics");
    let report = report(&text);
    let shown = anstream::adapter::strip_str(&findings::text(&report)).to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("error[InvalidValue]: "), "{shown}");
    assert_eq!(
        lines[1],
        " --> demo.yaml:7:11 spec.env.TYPE of granary/demo"
    );
    assert_eq!(
        lines[2..5],
        ["  |", "7 |     TYPE: generics", "  |           ^^^^^^^^"]
    );
    assert_eq!(findings::summary(&report), "1 Segment in 1 file: 1 error");
}

#[test]
fn programs_read_it_as_json_and_sarif() {
    let report = report(&GOOD.replace("TYPE: generic", "TYPE: generics"));
    let json = machine::json(&report);
    assert_eq!(json[0]["file"], "demo.yaml");
    assert_eq!(json[0]["line"], 7);
    assert_eq!(json[0]["code"], "InvalidValue");
    assert_eq!(json[0]["segment"], "granary/demo");
    let sarif = machine::sarif(&report);
    let run = &sarif["runs"][0];
    assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "InvalidValue");
    let result = &run["results"][0];
    assert_eq!(
        (&result["ruleIndex"], &result["level"]),
        (&json!(0), &json!("error"))
    );
    assert_eq!(
        result["locations"][0]["physicalLocation"],
        json!({ "artifactLocation": { "uri": "demo.yaml" }, "region": { "startLine": 7, "startColumn": 11, "endColumn": 19 } })
    );
}

#[test]
fn other_objects_are_counted_and_a_file_without_segments_is_a_mistake() {
    let other = "apiVersion: apps/v1\nkind: Deployment\n";
    let both = report(&format!("{other}---\n{GOOD}"));
    assert_eq!(
        findings::summary(&both),
        "1 Segment in 1 file: no findings; 1 document of other kinds skipped"
    );
    let none = report(other);
    assert_eq!(
        (none.unreadable, none.findings[0].finding.code),
        (1, Code::Unreadable)
    );
    assert!(told("").concat().contains("is empty"));
}
