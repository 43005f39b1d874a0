//! Text from elsewhere, made fit for a terminal.
//!
//! In: what clusters and people wrote. Out: one line without control characters: a message must not move the cursor.

/// One line, without control characters.
pub(crate) fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(is_unprintable).filter(|word| !word.is_empty()) {
        if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// What would move the cursor, or reorder what a terminal shows.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control() || is_direction_mark(c)
}

/// Marks that reorder what a terminal shows.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `1 segment`, `2 segments`.
pub(crate) fn count(n: usize, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_a_terminal() {
        assert_eq!(one_line("a\n  b\r\n\tc"), "a   b c");
        assert_eq!(one_line("\u{1b}[31mred\u{1b}[0m"), "[31mred [0m");
        assert_eq!(one_line("evil\u{202e}txt"), "evil txt");
        assert_eq!(count(1, "segment"), "1 segment");
        assert_eq!(count(0, "segment"), "0 segments");
    }
}
