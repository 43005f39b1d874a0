//! The rules of lint: what makes the script fail, or make a wrong table, is an error; what is odd and works, a warning.
//!
//! In: a [`Script`]. Out: findings in a [`Report`]. Law: what the corpus expects is found, and nothing
//! else (test `every_segment_of_the_corpus_has_its_verdict`).
//! Not: what the API server of a spoke would refuse (`segment::rules`).

mod columns;
mod definitions;
mod image;
mod references;
mod separators;
mod sql;
mod transformations;
mod values;

pub(super) use values::{extra, is_too_long, part};

use super::report::Report;
use super::script::Script;

/// Every rule that compares variables with each other.
pub(super) fn grammar(script: &Script<'_>, report: &mut Report<'_>) {
    let usable = separators::check(script, report);
    columns::check(script, report);
    if usable.transformations {
        transformations::check(script, report);
    }
    definitions::check(script, usable, report);
    references::check(script, usable, report);
    image::check(script, report);
    values::of_another_type(script, report);
    sql::check(script, usable, report);
}

/// Which lists can be split at all: where they can't, that is the one thing to say.
#[derive(Clone, Copy)]
struct Usable {
    transformations: bool,
    indexes: bool,
    views: bool,
}
