//! Versions, drafts and rollouts.

use serde_json::json;

use super::super::sides::Side;
use super::Call;

/// All of them.
pub(super) fn all() -> Vec<Call> {
    let mut calls = versions();
    calls.extend(drafts());
    calls.extend(rollouts());
    calls
}

fn versions() -> Vec<Call> {
    macro_rules! past {
        ($path:literal, $noun:literal) => {
            Call::own(concat!("GET /api/v1/", $path, "/{id}/versions")).of($noun)
        };
    }
    vec![
        Call::own("GET /api/v1/versions").blank(),
        Call::own("GET /api/v1/versions/{number}").of("version"),
        Call::own("GET /api/v1/versions/compare").query(|side| format!("orgId={}&from=0", side.org)),
        Call::own("POST /api/v1/versions/{number}/rollback")
            .of("version")
            .body(|side| json!({"object": {"kind": "integration", "id": side.id("labs")}, "dryRun": true})),
        past!("inbound-integrations", "labs"),
        past!("outbound-integrations", "hook"),
        past!("event-types", "event"),
        past!("producer-keys", "producer"),
        past!("certificates", "certificate"),
        past!("lookups", "table"),
        past!("consumers", "app"),
        past!("admin/org-units", "unit"),
        past!("admin/organizations", "organization").bare(),
    ]
}

fn drafts() -> Vec<Call> {
    vec![
        Call::own("GET /api/v1/drafts"),
        Call::own("POST /api/v1/drafts").body(Side::draft),
        Call::own("GET /api/v1/drafts/{id}").of("draft"),
        Call::own("GET /api/v1/drafts/{id}/diff").of("draft").blank(),
        Call::own("PUT /api/v1/drafts/{id}").of("draft").body(Side::draft),
        Call::own("POST /api/v1/drafts/{id}/validate").of("draft"),
        Call::own("POST /api/v1/drafts/{id}/publish")
            .of("finished draft")
            .body(|_| json!({"overwrite": true})),
        Call::own("DELETE /api/v1/drafts/{id}").of("draft"),
    ]
}

fn rollouts() -> Vec<Call> {
    vec![
        Call::installation("GET /api/v1/rollouts"),
        Call::installation("POST /api/v1/rollouts").body(|_| json!({"percent": 50, "dryRun": true})),
        Call::installation("GET /api/v1/rollouts/{id}").of("rollout"),
        Call::installation("POST /api/v1/rollouts/{id}/promote")
            .of("rollout")
            .over(),
        Call::installation("POST /api/v1/rollouts/{id}/abort")
            .of("rollout")
            .over(),
    ]
}
