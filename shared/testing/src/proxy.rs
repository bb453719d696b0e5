//! A TCP proxy that can cut and heal the way to a server: connections are dropped and refused while it is cut.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A way to one server.
pub struct Proxy {
    address: SocketAddr,
    cut: Arc<watch::Sender<bool>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Listens on loopback and forwards to `target` (`host:port`).
    pub async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let cut = Arc::new(watch::Sender::new(false));
        let accepting = drydock_runtime::tasks::spawn("proxy", accept(listener, target, cut.clone()));
        Self { address, cut, accepting }
    }

    /// Where to connect instead of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drops all connections and refuses new ones.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Forwards again.
    pub fn heal(&self) {
        self.cut.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: String, cut: Arc<watch::Sender<bool>>) {
    while let Ok((client, _)) = listener.accept().await {
        let (target, mut cut) = (target.clone(), cut.subscribe());
        drydock_runtime::tasks::spawn("proxied", async move {
            if *cut.borrow() {
                return;
            }
            tokio::select! {
                _ = cut.wait_for(|cut| *cut) => {}
                () = forward(client, &target) => {}
            }
        });
    }
}

async fn forward(mut client: TcpStream, target: &str) {
    if let Ok(mut server) = TcpStream::connect(target).await {
        let _either_side_ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}
