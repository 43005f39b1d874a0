//! Rollout keeps its budget: at no step are more clusters in change than allowed, a restart in the middle included.

use crate::world::at;
use proptest::prelude::*;
use segment_core::rollout::{Member, Progress, Standing, Strategy as Plan, rollout};

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

proptest! {
    #[test]
    fn never_more_in_change_than_allowed(size in 1..40_usize, steps in steps()) {
        let plan = Plan::default();
        let allowed = plan.max_concurrent(size);
        let mut standing = vec![Standing::Waiting; size];
        // What is true of the clusters, whatever the hub believes: released and not confirmed.
        let mut changing = vec![false; size];
        for step in steps {
            match step {
                Step::Decide => {
                    let members: Vec<Member<usize>> = standing.iter().enumerate()
                        .map(|(cluster, &standing)| Member { cluster, standing, failed_before: false }).collect();
                    for i in rollout(&members, &plan, at(0)).release {
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
            let members: Vec<Member<usize>> = standing.iter().enumerate()
                .map(|(cluster, &standing)| Member { cluster, standing, failed_before: false }).collect();
            let decision = rollout(&members, &Plan::default(), at(0));
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
