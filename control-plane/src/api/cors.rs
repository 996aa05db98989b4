//! What browsers are told of the pages that may use the API (`security.cors`).

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use filters::cors::{self, Cors, Grant};
use http::{HeaderMap, StatusCode};

use crate::config::security::SecurityConfig;

/// Which pages may use the API.
#[derive(Debug, Default)]
pub(crate) struct Pages(Option<Cors>);

/// Where a request comes from, as far as a browser says so.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    cors: Option<&'a Cors>,
    grant: Option<Grant>,
}

impl Pages {
    /// Those that the settings name; none of another origin without any.
    pub(crate) fn new(security: &SecurityConfig) -> Self {
        // Problems were told of when the settings were read.
        Self(security.cors(&mut Vec::new()))
    }

    /// Where a request with these headers comes from.
    pub(super) fn origin(&self, headers: &HeaderMap) -> Origin<'_> {
        let cors = self.0.as_ref();
        Origin {
            grant: cors.and_then(|cors| cors.grant(headers)),
            cors,
        }
    }
}

impl Origin<'_> {
    /// The answer to a browser that asks whether a page may send a request; `None` for every other request.
    pub(super) fn preflight(&self, request: &Request) -> Option<Response> {
        let (cors, grant) = (self.cors?, self.grant.as_ref()?);
        cors::preflight_method(request.method(), request.headers())?;
        let mut response = StatusCode::NO_CONTENT.into_response();
        let fields = response.headers_mut();
        cors.write(Some(grant), fields);
        cors.preflight(grant, request.headers(), fields);
        Some(response)
    }

    /// Writes into another answer whether the page may read it.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        if let Some(cors) = self.cors {
            cors.write(self.grant.as_ref(), headers);
        }
    }
}
