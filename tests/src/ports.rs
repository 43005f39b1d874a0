//! Ports for processes that stop and start again on the same one.
//!
//! In: nothing. Out: a port of 127.0.0.1 that nobody listens on. Law: below those that Linux hands out for outgoing
//! connections, so that it stays free while its process is away; none is handed out twice. Not: control planes, which
//! choose their own (from 20000 on).

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{LazyLock, Mutex, PoisonError};

use rand::Rng as _;

const FIRST: u16 = 12_000;
const LAST: u16 = 19_999;

/// A free port.
pub fn free() -> u16 {
    static TAKEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let port = rand::rng().random_range(FIRST..=LAST);
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.insert(port);
            return port;
        }
    }
}
