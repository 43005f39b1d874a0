//! Both ends of a stream about the spoke's policy.

use crate::admit::PolicyText;
use crate::fence::{Fence, HubMemory};
use crate::ids::{HubId, InstanceId, PolicyDigest, RootDigest, Uid};
use crate::sync::agent::{About, AgentSync, Output as AgentOutput, Stored};
use crate::sync::frame::{AgentFrame, Hello, HubFrame};
use crate::sync::hub::{CloseReason, HubSync, Output, Remembered};
use std::collections::BTreeMap;
use std::sync::Arc;

fn memory() -> HubMemory {
    HubMemory {
        fence: Fence::default(),
        n: 0,
        old_terms: BTreeMap::new(),
    }
}

fn hub() -> HubSync {
    HubSync::new(HubId::new("hub-00000001").unwrap(), Uid([2; 16]))
}

fn about() -> About {
    About {
        cluster_uid: Uid([2; 16]),
        process: InstanceId([3; 16]),
        reports: RootDigest([0; 16]),
        runs: 0,
        agent_version: String::new(),
        kubernetes_version: String::new(),
    }
}

fn text(namespace: &str) -> Arc<PolicyText> {
    let data = [("namespaces".to_owned(), format!("{namespace}: {{}}"))];
    Arc::new(PolicyText::new(data.into()).unwrap())
}

struct Stream {
    agent: AgentSync,
    hub: HubSync,
    /// What the hub got to know.
    told: Vec<Option<PolicyDigest>>,
    read: Vec<(PolicyDigest, bool)>,
    asked: usize,
}

impl Stream {
    fn new(agent: AgentSync) -> Self {
        Self {
            agent,
            hub: hub(),
            told: Vec::new(),
            read: Vec::new(),
            asked: 0,
        }
    }

    fn of(policy: &PolicyText) -> Self {
        let mut agent = AgentSync::new(Stored::default());
        assert_eq!(agent.policy_is(Some(policy.digest())), [], "no stream yet");
        let hello = agent.connected(about());
        let mut stream = Self::new(agent);
        stream.up(hello);
        stream
    }

    /// Frames of the agent, and what the hub answers at once.
    fn up(&mut self, outputs: Vec<AgentOutput>) {
        for output in outputs {
            let AgentOutput::Send(frame) = output else {
                continue;
            };
            let outputs = self.say(frame);
            self.down(outputs);
        }
    }

    fn say(&mut self, frame: AgentFrame) -> Vec<Output> {
        let outputs = self.hub.on_frame(frame, &memory(), Remembered::default);
        for output in &outputs {
            match output {
                Output::PolicyTold(told) => self.told.push(*told),
                Output::PolicyRead(digest, policy) => self.read.push((*digest, policy.is_some())),
                _ => {}
            }
        }
        outputs
    }

    fn down(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send(frame) => {
                    let outputs = self.agent.on_frame(frame);
                    self.up(outputs);
                }
                Output::Close(reason) => panic!("closed: {reason}"),
                _ => {}
            }
        }
    }

    /// The hub asks; the agent has this text. True when it was answered.
    fn ask(&mut self, text: &Arc<PolicyText>) -> bool {
        let Some(request) = self.hub.want_policy(text.digest()) else {
            return false;
        };
        self.asked += 1;
        let wanted = AgentOutput::SendPolicyText(text.digest());
        if self.agent.on_frame(request) != [wanted] {
            return false;
        }
        let answer = self.say(answer(text));
        self.down(answer);
        true
    }

    fn change(&mut self, text: Option<&Arc<PolicyText>>) {
        let outputs = self.agent.policy_is(text.map(|text| text.digest()));
        self.up(outputs);
    }
}

fn answer(text: &Arc<PolicyText>) -> AgentFrame {
    AgentFrame::PolicyText {
        digest: text.digest(),
        text: Arc::clone(text),
    }
}

fn closed(outputs: &[Output]) -> bool {
    matches!(outputs, [Output::Close(CloseReason::Unexpected(_))])
}

#[test]
fn it_is_told_with_hello_and_asked_for_once() {
    let policy = text("a");
    let mut stream = Stream::of(&policy);
    assert_eq!(stream.told, [Some(policy.digest())]);
    assert!(stream.ask(&policy));
    assert_eq!(stream.read, [(policy.digest(), true)]);
    assert!(!stream.ask(&policy), "once");
    // The same again is no news.
    stream.change(Some(&policy));
    assert_eq!(stream.told.len(), 1);
    let outputs = stream.say(AgentFrame::Policy(Some(policy.digest())));
    stream.down(outputs);
    assert!(!stream.ask(&policy));
    assert_eq!(stream.asked, 1);
}

