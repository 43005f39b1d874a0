//! How revisions go out: a module per promise.

mod bad_image;
mod gate;
mod hold;
mod hub_kill_mid_soak;
mod join_leave;
mod no_surprise;
mod rollback;
mod unreachable;
mod waves;
