//! Hostile input is refused by name, alone, and never panics.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what broke by panicking"
)]

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use segment_core::admit::PolicyText;
use segment_core::assignment::{EntryId, MAX_RENDERED_BYTES};
use segment_core::sync::frame::{AckVerdict, AgentFrame, HubFrame};
use segment_proto::agent::v1;
use segment_proto::convert::{enrolment, frame};

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_frame_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = Bytes::from(bytes);
        if let Ok(message) = v1::SyncRequest::decode(bytes.clone()) {
            let _ = frame::agent_frame_from_wire(message);
        }
        if let Ok(message) = v1::SyncResponse::decode(bytes.clone()) {
            let _ = frame::hub_frame_from_wire(message);
        }
        if let Ok(message) = v1::EnrolRequest::decode(bytes.clone()) {
            let _ = enrolment::enrolment_from_wire(message);
        }
        if let Ok(message) = v1::EnrolResponse::decode(bytes) {
            let _ = enrolment::identity_from_wire(message.identity);
        }
    }

    #[test]
    fn a_good_frame_with_flipped_bytes_is_a_frame_or_an_error(at in prop::collection::vec((0usize..2_000, any::<u8>()), 1..8)) {
        for message in [put(b"{}"), remove()] {
            let orders = orders(vec![message]);
            let mut bytes = v1::SyncResponse { frame: Some(v1::sync_response::Frame::Orders(orders)) }.encode_to_vec();
            for (place, value) in &at {
                let place = place % bytes.len();
                bytes[place] ^= value;
            }
            if let Ok(message) = v1::SyncResponse::decode(Bytes::from(bytes)) {
                let _ = frame::hub_frame_from_wire(message);
            }
        }
    }
}

fn id(length: usize) -> Bytes {
    Bytes::from(vec![7; length])
}

fn put(rendered: &[u8]) -> v1::Order {
    v1::Order {
        order: Some(v1::order::Order::Put(v1::Entry {
            key: Some(v1::SegmentKey {
                namespace: "granary".into(),
                name: "demo".into(),
            }),
            uid: id(16),
            number: Some(v1::OrderNumber {
                generation: 3,
                order: 1,
            }),
            revision: id(8),
            rendered: Bytes::copy_from_slice(rendered),
            drift: v1::Drift::Correct.into(),
            adoption: v1::Adoption::IfSame.into(),
            on_schedule_change: v1::OnScheduleChange::Skip.into(),
            hold: None,
            removing: None,
        })),
    }
}

fn remove() -> v1::Order {
    v1::Order {
        order: Some(v1::order::Order::Remove(v1::Remove {
            key: id(16),
            uid: id(16),
            number: Some(v1::OrderNumber {
                generation: 3,
                order: 1,
            }),
            removal: Some(v1::Removal {
                policy: v1::RemovalPolicy::Delete.into(),
                running_jobs: v1::RunningJobs::Finish.into(),
            }),
        })),
    }
}

fn orders(orders: Vec<v1::Order>) -> v1::Orders {
    v1::Orders {
        fence: Some(v1::Fence {
            era: 1,
            shard_map: 0,
            term: 2,
            instance: id(16),
        }),
        watermark: Some(v1::Watermark { term: 2, n: 0 }),
        orders,
    }
}

fn from_hub(
    orders: v1::Orders,
) -> Result<Option<frame::FromHub>, segment_proto::convert::ConvertError> {
    frame::hub_frame_from_wire(v1::SyncResponse {
        frame: Some(v1::sync_response::Frame::Orders(orders)),
    })
}

fn from_agent(frame: v1::sync_request::Frame) -> Result<Option<frame::FromAgent>, String> {
    frame::agent_frame_from_wire(v1::SyncRequest { frame: Some(frame) })
        .map_err(|error| error.to_string())
}

