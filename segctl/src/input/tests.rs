#![allow(clippy::format_push_string, reason = "text of tests")]

use super::*;
use serde_json::json;

fn documents(text: &str) -> Vec<Read> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    std::fs::write(&path, text).unwrap();
    let mut read = read(&[path]).unwrap();
    for document in &mut read {
        match document {
            Ok(document) => document.file = "a.yaml".to_owned(),
            Err(broken) => broken.file = "a.yaml".to_owned(),
        }
    }
    read
}

fn one(text: &str) -> Document {
    let mut all = documents(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).unwrap()
}

fn broken(text: &str) -> String {
    let errors: Vec<String> = documents(text)
        .into_iter()
        .filter_map(Result::err)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors[0].clone()
}

const SEGMENT: &str = "\
# a comment
apiVersion: segment.grnry.io/v1alpha1
kind: Segment
metadata: {name: demo, namespace: granary, labels: {a.b/c: d}}
spec:
  env:
    TYPE: pivot
    DB_USE_SSL: True
    SOURCE_WHERE_CLAUSE: 'a = ''x'' and b'
    TARGET_SEGMENT_VIEWS: \"v1:\\tx\\u00e9y\"
    SOURCE_QUERY: |
      select 1
        from x
      where y
    PIVOT_PATHS: >-
      a,
      b,
      c
  overrides:
    - env: {TYPE: generic}
    - clusterSelector:
        matchLabels:
          a.b/c: d
      env:
        TYPE: flexible
";

#[test]
fn every_field_has_its_place() {
    let document = one(SEGMENT);
    let positions = &document.positions;
    for (path, place) in [
        ("apiVersion", Some((2, 13))),
        ("metadata.name", Some((4, 18))),
        ("metadata.labels.a.b/c", Some((4, 60))),
        ("spec.env.TYPE", Some((7, 11))),
        ("spec.env.SOURCE_WHERE_CLAUSE", Some((9, 26))),
        ("spec.overrides[0].env.TYPE", Some((20, 19))),
        ("spec.overrides[1].env.TYPE", Some((25, 15))),
        (
            "spec.overrides[1].clusterSelector.matchLabels.a.b/c",
            Some((23, 18)),
        ),
        ("spec.env.NOPE", None),
        ("spec.overrides[2].env", None),
        ("spec.env.TYPE.x", None),
    ] {
        assert_eq!(positions.of(path), place, "{path}");
    }
    assert_eq!(document.value["spec"]["env"]["DB_USE_SSL"], json!(true));
    assert_eq!(positions.written("spec.env.DB_USE_SSL"), Some("True"));
}

#[test]
fn what_is_missing_is_shown_where_it_would_stand() {
    let positions = one(SEGMENT).positions;
    for (path, at) in [
        ("spec.env.NOPE", (6, 3)),
        ("spec.overrides[1].env.NOPE", (24, 7)),
        ("spec.overrides[0].cronjob", (20, 7)),
        ("spec.nope", (5, 1)),
        ("nope", (2, 1)),
    ] {
        let place = positions.place(path, false, None);
        assert_eq!(
            (place.line, place.column, place.exact),
            (at.0, at.1, false),
            "{path}"
        );
    }
}

#[test]
fn every_character_is_found() {
    let document = one(SEGMENT);
    for (field, needle, line, column) in [
        ("TYPE", "vot", 7, 13),
        ("SOURCE_WHERE_CLAUSE", "x", 9, 33),
        ("SOURCE_WHERE_CLAUSE", "and b", 9, 37),
        ("TARGET_SEGMENT_VIEWS", "xé", 10, 33),
        ("TARGET_SEGMENT_VIEWS", "y", 10, 40),
        ("SOURCE_QUERY", "1", 12, 14),
        ("SOURCE_QUERY", "from", 13, 9),
        ("SOURCE_QUERY", "where", 14, 7),
        ("PIVOT_PATHS", "b,", 17, 7),
        ("PIVOT_PATHS", "c", 18, 7),
    ] {
        let value = document.value["spec"]["env"][field].as_str().unwrap();
        let offset = value.find(needle).unwrap();
        let path = format!("spec.env.{field}");
        let place = document.positions.place(&path, false, Some(offset));
        assert_eq!(
            (place.line, place.column),
            (line, column),
            "{field} {needle}"
        );
        assert!(
            document
                .positions
                .line(&place)
                .contains(needle.split('é').next().unwrap()),
            "{field} {needle}"
        );
    }
}

