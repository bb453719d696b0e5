//! The connection to the other side: a name is looked up once, its addresses are judged, and one of those is connected to.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use drydock_address::{Reach, reach};
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::Host;

use crate::{broker::Way, domain::Asked, egress::Egress, endpoint::Endpoint, meter::Metered, refusal::Refusal};

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Connects to what the agent asked for, if it may.
pub(crate) async fn to_domain(way: &Way, asked: &Asked) -> Result<Metered, Refusal> {
    let private = way.rules.allow(asked).ok_or(Refusal::Domain)?;
    let addresses = way.egress.addresses(asked.name()).await.map_err(|_| Refusal::Unknown)?;
    let is_allowed = |address: &IpAddr| match reach(*address) {
        Reach::Global => true,
        // Nor this broker itself, which would ask itself for ever.
        Reach::Private => private && SocketAddr::new(*address, asked.port()) != way.address,
        Reach::Never => false,
    };
    // One that is not allowed among others is a name that somebody turns about.
    if !addresses.iter().all(is_allowed) {
        return Err(Refusal::Address);
    }
    connect(&way.egress, &addresses, asked.port()).await
}

/// Connects to an endpoint, wherever the operator's URL leads.
pub(crate) async fn to_endpoint(egress: &Egress, endpoint: &Endpoint) -> Result<Metered, Refusal> {
    let addresses = match endpoint.host() {
        Host::Ipv4(address) => vec![address.into()],
        Host::Ipv6(address) => vec![address.into()],
        Host::Domain(name) => egress.addresses(name).await.map_err(|_| Refusal::Unknown)?,
    };
    connect(egress, &addresses, endpoint.port()).await
}

/// The same connection under TLS.
pub(crate) async fn under_tls(
    egress: &Egress,
    endpoint: &Endpoint,
    stream: Metered,
) -> Result<TlsStream<Metered>, Refusal> {
    let name = match endpoint.host() {
        Host::Ipv4(address) => ServerName::from(IpAddr::from(address)),
        Host::Ipv6(address) => ServerName::from(IpAddr::from(address)),
        Host::Domain(name) => {
            ServerName::try_from(name.to_owned()).map_err(|error| Refusal::Connect(io::Error::other(error)))?
        }
    };
    let shaking = TlsConnector::from(egress.trust()?).connect(name, stream);
    within(egress.bounds.connect, shaking).await
}

/// All addresses have one time together; each gets its share of what is left, so that one where nobody answers leaves some to the next.
async fn connect(egress: &Egress, addresses: &[IpAddr], port: u16) -> Result<Metered, Refusal> {
    let end = Instant::now() + egress.bounds.connect;
    let mut last = Refusal::Unknown;
    for (&address, left) in addresses.iter().zip((1..=addresses.len().min(MAX_ADDRESSES) as u32).rev()) {
        let share = end.saturating_duration_since(Instant::now()) / left;
        match within(share, TcpStream::connect(SocketAddr::new(address, port))).await {
            Ok(stream) => {
                // What is passed on was put together by its sender.
                stream.set_nodelay(true).map_err(Refusal::Connect)?;
                return Ok(Metered::new(stream, egress.metrics.clone()));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn within<T>(limit: Duration, step: impl Future<Output = io::Result<T>>) -> Result<T, Refusal> {
    let done = timeout(limit, step).await;
    done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(Refusal::Connect)
}
