//! One request to a token endpoint.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use filters::model::secret::Secret;
use filters::outgoing::TokenPlan;
use filters::outgoing::token::{Granted, read};
use http::{HeaderValue, Request, header};
use ring::rand::SystemRandom;
use uuid::Uuid;

use super::TokenError;
use super::grants::Grants;
use crate::body::Body;
use crate::pool::{Pool, Timeouts};

/// Fetches a token. Of a refresh token that came with it, the caller hears nothing: it is kept by then.
pub(super) async fn fetch(plan: &TokenPlan, pool: &Pool, grants: &Grants) -> Result<Granted, TokenError> {
    let Some(grant) = &plan.grant else {
        return ask(plan, pool, None).await;
    };
    let claimed = grants.claim(grant).await?;
    let mut granted = ask(plan, pool, Some(claimed.token(grant))).await?;
    let next = granted.refresh_token.take();
    if let Some(next) = next.filter(|next| next != claimed.token(grant)) {
        claimed.replace(next).await?;
    }
    Ok(granted)
}

async fn ask(plan: &TokenPlan, pool: &Pool, refresh_token: Option<&Secret>) -> Result<Granted, TokenError> {
    let request = request(plan, refresh_token)?;
    // A request that the endpoint may have seen is not repeated: it may have used something up.
    let answer = pool.send(request, TIMEOUTS).await.map_err(TokenError::Egress)?;
    let (status, host) = (answer.status, answer.host());
    let body = answer.collect(LONGEST_ANSWER).await.map_err(TokenError::Egress)?;
    read(status, &body).map_err(|refusal| TokenError::Refused { host, refusal })
}

fn request(plan: &TokenPlan, refresh_token: Option<&Secret>) -> Result<Request<Body>, TokenError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let id = Uuid::new_v4().to_string();
    let made = plan.request(refresh_token, now.as_secs(), &id, &SystemRandom::new());
    let made = made.map_err(TokenError::Signing)?;
    let mut request = Request::new(Body::from(Bytes::copy_from_slice(made.form.expose().as_bytes())));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = plan.uri().clone();
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, FORM);
    headers.insert(header::ACCEPT, JSON);
    headers.insert(header::USER_AGENT, USER_AGENT);
    if let Some(authorization) = made.authorization {
        headers.insert(header::AUTHORIZATION, authorization);
    }
    Ok(request)
}

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const USER_AGENT: HeaderValue = HeaderValue::from_static("integration-gateway");
/// Token endpoints that take longer are down, as far as those who wait are concerned.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    total: Duration::from_secs(10),
};
const LONGEST_ANSWER: usize = 64 * 1024;
