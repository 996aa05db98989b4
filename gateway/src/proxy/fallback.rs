//! The answer of the operator's own, where there is none of the partner.

use filters::resilience::Fallback;
use http::{HeaderName, HeaderValue, Response, header};
use pingora::proxy::Session;
use pingora_http::ResponseHeader;

use super::call::Call;
use super::fault::Fault;
use super::{respond, secure, web};

/// What the client gets in the place of an error, if the integration says so and the partner is at fault.
pub(super) fn of(call: &Call, fault: &Fault) -> Option<Fallback> {
    let fallback = call.route.as_ref()?.fallback()?;
    let is_of_partner = matches!(
        fault,
        Fault::Egress(_) | Fault::Stream(_) | Fault::Unavailable(_) | Fault::PartnerStatus(_)
    );
    (is_of_partner && !call.is_grpc).then(|| fallback.clone())
}

/// Writes it, with the reason in a field of its own.
pub(super) async fn write(
    session: &mut Session,
    call: &mut Call,
    fault: &Fault,
    fallback: Fallback,
) -> pingora::Result<()> {
    let mut head = Response::new(()).into_parts().0;
    head.status = fallback.status;
    let fields = &mut head.headers;
    if !respond::has_no_body(fallback.status) {
        fields.insert(header::CONTENT_TYPE, fallback.content_type);
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(fallback.body.len()));
    }
    fields.insert(&X_FALLBACK_REASON, HeaderValue::from_static(fault.code()));
    respond::stamp(fields, call.identity.as_ref());
    secure::tell(fields, call);
    web::tell_browser(fields, call);
    respond::send(session, call, ResponseHeader::from(head), fallback.body).await?;
    session.downstream_session.finish_body().await
}

/// Says why the answer is not the partner's: the code of the error that it takes the place of.
static X_FALLBACK_REASON: HeaderName = HeaderName::from_static("x-fallback-reason");
