//! Who is calling.

use std::sync::Arc;

use filters::plan::Integration;
use pingora_http::RequestHeader;

use super::super::call::Caller;
use super::super::fault::Fault;

/// Checks the credential that the request carries.
///
/// # Errors
/// [`Fault::Unauthorized`] if it is missing or wrong.
pub(super) fn check(integration: &Integration, request: &RequestHeader) -> Result<Caller, Fault> {
    let credential = integration
        .inbound
        .check(&request.headers, request.uri.query())
        .map_err(|refusal| Fault::Unauthorized(refusal, integration.inbound.challenge()))?;
    let name = credential.and_then(|index| integration.inbound.names().get(index));
    Ok(Caller {
        credential,
        name: name.map(Arc::clone),
    })
}
