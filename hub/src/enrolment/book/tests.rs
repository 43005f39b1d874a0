//! A token's life, and a name's.

use super::*;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-11-25T12:00:00.5Z".parse().unwrap();
    start + SignedDuration::from_secs(seconds)
}

fn eu() -> ClusterName {
    ClusterName::new("eu-1").unwrap()
}

fn key(n: u8) -> KeyDigest {
    KeyDigest::of(&[n])
}

fn spoke(n: u8) -> Uid {
    Uid([n; 16])
}

fn new_token(book: &mut EnrolmentBook) -> JoinToken {
    let new = NewToken {
        cluster: eu(),
        life: TOKEN_LIFE,
        created_by: "admin".into(),
    };
    book.create_token(new, at(0), &mut rand::rng()).unwrap()
}

fn redeem(
    book: &mut EnrolmentBook,
    token: &JoinToken,
    (k, s): (u8, u8),
    seconds: i64,
) -> Result<Grant, Refusal> {
    let attempt = Attempt {
        token,
        key: key(k),
        cluster_uid: spoke(s),
    };
    book.redeem(&attempt, &Gate::default(), at(seconds))
}

/// A book in which key 1 of spoke 1 has used the token at second 60.
fn enrolled() -> (EnrolmentBook, JoinToken) {
    let mut book = EnrolmentBook::default();
    let token = new_token(&mut book);
    redeem(&mut book, &token, (1, 1), 60).unwrap();
    (book, token)
}

#[test]
fn a_token_enrols_one_key_of_one_spoke_once() {
    let mut book = EnrolmentBook::default();
    let token = new_token(&mut book);
    assert_eq!(book.list(at(0))[0].2, TokenState::Unused);
    let grant = redeem(&mut book, &token, (1, 1), 60).unwrap();
    let issued: Timestamp = "2026-11-25T12:01:00Z".parse().unwrap();
    let first = Grant {
        cluster: eu(),
        cluster_uid: spoke(1),
        issued,
        changed: true,
        reenrolled: false,
    };
    assert_eq!(grant, first);
    assert_eq!(book.list(at(60))[0].2, TokenState::Used);

    let after = book.clone();
    let rows = [
        (
            (1, 1),
            3000,
            Ok(Grant {
                changed: false,
                ..first
            }),
            "the same key gets the same again",
        ),
        ((2, 1), 61, Err(Refusal::OtherKey(issued)), "another key"),
        (
            (1, 2),
            61,
            Err(Refusal::OtherSpoke(spoke(1))),
            "another spoke with a copied key",
        ),
        (
            (1, 1),
            3600,
            Err(Refusal::Expired(at(3600))),
            "its life is over",
        ),
    ];
    for (who, seconds, expected, why) in rows {
        assert_eq!(redeem(&mut book, &token, who, seconds), expected, "{why}");
        assert_eq!(book, after, "{why}: nothing to store");
    }
}

#[test]
fn a_guess_is_refused_and_looks_like_every_other_refusal() {
    let mut book = EnrolmentBook::default();
    let token = new_token(&mut book);
    let wrong: JoinToken = format!("{}.{}", token.id(), "0".repeat(32))
        .parse()
        .unwrap();
    let unknown = JoinToken::generate(&mut rand::rng());
    assert_eq!(
        redeem(&mut book, &wrong, (1, 1), 1),
        Err(Refusal::WrongSecret)
    );
    assert_eq!(
        redeem(&mut book, &unknown, (1, 1), 1),
        Err(Refusal::Unknown)
    );
    assert_eq!(book.cluster_of(&wrong, at(1)), Err(Refusal::WrongSecret));
    assert_eq!(book.cluster_of(&token, at(1)), Ok(&eu()));
    assert!(!Refusal::PUBLIC.contains("secret"));
}

