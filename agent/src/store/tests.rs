//! The store against a small API server: ConfigMaps with resourceVersions, nothing else.

use super::*;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use segment_core::assignment::{
    Assignment, ConcurrencyPolicy, Controls, Modes, OrderNumber, PodSecurity, PullPolicy, Rendered,
    RestartPolicy, Template,
};
use segment_core::ids::{HubId, Revision, SegmentKey, Uid};
use std::convert::Infallible;
use std::sync::Mutex as StdMutex;

const LIMIT: Duration = Duration::from_secs(1);

#[derive(Clone, Default)]
struct Server(Arc<StdMutex<BTreeMap<String, Value>>>);

impl Server {
    /// As the chart leaves it: every ConfigMap is there, and empty.
    fn new() -> Self {
        let server = Self::default();
        for (_, name) in all_kinds() {
            server.put(
                &name,
                json!({"metadata": {"name": name, "resourceVersion": "1"}}),
            );
        }
        server
    }

    fn put(&self, name: &str, object: Value) {
        self.0.lock().unwrap().insert(name.to_owned(), object);
    }

    fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let name = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let method = request.method().clone();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut objects = self.0.lock().unwrap();
        let Some(old) = objects.get(&name).cloned() else {
            return reply(404, &status(404, "NotFound"));
        };
        if method == Method::GET {
            return reply(200, &old);
        }
        let mut new: Value = serde_json::from_slice(&body).unwrap();
        let version = |object: &Value| {
            object["metadata"]["resourceVersion"]
                .as_str()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        if version(&new) != version(&old) {
            return reply(409, &status(409, "Conflict"));
        }
        new["metadata"]["resourceVersion"] = json!((version(&old) + 1).to_string());
        objects.insert(name, new.clone());
        reply(200, &new)
    }

    async fn load(&self, enrolled: bool) -> (Store, Loaded) {
        Store::load(self.client(), Namespace::new("a").unwrap(), LIMIT, enrolled)
            .await
            .unwrap()
    }
}

fn status(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "code": code, "reason": reason, "message": reason, "status": "Failure"})
}

fn reply(code: u16, body: &Value) -> Response<Body> {
    Response::builder()
        .status(code)
        .body(Body::from(body.to_string().into_bytes()))
        .unwrap()
}

fn entry(name: &str) -> Entry {
    let template = Template {
        namespace: Namespace::new("granary").unwrap(),
        name: name.parse().unwrap(),
        schedule: "0 3 * * *".to_owned(),
        time_zone: None,
        suspend: false,
        concurrency_policy: ConcurrencyPolicy::Allow,
        starting_deadline_seconds: None,
        failed_jobs_history_limit: 1,
        successful_jobs_history_limit: 1,
        backoff_limit: None,
        active_deadline_seconds: None,
        ttl_seconds_after_finished: None,
        image: "registry/segment:1".to_owned(),
        image_pull_policy: PullPolicy::IfNotPresent,
        image_pull_secrets: Vec::new(),
        restart_policy: RestartPolicy::OnFailure,
        service_account_name: None,
        node_selector: BTreeMap::new(),
        tolerations: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        requests: BTreeMap::new(),
        limits: BTreeMap::new(),
        env: BTreeMap::new(),
        secret_env: BTreeMap::new(),
        pod_security: PodSecurity::Baseline,
    };
    Entry {
        assignment: Assignment {
            key: SegmentKey::new("granary", name).unwrap(),
            uid: Uid([1; 16]),
            number: OrderNumber {
                generation: 7,
                order: 1,
            },
            revision: Revision([2; 8]),
            rendered: Rendered::new(template).unwrap(),
            modes: Modes::default(),
        },
        controls: Controls::default(),
        removing: None,
    }
}

#[tokio::test]
async fn an_empty_shard_is_empty_before_the_join_and_unknown_after() {
    let server = Server::new();
    let (store, loaded) = server.load(false).await;
    assert!(!loaded.stored.damaged);
    assert!(
        server.load(true).await.1.stored.damaged,
        "joined, and nothing is there"
    );
    store.initialise().await.unwrap();
    assert!(
        !server.load(true).await.1.stored.damaged,
        "made before the certificate was stored"
    );
    server.0.lock().unwrap().remove("segment-agent-entries-3");
    assert!(server.load(true).await.1.stored.damaged, "taken away");
}

