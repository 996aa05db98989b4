//! What the gateway does for browsers, and to header fields on their way.

use std::borrow::Cow;
use std::net::IpAddr;

use filters::cors;
use filters::edits::{Facts, Kept, Source};
use filters::fault::ErrorBody;
use filters::plan::web::Web;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use pingora::proxy::Session;
use pingora_http::{RequestHeader, ResponseHeader};

use super::call::{Call, Route};
use super::fault::{Fault, PARTNER_STATUS};
use super::{compress, respond, stream};
use crate::metrics::CacheResult;

/// The method that a browser asks for before it sends a request of another origin.
pub(super) fn preflight_method(request: &RequestHeader) -> Option<Method> {
    cors::preflight_method(&request.method, &request.headers)
}

/// Answers a preflight request.
pub(super) async fn preflight(session: &mut Session, call: &mut Call) -> Result<(), Fault> {
    let mut head = Response::new(()).into_parts().0;
    head.status = StatusCode::NO_CONTENT;
    respond::stamp(&mut head.headers, call.identity.as_ref());
    if let (Some(cors), Some(grant)) = (of(call).and_then(|web| web.cors.as_ref()), &call.grant) {
        cors.write(Some(grant), &mut head.headers);
        cors.preflight(grant, &session.req_header().headers, &mut head.headers);
    }
    let sent = respond::send(session, call, ResponseHeader::from(head), bytes::Bytes::new()).await;
    sent.map_err(|error| stream::client_fault(error, call))
}

/// Notes what is said to the origin of the request.
pub(super) fn greet(call: &mut Call, request: &RequestHeader) {
    let cors = of(call).and_then(|web| web.cors.as_ref());
    call.grant = cors.and_then(|cors| cors.grant(&request.headers));
}

/// Puts into an answer what a browser is told of it; into each, also into those that the gateway makes itself.
pub(super) fn tell_browser(fields: &mut HeaderMap, call: &Call) {
    if let Some(cors) = of(call).and_then(|web| web.cors.as_ref()) {
        cors.write(call.grant.as_ref(), fields);
    }
}

/// Edits the fields of a partner's answer.
pub(super) fn edit_answer(fields: &mut HeaderMap, call: &Call) {
    let Some(route) = &call.route else { return };
    if let (Some(values), Some(web)) = (&route.field_values, &route.integration.web)
        && let Some(headers) = &web.headers
    {
        headers.response.ready_from(&values.response).apply(fields);
    }
}

/// Edits the fields of the request that the partner gets.
pub(super) fn edit_request(fields: &mut HeaderMap, route: &Route) {
    if let (Some(values), Some(web)) = (&route.field_values, &route.integration.web)
        && let Some(headers) = &web.headers
    {
        headers.request.ready_from(&values.request).apply(fields);
    }
}

/// Refuses an error of the partner that a page of the integration takes the place of.
pub(super) fn check_replaced(request: &RequestHeader, status: StatusCode, call: &Call) -> Result<(), Fault> {
    let status = status.as_u16();
    let pages = of(call).and_then(|web| web.pages.as_ref());
    match pages {
        Some(pages) if status >= 400 && pages.replace_partner(status, PARTNER_STATUS, &request.headers) => {
            Err(Fault::Replaced(status))
        }
        _ => Ok(()),
    }
}

/// Content type and body of an error answer in the integration's own words; `None` where it has none for this.
pub(super) fn page(request: &RequestHeader, call: &Call, error: &ErrorBody) -> Option<(HeaderValue, Vec<u8>)> {
    let pages = of(call)?.pages.as_ref()?;
    let page = pages.find(error.status_code, &error.code, &request.headers)?;
    let facts = RequestFacts {
        route: call.route.as_ref(),
        request,
        client: call.client,
        request_id: call.request_id(),
        error: Some(error),
    };
    Some((page.content_type.clone(), page.body(&facts).into_bytes()))
}

