//! A fragment as PostgreSQL gets it, as far as that is known, with the way back to what the user wrote.
//!
//! In: the fragment, its placeholder. Out: the text to judge, and a map of byte offsets.
//! Law: `$$` is one dollar and `$(NAME)` some word, because the kubelet expands the variable; then the placeholder is a
//! column, because the script puts it in. Not: the values of `$(NAME)`.

use super::Fragment;
use crate::segment::ahead::Ahead;

/// The column that stands for the placeholder.
const COLUMN: &str = "\"c\"";
/// The word that stands for what the kubelet or the cluster puts in.
const REFERENCE: &str = "x";
/// A name has 253 bytes at most, and a key of a label or an annotation as many again: what is longer is no reference.
const REFERENCE_MAX_BYTES: usize = 1024;

pub(super) struct Source<'a> {
    written: &'a str,
    text: String,
    /// Where in `text` a piece begins, where it stood in `written`, and whether it is the same text in both.
    pieces: Vec<Piece>,
}

struct Piece {
    at: usize,
    from: usize,
    verbatim: bool,
}

impl<'a> Source<'a> {
    pub(super) fn new(fragment: Fragment, written: &'a str, placeholder: Option<&str>) -> Self {
        let placeholder = placeholder.filter(|placeholder| !placeholder.is_empty());
        let mut source = Self {
            written,
            text: String::with_capacity(written.len()),
            pieces: Vec::new(),
        };
        let mut close = Ahead::new(written, ")");
        let mut verbatim = 0;
        let mut at = 0;
        while at < written.len() {
            let rest = &written[at..];
            let replaced = if rest.starts_with("$(") {
                let len = close.from(at).saturating_sub(at).saturating_add(1);
                (len <= REFERENCE_MAX_BYTES).then_some((len, REFERENCE))
            } else {
                replacement(fragment, rest, placeholder)
            };
            let Some((len, put)) = replaced else {
                at += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            };
            source.piece(verbatim, &written[verbatim..at], true);
            source.piece(at, put, false);
            at += len;
            verbatim = at;
        }
        source.piece(verbatim, &written[verbatim..], true);
        source
    }

    fn piece(&mut self, from: usize, text: &str, verbatim: bool) {
        self.pieces.push(Piece {
            at: self.text.len(),
            from,
            verbatim,
        });
        self.text.push_str(text);
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where the user wrote what stands at this offset of the text.
    pub(super) fn original(&self, offset: usize) -> usize {
        let after = self.pieces.partition_point(|piece| piece.at <= offset);
        let Some(piece) = after.checked_sub(1).and_then(|last| self.pieces.get(last)) else {
            return 0;
        };
        let inside = if piece.verbatim { offset - piece.at } else { 0 };
        (piece.from + inside).min(self.written.len())
    }

    /// What the user wrote for a range of the text.
    pub(super) fn written(&self, from: usize, to: usize) -> &'a str {
        let (from, to) = (self.original(from), self.original(to));
        self.written.get(from..to).unwrap_or_default()
    }
}

/// What is put in for the beginning of this text that is no reference, and how many bytes of it that stands for.
fn replacement(
    fragment: Fragment,
    rest: &str,
    placeholder: Option<&str>,
) -> Option<(usize, &'static str)> {
    if rest.starts_with("$$") {
        return Some((2, "$"));
    }
    if fragment == Fragment::Query && rest.starts_with("%%%%") {
        return Some((4, "%"));
    }
    let placeholder = placeholder?;
    rest.starts_with(placeholder)
        .then_some((placeholder.len(), COLUMN))
}
