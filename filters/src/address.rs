//! Which addresses may be connected to.
//!
//! Partners live on the public internet. An address that means something else (this machine, its neighbours, the cloud's
//! metadata service, a tunnel that leads back inside) is refused, unless the organization was allowed its range. The
//! decision is made on the address itself, after names were resolved, so that no spelling of a host gets around it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::model::{Organization, Security};

/// What kind of place an address is, after the special-purpose registries of IANA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// An address of the public internet.
    Public,
    /// `0.0.0.0` and `::`; connecting to them reaches this machine on some systems.
    Unspecified,
    /// The rest of `0.0.0.0/8`.
    ThisNetwork,
    /// `127.0.0.0/8` and `::1`.
    Loopback,
    /// `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16` (RFC 1918).
    Private,
    /// `100.64.0.0/10`, between a provider and its customers (RFC 6598).
    SharedCgnat,
    /// `169.254.0.0/16` and `fe80::/10`.
    LinkLocal,
    /// Where clouds hand out credentials to their machines, as `169.254.169.254`.
    Metadata,
    /// `224.0.0.0/4` and `ff00::/8`.
    Multicast,
    /// `255.255.255.255`.
    Broadcast,
    /// `192.0.0.0/24`, `192.88.99.0/24` and what `2001::/23` holds besides the classes below.
    ProtocolAssignment,
    /// Ranges for examples, as `192.0.2.0/24` and `2001:db8::/32`.
    Documentation,
    /// `198.18.0.0/15` and `2001:2::/48` (RFC 2544, RFC 5180).
    Benchmark,
    /// `fc00::/7` (RFC 4193).
    UniqueLocal,
    /// `fec0::/10`, given up by RFC 3879 and still routed inside some networks.
    SiteLocal,
    /// `2001:10::/28` and `2001:20::/28`: identifiers, not places (RFC 4843, RFC 7343).
    Orchid,
    /// IPv6 that is carried over IPv4 or translated to it in a way whose far end cannot be told: 6to4, Teredo,
    /// v4-compatible, and NAT64 with a prefix of the local network.
    Transition,
    /// Everything that IANA has not given out: `240.0.0.0/4` and IPv6 outside `2000::/3`.
    Reserved,
}

impl AddressClass {
    /// The class of `address`. IPv6 that embeds an IPv4 address is as dangerous as what it embeds, and gets its class.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => class_v4(v4),
            IpAddr::V6(v6) => class_v6(v6),
        }
    }

    /// True if no connection to such an address can be meant, whatever an operator allows.
    pub fn is_no_destination(self) -> bool {
        matches!(self, Self::Unspecified | Self::Multicast | Self::Broadcast)
    }

    /// What to call it in a message: `10.0.0.1 is ...`.
    fn description(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Unspecified => "the unspecified address",
            Self::ThisNetwork => "an address of \"this network\" (0.0.0.0/8)",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address (RFC 1918)",
            Self::SharedCgnat => "a shared address of a provider (100.64.0.0/10)",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "the address of a cloud metadata service",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::ProtocolAssignment => "an address reserved for protocols",
            Self::Documentation => "an address for documentation",
            Self::Benchmark => "an address for benchmarks",
            Self::UniqueLocal => "a unique local address (fc00::/7)",
            Self::SiteLocal => "a site-local address (fec0::/10)",
            Self::Orchid => "an ORCHID identifier",
            Self::Transition => "an address of an IPv6 transition mechanism",
            Self::Reserved => "a reserved address",
        }
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

/// What one organization's connections may lead to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EgressPolicy {
    /// Refuses every address that is not public, the allowed networks apart.
    pub block_private_networks: bool,
    /// Ranges whose addresses are let through, and no others. IPv4 ranges may be written in their v4-mapped form.
    pub allowed_networks: Vec<IpNet>,
}

impl Default for EgressPolicy {
    /// The strict one.
    fn default() -> Self {
        Self {
            block_private_networks: true,
            allowed_networks: Vec::new(),
        }
    }
}

impl EgressPolicy {
    /// The policy for the integrations of `organization`; without one, nothing beyond `security` is allowed.
    pub fn new(security: &Security, organization: Option<&Organization>) -> Self {
        Self {
            block_private_networks: security.block_private_networks,
            allowed_networks: organization.map_or_else(Vec::new, |found| found.allowed_networks.clone()),
        }
    }

