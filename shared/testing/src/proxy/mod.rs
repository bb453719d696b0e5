//! A TCP proxy that breaks the way to a server in the ways networks do: cut, stalled, open in one direction only, slow, or
//! gone at the worst moment, after so many bytes or just before the server's answer. Healing ends all of it.

mod carry;
mod traps;
mod way;

#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch};

pub use self::{traps::Pattern, way::Direction};
use self::{traps::Traps, way::Way};

/// Where new connections lead.
type Target = Arc<Mutex<String>>;

/// A way to one server.
pub struct Proxy {
    address: SocketAddr,
    target: Target,
    way: Arc<watch::Sender<Way>>,
    traps: Arc<Traps>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Listens on loopback and forwards to `target` (`host:port`).
    pub async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let (way, traps) = (Arc::new(watch::Sender::new(Way::default())), Arc::new(Traps::default()));
        let target = Arc::new(Mutex::new(target));
        let accepting =
            drydock_runtime::tasks::spawn("proxy", accept(listener, target.clone(), way.clone(), traps.clone()));
        Self { address, target, way, traps, accepting }
    }

    /// Where to connect instead of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets all connections and refuses new ones.
    pub fn cut(&self) {
        self.way.send_modify(|way| way.cut = true);
    }

    /// Resets the connections there are; new ones pass.
    pub fn reset(&self) {
        self.way.send_modify(|way| way.epoch += 1);
    }

    /// Leads to another server from now on, as a virtual address that moves: the connections there are are reset.
    pub fn redirect(&self, target: String) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
        self.reset();
    }

    /// Carries nothing more, but keeps connections open and accepts new ones, as a partition does.
    pub fn stall(&self) {
        self.way.send_modify(|way| (way.to_server_held, way.to_client_held) = (true, true));
    }

    /// Carries nothing more in one direction. What was sent meanwhile arrives when it is healed.
    pub fn half_open(&self, held: Direction) {
        self.way.send_modify(|way| match held {
            Direction::ToServer => way.to_server_held = true,
            Direction::ToClient => way.to_client_held = true,
        });
    }

    /// How many bytes arrived so far while their direction was held: more than none, and somebody is in the middle of saying
    /// something.
    pub fn held(&self) -> u64 {
        self.traps.held()
    }

    /// Carries each piece this much later.
    pub fn delay(&self, delay: Duration) {
        self.way.send_modify(|way| way.delay = delay);
    }

    /// Resets the connection that carries the last of `bytes` more towards the server, in the middle of a message or not.
    pub fn cut_after(&self, bytes: u64) {
        self.traps.after_bytes(bytes);
    }

    /// Resets a connection whose server is about to answer with `pattern`, instead of carrying the answer: what was asked for
    /// has happened, and the client does not know. So `times` times.
    pub fn cut_reply(&self, pattern: Pattern, times: u32) {
        self.traps.before_reply(pattern, times);
    }

    /// How many answers were withheld by [`Self::cut_reply`] so far.
    pub fn replies_cut(&self) -> u64 {
        self.traps.replies_cut()
    }

    /// Forwards again; what is armed is disarmed.
    pub fn heal(&self) {
        self.traps.disarm();
        self.way.send_modify(|way| *way = Way { epoch: way.epoch, ..Way::default() });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: Target, way: Arc<watch::Sender<Way>>, traps: Arc<Traps>) {
    while let Ok((client, _)) = listener.accept().await {
        let target = target.lock().unwrap_or_else(PoisonError::into_inner).clone();
        drydock_runtime::tasks::spawn("proxied", carry::carry(client, target, way.subscribe(), traps.clone()));
    }
}
