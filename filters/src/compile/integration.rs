//! One integration, compiled.

use std::sync::Arc;

use super::{check_limit, credentials, organization};
use crate::address::EgressPolicy;
use crate::auth::InboundCheck;
use crate::model::auth::{InboundAuth, OutgoingAuth};
use crate::model::limits::{RateLimit, Timeouts};
use crate::model::mapping::{FieldMapping, TransformationMode};
use crate::model::route::{PathMatch, PathRewrite};
use crate::model::{
    Entry, InboundAuthType, InboundIntegration, Organization, OutgoingAuthType, Problem, Security, secret,
};
use crate::outgoing::SignIn;
use crate::plan::{Integration, Mode, Target, Transform};
use crate::rewrite::Rewrite;
use crate::route::{MethodSet, PathPattern, Rank, host, http_method};
use crate::script::Script;
use crate::target::{TargetUrl, check_host_pattern};
use crate::transform::Mapping;

/// The most hosts, paths or targets of one integration.
const MOST_RULES: usize = 100;
/// The largest body that may be allowed, in bytes.
const LARGEST_BODY: u64 = 1 << 30;
/// The longest timeout that may be set, in milliseconds.
const LONGEST_TIMEOUT: u64 = 3_600_000;

/// Where in the plan an integration stands, and the rules around it.
pub(super) struct Place<'a> {
    pub(super) slot: usize,
    pub(super) id: &'a Arc<str>,
    pub(super) egress: EgressPolicy,
    pub(super) security: Security,
    pub(super) organization: Option<&'a Organization>,
}

