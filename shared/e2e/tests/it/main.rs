//! The whole system: real binaries, real PostgreSQL, RabbitMQ and S3, two APIs and two dispatchers, requests spread over both.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, helper functions included")]

mod stack;

mod amnesty;
mod batches;
mod broker;
mod churn;
mod codex;
mod collect;
mod contact;
mod crash;
mod daemons;
mod drain;
mod examples;
mod failover;
mod isolation;
mod leader;
mod load;
mod locality;
mod logs;
mod main_job;
mod outages;
mod results;
mod secrets;
mod sessions;
mod start;
mod tickets;
mod together;
mod webhooks;
mod zombie;
