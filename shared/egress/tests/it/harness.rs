//! A broker, servers that it leads to, and a client that writes what it is told.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use drydock_egress::{Bounds, Broker, Domain, Egress, EgressMetrics, Endpoint, KeyHeader, Names, Rules};
use prometheus::Registry;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

pub(crate) const KEY: &str = "sk-real-4711-of-the-worker";
/// The name of the servers' certificate.
pub(crate) const SERVER: &str = "model.example";

/// A broker and what it said.
pub(crate) struct Stage {
    pub(crate) broker: Broker,
    lines: mpsc::Receiver<String>,
    registry: Registry,
}

/// What a broker is made with.
pub(crate) struct Setting {
    pub(crate) domains: Vec<Domain>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) names: BTreeMap<String, Vec<IpAddr>>,
    pub(crate) bounds: Bounds,
    pub(crate) roots: RootCertStore,
}

impl Setting {
    pub(crate) fn new() -> Self {
        let (domains, endpoints) = (Vec::new(), Vec::new());
        Self { domains, endpoints, names: BTreeMap::new(), bounds: Bounds::default(), roots: RootCertStore::empty() }
    }

    /// A private domain that leads to loopback.
    pub(crate) fn with_domain(mut self, name: &str, port: u16) -> Self {
        self.domains.push(format!("{name}:{port}").parse::<Domain>().unwrap().private());
        self.with_name(name, [Ipv4Addr::LOCALHOST.into()])
    }

    pub(crate) fn with_name<const N: usize>(mut self, name: &str, addresses: [IpAddr; N]) -> Self {
        self.names.insert(name.to_owned(), addresses.to_vec());
        self
    }

    pub(crate) fn with_endpoint(mut self, url: &str) -> Self {
        let key = Some(KEY.as_bytes().to_vec().into());
        self.endpoints.push(Endpoint::new("MODEL_URL", url, KeyHeader::Bearer, key).unwrap());
        self
    }

    pub(crate) fn open(self) -> Stage {
        let registry = Registry::new();
        let egress = Egress::new(EgressMetrics::register(&registry).unwrap());
        let egress = egress.with_names(Names::List(self.names)).with_bounds(self.bounds).with_roots(self.roots);
        let (sender, lines) = mpsc::channel(2000);
        let rules = Rules { domains: self.domains, endpoints: self.endpoints };
        Stage { broker: Broker::open(&egress, Arc::new(rules), sender).unwrap(), lines, registry }
    }
}

impl Stage {
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.broker.port()).into()
    }

    /// The header that lets a client through.
    pub(crate) fn pass(&self) -> String {
        let url = self.broker.proxy_url();
        let user_info = url.strip_prefix("http://").unwrap().split('@').next().unwrap();
        format!(
            "Proxy-Authorization: Basic {}\r\n",
            base64::Engine::encode(&base64::prelude::BASE64_STANDARD, user_info)
        )
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.broker.placeholder())
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// Writes this and reads until the other side closes.
    pub(crate) async fn say(&self, text: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // The broker may have closed before all of it was written.
        let _cut = stream.write_all(text.as_ref()).await;
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// `CONNECT`, with the credential: the answer's status, and the connection.
    pub(crate) async fn tunnel(&self, to: &str) -> (String, BufReader<TcpStream>) {
        let mut stream = BufReader::new(self.connect().await);
        let head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{}\r\n", self.pass());
        stream.write_all(head.as_bytes()).await.unwrap();
        (head_of(&mut stream).await, stream)
    }

    /// The samples of a metric.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == format!("drydock_worker_egress_{name}")).unwrap();
        let has = |metric: &&prometheus::proto::Metric| {
            label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label)
        };
        let metric = family.get_metric().iter().find(has).unwrap();
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    }

    /// Ends the broker; all it said.
    pub(crate) async fn close(mut self) -> Vec<String> {
        self.broker.close().await;
        let mut said = Vec::new();
        while let Some(line) = self.lines.recv().await {
            said.push(line);
        }
        said
    }
}

/// Reads a head up to its empty line.
pub(crate) async fn head_of(stream: &mut (impl AsyncBufRead + Unpin)) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
            break;
        }
    }
    head
}

/// A server that keeps each connection's bytes and gives each the same answer once it has read a head; then it reads on, and closes.
pub(crate) struct Server {
    pub(crate) port: u16,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    said: Vec<String>,
    over: usize,
}

impl Server {
    pub(crate) async fn start(answer: &'static str) -> Self {
        Self::serve(answer, None).await
    }

    /// The same under TLS, and who vouches for it.
    pub(crate) async fn start_tls(answer: &'static str) -> (Self, RootCertStore) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([SERVER.to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = builder.with_single_cert(vec![cert.der().clone()], key).unwrap();
        (Self::serve(answer, Some(TlsAcceptor::from(Arc::new(config)))).await, roots)
    }

    async fn serve(answer: &'static str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let notes = heard.clone();
        drydock_runtime::tasks::spawn("server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, notes) = (tls.clone(), notes.clone());
                drydock_runtime::tasks::spawn("connection", async move {
                    match tls {
                        None => converse(stream, answer, &notes).await,
                        // A client that does not trust it says so and goes.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, answer, &notes).await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, heard }
    }

    /// What each connection said, once all are over.
    pub(crate) async fn heard(&self) -> Vec<String> {
        let over = || async {
            let heard = self.heard.lock().unwrap();
            (heard.over == heard.said.len()).then(|| heard.said.clone())
        };
        drydock_testing::until("the server's connections are over", Duration::from_secs(20), over).await
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str, notes: &Mutex<Heard>) {
    let mut stream = BufReader::new(stream);
    let mut said = head_of(&mut stream).await;
    let at = {
        let mut notes = notes.lock().unwrap();
        notes.said.push(String::new());
        notes.said.len() - 1
    };
    let _gone = stream.write_all(answer.as_bytes()).await;
    let _gone = stream.flush().await;
    let mut rest = Vec::new();
    let _reset = stream.read_to_end(&mut rest).await;
    said.push_str(&String::from_utf8_lossy(&rest));
    let mut notes = notes.lock().unwrap();
    notes.said[at] = said;
    notes.over += 1;
}
