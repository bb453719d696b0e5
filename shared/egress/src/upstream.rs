//! The connection to the other side: a name is looked up once, its addresses are judged, and one of those is connected to.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use drydock_address::{Reach, reach};
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::Host;

use crate::{broker::Way, domain::Asked, egress::Egress, endpoint::Endpoint, meter::Metered, refusal::Refusal};

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
    within(egress, shaking).await
}

async fn connect(egress: &Egress, addresses: &[IpAddr], port: u16) -> Result<Metered, Refusal> {
    let mut last = Refusal::Unknown;
    for &address in addresses {
        match within(egress, TcpStream::connect(SocketAddr::new(address, port))).await {
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

async fn within<T>(egress: &Egress, step: impl Future<Output = io::Result<T>>) -> Result<T, Refusal> {
    let done = timeout(egress.bounds.connect, step).await;
    done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(Refusal::Connect)
}
