//! Settings of the collector: how long things are kept that nobody needs. Read once; the same for the loop and the command.

use std::time::Duration;

use drydock_runtime::config::positive_duration;

/// Settings of the collector.
#[derive(Clone, Debug, clap::Args)]
pub struct CollectorConfig {
    /// How long what nothing names is left alone before it is condemned, and a version after its successor was made
    #[arg(long, env = "DRYDOCK_GC_GRACE", default_value = "1h", value_parser = positive_duration)]
    pub gc_grace: Duration,
    /// How long what is condemned stays before it is deleted; longer than anybody reads a version
    #[arg(long, env = "DRYDOCK_GC_CONDEMNED_FOR", default_value = "24h", value_parser = positive_duration)]
    pub gc_condemned_for: Duration,
    /// After what time a deletion that was not reported is done again; longer than any request to object storage takes
    #[arg(long, env = "DRYDOCK_GC_SETTLE", default_value = "15m", value_parser = positive_duration)]
    pub gc_settle: Duration,
    /// Rows that one step of a pass takes at most
    #[arg(long, env = "DRYDOCK_GC_BATCH", default_value_t = 500, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub gc_batch: i32,
    /// How long the files of a failed attempt are kept
    #[arg(long, env = "DRYDOCK_KEEP_FAILED_WORKSPACES", default_value = "24h", value_parser = positive_duration)]
    pub keep_failed_workspaces: Duration,
}
