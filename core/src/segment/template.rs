//! References in values: `$(cluster.name)`, `$(cluster.labels['k'])`, `$(cluster.annotations['k'])`.
//!
//! In: the value of a variable, and a cluster. Out: the value for that cluster.
//! Law: never an empty string for what the cluster does not have; `$(OTHER)` and `$$(` stay for the kubelet, byte for
//! byte. Not: any other field. Source of the syntax: Kubernetes, `third_party/forked/golang/expansion`.
//!
//! A cluster's labels and annotations enter SQL here, so their values are held to a pattern without quotes and blanks.

use super::ahead::Ahead;
use crate::finding::{Code, Finding};
use crate::placement::ClusterView;
use crate::report::cut;
use std::borrow::Cow;

/// Longest value that a reference may put in, in bytes: that of a DNS name.
const REFERENCE_MAX_BYTES: usize = 253;

/// What a reference names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// `$(cluster.name)`.
    Name,
    /// `$(cluster.labels['key'])`.
    Label(String),
    /// `$(cluster.annotations['key'])`.
    Annotation(String),
}

/// A part of a value.
enum Piece<'a> {
    /// Stays as it is.
    Text(&'a str),
    /// `$(cluster.…)` with what stands between the parentheses.
    Cluster { offset: usize, inner: &'a str },
    /// `$(NAME)`: stays, the kubelet replaces it.
    Variable { whole: &'a str, name: &'a str },
}

/// Splits a value as the kubelet would read it.
fn pieces(value: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut offset = 0;
    let mut close = Ahead::new(value, ")");
    let mut reference = Ahead::new(value, "$(cluster");
    std::iter::from_fn(move || {
        let rest = &value[offset..];
        let begin = offset;
        if rest.is_empty() {
            return None;
        }
        if rest.starts_with("$(")
            && let inside = begin + 2
            && let end = close.from(inside)
            && let Some(inner) = value.get(inside..end)
            // A lone "$(" before a reference must not hide it; the kubelet leaves such a name as it is.
            && reference.from(inside) > end
        {
            let len = inner.len() + 3;
            offset += len;
            return Some(if inner == "cluster" || inner.starts_with("cluster.") {
                Piece::Cluster {
                    offset: begin,
                    inner,
                }
            } else {
                Piece::Variable {
                    whole: &rest[..len],
                    name: inner,
                }
            });
        }
        // An escaped dollar takes the next one with it.
        let mut len = if rest.starts_with("$$") {
            2
        } else {
            1.max(rest.find('$').unwrap_or(rest.len()))
        };
        while !rest.is_char_boundary(len) {
            len += 1;
        }
        offset += len;
        Some(Piece::Text(&rest[..len]))
    })
}

/// Whether a value names a cluster, well or badly.
pub(crate) fn mentions_cluster(value: &str) -> bool {
    value.contains("$(cluster") && pieces(value).any(|piece| matches!(piece, Piece::Cluster { .. }))
}

/// A value that means to us what it means to a kubelet that knows no clusters: `$(cluster.…)` becomes `$$(cluster.…)`.
pub(crate) fn escaped(value: &str) -> Cow<'_, str> {
    if !mentions_cluster(value) {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len() + 1);
    for piece in pieces(value) {
        match piece {
            Piece::Text(text) | Piece::Variable { whole: text, .. } => out.push_str(text),
            Piece::Cluster { inner, .. } => {
                out.push_str("$$(");
                out.push_str(inner);
                out.push(')');
            }
        }
    }
    Cow::Owned(out)
}

/// Names of the variables that the kubelet would put in.
pub(crate) fn variables(value: &str) -> impl Iterator<Item = &str> {
    pieces(value).filter_map(|piece| match piece {
        Piece::Variable { name, .. } => Some(name),
        Piece::Text(_) | Piece::Cluster { .. } => None,
    })
}

impl Reference {
    fn parse(inner: &str) -> Option<Self> {
        let key = |of: &str| {
            inner
                .strip_prefix(of)
                .and_then(|rest| rest.strip_prefix("['"))
                .and_then(|rest| rest.strip_suffix("']"))
                .filter(|key| !key.is_empty() && !key.contains('\''))
                .map(str::to_owned)
        };
        if inner == "cluster.name" {
            return Some(Self::Name);
        }
        key("cluster.labels")
            .map(Self::Label)
            .or_else(|| key("cluster.annotations").map(Self::Annotation))
    }

