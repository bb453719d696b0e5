#![doc = include_str!("../README.md")]

mod lookup;
mod reach;

pub use lookup::{Unknown, lookup};
pub use reach::{Reach, is_global, reach};
