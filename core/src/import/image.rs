//! An image reference as repository and tag.
//!
//! In: `registry:port/path:tag@sha256:…` in any of its forms. Out: repository and what `spec.image.tag` holds.
//! Law: a port is never taken for a tag.

/// Splits a reference. The second part is a tag, a digest (`sha256:…`), a tag with a digest (`1.0@sha256:…`), or nothing.
pub(super) fn split(reference: &str) -> (&str, Option<&str>) {
    let name_end = reference.find('@').unwrap_or(reference.len());
    let path_begin = reference[..name_end]
        .rfind('/')
        .map_or(0, |slash| slash + 1);
    match reference[path_begin..].find([':', '@']) {
        Some(separator) => {
            let separator = path_begin + separator;
            (&reference[..separator], Some(&reference[separator + 1..]))
        }
        None => (reference, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        for (reference, parts) in [
            ("r.io:5000/a/b:0.7.0", ("r.io:5000/a/b", Some("0.7.0"))),
            ("r.io:5000/a/b", ("r.io:5000/a/b", None)),
            ("a", ("a", None)),
            ("a:1", ("a", Some("1"))),
            ("r.io:5000/a@sha256:ab", ("r.io:5000/a", Some("sha256:ab"))),
            ("r.io/a:1@sha256:ab", ("r.io/a", Some("1@sha256:ab"))),
            ("", ("", None)),
        ] {
            assert_eq!(split(reference), parts, "{reference}");
        }
    }
}
