//! The test broker: shared, so that each test takes a pool (and with it a queue) of its own.

use drydock_queue::{Broker, QueueConfig, QueueMetrics};
use uuid::Uuid;

/// A pool name nobody else uses.
pub fn pool() -> String {
    format!("test-{}", Uuid::now_v7().simple())
}

/// The test broker, with metrics of its own.
pub fn broker() -> Broker {
    let url = crate::setting("DRYDOCK_TEST_AMQP_URL").into();
    let metrics = QueueMetrics::register(&prometheus::Registry::new()).expect("a fresh registry has no such metrics");
    Broker::new(&QueueConfig::default(), &url, metrics).expect("DRYDOCK_TEST_AMQP_URL is an AMQP URL")
}