#[test]
fn documents_lists_and_json_are_unrolled() {
    let text = "---\na: 1\n---\n# nothing\n---\n\n--- # here\nb: 2\n...\n";
    let values: Vec<_> = documents(text)
        .into_iter()
        .map(|read| read.unwrap().value)
        .collect();
    assert_eq!(values, [json!({"a": 1}), json!({"b": 2})]);

    let list = "apiVersion: v1\nkind: List\nitems:\n- {a: 1}\n- b: 2\n- {apiVersion: v1, kind: SegmentList, items: [{c: 3}]}\n";
    let documents: Vec<_> = documents(list).into_iter().map(Result::unwrap).collect();
    let values: Vec<_> = documents
        .iter()
        .map(|document| document.value.clone())
        .collect();
    assert_eq!(values, [json!({"a": 1}), json!({"b": 2}), json!({"c": 3})]);
    assert_eq!(documents[1].positions.of("b"), Some((5, 6)));
    assert_eq!(documents[2].index, 2);
}

#[test]
fn documents_that_look_like_json_are_split_as_yaml() {
    let all = documents("{\"a\": 1}\n---\n{\"a\": 2}\n--- # more\na: 3\n");
    let values: Vec<_> = all.into_iter().map(|one| one.unwrap().value).collect();
    assert_eq!(values, [json!({"a": 1}), json!({"a": 2}), json!({"a": 3})]);
}

#[test]
fn json_is_read_as_json_with_its_places() {
    let text = "{\n\t\"a\": \"\\ud83d\\ude00/x\",\n\t\"b\": {\"c\": 5}} {\"d\": \"\\/y\"}\n";
    let documents: Vec<_> = documents(text).into_iter().map(Result::unwrap).collect();
    assert_eq!(documents[0].value, json!({"a": "😀/x", "b": {"c": 5}}));
    assert_eq!(documents[1].value, json!({"d": "/y"}));
    assert_eq!(documents[0].positions.of("b.c"), Some((3, 13)));
    assert_eq!(documents[1].positions.of("d"), Some((3, 23)));
    assert_eq!(
        broken("{\"a\": 1}\n{\"b\": }"),
        "a.yaml:2:7: is not JSON: expected value"
    );
    assert!(broken("{\"a\": 1, \"a\": 2}").contains("a stands twice in one mapping"));
}

#[test]
fn a_broken_document_hides_no_other() {
    let read = documents("a: 1\n---\nb: [\n---\nc: 3\n");
    assert_eq!(read[0].as_ref().unwrap().value, json!({"a": 1}));
    assert!(read[1].is_err());
    assert_eq!(read[2].as_ref().unwrap().value, json!({"c": 3}));
}

#[test]
fn aliases_and_merges_mean_what_they_name() {
    let document = one("base: &b {x: 1, z: 2}\nuse: *b\nmore:\n  <<: *b\n  z: 3\n");
    assert_eq!(
        document.value,
        json!({"base": {"x": 1, "z": 2}, "use": {"x": 1, "z": 2}, "more": {"x": 1, "z": 3}})
    );
    assert_eq!(document.positions.of("more.x"), Some((1, 14)));
    assert_eq!(document.positions.of("more.z"), Some((5, 6)));
}

#[test]
fn mistakes_say_where_and_what_to_do() {
    for (text, message) in [
        (
            "a: 1\na: 2\n",
            "a.yaml:2:1: a stands twice in one mapping, first in line 1 (remove one of the two)",
        ),
        (
            "x: &a [*a]\n",
            "a.yaml:1:8: an alias stands inside of what it names (write the values out)",
        ),
        (
            "{{ .Values.x }}: 1\n",
            "a.yaml:1:2: the key of a mapping is itself a list or a mapping (quote it: text in {…} or […] without quotes is YAML's own notation)",
        ),
        ("<<: 5\n", "a.yaml:1:5: << takes mappings only"),
    ] {
        assert_eq!(broken(text), message);
    }
    for (text, part) in [
        ("a: *nope\n", "anchor"),
        ("a:\n\tb: 1\n", "indent with spaces"),
        ("a: b: c\n", "put quotes"),
        ("a: \0\n", "a.yaml:1:"),
        ("a: 'x\n", "a.yaml:"),
    ] {
        let message = broken(text);
        assert!(message.contains(part), "{text:?}: {message}");
    }
}

#[test]
fn line_ends_of_windows_are_line_ends() {
    let document = one("a: 1\r\nb:\r\n  c: |\r\n    x\r\n    y\r\n");
    assert_eq!(document.value, json!({"a": 1, "b": {"c": "x\ny\n"}}));
    let place = document.positions.place("b.c", false, Some(2));
    assert_eq!((place.line, place.column), (5, 5));
    assert_eq!(document.positions.line(&place), "    y");
}

