//! The script's variables as far as they are known, and its lists, read once for all rules.
//!
//! In: what is known of each variable, the house defaults, the image's tag. Out: [`Script`].
//! Law: a value that is not known yet (from a Secret, or with a reference to the cluster) makes what depends on it
//! unknown, never empty. Not: rules.

use super::grammar::{self, Definition, Members, Span, Transformation};
use super::rules::is_too_long;
use crate::segment::HouseDefaults;
use crate::segment::rules::Seen;
use segment_crds::SegmentEnv;

/// Variables whose values rules compare with each other: what one override sets of them can't be judged while another
/// sets more of them.
pub(super) fn is_grammar(name: &str) -> bool {
    matches!(
        name,
        "CITUS_DIST_COL"
            | "COLUMN_PLACEHOLDER"
            | "DB_PRESERVE_VIEWS"
            | "DB_USE_VIEWS"
            | "DEFINITION_SEPARATOR"
            | "GENERIC_COLUMNS"
            | "GENERIC_TRANSFORMATIONS"
            | "PIVOT_ALIASES"
            | "PIVOT_ALLOW_EMPTY"
            | "PIVOT_PATHS"
            | "PIVOT_SEGMENT_WHERE_CLAUSE"
            | "PIVOT_TRANSFORMATIONS"
            | "SOURCE_QUERY"
            | "TARGET_SEGMENT_INDEXES"
            | "TARGET_SEGMENT_INDEX_SEPARATOR"
            | "TARGET_SEGMENT_NAME"
            | "TARGET_SEGMENT_VIEWS"
            | "TARGET_SEGMENT_VIEW_DEFINITION_SEPARATOR"
            | "TARGET_SEGMENT_VIEW_SEPARATOR"
            | "TRANSFORMATION_SEPARATOR"
            | "TYPE"
            | "TYPE_SEPARATOR"
    )
}

/// How the segment is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pivot,
    Generic,
    Flexible,
}

/// The script's variables, and its lists.
pub(crate) struct Script<'a> {
    own: Vec<(&'static str, Seen<'a>)>,
    defaults: &'a HouseDefaults,
    /// Tag of the image.
    pub(crate) tag: &'a str,
    /// TYPE, where it is known and one that there is.
    pub(crate) kind: Option<Kind>,
    /// `PIVOT_PATHS`; `None`: not known, or not of this TYPE. The same holds for every list.
    pub(crate) paths: Option<Members<'a>>,
    /// `PIVOT_ALIASES`.
    pub(crate) aliases: Option<Members<'a>>,
    /// `GENERIC_COLUMNS`.
    pub(crate) columns: Option<Members<'a>>,
    /// `PIVOT_TRANSFORMATIONS` or `GENERIC_TRANSFORMATIONS`.
    pub(crate) transformations: Option<List<'a, Transformation<'a>>>,
    /// `TARGET_SEGMENT_INDEXES`.
    pub(crate) indexes: Option<List<'a, Definition<'a>>>,
    /// `TARGET_SEGMENT_VIEWS`.
    pub(crate) views: Option<List<'a, Definition<'a>>>,
}

/// A list of definitions.
pub(crate) struct List<'a, T> {
    /// The variable that has it.
    pub(crate) variable: &'static str,
    /// As it was split.
    pub(crate) raw: Members<'a>,
    /// The members' parts.
    pub(crate) items: Vec<T>,
    /// Between members.
    pub(crate) separator: &'a str,
    /// Between a name and its definition.
    pub(crate) definition: &'a str,
}

