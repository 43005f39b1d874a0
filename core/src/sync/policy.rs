//! How the spoke's own policy comes to the hub: its digest whenever it changes, its text only when the hub asks.
//!
//! In: digests as they change, what was told and asked on this stream. Out: whether to tell, to ask, to take an answer.
//! Law: a digest is told once until it changes; it is asked for once until it is told to have changed; an answer that was
//! not asked for is none. Not: which digests the hub knows (`index/policy.rs`), what a text means (`admit`).

use super::frame::AgentFrame;
use crate::ids::PolicyDigest;

/// The agent's side of one stream.
#[derive(Debug, Default)]
pub(super) struct Telling {
    now: Option<PolicyDigest>,
    told: Option<PolicyDigest>,
}

impl Telling {
    /// The policy in force.
    pub(super) fn is(&mut self, digest: Option<PolicyDigest>) {
        self.now = digest;
    }

    /// Whether it is the one in force: one that has changed meanwhile can't be told any more.
    pub(super) fn is_in_force(&self, digest: PolicyDigest) -> bool {
        self.now == Some(digest)
    }

    /// A stream begins with what is in force.
    pub(super) fn in_hello(&mut self) -> Option<PolicyDigest> {
        self.told = self.now;
        self.told
    }

    /// What this stream has not told yet.
    pub(super) fn news(&mut self) -> Option<AgentFrame> {
        let news = self.told != self.now;
        self.told = self.now;
        news.then_some(AgentFrame::Policy(self.told))
    }
}

/// What became of the policy that was told last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    No,
    Yes,
    Answered,
}

/// The hub's side of one stream.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// The agent answers when it is asked.
    able: bool,
    told: Option<PolicyDigest>,
    asked: Asked,
}

impl Asking {
    /// Of an agent that answers, or one that does not.
    pub(super) fn new(able: bool) -> Self {
        Self {
            able,
            ..Self::default()
        }
    }

    /// The agent has told its policy. Only a change is news: saying the same again brings no second request.
    pub(super) fn told(&mut self, digest: Option<PolicyDigest>) {
        if self.told != digest {
            self.told = digest;
            self.asked = Asked::No;
        }
    }

    /// Whether to ask for it now.
    pub(super) fn want(&mut self, digest: PolicyDigest) -> bool {
        let ask = self.able && self.told == Some(digest) && self.asked == Asked::No;
        if ask {
            self.asked = Asked::Yes;
        }
        ask
    }

    /// Whether this is the one answer to the last request.
    pub(super) fn answered(&mut self, digest: PolicyDigest) -> bool {
        let expected = self.told == Some(digest) && self.asked == Asked::Yes;
        if expected {
            self.asked = Asked::Answered;
        }
        expected
    }
}

#[cfg(test)]
mod tests;