    /// What the cluster has for it.
    pub fn value<'a>(&self, cluster: &'a ClusterView) -> Option<&'a str> {
        match self {
            Self::Name => Some(cluster.name.as_str()),
            Self::Label(key) => cluster.labels.get(key).map(String::as_str),
            Self::Annotation(key) => cluster.annotations.get(key).map(String::as_str),
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name => f.write_str("$(cluster.name)"),
            Self::Label(key) => write!(f, "$(cluster.labels['{key}'])"),
            Self::Annotation(key) => write!(f, "$(cluster.annotations['{key}'])"),
        }
    }
}

/// The references in a value.
///
/// # Errors
/// One finding at `field` for the first `$(cluster…)` that no cluster could have.
pub fn references(value: &str, field: &str) -> Result<Vec<Reference>, Finding> {
    if !value.contains("$(cluster") {
        return Ok(Vec::new());
    }
    pieces(value)
        .filter_map(|piece| match piece {
            Piece::Cluster { offset, inner } => Some((offset, inner)),
            Piece::Text(_) | Piece::Variable { .. } => None,
        })
        .map(|(offset, inner)| {
            Reference::parse(inner).ok_or_else(|| {
                Finding::error(
                    Code::UnknownReference,
                    field,
                    format!("$({}) is not a reference to a cluster", short(inner)),
                )
                .at(offset)
                .help(
                    "$(cluster.name), $(cluster.labels['key']) or $(cluster.annotations['key']); \
                         $$( is a literal $(",
                )
            })
        })
        .collect()
}

/// The value for one cluster.
///
/// # Errors
/// One finding at `field` for the first reference that the cluster does not have, or whose value has characters that
/// could end a string or begin another command.
pub fn expand<'a>(
    value: &'a str,
    cluster: &ClusterView,
    field: &str,
) -> Result<Cow<'a, str>, Finding> {
    if !mentions_cluster(value) {
        return Ok(Cow::Borrowed(value));
    }
    let mut out = String::with_capacity(value.len());
    for piece in pieces(value) {
        match piece {
            Piece::Text(text) | Piece::Variable { whole: text, .. } => out.push_str(text),
            Piece::Cluster { offset, inner } => {
                let found = Reference::parse(inner).and_then(|reference| reference.value(cluster));
                let Some(found) = found else {
                    // The cluster is not named: clusters that fail alike share the finding.
                    let message = format!(
                        "$({}) names something that this cluster does not have",
                        short(inner)
                    );
                    return Err(Finding::error(Code::UnknownReference, field, message)
                        .at(offset)
                        .help("set it on the Cluster, or leave the cluster out by selector"));
                };
                if !is_safe(found) {
                    let message = format!(
                        "$({}) has a value on this cluster that may not stand in a variable; allowed are up to \
                         {REFERENCE_MAX_BYTES} letters, digits and . _ : / @ -",
                        short(inner)
                    );
                    return Err(Finding::error(Code::UnsafeReference, field, message).at(offset));
                }
                out.push_str(found);
            }
        }
    }
    Ok(Cow::Owned(out))
}

/// Where in a value as written that stands which [`expand`] has put somewhere.
pub(crate) struct Origins {
    /// Where a piece begins in the expanded value, where in the written one, and whether a reference has put it there.
    pieces: Vec<(usize, usize, bool)>,
}

impl Origins {
    pub(crate) fn new(value: &str, cluster: &ClusterView) -> Self {
        let (mut expanded, mut written) = (0, 0);
        let mut begins = Vec::new();
        for piece in pieces(value) {
            let (in_expanded, in_written, put) = match piece {
                Piece::Text(text) | Piece::Variable { whole: text, .. } => {
                    (text.len(), text.len(), false)
                }
                Piece::Cluster { inner, .. } => {
                    let reference = Reference::parse(inner);
                    let found = reference.as_ref().and_then(|found| found.value(cluster));
                    (found.map_or(0, str::len), inner.len() + "$()".len(), true)
                }
            };
            // What is nothing there has no offset.
            if in_expanded > 0 {
                begins.push((expanded, written, put));
            }
            expanded += in_expanded;
            written += in_written;
        }
        begins.push((expanded, written, false));
        Self { pieces: begins }
    }

    /// The offset in the value as written, and whether a reference stands there: it stands for all of its value.
    pub(crate) fn of(&self, offset: usize) -> (usize, bool) {
        let after = self.pieces.partition_point(|(begin, ..)| *begin <= offset);
        match after.checked_sub(1).and_then(|last| self.pieces.get(last)) {
            Some((_, written, true)) => (*written, true),
            // Behind the end is the end.
            Some((_, written, false)) if after == self.pieces.len() => (*written, false),
            Some((begin, written, false)) => (written + (offset - begin), false),
            None => (0, false),
        }
    }
}

