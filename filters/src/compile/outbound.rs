//! One subscription, compiled.

mod call;

use std::sync::Arc;

use super::partner::{self, TargetRules};
use super::transformation::{PLAIN, Transformation};
use super::{check_identifier, check_limit, check_title, organization, redaction};
use crate::address::EgressPolicy;
use crate::condition::Condition;
use crate::delivery::{BreakerRules, RetryPlan, SchedulePlan, Signer, StatusTable};
use crate::lookup::Tables;
use crate::model::limits::RateLimit;
use crate::model::outbound::signing::Signing;
use crate::model::outbound::{DeadLetterRetry, Scope};
use crate::model::{Entry, Organization, OutboundIntegration, Problem, Security};
use crate::plan::events::Units;
use crate::subscription::pattern::TypePattern;
use crate::subscription::{Order, Subscription, Topic};
use crate::transform::{DEFAULT_MAX_OUTPUT, Side};
use call::Caller;

/// Where in the plan a subscription stands, and what it is compiled with.
pub(super) struct Place<'a> {
    pub(super) slot: usize,
    pub(super) id: &'a Arc<str>,
    pub(super) security: Security,
    pub(super) organization: Option<&'a Organization>,
    pub(super) units: &'a Units,
    /// The organization's lookup tables.
    pub(super) tables: &'a Tables,
}

/// Compiles the subscription; its problems are added with paths `integrations["id"]...`.
pub(super) fn compile(
    entry: &Entry<OutboundIntegration>,
    place: &Place<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Subscription> {
    let mut own = Vec::new();
    let compiled = build(entry, place, &mut own);
    let clean = own.is_empty();
    let path = format!("integrations[{:?}]", &**place.id);
    problems.extend(own.into_iter().map(|problem| problem.within(&path)));
    compiled.filter(|_| clean)
}

fn build(entry: &Entry<OutboundIntegration>, place: &Place<'_>, problems: &mut Vec<Problem>) -> Option<Subscription> {
    let source = &entry.value;
    check_title(&source.name, "name", problems);
    check_identifier(&source.id, "id", problems);
    organization::check_id(source.org_id, "orgId", problems);
    check_tenant(source, place, problems);
    partner::check_timeouts(source.timeouts, problems);
    check_dead_letter_retry(&source.dead_letter_retry, problems);
    let topic = topic(source, problems);
    let filter = source
        .filter
        .as_ref()
        .map(|filter| Condition::compile(filter, "filter", problems));
    let limit = limit(source, problems);
    let egress = EgressPolicy::new(&place.security, place.organization);
    let rules = TargetRules {
        egress: egress.clone(),
        security: place.security,
        hosts: source.target_hosts.clone().unwrap_or_default(),
    };
    rules.check_hosts(problems);
    let caller = Caller {
        source,
        rules: &rules,
        tables: place.tables,
    };
    let steps = caller.steps(problems);
    let enrichments = caller.enrichments(problems);
    let handling = Handling::compile(source, place, problems);
    let handling = handling?;
    Some(Subscription {
        slot: place.slot,
        id: Arc::clone(place.id),
        name: source.name.as_str().into(),
        org_id: source.org_id,
        source: Arc::clone(source),
        digest: entry.digest,
        is_active: source.is_active,
        topic: topic?,
        filter: match filter {
            Some(compiled) => Some(compiled?),
            None => None,
        },
        excluded: sorted(&source.excluded_entity_rids),
        steps,
        enrichments,
        egress,
        signer: handling.signer,
        retry: handling.retry,
        statuses: handling.statuses,
        breaker: handling.breaker,
        schedule: handling.schedule,
        order: handling.order,
        limit,
        max_concurrency: source.rate_limits.max_concurrency,
        max_response_bytes: source.rate_limits.max_response_bytes,
        timeouts: source.timeouts,
        dead_letter_retry: source.dead_letter_retry.clone(),
        record_bodies: source.record_bodies,
        redactor: redaction::redactor(place.organization, source.redaction.as_ref(), problems),
    })
}

/// What becomes of its deliveries.
struct Handling {
    signer: Signer,
    retry: RetryPlan,
    statuses: StatusTable,
    breaker: BreakerRules,
    schedule: SchedulePlan,
    order: Order,
}

impl Handling {
    /// Compiles each part, so that the problems of all are told.
    fn compile(source: &OutboundIntegration, place: &Place<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let signer = signer(source, problems);
        let retry = RetryPlan::compile(&source.retry, "retry", problems);
        let statuses = StatusTable::compile(&source.status_handling, &source.retry, "statusHandling", problems);
        let breaker = BreakerRules::compile(&source.breaker, "breaker", problems);
        let schedule = SchedulePlan::compile(
            source.scheduling_mode,
            source.scheduling_config.as_ref(),
            zone(source, place),
            "schedulingConfig",
            problems,
        );
        let order = Order::compile(&source.ordering, problems);
        Some(Self {
            signer: signer?,
            retry: retry?,
            statuses: statuses?,
            breaker: breaker?,
            schedule: schedule?,
            order: order?,
        })
    }
}

fn signer(source: &OutboundIntegration, problems: &mut Vec<Problem>) -> Option<Signer> {
    let config = source.signing_config.as_ref();
    partner::refuse_mask(config, "signingConfig", problems);
    let signing = Signing::read(source.signing_type, config, problems)?;
    Signer::compile(&signing, "signingConfig", problems)
}

/// The time zone of its unit, else that of its organization.
fn zone<'a>(source: &OutboundIntegration, place: &Place<'a>) -> Option<&'a str> {
    let unit = place.units.unit(source.org_id, source.tenant());
    let of_unit = unit.and_then(|unit| unit.value.timezone.as_deref());
    of_unit.or_else(|| place.organization?.timezone.as_deref())
}

