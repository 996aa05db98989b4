//! Requests that come without TLS, and what clients are told about it.

use filters::model::protocol::OnPlain;
use filters::plan::Protocols;
use http::{HeaderMap, HeaderValue, header};
use pingora_http::RequestHeader;

use super::call::Call;
use super::fault::Fault;

/// Sends a client that came without TLS to `https`, or away, where the integration wants that.
///
/// # Errors
/// [`Fault::Redirected`] or [`Fault::Plain`].
pub(super) fn demand_tls(
    protocols: &Protocols,
    is_secure: bool,
    host: &str,
    port: u16,
    request: &RequestHeader,
) -> Result<(), Fault> {
    match protocols.on_plain {
        OnPlain::Serve => Ok(()),
        OnPlain::Redirect | OnPlain::Refuse if is_secure => Ok(()),
        OnPlain::Refuse => Err(Fault::Plain),
        OnPlain::Redirect => {
            let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
            let address = match port {
                443 => format!("https://{host}{target}"),
                port => format!("https://{host}:{port}{target}"),
            };
            let address = HeaderValue::try_from(address);
            Err(address.map_or(Fault::Plain, Fault::Redirected))
        }
    }
}

/// Tells browsers that came over TLS to do so always, where the integration wants that.
pub(super) fn tell(fields: &mut HeaderMap, call: &Call) {
    if !call.is_secure {
        return;
    }
    let integration = call.runtime.as_ref().map(|runtime| &runtime.integration);
    if let Some(value) = integration.and_then(|integration| integration.protocols.hsts.as_ref()) {
        fields.insert(header::STRICT_TRANSPORT_SECURITY, value.clone());
    }
}
