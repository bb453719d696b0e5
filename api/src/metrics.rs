//! Metrics of the HTTP side: how many requests, how they ended, how long they took, how many streams are open.

use drydock_runtime::metrics::LATENCY_SECONDS;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::workspaces::ENDS;

/// Request metrics. The route is the pattern, never the path.
#[derive(Clone, Debug)]
pub(crate) struct ApiMetrics {
    /// Seconds until the head of the response was ready.
    pub(crate) request_seconds: HistogramVec,
    /// Open event and log streams.
    pub(crate) streams: IntGauge,
    /// Daemons that are connected.
    pub(crate) daemons: IntGauge,
    /// Connections of daemons that are over, by how they ended.
    pub(crate) daemon_connections: IntCounterVec,
    /// Submissions no transaction has taken up yet.
    pub(crate) accept_waiting: IntGauge,
    /// Jobs of one accepting transaction.
    pub(crate) accept_batch_jobs: Histogram,
    /// Jobs asked for again on their own after their transaction failed, by what came of it.
    pub(crate) accept_again: IntCounterVec,
    /// Records of the audit log, by what came of writing them; those of jobs are written with the job.
    pub(crate) audit_records: IntCounterVec,
    /// Requests for jobs that came too soon.
    pub(crate) rate_limited: IntCounter,
    /// Other changes that came too soon.
    pub(crate) changes_limited: IntCounter,
    /// Keys and tokens that are nobody's, and came too soon after others.
    pub(crate) bad_keys_limited: IntCounter,
    /// Looks at issuers' keys, by how they ended.
    pub(crate) issuer_fetches: IntCounterVec,
    /// Open connections.
    pub(crate) connections: IntGauge,
    /// Connections refused, by which limit was reached.
    pub(crate) connections_refused: IntCounterVec,
    /// Connections ended, by what they did not do in time.
    pub(crate) connections_cut: IntCounterVec,
}

impl ApiMetrics {
    /// Registers them.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Seconds until the head of a response was ready, by method, route and status class.";
        let opts = HistogramOpts::new("drydock_api_request_seconds", help).buckets(LATENCY_SECONDS.to_vec());
        let request_seconds = HistogramVec::new(opts, &["method", "route", "status"])?;
        let streams = IntGauge::new("drydock_api_streams", "Open event and log streams.")?;
        registry.register(Box::new(request_seconds.clone()))?;
        registry.register(Box::new(streams.clone()))?;
        let (daemons, daemon_connections) = register_daemons(registry)?;
        let accept_waiting =
            IntGauge::new("drydock_api_accept_waiting", "Submissions no transaction has taken up yet.")?;
        registry.register(Box::new(accept_waiting.clone()))?;
        let help = "Jobs of one accepting transaction.";
        let buckets = vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
        let accept_batch_jobs =
            Histogram::with_opts(HistogramOpts::new("drydock_api_accept_batch_jobs", help).buckets(buckets))?;
        let help = "Jobs asked for again on their own after their transaction failed: accepted, refused or failed.";
        let accept_again = IntCounterVec::new(Opts::new("drydock_api_accept_again_total", help), &["outcome"])?;
        for outcome in ["accepted", "refused", "failed"] {
            accept_again.with_label_values(&[outcome]);
        }
        registry.register(Box::new(accept_batch_jobs.clone()))?;
        registry.register(Box::new(accept_again.clone()))?;
        let help = "Records of the audit log: written or failed. Those of new jobs are written with the job and not counted here.";
        let audit_records = IntCounterVec::new(Opts::new("drydock_api_audit_records_total", help), &["outcome"])?;
        for outcome in ["written", "failed"] {
            audit_records.with_label_values(&[outcome]);
        }
        registry.register(Box::new(audit_records.clone()))?;
        let help = "Requests for jobs refused because their tenant asked too often.";
        let rate_limited = IntCounter::new("drydock_api_rate_limited_total", help)?;
        registry.register(Box::new(rate_limited.clone()))?;
        let help = "Requests that may change something other than jobs, refused because their tenant asked too often.";
        let changes_limited = IntCounter::new("drydock_api_changes_limited_total", help)?;
        registry.register(Box::new(changes_limited.clone()))?;
        let help = "Requests with API keys or tokens that are nobody's, answered 429 because their address presented too many.";
        let bad_keys_limited = IntCounter::new("drydock_api_bad_keys_limited_total", help)?;
        registry.register(Box::new(bad_keys_limited.clone()))?;
        let help = "Looks at the keys of OIDC issuers, by outcome: ok or failed.";
        let issuer_fetches = IntCounterVec::new(Opts::new("drydock_api_issuer_fetches_total", help), &["outcome"])?;
        for outcome in ["ok", "failed"] {
            issuer_fetches.with_label_values(&[outcome]);
        }
        registry.register(Box::new(issuer_fetches.clone()))?;
        let (connections, connections_refused, connections_cut) = register_connections(registry)?;
        Ok(Self {
            request_seconds,
            streams,
            daemons,
            daemon_connections,
            accept_waiting,
            accept_batch_jobs,
            accept_again,
            audit_records,
            rate_limited,
            changes_limited,
            bad_keys_limited,
            issuer_fetches,
            connections,
            connections_refused,
            connections_cut,
        })
    }
}

fn register_daemons(registry: &Registry) -> prometheus::Result<(IntGauge, IntCounterVec)> {
    let daemons = IntGauge::new("drydock_api_daemons", "Daemons that are connected.")?;
    registry.register(Box::new(daemons.clone()))?;
    let help = "Connections of daemons that are over: gone, bye, refused, replaced, or for the server's own reasons.";
    let connections = IntCounterVec::new(Opts::new("drydock_api_daemon_connections_total", help), &["ended"])?;
    for ended in ENDS {
        connections.with_label_values(&[ended]);
    }
    registry.register(Box::new(connections.clone()))?;
    Ok((daemons, connections))
}

fn register_connections(registry: &Registry) -> prometheus::Result<(IntGauge, IntCounterVec, IntCounterVec)> {
    let connections = IntGauge::new("drydock_api_connections", "Open connections.")?;
    let help = "Connections refused because too many were open: of all, or of one address.";
    let refused = IntCounterVec::new(Opts::new("drydock_api_connections_refused_total", help), &["kind"])?;
    let help = "Connections ended by the server because no head of a request came in time, or because they were idle.";
    let cut = IntCounterVec::new(Opts::new("drydock_api_connections_cut_total", help), &["kind"])?;
    for kind in ["all", "address"] {
        refused.with_label_values(&[kind]);
    }
    for kind in ["head", "idle"] {
        cut.with_label_values(&[kind]);
    }
    registry.register(Box::new(connections.clone()))?;
    registry.register(Box::new(refused.clone()))?;
    registry.register(Box::new(cut.clone()))?;
    Ok((connections, refused, cut))
}
