//! Signing in, accounts, keys of programs, and what each role may do.

use super::*;

mod challenges;
mod rights;
mod scopes;

const PASSWORD: &str = "correct horse battery";
const USERS: &str = "/api/v1/admin/users";
const KEYS: &str = "/api/v1/admin/api-keys";

#[tokio::test]
async fn the_first_administrator_comes_in_once() {
    let mut bench = Bench::start().await;
    let token = bench.control_plane.first_admin_token.take().unwrap();
    let first =
        |token: &str| json!({"token": token, "email": "Ana@Clinic.example", "name": "Ana", "password": PASSWORD});
    let wrong = bench.anybody("first-admin", &first("another")).await.is(403);
    wrong.has_code("FORBIDDEN");
    let weak = json!({"token": token.expose(), "email": "ana", "password": "short"});
    let weak = bench.anybody("first-admin", &weak).await.is(400);
    assert_eq!(weak.problems(), ["email", "password"]);

    let made = bench.anybody("first-admin", &first(token.expose())).await.is(200);
    assert_eq!(made.body["user"]["email"], "ana@clinic.example");
    assert_eq!(made.body["user"]["role"], "ADMIN");
    let session = made.body["token"].as_str().unwrap();
    bench.as_bearer(session, Method::GET, USERS, None).await.is(200);
    bench.anybody("first-admin", &first(token.expose())).await.is(403);

    let bench = bench.restart().await;
    assert_eq!(bench.control_plane.first_admin_token, None, "there is somebody");
    let again = bench.sign_in("ANA@clinic.example", PASSWORD).await.is(200);
    assert!(again.body["user"]["lastLoginAt"].is_string());
    // The token of before the restart is as good as it was.
    let session = made.body["token"].as_str().unwrap();
    bench
        .as_bearer(session, Method::GET, "/api/v1/auth/me", None)
        .await
        .is(200);
}

#[tokio::test]
async fn a_session_ends_with_its_logout() {
    let bench = Bench::start().await;
    bench.person("ben@clinic.example", "USER", json!([648])).await;
    let (one, other) = (
        bench.token("ben@clinic.example").await,
        bench.token("ben@clinic.example").await,
    );
    let me = bench
        .as_bearer(&one, Method::GET, "/api/v1/auth/me", None)
        .await
        .is(200);
    assert_eq!(me.body["kind"], "USER");
    assert_eq!(me.body["role"], "USER");
    assert_eq!(me.body["orgIds"], json!([648]));
    assert_eq!(me.body["user"]["orgId"], 648);
    assert!(!me.text.contains("argon2"), "{}", me.text);

    let refreshed = bench
        .as_bearer(&one, Method::POST, "/api/v1/auth/refresh", None)
        .await
        .is(200);
    bench
        .as_bearer(&one, Method::POST, "/api/v1/auth/logout", None)
        .await
        .is(204);
    let newer = refreshed.body["token"].as_str().unwrap();
    for ended in [one.as_str(), newer] {
        let refused = bench
            .as_bearer(ended, Method::GET, "/api/v1/auth/me", None)
            .await
            .is(401);
        refused.has_code("UNAUTHORIZED");
    }
    bench
        .as_bearer(&other, Method::GET, "/api/v1/auth/me", None)
        .await
        .is(200);
    bench
        .as_bearer("a.b.c", Method::GET, "/api/v1/auth/me", None)
        .await
        .is(401);
    let both = bench.request(Method::GET, "/api/v1/auth/me").bearer_auth(&other);
    Reply::of(both).await.is(401);
    let with_key = bench.send(Method::POST, "/api/v1/auth/logout", &Value::Null).await;
    with_key.is(403).has_code("FORBIDDEN");
}

