//! The calls of a subscription: steps, compensations, enrichments.

use std::sync::Arc;

use http::Method;

use super::super::partner::{self, TargetRules};
use super::super::transformation::{PLAIN, Transformation};
use super::transformation;
use crate::lookup::Tables;
use crate::model::mapping::{FieldMapping, TransformationMode};
use crate::model::outbound::step::EnrichmentEncoding;
use crate::model::outbound::{Action, Compensation, DeliveryMethod, Enrichment};
use crate::model::route::HttpMethod;
use crate::model::{OutboundIntegration, Problem};
use crate::outgoing::{SignIn, TlsPlan};
use crate::plan::Transform;
use crate::subscription::{AddressTemplate, CompensationPlan, EnrichmentPlan, StepPlan};
use crate::target::TargetUrl;
use crate::transform::path::{FieldPath, Step};
use crate::transform::{DEFAULT_MAX_OUTPUT, Side};

/// Compiles the calls of one subscription.
pub(super) struct Caller<'a> {
    pub(super) source: &'a OutboundIntegration,
    pub(super) rules: &'a TargetRules,
    pub(super) tables: &'a Tables,
}

/// What a step takes from its subscription where it says nothing itself.
struct Shared {
    target: Option<TargetUrl>,
    method: Method,
    transform: Option<Arc<Transform>>,
    sign_in: SignIn,
    tls: Option<Arc<TlsPlan>>,
}

