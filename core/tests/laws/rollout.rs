//! Rollout keeps its budget: at no step are more clusters in change than allowed, a restart in the middle included.

use crate::world::at;
use jiff::SignedDuration;
use proptest::prelude::*;
use segment_core::rollout::{
    Decision, Facts, Member, Opening, Progress, Progressed, Standing, Strategy as Plan, rollout,
};

#[derive(Clone, Debug)]
enum Step {
    Decide,
    Confirm(usize),
    Leave(usize),
    Return(usize),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Decide),
        4 => any::<prop::sample::Index>().prop_map(|i| Step::Confirm(i.index(1_000))),
        1 => any::<prop::sample::Index>().prop_map(|i| Step::Leave(i.index(1_000))),
        1 => any::<prop::sample::Index>().prop_map(|i| Step::Return(i.index(1_000))),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..80)
}

fn decide(standing: &[Standing], plan: &Plan) -> Decision<usize> {
    let members: Vec<Member<usize>> = standing
        .iter()
        .enumerate()
        .map(|(cluster, &standing)| Member {
            cluster,
            standing,
            wave: 0,
            proven: false,
            failed_before: false,
            opening: Opening::Open,
            counted: false,
        })
        .collect();
    rollout(
        &members,
        &Facts {
            strategy: plan,
            progress: &Progressed::default(),
            stored: true,
            completed: false,
            paused: false,
            cap: usize::MAX,
            deadline: SignedDuration::from_secs(600),
            now: at(0),
        },
    )
}

proptest! {
    #[test]
    fn never_more_in_change_than_allowed(size in 1..40_usize, steps in steps()) {
        let plan = Plan::default();
        let allowed = plan.waves[0].max_concurrent.at_least_one(size);
        let mut standing = vec![Standing::Waiting; size];
        // What is true of the clusters, whatever the hub believes: released and not confirmed.
        let mut changing = vec![false; size];
        for step in steps {
            match step {
                Step::Decide => {
                    for i in decide(&standing, &plan).release {
                        standing[i] = Standing::Released(at(0));
                        changing[i] = true;
                    }
                }
                Step::Confirm(i) => {
                    let i = i % size;
                    if matches!(standing[i], Standing::Released(_)) {
                        standing[i] = Standing::Confirmed;
                        changing[i] = false;
                    } else if standing[i] == Standing::Unheard {
                        // It tells what it holds: an entry that holds the revision counts as released.
                        standing[i] = if changing[i] { Standing::Released(at(0)) } else { Standing::Waiting };
                    }
                }
                Step::Leave(i) => {
                    let i = i % size;
                    if standing[i] == Standing::Waiting {
                        standing[i] = Standing::Away;
                    }
                }
                Step::Return(i) => {
                    let i = i % size;
                    if standing[i] == Standing::Away {
                        standing[i] = Standing::Waiting;
                    }
                }
                // The hub forgets all and has heard of nobody.
                Step::Restart => standing.iter_mut().for_each(|s| if *s != Standing::Confirmed { *s = Standing::Unheard; }),
            }
            prop_assert!(changing.iter().filter(|c| **c).count() <= allowed);
        }
    }

    #[test]
    fn a_rollout_without_faults_ends(size in 1..40_usize) {
        let mut standing = vec![Standing::Waiting; size];
        for _ in 0..=size {
            let decision = decide(&standing, &Plan::default());
            if decision.progress == Progress::Completed {
                return Ok(());
            }
            prop_assert!(!decision.release.is_empty());
            for i in decision.release {
                standing[i] = Standing::Confirmed;
            }
        }
        prop_assert!(false, "it never ends");
    }
}
