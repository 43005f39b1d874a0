//! The Lease against a server of one object: replace with resourceVersion, and faults on demand.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use super::*;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Up,
    Hangs,
    Refuses,
    /// Stores writes and never answers them.
    LosesAnswers,
    Empty,
}

#[derive(Clone)]
struct Server(Arc<Mutex<(Mode, Value, Vec<Value>)>>);

impl Server {
    fn new(spec: &Value) -> Self {
        let object =
            json!({"metadata": {"name": "l", "resourceVersion": "1", "foreign": 1}, "spec": spec});
        Self(Arc::new(Mutex::new((Mode::Up, object, Vec::new()))))
    }

    fn set(&self, mode: Mode) {
        self.0.lock().unwrap().0 = mode;
    }

    fn object(&self) -> Value {
        self.0.lock().unwrap().1.clone()
    }

    fn edit(&self, edit: impl FnOnce(&mut Value)) {
        let mut guard = self.0.lock().unwrap();
        edit(&mut guard.1);
        bump(&mut guard.1);
    }

    /// Code and body, or nothing ever.
    fn answer(&self, method: &Method, body: &[u8]) -> Option<(u16, Value)> {
        let mut guard = self.0.lock().unwrap();
        let (mode, object, writes) = &mut *guard;
        match *mode {
            Mode::Hangs => return None,
            Mode::Refuses => return Some((500, json!({"code": 500, "message": "etcd"}))),
            Mode::Empty => return Some((404, json!({"code": 404, "reason": "NotFound"}))),
            Mode::Up | Mode::LosesAnswers => {}
        }
        if method == Method::GET {
            return Some((200, object.clone()));
        }
        let new: Value = serde_json::from_slice(body).unwrap();
        if new["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
            return Some((409, json!({"code": 409, "reason": "Conflict"})));
        }
        *object = new;
        bump(object);
        writes.push(object.clone());
        (*mode == Mode::Up).then(|| (200, object.clone()))
    }

    fn lease(&self, identity: &str) -> Lease {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let bytes = body.collect().await.unwrap().to_bytes();
                let Some((code, body)) = server.answer(&head.method, &bytes) else {
                    return std::future::pending().await;
                };
                let response = Response::builder()
                    .status(code)
                    .body(Body::from(body.to_string().into_bytes()));
                Ok::<_, Infallible>(response.unwrap())
            }
        });
        let params = LeaseParams {
            namespace: "n".into(),
            name: "l".into(),
            identity: Identity::parse(identity),
            times: LeaseTimes::default(),
        };
        Lease::new(Client::new(service, "n"), params)
    }
}

fn bump(object: &mut Value) {
    let version: u64 = object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    object["metadata"]["resourceVersion"] = json!((version + 1).to_string());
}

/// Raises `term` when taking and `n` when renewing, as the hub does.
fn annotate(old: &Annotations, transition: Transition) -> Annotations {
    let key = if transition == Transition::Acquire {
        "term"
    } else {
        "n"
    };
    let value: u64 = old.get(key).map_or(0, |text| text.parse().unwrap());
    Annotations::from([(key.to_owned(), (value + 1).to_string())])
}

fn go() -> CancellationToken {
    CancellationToken::new()
}

