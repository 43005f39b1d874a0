//! The forms of names and values that the API server of a spoke would refuse otherwise.
//!
//! In: strings. Out: yes or no. Law: never laxer than Kubernetes 1.31 (what passes here must not fail on a spoke).
//! Not: our own names (`ids.rs`). Source: `k8s.io/apimachinery/pkg/util/validation`.

/// Lower case letters, digits and `-`; starts and ends with a letter or digit.
fn dns_label_of_any_length(value: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = value.as_bytes();
    bytes.first().is_some_and(|&b| alnum(b))
        && bytes.last().is_some_and(|&b| alnum(b))
        && bytes.iter().all(|&b| alnum(b) || b == b'-')
}

/// A DNS-1123 subdomain of at most 253 bytes: names of Secrets and service accounts.
pub(crate) fn is_dns_subdomain(value: &str) -> bool {
    value.len() <= 253 && value.split('.').all(dns_label_of_any_length)
}

/// Letters, digits, `-`, `_`, `.`; starts and ends with a letter or digit; 1 to 63 bytes.
fn is_name_part(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() <= 63
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A qualified name: an optional DNS subdomain and `/`, then a name part. Keys of labels, taints and resources.
pub(crate) fn is_qualified_name(value: &str) -> bool {
    match value.split_once('/') {
        None => is_name_part(value),
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_name_part(name),
    }
}

/// Key of an annotation: a qualified name, whose prefix may have upper case.
pub(crate) fn is_annotation_key(value: &str) -> bool {
    is_qualified_name(&value.to_ascii_lowercase())
}

/// Value of a label: empty, or as a name part.
pub(crate) fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_name_part(value)
}

/// Name of an environment variable, as Kubernetes 1.31 takes it (later versions are laxer).
pub(crate) fn is_env_name(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.first().is_some_and(|b| !b.is_ascii_digit())
        && bytes
            .iter()
            .all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !is_relative_path(value)
}

/// Key in a Secret.
pub(crate) fn is_secret_key(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= 253
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !is_relative_path(value)
}

/// `.`, `..` and what starts with `..` could leave a folder.
fn is_relative_path(value: &str) -> bool {
    value == "." || value.starts_with("..")
}

/// Registry and path of an image, without tag and digest.
pub(crate) fn is_image_repository(value: &str) -> bool {
    let (registry, path) = match value.split_once('/') {
        // The first part is a registry where it has a dot or a port, as container runtimes decide it.
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            (Some(first), rest)
        }
        _ => (None, value),
    };
    let registry_ok = registry.is_none_or(|registry| {
        let (host, port) = registry.split_once(':').unwrap_or((registry, "0"));
        !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
            && !port.is_empty()
            && port.bytes().all(|b| b.is_ascii_digit())
    });
    let part_ok = |part: &str| {
        let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = part.as_bytes();
        bytes.first().is_some_and(|&b| alnum(b))
            && bytes.last().is_some_and(|&b| alnum(b))
            && bytes
                .iter()
                .all(|&b| alnum(b) || matches!(b, b'-' | b'_' | b'.'))
    };
    registry_ok && path.split('/').all(part_ok)
}

/// Tag of an image, or `sha256:` and 64 hexadecimal digits, or a tag with such a digest behind `@`.
pub(crate) fn is_image_tag(value: &str) -> bool {
    let digest_ok = |digest: &str| {
        digest.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64
                && hex
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        })
    };
    let tag_ok = |tag: &str| {
        let bytes = tag.as_bytes();
        bytes.len() <= 128
            && bytes
                .first()
                .is_some_and(|&b| b.is_ascii_alphanumeric() || b == b'_')
            && bytes
                .iter()
                .all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    match value.split_once('@') {
        Some((tag, digest)) => tag_ok(tag) && digest_ok(digest),
        None => tag_ok(value) || digest_ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(judge: fn(&str) -> bool, accepted: &[&str], refused: &[&str]) {
        for value in accepted {
            assert!(judge(value), "{value:?} is accepted");
        }
        for value in refused {
            assert!(!judge(value), "{value:?} is refused");
        }
    }

    #[test]
    fn names_are_judged_as_the_api_server_judges_them() {
        check(
            is_dns_subdomain,
            &["a.b-c", "1"],
            &["", "a..b", "a.", "a_b", "A"],
        );
        check(
            is_qualified_name,
            &["a", "A_b.c", "example.org/a"],
            &["", "/a", "a/", "a/b/c", "Example.org/a", "-a", "ä"],
        );
        check(is_annotation_key, &["Example.org/A"], &["", "a b"]);
        check(
            is_label_value,
            &["", "a", "A.b_c-1"],
            &["-a", "a b", "a/b", &"a".repeat(64)],
        );
        check(
            is_env_name,
            &["A", "_a", "a.b-c", ".a"],
            &["", "1A", "A B", "A=B", ".", "..", "..a", "ä"],
        );
        check(
            is_secret_key,
            &["a", ".a", "1"],
            &["", ".", "..", "..a", "a/b", &"a".repeat(254)],
        );
    }

    #[test]
    fn images_are_judged_as_container_runtimes_judge_them() {
        check(
            is_image_repository,
            &[
                "gitlab.alvary.io:5000/grnry/segment-table-creation",
                "grnry/x",
                "x",
                "localhost/x",
            ],
            &[
                "",
                "/x",
                "x/",
                "x//y",
                "x:1.0",
                "r.io/x:1.0",
                "r.io/x@sha256",
                "r.io/X",
                " x",
                "r.io:/x",
                "r.io:a/x",
            ],
        );
        let digest = format!("sha256:{}", "a".repeat(64));
        check(
            is_image_tag,
            &["0.7.0", "_x", &digest, &format!("1.0@{digest}")],
            &[
                "",
                ".a",
                "a b",
                "a:b",
                "sha256:abc",
                "@",
                &format!("@{digest}"),
                &"a".repeat(129),
            ],
        );
    }
}
