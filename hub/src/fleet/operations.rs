//! Users' commands on rollouts and schedules, on their way through the fleet task.
//!
//! In: commands, what is stored. Out: changes of the index; answers to users, once what they said is durable.
//! Law: a command is answered after it is stored, or with why it makes no sense. Not: what it means (`core::rollout`).

use super::{Effect, FleetTask};
use segment_core::ids::{Revision, SegmentKey};
use segment_core::index::{Changed, FleetIndex};
use segment_core::rollout::{By, Command, NotNow};
use segment_core::segment::ParsedSegment;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What became of a command: carried out and stored, or why not.
type Commanded = Result<(), NotNow>;

/// What a user does to a Segment's rollout or schedules.
#[derive(Debug)]
pub struct Commands {
    /// Which Segment.
    pub key: SegmentKey,
    /// What.
    pub command: Command,
    /// Who, why, when.
    pub by: By,
    /// The stored spec of the revision that an undo names.
    pub found: Option<(Revision, Arc<ParsedSegment>)>,
    /// Answered once it is stored.
    pub reply: oneshot::Sender<Result<(), NotNow>>,
}

/// About rollouts and holds.
#[derive(Debug)]
pub enum OperationEvent {
    /// A user's command.
    Command(Box<Commands>),
    /// This version of a Segment's operations is stored.
    Stored(SegmentKey, u64),
    /// Earlier specs of a Segment were looked up.
    Earlier(SegmentKey, Vec<(Revision, Arc<ParsedSegment>)>),
}

/// A user who waits until what was commanded is stored.
#[derive(Debug)]
pub(super) struct Waiting {
    key: SegmentKey,
    version: u64,
    reply: oneshot::Sender<Commanded>,
}

impl FleetTask {
    pub(super) fn operation(
        &mut self,
        index: &mut FleetIndex,
        event: OperationEvent,
        now: jiff::Timestamp,
    ) -> Changed {
        match event {
            OperationEvent::Command(commands) => self.command(index, *commands, now),
            OperationEvent::Stored(key, version) => {
                let changed = index.operations_stored(&key, version);
                let stored =
                    |waiting: &mut Waiting| waiting.key == key && waiting.version <= version;
                for waiting in self.commanded.extract_if(.., stored) {
                    // Who asked may have gone meanwhile.
                    let _gone = waiting.reply.send(Ok(()));
                }
                changed
            }
            OperationEvent::Earlier(key, found) => index.know(&key, found, now),
        }
    }

    fn command(
        &mut self,
        index: &mut FleetIndex,
        commands: Commands,
        now: jiff::Timestamp,
    ) -> Changed {
        let Commands {
            key,
            command,
            by,
            found,
            reply,
        } = commands;
        match index.command(&key, &command, by, found, now) {
            Ok(changed) => {
                let version = index.operations(&key).map_or(0, |(_, version)| version);
                self.commanded.push(Waiting {
                    key,
                    version,
                    reply,
                });
                changed
            }
            Err(error) => {
                let _gone = reply.send(Err(error));
                Changed::default()
            }
        }
    }
}

/// What a step asks to be stored, looked up and told.
pub(super) fn publish(index: &FleetIndex, changed: &Changed, effects: &mut Vec<Effect>) {
    for key in &changed.operations {
        effects.push(Effect::Operations(key.clone()));
    }
    for key in &changed.sought {
        if let Some(segment) = index.segments().get(key) {
            effects.push(Effect::FindEarlier {
                key: key.clone(),
                uid: segment.uid,
            });
        }
    }
    for news in &changed.news {
        effects.push(Effect::Tell(news.clone()));
    }
}
