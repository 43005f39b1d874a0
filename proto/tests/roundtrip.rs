//! decode ∘ encode = identity, over the bytes of the wire.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what broke by panicking"
)]

use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;
use prost::Message as _;
use segment_core::admit::PolicyText;
use segment_core::assignment::{
    Adoption, Assignment, ConcurrencyPolicy, Controls, Drift, Entry, EntryId, Hold, Modes,
    OnScheduleChange, OrderNumber, PodSecurity, PullPolicy, Removal, RemovalPolicy, RemoveOrder,
    Rendered, RestartPolicy, RunningJobs, SecretKey, Template,
};
use segment_core::delta::Order;
use segment_core::fence::{Fence, Watermark};
use segment_core::ids::{
    ClusterName, CronJobName, Digest, HubId, InstanceId, KeyHash, Namespace, PolicyDigest,
    Revision, RootDigest, RunId, SegmentKey, Uid,
};
use segment_core::report::{Report, Run, RunResult, Runs, State};
use segment_core::run_order::{RunEvent, RunOrder, RunPhase, RunPurpose};
use segment_core::runs::{LedgerRun, RUNS_CHUNK, RunBatch, RunKey, RunKind, ToldRun};
use segment_core::sync::frame::{
    Ack, AckVerdict, AgentFrame, AgentHealth, Hello, HubFrame, INVENTORY_CHUNK_ENTRIES, LogChunk,
    LogEnd, LogsWanted, NAMES_CHUNK, ORDERS_CHUNK, Orders, PROTOCOL_VERSION, REPORTS_CHUNK,
    RUN_EVENTS_CHUNK, RUN_ORDERS_CHUNK, ReportBatch, RunOrders, Welcome,
};
use segment_proto::convert::{enrolment, frame};
use segment_proto::limits::{MESSAGE_TO_AGENT_MAX_BYTES, MESSAGE_TO_HUB_MAX_BYTES};
use std::sync::Arc;

// === values ===

fn time() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond())
        .prop_map(|nanos| Timestamp::from_nanosecond(nanos).unwrap())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-zA-Z0-9 ]{1,40}",
        "\\PC{0,40}",
        "[\\n\\t\"äß漢🦀]{1,20}"
    ]
}

fn key() -> impl Strategy<Value = SegmentKey> {
    (
        "[a-z][a-z0-9]{0,20}",
        "[a-z0-9]{1,20}(-[a-z0-9]{1,20}){0,4}",
    )
        .prop_map(|(namespace, name)| SegmentKey::new(&namespace, &name).unwrap())
}

fn number() -> impl Strategy<Value = OrderNumber> {
    any::<(i64, u64)>().prop_map(|(generation, order)| OrderNumber { generation, order })
}

fn fence() -> impl Strategy<Value = Fence> {
    any::<(u64, u64, u64, [u8; 16])>().prop_map(|(era, shard_map, term, instance)| Fence {
        era,
        shard_map,
        term,
        instance: InstanceId(instance),
    })
}

fn watermark() -> impl Strategy<Value = Watermark> {
    any::<(u64, u64)>().prop_map(|(term, n)| Watermark { term, n })
}

fn removal() -> impl Strategy<Value = Removal> {
    any::<(bool, bool)>().prop_map(|(orphan, kill)| Removal {
        policy: if orphan {
            RemovalPolicy::Orphan
        } else {
            RemovalPolicy::Delete
        },
        running_jobs: if kill {
            RunningJobs::Kill
        } else {
            RunningJobs::Finish
        },
    })
}

fn modes() -> impl Strategy<Value = Modes> {
    (
        prop::sample::select(vec![Drift::Correct, Drift::Report, Drift::IfNotDrifted]),
        prop::sample::select(vec![Adoption::Never, Adoption::IfSame, Adoption::Always]),
        prop::sample::select(vec![OnScheduleChange::Skip, OnScheduleChange::RunOnce]),
    )
        .prop_map(|(drift, adoption, on_schedule_change)| Modes {
            drift,
            adoption,
            on_schedule_change,
        })
}

