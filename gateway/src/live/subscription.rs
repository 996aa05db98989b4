//! What a subscription is at run time: where its calls go, ready to be sent.

use std::sync::Arc;
use std::time::Duration;

use egress::TokenSource;
use filters::model::integration::MetricsDetail;
use filters::outgoing::{RequestSigner, SignIn, TlsPlan};
use filters::plan::Transform;
use filters::subscription::{CompensationPlan, EnrichmentPlan, StepPlan, Subscription};
use filters::target::TargetUrl;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use super::tally::Tally;
use super::{Deps, TargetRuntime, token};
use crate::metrics::{EventMetrics, IntegrationMetrics};
use crate::queue::Step;

/// What a subscription is at run time.
#[derive(Debug)]
pub struct SubscriptionRuntime {
    /// The compiled subscription.
    pub subscription: Arc<Subscription>,
    /// Its steps, in order.
    pub steps: Vec<StepRuntime>,
    /// Its enrichments, in order.
    pub enrichments: Vec<EnrichmentRuntime>,
    /// Timeouts of each call.
    pub timeouts: egress::Timeouts,
    /// Its metrics.
    pub metrics: Arc<IntegrationMetrics>,
    /// What came of its attempts since it is as it is.
    pub tally: Tally,
    deps: Deps,
}

/// A step of a subscription.
#[derive(Debug)]
pub struct StepRuntime {
    /// The call.
    pub call: CallRuntime,
    /// What undoes it.
    pub compensate: Option<CallRuntime>,
}

/// A call of an endpoint.
#[derive(Debug)]
pub struct CallRuntime {
    /// Name of its step, where the subscription has several.
    pub name: Option<Arc<str>>,
    /// The connections to it.
    pub target: Arc<TargetRuntime>,
    /// Its address without the query, for records.
    pub url: Arc<str>,
    /// Path and query, the sign-in's parameter included; `None` if together they are longer than an address may be.
    pub uri: Option<Uri>,
    /// Method.
    pub method: Method,
    /// Fields that are the same in each attempt; those of the sign-in come later.
    pub headers: HeaderMap,
    /// Fields of the sign-in, which win over all others.
    pub sign_in: Vec<(HeaderName, HeaderValue)>,
    /// Tokens to sign in with, where it does so by OAuth2.
    pub token: Option<Arc<TokenSource>>,
    /// What signs its requests for the sign-in.
    pub request_signer: Option<Arc<RequestSigner>>,
    /// How the body is made; the payload itself without.
    pub transform: Option<Arc<Transform>>,
}

/// A call before each attempt.
#[derive(Debug)]
pub struct EnrichmentRuntime {
    /// The subscription that it belongs to.
    subscription: Arc<Subscription>,
    place: usize,
    /// The connections to it.
    pub target: Arc<TargetRuntime>,
    /// Fields that are the same in each call.
    pub headers: HeaderMap,
    /// Tokens to sign in with, where it does so by OAuth2.
    pub token: Option<Arc<TokenSource>>,
}

impl SubscriptionRuntime {
    /// The runtime of `subscription`, with the connections of `old` to the same endpoints. No I/O.
    pub(super) fn new(subscription: &Arc<Subscription>, old: Option<&Self>, deps: &Deps) -> Self {
        let mut targets = Targets {
            known: old.map(Self::targets).unwrap_or_default(),
            subscription,
            deps,
        };
        let steps = subscription.steps.iter().map(|step| targets.step(step)).collect();
        let enrichments = subscription.enrichments.iter().enumerate();
        let enrichments = enrichments.map(|(place, plan)| EnrichmentRuntime {
            subscription: Arc::clone(subscription),
            place,
            target: targets.target(&plan.target, plan.tls.as_ref()),
            headers: enrichment_headers(plan),
            token: token(&plan.sign_in, &subscription.egress, deps),
        });
        Self {
            enrichments: enrichments.collect(),
            steps,
            timeouts: subscription.timeouts.into(),
            metrics: deps
                .metrics
                .integration(&subscription.id, subscription.source.metrics == MetricsDetail::Detailed),
            tally: Tally::default(),
            deps: deps.clone(),
            subscription: Arc::clone(subscription),
        }
    }

    /// True if nothing would come out different: an unchanged subscription is the same `Arc` in the new plan.
    pub(super) fn is_for(&self, subscription: &Arc<Subscription>) -> bool {
        Arc::ptr_eq(&self.subscription, subscription)
    }

    /// The call of a step, forward or back; `None` if the subscription has no such step any more.
    pub fn call(&self, step: Step) -> Option<&CallRuntime> {
        match step {
            Step::Forward(step) => Some(&self.steps.get(usize::from(step))?.call),
            Step::Back(step) => self.steps.get(usize::from(step))?.compensate.as_ref(),
        }
    }

