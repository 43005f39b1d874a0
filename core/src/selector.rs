//! Label selectors, parsed once.
//!
//! In: a selector of a resource, or kubectl's `-l` string. Out: [`Selector`]: matches labels, and says why not.
//! Law: as Kubernetes matches (test `a_selector_matches_as_a_naive_reading_does`), but absent and empty select
//! everything. Not: which labels a cluster has (`placement.rs`).

mod text;

use crate::finding::{Code, Finding, shown};
use crate::segment::forms::{is_label_value, is_qualified_name};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// All requirements must hold; none selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// Key of the label.
    pub key: String,
    /// What is asked of it.
    pub condition: Condition,
}

/// What is asked of a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// It is there with one of these values.
    In(BTreeSet<String>),
    /// It is absent, or has none of these values.
    NotIn(BTreeSet<String>),
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
}

// === impl Selector ===

impl Selector {
    /// Reads a selector of a resource; absent or empty selects everything.
    ///
    /// # Errors
    /// A finding for each part that Kubernetes would refuse, with its path below `field`.
    pub fn parse(selector: Option<&LabelSelector>, field: &str) -> Result<Self, Vec<Finding>> {
        let mut requirements = Vec::new();
        let mut findings = Vec::new();
        let mut wrong = |field: String, message: String| {
            findings.push(Finding::error(Code::InvalidSelector, field, message));
        };
        for (key, value) in selector
            .and_then(|s| s.match_labels.as_ref())
            .into_iter()
            .flatten()
        {
            let field = format!("{field}.matchLabels.{key}");
            match requirement(key, Condition::In([value.clone()].into())) {
                Ok(requirement) => requirements.push(requirement),
                Err(message) => wrong(field, message),
            }
        }
        let expressions = selector.and_then(|s| s.match_expressions.as_ref());
        for (index, expression) in expressions.into_iter().flatten().enumerate() {
            let values: BTreeSet<String> = expression.values.iter().flatten().cloned().collect();
            let without_values = |condition| {
                if values.is_empty() {
                    Ok(condition)
                } else {
                    Err(format!("{} takes no values", expression.operator))
                }
            };
            let condition = match expression.operator.as_str() {
                "In" => Ok(Condition::In(values)),
                "NotIn" => Ok(Condition::NotIn(values)),
                "Exists" => without_values(Condition::Exists),
                "DoesNotExist" => without_values(Condition::DoesNotExist),
                other => Err(format!(
                    "{} is not one of In, NotIn, Exists, DoesNotExist",
                    shown(other)
                )),
            };
            match condition.and_then(|condition| requirement(&expression.key, condition)) {
                Ok(requirement) => requirements.push(requirement),
                Err(message) => wrong(format!("{field}.matchExpressions[{index}]"), message),
            }
        }
        if findings.is_empty() {
            Ok(Self { requirements })
        } else {
            Err(findings)
        }
    }

    /// Reads what kubectl takes after `-l`: `a=b,c!=d,e in (x,y),f notin (z),g,!h`. The empty text selects everything.
    ///
    /// # Errors
    /// One finding at `field` with the offset in the text.
    pub fn parse_text(text: &str, field: &str) -> Result<Self, Finding> {
        text::requirements(text)
            .map(|requirements| Self { requirements })
            .map_err(|(offset, message)| {
                Finding::error(Code::InvalidSelector, field, message).at(offset)
            })
    }

    /// Whether every requirement holds.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.failed(labels).is_none()
    }

    /// The first requirement that does not hold.
    pub fn failed(&self, labels: &BTreeMap<String, String>) -> Option<&Requirement> {
        self.requirements
            .iter()
            .find(|requirement| !requirement.holds(labels))
    }

    /// Whether everything is selected.
    pub fn selects_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The requirements, in the order in which they were written.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }
}

impl fmt::Display for Selector {
    /// As kubectl takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            write!(f, "{}{requirement}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

// === impl Requirement ===

impl Requirement {
    /// Whether it holds for these labels.
    pub fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match &self.condition {
            Condition::In(values) => value.is_some_and(|value| values.contains(value)),
            Condition::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Condition::Exists => value.is_some(),
            Condition::DoesNotExist => value.is_none(),
        }
    }
}

