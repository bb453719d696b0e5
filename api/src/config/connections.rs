//! Settings of connections: how many, and how long one may do nothing.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use drydock_runtime::config::positive_duration;

/// Limits of connections, of each API process by itself. None of them ends an answer's stream or a WebSocket that is open; a
/// request's body that pauses for longer than the body timeout is 408.
#[derive(Clone, Debug, clap::Args)]
pub struct ConnectionConfig {
    /// Connections open at once; beyond it new ones are refused with 503. Fewer where the process may not have so many files open
    #[arg(long, env = "DRYDOCK_API_CONNECTION_LIMIT", default_value = "10000")]
    pub connection_limit: NonZeroUsize,
    /// Of these, of one address (a /64 of IPv6); trusted proxies may have any number
    #[arg(long, env = "DRYDOCK_API_ADDRESS_CONNECTION_LIMIT", default_value = "2500")]
    pub address_connection_limit: NonZeroUsize,
    /// Longest time from a request's first byte to the end of its head, and from connecting to the first request; it may take twice as
    /// long until a connection is ended for it
    #[arg(long, env = "DRYDOCK_API_HEAD_TIMEOUT", default_value = "10s", value_parser = positive_duration)]
    pub head_timeout: Duration,
    /// Longest time between two parts of a request's body; a JSON body has to be there in whole within it. Then the answer is 408
    #[arg(long, env = "DRYDOCK_API_BODY_TIMEOUT", default_value = "60s", value_parser = positive_duration)]
    pub body_timeout: Duration,
    /// How long a connection without a request is kept. Longer than a proxy in front keeps its own, or it meets closed ones
    #[arg(long, env = "DRYDOCK_API_IDLE_TIMEOUT", default_value = "2m", value_parser = positive_duration)]
    pub idle_timeout: Duration,
    /// Requests that one HTTP/2 connection may have open at once
    #[arg(long, env = "DRYDOCK_API_HTTP2_STREAM_LIMIT", default_value = "250")]
    pub http2_stream_limit: NonZeroU32,
}