    /// Another endpoint, under the same policy.
    pub fn endpoint(&self, url: &TargetUrl) -> TargetRuntime {
        TargetRuntime::of_endpoint(url, &self.subscription.egress, None, &self.deps)
    }

    /// Metrics of the event flow.
    pub fn event_metrics(&self) -> &EventMetrics {
        &self.deps.metrics.events
    }

    /// The longest that one attempt can take: each of its calls in full, and its script.
    pub fn longest_attempt(&self) -> Duration {
        let tokens = self.enrichments.iter().filter(|one| one.token.is_some()).count()
            + usize::from(self.steps.iter().any(|step| step.call.token.is_some()));
        // With a token: the wait for it, the call, the wait for another token, and the call again.
        let calls = self.enrichments.len() + 1 + 3 * tokens;
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        self.timeouts
            .total
            .saturating_mul(calls)
            .saturating_add(LONGEST_PREPARATION)
    }

    fn targets(&self) -> Vec<Arc<TargetRuntime>> {
        let steps = self.steps.iter();
        let calls = steps.flat_map(|step| std::iter::once(&step.call).chain(&step.compensate));
        let enrichments = self.enrichments.iter().map(|enrichment| &enrichment.target);
        calls.map(|call| &call.target).chain(enrichments).cloned().collect()
    }
}

impl EnrichmentRuntime {
    /// The compiled enrichment.
    pub fn plan(&self) -> &EnrichmentPlan {
        &self.subscription.enrichments[self.place]
    }
}

/// `target`'s path and query, and the parameter of the sign-in; `None` if together they are longer than an address may be.
pub fn path_and_query(target: &TargetUrl, sign_in: &SignIn) -> Option<Uri> {
    let mut text = target.path().to_owned();
    let query = [target.query(), sign_in.query.as_ref().map(|query| query.expose())];
    for (part, separator) in query.into_iter().flatten().zip(['?', '&']) {
        text.push(separator);
        text.push_str(part);
    }
    PathAndQuery::try_from(text).ok().map(Uri::from)
}

/// Makes the connections of a subscription, one set for each endpoint.
struct Targets<'a> {
    known: Vec<Arc<TargetRuntime>>,
    subscription: &'a Subscription,
    deps: &'a Deps,
}

impl Targets<'_> {
    fn step(&mut self, step: &StepPlan) -> StepRuntime {
        let call = CallRuntime {
            transform: step.transform.clone(),
            ..self.call(step, &step.target, &step.method)
        };
        let compensate = step.compensate.as_ref().map(|plan: &CompensationPlan| CallRuntime {
            transform: plan.transform.clone(),
            ..self.call(step, &plan.target, &plan.method)
        });
        StepRuntime { call, compensate }
    }

    fn call(&mut self, step: &StepPlan, target: &TargetUrl, method: &Method) -> CallRuntime {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, USER_AGENT);
        headers.insert(CE_SPECVERSION, HeaderValue::from_static("1.0"));
        CallRuntime {
            name: step.name.clone(),
            target: self.target(target, step.tls.as_ref()),
            url: target.to_string().into(),
            uri: path_and_query(target, &step.sign_in),
            method: method.clone(),
            headers,
            sign_in: step.sign_in.headers.clone(),
            token: token(&step.sign_in, &self.subscription.egress, self.deps),
            request_signer: step.sign_in.signature.clone(),
            transform: None,
        }
    }

    fn target(&mut self, url: &TargetUrl, tls: Option<&Arc<TlsPlan>>) -> Arc<TargetRuntime> {
        let policy = &self.subscription.egress;
        let same = |target: &&Arc<TargetRuntime>| {
            let known = target.upstream.target();
            known.scheme() == url.scheme()
                && known.host() == url.host()
                && known.port() == url.port()
                && target.upstream.policy() == policy
                && target.has_tls(tls)
        };
        if let Some(known) = self.known.iter().find(same) {
            return Arc::clone(known);
        }
        let target = Arc::new(TargetRuntime::of_endpoint(url, policy, tls, self.deps));
        self.known.push(Arc::clone(&target));
        target
    }
}

fn enrichment_headers(plan: &EnrichmentPlan) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, USER_AGENT);
    for (name, value) in &plan.sign_in.headers {
        headers.insert(name, value.clone());
    }
    headers
}

const USER_AGENT: HeaderValue = HeaderValue::from_static("integration-gateway");
const CE_SPECVERSION: HeaderName = HeaderName::from_static("ce-specversion");
/// For the wait for a script's thread and its run, the file of large content, and the producer's callback.
const LONGEST_PREPARATION: Duration = Duration::from_secs(30);
