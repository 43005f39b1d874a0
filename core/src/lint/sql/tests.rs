use super::*;

fn said(fragment: Fragment, text: &str, placeholder: Option<&str>) -> Vec<(Code, usize, String)> {
    check(fragment, text, placeholder)
        .into_iter()
        .map(|found| (found.code, found.offset, found.message))
        .collect()
}

#[test]
fn legal_fragments_have_no_findings() {
    for text in [
        "profile_type = 'crm' and pit = '_latest'",
        "event_type = 'checkout' and message->>'status' = 'error'",
        "\"/mail/lastOpened\" > now() - interval '90 days'",
        "a = 'it''s'",
        "a = E'it\\'s' and b = e'\\\\'",
        "a = $q$it's; (not open$q$",
        "a = 'x' /* a /* nested */ comment; ' */ and b = 1",
        "\"a;b\"\"c\" = ';'",
        "a like '%x%'",
        "a between 1 and 2 or a in (1, 2) and not (b is null)",
        "a between symmetric 2 and 1",
        "a isnull",
        "message @> '{\"a\": 1}'::jsonb and message ? 'k' and message #>> '{a,b}' ~* '^x'",
        "a = any(array[1,2]) and (a, b) = (1, 2)",
        "exists (select 1 from t where t.a = profilestore.a)",
        "created_at >= date_trunc('day', now() at time zone 'Europe/Berlin')",
        "extract(epoch from a) > 5 and a::date = current_date",
        "case when a then b else c end = 1",
        "region = '$(cluster.labels['region'])'",
        "region = $(cluster.name) and x = '$(OTHER)'",
        "",
        " \n",
        "1=1",
        "Ünïcödé = 'ß'",
        "a$b = 1 and $1 = 2",
    ] {
        assert_eq!(said(Fragment::Condition, text, None), [], "{text:?}");
    }
    for text in [
        "cast((? #>> '{}') as date)",
        "? #>> '{}'",
        "message->'shop'#>>'{}'",
        "lower(message->'q'#>>'{}')",
        "coalesce(sum(?), 0)",
        "(?->>'a')::int + 1",
    ] {
        assert_eq!(said(Fragment::Expression, text, Some("?")), [], "{text:?}");
    }
    for text in [
        "select a, b from t where a like '%%%%x' and b %%%% 2 = 0",
        "with x as (select 1 as a) select a from x order by a limit 5",
        "select distinct on (a) a, b from t group by a, b having count(*) > 1",
        "select a from t union all select b from u",
    ] {
        assert_eq!(said(Fragment::Query, text, None), [], "{text:?}");
    }
    for text in [
        "(shop, event_id)",
        " USING hash (\"/country\")",
        "using gin (message jsonb_path_ops)",
        "using btree (lower(a) desc nulls last) where a is not null",
        "(a) include (b)",
    ] {
        assert_eq!(said(Fragment::IndexDefinition, text, None), [], "{text:?}");
    }
}

#[test]
fn what_is_not_closed_is_an_error() {
    for (text, offset) in [
        ("a = 'x", 4),
        ("a = 'x''", 4),
        ("a = E'x\\'", 4),
        ("\"a = 1", 0),
        ("a = $q$x$Q$", 4),
        ("a = 1 /* b", 6),
        ("a = 1 /* b /* c */", 6),
        ("(a = 1", 0),
        ("(a = (1) and (b = 2)", 0),
        ("f(a, (b)", 1),
        ("ä = 'x", 5),
        // The kubelet makes $$ one dollar, and then the tag is $x$.
        ("a = $$x$$", 4),
    ] {
        let found = check(Fragment::Condition, text, None);
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert_eq!(found[0].code, Code::UnterminatedText, "{text:?}");
        assert_eq!(found[0].severity, Severity::Error, "{text:?}");
        assert_eq!(found[0].offset, offset, "{text:?}");
        assert!(!found[0].help.is_empty());
    }
    // This is how it is meant.
    assert_eq!(said(Fragment::Condition, "a = $$$$x$$$$", None), []);
}