/// A reference in a message: longer than any that a cluster could have, it is cut.
fn short(inner: &str) -> String {
    cut(inner, 2 * REFERENCE_MAX_BYTES)
}

fn is_safe(value: &str) -> bool {
    value.len() <= REFERENCE_MAX_BYTES
        && value.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'/' | b'@' | b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use proptest::prelude::*;

    fn view() -> ClusterView {
        let mut view = testing::view("eu-1", &[("region", "eu-west"), ("empty", "")]);
        view.annotations
            .insert("db".to_owned(), "pg.eu:5432/x".to_owned());
        view.annotations
            .insert("bad".to_owned(), "x'; drop".to_owned());
        view
    }

    #[test]
    fn references_are_replaced_and_everything_else_stays() {
        for (value, expected) in [
            ("", ""),
            ("plain ä", "plain ä"),
            ("$(cluster.name)", "eu-1"),
            ("a-$(cluster.labels['region'])-b", "a-eu-west-b"),
            ("$(cluster.labels['segment.grnry.io/cluster'])", "eu-1"),
            ("[$(cluster.labels['empty'])]", "[]"),
            (
                "$(cluster.annotations['db'])$(cluster.name)",
                "pg.eu:5432/xeu-1",
            ),
            (
                "$(OTHER) $(other.name) $( cluster.name)",
                "$(OTHER) $(other.name) $( cluster.name)",
            ),
            ("$$(cluster.name)", "$$(cluster.name)"),
            ("$$$(cluster.name)", "$$eu-1"),
            ("$", "$"),
            ("$ä$(cluster.name)", "$äeu-1"),
            ("$(cluster.name", "$(cluster.name"),
            ("$(x $(cluster.name) y", "$(x eu-1 y"),
            ("$(clusters)", "$(clusters)"),
            ("?::int $1 100%", "?::int $1 100%"),
        ] {
            assert_eq!(
                expand(value, &view(), "f").as_deref(),
                Ok(expected),
                "{value:?}"
            );
        }
    }

    #[test]
    fn a_reference_that_cannot_be_resolved_is_an_error_with_its_place() {
        for (value, code, offset) in [
            ("a $(cluster.labels['zone'])", Code::UnknownReference, 2),
            ("$(cluster.annotations['zone'])", Code::UnknownReference, 0),
            ("$(cluster)", Code::UnknownReference, 0),
            ("$(cluster.uid)", Code::UnknownReference, 0),
            ("$(cluster.labels[\"region\"])", Code::UnknownReference, 0),
            ("$(cluster.labels[''])", Code::UnknownReference, 0),
            ("ä$(cluster.annotations['bad'])", Code::UnsafeReference, 2),
        ] {
            let finding = expand(value, &view(), "spec.env.DB_HOST").unwrap_err();
            assert_eq!(
                (finding.code, finding.offset),
                (code, Some(offset)),
                "{value:?}"
            );
        }
        assert!(references("$(cluster.uid)", "f").is_err());
        assert_eq!(
            references(
                "$(cluster.name)$(X)$$(cluster.uid)$(cluster.labels['a'])",
                "f"
            ),
            Ok(vec![Reference::Name, Reference::Label("a".to_owned())])
        );
    }

    #[test]
    fn variables_that_the_kubelet_replaces_are_found() {
        let found: Vec<&str> = variables("$(A)$$(B) $(cluster.name) $(C").collect();
        assert_eq!(found, ["A"]);
    }

    proptest! {
        #[test]
        fn what_is_put_somewhere_comes_from_its_piece(value in testing::template_values(), label in "[a-z-]{0,9}") {
            let view = testing::view("eu-1", &[("env", &label)]);
            let Ok(expanded) = expand(&value, &view, "f") else {
                return Ok(());
            };
            let origins = Origins::new(&value, &view);
            for (offset, byte) in expanded.bytes().enumerate() {
                let (written, put) = origins.of(offset);
                if put {
                    prop_assert!(value[written..].starts_with("$(cluster"));
                } else {
                    prop_assert_eq!(value.as_bytes()[written], byte);
                }
            }
            prop_assert_eq!(origins.of(expanded.len()), (value.len(), false));
            prop_assert_eq!(origins.of(expanded.len() + 7), (value.len(), false));
        }
    }
}
