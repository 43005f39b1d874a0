//! Aggregate counts: sums equal the selected clusters; the order of reports does not matter.

use crate::world::World;
use proptest::prelude::*;
use segment_core::aggregate::aggregate;
use segment_core::ids::SegmentKey;
use segment_core::testing::segment;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_five_add_up_at_every_step_and_the_order_of_clusters_does_not_matter(order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle(), stop in 0..5_usize) {
        let key: SegmentKey = "granary/a".parse().unwrap();
        let mut world = World::new(5);
        world.apply(segment("granary/a"));
        let clusters = world.clusters();
        for (n, i) in order.iter().enumerate() {
            if n == stop {
                world.restart_hub();
            }
            world.connect(&clusters[*i]);
            world.drain();
            world.pass(1);
            let sum = aggregate(world.index(), &key, crate::world::at(world.now)).unwrap();
            prop_assert!(sum.counts.adds_up(), "{:?}", sum.counts);
            prop_assert_eq!(sum.counts.selected, 5);
        }
        world.heal();
        let sum = aggregate(world.index(), &key, crate::world::at(world.now)).unwrap();
        prop_assert_eq!((sum.counts.ready, sum.counts.updated, sum.counts.owed), (5, 5, 0));
        prop_assert_eq!(sum.worst, vec![]);
    }
}