#[tokio::test(start_paused = true)]
async fn taking_raises_the_term_in_the_same_write_and_keeps_what_is_foreign() {
    let server = Server::new(&json!({"preferredHolder": "x", "leaseTransitions": 4}));
    server.edit(|object| object["metadata"]["annotations"] = json!({"term": "7", "kept": "yes"}));
    let start = Instant::now();
    let held = server
        .lease("hub-0/aa")
        .acquire(&mut annotate, &go())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(held.until, start + Duration::from_secs(5));
    assert_eq!(
        held.annotations,
        Annotations::from([("term".into(), "8".into()), ("kept".into(), "yes".into())])
    );
    let object = server.object();
    assert_eq!(server.0.lock().unwrap().2.len(), 1, "one write");
    assert_eq!(object["spec"]["holderIdentity"], "hub-0/aa");
    assert_eq!(object["spec"]["leaseDurationSeconds"], 8);
    assert_eq!(object["spec"]["leaseTransitions"], 5);
    assert_eq!(object["spec"]["preferredHolder"], "x");
    assert_eq!(object["metadata"]["foreign"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_waits_the_whole_duration_by_its_own_clock() {
    // The holder's clock is a year ahead: nobody looks at it.
    let server = Server::new(&json!({
        "holderIdentity": "hub-1/bb", "leaseDurationSeconds": 8, "renewTime": "2099-01-01T00:00:00.000000Z",
    }));
    let start = Instant::now();
    let mut lease = server.lease("hub-0/aa");
    let state = lease.watch();
    lease.acquire(&mut annotate, &go()).await.unwrap().unwrap();
    let waited = start.elapsed();
    assert!((8.0..9.3).contains(&waited.as_secs_f64()), "{waited:?}");
    assert!(state.borrow().is_held_at(Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn a_missing_lease_is_named() {
    let server = Server::new(&json!({}));
    server.set(Mode::Empty);
    let error = server
        .lease("hub-0/aa")
        .run(annotate, go())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Lease n/l does not exist: the chart makes it, install or upgrade it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_holder_renews_each_second_and_gives_back_what_it_held() {
    let server = Server::new(&json!({}));
    let mut lease = server.lease("hub-0/aa");
    let stop = go();
    let (ended, ()) = tokio::join!(lease.run(annotate, stop.clone()), async {
        tokio::time::sleep(Duration::from_millis(10_500)).await;
        assert_eq!(
            server.object()["metadata"]["annotations"],
            json!({"term": "1", "n": "10"})
        );
        stop.cancel();
    });
    ended.unwrap();
    assert_eq!(server.object()["spec"]["holderIdentity"], "");
    let start = Instant::now();
    server
        .lease("hub-1/bb")
        .acquire(&mut annotate, &go())
        .await
        .unwrap()
        .unwrap();
    assert!(
        start.elapsed() < Duration::from_millis(100),
        "a successor takes over at once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cannot_renew_steps_down_before_the_lease_ends() {
    for mode in [Mode::Hangs, Mode::Refuses, Mode::Empty] {
        let server = Server::new(&json!({}));
        let mut lease = server.lease("hub-0/aa");
        let state = lease.watch();
        lease.acquire(&mut annotate, &go()).await.unwrap().unwrap();
        let start = Instant::now();
        server.set(mode);
        let error = lease.keep(&mut annotate, &go()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "Lease n/l lost: no renewal succeeded by the deadline"
        );
        assert_eq!(start.elapsed().as_secs(), 5, "{mode:?}");
        assert_eq!(
            *state.borrow(),
            LeaseState::Lost {
                reason: LossReason::Deadline
            }
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_failure_costs_nothing() {
    for mode in [Mode::Hangs, Mode::Refuses, Mode::LosesAnswers] {
        let server = Server::new(&json!({}));
        let mut lease = server.lease("hub-0/aa");
        lease.acquire(&mut annotate, &go()).await.unwrap().unwrap();
        server.set(mode);
        let (stop, mut renewals) = (go(), annotate);
        let (kept, ()) = tokio::join!(lease.keep(&mut renewals, &stop), async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            server.set(Mode::Up);
            tokio::time::sleep(Duration::from_secs(20)).await;
            stop.cancel();
        });
        kept.unwrap_or_else(|error| panic!("{mode:?}: {error}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_reads_another_identity_steps_down_at_once() {
    let server = Server::new(&json!({}));
    let mut lease = server.lease("hub-0/aa");
    lease.acquire(&mut annotate, &go()).await.unwrap().unwrap();
    server.edit(|object| object["spec"]["holderIdentity"] = json!("hub-0/bb"));
    let start = Instant::now();
    let error = lease.keep(&mut annotate, &go()).await.unwrap_err();
    assert_eq!(error.to_string(), "Lease n/l lost: taken by hub-0/bb");
    assert!(start.elapsed() <= Duration::from_millis(1100));
}

#[tokio::test(start_paused = true)]
async fn of_two_candidates_one_wins() {
    let server = Server::new(&json!({}));
    let (mut a, mut b) = (server.lease("hub-0/aa"), server.lease("hub-1/bb"));
    let stop = go();
    let (mut annotate_a, mut annotate_b) = (annotate, annotate);
    tokio::select! {
        // The loser stands by for as long as the winner renews.
        (first, second) = async { tokio::join!(a.acquire(&mut annotate_a, &stop), b.acquire(&mut annotate_b, &stop)) } => {
            // Nobody renewed here, so the loser took it over after the whole duration.
            assert!(first.unwrap().is_some() && second.unwrap().is_some());
            assert!(server.object()["spec"]["leaseTransitions"] == 2);
        }
        () = tokio::time::sleep(Duration::from_secs(7)) => {
            assert_eq!(server.0.lock().unwrap().2.len(), 1, "one of them took it");
        }
    }
}
