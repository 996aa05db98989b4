//! What is done to configured objects besides changing them, and what the control plane keeps beside them.

use serde_json::{Value, json};

use super::super::sides::Side;
use super::Call;

/// All of them.
pub(super) fn all() -> Vec<Call> {
    let mut calls = edits();
    calls.extend(documents());
    calls.extend(tables());
    calls.extend(figures());
    calls
}

/// Many objects at once, switches and copies.
fn edits() -> Vec<Call> {
    let mut calls = Vec::new();
    let tried = |noun: &'static str, action: &'static str| move |side: &Side| json!({"action": action, "ids": [side.id(noun)], "dryRun": true});
    macro_rules! kind {
        ($path:literal, $noun:literal, $action:literal) => {
            calls.push(Call::own(concat!("POST /api/v1/", $path, "/bulk")).body(tried($noun, $action)));
        };
        ($path:literal, $noun:literal) => {
            kind!($path, $noun, "activate");
            calls.push(Call::own(concat!("POST /api/v1/", $path, "/{id}/activate")).of($noun));
            calls.push(Call::own(concat!("POST /api/v1/", $path, "/{id}/deactivate")).of($noun));
        };
    }
    kind!("inbound-integrations", "labs");
    kind!("outbound-integrations", "hook");
    kind!("certificates", "certificate");
    kind!("consumers", "app");
    kind!("producer-keys", "producer");
    kind!("event-types", "spare", "delete");
    kind!("lookups", "table", "delete");
    calls.extend([
        Call::own("POST /api/v1/inbound-integrations/{id}/clone").of("labs"),
        Call::own("POST /api/v1/outbound-integrations/{id}/clone").of("hook"),
        Call::own("POST /api/v1/event-types/{id}/clone").of("event"),
        Call::own("POST /api/v1/lookups/{id}/clone").of("table"),
    ]);
    calls
}

/// Templates, fields of events, jobs, the console, and what was deleted.
fn documents() -> Vec<Call> {
    let template = |side: &Side| side.template("another");
    let job = |side: &Side| side.job("another");
    let fields = |_: &Side| json!({"fields": [{"path": "total", "type": "number"}]});
    vec![
        Call::own("GET /api/v1/templates"),
        Call::own("POST /api/v1/templates").bare().body(template),
        Call::own("GET /api/v1/templates/{id}").of("template"),
        Call::own("PUT /api/v1/templates/{id}")
            .of("template")
            .bare()
            .body(|side| side.template("template")),
        Call::own("POST /api/v1/templates/{id}/create")
            .of("template")
            .body(|_| json!({"parameters": {"code": "lab"}, "dryRun": true})),
        Call::own("DELETE /api/v1/templates/{id}").of("template"),
        Call::own("GET /api/v1/field-schemas"),
        Call::own("GET /api/v1/field-schemas/{eventType}")
            .of("type")
            .own_names(),
        Call::own("PUT /api/v1/field-schemas/{eventType}")
            .of("type")
            .own_names()
            .body(fields),
        Call::own("DELETE /api/v1/field-schemas/{eventType}")
            .of("type")
            .own_names(),
        Call::own("GET /api/v1/trash"),
        Call::own("GET /api/v1/trash/{id}").of("rubbish"),
        Call::own("DELETE /api/v1/trash/{id}").of("rubbish"),
        Call::own("POST /api/v1/trash/{id}/restore").of("trash"),
        Call::own("GET /api/v1/scheduled-jobs"),
        Call::own("POST /api/v1/scheduled-jobs").body(job),
        Call::own("POST /api/v1/scheduled-jobs/validate").body(job),
        Call::own("GET /api/v1/scheduled-jobs/{id}").of("job"),
        Call::own("PUT /api/v1/scheduled-jobs/{id}")
            .of("job")
            .body(|side| side.job("job")),
        Call::own("PATCH /api/v1/scheduled-jobs/{id}")
            .of("job")
            .body(|_| json!({"type": "EXPORT"})),
        Call::own("DELETE /api/v1/scheduled-jobs/{id}").of("job"),
        Call::own("GET /api/v1/ui-config"),
        Call::own("PUT /api/v1/ui-config").body(|side| json!({"orgId": side.org, "title": side.marked("console")})),
        Call::own("DELETE /api/v1/ui-config"),
    ]
}

/// Rows of lookup tables, and tables as files.
fn tables() -> Vec<Call> {
    let row = |side: &Side| json!({"value": side.marked("row")});
    vec![
        Call::own("GET /api/v1/lookups/{id}/entries").of("table"),
        Call::own("GET /api/v1/lookups/{id}/entries/{key}")
            .of("table")
            .within("a"),
        Call::own("PUT /api/v1/lookups/{id}/entries/{key}")
            .of("table")
            .within("b")
            .body(row),
        Call::own("DELETE /api/v1/lookups/{id}/entries/{key}")
            .of("table")
            .within("b"),
        Call::own("POST /api/v1/lookups/import")
            .query(|side| format!("orgId={}&name=imported", side.org))
            .file(ROWS),
        Call::own("POST /api/v1/lookups/{id}/import")
            .of("table")
            .query(|side| format!("orgId={}&mode=merge", side.org))
            .file(ROWS),
        Call::own("GET /api/v1/lookups/{id}/export").of("table"),
    ]
}

/// Organizations as a whole, and figures of them.
fn figures() -> Vec<Call> {
    let days = |_: &Side| -> Value { json!({"retentionDays": 3}) };
    vec![
        Call::own("GET /api/v1/tenant"),
        Call::own("GET /api/v1/health").blank(),
        Call::own("GET /api/v1/admin/organizations/{id}/hierarchy")
            .of("organization")
            .bare(),
        Call::own("GET /api/v1/admin/organizations/{id}/retention")
            .of("organization")
            .bare(),
        Call::own("PUT /api/v1/admin/organizations/{id}/retention")
            .of("organization")
            .bare()
            .body(days),
        Call::own("DELETE /api/v1/admin/organizations/{id}/retention")
            .of("organization")
            .bare(),
        Call::own("GET /api/v1/admin/rate-limits"),
        Call::own("POST /api/v1/admin/rate-limits/reset")
            .bare()
            .body(|side| json!({"orgId": side.org, "scope": "organization"})),
        Call::own("GET /api/v1/admin/erasures"),
        Call::own("GET /api/v1/admin/erasures/{id}").of("erasure"),
        Call::own("POST /api/v1/admin/erasures")
            .bare()
            .body(|side| json!({"orgId": side.org, "subject": "nobody whom anything names"})),
        Call::own("GET /api/v1/dashboard"),
        Call::own("GET /api/v1/analytics"),
        Call::own("GET /api/v1/logs/export"),
        Call::own("GET /api/v1/execution-logs/export"),
        Call::own("GET /api/v1/dlq/export"),
    ]
}

const ROWS: &str = "code,name\nA01,Typhoid\n";