    /// Decides whether a connection to `address` may be made.
    ///
    /// # Errors
    /// The address and its class, if it may not.
    pub fn check(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        let class = AddressClass::of(address);
        let passes = match class {
            AddressClass::Public => true,
            _ if class.is_no_destination() => false,
            _ => !self.block_private_networks || self.allows(address),
        };
        if passes {
            Ok(())
        } else {
            Err(RefusedAddress { address, class })
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed_networks
            .iter()
            .any(|network| canonical_network(*network).contains(&address))
    }
}

/// An address that the policy keeps connections away from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{address} is {class}, and connections to it are refused{}", advice(*.class))]
pub struct RefusedAddress {
    /// The address.
    pub address: IpAddr,
    /// Why.
    pub class: AddressClass,
}

fn advice(class: AddressClass) -> &'static str {
    if class.is_no_destination() {
        ""
    } else {
        "; if the partner really is there, add its range to `allowedNetworks` of the organization"
    }
}

/// A range of v4-mapped addresses as the IPv4 range that it stands for.
fn canonical_network(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network;
    };
    let v4 = v6.network().to_ipv4_mapped();
    let length = v6.prefix_len().checked_sub(MAPPED_PREFIX_BITS);
    match (v4, length) {
        (Some(v4), Some(length)) => Ipv4Net::new(v4, length).map_or(network, IpNet::V4),
        _ => network,
    }
}

fn class_v4(address: Ipv4Addr) -> AddressClass {
    if METADATA_V4.contains(&address) {
        return AddressClass::Metadata;
    }
    match address.octets() {
        [0, 0, 0, 0] => AddressClass::Unspecified,
        [0, ..] => AddressClass::ThisNetwork,
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::SharedCgnat,
        [169, 254, ..] => AddressClass::LinkLocal,
        [192, 0, 0, _] | [192, 88, 99, _] => AddressClass::ProtocolAssignment,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressClass::Documentation,
        [198, 18..=19, ..] => AddressClass::Benchmark,
        [224..=239, ..] => AddressClass::Multicast,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> AddressClass {
    if METADATA_V6.contains(&address) {
        return AddressClass::Metadata;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // v4-mapped (RFC 4291): the system connects to the IPv4 address itself.
        [0, 0, 0, 0, 0, 0xffff, high, low] => class_v4(v4_of(high, low)),
        // NAT64 (RFC 6052): the only way to IPv4 partners from a network without IPv4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => class_v4(v4_of(high, low)),
        // v4-compatible (RFC 4291) and v4-translated (RFC 2765), both given up.
        [0, 0, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => tunnel_to(v4_of(high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => tunnel_to(v4_of(high, low)),
        // Teredo (RFC 4380): server in the clear, client with its bits flipped.
        [0x2001, 0, high, low, _, _, client_high, client_low] => match tunnel_to(v4_of(!client_high, !client_low)) {
            AddressClass::Transition => tunnel_to(v4_of(high, low)),
            class => class,
        },
        // NAT64 of the local network (RFC 8215): where it embeds IPv4 depends on that network.
        [0x64, 0xff9b, 1, ..] => AddressClass::Transition,
        // ISATAP (RFC 5214): the lower half names an IPv4 address.
        [0x2000..=0x3fff, _, _, _, 0 | 0x200, 0x5efe, high, low] => tunnel_to(v4_of(high, low)),
        [0x2001, 2, 0, ..] => AddressClass::Benchmark,
        [0x2001, 0x10..=0x2f, ..] => AddressClass::Orchid,
        [0x2001, 0..=0x1ff, ..] => AddressClass::ProtocolAssignment,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressClass::Documentation,
        [0xfc00..=0xfdff, ..] => AddressClass::UniqueLocal,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xfec0..=0xfeff, ..] => AddressClass::SiteLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

/// The class of a tunnel's end; one that ends in public is still not the address that it looks like.
fn tunnel_to(end: Ipv4Addr) -> AddressClass {
    match class_v4(end) {
        AddressClass::Public => AddressClass::Transition,
        class => class,
    }
}

fn v4_of(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

const MAPPED_PREFIX_BITS: u8 = 96;

const METADATA_V4: [Ipv4Addr; 7] = [
    // AWS, Google, Azure, Oracle, DigitalOcean and most others.
    Ipv4Addr::new(169, 254, 169, 254),
    // AWS: credentials of ECS tasks, and of EKS pods.
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    // Scaleway.
    Ipv4Addr::new(169, 254, 42, 42),
    // Alibaba.
    Ipv4Addr::new(100, 100, 100, 200),
    // Oracle, older machines.
    Ipv4Addr::new(192, 0, 0, 192),
    // Azure's host, inside a public range.
    Ipv4Addr::new(168, 63, 129, 16),
];

const METADATA_V6: [Ipv6Addr; 4] = [
    // AWS, and its EKS pods.
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    // Google.
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    // Scaleway.
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

#[cfg(test)]
mod tests;
