//! The worst Segments of a size: every list, text and map filled with what is hard on its reader.
//!
//! In: a size in bytes. Out: [`Worst`] Segments of about that size. Law: the same size gives the same Segments; all
//! that grows in a Segment grows in one of them. Not: how long a reader may take (`cargo figures lint`).

use crate::testing::segment;
use k8s_openapi::api::core::v1::Toleration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use segment_crds::limits::{LONG_VALUE_MAX_CHARS, OVERRIDES_MAX, VARIABLES_MAX};
use segment_crds::{Override, SecretRef, Segment, SegmentEnv};

/// One of them.
#[derive(Clone, Debug)]
pub struct Worst {
    /// What it is made of.
    pub name: String,
    /// The Segment.
    pub segment: Segment,
}

const TYPES: [&str; 3] = ["pivot", "generic", "flexible"];

/// Variables that hold as much as a Segment's variables may.
const LONG: [&str; 10] = [
    "SOURCE_WHERE_CLAUSE",
    "PIVOT_PATHS",
    "PIVOT_ALIASES",
    "PIVOT_TRANSFORMATIONS",
    "PIVOT_SEGMENT_WHERE_CLAUSE",
    "GENERIC_COLUMNS",
    "GENERIC_TRANSFORMATIONS",
    "TARGET_SEGMENT_INDEXES",
    "TARGET_SEGMENT_VIEWS",
    "SOURCE_QUERY",
];

/// Those that are one piece of SQL.
const SQL: [&str; 3] = [
    "SOURCE_WHERE_CLAUSE",
    "PIVOT_SEGMENT_WHERE_CLAUSE",
    "SOURCE_QUERY",
];

#[rustfmt::skip]
/// What values are filled with: separators, what is opened and not closed, references, and SQL that is hard to parse.
const PIECES: [&str; 56] = [
    ",", "|", "||", "::", "=", ":", ";", " ", "\n", "ä", "\u{1f980}", "\0",
    "a,", "/a/b,", "a=b::int|", "a=b::int||", "a=?::txet|", "a=(b),", "a:b,", "a=b::c::d::e", "a:\"b\" = 1,",
    "a=(a)|", "a=using btree (a, b, \"c\")|", "a=(lower(b))::text|", "*,",
    "'", "'|", "\"", "(|", ")", "[", "$$", "$a$", "E'\\", "--", "--\n", "/*", "*/", "%", "%%%%",
    "$(", "$()", "$(x)", "$(cluster", "$(cluster.name)", "$(cluster.name)--\n", "$(cluster.labels['region'])=",
    "://", "://a:b@", "a://b:$(",
    "-", "not ", "a and ", "a.", "case when ", "a in (",
];

#[rustfmt::skip]
/// SQL that is opened `n` times and closed as often: what a parser that tries and goes back is slow at.
const NESTED: [(&str, &str, &str, &str); 14] = [
    ("", "(", "1", ")"),
    ("", "((", "1", ")) "),
    ("", "f(", "1", ")"),
    ("", "a[", "1", "]"),
    ("", "array[", "1", "]"),
    ("", "cast(", "1", " as int)"),
    ("", "case when ", "1", " then 1 end"),
    ("", "(select ", "1", ")"),
    ("", "exists (select 1 where ", "1 = 1", ")"),
    ("", "a in (select ", "1", ")"),
    ("select * from ", "(", "a", ")"),
    ("select * from ", "(a join ", "b", " on true)"),
    ("select * from ", "(select * from ", "a", ") b"),
    ("", "interval (", "1", ")"),
];

/// How deep the nested ones are: around the bounds that a parser may have.
const DEPTHS: [usize; 5] = [4, 8, 16, 28, 60];

/// Segments of about `bytes` each.
pub fn worst(bytes: usize) -> impl Iterator<Item = Worst> {
    let texts = PIECES
        .iter()
        .map(|piece| (format!("{piece:?}"), (*piece).to_owned()));
    let nested = NESTED.iter().flat_map(|(before, open, inner, close)| {
        DEPTHS.map(|depth| {
            let sql = format!(
                "{before}{}{inner}{}",
                open.repeat(depth),
                close.repeat(depth)
            );
            (format!("{:?} {depth} deep", format!("{before}{open}")), sql)
        })
    });
    texts
        .chain(nested)
        .flat_map(move |(name, piece)| filled(&name, &piece, bytes))
        .chain(structures(bytes))
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "what the fields of the environment are made of"
)]
fn fill(piece: &str, bytes: usize) -> Option<String> {
    Some(piece.repeat((bytes / piece.len()).max(1)))
}

/// As many characters as a long value may have, but not more than `bytes`.
fn long(piece: &str, bytes: usize) -> Option<String> {
    let times = LONG_VALUE_MAX_CHARS / piece.chars().count();
    fill(piece, bytes.min(times * piece.len()))
}

/// The three ways in which one text can fill a Segment.
fn filled(name: &str, piece: &str, bytes: usize) -> Vec<Worst> {
    let mut all = Vec::new();
    for kind in TYPES {
        let mut base = segment("granary/demo");
        base.spec.env.type_ = Some(kind.to_owned());

        let mut one = base.clone();
        one.spec.env.source_where_clause = fill(piece, bytes / 2);
        one.spec.extra_env = [("A".to_owned(), fill(piece, bytes / 2).unwrap_or_default())].into();
        all.push((kind, "in one value", one));

        let mut every = base.clone();
        for variable in LONG {
            every
                .spec
                .env
                .set(variable, long(piece, bytes / LONG.len()));
        }
        let rest = bytes.saturating_sub(LONG.len() * LONG_VALUE_MAX_CHARS) / VARIABLES_MAX;
        every.spec.extra_env = (0..VARIABLES_MAX)
            .map(|number| (format!("A{number}"), fill(piece, rest).unwrap_or_default()))
            .collect();
        all.push((kind, "in every value", every));

        let mut changes = base;
        let share = bytes / OVERRIDES_MAX / SQL.len();
        for _ in 0..OVERRIDES_MAX {
            let mut change = Override::default();
            for variable in SQL {
                change.env.set(variable, long(piece, share));
            }
            changes.spec.overrides.push(change);
        }
        all.push((kind, "in every override", changes));
    }
    all.into_iter()
        .map(|(kind, place, segment)| Worst {
            name: format!("{name} {place}, {kind}"),
            segment,
        })
        .collect()
}