impl Caller<'_> {
    /// The steps; without actions, the one delivery.
    pub(super) fn steps(&self, problems: &mut Vec<Problem>) -> Vec<StepPlan> {
        let source = self.source;
        let shared = self.shared(problems);
        if source.actions.is_empty() {
            if source.target_url.is_none() {
                let message = "is missing; say where the events are delivered, here or in each of `actions`";
                problems.push(Problem::new("targetUrl", message));
            }
            return shared
                .target
                .into_iter()
                .map(|target| StepPlan {
                    name: None,
                    target,
                    method: shared.method.clone(),
                    transform: shared.transform.clone(),
                    sign_in: shared.sign_in.clone(),
                    tls: shared.tls.clone(),
                    delay_ms: 0,
                    compensate: None,
                })
                .collect();
        }
        check_count(source.actions.len(), MOST_ACTIONS, "actions", problems);
        check_names(
            source.actions.iter().map(|action| action.name.as_str()),
            "actions",
            problems,
        );
        let mut steps = Vec::with_capacity(source.actions.len());
        for (index, action) in source.actions.iter().enumerate() {
            let mut own = Vec::new();
            steps.extend(self.step(action, &shared, &mut own));
            problems.extend(
                own.into_iter()
                    .map(|problem| problem.within(&format!("actions[{index}]"))),
            );
        }
        steps
    }

    fn shared(&self, problems: &mut Vec<Problem>) -> Shared {
        let source = self.source;
        let target = source
            .target_url
            .as_deref()
            .and_then(|url| self.rules.target(url, "targetUrl", problems));
        // With actions, it is theirs that matter.
        let own = target.iter().filter(|_| source.actions.is_empty());
        let tls = partner::tls(source.outgoing_tls.as_ref(), own, problems);
        Shared {
            tls,
            target,
            method: method(source.http_method, problems),
            transform: transformation(source, self.tables).compile(problems).map(Arc::new),
            sign_in: partner::sign_in(
                source.outgoing_auth_type,
                source.outgoing_auth_config.as_ref(),
                &self.rules.owner(source.org_id),
                problems,
            ),
        }
    }

    fn step(&self, action: &Action, shared: &Shared, problems: &mut Vec<Problem>) -> Option<StepPlan> {
        let target = match &action.target_url {
            Some(url) => self.rules.target(url, "targetUrl", problems),
            None => {
                if self.source.target_url.is_none() {
                    let message = "is missing, here and in the subscription; say where the step goes";
                    problems.push(Problem::new("targetUrl", message));
                }
                shared.target.clone()
            }
        };
        let own = self.own_transform(
            action.transformation_mode,
            &action.field_mappings,
            action.transform_script.as_deref(),
            problems,
        );
        if action.outgoing_auth_type.is_none() && action.outgoing_auth_config.is_some() {
            let message =
                "needs `outgoingAuthType` beside it; without both, the step signs in as the subscription does";
            problems.push(Problem::new("outgoingAuthConfig", message));
        }
        let sign_in = match action.outgoing_auth_type {
            Some(kind) => {
                let owner = self.rules.owner(self.source.org_id);
                partner::sign_in(kind, action.outgoing_auth_config.as_ref(), &owner, problems)
            }
            None => shared.sign_in.clone(),
        };
        let tls = partner::tls(action.outgoing_tls.as_ref(), target.iter(), problems);
        if action.delay_ms > LONGEST_DELAY {
            let message = format!("{} must be at most {LONGEST_DELAY}, which is a day", action.delay_ms);
            problems.push(Problem::new("delayMs", message));
        }
        let method = action
            .http_method
            .map_or_else(|| shared.method.clone(), |given| method(given, problems));
        let compensate = action.compensate.as_ref().map(|compensation| {
            let mut own = Vec::new();
            let compiled = self.compensation(compensation, &mut own);
            problems.extend(own.into_iter().map(|problem| problem.within("compensate")));
            compiled
        });
        Some(StepPlan {
            name: Some(action.name.as_str().into()),
            target: target?,
            method,
            transform: own.or_else(|| shared.transform.clone()),
            sign_in,
            tls: tls.or_else(|| shared.tls.clone()),
            delay_ms: action.delay_ms,
            compensate: compensate.flatten(),
        })
    }

    fn compensation(&self, compensation: &Compensation, problems: &mut Vec<Problem>) -> Option<CompensationPlan> {
        let target = self.rules.target(&compensation.target_url, "targetUrl", problems);
        let transform = self.own_transform(
            compensation.transformation_mode,
            &compensation.field_mappings,
            compensation.transform_script.as_deref(),
            problems,
        );
        Some(CompensationPlan {
            target: target?,
            method: any_method(compensation.http_method),
            transform,
        })
    }

    /// The transformation that a call has of its own; its format is that of the subscription.
    fn own_transform(
        &self,
        mode: Option<TransformationMode>,
        mappings: &[FieldMapping],
        script: Option<&str>,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<Transform>> {
        let transformation = Transformation {
            mode,
            mappings,
            script,
            language: self.source.script_language,
            // Its problems are told where it stands.
            format: self.source.body_format.as_ref().filter(|_| mode.is_some()),
            // Steps see the answers of those before them, which a sample has in `steps` or not at all.
            sample: self
                .source
                .sample
                .as_ref()
                .filter(|sample| sample.get("steps").is_some()),
            // What the receiver of the one delivery takes says nothing of this one.
            target: None,
            side: Side::Event,
            tables: self.tables,
            most_bytes: DEFAULT_MAX_OUTPUT as u64,
            names: PLAIN,
        };
        transformation.compile(problems).map(Arc::new)
    }

    /// The calls before each attempt.
    pub(super) fn enrichments(&self, problems: &mut Vec<Problem>) -> Vec<EnrichmentPlan> {
        let enrichments = &self.source.enrichments;
        check_count(enrichments.len(), MOST_ENRICHMENTS, "enrichments", problems);
        check_names(enrichments.iter().map(|one| one.name.as_str()), "enrichments", problems);
        let mut compiled = Vec::with_capacity(enrichments.len());
        for (index, enrichment) in enrichments.iter().enumerate() {
            let mut own = Vec::new();
            compiled.extend(self.enrichment(enrichment, &mut own));
            let path = format!("enrichments[{index}]");
            problems.extend(own.into_iter().map(|problem| problem.within(&path)));
        }
        compiled
    }

    fn enrichment(&self, enrichment: &Enrichment, problems: &mut Vec<Problem>) -> Option<EnrichmentPlan> {
        let address = match AddressTemplate::parse(&enrichment.url) {
            Ok((address, target)) => {
                self.rules.check(&target, "url", problems);
                Some((address, target))
            }
            Err(message) => {
                problems.push(Problem::new("url", message));
                None
            }
        };
        let method = match enrichment.http_method {
            None | Some(HttpMethod::Get) => Method::GET,
            Some(HttpMethod::Post) => Method::POST,
            Some(_) => {
                problems.push(Problem::new("httpMethod", "must be GET or POST"));
                Method::GET
            }
        };
        let target_field = target_field(enrichment, problems);
        let (default, largest) = match enrichment.encoding {
            EnrichmentEncoding::Json => (DEFAULT_ENRICHMENT, LARGEST_JSON),
            EnrichmentEncoding::Base64 => (DEFAULT_ENRICHMENT, LARGEST_FILE),
        };
        let max_bytes = enrichment.max_bytes.unwrap_or(default);
        if !(1..=largest).contains(&max_bytes) {
            let message = format!("{max_bytes} must be between 1 and {largest}");
            problems.push(Problem::new("maxBytes", message));
        }
        let sign_in = partner::sign_in(
            enrichment.outgoing_auth_type,
            enrichment.outgoing_auth_config.as_ref(),
            &self.rules.owner(self.source.org_id),
            problems,
        );
        let addresses = address.iter().map(|(_, target)| target);
        let tls = partner::tls(enrichment.outgoing_tls.as_ref(), addresses, problems);
        let (address, target) = address?;
        Some(EnrichmentPlan {
            name: enrichment.name.as_str().into(),
            target,
            address,
            method,
            sign_in,
            tls,
            encoding: enrichment.encoding,
            target_field,
            max_bytes,
        })
    }
}

