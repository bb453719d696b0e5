//! The routes that most programs need, as methods; every other one is a [`Call`](crate::Call).

mod batches;
mod files;
mod jobs;
mod projects;

pub use self::files::FilePath;
