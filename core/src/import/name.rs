//! Names of Segments, where the document has none of the right form.
//!
//! In: a display name, or the name of a table. Out: a DNS-1123 name of 4 to 134 characters, or nothing.
//! Law: Granary's rule, less its five random characters: the same document gives the same name.

use segment_crds::limits::SEGMENT_NAME_MAX_CHARS;

/// Fewest characters of a Granary segment's id.
const MIN: usize = 4;

/// What Granary makes of a display name: lower case; letters, digits, `-` and spaces kept, spaces to `-`.
pub(super) fn from_display_name(name: &str) -> Option<String> {
    finished(
        name.chars()
            .map(|c| c.to_ascii_lowercase())
            .filter_map(|c| match c {
                'a'..='z' | '0'..='9' | '-' => Some(c),
                c if c.is_whitespace() => Some('-'),
                _ => None,
            }),
    )
}

/// The name of a table or a release as a name of a resource: what may not stand there becomes `-`.
pub(super) fn from_table(name: &str) -> Option<String> {
    finished(name.chars().map(|c| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9') => c,
        _ => '-',
    }))
}

/// Trimmed to what may begin and end a name, and made long enough.
fn finished(characters: impl Iterator<Item = char>) -> Option<String> {
    let text: String = characters
        .skip_while(|&c| c == '-')
        .take(SEGMENT_NAME_MAX_CHARS)
        .collect();
    let text = text.trim_end_matches('-');
    match text.len() {
        0 => None,
        length if length < MIN => Some(format!("{text}-segment")),
        _ => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_granarys_rule() {
        for (display, name) in [
            ("Loyal customers", Some("loyal-customers")),
            ("Search terms (raw)", Some("search-terms-raw")),
            ("  A1 - x_y ", Some("a1---xy")),
            ("Öl", Some("l-segment")),
            ("日本", None),
            ("---", None),
        ] {
            assert_eq!(from_display_name(display).as_deref(), name, "{display:?}");
        }
        assert_eq!(from_table("App_Installs").as_deref(), Some("app-installs"));
        assert_eq!(from_table("a").as_deref(), Some("a-segment"));
        assert_eq!(from_table("__"), None);
        let long = from_display_name(&format!("{}- b", "a".repeat(133))).unwrap();
        assert_eq!(long, "a".repeat(133));
        assert!(crate::ids::SegmentName::new(long).is_ok());
    }
}
