//! A line of a file with the place in it that is meant.
//!
//! In: the line, the place, the width of the terminal. Out: what fits, around the place. Law: one character of the line
//! is one character here, and none of them moves the cursor (test `what_fits_is_shown`). Not: colours.

use crate::input::Place;
use crate::text::is_unprintable;

/// Room for the line's number and the bar.
const GUTTER: usize = 10;

/// The least that is shown of a line.
const MIN_WIDTH: usize = 40;

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The number of the line.
    pub(crate) line: usize,
    /// The text.
    pub(crate) text: String,
    /// Characters in front of what is meant.
    pub(crate) before: usize,
    /// Characters that are meant, at least 1.
    pub(crate) width: usize,
}

impl Excerpt {
    /// What of this line fits into a terminal of `width` characters.
    pub(crate) fn new(line: &str, place: &Place, width: usize) -> Self {
        let room = width.saturating_sub(GUTTER).max(MIN_WIDTH);
        let at = place.column - 1;
        // As many characters as are looked at: a line may have a million.
        let mut chars = line.chars();
        let from = if at + place.width.min(room / 2) <= room {
            0
        } else {
            at.saturating_sub(room / 2)
        };
        let mut text = String::new();
        if from > 0 {
            chars = {
                let mut rest = chars;
                rest.nth(from);
                text.push('…');
                rest
            };
        }
        let mut shown = usize::from(from > 0);
        while let Some(c) = chars.next() {
            if shown + 1 == room && !chars.as_str().is_empty() {
                text.push('…');
                shown += 1;
                break;
            }
            text.push(match c {
                '\t' => ' ',
                c if is_unprintable(c) => '·',
                c => c,
            });
            shown += 1;
            if shown == room {
                break;
            }
        }
        let before = at - from;
        Self {
            line: place.line,
            text,
            before,
            width: place.width.min(shown.saturating_sub(before)).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Place;

    fn shown(line: &str, column: usize, width: usize) -> (String, String) {
        let place = Place::new(7, column, width);
        let excerpt = Excerpt::new(line, &place, 50);
        let meant = excerpt
            .text
            .chars()
            .skip(excerpt.before)
            .take(excerpt.width);
        let meant = meant.collect();
        (excerpt.text, meant)
    }

    #[test]
    fn what_fits_is_shown() {
        for (line, column, width, text, meant) in [
            ("  TYPE: pivot", 9, 5, "  TYPE: pivot", "pivot"),
            ("\tTYPE: \u{1b}[31m\u{202e}", 2, 4, " TYPE: ·[31m·", "TYPE"),
            ("", 1, 1, "", ""),
        ] {
            assert_eq!(
                shown(line, column, width),
                (text.to_owned(), meant.to_owned())
            );
        }
        let long = format!("{}here{}", "é".repeat(1_000), "z".repeat(1_000));
        let (text, meant) = shown(&long, 1_001, 4);
        assert_eq!(meant, "here");
        assert_eq!(text.chars().count(), 40);
        assert!(text.starts_with("…é") && text.ends_with("z…"), "{text}");
        let (text, meant) = shown(&long, 1, 2_004);
        assert_eq!(text, format!("{}…", "é".repeat(39)));
        assert_eq!(meant.chars().count(), 40);
    }
}