#[tokio::test]
async fn all_that_fails_to_sign_in_gets_the_same_answer_and_is_slowed_down() {
    let bench = Bench::start().await;
    bench.person("ben@clinic.example", "USER", json!([648])).await;
    let inactive = json!({"email": "cy@clinic.example", "role": "ADMIN", "password": PASSWORD, "isActive": false});
    bench.send(Method::POST, USERS, &inactive).await.is(201);
    let mut answers = Vec::new();
    for (email, password) in [
        ("ben@clinic.example", "wrong"),
        ("nobody@clinic.example", PASSWORD),
        ("no address", PASSWORD),
        ("cy@clinic.example", PASSWORD),
    ] {
        let refused = bench.sign_in(email, password).await.is(401);
        answers.push(refused.body["error"].as_str().unwrap().to_owned());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    for _ in 0..4 {
        bench.sign_in("ben@clinic.example", "wrong").await.is(401);
    }
    let slowed = bench.sign_in("ben@clinic.example", PASSWORD).await.is(429);
    slowed.has_code("RATE_LIMITED");
    let wait: u32 = slowed.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=310).contains(&wait), "{wait}");

    let failures = bench.audit("action=auth.login-failed").await;
    assert_eq!(failures.len(), 8, "{failures:?}");
    assert!(
        failures.iter().any(|entry| entry["actor"] == "nobody"),
        "what is no address is not written down"
    );
    let text = serde_json::to_string(&failures).unwrap();
    assert!(!text.contains("no address") && !text.contains(PASSWORD), "{text}");
}

#[tokio::test]
async fn another_password_ends_all_sessions() {
    let bench = Bench::start().await;
    let id = bench.person("ben@clinic.example", "USER", json!([648])).await;
    let (one, other) = (
        bench.token("ben@clinic.example").await,
        bench.token("ben@clinic.example").await,
    );
    let path = "/api/v1/auth/password";
    let change = |current: &str, new: &str| json!({"currentPassword": current, "newPassword": new});
    let wrong = bench
        .as_bearer(
            &one,
            Method::POST,
            path,
            Some(&change("wrong", "another horse battery")),
        )
        .await;
    assert_eq!(wrong.is(400).problems(), ["currentPassword"]);
    let same = bench
        .as_bearer(&one, Method::POST, path, Some(&change(PASSWORD, PASSWORD)))
        .await;
    assert_eq!(same.is(400).problems(), ["newPassword"]);
    let changed = bench
        .as_bearer(
            &one,
            Method::POST,
            path,
            Some(&change(PASSWORD, "another horse battery")),
        )
        .await
        .is(200);
    for ended in [&one, &other] {
        bench
            .as_bearer(ended, Method::GET, "/api/v1/auth/me", None)
            .await
            .is(401);
    }
    let newest = changed.body["token"].as_str().unwrap();
    bench
        .as_bearer(newest, Method::GET, "/api/v1/auth/me", None)
        .await
        .is(200);
    bench.sign_in("ben@clinic.example", PASSWORD).await.is(401);

    let reset = json!({"password": "a third horse battery"});
    bench
        .send(Method::PATCH, &format!("{USERS}/{id}"), &reset)
        .await
        .is(200);
    bench
        .as_bearer(newest, Method::GET, "/api/v1/auth/me", None)
        .await
        .is(401);
    bench
        .sign_in("ben@clinic.example", "a third horse battery")
        .await
        .is(200);
}

#[tokio::test]
async fn an_account_that_is_changed_is_so_from_the_next_request_on() {
    let bench = Bench::start().await;
    let id = bench.person("ben@clinic.example", "USER", json!([648])).await;
    let path = format!("{USERS}/{id}");
    let token = bench.token("ben@clinic.example").await;
    let seven = "/api/v1/inbound-integrations?orgId=7";
    bench.as_bearer(&token, Method::GET, seven, None).await.is(403);
    bench
        .send(Method::PATCH, &path, &json!({"orgIds": [7, 648]}))
        .await
        .is(200);
    bench.as_bearer(&token, Method::GET, seven, None).await.is(200);
    bench
        .send(Method::PATCH, &path, &json!({"isActive": false}))
        .await
        .is(200);
    bench.as_bearer(&token, Method::GET, seven, None).await.is(401);
    bench
        .send(Method::PATCH, &path, &json!({"isActive": true}))
        .await
        .is(200);
    bench.as_bearer(&token, Method::GET, seven, None).await.is(401);
    let token = bench.token("ben@clinic.example").await;
    bench.as_bearer(&token, Method::GET, seven, None).await.is(200);
    bench
        .send(Method::POST, &format!("{path}/end-sessions"), &Value::Null)
        .await
        .is(204);
    bench.as_bearer(&token, Method::GET, seven, None).await.is(401);
    let token = bench.token("ben@clinic.example").await;
    bench.send(Method::DELETE, &path, &Value::Null).await.is(204);
    bench.as_bearer(&token, Method::GET, seven, None).await.is(401);
    bench.get(&path).await.is(404);
}

