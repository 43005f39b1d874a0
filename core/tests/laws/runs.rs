//! Runs of ten thousand clusters: a Segment's condition says what is wrong, and its status stays small.

use proptest::prelude::*;
use segment_core::aggregate::aggregate;
use segment_core::ids::{ClusterName, HubId, SegmentKey, Uid};
use segment_core::index::{FleetIndex, Settings};
use segment_core::report::RunResult;
use segment_core::runs::{LedgerRun, RunBatch, ToldRun};
use segment_core::segment::HouseDefaults;
use segment_core::status::segment_status;
use segment_core::testing::{hello, seen, segment, view};
use segment_crds::SegmentStatus;

/// What etcd and every reader of a list of Segments can bear.
const STATUS_MAX_BYTES: usize = 64 * 1024;

fn at(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_767_312_000 + seconds).unwrap()
}

fn key() -> SegmentKey {
    "granary/visits".parse().unwrap()
}

/// A Segment on so many clusters, all connected.
fn fleet(clusters: usize) -> (FleetIndex, Vec<ClusterName>) {
    let defaults = HouseDefaults::from_env(std::iter::empty()).unwrap();
    let hub = HubId::new("hub-00000001").unwrap();
    let mut index = FleetIndex::new(hub, defaults, Settings::default(), at(0));
    let names: Vec<ClusterName> = (0..clusters)
        .map(|n| ClusterName::new(format!("cluster-{n:05}")).unwrap())
        .collect();
    for name in &names {
        index.apply_cluster(view(name.as_str(), &[]), 1, None, None, at(0));
        index.connected(name, 1, &hello(), None, at(0));
    }
    let mut segment = segment("granary/visits");
    segment.spec.cluster_selector = Some(segment_core::testing::label_selector(&[]));
    index.apply_segment(seen(&segment), at(0));
    for name in &names {
        index.inventory(name, 1, std::collections::BTreeMap::new(), at(0));
    }
    (index, names)
}

fn told(index: &mut FleetIndex, name: &ClusterName, runs: Vec<LedgerRun>, upto: u64) {
    let key = key().hash();
    let runs = runs.into_iter().map(|run| ToldRun { key, run }).collect();
    let batch = RunBatch {
        upto,
        dropped: 0,
        runs,
    };
    index.runs(name, 1, batch, at(1));
}

fn run(due: i64, result: RunResult, message: &str) -> LedgerRun {
    LedgerRun::without_job(at(due), result, "Reason", message)
}

fn condition(status: &SegmentStatus) -> (String, String, String) {
    let found = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "RunsSucceeding")
        .unwrap();
    (
        found.status.clone(),
        found.reason.clone(),
        found.message.clone(),
    )
}

#[test]
fn ten_thousand_failing_clusters_with_long_words_make_a_small_status() {
    let (mut index, names) = fleet(10_000);
    // What JSON has to escape, at the length that a cluster may say.
    for words in [
        "x".repeat(1024),
        "\"\\\n".repeat(341),
        "\u{1}".repeat(1024),
        "ä".repeat(512),
    ] {
        for (n, name) in names.iter().enumerate() {
            let mut run = run(60, RunResult::Failed, &words);
            run.job = format!("visits-{n}");
            told(&mut index, name, vec![run], 1);
            index.acked(name, 1, vec![refusal(&words)], at(1));
        }
        let status = segment_status(&index, &key(), None, at(2)).unwrap();
        assert_eq!(status.clusters.as_ref().unwrap().failing, 10_000);
        let (truth, _, message) = condition(&status);
        assert_eq!(truth, "False");
        assert!(
            message.contains("10000 of 10000 clusters (10000 failed); cluster-00000: Job visits-0")
        );
        let bytes = serde_json::to_string(&status).unwrap().len();
        assert!(bytes <= STATUS_MAX_BYTES, "{bytes} bytes");
    }
}

fn refusal(words: &str) -> segment_core::sync::frame::Ack {
    segment_core::sync::frame::Ack {
        key: key().hash(),
        uid: Uid([1; 16]),
        number: segment_core::assignment::OrderNumber::default(),
        verdict: segment_core::sync::frame::AckVerdict::Refused {
            reason: "StoreFull".to_owned(),
            message: words.to_owned(),
        },
    }
}