fn template() -> impl Strategy<Value = Template> {
    (
        text(),
        prop::option::of("[A-Z][a-z]{1,8}/[A-Z][a-z]{1,8}"),
        any::<bool>(),
        prop::collection::btree_map("[A-Z_]{1,12}", text(), 0..6),
    )
        .prop_map(|(schedule, time_zone, suspend, env)| Template {
            namespace: Namespace::new("granary").unwrap(),
            name: CronJobName::new("demo-segment").unwrap(),
            schedule,
            time_zone,
            suspend,
            concurrency_policy: ConcurrencyPolicy::Forbid,
            starting_deadline_seconds: Some(60),
            failed_jobs_history_limit: 1,
            successful_jobs_history_limit: 1,
            backoff_limit: Some(0),
            active_deadline_seconds: None,
            ttl_seconds_after_finished: None,
            image: "grnry/segment-table-creation:0.9.2".into(),
            image_pull_policy: PullPolicy::IfNotPresent,
            image_pull_secrets: Vec::new(),
            restart_policy: RestartPolicy::Never,
            service_account_name: None,
            node_selector: [].into(),
            tolerations: Vec::new(),
            labels: [].into(),
            annotations: [].into(),
            requests: [].into(),
            limits: [].into(),
            env,
            secret_env: [(
                "DB_PASSWORD".to_owned(),
                SecretKey {
                    secret: "grnry-secret".into(),
                    key: "password".into(),
                },
            )]
            .into(),
            pod_security: PodSecurity::Baseline,
        })
}

fn entry() -> impl Strategy<Value = Entry> {
    let hold = prop::option::of(
        (prop::option::of(time()), text()).prop_map(|(until, reason)| Hold { until, reason }),
    );
    (
        key(),
        any::<([u8; 16], [u8; 8])>(),
        number(),
        template(),
        modes(),
        hold,
        prop::option::of(removal()),
    )
        .prop_map(
            |(key, (uid, revision), number, template, modes, hold, removing)| Entry {
                assignment: Assignment {
                    key,
                    uid: Uid(uid),
                    number,
                    revision: Revision(revision),
                    rendered: Rendered::new(template).unwrap(),
                    modes,
                },
                controls: Controls { hold },
                removing,
            },
        )
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        entry().prop_map(|entry| Order::Put(Arc::new(Entry {
            removing: None,
            ..entry
        }))),
        (any::<([u8; 16], [u8; 16])>(), number(), removal()).prop_map(
            |((key, uid), number, removal)| Order::Remove {
                key: KeyHash(key),
                order: RemoveOrder {
                    uid: Uid(uid),
                    number,
                    removal
                },
            }
        ),
    ]
}

fn entry_id() -> impl Strategy<Value = EntryId> {
    any::<([u8; 16], [u8; 16], [u8; 8], [u8; 16])>().prop_map(|(key, uid, revision, digest)| {
        EntryId {
            key: KeyHash(key),
            uid: Uid(uid),
            revision: Revision(revision),
            digest: Digest(digest),
        }
    })
}

fn result() -> impl Strategy<Value = RunResult> {
    prop::sample::select(vec![
        RunResult::Running,
        RunResult::Succeeded,
        RunResult::Failed,
        RunResult::Missed,
        RunResult::Skipped,
        RunResult::Stuck,
        RunResult::Unknown,
    ])
}

fn told_run() -> impl Strategy<Value = ToldRun> {
    let kind = prop::sample::select(vec![RunKind::Scheduled, RunKind::Proof, RunKind::Manual]);
    let revision = any::<Option<[u8; 8]>>().prop_map(|bytes| bytes.map(Revision));
    (
        any::<([u8; 16], Option<[u8; 8]>, u32)>(),
        run(),
        kind,
        revision,
    )
        .prop_map(|((key, id, attempts), run, kind, revision)| ToldRun {
            key: KeyHash(key),
            run: LedgerRun {
                key: id.map_or(RunKey::Due(run.scheduled), |id| RunKey::Id(RunId(id))),
                kind,
                job: run.job,
                job_uid: None,
                revision,
                scheduled: run.scheduled,
                started: run.started,
                finished: run.finished,
                result: run.result,
                exit_code: run.exit_code,
                reason: run.reason,
                message: run.message,
                attempts,
            },
        })
}

