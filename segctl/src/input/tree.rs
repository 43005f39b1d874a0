//! One document as a tree with the place of every value.
//!
//! In: the parser's events. Out: [`Node`]s, shared where aliases name them. Law: depth, number and size of the values
//! are known and bounded before any alias is written out, so that a bomb costs nothing (test `bombs`); a key stands
//! once in its mapping. Not: paths (`positions.rs`).

use super::split::Part;
use super::{Broken, scalar};
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How deep values may be nested, aliases written out.
const MAX_DEPTH: u32 = 100;

/// How many values a document may have, aliases written out.
const MAX_VALUES: u64 = 1_000_000;

/// How much text a document may have, aliases written out, in bytes.
const MAX_TEXT: u64 = 32 * 1024 * 1024;

/// A place in the file: line and column from 0, and the byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) byte: u32,
}

/// A value with its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) start: Mark,
    pub(super) content: Content,
    depth: u32,
    values: u64,
    text: u64,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Content {
    /// Text, a number, a boolean, null. `end` is the byte after its text in the file.
    Scalar {
        value: Value,
        style: ScalarStyle,
        end: u32,
    },
    /// A list.
    List(Vec<Arc<Node>>),
    /// A mapping; each value with the place of its key.
    Map(BTreeMap<String, (Mark, Arc<Node>)>),
}

impl Node {
    fn scalar(start: Mark, value: Value, style: ScalarStyle, end: u32) -> Self {
        let text = value.as_str().map_or(0, |text| text.len() as u64);
        Self {
            start,
            content: Content::Scalar { value, style, end },
            depth: 1,
            values: 1,
            text,
        }
    }

    fn list(start: Mark, items: Vec<Arc<Self>>) -> Self {
        let mut node = Self::empty(start);
        for item in &items {
            node.count(item, 0);
        }
        node.content = Content::List(items);
        node
    }

    fn map(start: Mark, entries: BTreeMap<String, (Mark, Arc<Self>)>) -> Self {
        let mut node = Self::empty(start);
        for (key, (_, value)) in &entries {
            node.count(value, key.len());
        }
        node.content = Content::Map(entries);
        node
    }

    fn empty(start: Mark) -> Self {
        Self {
            start,
            content: Content::List(Vec::new()),
            depth: 1,
            values: 1,
            text: 0,
        }
    }

    fn count(&mut self, child: &Self, key: usize) {
        self.depth = self.depth.max(child.depth + 1);
        self.values = self.values.saturating_add(child.values);
        self.text = self.text.saturating_add(child.text + key as u64);
    }

    /// The value with all aliases written out. Its size was judged when the tree was made.
    pub(super) fn value(&self) -> Value {
        match &self.content {
            Content::Scalar { value, .. } => value.clone(),
            Content::List(items) => Value::Array(items.iter().map(|item| item.value()).collect()),
            Content::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, (_, value))| (key.clone(), value.value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    fn is_null(&self) -> bool {
        matches!(
            self.content,
            Content::Scalar {
                value: Value::Null,
                ..
            }
        )
    }

    fn get(&self, key: &str) -> Option<&Arc<Self>> {
        match &self.content {
            Content::Map(entries) => entries.get(key).map(|(_, value)| value),
            _ => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { value, .. } => value.as_str(),
            _ => None,
        }
    }
}

/// The objects of a document: those in it where it is one of Kubernetes' lists, else itself.
pub(super) fn items(root: &Arc<Node>) -> Vec<Arc<Node>> {
    let is_list = root.get("apiVersion").is_some()
        && root
            .get("kind")
            .and_then(|kind| kind.text())
            .is_some_and(|kind| kind.ends_with("List"));
    match root.get("items").map(|items| &items.content) {
        Some(Content::List(list)) if is_list => list.iter().flat_map(items).collect(),
        _ => vec![Arc::clone(root)],
    }
}

/// Reads a part of a file. More than one document where they are divided by `...`; empty ones are left out.
pub(super) fn read(file: &str, part: &Part) -> Result<Vec<Arc<Node>>, Broken> {
    let mut builder = Builder::new(part);
    let options = granit_parser::options! {
        emit_comments: false,
        // JSON of one line is legal, however long a key is.
        simple_key_max_lookahead: if part.json.is_some() { 1 << 20 } else { 1024 },
    };
    let text = &file[part.range.clone()];
    for next in Parser::new_from_str_with_options(text, options) {
        match next
            .map_err(|error| builder.scan(&error))
            .and_then(|(event, span)| builder.take(event, span))
        {
            Ok(()) => {}
            // What serde takes for JSON is JSON; only the places are lost with a parser of YAML that does not.
            Err(broken) => {
                return match &part.json {
                    Some(value) if !builder.refused => {
                        Ok(vec![Arc::new(without_places(value, builder.origin()))])
                    }
                    _ => Err(broken),
                };
            }
        }
    }
    let mut roots = builder.roots;
    roots.retain(|root| !root.is_null());
    Ok(roots)
}

/// A tree of which only the beginning is known.
fn without_places(value: &Value, start: Mark) -> Node {
    match value {
        Value::Array(items) => Node::list(
            start,
            items
                .iter()
                .map(|item| Arc::new(without_places(item, start)))
                .collect(),
        ),
        Value::Object(fields) => Node::map(
            start,
            fields
                .iter()
                .map(|(key, value)| (key.clone(), (start, Arc::new(without_places(value, start)))))
                .collect(),
        ),
        scalar => Node::scalar(start, scalar.clone(), ScalarStyle::Folded, start.byte),
    }
}

/// A list or mapping that is not closed yet.
struct Open {
    start: Mark,
    anchor: usize,
    content: OpenContent,
}

enum OpenContent {
    List(Vec<Arc<Node>>),
    Map {
        entries: BTreeMap<String, (Mark, Arc<Node>)>,
        key: Option<(String, Mark)>,
        /// What `<<` brings in, in order.
        merged: Vec<Arc<Node>>,
        merging: bool,
    },
}

struct Builder<'a> {
    part: &'a Part,
    open: Vec<Open>,
    anchors: HashMap<usize, Arc<Node>>,
    roots: Vec<Arc<Node>>,
    values: u64,
    /// Refused by a rule of ours, which binds JSON too.
    refused: bool,
}

impl<'a> Builder<'a> {
    fn new(part: &'a Part) -> Self {
        Self {
            part,
            open: Vec::new(),
            anchors: HashMap::new(),
            roots: Vec::new(),
            values: 0,
            refused: false,
        }
    }

