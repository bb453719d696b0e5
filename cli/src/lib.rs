#![doc = include_str!("../README.md")]

pub mod archive;
pub mod command;
pub mod contexts;
pub mod daemon;
mod error;
mod exit;
pub mod output;

pub use command::{Cli, run};
pub use error::CliError;
pub use exit::Exit;