fn run() -> impl Strategy<Value = Run> {
    (
        text(),
        time(),
        prop::option::of(time()),
        prop::option::of(time()),
        result(),
        any::<Option<i32>>(),
        text(),
        text(),
    )
        .prop_map(
            |(job, scheduled, started, finished, result, exit_code, reason, message)| Run {
                job,
                scheduled,
                started,
                finished,
                result,
                exit_code,
                reason,
                message,
            },
        )
}

fn report() -> impl Strategy<Value = Report> {
    use State::{
        Applied, Contested, Failed, Held, MoveBlocked, NotOwned, Pending, Refused, Removed,
        Removing,
    };
    let state = prop::sample::select(vec![
        Pending,
        Applied,
        Failed,
        Refused,
        Contested,
        NotOwned,
        Held,
        Removing,
        MoveBlocked,
        Removed,
    ]);
    let runs = (
        prop::option::of(run()),
        prop::option::of(time()),
        any::<u32>(),
    )
        .prop_map(|(last, next, active)| Runs { last, next, active });
    (
        entry_id(),
        state,
        text(),
        text(),
        time(),
        any::<u32>(),
        text(),
        runs,
    )
        .prop_map(
            |(id, state, reason, message, since, corrections, drifted_by, runs)| Report {
                key: id.key,
                uid: id.uid,
                revision: id.revision,
                digest: id.digest,
                state,
                reason,
                message,
                since,
                corrections,
                drifted_by,
                runs,
            },
        )
}

fn ack() -> impl Strategy<Value = Ack> {
    let verdict = prop_oneof![
        entry_id().prop_map(AckVerdict::Holds),
        Just(AckVerdict::HoldsNothing),
        (text(), text()).prop_map(|(reason, message)| AckVerdict::Refused { reason, message }),
    ];
    (entry_id(), number(), verdict).prop_map(|(id, number, verdict)| Ack {
        key: id.key,
        uid: id.uid,
        number,
        verdict,
    })
}

fn hello() -> impl Strategy<Value = Hello> {
    (
        1..=PROTOCOL_VERSION + 3,
        prop::collection::vec("[a-z-]{1,20}", 0..4),
        prop::option::of(fence()),
        prop::option::of(watermark()),
        any::<([u8; 16], [u8; 16], [u8; 16], [u8; 16])>(),
        any::<bool>(),
        text(),
        text(),
        any::<(Option<[u8; 16]>, u64)>(),
    )
        .prop_map(
            |(
                protocol,
                capabilities,
                fence,
                watermark,
                (uid, process, entries, reports),
                store_known,
                a,
                k,
                (policy, runs),
            )| Hello {
                protocol,
                capabilities,
                fence,
                watermark,
                cluster_uid: Uid(uid),
                process: InstanceId(process),
                entries: RootDigest(entries),
                reports: RootDigest(reports),
                store_known,
                agent_version: a,
                kubernetes_version: k,
                policy: policy.map(PolicyDigest),
                runs,
            },
        )
}

fn run_order() -> impl Strategy<Value = RunOrder> {
    (
        any::<([u8; 8], [u8; 16], [u8; 8], bool)>(),
        key(),
        template(),
        time(),
        prop::option::of(1..=u32::MAX),
    )
        .prop_map(
            |((id, uid, revision, proof), key, template, start_before, deadline)| RunOrder {
                id: RunId(id),
                purpose: if proof {
                    RunPurpose::Proof
                } else {
                    RunPurpose::Manual
                },
                key,
                uid: Uid(uid),
                revision: Revision(revision),
                rendered: Rendered::new(template).unwrap(),
                start_before,
                deadline: deadline
                    .map(|seconds| jiff::SignedDuration::from_secs(i64::from(seconds))),
            },
        )
}

