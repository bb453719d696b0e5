//! The addresses of a name, asked for anew each time: they are connected to as they were checked.

use std::{net::IpAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::ResolverConfig,
    net::{NetError, runtime::TokioRuntimeProvider},
};

/// How long a name may take to be looked up.
const LOOKUP: Duration = Duration::from_secs(5);

/// A name that cannot be looked up, or has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name cannot be looked up, or has no address")]
pub struct Unknown;

/// All addresses of a host, at least one.
///
/// # Errors
/// There is none, or no answer in time.
pub async fn lookup(host: &str) -> Result<Vec<IpAddr>, Unknown> {
    let found = tokio::time::timeout(LOOKUP, ask(host)).await.map_err(|_| Unknown)?.map_err(|_| Unknown)?;
    if found.is_empty() { Err(Unknown) } else { Ok(found) }
}

/// Asks the name servers of this host, and its list of hosts. Not by the C library: that holds a thread for as long as a name server
/// says nothing, and threads are shared with everything else that waits.
async fn ask(host: &str) -> Result<Vec<IpAddr>, NetError> {
    // Without name servers there is the list of hosts still.
    let none = |_| TokioResolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default());
    let mut builder = TokioResolver::builder_tokio().unwrap_or_else(none);
    let options = builder.options_mut();
    // Each look-up is for one connection, which is to go where the name points now.
    options.cache_size = 0;
    // Asked twice, so that neither a lost datagram nor a name server that is away takes all the time.
    options.timeout = LOOKUP / 4;
    let found = builder.build()?.lookup_ip(host).await;
    let found = found.inspect_err(|error| tracing::debug!(host, "a name cannot be looked up: {error}"))?;
    Ok(found.iter().collect())
}
