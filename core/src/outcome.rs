//! Outcome: what a Segment creates in the database.
//!
//! In: what a Segment says for one cluster (or its base), and the house defaults. Out: [`Outcome`].
//! Law: best effort, never fails: what can't be known is said to be unknown, and what lint refuses is left out.
//! Not: whether it is right (`lint`).

use crate::lint::grammar::{Definition, Transformation, unquoted};
use crate::lint::script::{Kind, List, Script};
use crate::segment::rules::Seen;
use crate::segment::{EffectiveSegment, HouseDefaults};
use serde::Serialize;
use std::collections::HashMap;

/// What the segment is made as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Made {
    /// A table.
    Table,
    /// A view.
    View,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type; `None`: that of the source.
    #[serde(rename = "type")]
    pub ty: Option<String>,
    /// The path, column or SQL that it comes from.
    pub from: String,
}

/// One index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Its name.
    pub name: String,
    /// What follows the table's name in CREATE INDEX.
    pub definition: String,
}

/// One view on the segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewMade {
    /// Its name.
    pub name: String,
    /// Which rows it has.
    pub condition: String,
}

/// What a Segment creates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Table or view.
    pub kind: Made,
    /// Schema in which it is made.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Where its rows come from: a table with its schema, or a query.
    pub source: String,
    /// Its columns are not all known: every path becomes one, a query decides, or a value is known on the cluster only.
    pub all_paths: bool,
    /// The columns that are known, in their order.
    pub columns: Vec<Column>,
    /// Column by which Citus distributes it.
    pub distributed_by: Option<String>,
    /// Its indexes.
    pub indexes: Vec<Index>,
    /// The views on it.
    pub views: Vec<ViewMade>,
}

/// What a Segment creates. References to the cluster are taken as they are written.
pub fn outcome(effective: &EffectiveSegment, defaults: &HouseDefaults) -> Outcome {
    let own = |name: &'static str| -> Seen<'_> {
        match effective.env.get(name) {
            _ if effective.env_from_secrets.contains_key(name) => Seen::Later,
            Some(value) => Seen::Text(value),
            None => Seen::Absent,
        }
    };
    let script = Script::new(&own, defaults, effective.image.tag.as_deref());
    let text = |name: &str| script.text(name).unwrap_or_default().trim().to_owned();
    let kind = if script.is_view() {
        Made::View
    } else {
        Made::Table
    };
    let (all_paths, columns) = columns(&script);
    let distributed = text("CITUS_DIST_COL");
    Outcome {
        kind,
        schema: text("TARGET_SCHEMA_NAME"),
        name: unquoted(&text("TARGET_SEGMENT_NAME")).to_owned(),
        source: match script.kind {
            Some(Kind::Flexible) => text("SOURCE_QUERY"),
            _ => format!(
                "{}.{}",
                text("SOURCE_SCHEMA_NAME"),
                text("SOURCE_TABLE_NAME")
            ),
        },
        all_paths,
        columns,
        distributed_by: (kind == Made::Table
            && text("DB_TYPE") != "postgres"
            && !distributed.is_empty())
        .then_some(distributed),
        indexes: definitions(script.indexes.as_ref())
            .map(|(name, definition)| Index { name, definition })
            .collect(),
        views: definitions(script.views.as_ref())
            .map(|(name, condition)| ViewMade { name, condition })
            .collect(),
    }
}

fn definitions<'a>(
    list: Option<&'a List<'a, Definition<'a>>>,
) -> impl Iterator<Item = (String, String)> + 'a {
    list.into_iter()
        .flat_map(|list| &list.items)
        .filter_map(|item| {
            let name = unquoted(item.name?.text);
            (!name.is_empty()).then(|| (name.to_owned(), item.body.text.to_owned()))
        })
}

/// Whether there are more than those that are known, and these.
fn columns(script: &Script<'_>) -> (bool, Vec<Column>) {
    match script.kind {
        Some(Kind::Pivot) => pivot(script),
        Some(Kind::Generic) => generic(script),
        Some(Kind::Flexible) | None => (true, Vec::new()),
    }
}

fn computed<'a>(item: &Transformation<'a>) -> Option<(&'a str, Column)> {
    let name = unquoted(item.name?.text);
    let column = Column {
        name: name.to_owned(),
        ty: item.result.map(|result| result.text.to_owned()),
        from: item.sql.text.to_owned(),
    };
    (!name.is_empty()).then_some((name, column))
}

