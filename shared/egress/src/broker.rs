//! `Broker`: the way out of one attempt, from before its agent starts until after its end.

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{audit::Audit, credential::Credential, egress::Egress, endpoint::Endpoint, rules::Rules, serve::serve};

/// What the tasks of one broker share.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) egress: Egress,
    pub(crate) rules: Arc<Rules>,
    pub(crate) credential: Credential,
    pub(crate) audit: Audit,
    /// Where the broker listens.
    pub(crate) address: SocketAddr,
    /// Ends all of it.
    pub(crate) over: CancellationToken,
    tasks: TaskTracker,
}

impl Way {
    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        drop(drydock_runtime::tasks::spawn(name, self.tasks.track_future(task)));
    }
}

/// A broker that listens. Dropping it ends it at once; [`Self::close`] waits until its last line is told.
#[derive(Debug)]
pub struct Broker {
    way: Arc<Way>,
}

impl Broker {
    /// Listens on a free port of loopback from now on; `lines` gets a line for each request.
    ///
    /// # Errors
    /// There is no port to be had.
    pub fn open(egress: &Egress, rules: Arc<Rules>, lines: mpsc::Sender<String>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let way = Arc::new(Way {
            egress: egress.clone(),
            rules,
            credential: Credential::generate(),
            audit: Audit::new(lines, egress.metrics.clone()),
            address,
            over: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        way.spawn("egress", serve(way.clone(), listener));
        Ok(Self { way })
    }

    /// The one port that its agent may reach.
    pub fn port(&self) -> u16 {
        self.way.address.port()
    }

    /// What it may be asked for.
    pub fn rules(&self) -> &Rules {
        &self.way.rules
    }

    /// The value of `HTTPS_PROXY` and `HTTP_PROXY`. Holds the credential.
    pub fn proxy_url(&self) -> String {
        format!("http://{}@{}", self.way.credential.user_info(), self.way.address)
    }

    /// Where the agent finds an endpoint.
    pub fn url(&self, endpoint: &Endpoint) -> String {
        format!("http://{}/{}", self.way.address, endpoint.name())
    }

    /// What the agent gets in place of keys: the attempt's own credential.
    pub fn placeholder(&self) -> &str {
        self.way.credential.text()
    }

    /// Ends it: what is under way is cut off, and told.
    pub async fn close(self) {
        self.way.over.cancel();
        self.way.tasks.close();
        self.way.tasks.wait().await;
        self.way.audit.close().await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.way.over.cancel();
    }
}
