//! The jail.
fn main() {}
