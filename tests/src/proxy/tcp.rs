//! A TCP proxy before the hub: it can stall, cut and delay.
//!
//! In: bytes. Out: the same bytes, later or never. Law: TLS passes through untouched. Not: reading them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::{handle, ports};

/// What the proxy does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes them on.
    Pass,
    /// Keeps connections and passes nothing on: a partition with silence.
    Stall,
    /// Closes all connections and refuses new ones.
    Cut,
    /// Passes them on after a time, each read of its own.
    Delay(Duration),
}

/// A proxy.
#[derive(Debug)]
pub struct TcpProxy {
    port: u16,
    mode: watch::Sender<Mode>,
    behind: watch::Sender<String>,
    _task: AbortOnDropHandle<()>,
}

impl TcpProxy {
    /// Starts one before `address`.
    pub async fn start(address: &str) -> Result<Self> {
        let port = ports::free();
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let (mode, watched) = watch::channel(Mode::Pass);
        let (behind, address) = watch::channel(address.to_owned());
        let task = handle().spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((near, _)) = listener.accept().await else {
                    return;
                };
                connections.spawn(connection(near, address.borrow().clone(), watched.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            port,
            mode,
            behind,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Passes new connections on to another address.
    pub fn redirect(&self, address: &str) {
        self.behind.send_replace(address.to_owned());
    }

    /// Changes what it does, for open connections too.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn connection(near: TcpStream, address: String, mut mode: watch::Receiver<Mode>) {
    if *mode.borrow() == Mode::Cut {
        return;
    }
    let Ok(far) = TcpStream::connect(&address).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        () = carry(near_read, far_write, mode.clone()) => {}
        () = carry(far_read, near_write, mode.clone()) => {}
        _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read) = from.read(&mut buffer).await else {
            return;
        };
        if read == 0 || mode.wait_for(|mode| *mode != Mode::Stall).await.is_err() {
            return;
        }
        let now = *mode.borrow();
        if let Mode::Delay(time) = now {
            tokio::time::sleep(time).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