fn run_event() -> impl Strategy<Value = RunEvent> {
    let phase = prop::sample::select(vec![
        RunPhase::Waiting,
        RunPhase::Running,
        RunPhase::Succeeded,
        RunPhase::Failed,
        RunPhase::Refused,
        RunPhase::Expired,
    ]);
    let times = (prop::option::of(time()), prop::option::of(time()), time());
    (
        any::<([u8; 8], [u8; 16], Option<i32>)>(),
        phase,
        text(),
        times,
        text(),
        text(),
    )
        .prop_map(
            |((id, key, exit_code), phase, job, (started, finished, at), reason, message)| {
                RunEvent {
                    id: RunId(id),
                    key: KeyHash(key),
                    phase,
                    job,
                    started,
                    finished,
                    exit_code,
                    reason,
                    message,
                    at,
                }
            },
        )
}

fn agent_frame() -> impl Strategy<Value = AgentFrame> {
    let maybe = || prop::option::of(text());
    prop_oneof![
        hello().prop_map(AgentFrame::Hello),
        (
            prop::collection::vec(entry_id(), 0..=INVENTORY_CHUNK_ENTRIES),
            any::<bool>()
        )
            .prop_map(|(entries, last)| AgentFrame::Inventory { entries, last }),
        prop::collection::vec(key(), 0..20).prop_map(AgentFrame::Names),
        prop::collection::vec(ack(), 0..20).prop_map(AgentFrame::Acks),
        (
            any::<[u8; 16]>(),
            any::<bool>(),
            prop::collection::vec(report(), 0..10)
        )
            .prop_map(
                |(token, complete, reports)| AgentFrame::Reports(ReportBatch {
                    token: RootDigest(token),
                    complete,
                    reports,
                })
            ),
        (maybe(), maybe(), any::<i64>(), maybe(), maybe()).prop_map(
            |(api_unavailable, no_rights, clock_skew_seconds, policy_error, store_error)| {
                AgentFrame::Health(AgentHealth {
                    api_unavailable,
                    no_rights,
                    clock_skew_seconds,
                    policy_error,
                    store_error,
                })
            }
        ),
        (
            any::<(u64, u64)>(),
            prop::collection::vec(told_run(), 0..10)
        )
            .prop_map(|((upto, dropped), runs)| AgentFrame::Runs(RunBatch {
                upto,
                dropped,
                runs
            })),
        any::<Option<[u8; 16]>>().prop_map(|digest| AgentFrame::Policy(digest.map(PolicyDigest))),
        (
            any::<[u8; 16]>(),
            prop::collection::btree_map(text(), text(), 0..20)
        )
            .prop_map(|(digest, data)| AgentFrame::PolicyText {
                digest: PolicyDigest(digest),
                text: Arc::new(PolicyText::new(data).unwrap()),
            }),
        prop::collection::vec(run_event(), 0..10).prop_map(AgentFrame::RunEvents),
        (
            any::<u64>(),
            prop::collection::vec(any::<u8>(), 0..200),
            prop::option::of((text(), text()))
        )
            .prop_map(|(id, data, end)| AgentFrame::LogChunk(LogChunk {
                id,
                data: data.into(),
                end: end.map(|(reason, message)| LogEnd { reason, message }),
            })),
    ]
}