#[tokio::test]
async fn accounts_are_made_listed_and_changed_with_care() {
    let bench = Bench::start().await;
    let id = bench.person("ben@clinic.example", "USER", json!([648])).await;
    bench.person("dan@clinic.example", "READ_ONLY", json!([7])).await;
    let taken = json!({"email": "BEN@clinic.example", "role": "ADMIN"});
    bench
        .send(Method::POST, USERS, &taken)
        .await
        .is(409)
        .has_code("CONFLICT");
    let wrong = json!({"email": "x", "role": "API_KEY", "orgIds": [], "password": "short"});
    let wrong = bench.send(Method::POST, USERS, &wrong).await.is(400);
    assert_eq!(wrong.problems(), ["email", "role", "orgIds", "password"]);

    let listed = bench.get(&format!("{USERS}?search=CLINIC&role=USER")).await.is(200);
    assert_eq!(listed.body["total"], 1, "{}", listed.text);
    assert_eq!(listed.body["users"][0]["email"], "ben@clinic.example");
    let listed = bench.get(&format!("{USERS}?limit=1&page=2")).await.is(200);
    assert_eq!(listed.body["users"][0]["email"], "dan@clinic.example");
    assert_eq!(listed.body["hasMore"], false);

    let path = format!("{USERS}/{id}");
    let tag = bench.get(&path).await.is(200).tag.unwrap();
    bench.token("ben@clinic.example").await;
    let named = bench
        .request(Method::PATCH, &path)
        .header("if-match", &tag)
        .json(&json!({"name": "Ben"}));
    Reply::of(named).await.is(200);
    let late = bench.request(Method::DELETE, &path).header("if-match", &tag);
    Reply::of(late).await.is(412);
    let taken = bench
        .send(Method::PATCH, &path, &json!({"email": "dan@clinic.example"}))
        .await;
    taken.is(409);

    let own = bench.person("ana@clinic.example", "ADMIN", Value::Null).await;
    let token = bench.token("ana@clinic.example").await;
    let own = format!("{USERS}/{own}");
    for change in [json!({"isActive": false}), json!({"role": "READ_ONLY"})] {
        bench
            .as_bearer(&token, Method::PATCH, &own, Some(&change))
            .await
            .is(409);
    }
    bench.as_bearer(&token, Method::DELETE, &own, None).await.is(409);
    bench.as_bearer(&token, Method::DELETE, &path, None).await.is(204);
    // A key of the settings that is limited to organizations has nothing to do with accounts.
    bench.scoped(Method::GET, USERS, None).await.is(403);
    bench.scoped(Method::GET, KEYS, None).await.is(403);
}

#[tokio::test]
async fn an_organization_stays_as_long_as_somebody_is_let_in_for_it() {
    let bench = Bench::start().await;
    let place = "/api/v1/admin/organizations/700";
    let lab = json!({"orgId": 700, "name": "Lab"});
    bench.send(Method::PUT, place, &lab).await.is(201);
    let key = json!({"name": "erp", "role": "READ_ONLY", "orgIds": [648, 700]});
    let key = bench.send(Method::POST, KEYS, &key).await.is(201);
    let key = format!("{KEYS}/{}", key.body["id"].as_str().unwrap());
    // It could be switched on again.
    bench
        .send(Method::PATCH, &key, &json!({"isActive": false}))
        .await
        .is(200);
    let person = bench.person("cy@clinic.example", "USER", json!([700])).await;
    let person = format!("{USERS}/{person}");
    bench.person("dan@clinic.example", "READ_ONLY", json!([648])).await;

    let version = bench.get(place).await.is(200).tag;
    let deletion = json!({"delete": [{"kind": "organization", "id": 700}]});
    for refused in [
        bench.send(Method::DELETE, place, &Value::Null).await,
        bench.send(Method::POST, "/api/v1/apply", &deletion).await,
        bench.send(Method::POST, "/api/v1/apply?dryRun=true", &deletion).await,
    ] {
        let refused = refused.is(409);
        refused.has_code("CONFLICT");
        for who in ["erp", "cy@clinic.example"] {
            assert!(refused.text.contains(who), "{}", refused.text);
        }
        assert!(!refused.text.contains("dan@"), "{}", refused.text);
    }
    assert_eq!(bench.get(place).await.is(200).tag, version);

    bench.send(Method::DELETE, &key, &Value::Null).await.is(204);
    let refused = bench.send(Method::DELETE, place, &Value::Null).await.is(409);
    assert!(!refused.text.contains("erp"), "{}", refused.text);
    let elsewhere = json!({"orgIds": [648]});
    bench.send(Method::PATCH, &person, &elsewhere).await.is(200);
    bench.send(Method::DELETE, place, &Value::Null).await.is(204);
}