#[test]
fn an_order_that_cannot_be_read_is_refused_alone_by_name() {
    let mut unsaid = remove();
    if let Some(v1::order::Order::Remove(order)) = &mut unsaid.order {
        order.removal = Some(v1::Removal::default());
    }
    let mut both = put(b"{}");
    if let Some(v1::order::Order::Put(entry)) = &mut both.order {
        entry.removing = Some(v1::Removal::default());
    }
    let mut big = vec![b' '; MAX_RENDERED_BYTES + 1];
    big[0] = b'{';
    for (order, words) in [
        (put(br#"{"hostNetwork":true}"#), "hostNetwork"),
        (put(b"\xff\xfe"), "rendered: "),
        (put(&big), "98305 bytes, at most 98304"),
        (both, "removing: must not be set here"),
        (unsaid, "removal.policy: has the value 0"),
    ] {
        let came = from_hub(orders(vec![order, remove()])).unwrap().unwrap();
        let HubFrame::Orders(taken) = came.frame else {
            panic!("orders")
        };
        assert_eq!(taken.orders.len(), 1, "the other one stands");
        let [refused] = &came.refused[..] else {
            panic!("one refusal")
        };
        let AckVerdict::Refused { reason, message } = &refused.verdict else {
            panic!("refused")
        };
        assert_eq!(reason, "Unreadable");
        assert!(
            message.contains(words),
            "{message:?} should contain {words:?}"
        );
    }
}

#[test]
fn a_frame_without_a_good_fence_is_refused_whole() {
    let mut none = orders(vec![remove()]);
    none.fence = None;
    assert_eq!(
        from_hub(none).unwrap_err().to_string(),
        "orders.fence: is missing"
    );
    let mut short = orders(vec![remove()]);
    short.fence = Some(v1::Fence {
        instance: id(15),
        ..v1::Fence::default()
    });
    assert_eq!(from_hub(short).unwrap_err().path, "orders.fence.instance");
    let mut order = remove();
    if let Some(v1::order::Order::Remove(order)) = &mut order.order {
        order.uid = id(3);
    }
    assert_eq!(
        from_hub(orders(vec![remove(), order])).unwrap_err().path,
        "orders.orders[1].remove.uid"
    );
}

#[test]
fn a_report_that_cannot_be_read_is_left_out_alone() {
    let good = v1::Report {
        key: id(16),
        uid: id(16),
        revision: id(8),
        digest: id(16),
        state: v1::State::Applied.into(),
        since: Some(prost_types::Timestamp {
            seconds: 1,
            nanos: 0,
        }),
        ..v1::Report::default()
    };
    let newer = v1::Report {
        state: 99,
        ..good.clone()
    };
    let timeless = v1::Report {
        since: Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
        ..good.clone()
    };
    let batch = v1::ReportBatch {
        token: id(16),
        complete: false,
        reports: vec![newer, good, timeless],
    };
    let came = from_agent(v1::sync_request::Frame::Reports(batch))
        .unwrap()
        .unwrap();
    let AgentFrame::Reports(batch) = came.frame else {
        panic!("reports")
    };
    assert_eq!(batch.reports.len(), 1);
    let left_out: Vec<_> = came.left_out.iter().map(ToString::to_string).collect();
    assert_eq!(
        left_out,
        [
            "reports.reports[0].state: has the value 99, which this version does not know",
            "reports.reports[2].since: is not a time between the years -9999 and 9999"
        ]
    );
}

#[test]
fn a_message_for_people_is_cut_and_costs_nothing() {
    let health = v1::AgentHealth {
        no_rights: Some("ä".repeat(5_000)),
        ..v1::AgentHealth::default()
    };
    let came = from_agent(v1::sync_request::Frame::Health(health))
        .unwrap()
        .unwrap();
    let AgentFrame::Health(health) = came.frame else {
        panic!("health")
    };
    assert_eq!(health.no_rights.unwrap().len(), 1024);
}

#[test]
fn what_has_too_many_items_or_half_of_one_is_refused_by_name() {
    use v1::sync_request::Frame;
    for (frame, words) in [
        (
            Frame::Inventory(v1::Inventory {
                entries: id(EntryId::LEN * 73),
                last: true,
            }),
            "inventory.entries: has 73 items, at most 72 are allowed",
        ),
        (
            Frame::Inventory(v1::Inventory {
                entries: id(EntryId::LEN + 1),
                last: true,
            }),
            "inventory.entries: has 57 bytes, which is no multiple of 56",
        ),
        (
            Frame::Names(v1::Names {
                keys: vec![v1::SegmentKey::default(); 129],
            }),
            "names.keys: has 129 items, at most 128 are allowed",
        ),
        (
            Frame::Acks(v1::Acks {
                acks: vec![v1::Ack::default(); 257],
            }),
            "acks.acks: has 257 items, at most 256 are allowed",
        ),
        (
            Frame::Hello(v1::Hello::default()),
            "hello.protocol: is missing",
        ),
    ] {
        assert_eq!(from_agent(frame).unwrap_err(), words);
    }
    let long = v1::EnrolRequest {
        token: "x".repeat(129),
        ..v1::EnrolRequest::default()
    };
    assert_eq!(
        enrolment::enrolment_from_wire(long)
            .unwrap_err()
            .to_string(),
        "token: has 129 bytes, at most 128 are allowed"
    );
}

/// A policy with a text.
fn policy_of(digest: usize, data: impl IntoIterator<Item = (String, String)>) -> v1::PolicyReport {
    v1::PolicyReport {
        digest: id(digest),
        text: Some(v1::PolicyText {
            data: data.into_iter().collect(),
        }),
    }
}

#[test]
fn a_policy_over_its_bounds_or_without_a_good_digest_is_refused_by_name_and_not_quoted() {
    use v1::sync_request::Frame;
    let secret = || ("dbHosts".to_owned(), "db.internal".to_owned());
    let large = ("dbHosts".to_owned(), "i".repeat(PolicyText::MAX_BYTES - 6));
    let many = (0..=PolicyText::MAX_KEYS).map(|i| (i.to_string(), String::new()));
    for (report, words) in [
        (
            policy_of(16, [large]),
            "policy.text.data: has 65537 bytes, at most 65536 are allowed",
        ),
        (
            policy_of(16, many),
            "policy.text.data: has 65 items, at most 64 are allowed",
        ),
        (
            policy_of(0, [secret()]),
            "policy.text: must not be set here",
        ),
        (
            policy_of(15, [secret()]),
            "policy.digest: policy digest \"\" has 15 bytes, 16 are expected",
        ),
    ] {
        assert_eq!(from_agent(Frame::Policy(report)).unwrap_err(), words);
    }
    let hello = v1::Hello {
        protocol: 1,
        cluster_uid: id(16),
        process: id(16),
        entries: id(16),
        reports: id(16),
        policy: id(17),
        ..v1::Hello::default()
    };
    assert_eq!(
        from_agent(Frame::Hello(hello)).unwrap_err(),
        "hello.policy: policy digest \"\" has 17 bytes, 16 are expected"
    );
    for length in [0, 15] {
        let wanted = v1::PolicyWanted { digest: id(length) };
        let frame = v1::sync_response::Frame::PolicyWanted(wanted);
        let refused = frame::hub_frame_from_wire(v1::SyncResponse { frame: Some(frame) });
        assert_eq!(refused.unwrap_err().path, "policy_wanted.digest");
    }
}

#[test]
fn a_policy_does_not_reach_a_log() {
    let data = [("dbHosts".to_owned(), "db.internal".to_owned())];
    let came = from_agent(v1::sync_request::Frame::Policy(policy_of(16, data)));
    let came = came.unwrap().unwrap();
    assert!(matches!(came.frame, AgentFrame::PolicyText { .. }));
    assert!(!format!("{came:?}").contains("internal"));
}

#[test]
fn an_agent_without_a_policy_to_tell_says_nothing_of_it() {
    let older = v1::Hello {
        protocol: 1,
        cluster_uid: id(16),
        process: id(16),
        entries: id(16),
        reports: id(16),
        ..v1::Hello::default()
    };
    let came = from_agent(v1::sync_request::Frame::Hello(older));
    let AgentFrame::Hello(hello) = came.unwrap().unwrap().frame else {
        panic!("hello")
    };
    assert_eq!((hello.policy, hello.runs), (None, 0));
}

#[test]
fn a_run_that_can_not_be_read_is_left_out_by_name_and_costs_no_other() {
    use v1::sync_request::Frame;
    let good = v1::LedgerRun {
        key: id(16),
        kind: v1::RunKind::Scheduled.into(),
        result: v1::RunResult::Missed.into(),
        scheduled: Some(prost_types::Timestamp::default()),
        message: "m".repeat(100_000),
        reason: "r".repeat(100_000),
        job: "j".repeat(100_000),
        ..v1::LedgerRun::default()
    };
    let bad = [
        v1::LedgerRun {
            key: id(15),
            ..good.clone()
        },
        v1::LedgerRun {
            id: id(7),
            ..good.clone()
        },
        v1::LedgerRun {
            revision: id(9),
            ..good.clone()
        },
        v1::LedgerRun {
            kind: 0,
            ..good.clone()
        },
        v1::LedgerRun {
            kind: 99,
            ..good.clone()
        },
        v1::LedgerRun {
            result: -1,
            ..good.clone()
        },
        v1::LedgerRun {
            scheduled: None,
            ..good.clone()
        },
        v1::LedgerRun {
            finished: Some(prost_types::Timestamp {
                seconds: i64::MAX,
                nanos: -1,
            }),
            ..good.clone()
        },
    ];
    let batch = |runs| {
        Frame::Runs(v1::RunBatch {
            upto: 1,
            dropped: 0,
            runs,
        })
    };
    let mut runs = bad.to_vec();
    runs.push(good.clone());
    let came = from_agent(batch(runs)).unwrap().unwrap();
    let AgentFrame::Runs(taken) = came.frame else {
        panic!("runs")
    };
    assert_eq!((taken.runs.len(), came.left_out.len()), (1, bad.len()));
    let run = &taken.runs[0].run;
    assert!(run.message.len() <= 1024 && run.reason.len() <= 256 && run.job.len() <= 253);
    let many = vec![good; segment_core::runs::RUNS_CHUNK + 1];
    assert_eq!(
        from_agent(batch(many)).unwrap_err(),
        "runs.runs: has 129 items, at most 128 are allowed"
    );
}

#[test]
fn unknown_fields_pass_and_unknown_frames_are_nothing() {
    let mut bytes = v1::SyncRequest {
        frame: Some(v1::sync_request::Frame::Acks(v1::Acks::default())),
    }
    .encode_to_vec();
    bytes.extend_from_slice(&[0xa2, 0x06, 0x03, b'n', b'e', b'w']); // field 100
    let message = v1::SyncRequest::decode(Bytes::from(bytes)).unwrap();
    assert_eq!(
        frame::agent_frame_from_wire(message).unwrap(),
        Some(frame::FromAgent {
            frame: AgentFrame::Acks(Vec::new()),
            left_out: Vec::new()
        })
    );
    assert_eq!(
        frame::agent_frame_from_wire(v1::SyncRequest { frame: None }).unwrap(),
        None
    );
    assert_eq!(
        frame::hub_frame_from_wire(v1::SyncResponse { frame: None }).unwrap(),
        None
    );
}

#[test]
fn a_token_does_not_reach_a_log() {
    let enrolment = enrolment::Enrolment {
        token: "k3f9ab.secret".into(),
        csr_der: Bytes::new(),
        cluster_uid: segment_core::ids::Uid([1; 16]),
        agent_version: String::new(),
    };
    assert!(!format!("{enrolment:?}").contains("secret"));
}

fn run(rendered: &[u8]) -> v1::RunOrder {
    v1::RunOrder {
        id: id(8),
        purpose: v1::RunPurpose::Manual.into(),
        key: Some(v1::SegmentKey {
            namespace: "granary".into(),
            name: "demo".into(),
        }),
        uid: id(16),
        revision: id(8),
        rendered: Bytes::copy_from_slice(rendered),
        start_before: Some(segment_proto::Timestamp::default()),
        deadline_seconds: 0,
    }
}

fn run_orders(
    orders: Vec<v1::RunOrder>,
) -> Result<Option<frame::FromHub>, segment_proto::convert::ConvertError> {
    let fence = v1::Fence {
        era: 1,
        shard_map: 0,
        term: 1,
        instance: id(16),
    };
    frame::hub_frame_from_wire(v1::SyncResponse {
        frame: Some(v1::sync_response::Frame::RunOrders(v1::RunOrders {
            fence: Some(fence),
            orders,
        })),
    })
}

#[test]
fn an_order_to_run_that_cannot_be_read_is_refused_alone_by_its_id() {
    let unknown_field = run(br#"{"hostPath":"/"}"#);
    let too_large = run(&vec![b' '; MAX_RENDERED_BYTES + 1]);
    let no_purpose = v1::RunOrder {
        purpose: 0,
        ..run(b"{}")
    };
    let from_hub = run_orders(vec![unknown_field, too_large, no_purpose])
        .unwrap()
        .unwrap();
    assert!(matches!(&from_hub.frame, HubFrame::RunOrders(runs) if runs.orders.is_empty()));
    let words: Vec<&str> = from_hub
        .unreadable_runs
        .iter()
        .map(|run| run.message.as_str())
        .collect();
    assert_eq!(words.len(), 3);
    assert!(words[0].contains("hostPath"), "{words:?}");
    assert!(words[1].contains("bytes"), "{words:?}");
    assert!(words[2].starts_with("purpose"), "{words:?}");
}

#[test]
fn too_many_runs_and_runs_without_an_id_cost_the_frame() {
    let error = run_orders(vec![run(b"{}"); 17]).unwrap_err();
    assert_eq!(error.path, "run_orders.orders");
    let nameless = v1::RunOrder {
        id: id(7),
        ..run(b"{}")
    };
    let error = run_orders(vec![nameless]).unwrap_err();
    assert_eq!(error.path, "run_orders.orders[0].id");
    let events = v1::RunEvents {
        events: vec![v1::RunEvent::default(); 65],
    };
    let frame = Some(v1::sync_request::Frame::RunEvents(events));
    let error = frame::agent_frame_from_wire(v1::SyncRequest { frame }).unwrap_err();
    assert_eq!(error.path, "run_events.events");
    let events = v1::RunEvents {
        events: vec![v1::RunEvent::default()],
    };
    let frame = Some(v1::sync_request::Frame::RunEvents(events));
    let taken = frame::agent_frame_from_wire(v1::SyncRequest { frame })
        .unwrap()
        .unwrap();
    assert_eq!(taken.frame, AgentFrame::RunEvents(Vec::new()));
    assert_eq!(taken.left_out.len(), 1);
}

#[test]
fn logs_that_are_too_large_or_of_no_run_cost_the_frame() {
    let chunk = v1::LogChunk {
        id: 1,
        data: Bytes::from(vec![b'x'; 64 * 1024 + 1]),
        end: None,
    };
    let frame = Some(v1::sync_request::Frame::LogChunk(chunk));
    let error = frame::agent_frame_from_wire(v1::SyncRequest { frame }).unwrap_err();
    assert_eq!(error.path, "log_chunk.data");
    let wanted = v1::LogsWanted {
        id: 1,
        key: id(16),
        run: id(3),
        follow: false,
        stop: false,
    };
    let frame = Some(v1::sync_response::Frame::LogsWanted(wanted));
    let error = frame::hub_frame_from_wire(v1::SyncResponse { frame }).unwrap_err();
    assert_eq!(error.path, "logs_wanted.run");
}