/// Compiles the integration; its problems are added with paths `integrations["id"]...`.
pub(super) fn compile(
    entry: &Entry<InboundIntegration>,
    place: Place<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Integration> {
    let path = format!("integrations[{:?}]", &**place.id);
    compile_at(&path, entry, place, problems)
}

pub(super) fn compile_at(
    path: &str,
    entry: &Entry<InboundIntegration>,
    place: Place<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Integration> {
    let mut own = Vec::new();
    let compiled = build(entry, place, &mut own);
    let clean = own.is_empty();
    problems.extend(own.into_iter().map(|problem| problem.within(path)));
    compiled.filter(|_| clean)
}

fn build(entry: &Entry<InboundIntegration>, place: Place<'_>, problems: &mut Vec<Problem>) -> Option<Integration> {
    let source = &entry.value;
    check_names(source, problems);
    check_numbers(source, problems);
    let hosts = hosts(source, problems);
    organization::check_hosts(place.organization, &hosts, problems);
    let paths = paths(source, problems);
    let rewrite = rewrite(source, &paths, problems);
    let inbound = inbound(source, problems);
    let outgoing = outgoing(source, problems);
    let targets = targets(source, &place, problems);
    let limits = limits(source, &inbound, problems);
    Some(Integration {
        slot: place.slot,
        id: Arc::clone(place.id),
        source: Arc::clone(source),
        digest: entry.digest,
        hosts,
        methods: MethodSet::of(&source.methods),
        target_method: source.http_method.map(http_method),
        targets,
        rewrite,
        egress: place.egress,
        strip_header: inbound.header().filter(|_| !source.forward_credentials).cloned(),
        strip_query: inbound
            .query_parameter()
            .filter(|_| !source.forward_credentials)
            .map(str::to_owned),
        inbound,
        outgoing,
        mode: mode(source, problems)?,
        limit: limits[0],
        limit_per_key: limits[1],
        limit_per_client_ip: limits[2],
        timeouts: source.timeouts,
        body_limits: source.body_limits,
        records: source.records,
        paths,
    })
}

fn check_names(source: &InboundIntegration, problems: &mut Vec<Problem>) {
    if source.name.trim().is_empty() || source.name.len() > 200 {
        problems.push(Problem::new("name", "must be 1 to 200 bytes long"));
    }
    organization::check_text(&source.name, "name", problems);
    organization::check_id(source.org_id, "orgId", problems);
    for (field, text) in [("type", &source.kind), ("id", &source.id)] {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > 100 || !text.bytes().all(allowed) {
            let message = format!("{text:?} must be 1 to 100 letters, digits, dots, hyphens or underscores");
            problems.push(Problem::new(field, message));
        }
    }
    if source.hosts.is_empty() && !(source.paths.is_empty() && source.methods.is_empty()) {
        problems.push(Problem::new(
            "hosts",
            "must name a host, as `paths` and `methods` apply to hosts",
        ));
    }
}

fn check_numbers(source: &InboundIntegration, problems: &mut Vec<Problem>) {
    let Timeouts {
        connect_ms,
        first_byte_ms,
        total_ms,
    } = source.timeouts;
    for (field, value) in [
        ("connectMs", connect_ms),
        ("firstByteMs", first_byte_ms),
        ("totalMs", total_ms),
    ] {
        if !(1..=LONGEST_TIMEOUT).contains(&value) {
            let message = format!("{value} must be between 1 and {LONGEST_TIMEOUT}");
            problems.push(Problem::new(format!("timeouts.{field}"), message));
        }
    }
    let limits = source.body_limits;
    for (field, value) in [
        ("requestBytes", limits.request_bytes),
        ("responseBytes", limits.response_bytes),
    ] {
        if value > LARGEST_BODY {
            let message = format!("{value} must be at most {LARGEST_BODY}");
            problems.push(Problem::new(format!("bodyLimits.{field}"), message));
        }
    }
    let counts = [
        ("hosts", source.hosts.len()),
        ("paths", source.paths.len()),
        ("targets", source.targets.len()),
    ];
    for (field, count) in counts {
        if count > MOST_RULES {
            problems.push(Problem::new(
                field,
                format!("holds {count} entries; at most {MOST_RULES} are allowed"),
            ));
        }
    }
}

fn hosts(source: &InboundIntegration, problems: &mut Vec<Problem>) -> Vec<Box<str>> {
    let mut hosts: Vec<Box<str>> = Vec::with_capacity(source.hosts.len());
    for (index, text) in source.hosts.iter().enumerate() {
        let path = format!("hosts[{index}]");
        match host::parse(text) {
            Ok(host) if hosts.contains(&host) => problems.push(Problem::new(path, format!("{text:?} is there twice"))),
            Ok(host) => hosts.push(host),
            Err(message) => problems.push(Problem::new(path, format!("{text:?} {message}"))),
        }
    }
    hosts
}

fn paths(source: &InboundIntegration, problems: &mut Vec<Problem>) -> Vec<PathPattern> {
    if source.paths.is_empty() {
        return vec![PathPattern::everything()];
    }
    let mut paths = Vec::with_capacity(source.paths.len());
    for (index, rule) in source.paths.iter().enumerate() {
        let kind = match rule {
            PathMatch::Exact(_) => "exact",
            PathMatch::Prefix(_) => "prefix",
            PathMatch::Template(_) => "template",
        };
        match PathPattern::parse(rule) {
            Ok(pattern) => paths.push(pattern),
            Err(message) => problems.push(Problem::new(format!("paths[{index}].{kind}"), message)),
        }
    }
    paths
}

fn rewrite(source: &InboundIntegration, paths: &[PathPattern], problems: &mut Vec<Problem>) -> Rewrite {
    let Some(rewrite) = &source.path_rewrite else {
        let prefixes = !source.hosts.is_empty() && paths.iter().all(|pattern| pattern.rank == Rank::Prefix);
        return if prefixes { Rewrite::AppendRest } else { Rewrite::Target };
    };
    if source.hosts.is_empty() {
        problems.push(Problem::new(
            "pathRewrite",
            "needs `hosts`: the runtime address always calls the target as it stands",
        ));
    }
    if matches!(rewrite, PathRewrite::AppendRest) && paths.iter().any(|pattern| pattern.rank != Rank::Prefix) {
        problems.push(Problem::new(
            "pathRewrite",
            "appendRest needs every path to be a prefix",
        ));
    }
    let shared: Vec<String> = match paths.split_first() {
        Some((first, rest)) => first
            .parameters
            .iter()
            .filter(|name| rest.iter().all(|pattern| pattern.parameters.contains(name)))
            .cloned()
            .collect(),
        None => Vec::new(),
    };
    Rewrite::compile(rewrite, &shared).unwrap_or_else(|message| {
        problems.push(Problem::new("pathRewrite.template", message));
        Rewrite::Target
    })
}

fn targets(source: &InboundIntegration, place: &Place<'_>, problems: &mut Vec<Problem>) -> Vec<Target> {
    let hosts = source.target_hosts.clone().unwrap_or_default();
    for (list, patterns) in [("allow", &hosts.allow), ("deny", &hosts.deny)] {
        for (index, pattern) in patterns.iter().enumerate() {
            if let Err(error) = check_host_pattern(pattern) {
                problems.push(Problem::new(format!("targetHosts.{list}[{index}]"), error.to_string()));
            }
        }
    }
    let given: Vec<(String, &str, u32)> = match (&source.target_url, source.targets.as_slice()) {
        (Some(url), []) => vec![("targetUrl".to_owned(), url, 1)],
        (None, targets @ [_, ..]) => targets
            .iter()
            .enumerate()
            .map(|(index, target)| (format!("targets[{index}].url"), target.url.as_str(), target.weight))
            .collect(),
        _ => {
            problems.push(Problem::new("targetUrl", "give either `targetUrl` or `targets`"));
            return Vec::new();
        }
    };
    if given.iter().map(|(_, _, weight)| u64::from(*weight)).sum::<u64>() == 0 {
        problems.push(Problem::new("targets", "at least one weight must be above 0"));
    }
    let mut parsed = Vec::with_capacity(given.len());
    for (path, url, weight) in given {
        if weight > 1_000 {
            problems.push(Problem::new(
                path.replace(".url", ".weight"),
                format!("{weight} must be at most 1000"),
            ));
        }
        match TargetUrl::parse(url) {
            Ok(target) => {
                let refused = target.check_policy(&place.egress, &place.security, &hosts);
                problems.extend(refused.into_iter().map(|message| Problem::new(path.clone(), message)));
                parsed.push((target, weight));
            }
            Err(error) => problems.push(Problem::new(path, error.to_string())),
        }
    }
    Target::with_weights(parsed)
}

fn inbound(source: &InboundIntegration, problems: &mut Vec<Problem>) -> InboundCheck {
    let config = source.inbound_auth_config.as_ref();
    if config.is_none() && source.inbound_auth_type != InboundAuthType::None {
        problems.push(Problem::new("inboundAuthConfig", "is needed by this inboundAuthType"));
    }
    match InboundAuth::read(source.inbound_auth_type, config, problems) {
        Some(auth) => credentials::compile(&auth, problems),
        None => InboundCheck::None,
    }
}

fn outgoing(source: &InboundIntegration, problems: &mut Vec<Problem>) -> SignIn {
    let config = source.outgoing_auth_config.as_ref();
    let kind = source.outgoing_auth_type;
    if config.is_none() && !matches!(kind, OutgoingAuthType::None | OutgoingAuthType::Oauth2) {
        problems.push(Problem::new("outgoingAuthConfig", "is needed by this outgoingAuthType"));
    }
    if config.is_some_and(secret::has_mask) {
        let message = format!("{} stands for a stored secret, and none is stored here", secret::MASK);
        problems.push(Problem::new("outgoingAuthConfig", message));
    }
    match OutgoingAuth::read(kind, config, problems) {
        Some(auth) => SignIn::compile(&auth, problems),
        None => SignIn::default(),
    }
}

fn limits(source: &InboundIntegration, inbound: &InboundCheck, problems: &mut Vec<Problem>) -> [Option<RateLimit>; 3] {
    let Some(limits) = &source.rate_limits else {
        return [None; 3];
    };
    let whole = limits.max_requests.map(|max_requests| RateLimit {
        max_requests,
        window_seconds: limits.window_seconds.unwrap_or(60),
    });
    if whole.is_none() && limits.window_seconds.is_some() {
        problems.push(Problem::new("rateLimits.windowSeconds", "needs `maxRequests`"));
    }
    if limits.per_key.is_some() && matches!(inbound, InboundCheck::None) {
        problems.push(Problem::new(
            "rateLimits.perKey",
            "needs an inboundAuthType that tells clients apart",
        ));
    }
    let named = [
        ("", whole),
        (".perKey", limits.per_key),
        (".perClientIp", limits.per_client_ip),
    ];
    for (field, limit) in named
        .iter()
        .filter_map(|(field, limit)| limit.map(|limit| (field, limit)))
    {
        check_limit(&limit, &format!("rateLimits{field}"), problems);
    }
    if limits.enabled {
        named.map(|(_, limit)| limit)
    } else {
        [None; 3]
    }
}

fn mode(source: &InboundIntegration, problems: &mut Vec<Problem>) -> Option<Mode> {
    let request = Side {
        name: "request",
        mode: source.request_transformation_mode,
        mappings: &source.request_field_mappings,
        script: source.request_transform_script.as_deref(),
        most_bytes: source.body_limits.request_bytes,
    };
    let response = Side {
        name: "response",
        mode: source.response_transformation_mode,
        mappings: &source.response_field_mappings,
        script: source.response_transform_script.as_deref(),
        most_bytes: source.body_limits.response_bytes,
    };
    match (request.compile(problems), response.compile(problems)) {
        (None, None) => Some(Mode::Stream),
        (request, response) => Some(Mode::Exchange { request, response }),
    }
}

/// What is configured for one direction.
struct Side<'s> {
    name: &'static str,
    mode: Option<TransformationMode>,
    mappings: &'s [FieldMapping],
    script: Option<&'s str>,
    /// The most bytes of the result, as of the body.
    most_bytes: u64,
}

impl Side<'_> {
    fn compile(&self, problems: &mut Vec<Problem>) -> Option<Transform> {
        let name = self.name;
        let (mappings, script) = (format!("{name}FieldMappings"), format!("{name}TransformScript"));
        let mut refuse = |path: &str, message: String| problems.push(Problem::new(path, message));
        match self.mode {
            None => {
                if !self.mappings.is_empty() || self.script.is_some() {
                    refuse(
                        &format!("{name}TransformationMode"),
                        "must be SIMPLE or SCRIPT for this to have an effect".to_owned(),
                    );
                }
                None
            }
            Some(TransformationMode::Simple) => {
                if self.script.is_some() {
                    refuse(&script, "must be left out in mode SIMPLE".to_owned());
                }
                if self.mappings.is_empty() {
                    refuse(&mappings, "must hold at least one line in mode SIMPLE".to_owned());
                    return None;
                }
                let most = usize::try_from(self.most_bytes).unwrap_or(usize::MAX);
                let mapping = Mapping::compile(self.mappings, &mappings, problems)?;
                Some(Transform::Mapping(mapping.with_max_output(most)))
            }
            Some(TransformationMode::Script) => {
                if !self.mappings.is_empty() {
                    refuse(&mappings, "must be left out in mode SCRIPT".to_owned());
                }
                let Some(source) = self.script else {
                    refuse(&script, "is needed in mode SCRIPT".to_owned());
                    return None;
                };
                Script::check(source, &script, problems).map(Transform::Script)
            }
        }
    }
}
