//! A man in the middle between consumers and RabbitMQ, who reads their frames. He loses tickets (acknowledged in the consumer's
//! name, as a broker does that forgets them), strands them (delivered as far as the broker knows, and never heard of again), and
//! notes how long each is held. The broker and its clients are the real ones.

mod carry;
mod frame;
mod notes;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::TcpListener;

use self::notes::Notes;

/// A tapped way to RabbitMQ.
pub struct Tap {
    address: SocketAddr,
    notes: Arc<Notes>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Tap {
    /// Listens on loopback and forwards to `target` (`host:port`), without TLS.
    pub async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let (address, notes) = (listener.local_addr().expect("it is bound"), Arc::new(Notes::default()));
        let accepting = drydock_runtime::tasks::spawn("tap", accept(listener, target, notes.clone()));
        Self { address, notes, accepting }
    }

    /// Where to connect instead of the broker.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on so many of ten tickets are lost, evenly spread.
    pub fn lose(&self, of_ten: u64) {
        self.notes.lose(of_ten);
    }

    /// The next `count` tickets are stranded.
    pub fn strand(&self, count: u32) {
        self.notes.strand(count);
    }

    /// Tickets lost so far.
    pub fn lost(&self) -> u64 {
        self.notes.counts().lost
    }

    /// Tickets delivered so far, the lost and the stranded ones not among them.
    pub fn delivered(&self) -> u64 {
        self.notes.counts().delivered
    }

    /// Tickets stranded now: one whose connection ends is delivered again, and no longer stranded.
    pub fn stranded(&self) -> usize {
        self.notes.stranded()
    }

    /// Tickets that were delivered and are not acknowledged.
    pub fn held(&self) -> usize {
        self.notes.held()
    }

    /// The longest time that any ticket was held, those held now included.
    pub fn longest_hold(&self) -> Duration {
        self.notes.longest_hold()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: String, notes: Arc<Notes>) {
    while let Ok((client, _)) = listener.accept().await {
        drydock_runtime::tasks::spawn("tapped", carry::carry(client, target.clone(), notes.clone()));
    }
}
