//! What the API has and this version does not do yet: said, never silently left out.
//!
//! In: a spec. Out: the fields that ask for more than works. Law: a spec that uses defaults only asks for nothing more
//! (test `defaults_are_supported`). Not: whether the spec is good.

use crate::segment::{Adoption, Drift, SegmentSpec};

impl SegmentSpec {
    /// Fields with values that are not supported yet, each with what to do: `Accepted=False`, reason `NotYet`.
    pub fn not_yet(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        if self.adoption() != Adoption::IfSame {
            fields.push((
                "spec.adoption",
                not_supported(self.adoption().as_str(), Adoption::IfSame.as_str()),
            ));
        }
        if self.drift() != Drift::Correct {
            fields.push((
                "spec.drift",
                not_supported(self.drift().as_str(), Drift::Correct.as_str()),
            ));
        }
        fields
    }
}

fn not_supported(value: &str, works: &str) -> String {
    format!("{value} is not supported yet: remove the field, or set {works}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::Rollout;
    use crate::segment::{OnScheduleChange, Removal, RemovalPolicy, RunningJobs};

    fn fields(spec: &SegmentSpec) -> Vec<&'static str> {
        spec.not_yet().into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn defaults_are_supported() {
        assert_eq!(SegmentSpec::default().not_yet(), []);
    }

    #[test]
    fn what_works_may_be_written_out() {
        let spec = SegmentSpec {
            adoption: Some(Adoption::IfSame),
            drift: Some(Drift::Correct),
            on_schedule_change: Some(OnScheduleChange::RunOnce),
            rollout: Some(Rollout::default()),
            paused: Some(true),
            removal: Some(Removal {
                policy: Some(RemovalPolicy::Orphan),
                running_jobs: Some(RunningJobs::Kill),
            }),
            target_namespace: Some("elsewhere".to_owned()),
            ..SegmentSpec::default()
        };
        assert_eq!(spec.not_yet(), []);
    }

    #[test]
    fn every_other_value_is_named() {
        for adoption in [Adoption::Never, Adoption::Always] {
            assert_eq!(
                SegmentSpec {
                    adoption: Some(adoption),
                    ..SegmentSpec::default()
                }
                .not_yet(),
                [(
                    "spec.adoption",
                    format!("{adoption} is not supported yet: remove the field, or set IfSame")
                )]
            );
        }
        for drift in [Drift::Report, Drift::IfNotDrifted] {
            assert_eq!(
                fields(&SegmentSpec {
                    drift: Some(drift),
                    ..SegmentSpec::default()
                }),
                ["spec.drift"]
            );
        }
        let all = SegmentSpec {
            adoption: Some(Adoption::Never),
            drift: Some(Drift::Report),
            ..SegmentSpec::default()
        };
        assert_eq!(fields(&all), ["spec.adoption", "spec.drift"]);
    }
}
