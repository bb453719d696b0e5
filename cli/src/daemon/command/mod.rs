//! Commands of jobs, without a shell: by allow-list, inside the folder, under limits.

mod options;
mod paths;
mod policy;
mod run;

use std::time::Duration;

pub use self::policy::DEFAULT;
pub(crate) use self::{
    paths::Inside,
    policy::Policy,
    run::{Answer, Ran, Run, run},
};

/// What a command may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time.
    pub timeout: Duration,
    /// Longest time of a snippet of code.
    pub snippet: Duration,
    /// Most bytes of output.
    pub output: usize,
}