#[tokio::test]
async fn a_key_is_shown_once_and_let_in_within_its_bounds() {
    let bench = Bench::start().await;
    let made = json!({"name": "nightly", "orgIds": [648]});
    let made = bench.send(Method::POST, KEYS, &made).await.is(201);
    let key = made.body["key"].as_str().unwrap().to_owned();
    let path = format!("{KEYS}/{}", made.body["id"].as_str().unwrap());
    let with = async |path: &str| Reply::of(bench.client.get(bench.url(path)).header("X-API-Key", &key)).await;

    let me = with("/api/v1/auth/me").await.is(200);
    assert_eq!(me.body["apiKey"]["name"], "nightly");
    with("/api/v1/inbound-integrations?orgId=648").await.is(200);
    with("/api/v1/inbound-integrations?orgId=7").await.is(403);
    with(USERS).await.is(403);
    for shown in [bench.get(&path).await, bench.get(KEYS).await, me] {
        assert!(!shown.text.contains(&key), "{}", shown.text);
    }
    for file in std::fs::read_dir(bench.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()));
    }
    bench
        .send(Method::PATCH, &path, &json!({"isActive": false}))
        .await
        .is(200);
    with("/api/v1/auth/me").await.is(401);
    let over = json!({"isActive": true, "expiresAt": "2020-01-01T00:00:00Z"});
    bench.send(Method::PATCH, &path, &over).await.is(200);
    with("/api/v1/auth/me").await.is(401);
    bench
        .send(Method::PATCH, &path, &json!({"expiresAt": null}))
        .await
        .is(200);
    with("/api/v1/auth/me").await.is(200);
    let used = bench.get(&path).await.is(200);
    assert!(used.body["lastUsedAt"].is_string(), "{}", used.text);
    bench.send(Method::DELETE, &path, &Value::Null).await.is(204);
    with("/api/v1/auth/me").await.is(401);
    let over = json!({"name": "late", "expiresAt": "2020-01-01T00:00:00Z"});
    assert_eq!(
        bench.send(Method::POST, KEYS, &over).await.is(400).problems(),
        ["expiresAt"]
    );
}

#[tokio::test]
async fn every_write_is_refused_to_readers_and_every_admin_route_to_users() {
    let bench = Bench::start().await;
    bench.person("reader@clinic.example", "READ_ONLY", Value::Null).await;
    bench.person("user@clinic.example", "USER", json!([648])).await;
    let reader = bench.token("reader@clinic.example").await;
    let user = bench.token("user@clinic.example").await;
    let described = bench.get("/api/v1/openapi.json").await.is(200);
    let mut reads_by_post = Vec::new();
    let mut tried = 0;
    for (path, operations) in described.body["paths"].as_object().unwrap() {
        let place = path
            .replace("{number}", "1")
            .replace("{traceId}", "t")
            .replace("{id}", "1");
        let place = format!("{place}?orgId=648");
        for method in operations.as_object().unwrap().keys() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else {
                continue;
            };
            let body = (method != Method::GET).then(|| json!({}));
            let is_open = OPEN.contains(&path.as_str());
            if is_open || path == "/api/v1/auth/logout" {
                continue;
            }
            tried += 1;
            let of_reader = bench.as_bearer(&reader, method.clone(), &place, body.as_ref()).await;
            let of_user = bench.as_bearer(&user, method.clone(), &place, body.as_ref()).await;
            let denied = |reply: &Reply, why: &str| {
                reply.status == StatusCode::FORBIDDEN && reply.body["error"].as_str().unwrap().contains(why)
            };
            if path.starts_with("/api/v1/admin/") || path == "/api/v1/gateways/{id}" {
                assert!(denied(&of_reader, "role ADMIN"), "{method} {path}: {}", of_reader.text);
                assert!(denied(&of_user, "role ADMIN"), "{method} {path}: {}", of_user.text);
                continue;
            }
            assert!(!denied(&of_user, "role"), "{method} {path}: {}", of_user.text);
            if method == Method::GET {
                assert!(!denied(&of_reader, "role"), "{method} {path}: {}", of_reader.text);
            } else if !denied(&of_reader, "READ_ONLY") {
                reads_by_post.push(path.trim_start_matches("/api/v1").to_owned());
            }
        }
    }
    assert!(tried > 60, "{tried}");
    // Whatever is new here must be known to change nothing.
    for path in &reads_by_post {
        let last = path.rsplit('/').next().unwrap();
        let is_reading = ["validate", "test", "diff", "compare", "preview"].contains(&last);
        assert!(is_reading || path.starts_with("/auth/"), "{path} is open to READ_ONLY");
    }
    assert!(
        reads_by_post
            .iter()
            .any(|path| path == "/outbound-integrations/{id}/test"),
        "{reads_by_post:?}"
    );
    let dry = json!({"dryRun": true, "put": []});
    bench
        .as_bearer(&reader, Method::POST, "/api/v1/apply", Some(&dry))
        .await
        .is(200);
}