fn hub_frame() -> impl Strategy<Value = HubFrame> {
    prop_oneof![
        (fence(), watermark(), any::<(bool, bool, Option<u64>)>()).prop_map(
            |(fence, watermark, (want_inventory, want_reports, runs_after))| {
                HubFrame::Welcome(Welcome {
                    protocol: PROTOCOL_VERSION,
                    hub: HubId::new("hub-0123456789").unwrap(),
                    fence,
                    watermark,
                    want_inventory,
                    want_reports,
                    runs_after,
                })
            }
        ),
        (fence(), watermark(), prop::collection::vec(order(), 0..6)).prop_map(
            |(fence, watermark, orders)| HubFrame::Orders(Orders {
                fence,
                watermark,
                orders
            })
        ),
        prop::collection::vec(any::<[u8; 16]>().prop_map(KeyHash), 0..=NAMES_CHUNK)
            .prop_map(HubFrame::NamesWanted),
        Just(HubFrame::InventoryWanted),
        Just(HubFrame::ReportsWanted),
        any::<[u8; 16]>().prop_map(|digest| HubFrame::PolicyWanted(PolicyDigest(digest))),
        any::<(u64, [u8; 16], Option<[u8; 8]>, bool, bool)>().prop_map(
            |(id, key, run, follow, stop)| HubFrame::LogsWanted(LogsWanted {
                id,
                key: KeyHash(key),
                run: run.map(RunId),
                follow,
                stop,
            })
        ),
        (
            fence(),
            prop::collection::vec(run_order().prop_map(Arc::new), 0..4)
        )
            .prop_map(|(fence, orders)| HubFrame::RunOrders(RunOrders { fence, orders })),
        (text(), any::<u64>()).prop_map(|(reason, retry_after_ms)| HubFrame::Goodbye {
            reason,
            retry_after_ms
        }),
    ]
}

// === laws ===

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn an_agents_frame_comes_out_as_it_went_in(frame in agent_frame()) {
        let sent = frame::agent_frame_to_wire(frame.clone()).encode_to_vec();
        let message = segment_proto::agent::v1::SyncRequest::decode(Bytes::from(sent)).unwrap();
        let came = frame::agent_frame_from_wire(message).unwrap().unwrap();
        prop_assert_eq!(came, frame::FromAgent { frame, left_out: Vec::new() });
    }

    #[test]
    fn a_hubs_frame_comes_out_as_it_went_in(frame in hub_frame()) {
        let sent = frame::hub_frame_to_wire(frame.clone()).encode_to_vec();
        let message = segment_proto::agent::v1::SyncResponse::decode(Bytes::from(sent)).unwrap();
        let came = frame::hub_frame_from_wire(message).unwrap().unwrap();
        prop_assert_eq!(&came.frame, &frame);
        prop_assert_eq!(came.refused, Vec::new());
        prop_assert_eq!(came.unreadable_runs, Vec::new());
        // `Rendered` compares by digest: compare the bytes too.
        if let (HubFrame::Orders(ours), HubFrame::Orders(theirs)) = (&frame, &came.frame) {
            for pair in ours.orders.iter().zip(&theirs.orders) {
                if let (Order::Put(a), Order::Put(b)) = pair {
                    prop_assert_eq!(a.assignment.rendered.bytes(), b.assignment.rendered.bytes());
                    prop_assert_eq!(a.id(), b.id());
                }
            }
        }
    }

    #[test]
    fn an_enrolment_comes_out_as_it_went_in(token in "[a-z0-9.]{1,60}", csr in prop::collection::vec(any::<u8>(), 1..500), uid: [u8; 16], not_after in time()) {
        let request = enrolment::Enrolment {
            token,
            csr_der: csr.into(),
            cluster_uid: Uid(uid),
            agent_version: "0.1.0".into(),
        };
        prop_assert_eq!(enrolment::enrolment_from_wire(enrolment::enrolment_to_wire(request.clone())).unwrap(), request);
        let identity = enrolment::Identity {
            cluster: ClusterName::new("eu-21").unwrap(),
            hub: HubId::new("hub-0123456789").unwrap(),
            certificate_chain_pem: "leaf".into(),
            roots_pem: "root".into(),
            not_after,
        };
        let back = enrolment::identity_from_wire(Some(enrolment::identity_to_wire(identity.clone())));
        prop_assert_eq!(back.unwrap(), identity);
    }
}

// === limits ===

fn first<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> T {
    use proptest::strategy::ValueTree as _;
    strategy
        .new_tree(&mut proptest::test_runner::TestRunner::deterministic())
        .unwrap()
        .current()
}