#[test]
fn a_change_is_told_and_asked_for_also_when_it_is_taken_back() {
    let (first, second) = (text("a"), text("b"));
    let mut stream = Stream::of(&first);
    assert!(stream.ask(&first));
    for policy in [Some(&second), None, Some(&first)] {
        stream.change(policy);
        assert_eq!(stream.told.last(), Some(&policy.map(|text| text.digest())));
        if let Some(policy) = policy {
            assert!(stream.ask(policy));
        }
    }
    let read: Vec<_> = stream.read.iter().map(|(digest, _)| *digest).collect();
    assert_eq!(read, [&first, &second, &first].map(|text| text.digest()));
}

#[test]
fn a_change_before_the_welcome_is_told_after_it() {
    let (first, second) = (text("a"), text("b"));
    let mut agent = AgentSync::new(Stored::default());
    agent.policy_is(Some(first.digest()));
    let hello = agent.connected(about());
    assert_eq!(agent.policy_is(Some(second.digest())), []);
    let mut stream = Stream::new(agent);
    stream.up(hello);
    assert_eq!(stream.told, [Some(first.digest()), Some(second.digest())]);
}

#[test]
fn a_policy_that_changed_before_the_request_came_is_not_told_and_the_next_one_is() {
    let (first, second) = (text("a"), text("b"));
    let mut stream = Stream::of(&first);
    let request = stream.hub.want_policy(first.digest()).unwrap();
    let news = stream.agent.policy_is(Some(second.digest()));
    assert_eq!(stream.agent.on_frame(request), []);
    stream.up(news);
    assert!(stream.ask(&second));
    assert!(
        closed(&stream.say(answer(&first))),
        "nobody waits for it any more"
    );
}

#[test]
fn an_agent_without_the_capability_is_not_asked() {
    let policy = text("a");
    let mut agent = AgentSync::new(Stored::default());
    agent.policy_is(Some(policy.digest()));
    let hello = agent.connected(about()).remove(0);
    let AgentOutput::Send(AgentFrame::Hello(hello)) = hello else {
        panic!("Hello comes first")
    };
    let mut hub = hub();
    let hello = AgentFrame::Hello(Hello {
        capabilities: vec!["other".to_owned()],
        ..hello
    });
    let outputs = hub.on_frame(hello, &memory(), Remembered::default);
    assert!(outputs.contains(&Output::PolicyTold(Some(policy.digest()))));
    assert_eq!(hub.want_policy(policy.digest()), None);
}

#[test]
fn a_text_that_nobody_asked_for_or_that_is_another_ends_the_stream() {
    let (policy, other) = (text("a"), text("b"));
    let mut stream = Stream::of(&policy);
    assert!(closed(&stream.say(answer(&policy))), "not asked");

    let mut stream = Stream::of(&policy);
    stream.hub.want_policy(policy.digest()).unwrap();
    assert!(
        closed(&stream.say(answer(&other))),
        "not asked for that one"
    );

    let mut stream = Stream::of(&policy);
    stream.hub.want_policy(policy.digest()).unwrap();
    let lie = AgentFrame::PolicyText {
        digest: policy.digest(),
        text: other,
    };
    assert!(closed(&stream.say(lie)), "it is not the one of the digest");

    let mut stream = Stream::of(&policy);
    assert!(stream.ask(&policy));
    assert!(closed(&stream.say(answer(&policy))), "answered before");
}

#[test]
fn a_text_that_is_no_policy_is_one_that_this_hub_cannot_read() {
    let data = [("noSuchRule".to_owned(), String::new())];
    let newer = Arc::new(PolicyText::new(data.into()).unwrap());
    let mut stream = Stream::of(&newer);
    assert!(stream.ask(&newer));
    assert_eq!(stream.read, [(newer.digest(), false)]);
    assert!(!stream.ask(&newer));
}

#[test]
fn a_hub_that_asks_before_the_welcome_is_left() {
    let policy = text("a");
    let mut agent = AgentSync::new(Stored::default());
    agent.policy_is(Some(policy.digest()));
    agent.connected(about());
    let outputs = agent.on_frame(HubFrame::PolicyWanted(policy.digest()));
    assert!(matches!(&outputs[..], [AgentOutput::Close { .. }]));
}
