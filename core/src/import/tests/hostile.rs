//! Documents that are wrong in one place, and documents that came through a file.

use super::*;
use crate::export::{clean, to_api, to_helm_values, to_resource};
use crate::lint::lint;
use crate::testing;
use proptest::prelude::*;
use proptest::sample::Index;

/// A Segment in each form that a file may have.
fn documents(segment: &Segment) -> [Value; 4] {
    [
        to_resource(segment),
        to_api(segment).0,
        to_helm_values(segment).0,
        chart_cronjob(segment, "eu-1", &chart_defaults()),
    ]
}

fn naming() -> Naming {
    Naming {
        name: Some("demo".to_owned()),
        namespace: Some("granary".to_owned()),
    }
}

/// Pointers of every value in a document.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(value, &format!("{at}/{key}"), all);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                pointers(value, &format!("{at}/{index}"), all);
            }
        }
        _ => {}
    }
}

/// What nobody writes on purpose.
fn hostile() -> impl Strategy<Value = Value> {
    let nested = |depth: usize, list: bool| {
        (0..depth).fold(json!("x"), |inner, _| {
            if list {
                json!([inner])
            } else {
                json!({"a": inner})
            }
        })
    };
    prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        Just(json!({})),
        Just(json!([])),
        Just(json!([null, 1, "a", {}])),
        Just(json!(u64::MAX)),
        Just(json!(i64::MIN)),
        Just(json!(-1)),
        Just(json!(1e308)),
        Just(json!(0.1)),
        Just(serde_json::from_str("123456789012345678901234567890").unwrap_or(Value::Null)),
        Just(json!("9".repeat(400))),
        Just(json!("\0\u{feff}$(cluster.name")),
        ".{0,8}".prop_map(Value::from),
        (1..200usize, any::<bool>()).prop_map(move |(depth, list)| nested(depth, list)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn one_wrong_value_anywhere_makes_nothing_panic(
        segment in testing::segments(), form in 0..4usize, at in any::<Index>(), wrong in hostile(),
    ) {
        let mut segment = segment;
        // No cluster has what a reference names, and a CronJob has no override.
        segment.spec.overrides.clear();
        segment.spec.env = testing::segment("granary/demo").spec.env;
        segment.spec.extra_env.clear();
        let mut document = documents(&segment)[form].clone();
        let mut all = Vec::new();
        pointers(&document, "", &mut all);
        if let Some(slot) = document.pointer_mut(&all[at.index(all.len())]) {
            *slot = wrong;
        }
        match import(&document, &naming()) {
            Ok(imported) => {
                lint(&imported.segment, &HouseDefaults::default(), jiff::Timestamp::UNIX_EPOCH);
            }
            Err(findings) => prop_assert!(findings.iter().any(Finding::is_error)),
        }
        let _ = split(document);
    }

    #[test]
    fn a_file_of_yaml_comes_back(segment in testing::segments()) {
        let read = |document: &Value| -> Value {
            serde_saphyr::from_str(&serde_saphyr::to_string(document).unwrap()).unwrap()
        };
        let resource = import(&read(&to_resource(&segment)), &Naming::default()).unwrap();
        prop_assert_eq!(&resource.segment, &clean(&segment));
        for document in [to_api(&segment).0, to_helm_values(&segment).0] {
            let direct = import(&document, &naming());
            prop_assert_eq!(import(&read(&document), &naming()), direct);
        }
    }
}
