//! One question to DNS.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::Name;
use tokio::time::{Instant, timeout};

use super::name::Records;
use crate::error::ResolveError;

/// Asks for the addresses of `host`, with the search list and the retries of the configuration, and a limit.
pub(super) async fn look_up(dns: &TokioResolver, host: &str) -> Result<Records, ResolveError> {
    let failed = |reason: String| ResolveError::Failed {
        host: host.to_owned(),
        reason,
    };
    let name = Name::from_ascii(host).map_err(|error| failed(error.to_string()))?;
    match timeout(LIMIT, dns.lookup_ip(name)).await {
        Err(_) | Ok(Err(NetError::Timeout)) => Err(ResolveError::Timeout {
            host: host.to_owned(),
            after: LIMIT,
        }),
        Ok(Err(error)) if error.is_no_records_found() => Err(ResolveError::NotFound { host: host.to_owned() }),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Ok(Ok(found)) => {
            let ttl = found.valid_until().saturating_duration_since(std::time::Instant::now());
            Ok(Records::new(found.iter().collect(), ttl, Instant::now()))
        }
    }
}

/// Which addresses to ask for: those of the family that this machine has a route for, IPv4 if it has both or neither, and
/// the others only if there are none. One family at a time, so that no connection is sent where it cannot arrive.
pub(super) fn family() -> LookupIpStrategy {
    let v4 = has_route(
        (Ipv4Addr::new(192, 0, 2, 1), PORT).into(),
        (Ipv4Addr::UNSPECIFIED, 0).into(),
    );
    let v6 = has_route(
        (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), PORT).into(),
        (Ipv6Addr::UNSPECIFIED, 0).into(),
    );
    if v6 && !v4 {
        LookupIpStrategy::Ipv6thenIpv4
    } else {
        LookupIpStrategy::Ipv4thenIpv6
    }
}

/// Connecting a UDP socket looks the route up and sends nothing.
fn has_route(to: SocketAddr, from: SocketAddr) -> bool {
    UdpSocket::bind(from).and_then(|socket| socket.connect(to)).is_ok()
}

/// For all name servers, families and retries together.
const LIMIT: Duration = Duration::from_secs(10);
const PORT: u16 = 443;