/// True for a request that is carried as an exchange for the sake of its answer, although nothing of it is transformed: a
/// plain GET whose answer may have to be compressed or kept. What may go on for ever is streamed.
pub(super) fn exchanges(session: &Session, call: &Call) -> bool {
    let Some(web) = of(call) else { return false };
    let request = session.req_header();
    let is_kept = web
        .cache
        .as_ref()
        .is_some_and(|cache| cache.is_for(&request.method, &request.headers));
    let is_compressed = web.compression.is_some() && compress::is_wanted(&request.headers);
    (is_kept || is_compressed)
        && request.method == Method::GET
        && !call.is_grpc
        && !call.is_upgrade
        && !request.headers.contains_key(header::CONTENT_LENGTH)
        && !request.headers.contains_key(header::TRANSFER_ENCODING)
        && !stream::may_be_endless(session, call)
}

/// Counts a GET that an integration keeps no answers for, though it does for others.
pub(super) fn passes_by(call: &Call, request: &RequestHeader) {
    if let Some(route) = &call.route
        && request.method == Method::GET
        && of(call).is_some_and(|web| web.cache.is_some())
    {
        route.runtime.metrics.cached(CacheResult::Bypass);
    }
}

/// Tells caches of a streamed answer that it comes compressed to those who take that.
pub(super) fn tell_caches(status: StatusCode, fields: &mut HeaderMap, call: &Call) {
    let Some(compression) = of(call).and_then(|web| web.compression.as_ref()) else {
        return;
    };
    let length = fields.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if compression.is_for(status, fields, length) {
        fields.append(header::VARY, HeaderValue::from(header::ACCEPT_ENCODING));
    }
}

/// Values of a request that go into edited fields.
pub(crate) struct FieldValues {
    request: Kept,
    response: Kept,
}

/// Takes the values that the edits of the integration need; `None` where it has none.
pub(super) fn field_values(route: &Route, request: &RequestHeader, call: &Call) -> Option<Box<FieldValues>> {
    let headers = route.integration.web.as_ref()?.headers.as_ref()?;
    let facts = RequestFacts {
        route: Some(route),
        request,
        client: call.client,
        request_id: call.request_id(),
        error: None,
    };
    Some(Box::new(FieldValues {
        request: headers.request.ready(&facts).kept(),
        response: headers.response.ready(&facts).kept(),
    }))
}

/// What is known of a request.
pub(super) struct RequestFacts<'r> {
    pub(super) route: Option<&'r Route>,
    pub(super) request: &'r RequestHeader,
    pub(super) client: Option<IpAddr>,
    pub(super) request_id: &'r str,
    pub(super) error: Option<&'r ErrorBody>,
}

impl Facts for RequestFacts<'_> {
    fn value(&self, source: &Source) -> Option<Cow<'_, str>> {
        let header = |name: &str| self.request.headers.get(name)?.to_str().ok().map(Cow::Borrowed);
        match source {
            Source::Path(name) => {
                let params = &self.route?.params;
                let (_, value) = params.iter().find(|(other, _)| other == name)?;
                Some(Cow::Borrowed(value))
            }
            Source::Query(name) => {
                let query = self.request.uri.query()?.as_bytes();
                let mut pairs = form_urlencoded::parse(query);
                pairs.find(|(other, _)| other == name).map(|(_, value)| value)
            }
            Source::Header(name) => header(name),
            Source::CallerName => self.route?.caller.name.as_deref().map(Cow::Borrowed),
            Source::ClientIp => self.client.map(|client| Cow::Owned(client.to_string())),
            Source::RequestId => Some(Cow::Borrowed(self.request_id)),
            Source::RequestHost => header(header::HOST.as_str()),
            Source::ErrorCode => Some(Cow::Borrowed(&*self.error?.code)),
            Source::ErrorMessage => Some(Cow::Borrowed(&*self.error?.error)),
            Source::Status => Some(Cow::Owned(self.error?.status_code.to_string())),
        }
    }
}

/// What the integration that the request is for has set.
pub(super) fn of(call: &Call) -> Option<&Web> {
    call.runtime.as_ref()?.integration.web.as_deref()
}
