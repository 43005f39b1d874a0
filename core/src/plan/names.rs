//! Clusters in bounded lists: all are counted, some are named.
//!
//! In: names, with what they have in common. Out: [`Names`], [`Groups`]. Law: counts are exact whatever is cut.
//! Not: which clusters.

use crate::ids::ClusterName;
use std::collections::BTreeMap;

/// Clusters that are named of one group.
pub(super) const NAMED: usize = 20;
/// Groups of one list; the clusters of further ones are only counted.
pub(super) const GROUPS: usize = 50;

/// Some clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// How many they are.
    pub count: usize,
    /// The first [`NAMED`] of them.
    pub some: Vec<ClusterName>,
}

impl Names {
    /// One more.
    pub fn push(&mut self, name: &ClusterName) {
        self.count += 1;
        if self.some.len() < NAMED {
            self.some.push(name.clone());
        }
    }

    /// These as well.
    pub fn extend(&mut self, other: Self) {
        self.count += other.count;
        let room = NAMED - self.some.len().min(NAMED);
        self.some.extend(other.some.into_iter().take(room));
    }
}

/// Clusters by what they have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups<K: Ord> {
    /// The first [`GROUPS`] that were met.
    pub groups: BTreeMap<K, Names>,
    /// Clusters of others.
    pub more: usize,
}

impl<K: Ord> Default for Groups<K> {
    fn default() -> Self {
        Self {
            groups: BTreeMap::new(),
            more: 0,
        }
    }
}

impl<K: Ord> Groups<K> {
    /// One more cluster.
    pub fn push(&mut self, key: K, name: &ClusterName) {
        if let Some(names) = self.groups.get_mut(&key) {
            names.push(name);
        } else if self.groups.len() < GROUPS {
            let mut names = Names::default();
            names.push(name);
            self.groups.insert(key, names);
        } else {
            self.more += 1;
        }
    }

    /// Clusters in all.
    pub fn count(&self) -> usize {
        self.groups.values().map(|names| names.count).sum::<usize>() + self.more
    }

    /// Groups, the largest first.
    pub fn largest_first(&self) -> Vec<(&K, &Names)> {
        let mut all: Vec<_> = self.groups.iter().collect();
        all.sort_by_key(|(_, names)| std::cmp::Reverse(names.count));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_and_names_are_some() {
        let mut groups: Groups<usize> = Groups::default();
        let names: Vec<ClusterName> = (0..100)
            .map(|i| ClusterName::new(format!("c-{i}")).unwrap())
            .collect();
        for name in &names {
            groups.push(0, name);
        }
        for (group, name) in names.iter().enumerate() {
            groups.push(group + 1, name);
        }
        assert_eq!(groups.count(), 200);
        assert_eq!(groups.groups.len(), GROUPS);
        assert_eq!(groups.more, 100 - (GROUPS - 1));
        let (largest, names) = groups.largest_first()[0];
        assert_eq!((*largest, names.count, names.some.len()), (0, 100, NAMED));
    }
}
