//! Tells an event's producer what became of it (`integration_status_callback`).
//!
//! `QUEUED` goes out beside the first attempt, once, and may be lost. `SUCCESS` and `FAIL` are told before the outcome is
//! committed; where that fails, the delivery stays open until they are told or the tries are used up, so that neither a
//! restart nor a producer that is down for an hour loses them. The same may come twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use egress::{Body, Timeouts};
use filters::target::TargetUrl;
use http::{HeaderName, HeaderValue, Method, Request, header};
use parking_lot::Mutex;
use serde::Serialize;
use uuid::Uuid;

use super::request::Trace;
use crate::clock::now_ms;
use crate::delivery::Job;
use crate::live::TargetRuntime;
use crate::live::subscription::{SubscriptionRuntime, path_and_query};

/// What a producer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Told {
    /// The first attempt is made.
    Queued,
    /// The endpoint has it.
    Success,
    /// It is a dead letter.
    Fail,
}

/// The connections to producers.
#[derive(Debug, Default)]
pub(super) struct Callbacks {
    producers: Mutex<HashMap<Origin, Arc<Producer>>>,
}

/// Whose policy holds, and who is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Origin {
    org_id: u64,
    scheme: &'static str,
    authority: HeaderValue,
}

#[derive(Debug)]
struct Producer {
    target: TargetRuntime,
    /// Nobody is called before this time: it did not answer last time.
    rests_until_ms: AtomicI64,
}

impl Callbacks {
    /// Sends `message` to the address that the event names.
    ///
    /// # Errors
    /// Why the producer does not have it, for the log.
    pub(super) async fn tell(
        &self,
        job: &Job,
        subscription: &SubscriptionRuntime,
        message: &str,
    ) -> Result<(), String> {
        let Some(address) = &job.event.head.status_callback else {
            return Ok(());
        };
        let url = TargetUrl::parse(address).map_err(|error| format!("the address {error}"))?;
        let producer = self.producer(subscription, &url);
        if producer.rests_until_ms.load(Ordering::Relaxed) > now_ms() {
            return Err("it did not answer a moment ago".to_owned());
        }
        let request = request(job, &url, message)?;
        let answer = producer.target.pool().send_repeatable(request, TIMEOUTS).await;
        match answer {
            Ok(answer) if answer.status.is_success() => {
                // Read to its end if it is short, so that the connection can be used again.
                let _ = answer.collect(MOST_READ).await;
                Ok(())
            }
            Ok(answer) => Err(format!("it answered with status {}", answer.status.as_u16())),
            Err(error) => {
                producer.rests_until_ms.store(now_ms() + REST_MS, Ordering::Relaxed);
                Err(error.to_string())
            }
        }
    }

    fn producer(&self, subscription: &SubscriptionRuntime, url: &TargetUrl) -> Arc<Producer> {
        let origin = Origin {
            org_id: subscription.subscription.org_id,
            scheme: url.scheme().as_str(),
            authority: url.authority().clone(),
        };
        let mut producers = self.producers.lock();
        if let Some(known) = producers.get(&origin)
            && *known.target.upstream.policy() == subscription.subscription.egress
        {
            return Arc::clone(known);
        }
        if producers.len() >= MOST_PRODUCERS {
            producers.clear();
        }
        let producer = Arc::new(Producer {
            target: subscription.endpoint(url),
            rests_until_ms: AtomicI64::new(0),
        });
        producers.insert(origin, Arc::clone(&producer));
        producer
    }
}

/// What a producer is told of a delivery, as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    pub(super) status: Told,
    pub(super) event_id: &'a str,
    pub(super) source: &'a str,
    pub(super) event_type: &'a str,
    pub(super) org_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entity_rid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlation_id: Option<&'a str>,
    pub(super) integration_id: &'a str,
    pub(super) integration_name: &'a str,
    /// The delivery, as the endpoint knows it.
    pub(super) message_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a str>,
    /// When that was (RFC 3339).
    pub(super) timestamp: String,
}

impl<'a> Message<'a> {
    pub(super) fn of(job: &'a Job, subscription: &'a SubscriptionRuntime, status: Told, at_ms: i64) -> Self {
        let head = &job.event.head;
        Self {
            status,
            event_id: &head.id,
            source: &head.source,
            event_type: &head.event_type,
            org_id: head.org_id,
            entity_rid: head.entity_rid,
            correlation_id: head.correlation_id.as_deref(),
            integration_id: &subscription.subscription.id,
            integration_name: &subscription.subscription.name,
            message_id: job.state.id,
            response_status: None,
            error: None,
            timestamp: super::record::rfc3339(at_ms),
        }
    }

    /// As JSON text.
    pub(super) fn text(&self) -> Box<str> {
        // It has texts and numbers only.
        serde_json::to_string(self).unwrap_or_default().into()
    }
}

/// When the producer is tried again, after `tries` times; `None` if it is given up.
pub(super) fn next_try_ms(tries: u32, now_ms: i64) -> Option<i64> {
    let place = usize::try_from(tries.saturating_sub(1)).ok()?;
    TRIES_AFTER_MS.get(place).map(|wait_ms| now_ms.saturating_add(*wait_ms))
}

fn request(job: &Job, url: &TargetUrl, message: &str) -> Result<Request<Body>, String> {
    let uri = path_and_query(url, &filters::outgoing::SignIn::default()).ok_or("its address is too long")?;
    let mut request = Request::new(Body::from(Bytes::copy_from_slice(message.as_bytes())));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("integration-gateway"));
    headers.insert(
        MESSAGE_ID,
        HeaderValue::try_from(job.state.id.to_string()).map_err(|error| error.to_string())?,
    );
    Trace::of(&job.event.head).add_to(headers);
    Ok(request)
}

const MESSAGE_ID: HeaderName = HeaderName::from_static("x-message-id");
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    first_byte: Duration::from_secs(4),
    total: Duration::from_secs(4),
};
/// A producer that does not answer is left alone for so long, so that its silence holds up nobody's deliveries.
const REST_MS: i64 = 10_000;
const TRIES_AFTER_MS: [i64; 6] = [15_000, 60_000, 300_000, 1_800_000, 7_200_000, 18_000_000];
const MOST_READ: usize = 16 * 1024;
/// Beyond it, connections are made anew.
const MOST_PRODUCERS: usize = 256;