#[tokio::test]
async fn what_was_written_is_read_again() {
    let server = Server::new();
    let (store, _) = server.load(false).await;
    store.initialise().await.unwrap();
    let entry = entry("a");
    let key = entry.assignment.key.hash();
    let record = Record {
        corrections: 3,
        ..Record::default()
    };
    let content = EntriesContent {
        entries: vec![StoredEntry::new(&entry, record.clone())],
    };
    store.write(shard_of(key), &content, 1).await.unwrap();
    let state = StateContent {
        hub: Some(HubId::new("hub-00000001").unwrap()),
        ..StateContent::default()
    };
    store.write(Kind::State, &state, 2).await.unwrap();

    let loaded = server.load(true).await.1;
    assert_eq!(loaded.stored.hub, state.hub);
    assert_eq!(loaded.stored.entries, [(key, Arc::new(entry))].into());
    assert_eq!(loaded.records, [(key, record)].into());
    assert!(!loaded.stored.damaged);
}

#[tokio::test]
async fn older_content_never_replaces_newer() {
    let server = Server::new();
    let (store, _) = server.load(false).await;
    let of = |era: u64| StateContent {
        fence: Some(segment_core::fence::Fence {
            era,
            ..Default::default()
        }),
        ..StateContent::default()
    };
    store.write(Kind::State, &of(2), 2).await.unwrap();
    store.write(Kind::State, &of(1), 1).await.unwrap();
    assert_eq!(server.load(true).await.1.stored.fence, of(2).fence);
}

#[tokio::test]
async fn a_write_by_someone_else_is_fatal_and_our_own_whose_answer_was_lost_is_not() {
    let server = Server::new();
    let (ours, _) = server.load(false).await;
    let (other, _) = server.load(false).await;
    let content = StateContent::default();
    other.write(Kind::State, &content, 1).await.unwrap();
    assert!(
        ours.write(Kind::State, &content, 1).await.is_ok(),
        "it holds exactly what was to be written"
    );
    let (behind, _) = server.load(false).await;
    other
        .write(
            Kind::Entries(0),
            &EntriesContent {
                entries: vec![StoredEntry::new(&entry("a"), Record::default())],
            },
            1,
        )
        .await
        .unwrap();
    let error = behind
        .write(Kind::Entries(0), &EntriesContent::default(), 1)
        .await
        .unwrap_err();
    assert!(error.is_fatal(), "{error}");
}

#[tokio::test]
async fn a_damaged_shard_is_unknown_and_the_others_are_read() {
    let server = Server::new();
    let (store, _) = server.load(false).await;
    store.initialise().await.unwrap();
    let entry = entry("a");
    let key = entry.assignment.key.hash();
    store
        .write(
            shard_of(key),
            &EntriesContent {
                entries: vec![StoredEntry::new(&entry, Record::default())],
            },
            1,
        )
        .await
        .unwrap();
    let other = (0..8)
        .map(Kind::Entries)
        .find(|kind| *kind != shard_of(key))
        .unwrap();
    let name = all_kinds().find(|(kind, _)| *kind == other).unwrap().1;
    let broken = json!({"metadata": {"name": name, "resourceVersion": "9"}, "binaryData": {"shard": "AAAA"}});
    server.put(&name, broken);
    let loaded = server.load(true).await.1;
    assert!(loaded.stored.damaged);
    assert_eq!(loaded.stored.entries.len(), 1);
}

#[tokio::test]
async fn a_shard_that_was_not_there_is_taken_up_once_the_chart_has_made_it_again() {
    let server = Server::new();
    let name = |kind: Kind| all_kinds().find(|(k, _)| *k == kind).unwrap().1;
    let (state, entries) = (name(Kind::State), name(Kind::Entries(0)));
    let empty = server.0.lock().unwrap().remove(&state).unwrap();
    server.0.lock().unwrap().remove(&entries);
    let (store, _) = server.load(true).await;
    let content = StateContent::default();
    let error = store.write(Kind::State, &content, 1).await.unwrap_err();
    assert!(!error.is_fatal(), "{error}");
    server.put(&state, empty.clone());
    store.write(Kind::State, &content, 1).await.unwrap();

    let mut full = empty;
    full["binaryData"] = json!({"shard": "AAAA"});
    server.put(&entries, full);
    let error = store
        .write(Kind::Entries(0), &EntriesContent::default(), 1)
        .await
        .unwrap_err();
    assert!(error.is_fatal(), "what it holds has to be read: {error}");
}

