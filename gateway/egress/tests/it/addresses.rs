//! No connection goes to an address that the policy refuses.

use egress::{EgressError, ResolveError, Upstream};
use filters::address::{AddressClass, EgressPolicy};
use filters::target::TargetUrl;
use http::Response;
use http_body_util::Full;

use crate::partner::{PATIENT, Partner, get, open, pool, resolver, text};

fn allowing(network: &str) -> EgressPolicy {
    EgressPolicy {
        block_private_networks: true,
        allowed_networks: vec![network.parse().expect("a network")],
    }
}

#[tokio::test]
async fn a_private_address_is_refused_and_not_connected_to() {
    let partner = Partner::start(|_| Response::new(Full::default())).await;
    let port = partner.address.port();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost"] {
        let pool = pool(&format!("http://{host}:{port}/"), EgressPolicy::default());
        let error = pool.send(get("/"), PATIENT).await.unwrap_err();
        let EgressError::Refused { refused, .. } = &error else {
            panic!("{host}: {error:?}");
        };
        assert_eq!(refused.class, AddressClass::Loopback, "{host}");
        assert_eq!(error.label(), "refused");
        assert!(!error.may_have_been_sent());
    }
    assert_eq!(partner.connections(), 0);
}

#[tokio::test]
async fn an_allowed_network_passes() {
    let partner = Partner::start(|_| Response::new(Full::from("in"))).await;
    let port = partner.address.port();
    for host in ["127.0.0.1", "localhost"] {
        let pool = pool(&format!("http://{host}:{port}/"), allowing("127.0.0.1/32"));
        assert_eq!(text(&pool, "/").await, "in", "{host}");
    }
    let elsewhere = pool(&partner.url(), allowing("127.0.0.2/32"));
    assert!(elsewhere.send(get("/"), PATIENT).await.is_err());
}

#[tokio::test]
async fn an_upstream_gives_the_streaming_path_checked_addresses() {
    let target = || TargetUrl::parse("http://127.0.0.1:9090/").unwrap();
    let upstream = Upstream::new(target(), open(), resolver());
    assert_eq!(upstream.address().await.unwrap(), "127.0.0.1:9090".parse().unwrap());
    let upstream = Upstream::new(target(), EgressPolicy::default(), resolver());
    assert!(matches!(
        upstream.address().await.unwrap_err(),
        ResolveError::Refused { .. }
    ));
}
