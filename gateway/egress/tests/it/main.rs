//! The egress client against real partners: HTTP servers, raw sockets, TLS servers and a DNS server on free ports.

mod addresses;
mod bodies;
mod connections;
mod dns;
mod multiplex;
mod partner;
mod timeouts;
mod tokens;
mod trust;