    fn origin(&self) -> Mark {
        Mark {
            line: small(self.part.line),
            column: small(self.part.column),
            byte: small(self.part.range.start),
        }
    }

    fn mark(&self, marker: granit_parser::Marker) -> Mark {
        let line = marker.line().saturating_sub(1);
        let column = if line == 0 { self.part.column } else { 0 };
        Mark {
            line: small(line + self.part.line),
            column: small(marker.col() + column),
            byte: small(self.part.range.start + marker.byte_offset().unwrap_or_default()),
        }
    }

    fn scan(&self, error: &ScanError) -> Broken {
        let at = self.mark(*error.marker());
        let help = match error.info() {
            text if text.contains("tab") => "indent with spaces",
            text if text.contains("mapping values") || text.contains("simple key") => {
                "put quotes around values that hold \": \", and give the fields of one mapping one indentation"
            }
            _ => "",
        };
        // The parser reads ahead, so that its own limit may be met before ours.
        if error.info().contains("recursion limit") {
            return too_deep(at);
        }
        Broken {
            line: at.line as usize + 1,
            column: at.column as usize + 1,
            message: format!("is not YAML: {}", error.info()),
            help: help.to_owned(),
        }
    }

    fn refuse(&mut self, at: Mark, message: impl Into<String>, help: &str) -> Broken {
        self.refused = true;
        Broken {
            line: at.line as usize + 1,
            column: at.column as usize + 1,
            message: message.into(),
            help: help.to_owned(),
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Broken> {
        let start = self.mark(span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let resolved = match tag.as_ref().and_then(|tag| tag.core_suffix()) {
                    Some("str") => false,
                    Some(_) => true,
                    None => style == ScalarStyle::Plain,
                };
                let value = if resolved {
                    scalar::plain(&text)
                } else {
                    Value::String(text.into_owned())
                };
                let end = self.mark(span.end).byte;
                let is_key = style == ScalarStyle::Plain;
                self.node(
                    Arc::new(Node::scalar(start, value, style, end)),
                    anchor,
                    is_key,
                )
            }
            Event::SequenceStart(_, anchor, _) => {
                self.begin(start, anchor, OpenContent::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => self.begin(
                start,
                anchor,
                OpenContent::Map {
                    entries: BTreeMap::new(),
                    key: None,
                    merged: Vec::new(),
                    merging: false,
                },
            ),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(id) => match self.anchors.get(&id) {
                Some(node) => {
                    let node = Arc::clone(node);
                    self.node(node, 0, false)
                }
                None => Err(self.refuse(
                    start,
                    "an alias stands inside of what it names",
                    "write the values out",
                )),
            },
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, start: Mark, anchor: usize, content: OpenContent) -> Result<(), Broken> {
        if self.open.len() >= MAX_DEPTH as usize {
            return Err(self.too_deep(start));
        }
        self.open.push(Open {
            start,
            anchor,
            content,
        });
        Ok(())
    }

    fn too_deep(&mut self, at: Mark) -> Broken {
        self.refused = true;
        too_deep(at)
    }

    fn end(&mut self) -> Result<(), Broken> {
        let Some(Open {
            start,
            anchor,
            content,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let node = match content {
            OpenContent::List(items) => Node::list(start, items),
            OpenContent::Map {
                mut entries,
                merged,
                ..
            } => {
                for node in merged {
                    self.merge(&mut entries, &node)?;
                }
                Node::map(start, entries)
            }
        };
        self.node(Arc::new(node), anchor, false)
    }

    /// As YAML 1.1 has `<<`: what is there already stands.
    fn merge(
        &mut self,
        entries: &mut BTreeMap<String, (Mark, Arc<Node>)>,
        from: &Arc<Node>,
    ) -> Result<(), Broken> {
        match &from.content {
            Content::Map(more) => {
                self.values = self.values.saturating_add(more.len() as u64);
                self.bounded(from.start, self.values, 0)?;
                for (key, value) in more {
                    if !entries.contains_key(key) {
                        entries.insert(key.clone(), value.clone());
                    }
                }
                Ok(())
            }
            Content::List(list) => {
                for node in list {
                    if !matches!(node.content, Content::Map(_)) {
                        return Err(self.refuse(node.start, "<< takes mappings only", ""));
                    }
                    self.merge(entries, node)?;
                }
                Ok(())
            }
            Content::Scalar { .. } => Err(self.refuse(from.start, "<< takes mappings only", "")),
        }
    }

    fn bounded(&mut self, at: Mark, values: u64, text: u64) -> Result<(), Broken> {
        if values > MAX_VALUES || text > MAX_TEXT {
            return Err(self.refuse(
                at,
                format!(
                    "has more than {MAX_VALUES} values or {} MB of text when its aliases are written out",
                    MAX_TEXT / 1024 / 1024
                ),
                "remove anchors (&name) and aliases (*name), or split the document",
            ));
        }
        Ok(())
    }

    /// A value is complete. `plain_key` is for `<<`, which merges only without quotes.
    fn node(&mut self, node: Arc<Node>, anchor: usize, plain_key: bool) -> Result<(), Broken> {
        self.values += 1;
        let at = node.start;
        self.bounded(at, self.values.max(node.values), node.text)?;
        if node.depth > MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        let wrong = match self.open.last_mut().map(|open| &mut open.content) {
            None => {
                self.roots.push(node);
                return Ok(());
            }
            Some(OpenContent::List(items)) => {
                items.push(node);
                return Ok(());
            }
            Some(OpenContent::Map {
                entries,
                key,
                merged,
                merging,
            }) => {
                if std::mem::take(merging) {
                    merged.push(node);
                    return Ok(());
                }
                if let Some((name, mark)) = key.take() {
                    entries.insert(name, (mark, node));
                    return Ok(());
                }
                match key_text(&node) {
                    Some(name) if plain_key && name == "<<" => {
                        *merging = true;
                        return Ok(());
                    }
                    Some(name) => match entries.get(&name) {
                        None => {
                            *key = Some((name, at));
                            return Ok(());
                        }
                        Some((first, _)) => (
                            format!(
                                "{} stands twice in one mapping, first in line {}",
                                crate::text::one_line(&short(&name)),
                                first.line + 1
                            ),
                            "remove one of the two",
                        ),
                    },
                    None => (
                        "the key of a mapping is itself a list or a mapping".to_owned(),
                        "quote it: text in {…} or […] without quotes is YAML's own notation",
                    ),
                }
            }
        };
        Err(self.refuse(at, wrong.0, wrong.1))
    }
}

/// The key as JSON has it.
fn key_text(node: &Node) -> Option<String> {
    match &node.content {
        Content::Scalar { value, .. } => Some(match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }),
        _ => None,
    }
}

fn short(name: &str) -> String {
    name.chars().take(80).collect()
}

/// Files have at most [`super::MAX_FILE_BYTES`].
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn too_deep(at: Mark) -> Broken {
    Broken {
        line: at.line as usize + 1,
        column: at.column as usize + 1,
        message: format!("is nested deeper than {MAX_DEPTH} levels"),
        help: "no Segment is: look for brackets that are not closed".to_owned(),
    }
}