mod hostile {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bombs() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..30 {
            let below = format!("*a{},", level - 1).repeat(10);
            text.push_str(&format!(
                "a{level}: &a{level} [{}]\n",
                below.trim_end_matches(',')
            ));
        }
        assert!(
            broken(&text).contains("when its aliases are written out"),
            "{}",
            broken(&text)
        );

        // Each level alone is shallow, all together are not.
        let mut text = "a0: &a0 x\n".to_owned();
        for level in 1..1_000 {
            text.push_str(&format!("a{level}: &a{level} [[[*a{}]]]\n", level - 1));
        }
        assert!(
            broken(&text).contains("nested deeper than 100"),
            "{}",
            broken(&text)
        );

        // A large mapping that is merged again and again.
        let mut text = "base: &b\n".to_owned();
        for key in 0..20_000 {
            text.push_str(&format!("  k{key}: x\n"));
        }
        for copy in 0..1_000 {
            text.push_str(&format!("c{copy}: {{<<: *b}}\n"));
        }
        assert!(
            broken(&text).contains("when its aliases are written out"),
            "{}",
            broken(&text)
        );
    }

    #[test]
    fn depth() {
        for text in [
            "[".repeat(100_000),
            "{a: ".repeat(100_000),
            "- ".repeat(100_000),
            "[".repeat(100_000) + &"]".repeat(100_000),
            "{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000),
        ] {
            let message = broken(&text);
            assert!(message.starts_with("a.yaml:1:"), "{message}");
        }
    }

    #[test]
    fn size() {
        let text = "x".repeat(10 * 1024 * 1024 + 1);
        assert!(broken(&text).contains("longer than the 10 MB"));
        let many = format!("[{}]", "1,".repeat(1_500_000));
        assert!(broken(&many).contains("more than 1000000 values"));
        let folder = tempfile::tempdir().unwrap();
        for bytes in [&b"\xff\xfea\0"[..], b"a: \xff\n"] {
            let path = folder.path().join("b.yaml");
            std::fs::write(&path, bytes).unwrap();
            let error = read(&[path]).unwrap().remove(0).unwrap_err();
            assert_eq!(error.help, "save it as UTF-8");
        }
    }

    #[test]
    fn a_path_of_many_dots_is_answered() {
        let keys: Vec<String> = (1..40)
            .map(|n| format!("{}: ", vec!["a"; n].join(".")))
            .collect();
        let mut text = String::new();
        for (level, key) in keys.iter().enumerate() {
            text.push_str(&format!("{}{key}\n", " ".repeat(level)));
        }
        let positions = one(&text).positions;
        assert!(positions.of(&vec!["a"; 3_000].join(".")).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn any_text_is_read_without_panic(text in r##"([\[\]{}:,&*!|>'"#%@`~<\\\-? \n\t\r0-9a-c\x00é😀.]|---\n|<<: |\*a|&a |\\u00e9){0,80}"##, path in r"[a-c.\[\]0-9]{0,12}", offset in 0usize..90) {
            let source = list(&[PathBuf::from("-")]).unwrap().remove(0);
            for document in parse(&source, text).into_iter().flatten() {
                    let place = document.positions.place(&path, false, Some(offset));
                    prop_assert!(place.line >= 1 && place.column >= 1);
                    document.positions.line(&place);
            }
        }

        #[test]
        fn places_of_scalars_are_inside_of_them(value in r#"[a-c'"\\ :#\n\té😀]{0,30}"#) {
            let source = list(&[PathBuf::from("-")]).unwrap().remove(0);
            let text = serde_saphyr::to_string(&json!({"k": value})).unwrap();
            let document = parse(&source, text.clone()).remove(0).unwrap();
            let read = document.value["k"].as_str().unwrap().to_owned();
            for (offset, c) in read.char_indices().filter(|(_, c)| c.is_ascii_lowercase() || *c == '😀') {
                let place = document.positions.place("k", false, Some(offset));
                let line = document.positions.line(&place);
                prop_assert_eq!(line.chars().nth(place.column - 1), Some(c), "{:?} {} {:?}", text, offset, place);
            }
        }
    }

    #[test]
    fn random_bytes_are_read_without_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.yaml");
        let mut seed = 7_u64;
        for round in 0..300 {
            let bytes: Vec<u8> = (0..round)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (seed >> 56) as u8
                })
                .collect();
            std::fs::write(&path, bytes).unwrap();
            read(std::slice::from_ref(&path)).unwrap();
        }
    }
}
