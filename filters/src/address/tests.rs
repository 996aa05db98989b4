use proptest::prelude::{any, proptest};

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn networks(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn strict(allowed: &[&str]) -> EgressPolicy {
    EgressPolicy {
        block_private_networks: true,
        allowed_networks: networks(allowed),
    }
}

fn open() -> EgressPolicy {
    EgressPolicy {
        block_private_networks: false,
        allowed_networks: Vec::new(),
    }
}

#[test]
fn ipv4_classes_begin_and_end_where_the_registry_says() {
    use AddressClass::{
        Benchmark, Broadcast, Documentation, LinkLocal, Loopback, Metadata, Multicast, Private, ProtocolAssignment,
        Public, Reserved, SharedCgnat, ThisNetwork, Unspecified,
    };
    let expected = [
        ("0.0.0.0", Unspecified),
        ("0.0.0.1", ThisNetwork),
        ("0.255.255.255", ThisNetwork),
        ("1.0.0.0", Public),
        ("9.255.255.255", Public),
        ("10.0.0.0", Private),
        ("10.255.255.255", Private),
        ("11.0.0.0", Public),
        ("100.63.255.255", Public),
        ("100.64.0.0", SharedCgnat),
        ("100.100.100.200", Metadata),
        ("100.127.255.255", SharedCgnat),
        ("100.128.0.0", Public),
        ("126.255.255.255", Public),
        ("127.0.0.1", Loopback),
        ("127.255.255.255", Loopback),
        ("128.0.0.0", Public),
        ("168.63.129.16", Metadata),
        ("168.63.129.17", Public),
        ("169.253.255.255", Public),
        ("169.254.0.0", LinkLocal),
        ("169.254.169.254", Metadata),
        ("169.254.170.2", Metadata),
        ("169.254.170.23", Metadata),
        ("169.254.255.255", LinkLocal),
        ("172.15.255.255", Public),
        ("172.16.0.0", Private),
        ("172.31.255.255", Private),
        ("172.32.0.0", Public),
        ("192.0.0.8", ProtocolAssignment),
        ("192.0.0.192", Metadata),
        ("192.0.1.0", Public),
        ("192.0.2.1", Documentation),
        ("192.88.99.1", ProtocolAssignment),
        ("192.167.255.255", Public),
        ("192.168.0.0", Private),
        ("192.169.0.0", Public),
        ("198.17.255.255", Public),
        ("198.18.0.0", Benchmark),
        ("198.19.255.255", Benchmark),
        ("198.20.0.0", Public),
        ("198.51.100.7", Documentation),
        ("203.0.113.7", Documentation),
        ("223.255.255.255", Public),
        ("224.0.0.1", Multicast),
        ("239.255.255.255", Multicast),
        ("240.0.0.0", Reserved),
        ("255.255.255.254", Reserved),
        ("255.255.255.255", Broadcast),
    ];
    for (text, class) in expected {
        assert_eq!(AddressClass::of(ip(text)), class, "{text}");
    }
}

#[test]
fn ipv6_classes_begin_and_end_where_the_registry_says() {
    use AddressClass::{
        Benchmark, Documentation, LinkLocal, Loopback, Metadata, Multicast, Orchid, ProtocolAssignment, Public,
        Reserved, SiteLocal, UniqueLocal, Unspecified,
    };
    let expected = [
        ("::", Unspecified),
        ("::1", Loopback),
        ("100::1", Reserved),
        ("1fff:ffff::1", Reserved),
        ("2000::1", Public),
        ("2001:1::1", ProtocolAssignment),
        ("2001:2::1", Benchmark),
        ("2001:10::1", Orchid),
        ("2001:1f:ffff::1", Orchid),
        ("2001:20::1", Orchid),
        ("2001:30::1", ProtocolAssignment),
        ("2001:1ff:ffff::1", ProtocolAssignment),
        ("2001:200::1", Public),
        ("2001:db7:ffff::1", Public),
        ("2001:db8::1", Documentation),
        ("2001:db9::1", Public),
        ("2606:4700::1111", Public),
        ("3fff::1", Documentation),
        ("3fff:fff:ffff::1", Documentation),
        ("3fff:1000::1", Public),
        ("4000::1", Reserved),
        ("5f00::1", Reserved),
        ("fbff::1", Reserved),
        ("fc00::1", UniqueLocal),
        ("fd00:ec2::254", Metadata),
        ("fd00:ec2::253", UniqueLocal),
        ("fdff:ffff::1", UniqueLocal),
        ("fe00::1", Reserved),
        ("fe80::1", LinkLocal),
        ("febf::1", LinkLocal),
        ("fec0::1", SiteLocal),
        ("feff::1", SiteLocal),
        ("ff02::1", Multicast),
    ];
    for (text, class) in expected {
        assert_eq!(AddressClass::of(ip(text)), class, "{text}");
    }
}

#[test]
fn embedded_ipv4_decides_the_class() {
    use AddressClass::{Loopback, Metadata, Private, Public, Transition};
    let expected = [
        // v4-mapped
        ("::ffff:8.8.8.8", Public),
        ("::ffff:127.0.0.1", Loopback),
        ("::ffff:169.254.169.254", Metadata),
        // NAT64
        ("64:ff9b::8.8.8.8", Public),
        ("64:ff9b::10.0.0.1", Private),
        ("64:ff9b::169.254.169.254", Metadata),
        ("64:ff9b:1::8.8.8.8", Transition),
        ("64:ff9b:1:ffff::1", Transition),
        // v4-compatible and v4-translated
        ("::8.8.8.8", Transition),
        ("::127.0.0.1", Loopback),
        ("::ffff:0:10.0.0.1", Private),
        // 6to4
        ("2002:a00:1::1", Private),
        ("2002:7f00:1::", Loopback),
        ("2002:808:808::1", Transition),
        // Teredo: client 10.0.0.1 behind a public server, then the other way round
        ("2001:0:808:808::f5ff:fffe", Private),
        ("2001:0:a00:1::f7f7:f7f7", Private),
        ("2001:0:808:808::f7f7:f7f7", Transition),
        // ISATAP under a public prefix
        ("2606:4700::5efe:10.0.0.1", Private),
        ("2606:4700::200:5efe:127.0.0.1", Loopback),
    ];
    for (text, class) in expected {
        assert_eq!(AddressClass::of(ip(text)), class, "{text}");
    }
}

#[test]
fn only_public_addresses_pass_the_strict_policy() {
    let policy = EgressPolicy::default();
    assert_eq!(policy.check(ip("93.184.216.34")), Ok(()));
    assert_eq!(policy.check(ip("2606:4700::1111")), Ok(()));
    for text in [
        "127.0.0.1",
        "10.1.2.3",
        "::1",
        "::ffff:10.0.0.1",
        "fe80::1",
        "2001:db8::1",
    ] {
        let refused = policy.check(ip(text)).unwrap_err();
        assert_eq!(refused.address, ip(text));
        assert_eq!(refused.class, AddressClass::of(ip(text)));
    }
}

#[test]
fn an_allowed_network_lets_exactly_its_addresses_through() {
    let policy = strict(&["10.1.0.0/16", "fd12::/32"]);
    for passes in ["10.1.0.0", "10.1.255.255", "fd12::1"] {
        assert_eq!(policy.check(ip(passes)), Ok(()), "{passes}");
    }
    for refused in ["10.0.255.255", "10.2.0.0", "127.0.0.1", "fd12:1::1", "fd13::1"] {
        assert!(policy.check(ip(refused)).is_err(), "{refused}");
    }
}

#[test]
fn mapped_forms_are_compared_as_ipv4() {
    assert_eq!(strict(&["10.1.0.0/16"]).check(ip("::ffff:10.1.2.3")), Ok(()));
    assert_eq!(strict(&["::ffff:10.1.0.0/112"]).check(ip("10.1.2.3")), Ok(()));
    assert_eq!(strict(&["::ffff:10.1.0.0/112"]).check(ip("::ffff:10.1.2.3")), Ok(()));
    assert!(strict(&["::ffff:10.1.0.0/112"]).check(ip("10.2.0.1")).is_err());
    // All of IPv6 is not all of IPv4.
    assert!(strict(&["::/0"]).check(ip("::ffff:10.1.2.3")).is_err());
    // A translated form is another way to the same place and is not covered by the IPv4 range.
    assert!(strict(&["10.1.0.0/16"]).check(ip("64:ff9b::10.1.2.3")).is_err());
}

#[test]
fn what_is_no_destination_is_refused_by_every_policy() {
    let everything = strict(&["0.0.0.0/0", "::/0"]);
    for text in [
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
    ] {
        assert!(everything.check(ip(text)).is_err(), "{text}");
        assert!(open().check(ip(text)).is_err(), "{text}");
    }
    for text in ["127.0.0.1", "10.0.0.1", "::1", "169.254.169.254", "240.0.0.1"] {
        assert_eq!(everything.check(ip(text)), Ok(()), "{text}");
        assert_eq!(open().check(ip(text)), Ok(()), "{text}");
    }
}

#[test]
fn a_policy_takes_the_switch_from_security_and_the_ranges_from_the_organization() {
    let organization = Organization {
        org_id: 7,
        allowed_networks: networks(&["10.0.0.0/8"]),
        ..Organization::default()
    };
    let policy = EgressPolicy::new(&Security::default(), Some(&organization));
    assert_eq!(policy, strict(&["10.0.0.0/8"]));
    assert_eq!(EgressPolicy::new(&Security::default(), None), EgressPolicy::default());
}

#[test]
fn a_refusal_says_what_the_address_is_and_what_to_do() {
    let refused = EgressPolicy::default().check(ip("10.0.0.1")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "10.0.0.1 is a private address (RFC 1918), and connections to it are refused; if the partner really is there, \
         add its range to `allowedNetworks` of the organization"
    );
    let refused = EgressPolicy::default().check(ip("0.0.0.0")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "0.0.0.0 is the unspecified address, and connections to it are refused"
    );
}

proptest! {
    #[test]
    fn no_embedding_makes_an_ipv4_address_more_public(bits in any::<u32>()) {
        let v4 = Ipv4Addr::from(bits);
        let class = AddressClass::of(IpAddr::V4(v4));
        let [a, b, c, d] = v4.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let embedded = [
            v4.to_ipv6_mapped(),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, 0x808, 0x808, 0, 0, !high, !low),
        ];
        for v6 in embedded {
            let seen = AddressClass::of(IpAddr::V6(v6));
            assert!(class == AddressClass::Public || seen == class, "{v6}: {seen:?}, but {v4} is {class:?}");
        }
        assert_eq!(AddressClass::of(IpAddr::V6(v4.to_ipv6_mapped())), class);
    }
}