#[test]
fn the_largest_frames_fit_the_largest_messages() {
    let long = "x".repeat(5_000);
    let mut report = first(report());
    let mut run = first(run());
    run.message.clone_from(&long);
    run.reason.clone_from(&long);
    run.job.clone_from(&long);
    report.message.clone_from(&long);
    report.reason.clone_from(&long);
    report.drifted_by.clone_from(&long);
    report.runs.last = Some(run);
    let acks = vec![
        Ack {
            verdict: AckVerdict::Refused {
                reason: long.clone(),
                message: "y".repeat(200)
            },
            ..first(ack())
        };
        ORDERS_CHUNK
    ];
    let name = SegmentKey::new(&"n".repeat(63), &"s".repeat(134)).unwrap();
    let each = PolicyText::MAX_BYTES / PolicyText::MAX_KEYS;
    let data = (0..PolicyText::MAX_KEYS).map(|i| (format!("{i:04}"), "x".repeat(each - 4)));
    let policy = PolicyText::new(data.collect()).unwrap();
    for (what, frame) in [
        (
            "reports",
            AgentFrame::Reports(ReportBatch {
                token: RootDigest([1; 16]),
                complete: true,
                reports: vec![report; REPORTS_CHUNK],
            }),
        ),
        ("acks", AgentFrame::Acks(acks)),
        (
            "events of runs",
            AgentFrame::RunEvents(vec![
                RunEvent {
                    job: long.clone(),
                    reason: long.clone(),
                    message: long.clone(),
                    ..first(run_event())
                };
                RUN_EVENTS_CHUNK
            ]),
        ),
        ("names", AgentFrame::Names(vec![name; NAMES_CHUNK])),
        (
            "policy",
            AgentFrame::PolicyText {
                digest: policy.digest(),
                text: Arc::new(policy),
            },
        ),
    ] {
        let bytes = frame::agent_frame_to_wire(frame).encoded_len();
        assert!(bytes <= MESSAGE_TO_HUB_MAX_BYTES, "{what}: {bytes}");
    }
    let inventory = AgentFrame::Inventory {
        entries: vec![EntryId::default(); INVENTORY_CHUNK_ENTRIES],
        last: true,
    };
    assert!(
        frame::agent_frame_to_wire(inventory).encoded_len() <= 4096,
        "no read buffer grows"
    );

    let mut template = first(template());
    template.env.insert("BIG".into(), "x".repeat(90 * 1024));
    let mut big = first(entry());
    big.assignment.rendered = Rendered::new(template).unwrap();
    let order = Arc::new(first(run_order()));
    let runs = RunOrders {
        fence: Fence::default(),
        orders: vec![order; RUN_ORDERS_CHUNK],
    };
    assert!(
        frame::hub_frame_to_wire(HubFrame::RunOrders(runs)).encoded_len()
            <= MESSAGE_TO_AGENT_MAX_BYTES
    );
    let orders = Orders {
        fence: Fence::default(),
        watermark: Watermark::default(),
        orders: vec![Order::Put(Arc::new(big)); 3],
    };
    assert!(
        frame::hub_frame_to_wire(HubFrame::Orders(orders)).encoded_len()
            <= MESSAGE_TO_AGENT_MAX_BYTES
    );
}

#[test]
fn a_full_batch_of_runs_with_the_longest_words_fits_a_message() {
    let long = |limit: usize| "x".repeat(limit);
    let run = ToldRun {
        key: KeyHash([1; 16]),
        run: LedgerRun {
            key: RunKey::Id(RunId([1; 8])),
            job: long(253),
            revision: Some(Revision([1; 8])),
            started: Some(Timestamp::MAX),
            finished: Some(Timestamp::MAX),
            exit_code: Some(i32::MIN),
            attempts: u32::MAX,
            ..LedgerRun::without_job(Timestamp::MAX, RunResult::Unknown, &long(256), &long(1024))
        },
    };
    let frame = AgentFrame::Runs(RunBatch {
        upto: u64::MAX,
        dropped: u64::MAX,
        runs: vec![run; RUNS_CHUNK],
    });
    let bytes = frame::agent_frame_to_wire(frame).encoded_len();
    assert!(bytes <= MESSAGE_TO_HUB_MAX_BYTES, "{bytes}");
}
