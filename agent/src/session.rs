//! Streams to the hub, one after the other: dial, speak, back off.
//!
//! In: an identity, frames to send, reports. Out: frames of the hub. Law: acks never wait behind reports (at most one
//! batch of reports is on its way); a stream that does not answer ends within keepalive; delays have full jitter.
//! Not: what frames mean (`held.rs`), certificates (`join.rs`).

use crate::config::Config;
use crate::connection::{ConnectError, connect};
use crate::held::{Event, Stream};
use crate::join::Joined;
use crate::shared::Shared;
use jiff::Timestamp;
use segment_core::ids::HubId;
use segment_core::sync::frame::{AgentFrame, HubFrame};
use segment_proto::agent::v1;
use segment_proto::agent::v1::sync_service_client::SyncServiceClient;
use segment_proto::convert::frame::{FromHub, agent_frame_to_wire, hub_frame_from_wire};
use segment_proto::limits::{MESSAGE_TO_AGENT_MAX_BYTES, MESSAGE_TO_HUB_MAX_BYTES};
use segment_runtime::backoff::Backoff;
use segment_runtime::tasks::with_causes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// Frames that wait to be sent, reports apart: an inventory of 20,000 entries has 278, their names 157.
const FRAMES: usize = 512;
/// Frames handed to HTTP/2 at a time. Small, so that an ack is never far behind.
const OUT: usize = 4;
/// Longest wait for the hub to open a stream.
const OPEN_DEADLINE: Duration = Duration::from_secs(20);

/// Longest wait that a hub may ask for.
const LONGEST_WISH: Duration = Duration::from_mins(5);

/// How a stream ended.
struct Ended {
    reason: String,
    /// Not before this.
    retry_after: Duration,
    lived: Duration,
}