/// Names that lead to the field that an answer is put into.
fn target_field(enrichment: &Enrichment, problems: &mut Vec<Problem>) -> Option<Vec<Box<str>>> {
    let Some(text) = &enrichment.target_field else {
        if enrichment.encoding == EnrichmentEncoding::Base64 {
            let message = "is needed with encoding base64; name the field that the text is put into";
            problems.push(Problem::new("targetField", message));
        }
        return None;
    };
    let names = FieldPath::parse(text).and_then(|path| {
        let names = path.segments().iter().flatten().map(|step| match step {
            Step::Field(name) => Some(name.clone()),
            Step::Place(_) | Step::FromEnd(_) | Step::Where(..) => None,
        });
        let names: Option<Vec<_>> = names.collect();
        names
            .filter(|_| path.lists() == 0)
            .ok_or_else(|| format!("`{text}` has a list in it; an answer is put into a field, as `bill.pdf`"))
    });
    names
        .map_err(|message| problems.push(Problem::new("targetField", message)))
        .ok()
}

fn method(method: DeliveryMethod, problems: &mut Vec<Problem>) -> Method {
    if method == DeliveryMethod::Delete {
        let message = "must be POST, PUT or PATCH; DELETE is for compensations";
        problems.push(Problem::new("httpMethod", message));
    }
    any_method(method)
}

fn any_method(method: DeliveryMethod) -> Method {
    match method {
        DeliveryMethod::Post => Method::POST,
        DeliveryMethod::Put => Method::PUT,
        DeliveryMethod::Patch => Method::PATCH,
        DeliveryMethod::Delete => Method::DELETE,
    }
}

fn check_count(count: usize, most: usize, path: &str, problems: &mut Vec<Problem>) {
    if count > most {
        let message = format!("holds {count} entries; at most {most} are allowed");
        problems.push(Problem::new(path, message));
    }
}

/// Names are parts of field paths (`steps.{name}.body`), and tell entries apart.
fn check_names<'a>(names: impl Iterator<Item = &'a str> + Clone, path: &str, problems: &mut Vec<Problem>) {
    for (index, name) in names.clone().enumerate() {
        let place = format!("{path}[{index}].name");
        let is_refused = |c: char| c.is_control() || matches!(c, '.' | '[' | ']');
        if name.trim().is_empty() || name.len() > LONGEST_NAME || name.contains(is_refused) {
            let message = format!("{name:?} must be 1 to {LONGEST_NAME} bytes without dots, brackets or line breaks");
            problems.push(Problem::new(place, message));
        } else if names.clone().take(index).any(|before| before == name) {
            problems.push(Problem::new(place, format!("{name:?} is there twice")));
        }
    }
}

/// The most steps of one subscription.
const MOST_ACTIONS: usize = 20;
/// The most enrichments of one subscription.
const MOST_ENRICHMENTS: usize = 10;
/// The most bytes of a name of a step or enrichment.
const LONGEST_NAME: usize = 100;
/// The longest wait before a step, in milliseconds.
const LONGEST_DELAY: u64 = 86_400_000;
/// The most bytes of an enrichment's answer where nothing is said.
const DEFAULT_ENRICHMENT: u64 = 1 << 20;
/// The most bytes of an answer that is read as JSON, which is held in memory.
const LARGEST_JSON: u64 = 16 << 20;
/// The most bytes of an answer that becomes base64, which is not.
const LARGEST_FILE: u64 = 256 << 20;