#[test]
fn an_enrolled_name_is_nobody_elses_unless_its_cluster_says_until_when() {
    let rows = [
        (None, false, "not allowed"),
        (Some(at(99)), false, "no longer allowed"),
        (Some(at(100)), false, "until means before"),
        (Some(at(101)), true, "allowed"),
    ];
    for (reenrol_until, allowed, why) in rows {
        let (mut book, _) = enrolled();
        let token = new_token(&mut book);
        let attempt = Attempt {
            token: &token,
            key: key(2),
            cluster_uid: spoke(2),
        };
        let gate = Gate {
            reenrol_until,
            revoked: false,
        };
        let result = book.redeem(&attempt, &gate, at(100));
        if allowed {
            assert!(result.unwrap().reenrolled, "{why}");
            assert_eq!(book.admit_leaf(&eu(), spoke(2), at(101)), Ok(()));
            let old = book.admit_leaf(&eu(), spoke(1), at(60)).unwrap_err();
            assert!(matches!(old, LeafRefusal::BeforeValidFrom(_)), "{old}");
        } else {
            assert_eq!(result, Err(Refusal::AlreadyEnrolled(spoke(1))), "{why}");
        }
    }
}

#[test]
fn evicted_may_join_again_and_banned_may_not() {
    let (mut book, used) = enrolled();
    book.evict(&eu(), at(100));
    let since: Timestamp = "2026-11-25T12:01:41Z".parse().unwrap();
    let refused = Err(LeafRefusal::BeforeValidFrom(since));
    assert_eq!(book.admit_leaf(&eu(), spoke(1), at(60)), refused);
    assert_eq!(
        redeem(&mut book, &used, (1, 1), 101),
        Err(Refusal::Withdrawn(since))
    );
    let token = new_token(&mut book);
    let grant = redeem(&mut book, &token, (2, 1), 120).unwrap();
    assert_eq!(book.admit_leaf(&eu(), spoke(1), grant.issued), Ok(()));

    let pending = new_token(&mut book);
    book.ban(&eu(), at(130));
    assert_eq!(
        redeem(&mut book, &pending, (3, 1), 131),
        Err(Refusal::Banned(at(130)))
    );
    assert_eq!(
        book.admit_leaf(&eu(), spoke(1), at(140)),
        Err(LeafRefusal::Banned(at(130)))
    );
    let new = NewToken {
        cluster: eu(),
        life: HOUR,
        created_by: String::new(),
    };
    let error = book
        .create_token(new, at(131), &mut rand::rng())
        .unwrap_err();
    assert_eq!(
        error,
        TokenError::Banned {
            cluster: eu(),
            since: at(130)
        }
    );
    book.unban(&eu());
    redeem(&mut book, &pending, (3, 1), 140).unwrap();
}

#[test]
fn a_revoked_cluster_joins_with_no_token() {
    let mut book = EnrolmentBook::default();
    let token = new_token(&mut book);
    let attempt = Attempt {
        token: &token,
        key: key(1),
        cluster_uid: spoke(1),
    };
    let gate = Gate {
        revoked: true,
        ..Gate::default()
    };
    assert_eq!(book.redeem(&attempt, &gate, at(1)), Err(Refusal::Revoked));
}

#[test]
fn a_leaf_is_bound_to_its_spoke() {
    let (book, _) = enrolled();
    let copied = book.admit_leaf(&eu(), spoke(2), at(60));
    assert_eq!(copied, Err(LeafRefusal::OtherSpoke(spoke(1))));
    let unknown = ClusterName::new("us-1").unwrap();
    assert_eq!(
        book.admit_leaf(&unknown, spoke(2), at(60)),
        Ok(()),
        "an older copy of the book"
    );
}

#[test]
fn a_token_lives_a_day_at_most_and_not_for_ever() {
    let mut book = EnrolmentBook::default();
    let rows = [
        (SignedDuration::ZERO, false),
        (-HOUR, false),
        (SignedDuration::from_millis(999), false),
        (SignedDuration::from_secs(1), true),
        (MAX_TOKEN_LIFE, true),
        (MAX_TOKEN_LIFE + SignedDuration::from_secs(1), false),
        (SignedDuration::MAX, false),
    ];
    for (life, accepted) in rows {
        let new = NewToken {
            cluster: eu(),
            life,
            created_by: String::new(),
        };
        assert_eq!(
            book.create_token(new, at(0), &mut rand::rng()).is_ok(),
            accepted,
            "{life}"
        );
    }
}

