use std::net::Ipv6Addr;

use filters::model::limits::Limit;
use jiff::tz::TimeZone;

use super::*;

fn limiter(max_requests: u32, max_clients: usize) -> ClientLimiter {
    let plan = LimitPlan {
        limit: Limit {
            max_requests: Some(max_requests),
            ..Limit::default()
        },
        zone: TimeZone::UTC,
    };
    ClientLimiter::with_room(&plan, max_clients)
}

fn at(micros: u64) -> Moment {
    Moment {
        mono_ns: micros * 1_000,
        wall_ms: 0,
    }
}

fn passes(limiter: &ClientLimiter, client: IpAddr, micros: u64) -> bool {
    limiter.take(client, at(micros)).is_ok()
}

fn remembered(limiter: &ClientLimiter) -> Vec<ClientNet> {
    let shards = limiter.shards.iter();
    shards
        .flat_map(|shard| shard.lock().keys().copied().collect::<Vec<_>>())
        .collect()
}

fn v4(n: u32) -> IpAddr {
    Ipv4Addr::from(n).into()
}

#[test]
fn clients_do_not_share_a_limit() {
    let limiter = limiter(1, 1000);
    assert!(passes(&limiter, v4(1), 0));
    assert!(!passes(&limiter, v4(1), 1));
    assert!(passes(&limiter, v4(2), 2));
}

#[test]
fn an_ipv6_site_is_one_client() {
    let limiter = limiter(1, 1000);
    let site = |net: u16, host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, net, 0, 0, 0, host));
    assert!(passes(&limiter, site(1, 1), 0));
    assert!(!passes(&limiter, site(1, 2), 0));
    assert!(passes(&limiter, site(2, 1), 0));
}

#[test]
fn a_mapped_address_is_the_ipv4_client() {
    let limiter = limiter(1, 1000);
    let address = Ipv4Addr::new(192, 0, 2, 7);
    assert!(passes(&limiter, address.into(), 0));
    assert!(!passes(&limiter, address.to_ipv6_mapped().into(), 0));
}

#[test]
fn memory_is_bounded_and_a_client_at_its_limit_is_not_forgotten() {
    let limiter = limiter(4, 160);
    let offender = v4(u32::MAX);
    while passes(&limiter, offender, 0) {}
    for client in 0..10_000 {
        assert!(passes(&limiter, v4(client), client.into()));
        assert!(!passes(&limiter, offender, client.into()));
    }
    let remembered = remembered(&limiter);
    assert!(remembered.len() <= 160, "{} clients", remembered.len());
    assert!(remembered.contains(&ClientNet::of(offender)));
}

#[test]
fn clients_of_whom_nothing_is_counted_make_room_for_new_ones() {
    let limiter = limiter(2, 1600);
    for client in 0..1000 {
        passes(&limiter, v4(client), 0);
    }
    for client in 1000..3000 {
        passes(&limiter, v4(client), 65_000_000);
    }
    // At least one shard was full, and it forgot the first clients before any of the second.
    let remembered = remembered(&limiter);
    let first = |net: &&ClientNet| matches!(net, ClientNet::V4(address) if address.to_bits() < 1000);
    assert!(remembered.iter().filter(first).count() < 1000);
}

#[test]
fn a_burst_is_refused_within_the_window() {
    let plan = LimitPlan {
        limit: Limit {
            max_requests: Some(100),
            max_per_second: Some(2),
            ..Limit::default()
        },
        zone: TimeZone::UTC,
    };
    let limiter = ClientLimiter::with_room(&plan, 160);
    assert!(passes(&limiter, v4(1), 0) && passes(&limiter, v4(1), 0));
    let refused = limiter.take(v4(1), at(10)).unwrap_err();
    assert_eq!((refused.kind, refused.retry_after_seconds), (Kind::Second, 2));
    assert!(passes(&limiter, v4(1), 1_200_000));
}
