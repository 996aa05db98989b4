//! The demo: see `tour`.
fn main() {}