fn pivot(script: &Script<'_>) -> (bool, Vec<Column>) {
    let transformations: Vec<(&str, Column)> = script
        .transformations
        .iter()
        .flat_map(|list| &list.items)
        .filter_map(computed)
        .collect();
    let Some(paths) = script
        .paths
        .as_ref()
        .filter(|paths| !paths.members.is_empty())
    else {
        let columns = transformations.into_iter().map(|(_, column)| column);
        return (true, columns.collect());
    };
    let by_name: HashMap<&str, &Column> = transformations
        .iter()
        .map(|(name, column)| (*name, column))
        .collect();
    let aliases = script.aliases.as_ref().map(|list| &list.members[..]);
    let columns = paths.members.iter().enumerate().map(|(index, path)| {
        let alias = aliases.and_then(|aliases| aliases.get(index));
        let name = unquoted(alias.unwrap_or(path).text);
        Column {
            name: name.to_owned(),
            ty: by_name.get(name).and_then(|column| column.ty.clone()),
            from: by_name.get(name).map_or_else(
                || path.text.to_owned(),
                |column| format!("{}: {}", path.text, column.from),
            ),
        }
    });
    (false, columns.collect())
}

fn generic(script: &Script<'_>) -> (bool, Vec<Column>) {
    let unknown = script.columns.is_none() || script.transformations.is_none();
    let taken = script
        .columns
        .iter()
        .flat_map(|columns| &columns.members)
        .map(|column| Column {
            name: unquoted(column.text).to_owned(),
            ty: None,
            from: column.text.to_owned(),
        });
    let made = script
        .transformations
        .iter()
        .flat_map(|list| &list.items)
        .filter_map(computed)
        .map(|(_, column)| column);
    (unknown, taken.chain(made).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::overrides::base;
    use crate::testing;
    use segment_crds::SegmentEnv;

    fn made(change: impl FnOnce(&mut SegmentEnv)) -> Outcome {
        let mut segment = testing::segment("granary/demo");
        change(&mut segment.spec.env);
        outcome(&base(&segment.spec), &HouseDefaults::default())
    }

    #[allow(
        clippy::unnecessary_wraps,
        reason = "what the fields of the environment are made of"
    )]
    fn text(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    fn columns(outcome: &Outcome) -> Vec<(&str, Option<&str>, &str)> {
        outcome
            .columns
            .iter()
            .map(|column| (&*column.name, column.ty.as_deref(), &*column.from))
            .collect()
    }

    #[test]
    fn a_pivot_makes_a_column_of_each_path() {
        let outcome = made(|env| {
            env.pivot_paths = text("/mail/topic, /consent");
            env.pivot_transformations = text("/consent=? #>> '{}'::text");
            env.target_segment_indexes =
                text("by_topic=(\"/mail/topic\")|by_consent= USING hash (\"/consent\")|(nameless)");
            env.target_segment_views = text("consenting:\"/consent\" = 'yes'");
        });
        assert_eq!(outcome.kind, Made::Table);
        assert_eq!(
            (&*outcome.schema, &*outcome.name, &*outcome.source),
            ("segments", "demo", "public.profilestore")
        );
        assert!(!outcome.all_paths);
        assert_eq!(
            columns(&outcome),
            [
                ("/mail/topic", None, "/mail/topic"),
                ("/consent", Some("text"), "/consent: ? #>> '{}'"),
            ]
        );
        assert_eq!(outcome.distributed_by.as_deref(), Some("correlation_id"));
        assert_eq!(
            outcome.indexes,
            [
                ("by_topic", "(\"/mail/topic\")"),
                ("by_consent", "USING hash (\"/consent\")")
            ]
            .map(|(name, definition)| Index {
                name: name.to_owned(),
                definition: definition.to_owned()
            })
        );
        assert_eq!(outcome.views[0].condition, "\"/consent\" = 'yes'");
    }

    #[test]
    fn aliases_name_the_columns() {
        let outcome = made(|env| {
            env.pivot_paths = text("/mail/topic,/consent");
            env.pivot_aliases = text("topic,consent");
            env.pivot_transformations = text("consent=?::boolean");
        });
        assert_eq!(
            columns(&outcome),
            [
                ("topic", None, "/mail/topic"),
                ("consent", Some("boolean"), "/consent: ?"),
            ]
        );
    }

    #[test]
    fn without_paths_the_columns_are_not_known() {
        assert!(made(|_| ()).all_paths);
    }

    #[test]
    fn a_generic_segment_has_its_columns_and_those_computed() {
        let outcome = made(|env| {
            env.type_ = text("generic");
            env.db_type = text("postgres");
            env.db_use_views = text("True");
            env.generic_columns = text("event_id");
            env.generic_transformations = text("shop=lower(message->>'shop')::text");
        });
        assert_eq!(
            (outcome.kind, outcome.distributed_by.as_deref()),
            (Made::View, None)
        );
        assert_eq!(
            columns(&outcome),
            [
                ("event_id", None, "event_id"),
                ("shop", Some("text"), "lower(message->>'shop')"),
            ]
        );
    }

    #[test]
    fn a_flexible_segment_is_its_query() {
        let outcome = made(|env| {
            env.type_ = text("flexible");
            env.source_query = text("select 1");
        });
        assert_eq!((&*outcome.source, outcome.all_paths), ("select 1", true));
    }
}
