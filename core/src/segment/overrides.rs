//! Overrides: what is different on some clusters.
//!
//! In: a Segment and a cluster's labels. Out: an [`EffectiveSegment`]. Law: in order, later wins, key by key; within one
//! override `unset` goes first. What is unset falls back to the house default.
//! Not: whether the result is complete (`rules.rs`): an override that unsets a required variable is an error on its
//! clusters only.

use super::rules::Seen;
use super::{ParsedSegment, template};
use segment_crds::{CronJobSettings, ImageSettings, Override, SecretRef, SegmentEnv, SegmentSpec};
use std::collections::BTreeMap;

/// What a Segment says for one cluster, before defaults and references.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EffectiveSegment {
    /// `cronjob`.
    pub cronjob: CronJobSettings,
    /// `env`.
    pub env: SegmentEnv,
    /// `extraEnv`.
    pub extra_env: BTreeMap<String, String>,
    /// `envFromSecrets`.
    pub env_from_secrets: BTreeMap<String, SecretRef>,
    /// `image`.
    pub image: ImageSettings,
    /// Places in `spec.overrides` of those that match, in order.
    pub overrides: Vec<usize>,
}

/// What a Segment says for a cluster with these labels (the implicit one included).
pub fn effective(segment: &ParsedSegment, labels: &BTreeMap<String, String>) -> EffectiveSegment {
    let mut effective = base(&segment.spec);
    effective.overrides = matching(segment, labels).collect();
    for index in effective.overrides.clone() {
        if let Some(change) = segment.spec.overrides.get(index) {
            effective.apply(change);
        }
    }
    effective
}

/// What a Segment says where no override matches.
pub fn base(spec: &SegmentSpec) -> EffectiveSegment {
    EffectiveSegment {
        cronjob: spec.cronjob.clone(),
        env: spec.env.clone(),
        extra_env: spec.extra_env.clone(),
        env_from_secrets: spec.env_from_secrets.clone(),
        image: spec.image.clone(),
        overrides: Vec::new(),
    }
}

/// Places of the overrides that match these labels, in order.
pub(crate) fn matching<'a>(
    segment: &'a ParsedSegment,
    labels: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = usize> + 'a {
    segment
        .override_selectors
        .iter()
        .enumerate()
        .filter(|(_, selector)| selector.matches(labels))
        .map(|(index, _)| index)
}

impl EffectiveSegment {
    /// Names that are not known were refused when the Segment was parsed.
    pub(crate) fn apply(&mut self, change: &Override) {
        let Override {
            cluster_selector: _,
            cronjob,
            env,
            env_from_secrets,
            extra_env,
            image,
            unset,
        } = change;
        for name in &unset.cronjob {
            self.cronjob.unset(name);
        }
        for name in &unset.env {
            self.env.unset(name);
        }
        for name in &unset.extra_env {
            self.extra_env.remove(name);
        }
        for name in &unset.env_from_secrets {
            self.env_from_secrets.remove(name);
        }
        self.cronjob.overlay(cronjob);
        self.env.overlay(env);
        self.extra_env.extend(extra_env.clone());
        self.env_from_secrets.extend(env_from_secrets.clone());
        self.image.overlay(image);
    }

    /// What is known of a variable before the cluster is.
    pub(crate) fn seen(&self, name: &str) -> Seen<'_> {
        match self.env.get(name) {
            _ if self.env_from_secrets.contains_key(name) => Seen::Later,
            None => Seen::Absent,
            Some(value) if template::mentions_cluster(value) => Seen::Later,
            Some(value) => Seen::Text(value),
        }
    }

    /// The path of a field in the resource (`env.TYPE`, `cronjob.schedule`): that of the last override that sets it, else
    /// that in `spec` itself.
    pub(crate) fn path(&self, segment: &ParsedSegment, field: &str) -> String {
        let decided = self.overrides.iter().rev().find(|&&index| {
            segment
                .spec
                .overrides
                .get(index)
                .is_some_and(|change| sets(change, field))
        });
        match decided {
            Some(index) => format!("spec.overrides[{index}].{field}"),
            None => format!("spec.{field}"),
        }
    }
}