#[tokio::test]
async fn what_administrators_alone_change_nobody_else_applies() {
    let bench = Bench::start().await;
    bench.person("user@clinic.example", "USER", json!([648])).await;
    let user = bench.token("user@clinic.example").await;
    let unit = json!({"put": [{"kind": "unit", "value": {"rid": 84, "orgId": 648, "name": "Ward"}}]});
    bench
        .as_bearer(&user, Method::POST, "/api/v1/apply", Some(&unit))
        .await
        .is(403);
    let own = json!({"put": [{"kind": "integration", "value": integration("lab")}]});
    bench
        .as_bearer(&user, Method::POST, "/api/v1/apply", Some(&own))
        .await
        .is(200);
    let foreign = json!({"put": [{"kind": "integration", "value": {"id": "x", "name": "x", "type": "x", "orgId": 7,
        "targetUrl": "https://partner.example"}}]});
    bench
        .as_bearer(&user, Method::POST, "/api/v1/apply", Some(&foreign))
        .await
        .is(403);
    let versions = bench.get("/api/v1/versions?limit=1").await.is(200);
    assert_eq!(versions.body["versions"][0]["author"], "user@clinic.example");
}

#[tokio::test]
async fn what_was_done_is_in_the_audit_without_secrets() {
    let bench = Bench::start().await;
    let made = bench.work().await;
    let entries = bench.audit("orgId=648").await;
    let actions: Vec<&str> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, WORK);
    assert_eq!(entries[3]["before"]["name"], "The lab");
    assert_eq!(entries[3]["after"]["name"], "Renamed");
    assert_eq!(entries[3]["version"], 3);
    assert_eq!(entries[4]["actor"], "all");
    assert_eq!(entries[4]["target"], "integration lab");
    let request_id = made.headers["x-request-id"].to_str().unwrap();
    assert_eq!(entries[4]["requestId"], request_id);
    assert_eq!(entries[4]["after"]["outgoingAuthConfig"]["token"], "***");
    assert_eq!(entries[1]["after"]["password"], "***");
    let text = serde_json::to_string(&entries).unwrap();
    assert!(
        !text.contains("hunter2") && !text.contains("horse") && !text.contains("argon2"),
        "{text}"
    );
}

