//! One integration, compiled.

use std::sync::Arc;

use super::partner::{self, TargetRules};
use super::transformation::{OF_REQUEST, OF_RESPONSE, Transformation};
use super::{
    cache, check_identifier, check_title, credentials, dead_letter, idempotency, limits, organization, protocol,
    redaction, resilience, validation, web,
};
use crate::address::EgressPolicy;
use crate::auth::InboundCheck;
use crate::auth::networks::ClientNetworks;
use crate::lookup::Tables;
use crate::model::auth::InboundAuth;
use crate::model::mapping::TransformationMode;
use crate::model::outgoing::OutgoingAuthType;
use crate::model::route::{PathMatch, PathRewrite};
use crate::model::{Entry, InboundAuthType, InboundIntegration, Organization, Problem, Security};
use crate::outgoing::Owner;
use crate::plan::{Integration, Mode, StatusMap, Target};
use crate::rewrite::Rewrite;
use crate::route::{MethodSet, PathPattern, Rank, host, http_method};
use crate::transform::Side;
use crate::validation::Validator;

/// The most hosts, paths or targets of one integration.
const MOST_RULES: usize = 100;
/// The largest body that may be allowed, in bytes.
const LARGEST_BODY: u64 = 1 << 30;

/// Where in the plan an integration stands, and the rules around it.
pub(super) struct Place<'a> {
    pub(super) slot: usize,
    pub(super) id: &'a Arc<str>,
    pub(super) egress: EgressPolicy,
    pub(super) security: Security,
    pub(super) organization: Option<&'a Organization>,
    /// The organization's lookup tables.
    pub(super) tables: &'a Tables,
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

#[expect(clippy::too_many_lines, reason = "one line for each part of an integration")]
fn build(entry: &Entry<InboundIntegration>, place: Place<'_>, problems: &mut Vec<Problem>) -> Option<Integration> {
    let source = &entry.value;
    check_names(source, problems);
    check_numbers(source, problems);
    let hosts = hosts(source, problems);
    organization::check_hosts(place.organization, &hosts, problems);
    let paths = paths(source, problems);
    let shared = shared_parameters(&paths);
    let rewrite = rewrite(source, &paths, &with_mapped(source, &shared), problems);
    let validator = validation::of(source, &shared, problems);
    let owner = Owner {
        org_id: source.org_id,
        egress: &place.egress,
        security: &place.security,
    };
    let inbound = inbound(source, &owner, problems);
    let mut web = web::compile(source, &shared, &inbound, problems);
    let outgoing = partner::sign_in(
        source.outgoing_auth_type,
        source.outgoing_auth_config.as_ref(),
        &owner,
        problems,
    );
    let targets = targets(source, &place, problems);
    let tls = partner::tls(
        source.outgoing_tls.as_ref(),
        targets.iter().map(|target| &target.url),
        problems,
    );
    let mode = mode(source, place.tables, validator.as_deref(), &inbound, problems);
    if let (Some(web), Some(mode)) = (&mut web, &mode) {
        cache::complete(web, mode);
    }
    let protocols = protocol::compile(source, mode.as_ref(), problems);
    let limits = limits::compile(source.rate_limits.as_ref(), &inbound, place.organization, problems);
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
        client_networks: source
            .client_networks
            .as_ref()
            .and_then(|lists| ClientNetworks::compile(lists, "clientNetworks", problems)),
        strip_headers: if source.forward_credentials {
            Vec::new()
        } else {
            inbound.headers().cloned().collect()
        },
        strip_query: if source.forward_credentials {
            Vec::new()
        } else {
            inbound.query_parameters().map(str::to_owned).collect()
        },
        outgoing,
        tls,
        mode: mode?,
        statuses: StatusMap::compile(&source.status_mapping, "statusMapping", problems),
        transforms_errors: source.transform_errors,
        inbound,
        validator,
        web,
        limits,
        idempotency: idempotency::compile(source.idempotency.as_ref(), problems),
        protocols,
        timeouts: source.timeouts,
        body_limits: source.body_limits,
        records: source.records,
        record_content: redaction::content(source, problems),
        redactor: redaction::redactor(place.organization, source.redaction.as_ref(), problems),
        resilience: resilience::compile(source, problems),
        dead_letters: dead_letter::compile(source, problems),
        paths,
    })
}