#[test]
fn a_revoked_token_is_void_and_its_cluster_stays() {
    let (mut book, token) = enrolled();
    assert_eq!(book.revoke_token(token.id()), Some(eu()));
    assert_eq!(book.revoke_token(token.id()), None);
    assert_eq!(redeem(&mut book, &token, (1, 1), 61), Err(Refusal::Unknown));
    assert_eq!(book.admit_leaf(&eu(), spoke(1), at(60)), Ok(()));
}

#[test]
fn what_has_no_effect_any_more_is_dropped() {
    let (mut book, _) = enrolled();
    let day = 24 * 3600;
    assert!(!book.compact(at(61), HOUR * 24));
    assert!(book.compact(at(3600), HOUR * 24), "the token is over");
    assert!(book.tokens.is_empty());
    book.evict(&eu(), at(100));
    assert!(
        !book.compact(at(31 * day), HOUR * 24),
        "a leaf may still be within its grace"
    );
    assert!(book.compact(at(32 * day + 200), HOUR * 24));
    assert_eq!(book, EnrolmentBook::default());
    book.ban(&eu(), at(100));
    book.compact(at(365 * day), HOUR * 24);
    assert_eq!(
        book.names[&eu()].banned,
        Some(at(100)),
        "a ban ends by hand"
    );
}

#[test]
fn tokens_have_a_bound() {
    let mut book = EnrolmentBook::default();
    let token = new_token(&mut book);
    let record = book.tokens[token.id()].clone();
    for n in 1..MAX_TOKENS {
        book.tokens.insert(n.to_string(), record.clone());
    }
    let new = || NewToken {
        cluster: eu(),
        life: HOUR,
        created_by: String::new(),
    };
    let refused = book.create_token(new(), at(1), &mut rand::rng());
    assert_eq!(refused, Err(TokenError::TooMany));
    book.create_token(new(), at(3600), &mut rand::rng())
        .unwrap();
    assert_eq!(book.tokens.len(), 1, "those that are over make room");
}

#[test]
fn a_book_survives_storage_and_a_damaged_one_is_not_an_empty_one() {
    let (mut book, _) = enrolled();
    book.ban(&ClusterName::new("us-1").unwrap(), at(1));
    let bytes = book.to_bytes().unwrap();
    assert_eq!(EnrolmentBook::from_bytes(&bytes).unwrap(), book);
    assert_eq!(
        EnrolmentBook::from_bytes(b"").unwrap(),
        EnrolmentBook::default()
    );
    for damaged in [&bytes[..bytes.len() - 1], b"{}", b"\0"] {
        assert!(matches!(
            EnrolmentBook::from_bytes(damaged),
            Err(BookError::Damaged(_))
        ));
    }
}

#[test]
fn the_largest_fleets_book_fits_into_a_secret() {
    let mut book = EnrolmentBook::default();
    let mut rng = rand::rng();
    for n in 0..10_000_usize {
        let cluster = ClusterName::new(format!("cluster-{n}")).unwrap();
        let cluster_uid = Uid(rand::Rng::random(&mut rng));
        let key = KeyDigest::of(&n.to_le_bytes());
        let (token, seconds) = (JoinToken::generate(&mut rng), i64::try_from(n).unwrap());
        let record = TokenRecord {
            cluster: cluster.clone(),
            digest: token.digest(),
            created: at(seconds),
            created_by: "system:serviceaccount:platform:joiner".into(),
            expires: at(seconds + 3600),
            used: Some(TokenUse {
                key,
                cluster_uid,
                at: at(seconds),
            }),
        };
        if n < MAX_TOKENS {
            book.tokens.insert(token.id().to_owned(), record);
        }
        let name = NameRecord {
            cluster_uid: Some(cluster_uid),
            ..NameRecord::default()
        };
        book.names.insert(cluster, name);
    }
    let bytes = book.to_bytes().unwrap().len();
    assert!(bytes < MAX_BOOK_BYTES, "{bytes}");
}
