//! What stands between processes to disturb them.
//!
//! In: an address. Out: another one, with the same behind it. Law: nothing is disturbed that no test asked for.
//! Not: signals (`processes`).

pub mod http;
pub mod tcp;