fn check_names(source: &InboundIntegration, problems: &mut Vec<Problem>) {
    check_title(&source.name, "name", problems);
    organization::check_id(source.org_id, "orgId", problems);
    check_identifier(&source.kind, "type", problems);
    check_identifier(&source.id, "id", problems);
    if source.hosts.is_empty() && !(source.paths.is_empty() && source.methods.is_empty()) {
        problems.push(Problem::new(
            "hosts",
            "must name a host, as `paths` and `methods` apply to hosts",
        ));
    }
}

fn check_numbers(source: &InboundIntegration, problems: &mut Vec<Problem>) {
    partner::check_timeouts(source.timeouts, problems);
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

/// The parameters that every path has.
fn shared_parameters(paths: &[PathPattern]) -> Vec<String> {
    let Some((first, rest)) = paths.split_first() else {
        return Vec::new();
    };
    let everywhere = |name: &&String| rest.iter().all(|pattern| pattern.parameters.contains(name));
    first.parameters.iter().filter(everywhere).cloned().collect()
}

fn rewrite(
    source: &InboundIntegration,
    paths: &[PathPattern],
    shared: &[String],
    problems: &mut Vec<Problem>,
) -> Rewrite {
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
    Rewrite::compile(rewrite, shared).unwrap_or_else(|message| {
        problems.push(Problem::new("pathRewrite.template", message));
        Rewrite::Target
    })
}

fn targets(source: &InboundIntegration, place: &Place<'_>, problems: &mut Vec<Problem>) -> Vec<Target> {
    let rules = TargetRules {
        egress: place.egress.clone(),
        security: place.security,
        hosts: source.target_hosts.clone().unwrap_or_default(),
    };
    rules.check_hosts(problems);
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
        parsed.extend(rules.target(url, &path, problems).map(|target| (target, weight)));
    }
    Target::with_weights(parsed)
}

fn inbound(source: &InboundIntegration, owner: &Owner<'_>, problems: &mut Vec<Problem>) -> InboundCheck {
    let config = source.inbound_auth_config.as_ref();
    if config.is_none() && source.inbound_auth_type != InboundAuthType::None {
        problems.push(Problem::new("inboundAuthConfig", "is needed by this inboundAuthType"));
    }
    match InboundAuth::read(source.inbound_auth_type, config, problems) {
        Some(auth) => credentials::compile(&auth, owner, problems),
        None => InboundCheck::default(),
    }
}

/// The parameters that a path template may have: those of every path, and those that the mapping of the request writes.
fn with_mapped(source: &InboundIntegration, shared: &[String]) -> Vec<String> {
    let mut names = shared.to_vec();
    if source.request_transformation_mode == Some(TransformationMode::Simple) {
        let targets = source.request_field_mappings.iter().map(|line| &line.target_field);
        names.extend(
            targets
                .filter_map(|target| target.strip_prefix("$path."))
                .map(str::to_owned),
        );
    }
    names
}

fn is_signed(sign_in: OutgoingAuthType) -> bool {
    matches!(sign_in, OutgoingAuthType::Hmac | OutgoingAuthType::AwsSigv4)
}

fn mode(
    source: &InboundIntegration,
    tables: &Tables,
    validator: Option<&Validator>,
    inbound: &InboundCheck,
    problems: &mut Vec<Problem>,
) -> Option<Mode> {
    let request = Transformation {
        mode: source.request_transformation_mode,
        mappings: &source.request_field_mappings,
        script: source.request_transform_script.as_deref(),
        language: source.script_language,
        format: source.request_format.as_ref(),
        sample: source.request_sample.as_ref(),
        target: source.request_target_schema.as_ref(),
        side: Side::Request,
        tables,
        most_bytes: source.body_limits.request_bytes,
        names: OF_REQUEST,
    };
    let response = Transformation {
        mode: source.response_transformation_mode,
        mappings: &source.response_field_mappings,
        script: source.response_transform_script.as_deref(),
        language: source.script_language,
        format: source.response_format.as_ref(),
        sample: source.response_sample.as_ref(),
        target: source.response_target_schema.as_ref(),
        side: Side::Response,
        tables,
        most_bytes: source.body_limits.response_bytes,
        names: OF_RESPONSE,
    };
    let reads_bodies = validator.is_some_and(Validator::reads_bodies)
        || inbound.reads_bodies()
        // The signature stands before the body, and is made of it.
        || is_signed(source.outgoing_auth_type)
        || source.idempotency.as_ref().is_some_and(|keys| keys.enabled);
    match (request.compile(problems), response.compile(problems)) {
        (None, None) if !reads_bodies => Some(Mode::Stream),
        (request, response) => Some(Mode::Exchange { request, response }),
    }
}
