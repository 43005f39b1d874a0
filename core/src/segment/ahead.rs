//! Where a text comes next in a value, for readers that walk it from front to back.
//!
//! In: a value, offsets that never become less. Out: the next place. Law: each byte is read once, however often it is
//! asked, so that a value of a million `$(` without an end is no quadratic work. Not: patterns.

/// The places of one text in a value.
pub(crate) struct Ahead<'a> {
    value: &'a str,
    text: &'static str,
    next: usize,
}

impl<'a> Ahead<'a> {
    pub(crate) fn new(value: &'a str, text: &'static str) -> Self {
        let next = value.find(text).unwrap_or(usize::MAX);
        Self { value, text, next }
    }

    /// At or behind `offset`; `usize::MAX` where it does not come any more.
    pub(crate) fn from(&mut self, offset: usize) -> usize {
        if self.next < offset {
            let rest = self.value.get(offset..);
            let found = rest.and_then(|rest| rest.find(self.text));
            self.next = found.map_or(usize::MAX, |at| offset + at);
        }
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_place_is_found_from_every_offset() {
        let value = "a)ä)b";
        let mut ahead = Ahead::new(value, ")");
        let found: Vec<usize> = [0, 1, 2, 4, 5, 6].map(|offset| ahead.from(offset)).into();
        assert_eq!(found, [1, 1, 4, 4, usize::MAX, usize::MAX]);
        assert_eq!(Ahead::new("", ")").from(0), usize::MAX);
    }
}