#[test]
fn a_shard_is_never_larger_than_its_entries_are_counted() {
    let entries: Vec<Entry> = (0..40_u8)
        .map(|n| {
            let mut entry = entry(&format!("s{n}"));
            let mut template = entry.assignment.rendered.template().clone();
            let random: Vec<u8> = (0..3000).map(|_| rand::random()).collect();
            template
                .env
                .insert("KEY".to_owned(), STANDARD.encode(random));
            entry.assignment.rendered = Rendered::new(template).unwrap();
            entry
        })
        .collect();
    let counted: usize = entries
        .iter()
        .map(|entry| packed_len(entry, Record::default()))
        .sum();
    let stored = entries
        .iter()
        .map(|entry| StoredEntry::new(entry, Record::default()));
    let content = EntriesContent {
        entries: stored.collect(),
    };
    let packed = pack(Kind::Entries(0), &content).unwrap().len();
    assert!(packed <= counted, "{packed} bytes, counted {counted}");
    assert!(
        packed > 40 * 3000,
        "such values do not shrink below their bits"
    );
}

fn runs_of(count: i64, message: &str) -> segment_core::runs::SegmentRuns {
    use segment_core::report::RunResult;
    use segment_core::runs::{Ledger, LedgerRun};
    let mut ledger = Ledger::default();
    let key = KeyHash([0; 16]);
    for minute in 0..count {
        let due = jiff::Timestamp::from_second(60 * minute).unwrap();
        // Words that hardly shrink.
        let words = format!("{message}{}", hex_of(minute));
        let run = LedgerRun::without_job(due, RunResult::Missed, "NotCreated", &words);
        ledger.upsert(key, run, due);
    }
    ledger.get(key).unwrap().clone()
}

fn hex_of(seed: i64) -> String {
    use sha2::{Digest as _, Sha256};
    let mut text = String::new();
    let mut block = Sha256::digest(seed.to_be_bytes());
    for _ in 0..20 {
        text.extend(block.iter().map(|byte| char::from(b'!' + byte % 90)));
        block = Sha256::digest(block);
    }
    text
}

#[tokio::test]
async fn a_ledger_comes_back_and_a_damaged_one_is_empty_and_stops_nothing() {
    let server = Server::new();
    let (store, _) = server.load(true).await;
    store.initialise().await.unwrap();
    let key = KeyHash([3; 16]);
    let content = LedgerContent {
        segments: [(key, runs_of(5, "m"))].into(),
    };
    store.write(Kind::Ledger(3), &content, 1).await.unwrap();
    let (_, loaded) = server.load(true).await;
    assert!(loaded.ledger.contains(&content) && loaded.damaged_ledgers.is_empty());
    let name = format!("{}3", names::AGENT_LEDGER_PREFIX);
    server.put(
        &name,
        json!({"metadata": {"name": name, "resourceVersion": "9"}, "binaryData": {"shard": "AAAA"}}),
    );
    let (_, loaded) = server.load(true).await;
    assert!(!loaded.stored.damaged, "what is held is known all the same");
    let words = &loaded.damaged_ledgers[&Kind::Ledger(3)];
    assert!(words.contains("its runs are forgotten"), "{words}");
    assert_eq!(loaded.ledger.len(), names::AGENT_SHARDS - 1);
}

#[test]
fn a_ledger_that_is_too_large_keeps_fewer_runs_then_fewer_words_but_never_fewer_than_three() {
    let kind = Kind::Ledger(0);
    let full = LedgerContent {
        segments: (0..8u8)
            .map(|n| (KeyHash([n; 16]), runs_of(40, "m")))
            .collect(),
    };
    let whole = pack(kind, &full).unwrap().len();
    for (limit, least, most, words) in [
        (whole, 40, 40, true),
        (whole - 1, 20, 20, true),
        (whole / 6, 3, 5, true),
        (10, 3, 3, false),
    ] {
        let mut content = full.clone();
        content.shrink_to(kind, limit);
        for runs in content.segments.values() {
            let kept = runs.runs().count();
            assert!((least..=most).contains(&kept), "{kept} of {limit}");
            assert_eq!(
                kept as u64 + runs.dropped(),
                40,
                "what is dropped is counted"
            );
            assert_eq!(runs.runs().all(|run| !run.message.is_empty()), words);
        }
    }
}
