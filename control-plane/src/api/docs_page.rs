//! `/docs`: the API's description for people, in a page that loads nothing from elsewhere.

use axum::response::IntoResponse;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

/// The page. What it shows, it reads from `/api/v1/openapi.json`.
pub(super) async fn page() -> impl IntoResponse {
    file("text/html; charset=utf-8", include_str!("docs_page/page.html"))
}

/// Its script.
pub(super) async fn script() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("docs_page/page.js"))
}

/// Its style sheet.
pub(super) async fn style() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("docs_page/page.css"))
}

/// A file, for a browser that may run and fetch only what this process has.
fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let fields = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (fields, text)
}

/// No inline script runs, so that nothing in the description can become one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