#[tokio::test]
async fn the_audit_is_narrowed_paged_and_seen_by_organization() {
    let bench = Bench::start().await;
    bench.work().await;
    let path = "/api/v1/admin/audit-logs";
    let first = bench.get(&format!("{path}?limit=2")).await.is(200);
    let next = first.body["nextCursor"].as_str().unwrap();
    let second = bench.get(&format!("{path}?limit=2&cursor={next}")).await.is(200);
    assert_eq!(second.body["auditLogs"][0]["action"], "user.create", "{}", second.text);
    for (query, found) in [
        ("target=integration%20lab&action=integration.update", 1),
        ("search=RENAMED", 0),
        ("search=LAB&actor=all", 3),
        ("endDate=2020-01-01", 0),
        ("startDate=2020-01-01&action=user.create", 1),
    ] {
        assert_eq!(bench.audit(query).await.len(), found, "{query}");
    }
    let wrong = bench
        .get(&format!("{path}?cursor=x&page=0&startDate=soon"))
        .await
        .is(400);
    assert_eq!(wrong.problems(), ["cursor", "cursor", "page", "startDate"]);

    let own = bench.audit("orgId=648").await;
    let own = format!("{path}/{}", own[0]["id"].as_str().unwrap());
    bench.get(&own).await.is(200);
    bench.scoped(Method::GET, &own, None).await.is(200);
    bench.scoped(Method::GET, path, None).await.is(400);
    bench
        .scoped(Method::GET, &format!("{path}?orgId=7"), None)
        .await
        .is(403);
    let global = bench.audit("action=security.create").await;
    let global = format!("{path}/{}", global[0]["id"].as_str().unwrap());
    bench.get(&global).await.is(200);
    bench.scoped(Method::GET, &global, None).await.is(404);
}

/// Routes that ask for neither a key nor a token.
const OPEN: [&str; 4] = [
    "/api/v1/auth/login",
    "/api/v1/auth/first-admin",
    "/api/v1/auth/oidc/login",
    "/api/v1/auth/oidc/callback",
];

/// What [`Bench::work`] does, the newest first.
const WORK: [&str; 5] = [
    "integration.delete",
    "user.update",
    "user.create",
    "integration.update",
    "integration.create",
];

impl Bench {
    /// Changes some things of organization 648, and returns the answer to the first change.
    async fn work(&self) -> Reply {
        let mut lab = integration("lab");
        lab["outgoingAuthType"] = json!("BEARER");
        lab["outgoingAuthConfig"] = json!({"token": "hunter2"});
        let made = self.put("lab", &lab).await.is(201);
        lab["name"] = json!("Renamed");
        self.put("lab", &lab).await.is(200);
        let id = self.person("ben@clinic.example", "USER", json!([648])).await;
        let path = format!("{USERS}/{id}");
        let password = json!({"password": "another horse"});
        self.send(Method::PATCH, &path, &password).await.is(200);
        let lab = "/api/v1/inbound-integrations/lab";
        self.send(Method::DELETE, lab, &Value::Null).await.is(204);
        made
    }

    /// Makes an account and returns its identifier.
    async fn person(&self, email: &str, role: &str, org_ids: Value) -> String {
        let mut body = json!({"email": email, "role": role, "password": PASSWORD});
        if !org_ids.is_null() {
            body["orgIds"] = org_ids;
        }
        let made = self.send(Method::POST, USERS, &body).await.is(201);
        made.body["id"].as_str().unwrap().to_owned()
    }

    /// A request without key and token.
    async fn anybody(&self, path: &str, body: &Value) -> Reply {
        Reply::of(self.client.post(self.url(&format!("/api/v1/auth/{path}"))).json(body)).await
    }

    async fn sign_in(&self, email: &str, password: &str) -> Reply {
        self.anybody("login", &json!({"email": email, "password": password}))
            .await
    }

    /// The token of somebody who signs in.
    async fn token(&self, email: &str) -> String {
        let signed_in = self.sign_in(email, PASSWORD).await.is(200);
        signed_in.body["token"].as_str().unwrap().to_owned()
    }

    async fn as_bearer(&self, token: &str, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let request = self.client.request(method, self.url(path)).bearer_auth(token);
        Reply::of(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// Makes a key for a program and returns it in clear.
    async fn program(&self, terms: &Value) -> String {
        let made = self.send(Method::POST, KEYS, terms).await.is(201);
        made.body["key"].as_str().unwrap().to_owned()
    }

    async fn with_key(&self, key: &str, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let request = self.client.request(method, self.url(path)).header("X-API-Key", key);
        Reply::of(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// The entries of the audit that fit, newest first.
    async fn audit(&self, query: &str) -> Vec<Value> {
        let listed = self.get(&format!("/api/v1/admin/audit-logs?{query}")).await.is(200);
        listed.body["auditLogs"].as_array().unwrap().clone()
    }
}