impl fmt::Display for Requirement {
    /// As kubectl takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let list = |values: &BTreeSet<String>| {
            values
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(",")
        };
        match &self.condition {
            Condition::In(values) if values.len() == 1 => write!(f, "{key}={}", list(values)),
            Condition::In(values) => write!(f, "{key} in ({})", list(values)),
            Condition::NotIn(values) if values.len() == 1 => write!(f, "{key}!={}", list(values)),
            Condition::NotIn(values) => write!(f, "{key} notin ({})", list(values)),
            Condition::Exists => f.write_str(key),
            Condition::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

/// Checks the forms, as Kubernetes' `labels.NewRequirement`.
fn requirement(key: &str, condition: Condition) -> Result<Requirement, String> {
    if !is_qualified_name(key) {
        return Err(format!("{} is not a label's key", shown(key)));
    }
    if let Condition::In(values) | Condition::NotIn(values) = &condition {
        if values.is_empty() {
            return Err("In and NotIn need at least one value".to_owned());
        }
        if let Some(value) = values.iter().find(|value| !is_label_value(value)) {
            return Err(format!("{} is not a label's value", shown(value)));
        }
    }
    Ok(Requirement {
        key: key.to_owned(),
        condition,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

    fn labels(text: &str) -> BTreeMap<String, String> {
        text.split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> LabelSelector {
        LabelSelector {
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: key.to_owned(),
                operator: operator.to_owned(),
                values: Some(values.iter().map(|&value| value.to_owned()).collect()),
            }]),
            match_labels: None,
        }
    }

    #[test]
    fn a_selector_matches_as_kubernetes_does() {
        for (selector, set, expected) in [
            ("", "", true),
            ("a=1", "a=1,b=2", true),
            ("a==1", "a=2", false),
            ("a=1", "", false),
            ("a=", "a=", true),
            ("a=", "", false),
            ("a!=1", "a=2", true),
            ("a!=1", "a=1", false),
            ("a!=1", "", true),
            ("a in (1,2)", "a=2", true),
            ("a in (1,2)", "a=3", false),
            ("a in (1,2)", "", false),
            ("a notin (1,2)", "a=3", true),
            ("a notin (1,2)", "a=1", false),
            ("a notin (1,2)", "", true),
            ("a", "a=", true),
            ("a", "b=1", false),
            ("!a", "b=1", true),
            ("! a", "a=1", false),
            ("a=1,b notin ( x , y ),!c", "a=1,b=z", true),
            ("a=1,b notin (x,y),!c", "a=1,b=z,c=1", false),
            (" x.y/z = 1 , b", "x.y/z=1,b=", true),
            ("in in (in,notin)", "in=notin", true),
        ] {
            let parsed = Selector::parse_text(selector, "selector").unwrap();
            assert_eq!(
                parsed.matches(&labels(set)),
                expected,
                "{selector:?} on {set:?}"
            );
            let again = Selector::parse_text(&parsed.to_string(), "selector").unwrap();
            assert_eq!(again, parsed, "{selector:?} is written as {parsed}");
        }
    }

    #[test]
    fn an_invalid_selector_is_refused_with_its_place() {
        for (text, offset) in [
            ("a=1,", 4),
            (",a", 0),
            ("a=1 b=2", 4),
            ("a in 1", 5),
            ("a in ()", 0),
            ("a in (1", 7),
            ("a in (1 2)", 8),
            ("!", 1),
            ("!a=1", 2),
            ("a=b=c", 3),
            ("a>1", 1),
            ("a<1", 1),
            ("ä=1", 0),
            ("a=x/y", 0),
            ("b,a=x y", 6),
            ("a nottin (1)", 2),
        ] {
            let finding = Selector::parse_text(text, "selector").unwrap_err();
            assert_eq!(
                (finding.code, finding.offset),
                (Code::InvalidSelector, Some(offset)),
                "{text:?}: {finding}"
            );
        }
        for (selector, message) in [
            (expression("a", "In", &[]), "need at least one value"),
            (expression("a", "NotIn", &[]), "need at least one value"),
            (expression("a", "Exists", &["1"]), "takes no values"),
            (expression("a", "DoesNotExist", &["1"]), "takes no values"),
            (expression("a", "Gt", &["1"]), "is not one of"),
            (expression("a/b/c", "Exists", &[]), "not a label's key"),
            (expression("a", "In", &["x y"]), "not a label's value"),
        ] {
            let findings = Selector::parse(Some(&selector), "spec.clusterSelector").unwrap_err();
            assert_eq!(findings.len(), 1);
            assert_eq!(
                findings[0].field,
                "spec.clusterSelector.matchExpressions[0]"
            );
            assert!(findings[0].message.contains(message), "{}", findings[0]);
        }
    }

    #[test]
    fn an_absent_and_an_empty_selector_select_everything() {
        for selector in [None, Some(&LabelSelector::default())] {
            let parsed = Selector::parse(selector, "f").unwrap();
            assert!(parsed.selects_everything());
            assert!(parsed.matches(&BTreeMap::new()));
        }
    }

    #[test]
    fn the_requirement_that_fails_is_named() {
        let selector = Selector::parse_text("env=prod,region in (eu,us)", "f").unwrap();
        let failed = |set: &str| selector.failed(&labels(set)).map(ToString::to_string);
        assert_eq!(
            failed("env=prod,region=ap").as_deref(),
            Some("region in (eu,us)")
        );
        assert_eq!(failed("region=eu").as_deref(), Some("env=prod"));
        assert_eq!(failed("env=prod,region=us"), None);
    }
}
