//! Tells by HTTP: a POST through the one way out, signed as Standard Webhooks has it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use egress::{Body, EgressError, Part, Pool, PoolSettings, Resolver, Timeouts, Upstream};
use filters::address::EgressPolicy;
use filters::delivery::{Message, SignFault, Signer};
use filters::model::Secret;
use filters::target::TargetUrl;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request};
use jiff::Timestamp;

use super::notice::Notice;
use super::shapes;

/// One receiver of alerts.
pub(super) struct Webhook {
    pool: Pool,
    /// Path and query; they may hold a token.
    uri: http::Uri,
    shape: Shape,
}

/// What is posted.
pub(super) enum Shape {
    /// Our own, signed where there is a secret.
    Standard(Option<Box<Signer>>),
    /// A message of Slack.
    Slack,
    /// An event of PagerDuty for the service with this key.
    PagerDuty(Secret),
}

/// Why a receiver did not take it.
#[derive(Debug, thiserror::Error)]
pub(super) enum WebhookError {
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("{host} answered with status {status}")]
    Status { host: String, status: u16 },
    #[error(transparent)]
    Sign(#[from] SignFault),
}

impl WebhookError {
    /// True if trying again later may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Egress(_) => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            Self::Sign(_) => false,
        }
    }
}

impl Webhook {
    pub(super) fn new(
        target: TargetUrl,
        shape: Shape,
        policy: EgressPolicy,
        resolver: &Arc<Resolver>,
        tls: &Arc<rustls::ClientConfig>,
    ) -> Result<Self, http::uri::InvalidUri> {
        let uri = match target.query() {
            Some(query) => format!("{}?{query}", target.path()).parse()?,
            None => target.path().parse()?,
        };
        let upstream = Upstream::new(target, policy, Arc::clone(resolver));
        Ok(Self {
            pool: Pool::new(upstream, PoolSettings::default(), Arc::clone(tls)),
            uri,
            shape,
        })
    }

    /// The receiver's host; its address may hold a token.
    pub(super) fn host(&self) -> &str {
        self.pool.upstream().host()
    }

    pub(super) async fn send(&self, notice: &Notice, now: Timestamp) -> Result<(), WebhookError> {
        let body = match &self.shape {
            Shape::Standard(_) => notice.json.clone(),
            Shape::Slack => shapes::slack(&notice.subject, &notice.text),
            Shape::PagerDuty(key) => match &notice.pager {
                Some(event) => shapes::routed(event, key.expose()),
                // Nobody is woken for it.
                None => return Ok(()),
            },
        };
        let body = Bytes::from(body);
        let mut request = Request::new(Body::of_parts([Part::Bytes(body.clone())]));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("integration-gateway-alerts"));
        if let Shape::Standard(Some(signer)) = &self.shape {
            let message = Message {
                id: &notice.id,
                timestamp_s: now.as_second(),
                accepted_ms: now.as_millisecond(),
            };
            headers.extend(signer.sign(message, &body)?);
        }
        // Receivers know a repeat by its identifier.
        let answer = self.pool.send_repeatable(request, TIMEOUTS).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(WebhookError::Status {
            host: self.host().to_owned(),
            status: answer.status.as_u16(),
        })
    }
}

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(15),
    total: Duration::from_secs(20),
};
