//! Requests and limits.
//!
//! In: `resources` of the base, an override, or both merged. Out: findings.
//! Law: as `ValidateContainerResourceRequirements` of Kubernetes judges. Not: what a cluster's quota says.

use super::Judge;
use crate::finding::{Code, shown};
use crate::report::cut;
use crate::segment::{forms, quantity};
use segment_crds::ResourceAmounts;

/// Judges each name and amount.
pub(super) fn check(amounts: &ResourceAmounts, at: &str, judge: &mut Judge) {
    for (list, values) in [("limits", &amounts.limits), ("requests", &amounts.requests)] {
        for (name, amount) in values {
            let field = format!("{at}.{list}.{name}");
            if !is_known(name) {
                judge.error(
                    Code::InvalidName,
                    &field,
                    &format!("{} is not a resource of a container", shown(name)),
                );
            }
            match quantity::parse(&amount.0) {
                None => judge.error(
                    Code::OutOfRange,
                    &field,
                    &format!("{} is not a quantity", shown(&amount.0)),
                ),
                Some(value) if value < 0 => {
                    judge.error(Code::OutOfRange, &field, "must not be negative");
                }
                Some(value) if !can_be_overcommitted(name) && value % 1_000_000_000 != 0 => {
                    judge.error(Code::OutOfRange, &field, "must be a whole number");
                }
                Some(_) => {}
            }
        }
    }
}

/// Judges requests against limits.
pub(super) fn check_pairs(amounts: &ResourceAmounts, at: &str, judge: &mut Judge) {
    for (name, request) in &amounts.requests {
        let field = format!("{at}.requests.{name}");
        let limit = amounts.limits.get(name);
        let value = |amount: &k8s_openapi::apimachinery::pkg::api::resource::Quantity| {
            quantity::parse(&amount.0)
        };
        let problem = match limit {
            Some(limit) if value(request) > value(limit) => {
                format!(
                    "{} is more than the limit {}",
                    short(&request.0),
                    short(&limit.0)
                )
            }
            Some(limit) if !can_be_overcommitted(name) && value(request) != value(limit) => {
                format!("must equal the limit {}", short(&limit.0))
            }
            None if !can_be_overcommitted(name) => "this resource needs an equal limit".to_owned(),
            _ => continue,
        };
        judge.error(Code::OutOfRange, &field, &problem);
    }
}

/// An amount in a message.
fn short(amount: &str) -> String {
    cut(amount, 40)
}

fn is_known(name: &str) -> bool {
    match name.split_once('/') {
        None => matches!(name, "cpu" | "memory" | "ephemeral-storage") || is_huge_pages(name),
        Some((prefix, _)) => {
            forms::is_qualified_name(name)
                && !prefix.ends_with("kubernetes.io")
                && prefix != "requests"
        }
    }
}

fn is_huge_pages(name: &str) -> bool {
    name.strip_prefix("hugepages-")
        .is_some_and(|size| quantity::parse(size).is_some())
}

/// Extended resources and huge pages are whole and can't be promised twice.
fn can_be_overcommitted(name: &str) -> bool {
    !name.contains('/') && !is_huge_pages(name)
}
