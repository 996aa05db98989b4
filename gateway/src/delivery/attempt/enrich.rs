//! Calls before each attempt that fetch fresh data by id, so that a retry sends what is right by then.

use filters::model::delivery::ErrorCategory;
use filters::model::outbound::step::EnrichmentEncoding;
use http::{HeaderValue, Method, Request, header};
use serde_json::Value;

use super::content::{Fetched, Spool, SpoolFault, Spooled};
use super::fault::Fault;
use super::request::Trace;
use crate::live::subscription::{EnrichmentRuntime, SubscriptionRuntime, path_and_query};
use crate::sign_in::{self, CallFault};

/// The payload with the data of each enrichment in it, and the large content that it has marks for.
pub(super) async fn enriched(
    subscription: &SubscriptionRuntime,
    payload: &[u8],
    trace: &Trace,
    spool: &Spool,
) -> Result<(Value, Vec<Spooled>), Fault> {
    let mut payload: Value = serde_json::from_slice(payload).map_err(|error| {
        Fault::ours(
            ErrorCategory::Transformation,
            format!("the payload cannot be enriched, as it is not JSON: {error}"),
        )
    })?;
    let mut spooled = Vec::new();
    for enrichment in &subscription.enrichments {
        let answer = call(subscription, enrichment, &payload, trace).await?;
        let name = &enrichment.plan().name;
        let value = match enrichment.plan().encoding {
            EnrichmentEncoding::Json => {
                let most = usize::try_from(enrichment.plan().max_bytes).unwrap_or(usize::MAX);
                let body = answer.collect(most).await;
                let body = body.map_err(|error| Fault::of_enrichment(name, &error))?;
                serde_json::from_slice(&body).map_err(|error| {
                    Fault::ours(
                        ErrorCategory::Enrichment,
                        format!("enrichment `{name}`: the answer is not JSON: {error}"),
                    )
                })?
            }
            EnrichmentEncoding::Base64 => match spool.fetch(answer, enrichment.plan().max_bytes).await {
                Ok(Fetched::Small(text)) => Value::String(text),
                Ok(Fetched::Large(content)) => {
                    let mark = Value::String(content.mark.clone());
                    spooled.push(content);
                    mark
                }
                Err(SpoolFault::Egress(error)) => return Err(Fault::of_enrichment(name, &error)),
                Err(fault @ (SpoolFault::File(_) | SpoolFault::NoRoom)) => {
                    return Err(Fault::ours(
                        ErrorCategory::Internal,
                        format!("enrichment `{name}`: {fault}"),
                    ));
                }
            },
        };
        match &enrichment.plan().target_field {
            None => payload = value,
            Some(path) => put(&mut payload, path, value).map_err(|found| {
                Fault::ours(
                    ErrorCategory::Transformation,
                    format!(
                        "enrichment `{name}`: `{found}` of the payload is no object that a field could be put into"
                    ),
                )
            })?,
        }
    }
    Ok((payload, spooled))
}

async fn call(
    subscription: &SubscriptionRuntime,
    enrichment: &EnrichmentRuntime,
    payload: &Value,
    trace: &Trace,
) -> Result<egress::Answer, Fault> {
    let plan = enrichment.plan();
    let name = &plan.name;
    let broken = |why: String| Fault::ours(ErrorCategory::Transformation, format!("enrichment `{name}`: {why}"));
    let target = plan.url(payload).map_err(|fault| broken(fault.to_string()))?;
    let uri = path_and_query(&target, &plan.sign_in).ok_or_else(|| broken("its address is too long".to_owned()))?;
    let body = if plan.method == Method::GET {
        Vec::new()
    } else {
        serde_json::to_vec(payload).map_err(|error| broken(error.to_string()))?
    };
    let mut request = Request::new(bytes::Bytes::from(body));
    *request.method_mut() = plan.method.clone();
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.clone_from(&enrichment.headers);
    if plan.method != Method::GET {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    trace.add_to(headers);
    if let Some(signer) = &plan.sign_in.signature {
        let host = target.authority();
        let signed = sign_in::sign(signer, &mut request, host);
        signed.map_err(|fault| Fault::ours(ErrorCategory::Enrichment, format!("enrichment `{name}`: {fault}")))?;
    }
    let request = request.map(egress::Body::from);
    let pool = enrichment.target.pool();
    let answer = match &enrichment.token {
        None => pool.send(request, subscription.timeouts).await,
        Some(source) => match sign_in::send(pool, request, source, subscription.timeouts).await {
            Ok(answer) => Ok(answer),
            Err(CallFault::Egress(error)) => Err(error),
            Err(CallFault::Token(error)) => {
                let message = format!("enrichment `{name}`: {}", filters::fault::told(&*error));
                return Err(Fault::ours(ErrorCategory::Enrichment, message));
            }
        },
    };
    let answer = answer.map_err(|error| Fault::of_enrichment(name, &error))?;
    if answer.status.is_success() {
        return Ok(answer);
    }
    Err(Fault::ours(
        ErrorCategory::Enrichment,
        format!(
            "enrichment `{name}`: {} answered with status {}",
            target,
            answer.status.as_u16()
        ),
    ))
}

/// Puts `value` at `path`, making the objects on the way that are not there.
fn put(payload: &mut Value, path: &[Box<str>], value: Value) -> Result<(), String> {
    let mut place = payload;
    for (depth, name) in path.iter().enumerate() {
        if place.is_null() {
            *place = Value::Object(serde_json::Map::new());
        }
        let Value::Object(fields) = place else {
            return Err(path[..depth].join("."));
        };
        place = fields.entry(&**name).or_insert(Value::Null);
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> Vec<Box<str>> {
        text.split('.').map(Into::into).collect()
    }

    #[test]
    fn data_is_put_where_it_is_asked_for() {
        let mut payload = json!({"bill": {"id": 7}, "note": null});
        put(&mut payload, &path("bill.lines"), json!([1])).unwrap();
        put(&mut payload, &path("note.text"), json!("x")).unwrap();
        put(&mut payload, &path("a.b.c"), json!(true)).unwrap();
        put(&mut payload, &path("bill.id"), json!(8)).unwrap();
        assert_eq!(
            payload,
            json!({"bill": {"id": 8, "lines": [1]}, "note": {"text": "x"}, "a": {"b": {"c": true}}})
        );
    }

    #[test]
    fn a_field_of_what_is_no_object_is_refused() {
        let mut payload = json!({"bill": {"id": 7}});
        assert_eq!(put(&mut payload, &path("bill.id.x"), json!(1)).unwrap_err(), "bill.id");
        assert_eq!(put(&mut json!([]), &path("x"), json!(1)).unwrap_err(), "");
    }
}
