//! Around every request: its identifier, its time limit, its line in the log, its metrics, and the shape of its errors.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use filters::model::Secret;
use futures_util::FutureExt as _;
use http::header::{ALLOW, CACHE_CONTROL};
use http::{HeaderName, HeaderValue, StatusCode};
use uuid::Uuid;

use super::App;
use super::error::ApiError;

/// What becomes known of a request while it is handled.
#[derive(Clone, Debug, Default)]
pub(super) struct Noted(Arc<Notes>);

#[derive(Debug, Default)]
struct Notes {
    request_id: OnceLock<String>,
    operator: OnceLock<String>,
    renewed: OnceLock<Secret>,
    reads_body: AtomicBool,
}

impl Noted {
    /// Notes who asked; for the log.
    pub(super) fn operator(&self, name: &str) {
        // The first one stays; there is only one key per request.
        let _ = self.0.operator.set(name.to_owned());
    }

    /// Notes a token to be given back in the place of the one that is getting old.
    pub(super) fn renewed(&self, token: Secret) {
        let _ = self.0.renewed.set(token);
    }

    /// The request's identifier.
    pub(super) fn request_id(&self) -> Option<&str> {
        self.0.request_id.get().map(String::as_str)
    }

    /// Notes whether the body is being waited for; for the answer if that takes too long.
    pub(super) fn reads_body(&self, reads: bool) {
        self.0.reads_body.store(reads, Ordering::Relaxed);
    }
}

pub(super) async fn observe(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let request_id = id_of(&request);
    let noted = Noted::default();
    let _ = noted.0.request_id.set(request_id.clone());
    request.extensions_mut().insert(noted.clone());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let origin = app.pages.origin(request.headers());
    let mut response = match origin.preflight(&request) {
        Some(answer) => answer,
        None => {
            let handled = within(app.limits.request_timeout(), next.run(request), &noted, &request_id).await;
            let mut response = shaped(handled, &uri, &request_id);
            origin.tell(response.headers_mut());
            response
        }
    };
    if let Some(token) = noted.0.renewed.get()
        && let Ok(mut value) = HeaderValue::from_str(token.expose())
    {
        value.set_sensitive(true);
        response.headers_mut().insert(SESSION_TOKEN, value);
    }
    if uri.path().starts_with("/api/") {
        // Answers hold what only this caller may see.
        let caching = response.headers_mut().entry(CACHE_CONTROL);
        caching.or_insert(HeaderValue::from_static("no-store"));
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let status = response.status().as_u16();
    let took = begun.elapsed();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    app.metrics.request(method_label(&method), route, status, took);
    let line = Line {
        request_id: &request_id,
        method: method.as_str(),
        path: uri.path(),
        route,
        status,
        ms: took.as_secs_f64() * 1000.0,
        operator: noted.0.operator.get(),
    };
    line.write();
    response
}

/// The answer, or what is said where there is none in time.
async fn within(limit: Duration, answer: impl Future<Output = Response>, noted: &Noted, request_id: &str) -> Response {
    match tokio::time::timeout(limit, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!(request_id, "a handler panicked");
            ApiError::internal().answer(request_id)
        }
        Err(_) if noted.0.reads_body.load(Ordering::Relaxed) => ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            format!(
                "the body did not arrive within {} ms; nothing was changed",
                limit.as_millis()
            ),
        )
        .answer(request_id),
        Err(_) => ApiError::unavailable(format!(
            "the request took longer than {} ms; read what is there before a change is repeated, as it may be kept",
            limit.as_millis()
        ))
        .answer(request_id),
    }
}

/// A request's line in the log.
struct Line<'a> {
    request_id: &'a str,
    method: &'a str,
    path: &'a str,
    route: &'a str,
    status: u16,
    ms: f64,
    operator: Option<&'a String>,
}

impl Line<'_> {
    fn write(&self) {
        // Probes and scrapes come every few seconds and say nothing while all is well.
        if PROBES.contains(&self.route) && self.status < 400 {
            tracing::debug!(
                request_id = self.request_id,
                route = self.route,
                status = self.status,
                "request"
            );
            return;
        }
        tracing::info!(
            request_id = self.request_id,
            method = self.method,
            path = self.path,
            route = self.route,
            status = self.status,
            ms = self.ms,
            operator = self.operator,
            "request"
        );
    }
}

/// Every error in our shape, also those that a library made.
fn shaped(mut response: Response, uri: &http::Uri, request_id: &str) -> Response {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        return error.answer(request_id);
    }
    let status = response.status();
    let is_ours = response
        .headers()
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/json");
    if !(status.is_client_error() || status.is_server_error()) || is_ours {
        return response;
    }
    let mut shaped = ApiError::of_foreign(&response, uri).answer(request_id);
    if let Some(allow) = response.headers_mut().remove(ALLOW) {
        shaped.headers_mut().insert(ALLOW, allow);
    }
    shaped
}

/// The caller's identifier where it is harmless, else one of our own.
fn id_of(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let harmless = |id: &&str| {
        (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
    };
    given
        .filter(harmless)
        .map_or_else(|| format!("req_{}", Uuid::now_v7().simple()), str::to_owned)
}

/// A client may make methods up; metrics must not grow by them.
fn method_label(method: &http::Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "other",
    }
}

const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
/// A token in the place of the one that the request came with.
const SESSION_TOKEN: HeaderName = HeaderName::from_static("x-session-token");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
