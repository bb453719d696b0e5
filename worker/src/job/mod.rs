//! One attempt at a job: `run.rs` lists the stages in order, each stage is a file.

mod attempt;
mod error;
mod execute;
mod finish;
mod prepare;
mod preparing;
mod push;
mod run;
mod said;
mod serve;
mod tell;
mod unknown;

pub(crate) use attempt::Attempt;
pub(crate) use tell::Finishing;
pub(crate) use unknown::end_unknown;

#[cfg(test)]
mod tests;
