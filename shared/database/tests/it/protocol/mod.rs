//! The SQL protocol against a model of it: the same steps on both, every answer and every row compared.

mod check;
mod driver;
mod generate;
mod model;
mod mutants;
mod op;
mod property;
mod races;
pub(crate) mod random;
mod runner;
mod scripts;
