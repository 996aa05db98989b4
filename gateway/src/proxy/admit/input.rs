//! Whether a request, and later its answer, looks as the integration says.

use filters::model::Problem;
use filters::validation::{Found, Head, HeadRefusal, Operation, Validator};
use http::{HeaderMap, StatusCode, Version, header};
use pingora::proxy::Session;
use pingora_http::RequestHeader;

use super::super::call::Route;
use super::super::fault::Fault;
use super::find::Match;

/// Finds the operation that the request asks for and checks all of it that stands before the body. `None` where nothing
/// is to be checked.
pub(super) fn check_head(
    validator: &Validator,
    found: &Match<'_, '_>,
    request: &RequestHeader,
    path: &str,
) -> Result<Option<usize>, Fault> {
    let (index, values) = match validator.find(path, &request.method) {
        Found::Operation(index, values) => (index, values),
        Found::Unchecked => return Ok(None),
        Found::NoPath => return Err(Fault::NotListed),
        Found::NoMethod(methods) => return Err(Fault::MethodNotAllowed(methods)),
    };
    let Some(operation) = validator.operation(index) else {
        return Ok(None);
    };
    let own: Vec<(&str, &str)>;
    let params = match operation.path_parameters() {
        Some(names) => {
            own = names.iter().map(String::as_str).zip(values).collect();
            &own
        }
        None => &found.params,
    };
    let inbound = &found.integration.inbound;
    let org_id = found.by_runtime_address.then_some("orgId");
    let own_query: Vec<&str> = inbound.query_parameters().chain(org_id).collect();
    let head = Head {
        path: params,
        query: request.uri.query(),
        own_query: &own_query,
        headers: &request.headers,
        has_body: has_body(request),
    };
    match operation.check_head(&head) {
        Ok(()) => Ok(Some(index)),
        Err(HeadRefusal::Parameters(problems)) => Err(Fault::Invalid(problems)),
        Err(HeadRefusal::ContentType(accepted)) => Err(Fault::ContentType(accepted)),
    }
}

/// The same for a call that is made again: its integration may have other rules by now.
pub(in crate::proxy) fn check_again(
    route: &Route,
    request: &RequestHeader,
    path: &str,
) -> Result<Option<usize>, Fault> {
    let Some(validator) = &route.integration.validator else {
        return Ok(None);
    };
    let params = route.params.iter();
    let found = Match {
        integration: &route.integration,
        matched: route.matched,
        params: params.map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        by_runtime_address: false,
    };
    check_head(validator, &found, request, path)
}

/// True unless it is known that the request has no body.
pub(in crate::proxy) fn may_have_body(session: &mut Session) -> bool {
    has_body(session.req_header()).unwrap_or_else(|| !session.as_downstream_mut().is_body_empty())
}

/// Checks the client's body.
pub(in crate::proxy) fn check_body(route: &Route, headers: &HeaderMap, body: &[u8]) -> Result<(), Fault> {
    let Some(operation) = operation(route).filter(|operation| operation.reads_body()) else {
        return Ok(());
    };
    if is_encoded(headers) && !body.is_empty() {
        return Err(Fault::BodyEncoded);
    }
    at_leisure(body, || operation.check_body(headers, body)).map_err(Fault::Invalid)
}

/// Checks the head of an answer with a body. True if that body has to be read as well.
pub(in crate::proxy) fn check_answer_head(
    route: &Route,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<bool, Fault> {
    let Some(operation) = operation(route) else {
        return Ok(false);
    };
    let checked = operation.check_answer_head(status.as_u16(), headers);
    checked.map_err(Fault::AnswerInvalid)?;
    Ok(operation.reads_answer(status.as_u16(), headers))
}

/// Checks the body of an answer.
pub(in crate::proxy) fn check_answer(
    route: &Route,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), Fault> {
    let Some(operation) = operation(route) else {
        return Ok(());
    };
    at_leisure(body, || operation.check_answer(status.as_u16(), headers, body)).map_err(Fault::AnswerInvalid)
}

/// True if the answer may have to be read.
pub(in crate::proxy) fn looks_at_answers(route: &Route) -> bool {
    operation(route).is_some_and(Operation::looks_at_answers)
}

fn operation(route: &Route) -> Option<&Operation> {
    route.integration.validator.as_ref()?.operation(route.operation?)
}

/// Checks a large body without holding up the other requests of the thread.
fn at_leisure(body: &[u8], check: impl FnOnce() -> Result<(), Vec<Problem>>) -> Result<(), Vec<Problem>> {
    if body.len() > LARGE_BODY {
        tokio::task::block_in_place(check)
    } else {
        check()
    }
}

/// Bytes of a body from which on checking it takes milliseconds.
const LARGE_BODY: usize = 64 * 1024;

/// What the head says of a body; `None` where only the end of the request will tell.
fn has_body(request: &RequestHeader) -> Option<bool> {
    let length = request.headers.get(header::CONTENT_LENGTH);
    match length {
        Some(length) => Some(length.as_bytes().iter().any(|digit| *digit != b'0')),
        None if request.headers.contains_key(header::TRANSFER_ENCODING) => Some(true),
        None if request.version >= Version::HTTP_2 => None,
        None => Some(false),
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}
