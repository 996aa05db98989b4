//! Who calls, who is called, and under which addresses.

use filters::model::InboundIntegration;
use filters::model::route::PathMatch;

use super::markdown::{code, codes, plain};
use super::{Facts, word};

/// Names of the consumers that may call.
pub(super) fn consumers(facts: &Facts, integration: &InboundIntegration) -> Vec<String> {
    let may_call = facts.consumers.iter().filter(|consumer| {
        consumer.is_active && (consumer.integrations.is_empty() || consumer.integrations.contains(&integration.id))
    });
    let takes_them = integration
        .inbound_auth_config
        .as_ref()
        .is_some_and(|config| config.to_string().contains("\"consumers\":true"));
    may_call
        .filter(|_| takes_them)
        .map(|consumer| consumer.name.clone())
        .take(MOST_SHOWN)
        .collect()
}

pub(super) fn callers(facts: &Facts, integration: &InboundIntegration) -> String {
    let consumers = consumers(facts, integration);
    match (consumers.is_empty(), word(&integration.inbound_auth_type).as_str()) {
        (false, _) => consumers.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", "),
        (true, "NONE") => "anybody".to_owned(),
        (true, kind) => format!("clients with a credential of the integration ({})", code(kind)),
    }
}

pub(super) fn targets(integration: &InboundIntegration) -> Vec<String> {
    let several = integration.targets.iter().map(|target| target.url.clone());
    integration.target_url.iter().cloned().chain(several).collect()
}

/// Hosts of the partner, each once.
pub(super) fn partners(integration: &InboundIntegration) -> Vec<String> {
    let mut hosts: Vec<String> = targets(integration).iter().map(|url| host_of(url)).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

/// The host of an address; the whole of one that cannot be read.
pub(super) fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(url).to_owned()
}

pub(super) fn endpoints(integration: &InboundIntegration) -> String {
    let methods: Vec<String> = integration.methods.iter().map(word).collect();
    let methods = if methods.is_empty() {
        "any method".to_owned()
    } else {
        methods.join(", ")
    };
    let paths: Vec<&str> = integration.paths.iter().map(path_text).collect();
    let mut addresses = Vec::new();
    for host in &integration.hosts {
        match paths.as_slice() {
            [] => addresses.push(format!("{host}/*")),
            paths => addresses.extend(paths.iter().map(|path| format!("{host}{path}"))),
        }
    }
    addresses.push(format!(
        "/api/v1/integrations/{}?orgId={}",
        integration.kind, integration.org_id
    ));
    format!("{methods}: {}", codes(addresses))
}

pub(super) fn path_text(path: &PathMatch) -> &str {
    match path {
        PathMatch::Exact(path) | PathMatch::Prefix(path) | PathMatch::Template(path) => path,
    }
}

pub(super) fn path_rewrite(integration: &InboundIntegration) -> String {
    match &integration.path_rewrite {
        Some(rewrite) => serde_json::to_value(rewrite).map_or_else(|_| String::new(), |value| code(&value.to_string())),
        None => "as usual for the kind of path".to_owned(),
    }
}

pub(super) fn kept(integration: &InboundIntegration) -> String {
    match &integration.cache {
        Some(_) => "answers to plain GET requests are kept, as the cache settings say".to_owned(),
        None => "none".to_owned(),
    }
}

const MOST_SHOWN: usize = 20;
