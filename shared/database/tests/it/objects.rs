//! The collector against those who write, each interleaving driven step by step with two sessions: T-101 to T-104 and T-107 of the
//! workspace catalogue as far as they end at the database. What each turns red without is told with it.

mod collecting;
mod cost;
mod holding;
mod interleaving;
mod retaining;
mod store;
