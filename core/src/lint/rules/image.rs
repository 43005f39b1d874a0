//! Variables that only newer images know.

use crate::finding::Code;
use crate::lint::report::{Report, shown};
use crate::lint::script::{Kind, Script};
use crate::segment::rules::Seen;

/// The first image that knows them.
const SINCE: (u64, u64, u64) = (0, 9, 1);

pub(super) fn check(script: &Script<'_>, report: &mut Report<'_>) {
    if version(script.tag).is_none_or(|version| version >= SINCE) {
        return;
    }
    let mut old = |name: &str, what: &str| {
        report.warning(
            Code::NewerImage,
            name,
            None,
            format!(
                "{what} needs image 0.9.1 or newer, here its tag is {}",
                shown(script.tag)
            ),
            "set spec.image.tag to 0.9.1 or newer",
        );
    };
    if script.kind == Some(Kind::Flexible) {
        old("TYPE", "TYPE flexible");
    }
    let says = |name: &str, nothing: &[&str]| match script.own(name) {
        Seen::Text(text) => !nothing.contains(&text.trim()),
        Seen::Absent | Seen::Later => false,
    };
    if script.kind == Some(Kind::Pivot) && says("PIVOT_ALIASES", &[""]) {
        old("PIVOT_ALIASES", "PIVOT_ALIASES");
    }
    if says("DB_PRESERVE_VIEWS", &["", "False"]) {
        old("DB_PRESERVE_VIEWS", "DB_PRESERVE_VIEWS");
    }
}

/// The numbers of a tag such as `0.9.1`, `v1.2` or `0.9.1-rc1`; `None` for any other, which may be new or old.
fn version(tag: &str) -> Option<(u64, u64, u64)> {
    let tag = tag.strip_prefix('v').unwrap_or(tag);
    let numbers = tag.split(['-', '+', '_']).next()?;
    let mut parts = numbers.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    let patch = match parts.next() {
        Some(patch) => patch.parse().ok()?,
        None => 0,
    };
    parts.next().is_none().then_some((major, minor, patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_with_numbers_are_compared() {
        for (tag, expected) in [
            ("0.7.0", Some((0, 7, 0))),
            ("v0.10", Some((0, 10, 0))),
            ("0.9.1-rc1", Some((0, 9, 1))),
            ("latest", None),
            ("1", None),
            ("1.2.3.4", None),
            ("sha256:00", None),
            ("99999999999999999999.0", None),
        ] {
            assert_eq!(version(tag), expected, "{tag}");
        }
    }
}
