//! Signing in, and those who may come in.

use serde_json::json;

use super::super::sides::{PASSWORD, Side, fresh_address};
use super::Call;

/// All of them.
pub(super) fn all() -> Vec<Call> {
    let person = |side: &Side| json!({"email": fresh_address(), "role": "USER", "orgIds": [side.org]});
    let key = |side: &Side| json!({"name": fresh_address(), "orgIds": [side.org]});
    let renamed = |side: &Side| json!({"name": side.marked("somebody")});
    vec![
        Call::open("POST /api/v1/auth/login").body(|_| json!({"email": "nobody@clinic.example", "password": "wrong"})),
        Call::open("POST /api/v1/auth/first-admin")
            .body(|_| json!({"token": "wrong", "email": "nobody@clinic.example", "password": PASSWORD})),
        Call::open("GET /api/v1/auth/oidc/login"),
        Call::open("GET /api/v1/auth/oidc/callback"),
        Call::everybody("GET /api/v1/auth/me"),
        Call::session("POST /api/v1/auth/refresh"),
        Call::session("POST /api/v1/auth/logout"),
        Call::session("POST /api/v1/auth/password")
            .body(|_| json!({"currentPassword": PASSWORD, "newPassword": format!("{PASSWORD}, too")})),
        Call::own("GET /api/v1/admin/audit-logs"),
        Call::own("GET /api/v1/admin/audit-logs/{id}").of("audit").bare(),
        Call::installation("GET /api/v1/admin/users"),
        Call::installation("POST /api/v1/admin/users").body(person),
        Call::installation("GET /api/v1/admin/users/{id}").of("user"),
        Call::installation("PATCH /api/v1/admin/users/{id}")
            .of("user")
            .body(renamed),
        Call::installation("POST /api/v1/admin/users/{id}/end-sessions").of("user"),
        Call::installation("DELETE /api/v1/admin/users/{id}").of("user"),
        Call::installation("GET /api/v1/admin/api-keys"),
        Call::installation("POST /api/v1/admin/api-keys").body(key),
        Call::installation("GET /api/v1/admin/api-keys/{id}").of("key"),
        Call::installation("PATCH /api/v1/admin/api-keys/{id}")
            .of("key")
            .body(renamed),
        Call::installation("DELETE /api/v1/admin/api-keys/{id}").of("key"),
    ]
}
