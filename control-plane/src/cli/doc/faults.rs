//! The errors that the gateway itself answers calls with.

use filters::model::InboundIntegration;

use super::word;

/// Each of them: whether calls of the integration can get it, its status, its code, and what a client does about it.
pub(super) fn of(integration: &InboundIntegration) -> [(bool, &'static str, &'static str, &'static str); 13] {
    let auth = word(&integration.inbound_auth_type) != "NONE";
    let breaker = integration.breaker.as_ref().is_some_and(|breaker| breaker.enabled);
    let limited = integration.rate_limits.as_ref().is_some_and(|limits| limits.enabled);
    let maps = integration.request_transformation_mode.is_some() || integration.validation.is_some();
    let signs_in = word(&integration.outgoing_auth_type) != "NONE";
    let transforms = integration.response_transformation_mode.is_some();
    let repeats = integration.idempotency.as_ref().is_some_and(|rules| rules.enabled);
    [
        (
            maps,
            "400",
            "VALIDATION_ERROR",
            "do not retry; fix the request: `problems` names the fields",
        ),
        (auth, "401", "UNAUTHORIZED", "renew the credential, then retry once"),
        (
            auth || integration.client_networks.is_some(),
            "403",
            "FORBIDDEN",
            "do not retry; ask the operator",
        ),
        (
            true,
            "404",
            "NOT_FOUND",
            "do not retry; check host, path and that the integration is active",
        ),
        (
            repeats,
            "409",
            "REQUEST_UNDER_WAY",
            "the same key is under way; retry later with the same key",
        ),
        (true, "413", "PAYLOAD_TOO_LARGE", "do not retry; send less"),
        (limited, "429", "RATE_LIMITED", "back off as Retry-After says"),
        (
            signs_in,
            "502",
            "SIGN_IN_FAILED",
            "retry with backoff; the operator looks at the credentials",
        ),
        (
            transforms,
            "502",
            "TRANSFORMATION_FAILED",
            "do not retry; tell the operator",
        ),
        (
            true,
            "502",
            "UPSTREAM_ERROR",
            "retry with exponential backoff if the request may be repeated",
        ),
        (breaker, "503", "CIRCUIT_OPEN", "fail fast; retry as Retry-After says"),
        (true, "503", "SERVICE_UNAVAILABLE", "retry as Retry-After says"),
        (true, "504", "UPSTREAM_TIMEOUT", "retry if the request may be repeated"),
    ]
}
