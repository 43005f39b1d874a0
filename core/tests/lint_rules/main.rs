//! Every rule of lint, with the smallest Segment that breaks it.
//!
//! In: rows of a table: a place in a Segment, a wrong value and a right one. Out: what is found. Law: the wrong value is
//! found there, once, and nothing else is; with the right one nothing is found, so that a row fails without its rule and
//! with a rule too many. Not: Segments as people write them (`corpus`), what rules say to each other's Segments
//! (`lint_fuzz`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test shall fail at once"
)]
#![allow(
    clippy::enum_glob_use,
    reason = "a table is read better without a prefix"
)]

mod clusters;
mod columns;
mod definitions;
mod fields;
mod settings;
mod sizes;
mod sql;
mod table;
mod transformations;
mod variables;

use segment_core::finding::Code;
use std::collections::BTreeSet;
use table::Row;

/// Not found by lint: in files (`segctl`), or among Segments; each is tested there.
const ELSEWHERE: [Code; 7] = [
    Code::Collision,
    Code::DuplicateSegment,
    Code::NoClusterSelected,
    Code::SharedTable,
    Code::UnknownField,
    Code::Unreadable,
    Code::WrongType,
];

fn rows() -> impl Iterator<Item = &'static Row> {
    [
        columns::ROWS,
        transformations::ROWS,
        definitions::ROWS,
        sql::ROWS,
        variables::ROWS,
        settings::ROWS,
        fields::ROWS,
        clusters::ROWS,
    ]
    .into_iter()
    .flatten()
}

#[test]
fn a_wrong_value_is_found_and_the_right_one_is_not() {
    let wrong: Vec<String> = rows().filter_map(|row| row.check().err()).collect();
    let count = rows().count();
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_code_of_lint_has_a_row() {
    let found: BTreeSet<Code> = rows()
        .map(|row| row.code)
        .chain([Code::TooLarge])
        .chain(ELSEWHERE)
        .collect();
    assert_eq!(found, Code::ALL.iter().copied().collect());
    let rows: BTreeSet<Code> = rows().map(|row| row.code).collect();
    assert!(ELSEWHERE.iter().all(|code| !rows.contains(code)));
}

#[test]
fn no_row_stands_twice() {
    let mut seen = BTreeSet::new();
    for row in rows() {
        assert!(
            seen.insert((row.place, row.says, row.with, row.wrong)),
            "{}: {}",
            row.place,
            row.says
        );
    }
}
