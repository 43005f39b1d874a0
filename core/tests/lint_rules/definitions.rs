//! Indexes and views.

use crate::table::{ABSENT, Row, With, e, w};
use segment_core::finding::Code::*;

const INDEXES: &str = "env.TARGET_SEGMENT_INDEXES";
const VIEWS: &str = "env.TARGET_SEGMENT_VIEWS";
const VIEW: With = &[(VIEWS, "v:event_id > 1")];

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    e(IndexOnView, "spec.env.TARGET_SEGMENT_INDEXES:0", "a view cannot have indexes", &[("env.DB_USE_VIEWS", "True")],
        (INDEXES, "i=(event_id)", "")),
    e(EmptyMember, "spec.env.TARGET_SEGMENT_INDEXES:13", "nothing between", &[], (INDEXES, "i=(event_id)|", "i=(event_id)")),
    e(SeparatorInText, "spec.env.TARGET_SEGMENT_INDEXES:5", "ends the definition at this \"|\"",
        &[(INDEXES, "i=((1|event_id))")], ("env.TARGET_SEGMENT_INDEX_SEPARATOR", ABSENT, ";;")),
    e(UnnamedIndex, "spec.env.TARGET_SEGMENT_INDEXES:0", "has no name", &[], (INDEXES, "(event_id)", "i=(event_id)")),
    e(UnnamedIndex, "spec.env.TARGET_SEGMENT_INDEXES:0", "has no name", &[], (INDEXES, "(i)=(event_id)", "i=(event_id)")),
    e(LongIdentifier, "spec.env.TARGET_SEGMENT_INDEXES:0", "64 bytes", &[],
        (INDEXES, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl=(event_id)", "i=(event_id)")),
    e(DuplicateIndex, "spec.env.TARGET_SEGMENT_INDEXES:13", "defined again, first at 0", &[],
        (INDEXES, "i=(event_id)|i=(event_id)", "i=(event_id)|j=(event_id)")),

    e(EmptyMember, "spec.env.TARGET_SEGMENT_VIEWS:15", "nothing between", &[],
        (VIEWS, "v:event_id > 1,", "v:event_id > 1")),
    e(SeparatorInText, "spec.env.TARGET_SEGMENT_VIEWS:16", "ends the definition at this \",\"",
        &[(VIEWS, "v:event_id in (1,2)")], ("env.TARGET_SEGMENT_VIEW_SEPARATOR", ABSENT, ";")),
    e(ViewWithoutCondition, "spec.env.TARGET_SEGMENT_VIEWS:0", "has no condition", &[], (VIEWS, "v", "v:true")),
    e(ViewWithoutCondition, "spec.env.TARGET_SEGMENT_VIEWS:0", "has no condition", &[], (VIEWS, "v:", "v:true")),
    e(UnnamedView, "spec.env.TARGET_SEGMENT_VIEWS:0", "has no name", &[], (VIEWS, "event_id > 1", "v:event_id > 1")),
    e(LongIdentifier, "spec.env.TARGET_SEGMENT_VIEWS:0", "64 bytes", &[],
        (VIEWS, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl:true", "v:true")),
    e(WhereKeyword, "spec.env.TARGET_SEGMENT_VIEWS:2", "begins with the word WHERE", &[],
        (VIEWS, "v:where event_id > 1", "v:event_id > 1")),
    w(SeparatorInText, "spec.env.TARGET_SEGMENT_VIEWS:10", "which also stands between a view's name and its condition",
        &[], (VIEWS, "v:event_id::int > 1", "v:cast(event_id as int) > 1")),
    e(DuplicateView, "spec.env.TARGET_SEGMENT_VIEWS:7", "defined again, first at 0", &[], (VIEWS, "v:true,v:true", "v:true,u:true")),

    e(NameCollision, "spec.env.TARGET_SEGMENT_VIEWS:0", "is the name of the segment, too", VIEW,
        ("env.TARGET_SEGMENT_NAME", "v", "demo")),
    e(NameCollision, "spec.env.TARGET_SEGMENT_VIEWS:0", "is the name of an index, too", VIEW,
        (INDEXES, "v=(event_id)", "i=(event_id)")),
    e(NameCollision, "spec.env.TARGET_SEGMENT_INDEXES:0", "is the name of the segment, too", &[],
        (INDEXES, "demo=(event_id)", "i=(event_id)")),
];
