//! Events that are handed over: who does it, whether there is room, the body, and the answer.

use std::sync::Arc;

use filters::auth::{AuthRefusal, key_or_token, query_value};
use filters::model::Problem;
use filters::model::route::HttpMethod;
use filters::plan::events::{EventPlan, Producer};
use filters::route::MethodSet;
use http::{HeaderMap, HeaderValue, Method, Response, header};
use pingora::proxy::Session;
use pingora_http::ResponseHeader;

use super::admit::{self, LimitFields};
use super::call::{Call, Events};
use super::fault::Fault;
use super::{Proxy, body, respond, stream};
use crate::ingest::answer::Answer;
use crate::ingest::{Handed, Refused};
use crate::limiter::{Limiter, Passed, RATELIMIT, RATELIMIT_POLICY};
use crate::live::Live;

/// Takes the events of one request in, and answers it once they are on disk.
///
/// # Errors
/// Why the client has to be told of a fault; nothing was written to it then.
pub(super) async fn run(proxy: &Proxy, live: &Live, session: &mut Session, call: &mut Call) -> Result<(), Fault> {
    let ingest = proxy.ingest.as_deref().ok_or(Fault::NotFound)?;
    call.events = Some(Events::default());
    let head = session.req_header();
    if head.method != Method::POST {
        return Err(Fault::MethodNotAllowed(MethodSet::of(&[HttpMethod::Post])));
    }
    let producer = authenticate(&live.plan.events, &head.headers)?;
    call.events = Some(Events {
        producer: Some(Arc::clone(&producer)),
    });
    let atomic = is_atomic(head.uri.query())?;
    let most = ingest.settings().body_bytes;
    let length = admit::check_length(most, &head.headers)?;
    // Given back when the answer is written.
    let mut room = ingest.enter(producer.org_id).map_err(Fault::Overloaded)?;
    let within = within_limit(live, producer.org_id)?;
    call.places = within.places;
    room.hold(length.unwrap_or_default()).map_err(Fault::Overloaded)?;
    if let Some(guard) = &call.guard {
        guard.client_within(ingest.settings().body_timeout());
    }
    proxy.welcome_body(session, call).await?;
    let body = body::read(session, call, most, |bytes| room.hold(bytes).map_err(Fault::Overloaded)).await?;
    let handed = Handed {
        producer: &producer,
        headers: &session.req_header().headers,
        body,
        trace_id: call
            .identity
            .as_ref()
            .map(|identity| identity.trace.trace_id())
            .unwrap_or_default(),
        atomic,
    };
    // Whether or not the client is still there: what it handed over whole is taken in.
    let answer = ingest
        .take(&live.plan.events, handed)
        .await
        .map_err(|refused| match refused {
            Refused::Overloaded(overload) => Fault::Overloaded(overload),
            Refused::Wrong(fault) => Fault::Event(fault),
        })?;
    proxy.close_if_stopping(session);
    let head = answer_head(&answer, within.fields, call);
    respond::send(session, call, head, answer.body)
        .await
        .map_err(|error| stream::client_fault(error, call))
}

fn authenticate(events: &EventPlan, headers: &HeaderMap) -> Result<Arc<Producer>, Fault> {
    key_or_token(headers)
        .and_then(|key| {
            let key = std::str::from_utf8(key).map_err(|_| AuthRefusal::Malformed)?;
            events.producer(key).cloned().ok_or(AuthRefusal::Invalid)
        })
        .map_err(|refusal| Fault::Unauthorized(refusal, vec![HeaderValue::from_static(CHALLENGE)]))
}

/// One request of the organization, however many events it hands over.
fn within_limit(live: &Live, org_id: u64) -> Result<Passed, Fault> {
    live.organization_limiter(org_id)
        .map_or_else(|| Ok(Passed::default()), Limiter::check)
        .map_err(Fault::RateLimited)
}

/// Whether one bad event refuses its whole batch: yes, unless the query says otherwise.
fn is_atomic(query: Option<&str>) -> Result<bool, Fault> {
    match query.and_then(|query| query_value(query, "atomic")).as_deref() {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(Fault::Query(Problem::new("atomic", "must be true or false"))),
    }
}

fn answer_head(answer: &Answer, limits: Option<LimitFields>, call: &Call) -> ResponseHeader {
    let mut head = Response::new(()).into_parts().0;
    head.status = answer.status;
    let fields = &mut head.headers;
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(answer.body.len()));
    if let Some((policy, limit)) = limits {
        fields.insert(&RATELIMIT_POLICY, policy);
        fields.insert(&RATELIMIT, limit);
    }
    respond::stamp(fields, call.identity.as_ref());
    ResponseHeader::from(head)
}

/// What a producer without a good key is told to show.
const CHALLENGE: &str = "ApiKey realm=\"gateway\", Bearer realm=\"gateway\"";