#[test]
fn a_second_statement_is_an_error() {
    for (text, offset) in [
        ("a = 1;", 5),
        ("a = 1; drop table t", 5),
        ("f(a;b)", 3),
        (";", 0),
        ("a = ';' ;", 8),
    ] {
        let found = check(Fragment::Condition, text, None);
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert_eq!(
            (found[0].code, found[0].severity, found[0].offset),
            (Code::SeveralStatements, Severity::Error, offset),
            "{text:?}"
        );
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn the_rest_is_a_warning_in_our_words() {
    use Fragment::{Condition, Expression, IndexDefinition, Query};
    for (fragment, text, offset, message) in [
        (
            Condition,
            "a = 1 and",
            9,
            "expected an expression after \"and\", found the end",
        ),
        (
            Condition,
            "a = 1 and  ",
            9,
            "expected an expression after \"and\", found the end",
        ),
        (
            Condition,
            "a = 1 b = 2",
            6,
            "expected the end of the condition after \"1\", found \"b\"",
        ),
        (
            Condition,
            "where a = 1",
            0,
            "the condition begins with the word WHERE, which the script writes itself",
        ),
        (
            Condition,
            "  WHERE\na = 1",
            2,
            "the condition begins with the word WHERE, which the script writes itself",
        ),
        (Condition, "a == 1", 2, "PostgreSQL has no operator =="),
        (Condition, "a==-1", 1, "PostgreSQL has no operator =="),
        (
            Condition,
            "a == -1 is null or true",
            2,
            "PostgreSQL has no operator ==",
        ),
        (
            Condition,
            "and a = 1",
            4,
            "expected the end of the condition after \"and\", found \"a\"",
        ),
        (
            Condition,
            "a = 1 -- why",
            6,
            "-- begins a comment: what follows is not executed",
        ),
        (
            Condition,
            "a = 1 --it's\n and b = '--' || $q$--$q$ /* -- */",
            6,
            "-- begins a comment: what follows is not executed",
        ),
        (
            Condition,
            "a = 1) or b = 2",
            5,
            "this parenthesis closes none that was opened",
        ),
        (Condition, "* = 1", 0, "expected an expression, found \"*\""),
        (
            Condition,
            "a in (1, 2,)",
            11,
            "expected an expression after \",\", found \")\"",
        ),
        (
            Condition,
            "ß = 1\nand ü = ",
            15,
            "expected an expression after \"=\", found the end",
        ),
        (
            Expression,
            "? ? 'a'",
            2,
            "expected the end of the expression after \"?\", found \"?\"",
        ),
        (
            Expression,
            "cast(? as )",
            10,
            "expected a data type name after \"as\", found \")\"",
        ),
        (
            Expression,
            "$$$$x$$$$ + ",
            11,
            "expected an expression after \"+\", found the end",
        ),
        (
            Query,
            "delete from t",
            0,
            "a query begins with SELECT, WITH, VALUES or TABLE",
        ),
        (
            IndexDefinition,
            "shop",
            0,
            "expected a list of columns in parentheses, found \"shop\"",
        ),
        (
            IndexDefinition,
            "(shop",
            0,
            "the parenthesis that opens here is not closed",
        ),
    ] {
        let placeholder = (fragment == Expression).then_some("?");
        let found = check(fragment, text, placeholder);
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert_eq!(
            (found[0].offset, found[0].message.as_str()),
            (offset, message),
            "{text:?}"
        );
        if found[0].code == Code::SqlSyntax {
            assert_eq!(found[0].severity, Severity::Warning, "{text:?}");
        }
    }
}

#[test]
fn offsets_are_those_of_what_the_user_wrote() {
    for (text, placeholder, offset) in [
        ("COLUMN + COLUMN +", "COLUMN", 17),
        ("? + $(cluster.name) + 1 1", "?", 24),
        ("$(cluster.labels['a']) '", "?", 23),
        ("?;", "?", 1),
    ] {
        let found = check(Fragment::Expression, text, Some(placeholder));
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert_eq!(found[0].offset, offset, "{text:?}");
    }
    // Four per cent signs are one.
    assert_eq!(
        check(Fragment::Query, "select a %%%% 2 in 3", None)[0].offset,
        19
    );
}

#[test]
fn hostile_text_is_bounded() {
    let many = |unit: &str, len: usize| unit.repeat(len / unit.len() + 1);
    for unit in [
        "(",
        "((",
        ")",
        "1+",
        "a and ",
        "not ",
        "case when ",
        "-",
        "a[",
        "[",
        "$(",
        "$a$",
        "$1a$",
        "'",
        "/*",
        "*/",
        "%",
        "%%%%",
        "select ",
        "(select ",
        "(select * from ",
        "a in (",
        "f(",
        "f(a,",
        "{",
        "::",
        "::a[]",
        "array[",
        "cast(",
        "a between ",
        "interval ",
        "exists (",
        ",",
        "\"",
        "e'\\",
        "ü",
        "\n",
        "?",
        "with a as (",
        "from (",
        "a join ",
        "row(",
        "position(a ",
        "values (",
        "((1),",
        "a is not distinct from ",
        "try_cast(",
        "lambda x: ",
        "a -> ",
        "@",
        "union select ",
        "(a,",
        "over (",
        "case ",
        "operator(a.+) ",
        "struct<",
        "a.",
        "#>",
        ":= ",
    ] {
        for len in [60, 1_000, 12_000] {
            let text = many(unit, len);
            let nested = format!("select {text}1{}", many(")", len));
            for fragment in [
                Fragment::Condition,
                Fragment::Expression,
                Fragment::Query,
                Fragment::IndexDefinition,
            ] {
                for found in check(fragment, &text, Some("?")) {
                    assert!(text.is_char_boundary(found.offset), "{unit:?}");
                    assert!(found.message.len() < 400, "{unit:?}: {}", found.message);
                }
                assert!(check(fragment, &nested, None).len() < 10, "{unit:?}");
            }
        }
        let huge = many(unit, 1 << 20);
        let findings = check(Fragment::Condition, &huge, Some("?"));
        assert!(findings.len() < 10, "{unit:?}");
    }
}
