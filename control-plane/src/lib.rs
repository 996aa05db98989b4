//! The control plane of the Integration Gateway, and its command line.

pub mod cli;
