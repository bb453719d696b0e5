//! The real command against the real API, with PostgreSQL and S3 behind it. Jobs are moved by a worker's own calls.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

mod admin;
mod audit;
mod batches;
mod doctor;
mod exit_codes;
mod fleet;
mod gc;
mod harness;
mod jobs;
mod keys;
mod logs;
mod manual;
mod output;
mod people;
mod projects;
mod pushes;
mod schedules;
mod search;
mod sessions;
mod stand_in;
mod terminal;
mod versions;
mod webhooks;
mod worker;
mod workspaces;
