//! Calls that are signed in with a token: the token before the call, and another one if the partner refuses it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use egress::{Answer, Body, EgressError, Pool, Timeouts, Token, TokenError, TokenSource};
use filters::outgoing::RequestSigner;
use filters::outgoing::signature::{SignatureFault, Subject};
use http::{HeaderValue, Request, StatusCode, header};
use uuid::Uuid;

use crate::clock::now_ms;

/// Signs `request`, which goes to `host`; its body is in memory.
///
/// # Errors
/// What keeps it from being signed.
pub(crate) fn sign(
    signer: &RequestSigner,
    request: &mut Request<impl AsRef<[u8]>>,
    host: &HeaderValue,
) -> Result<(), SignatureFault<Infallible>> {
    let nonce = Uuid::new_v4().to_string();
    let subject = Subject {
        method: request.method(),
        host: host.to_str().unwrap_or_default(),
        path: request.uri().path(),
        query: request.uri().query(),
        headers: request.headers(),
        now_ms: now_ms(),
        nonce: &nonce,
    };
    let fields = signer.sign(&subject, |take| {
        take(request.body().as_ref());
        Ok(())
    })?;
    for (name, value) in fields {
        request.headers_mut().insert(name, value);
    }
    Ok(())
}

/// Why a call that is signed in with a token has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallFault {
    /// There is no token.
    #[error(transparent)]
    Token(#[from] Arc<TokenError>),
    /// The call itself failed.
    #[error(transparent)]
    Egress(#[from] EgressError),
}

/// Sends `request` with a token of `source`, and once more with another token if it is answered with 401. All of it takes
/// no longer than `timeouts.total`.
///
/// # Errors
/// If there is no token, or no answer.
pub(crate) async fn send(
    pool: &Pool,
    request: Request<Body>,
    source: &Arc<TokenSource>,
    timeouts: Timeouts,
) -> Result<Answer, CallFault> {
    let begun = Instant::now();
    let left = || timeouts.total.saturating_sub(begun.elapsed());
    let within = || Timeouts {
        total: left(),
        ..timeouts
    };
    let token = source.token(left()).await?;
    let answer = pool.send(signed(request.clone(), &token), within()).await?;
    if answer.status != StatusCode::UNAUTHORIZED {
        token.accepted();
        return Ok(answer);
    }
    let Some(renewed) = source.renewed(&token, left()).await? else {
        return Ok(answer);
    };
    // Read to its end if it is short, so that the connection can be used again.
    let _ = answer.collect(MOST_READ).await;
    let answer = pool.send(signed(request, &renewed), within()).await?;
    if answer.status != StatusCode::UNAUTHORIZED {
        renewed.accepted();
    }
    Ok(answer)
}

fn signed(mut request: Request<Body>, token: &Token) -> Request<Body> {
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, token.authorization().clone());
    request
}

const MOST_READ: usize = 16 * 1024;