impl<'a> Script<'a> {
    /// `own` gives what is known of a variable of the Segment itself, defaults left out.
    pub(crate) fn new(
        own: &dyn Fn(&'static str) -> Seen<'a>,
        defaults: &'a HouseDefaults,
        tag: Option<&'a str>,
    ) -> Self {
        let own = SegmentEnv::NAMES
            .iter()
            .map(|name| match own(name) {
                Seen::Text(text) if is_too_long(name, text) => (*name, Seen::Later),
                seen => (*name, seen),
            })
            .collect();
        let mut script = Self {
            own,
            defaults,
            tag: tag.unwrap_or(&defaults.image_tag),
            kind: None,
            paths: None,
            aliases: None,
            columns: None,
            transformations: None,
            indexes: None,
            views: None,
        };
        script.kind = match script.text("TYPE") {
            Some("pivot") => Some(Kind::Pivot),
            Some("generic") => Some(Kind::Generic),
            Some("flexible") => Some(Kind::Flexible),
            _ => None,
        };
        match script.kind {
            Some(Kind::Pivot) => {
                script.paths = script.names("PIVOT_PATHS");
                script.aliases = script.names("PIVOT_ALIASES");
                script.transformations = script.transformations("PIVOT_TRANSFORMATIONS");
            }
            Some(Kind::Generic) => {
                script.columns = script.names("GENERIC_COLUMNS");
                script.transformations = script.transformations("GENERIC_TRANSFORMATIONS");
            }
            Some(Kind::Flexible) | None => {}
        }
        script.indexes = script.definitions(
            "TARGET_SEGMENT_INDEXES",
            "TARGET_SEGMENT_INDEX_SEPARATOR",
            "DEFINITION_SEPARATOR",
        );
        script.views = script.definitions(
            "TARGET_SEGMENT_VIEWS",
            "TARGET_SEGMENT_VIEW_SEPARATOR",
            "TARGET_SEGMENT_VIEW_DEFINITION_SEPARATOR",
        );
        script
    }

    /// What is known of the Segment's own value.
    pub(crate) fn own(&self, name: &str) -> Seen<'a> {
        self.own
            .binary_search_by_key(&name, |(known, _)| known)
            .ok()
            .and_then(|index| self.own.get(index))
            .map_or(Seen::Absent, |(_, seen)| *seen)
    }

    /// The value in force, where it is known: the Segment's own, else the house's. What has neither is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        match self.own(name) {
            Seen::Text(text) => Some(text),
            Seen::Later => None,
            Seen::Absent => Some(self.defaults.env.get(name).map_or("", String::as_str)),
        }
    }

    /// Variables of the Segment itself with known values.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        self.own.iter().filter_map(|(name, seen)| match seen {
            Seen::Text(text) => Some((*name, *text)),
            Seen::Absent | Seen::Later => None,
        })
    }

    /// Whether the segment is made as a view.
    pub(crate) fn is_view(&self) -> bool {
        self.text("DB_USE_VIEWS") == Some("True")
    }

    fn names(&self, variable: &str) -> Option<Members<'a>> {
        self.text(variable).map(grammar::names)
    }

    fn transformations(&self, variable: &'static str) -> Option<List<'a, Transformation<'a>>> {
        let result = self.text("TYPE_SEPARATOR")?;
        self.list(
            variable,
            "TRANSFORMATION_SEPARATOR",
            "DEFINITION_SEPARATOR",
            Some(result),
            |member, definition| grammar::transformation(member, definition, result),
        )
    }

    fn definitions(
        &self,
        variable: &'static str,
        separator: &str,
        definition: &str,
    ) -> Option<List<'a, Definition<'a>>> {
        self.list(variable, separator, definition, None, grammar::definition)
    }

    /// Splits a list at the values of its separators; `None` where one of them is not known. `part` takes a member
    /// apart.
    fn list<T>(
        &self,
        variable: &'static str,
        separator: &str,
        definition: &str,
        result: Option<&str>,
        part: impl Fn(Span<'a>, &str) -> T,
    ) -> Option<List<'a, T>> {
        let separator = self.text(separator)?;
        let definition = self.text(definition)?;
        let raw = grammar::members(self.text(variable)?, separator, definition, result);
        let items = raw
            .members
            .iter()
            .map(|member| part(*member, definition))
            .collect();
        Some(List {
            variable,
            raw,
            items,
            separator,
            definition,
        })
    }
}
