//! What is tried without being saved; what gateways tell, and what they are told.

use serde_json::json;

use super::super::sides::Side;
use super::Call;

/// What is tried without being saved.
pub(super) fn tried() -> Vec<Call> {
    let sample = |_: &Side| json!({"side": "request", "sample": {}});
    let payload = |_: &Side| json!({"sample": {}});
    vec![
        Call::own("POST /api/v1/inbound-integrations/test")
            .body(|side| json!({"side": "request", "sample": {}, "integration": side.object("labs")})),
        Call::own("POST /api/v1/inbound-integrations/{id}/test")
            .of("labs")
            .body(sample),
        Call::own("POST /api/v1/outbound-integrations/test")
            .body(|side| json!({"sample": {}, "integration": side.object("hook")})),
        Call::own("POST /api/v1/outbound-integrations/{id}/test")
            .of("hook")
            .body(payload),
        Call::own("POST /api/v1/inbound-integrations/import").body(|side| {
            let document = json!({"openapi": "3.1.0", "info": {"title": "Labs", "version": "1"},
                "paths": {"/labs": {"get": {"responses": {"200": {"description": "ok"}}}}}});
            json!({"document": document, "integration": side.object("labs"), "dryRun": true})
        }),
    ]
}

/// What gateways tell, and what they are told.
pub(super) fn told() -> Vec<Call> {
    let in_body = |side: &Side| json!({"orgId": side.org, "ids": [side.id("letter")]});
    vec![
        Call::own("GET /api/v1/logs"),
        Call::own("GET /api/v1/logs/{id}").of("log"),
        Call::own("GET /api/v1/execution-logs"),
        Call::own("GET /api/v1/execution-logs/{traceId}").of("trace"),
        Call::own("GET /api/v1/alerts"),
        Call::own("GET /api/v1/dlq"),
        Call::own("GET /api/v1/dlq/{id}").of("letter"),
        Call::own("POST /api/v1/dlq/{id}/retry").of("letter"),
        Call::own("POST /api/v1/dlq/{id}/abandon").of("letter"),
        Call::own("DELETE /api/v1/dlq/{id}").of("letter"),
        Call::own("POST /api/v1/dlq/bulk-retry").bare().body(in_body),
        Call::own("GET /api/v1/dlq/bulk/{id}").of("bulk"),
        Call::own("GET /api/v1/scheduled-integrations"),
        Call::own("GET /api/v1/scheduled-integrations/{id}").of("scheduled"),
        Call::own("DELETE /api/v1/scheduled-integrations/{id}").of("scheduled"),
        Call::own("POST /api/v1/scheduled-integrations/{id}/cancel").of("scheduled"),
        Call::own("POST /api/v1/outbound-integrations/{id}/deliver-test").of("hook"),
        Call::own("POST /api/v1/outbound-integrations/{id}/pause").of("hook"),
        Call::own("POST /api/v1/outbound-integrations/{id}/resume").of("hook"),
        Call::own("POST /api/v1/replay")
            .bare()
            .body(|side| json!({"orgId": side.org, "eventIds": [side.id("occurrence")]})),
        Call::own("GET /api/v1/undelivered"),
        Call::own("GET /api/v1/commands/{id}").of("command"),
        // They hold a hash of whom they are about, and nothing else that is anybody's.
        Call::own("GET /api/v1/admin/erasures").blank(),
        Call::own("GET /api/v1/admin/erasures/{id}").of("erasure").blank(),
        Call::own("POST /api/v1/admin/erasures")
            .bare()
            .body(|side| json!({"orgId": side.org, "subject": "nobody-4711"})),
    ]
}
