//! The API in this process, on port 0, against a real PostgreSQL and a real S3 server. One file per part of the URL space.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod again;
mod auth;
mod batches;
mod by_hand;
mod conformance;
mod connections;
mod cors;
mod deletion;
mod errors;
mod events;
mod files;
mod fleet;
mod forks;
mod harness;
mod headers;
mod hostile;
mod import;
mod inputs;
mod intake;
mod jobs;
mod logs;
mod malformed;
mod openapi;
mod operations;
mod outages;
mod patches;
mod projects;
mod rates;
mod restores;
mod schedules;
mod search;
mod sessions;
mod versions;
mod waiting;
mod webhooks;
mod workspaces;
