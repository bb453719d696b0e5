//! Three programs that use a stack as its users do: the live validation and the benchmark of a running one, and the chaos
//! run, which starts its own and breaks it.

pub mod bench;
pub mod chaos;
pub mod live;
pub mod process;