/// Keeps a stream open until the end.
pub async fn keep_connected(
    shared: Arc<Shared>,
    config: Config,
    mut joined: watch::Receiver<Option<Joined>>,
    held: mpsc::Sender<Event>,
    stop: CancellationToken,
) {
    let new_backoff = || {
        Backoff::new(
            config.periods.connect_backoff_base,
            config.periods.connect_backoff_cap,
        )
    };
    let mut backoff = new_backoff();
    let mut session = 0;
    loop {
        let Some(identity) = identity(&mut joined, &stop).await else {
            return;
        };
        let ended = tokio::select! {
            () = stop.cancelled() => None,
            ended = dial_and_speak(&shared, &config, identity, joined.clone(), &mut session, &held) => Some(ended),
        };
        shared.metrics.connected.set(0);
        let _ = held.send(Event::Disconnected { session }).await;
        let Some(ended) = ended else { return };
        if ended.lived >= config.periods.healthy_after {
            backoff = new_backoff();
        }
        let delay = backoff.delay(None).max(ended.retry_after.min(LONGEST_WISH));
        tracing::warn!(
            error = ended.reason,
            retry_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            "not connected to the hub"
        );
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// Waits for a certificate that has not ended.
async fn identity(
    joined: &mut watch::Receiver<Option<Joined>>,
    stop: &CancellationToken,
) -> Option<Joined> {
    let usable = |joined: &Option<Joined>| {
        joined
            .as_ref()
            .is_some_and(|joined| joined.not_after > Timestamp::now())
    };
    tokio::select! {
        () = stop.cancelled() => None,
        joined = joined.wait_for(usable) => joined.ok()?.clone(),
    }
}

/// Dials, and speaks until the stream ends. When the certificate was renewed meanwhile, a new stream is opened under it
/// before the old one is let go: the old one would end with its certificate.
async fn dial_and_speak(
    shared: &Shared,
    config: &Config,
    identity: Joined,
    mut joined: watch::Receiver<Option<Joined>>,
    session: &mut u64,
    held: &mpsc::Sender<Event>,
) -> Ended {
    let (mut channel, mut not_after) = match dial(config, &identity).await {
        Ok(channel) => (channel, identity.not_after),
        Err(error) => {
            return Ended {
                reason: with_causes(&error),
                retry_after: Duration::ZERO,
                lived: Duration::ZERO,
            };
        }
    };
    let hub = identity.hub;
    loop {
        *session += 1;
        tokio::select! {
            ended = speak(shared, config, channel, (*session, hub.clone()), held) => return ended,
            next = successor(config, &mut joined, not_after) => (channel, not_after) = next,
        }
    }
}

async fn dial(config: &Config, identity: &Joined) -> Result<Channel, ConnectError> {
    connect(
        &config.hub,
        Arc::clone(&identity.tls),
        config.periods.keepalive,
    )
    .await
}

/// An open connection under a certificate that ends later than this one, once there is such a certificate.
async fn successor(
    config: &Config,
    joined: &mut watch::Receiver<Option<Joined>>,
    not_after: Timestamp,
) -> (Channel, Timestamp) {
    let mut backoff = Backoff::new(
        config.periods.connect_backoff_base,
        config.periods.connect_backoff_cap,
    );
    let later = |joined: &Option<Joined>| {
        joined
            .as_ref()
            .is_some_and(|joined| joined.not_after > not_after)
    };
    loop {
        let Some(identity) = joined
            .wait_for(later)
            .await
            .ok()
            .and_then(|joined| joined.clone())
        else {
            // The agent ends.
            return std::future::pending().await;
        };
        match dial(config, &identity).await {
            Ok(channel) => return (channel, identity.not_after),
            Err(error) => tracing::warn!(
                error = with_causes(&error),
                "no second connection to the hub yet"
            ),
        }
        tokio::time::sleep(backoff.delay(None)).await;
    }
}

async fn speak(
    shared: &Shared,
    config: &Config,
    channel: Channel,
    (session, hub): (u64, HubId),
    held: &mpsc::Sender<Event>,
) -> Ended {
    let (frames, to_send) = mpsc::channel(FRAMES);
    let (out, outgoing) = mpsc::channel(OUT);
    let (close, mut closing) = mpsc::channel(1);
    let (greeted, greeting) = watch::channel(false);
    let begun = Instant::now();
    let ended = |reason: String, retry_after_ms: u64| Ended {
        reason,
        retry_after: Duration::from_millis(retry_after_ms),
        lived: begun.elapsed(),
    };
    if held
        .send(Event::Connected(Stream {
            session,
            hub,
            frames,
            close,
        }))
        .await
        .is_err()
    {
        return ended("the agent ends".to_owned(), 0);
    }
    shared.metrics.sessions.inc();
    let mut client = SyncServiceClient::new(channel)
        .max_decoding_message_size(MESSAGE_TO_AGENT_MAX_BYTES)
        .max_encoding_message_size(MESSAGE_TO_HUB_MAX_BYTES);
    let reading = read(shared, &mut client, outgoing, session, held, &greeted);
    let writing = write(shared, to_send, out, greeting, config.periods.report_pause);
    tokio::select! {
        biased;
        Some((reason, retry_after_ms)) = closing.recv() => ended(reason, retry_after_ms),
        reason = reading => ended(reason, 0),
        () = writing => ended("the stream takes no more frames".to_owned(), 0),
    }
}

/// Frames of the hub, until there are no more; answers why.
async fn read(
    shared: &Shared,
    client: &mut SyncServiceClient<Channel>,
    outgoing: mpsc::Receiver<v1::SyncRequest>,
    session: u64,
    held: &mpsc::Sender<Event>,
    greeted: &watch::Sender<bool>,
) -> String {
    let refused = |status: tonic::Status| format!("{:?}: {}", status.code(), status.message());
    let opened =
        tokio::time::timeout(OPEN_DEADLINE, client.sync(ReceiverStream::new(outgoing))).await;
    let mut incoming = match opened {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return refused(status),
        Err(_) => {
            return format!(
                "the hub opens no stream within {} s",
                OPEN_DEADLINE.as_secs()
            );
        }
    };
    loop {
        let message = match incoming.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return "the hub ended the stream".to_owned(),
            Err(status) => return refused(status),
        };
        let from_hub = match hub_frame_from_wire(message) {
            Ok(Some(from_hub)) => from_hub,
            // A frame of a later version.
            Ok(None) => continue,
            Err(error) => return format!("a frame of the hub can't be read: {error}"),
        };
        let welcome = matches!(from_hub.frame, HubFrame::Welcome(_));
        if welcome {
            tracing::info!("connected to the hub");
            shared.metrics.connected.set(1);
        }
        if take(session, from_hub, held).await.is_err() {
            return "the agent ends".to_owned();
        }
        if welcome {
            greeted.send_replace(true);
        }
    }
}

async fn take(
    session: u64,
    from_hub: FromHub,
    held: &mpsc::Sender<Event>,
) -> Result<(), mpsc::error::SendError<Event>> {
    held.send(Event::Frame {
        session,
        from_hub: Box::new(from_hub),
    })
    .await
}

/// Sends what waits: frames first, reports when nothing else is on its way, health when it changes.
async fn write(
    shared: &Shared,
    mut frames: mpsc::Receiver<AgentFrame>,
    out: mpsc::Sender<v1::SyncRequest>,
    mut greeted: watch::Receiver<bool>,
    report_pause: Duration,
) {
    let mut health = shared.health.watch();
    health.mark_changed();
    let mut also_greeted = greeted.clone();
    let runs_greeted = greeted.clone();
    let (mut not_before, mut runs_not_before) = (Instant::now(), Instant::now());
    loop {
        let reports = async {
            // The hub answers Hello first.
            let _ = greeted.wait_for(|greeted| *greeted).await;
            tokio::time::sleep_until(not_before).await;
            shared.reports.news().await;
            out.reserve_many(OUT).await.map(drop)
        };
        let mut runs_greeted = runs_greeted.clone();
        let runs = async {
            let _ = runs_greeted.wait_for(|greeted| *greeted).await;
            tokio::time::sleep_until(runs_not_before).await;
            shared.ledger.news().await;
            out.reserve_many(OUT).await.map(drop)
        };
        tokio::select! {
            biased;
            frame = frames.recv() => {
                let Some(frame) = frame else { return };
                if out.send(agent_frame_to_wire(frame)).await.is_err() {
                    return;
                }
            }
            free = reports => {
                if free.is_err() {
                    return;
                }
                if let Some(batch) = shared.reports.next_batch() {
                    shared.metrics.batches.inc();
                    not_before = Instant::now() + report_pause;
                    if out.try_send(agent_frame_to_wire(AgentFrame::Reports(batch.clone()))).is_err() {
                        shared.reports.not_sent(&batch);
                    }
                }
            }
            // Last: what ran can wait for what is asked and answered.
            free = runs => {
                if free.is_err() {
                    return;
                }
                if let Some((batch, before)) = shared.ledger.next_batch() {
                    runs_not_before = Instant::now() + report_pause;
                    if out.try_send(agent_frame_to_wire(AgentFrame::Runs(batch))).is_err() {
                        shared.ledger.not_sent(before);
                    }
                }
            }
            changed = told(&mut health, &mut also_greeted) => {
                if let Some(now) = changed
                    && out.send(agent_frame_to_wire(AgentFrame::Health(now))).await.is_err()
                {
                    return;
                }
            }
        }
    }
}

/// The agent's health, once it changed and the hub has answered Hello.
async fn told(
    health: &mut watch::Receiver<segment_core::sync::frame::AgentHealth>,
    greeted: &mut watch::Receiver<bool>,
) -> Option<segment_core::sync::frame::AgentHealth> {
    let _ = greeted.wait_for(|greeted| *greeted).await;
    health.changed().await.ok()?;
    Some(health.borrow_and_update().clone())
}