/// Many small things, and separators that are no small ones.
#[allow(clippy::too_many_lines, reason = "one list")]
fn structures(bytes: usize) -> Vec<Worst> {
    let one = |name: &str, change: &dyn Fn(&mut Segment)| {
        let mut segment = segment("granary/demo");
        change(&mut segment);
        Worst {
            name: name.to_owned(),
            segment,
        }
    };
    let selector = |expressions: usize| LabelSelector {
        match_labels: None,
        match_expressions: Some(
            (0..expressions)
                .map(|number| LabelSelectorRequirement {
                    key: format!("k{number}"),
                    operator: "NotIn".to_owned(),
                    values: Some(vec!["a".to_owned()]),
                })
                .collect(),
        ),
    };
    let schedules = |text: &'static str| {
        move |segment: &mut Segment| {
            let zones = ["Europe/Berlin", "America/New_York", "Africa/Casablanca"];
            for number in 0..bytes / 80 {
                let mut change = Override::default();
                change.cronjob.schedule = Some(text.to_owned());
                change.cronjob.time_zone = Some(zones[number % zones.len()].to_owned());
                segment.spec.overrides.push(change);
            }
        }
    };
    vec![
        one("many overrides with a schedule", &schedules("30 2 * * *")),
        one("many overrides with H", &schedules("H H(1-3) * * *")),
        one("many overrides and references", &|segment| {
            let value = "$(cluster.labels['zone'])";
            segment.spec.extra_env = (0..bytes / 80)
                .map(|number| (format!("A{number}"), value.to_owned()))
                .collect();
            segment.spec.overrides = vec![Override::default(); bytes / 8];
        }),
        one("many overrides with a wrong port", &|segment| {
            let mut change = Override::default();
            change.env.db_port = Some("x".to_owned());
            segment.spec.overrides = vec![change; bytes / 40];
        }),
        one("a long schedule of H", &|segment| {
            segment.spec.cronjob.schedule = Some(format!("{} 2 * * *", "H,".repeat(bytes / 2)));
            segment.spec.cronjob.time_zone = Some("Europe/Berlin".to_owned());
        }),
        one("a long schedule of numbers", &|segment| {
            segment.spec.cronjob.schedule = Some(format!("{} * * * *", "1,".repeat(bytes / 2)));
        }),
        one("a long name in a schedule", &|segment| {
            segment.spec.cronjob.schedule = Some(format!("* * * * {}", "x".repeat(bytes)));
        }),
        one("many expressions of a selector", &|segment| {
            segment.spec.cluster_selector = Some(selector(bytes / 60));
        }),
        one("many variables from Secrets", &|segment| {
            let reference = SecretRef {
                secret: Some("other".to_owned()),
                key: Some("key".to_owned()),
            };
            segment.spec.env_from_secrets = (0..bytes / 50)
                .map(|number| (format!("S{number}"), reference.clone()))
                .collect();
            let names = (0..bytes / 200).map(|number| format!("$(S{number})"));
            segment.spec.extra_env = [("A".to_owned(), names.collect())].into();
        }),
        one("many labels and tolerations", &|segment| {
            let settings = &mut segment.spec.cronjob;
            let labels = (0..bytes / 60).map(|number| (format!("l{number}"), "-".to_owned()));
            settings.labels = Some(labels.collect());
            settings.tolerations = Some(vec![Toleration::default(); bytes / 20]);
        }),
        one("long separators", &|segment| {
            let separator = "=".repeat(1_024);
            let env = &mut segment.spec.env;
            env.definition_separator = Some(separator.clone());
            env.type_separator = Some(separator);
            env.pivot_transformations = long("=|", bytes);
            env.target_segment_indexes = long("=|", bytes);
        }),
        one("a separator that nearly is there", &|segment| {
            let separator = format!("{}b", "a".repeat(1_023));
            let env = &mut segment.spec.env;
            env.transformation_separator = Some(separator.clone());
            env.target_segment_index_separator = Some(separator.clone());
            env.column_placeholder = Some(separator);
            env.pivot_transformations = long("a", bytes);
            env.target_segment_indexes = long("a", bytes);
        }),
        one("names that are unset", &|segment| {
            let mut change = Override::default();
            change.unset.env = vec!["NOTHING".to_owned(); bytes / 10];
            segment.spec.overrides = vec![change];
        }),
        one("aliases of many paths", &|segment| {
            let env: &mut SegmentEnv = &mut segment.spec.env;
            let list = |prefix: &str| {
                let names = 0..LONG_VALUE_MAX_CHARS.min(bytes) / 8;
                let names: Vec<String> = names.map(|n| format!("{prefix}{n},")).collect();
                Some(names.concat())
            };
            env.pivot_paths = list("/");
            env.pivot_aliases = list("a");
            env.pivot_transformations = long("/1=?::int|", bytes);
        }),
    ]
}
