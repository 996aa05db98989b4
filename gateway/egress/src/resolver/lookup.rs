//! One question to DNS.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::time::{Instant, timeout};

use super::name::Records;
use crate::error::ResolveError;

/// Asks for the addresses of `host`, with the search list and the retries of the configuration, and a limit.
pub(super) async fn look_up(
    dns: &TokioResolver,
    families: [RecordType; 2],
    host: &str,
) -> Result<Records, ResolveError> {
    timeout(LIMIT, ask(dns, families, host))
        .await
        .unwrap_or_else(|_| Err(timed_out(host)))
}

/// Asks for one family after the other. Only an answer that there is nothing leads to the second question: a failure of
/// the first says nothing about the name, and must not send connections to addresses of last resort.
async fn ask(dns: &TokioResolver, families: [RecordType; 2], host: &str) -> Result<Records, ResolveError> {
    let failed = |reason: String| ResolveError::Failed {
        host: host.to_owned(),
        reason,
    };
    let name = Name::from_ascii(host).map_err(|error| failed(error.to_string()))?;
    for family in families {
        match dns.lookup(name.clone(), family).await {
            Ok(found) => {
                let addresses: Vec<_> = found
                    .answers()
                    .iter()
                    .filter_map(|record| record.data.ip_addr())
                    .collect();
                if !addresses.is_empty() {
                    let ttl = found.valid_until().saturating_duration_since(std::time::Instant::now());
                    return Ok(Records::new(addresses, ttl, Instant::now()));
                }
            }
            Err(error) if error.is_no_records_found() => {}
            Err(NetError::Timeout) => return Err(timed_out(host)),
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    Err(ResolveError::NotFound { host: host.to_owned() })
}

fn timed_out(host: &str) -> ResolveError {
    ResolveError::Timeout {
        host: host.to_owned(),
        after: LIMIT,
    }
}

/// Which addresses to ask for: those of the family that this machine has a route for, IPv4 if it has both or neither, and
/// the others only if there are none. One family at a time, so that no connection is sent where it cannot arrive.
pub(super) fn families() -> [RecordType; 2] {
    let v4 = has_route(
        (Ipv4Addr::new(192, 0, 2, 1), PORT).into(),
        (Ipv4Addr::UNSPECIFIED, 0).into(),
    );
    let v6 = has_route(
        (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), PORT).into(),
        (Ipv6Addr::UNSPECIFIED, 0).into(),
    );
    if v6 && !v4 {
        [RecordType::AAAA, RecordType::A]
    } else {
        [RecordType::A, RecordType::AAAA]
    }
}

/// Connecting a UDP socket looks the route up and sends nothing.
fn has_route(to: SocketAddr, from: SocketAddr) -> bool {
    UdpSocket::bind(from).and_then(|socket| socket.connect(to)).is_ok()
}

/// For all name servers, families and retries together.
const LIMIT: Duration = Duration::from_secs(10);
const PORT: u16 = 443;