/// Whether an override sets a field of which findings speak: a variable, the schedule, else a resource.
fn sets(change: &Override, field: &str) -> bool {
    match field.split_once('.') {
        Some(("env", name)) => change.env.get(name).is_some(),
        Some(("extraEnv", name)) => change.extra_env.contains_key(name),
        Some(("envFromSecrets", name)) => change.env_from_secrets.contains_key(name),
        Some(("cronjob", "schedule")) => change.cronjob.schedule.is_some(),
        Some(("cronjob", _)) => change.cronjob.resources.is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::parse;
    use crate::testing;
    use segment_crds::Unset;

    fn secret(name: &str, key: &str) -> SecretRef {
        SecretRef {
            secret: Some(name.to_owned()),
            key: Some(key.to_owned()),
        }
    }

    #[test]
    fn overrides_apply_in_order_and_unset_goes_first_within_one() {
        let mut segment = testing::segment("granary/demo");
        segment.spec.cronjob.suspend = Some(true);
        segment.spec.env.db_host = Some("base".to_owned());
        segment.spec.env.debug = Some("True".to_owned());
        segment.spec.extra_env = [
            ("A".to_owned(), "base".to_owned()),
            ("B".to_owned(), "base".to_owned()),
        ]
        .into();
        segment.spec.env_from_secrets = [("DB_USER".to_owned(), secret("base", "base"))].into();
        let first = Override {
            env: SegmentEnv {
                db_host: Some("first".to_owned()),
                ..SegmentEnv::default()
            },
            extra_env: [("A".to_owned(), "first".to_owned())].into(),
            env_from_secrets: [("DB_USER".to_owned(), secret("first", "key"))].into(),
            ..Override::default()
        };
        let second = Override {
            cluster_selector: Some(testing::label_selector(&[("env", "prod")])),
            env: SegmentEnv {
                db_host: Some("second".to_owned()),
                ..SegmentEnv::default()
            },
            extra_env: [("B".to_owned(), "second".to_owned())].into(),
            image: ImageSettings {
                tag: Some("2".to_owned()),
                ..ImageSettings::default()
            },
            unset: Unset {
                env: vec!["DB_HOST".to_owned(), "DEBUG".to_owned()],
                extra_env: vec!["A".to_owned(), "ABSENT".to_owned()],
                env_from_secrets: vec!["DB_USER".to_owned()],
                cronjob: vec!["suspend".to_owned()],
            },
            ..Override::default()
        };
        segment.spec.overrides = vec![first, second];
        let parsed = parse(&segment).unwrap();

        let test = effective(&parsed, &testing::view("a", &[("env", "test")]).labels);
        assert_eq!(test.overrides, [0]);
        assert_eq!(test.env.db_host.as_deref(), Some("first"));
        assert_eq!(test.env.debug.as_deref(), Some("True"));
        assert_eq!(test.extra_env["A"], "first");
        assert_eq!(test.env_from_secrets["DB_USER"], secret("first", "key"));
        assert_eq!(test.cronjob.suspend, Some(true));

        let prod = effective(&parsed, &testing::view("b", &[("env", "prod")]).labels);
        assert_eq!(prod.overrides, [0, 1]);
        assert_eq!(prod.env.db_host.as_deref(), Some("second"));
        assert_eq!(prod.env.debug, None);
        assert_eq!(
            prod.extra_env,
            [("B".to_owned(), "second".to_owned())].into()
        );
        assert_eq!(prod.env_from_secrets, BTreeMap::new());
        assert_eq!(prod.cronjob.suspend, None);
        assert_eq!(prod.cronjob.schedule, segment.spec.cronjob.schedule);
        assert_eq!(prod.image.tag.as_deref(), Some("2"));

        let path = |e: &EffectiveSegment, name: &str| e.path(&parsed, &format!("env.{name}"));
        assert_eq!(path(&prod, "DB_HOST"), "spec.overrides[1].env.DB_HOST");
        assert_eq!(path(&prod, "TYPE"), "spec.env.TYPE");
    }
}
