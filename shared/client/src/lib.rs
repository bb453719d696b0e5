#![doc = include_str!("../README.md")]

mod address;
mod call;
mod error;
mod follow;
mod handle;
mod operations;
mod requests;
pub mod sse;
pub mod views;
mod wait;

pub use self::{
    call::{Call, Document},
    error::{ClientError, Refusal},
    handle::{Client, Notice},
    operations::FilePath,
    requests::{NewJob, NewProject},
    wait::{Ending, Waited},
};
