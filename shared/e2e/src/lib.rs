//! Two programs that use a running stack as its users do: the live validation and the benchmark.

pub mod bench;
pub mod live;
