//! Where clients may call from, compiled.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::Problem;
use crate::model::client_networks;

/// The most address ranges of one list.
const MOST_NETWORKS: usize = 1_000;

/// Address ranges that clients may call from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientNetworks {
    allow: Box<[IpNet]>,
    deny: Box<[IpNet]>,
}

impl ClientNetworks {
    /// Compiles the lists, which stand at `path`; `None` if they exclude nobody.
    pub(crate) fn compile(
        lists: &client_networks::ClientNetworks,
        path: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        for (field, list) in [("allow", &lists.allow), ("deny", &lists.deny)] {
            if list.len() > MOST_NETWORKS {
                let message = format!("holds {} entries; at most {MOST_NETWORKS} are allowed", list.len());
                problems.push(Problem::new(format!("{path}.{field}"), message));
            }
        }
        let is_open = lists.allow.is_empty() && lists.deny.is_empty();
        (!is_open).then(|| Self {
            allow: lists.allow.clone().into(),
            deny: lists.deny.clone().into(),
        })
    }

    /// True if a client with this address may call. Whose address is not known may not.
    pub fn admits(&self, client: Option<IpAddr>) -> bool {
        let Some(client) = client.map(|client| client.to_canonical()) else {
            return false;
        };
        let within = |list: &[IpNet]| list.iter().any(|network| network.contains(&client));
        !within(&self.deny) && (self.allow.is_empty() || within(&self.allow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(allow: &[&str], deny: &[&str]) -> ClientNetworks {
        let read = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        let lists = client_networks::ClientNetworks {
            allow: read(allow),
            deny: read(deny),
        };
        ClientNetworks::compile(&lists, "", &mut Vec::new()).unwrap()
    }

    fn admits(networks: &ClientNetworks, client: &str) -> bool {
        networks.admits(Some(client.parse().unwrap()))
    }

    #[test]
    fn deny_wins_over_allow_and_an_allow_list_excludes_the_rest() {
        let networks = networks(&["10.0.0.0/8", "2001:db8::/32"], &["10.9.0.0/16"]);
        assert!(admits(&networks, "10.1.2.3"));
        assert!(admits(&networks, "2001:db8::7"));
        assert!(admits(&networks, "::ffff:10.1.2.3"), "a mapped address is the IPv4 one");
        for client in ["10.9.0.1", "::ffff:10.9.0.1", "192.0.2.7", "2001:db9::7"] {
            assert!(!admits(&networks, client), "{client}");
        }
        assert!(!networks.admits(None));
    }

    #[test]
    fn a_deny_list_alone_excludes_only_its_own() {
        let networks = networks(&[], &["192.0.2.0/24"]);
        assert!(admits(&networks, "198.51.100.1"));
        assert!(!admits(&networks, "192.0.2.1"));
    }

    #[test]
    fn empty_lists_cost_nothing() {
        assert_eq!(
            ClientNetworks::compile(&client_networks::ClientNetworks::default(), "", &mut Vec::new()),
            None
        );
    }
}
