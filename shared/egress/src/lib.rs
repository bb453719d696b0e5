#![doc = include_str!("../README.md")]

mod audit;
mod broker;
mod credential;
mod domain;
mod egress;
mod endpoint;
mod exchange;
mod headers;
mod meter;
mod metrics;
mod refusal;
mod route;
mod rules;
mod serve;
mod trust;
mod tunnel;
mod upstream;
mod visit;

pub use broker::Broker;
pub use domain::{Domain, DomainError};
pub use egress::{Bounds, Egress, Names};
pub use endpoint::{Endpoint, EndpointError, KeyHeader};
pub use metrics::{EgressMetrics, Outcome};
pub use rules::Rules;
