//! A way to an HTTP server that spoils the n-th answer: what networks, load balancers and overloaded object storage do to
//! single requests. The server behind it is a real one. Speaks HTTP/1.1 with `Content-Length`, as S3 servers do.

mod carry;
mod message;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::net::TcpListener;

/// What happens to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpFault {
    /// 503 `SlowDown`; the server never sees the request.
    SlowDown,
    /// The connection is reset after half of the body, or instead of an answer that has none: what was asked for has happened.
    Reset,
    /// Half of the body, with a length that says so.
    Short,
    /// 200 with more than the range that was asked for, as of a server that knows no ranges. An answer that is no range passes.
    Whole,
    /// The last byte of the body is another one. An answer without a body passes.
    Damaged,
    /// 404; the server never sees the request.
    NotFound,
}

/// Which answers are spoiled.
#[derive(Clone, Copy, Debug)]
struct Trap {
    fault: HttpFault,
    at: u64,
    forever: bool,
}

#[derive(Debug, Default)]
struct Plan {
    requests: u64,
    spoiled: u64,
    trap: Option<Trap>,
    /// Requests at once that are not too many.
    most: Option<u64>,
    under_way: u64,
    peak: u64,
    /// What a fault that stays was met by first: it stays for the same object.
    target: Option<String>,
}

/// A way to one server.
#[derive(Debug)]
pub struct HttpFaults {
    address: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl HttpFaults {
    /// Listens on loopback and forwards to `server` (`host:port`).
    pub async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let plan = Arc::<Mutex<Plan>>::default();
        let accepting = drydock_runtime::tasks::spawn("http faults", accept(listener, server, plan.clone()));
        Self { address, plan, accepting }
    }

    /// Where to connect instead of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Counts from zero again, and spoils nothing.
    pub fn heal(&self) {
        self.plan(Plan::default());
    }

    /// Spoils the answer to the request number `at` from now on, counted from 0.
    pub fn once(&self, at: u64, fault: HttpFault) {
        self.plan(Plan { trap: Some(Trap { fault, at, forever: false }), ..Plan::default() });
    }

    /// Answers [`HttpFault::SlowDown`] to each request that is one more than `most` at once.
    pub fn bear(&self, most: u64) {
        self.plan(Plan { most: Some(most), ..Plan::default() });
    }

    /// As [`Self::once`], and every further answer about the same object.
    pub fn forever(&self, at: u64, fault: HttpFault) {
        self.plan(Plan { trap: Some(Trap { fault, at, forever: true }), ..Plan::default() });
    }

    /// Requests since it was last healed or armed.
    pub fn requests(&self) -> u64 {
        lock(&self.plan).requests
    }

    /// Answers it spoiled since then.
    pub fn spoiled(&self) -> u64 {
        lock(&self.plan).spoiled
    }

    /// Most requests that were under way at once since then.
    pub fn peak(&self) -> u64 {
        lock(&self.plan).peak
    }

    /// The path of the object whose answers are spoiled.
    pub fn target(&self) -> Option<String> {
        lock(&self.plan).target.clone()
    }
}

impl HttpFaults {
    fn plan(&self, plan: Plan) {
        let mut old = lock(&self.plan);
        *old = Plan { under_way: old.under_way, ..plan };
    }
}

impl Drop for HttpFaults {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Plan {
    /// What happens to the next request.
    fn next(&mut self, target: &str) -> Option<HttpFault> {
        let number = self.requests;
        self.requests += 1;
        self.under_way += 1;
        self.peak = self.peak.max(self.under_way);
        if self.most.is_some_and(|most| self.under_way > most) {
            return Some(HttpFault::SlowDown);
        }
        let trap = self.trap?;
        let is_same = trap.forever && self.target.as_deref() == Some(target);
        if number != trap.at && !is_same {
            return None;
        }
        self.target = Some(target.to_owned());
        Some(trap.fault)
    }
}

fn lock(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, server: String, plan: Arc<Mutex<Plan>>) {
    while let Ok((client, _)) = listener.accept().await {
        drydock_runtime::tasks::spawn("http connection", carry::carry(client, server.clone(), plan.clone()));
    }
}