#[test]
fn the_newest_run_that_was_good_or_bad_counts() {
    use RunResult::{Failed, Missed, Running, Skipped, Stuck, Succeeded, Unknown};
    for (runs, truth, words) in [
        (vec![], "Unknown", "no run has ended yet"),
        (vec![Running], "Unknown", "no run has ended yet"),
        (vec![Skipped, Unknown], "Unknown", "no run has ended yet"),
        (vec![Failed, Succeeded], "True", ""),
        (
            vec![Failed, Succeeded, Skipped, Unknown, Running],
            "True",
            "",
        ),
        (
            vec![Succeeded, Failed],
            "False",
            "1 of 1 clusters (1 failed)",
        ),
        (
            vec![Succeeded, Failed, Running],
            "False",
            "1 of 1 clusters (1 failed)",
        ),
        (
            vec![Succeeded, Missed, Skipped],
            "False",
            "1 of 1 clusters (1 missed)",
        ),
        (vec![Succeeded, Stuck], "False", "1 of 1 clusters (1 stuck)"),
    ] {
        let (mut index, names) = fleet(1);
        let list = runs
            .iter()
            .zip(1..)
            .map(|(result, n)| run(60 * n, *result, "words"));
        told(&mut index, &names[0], list.collect(), 1);
        let status = segment_status(&index, &key(), None, at(2)).unwrap();
        let (found, _, message) = condition(&status);
        assert_eq!(found, truth, "{runs:?}: {message}");
        assert!(message.contains(words), "{runs:?}: {message}");
    }
}

#[test]
fn a_cluster_that_went_back_in_time_or_forgot_is_asked_for_all_and_an_old_agent_for_nothing() {
    use segment_core::sync::frame::{AgentFrame, Hello, HubFrame, TELLS_RUNS};
    use segment_core::sync::hub::{HubSync, Output, Remembered};
    for (capable, said, remembered, asked) in [
        (true, 50, 50, Some(50)),
        (true, 70, 50, Some(50)),
        (true, 40, 50, Some(0)),
        (true, 40, 0, Some(0)),
        (false, 0, 50, None),
    ] {
        let hub = HubId::new("hub-00000001").unwrap();
        let mut sync = HubSync::new(hub, hello().cluster_uid);
        let hello = Hello {
            runs: said,
            capabilities: capable.then(|| TELLS_RUNS.to_owned()).into_iter().collect(),
            ..hello()
        };
        let memory = segment_core::fence::HubMemory {
            fence: segment_core::fence::Fence::default(),
            n: 0,
            old_terms: std::collections::BTreeMap::new(),
        };
        let outputs = sync.on_frame(AgentFrame::Hello(hello), &memory, || Remembered {
            runs: remembered,
            ..Remembered::default()
        });
        let welcome = outputs.iter().find_map(|output| match output {
            Output::Send(HubFrame::Welcome(welcome)) => Some(welcome.runs_after),
            _ => None,
        });
        assert_eq!(welcome, Some(asked));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_order_in_which_clusters_tell_makes_no_difference(
        results in prop::collection::vec(0..7usize, 6),
        order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle(),
        twice in any::<bool>(),
    ) {
        use RunResult::{Failed, Missed, Running, Skipped, Stuck, Succeeded, Unknown};
        const ALL: [RunResult; 7] = [Running, Succeeded, Failed, Missed, Skipped, Stuck, Unknown];
        let sum = |order: &[usize], twice: bool| {
            let (mut index, names) = fleet(6);
            for n in order {
                for _ in 0..=usize::from(twice) {
                    let due = i64::try_from(n % 3).unwrap() * 60;
                    told(&mut index, &names[*n], vec![run(due, ALL[results[*n]], "words")], 1);
                }
            }
            aggregate(&index, &key(), at(2)).unwrap().runs
        };
        prop_assert_eq!(sum(&order, twice), sum(&[0, 1, 2, 3, 4, 5], false));
    }
}