/// Checks whose events it gets.
fn check_tenant(source: &OutboundIntegration, place: &Place<'_>, problems: &mut Vec<Problem>) {
    let (org_id, tenant) = (source.org_id, source.tenant());
    let is_whole = tenant == org_id;
    if let Some(tenant_id) = source.tenant_id {
        organization::check_id(tenant_id, "tenantId", problems);
    }
    if !is_whole && place.units.has_any(org_id) && place.units.unit(org_id, tenant).is_none() {
        let message =
            format!("{tenant} is no unit of organization {org_id}; give one of its units, or {org_id} for all");
        problems.push(Problem::new("tenantId", message));
    }
    let excluded = &source.excluded_entity_rids;
    if excluded.is_empty() {
        return;
    }
    if !is_whole || source.scope == Scope::EntityOnly {
        let message = "has an effect only with scope ALL_ENTITIES and the organization's own number as `tenantId`";
        problems.push(Problem::new("excludedEntityRids", message));
    }
    if excluded.len() > MOST_EXCLUDED {
        let message = format!("holds {} entries; at most {MOST_EXCLUDED} are allowed", excluded.len());
        problems.push(Problem::new("excludedEntityRids", message));
    }
    if let Some(index) = excluded.iter().position(|rid| *rid == org_id) {
        let message = format!("{org_id} is the organization itself, whose own events cannot be left out");
        problems.push(Problem::new(format!("excludedEntityRids[{index}]"), message));
    }
}

fn sorted(rids: &[u64]) -> Box<[u64]> {
    let mut sorted: Box<[u64]> = rids.into();
    sorted.sort_unstable();
    sorted
}

/// Which events it is for.
fn topic(source: &OutboundIntegration, problems: &mut Vec<Problem>) -> Option<Topic> {
    let mut refuse = |path: &str, message: String| {
        problems.push(Problem::new(path, message));
        None
    };
    match (&source.event_type, source.action_id) {
        (Some(pattern), None) => match TypePattern::parse(pattern) {
            Ok(pattern) => Some(Topic::Type(pattern)),
            Err(message) => refuse("eventType", message),
        },
        (None, Some(action)) if !super::event_type::ACTIONS.contains(&action) => {
            refuse("actionId", super::event_type::bad_action(action))
        }
        (None, Some(action)) => Some(Topic::Action(action)),
        (None, None) => refuse("eventType", "is missing; give `eventType` or `actionId`".to_owned()),
        (Some(_), Some(_)) => refuse("actionId", "is there beside `eventType`; give one of them".to_owned()),
    }
}

fn limit(source: &OutboundIntegration, problems: &mut Vec<Problem>) -> Option<RateLimit> {
    let limits = &source.rate_limits;
    if !(1..=MOST_CONCURRENT).contains(&limits.max_concurrency) {
        let message = format!("{} must be between 1 and {MOST_CONCURRENT}", limits.max_concurrency);
        problems.push(Problem::new("rateLimits.maxConcurrency", message));
    }
    if limits.max_response_bytes > LARGEST_ANSWER {
        let message = format!("{} must be at most {LARGEST_ANSWER}", limits.max_response_bytes);
        problems.push(Problem::new("rateLimits.maxResponseBytes", message));
    }
    let Some(max_requests) = limits.max_requests else {
        if limits.window_seconds.is_some() {
            problems.push(Problem::new("rateLimits.windowSeconds", "needs `maxRequests`"));
        }
        return None;
    };
    let limit = RateLimit {
        max_requests,
        window_seconds: limits.window_seconds.unwrap_or(60),
    };
    check_limit(&limit, "rateLimits", problems);
    limits.enabled.then_some(limit)
}

fn check_dead_letter_retry(retry: &DeadLetterRetry, problems: &mut Vec<Problem>) {
    const PATH: &str = "deadLetterRetry.delaysMs";
    let delays = &retry.delays_ms;
    if delays.len() > MOST_RETRIES {
        let message = format!("holds {} entries; at most {MOST_RETRIES} are allowed", delays.len());
        problems.push(Problem::new(PATH, message));
    }
    if retry.enabled && delays.is_empty() {
        let message = "must hold at least one time; to leave dead letters to operators, set `enabled` to false";
        problems.push(Problem::new(PATH, message));
    }
    for (index, delay) in delays.iter().enumerate() {
        if !(1..=LONGEST_DELAY).contains(delay) {
            let message = format!("{delay} must be between 1 and {LONGEST_DELAY}, which are 30 days");
            problems.push(Problem::new(format!("{PATH}[{index}]"), message));
        }
    }
}

/// What changes a payload on its way.
fn transformation<'s>(source: &'s OutboundIntegration, tables: &'s Tables) -> Transformation<'s> {
    Transformation {
        mode: source.transformation_mode,
        mappings: &source.field_mappings,
        script: source.transform_script.as_deref(),
        language: source.script_language,
        format: source.body_format.as_ref(),
        sample: source.sample.as_ref(),
        target: source.target_schema.as_ref(),
        side: Side::Event,
        tables,
        most_bytes: DEFAULT_MAX_OUTPUT as u64,
        names: PLAIN,
    }
}

/// The most units that a subscription may leave out.
const MOST_EXCLUDED: usize = 10_000;
/// The most attempts that may be under way at a time.
const MOST_CONCURRENT: u32 = 1_000;
/// The most bytes of an answer that may be read.
const LARGEST_ANSWER: u64 = 16 << 20;
/// The most automatic retries of a dead letter.
const MOST_RETRIES: usize = 20;
/// The longest time to an automatic retry of a dead letter, in milliseconds.
const LONGEST_DELAY: u64 = 30 * 86_400_000;

#[cfg(test)]
mod tests;
