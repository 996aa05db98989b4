//! Two organizations that have one of each, under names that tell whose it is.

use std::collections::BTreeMap;

use harness::authority::Authority;
use harness::client::{Reply, client};
use harness::control_plane::{OPERATOR_KEY, Setup};
use harness::process::next_number;
use harness::{ControlPlane, Reporter, wait};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::calls::Ask;

/// A control plane with both of them.
pub(crate) struct World {
    pub(crate) control_plane: ControlPlane,
    pub(crate) alpha: Side,
    pub(super) bravo: Side,
    client: Client,
    /// Stays connected, and does nothing that it is told.
    _gateway: Reporter,
    /// Another one, as a rollout needs two.
    _other: Reporter,
}

/// An organization.
pub(crate) struct Side {
    /// Its number; `rid` of its unit is ten times that, and one.
    pub(crate) org: u64,
    tag: &'static str,
    key: String,
    certificate: String,
    private_key: String,
    /// Identifiers that the control plane made, by noun.
    made: BTreeMap<&'static str, String>,
}

/// Who asks.
#[derive(Clone, Copy)]
pub(super) enum Key<'a> {
    /// Nobody.
    None,
    /// The key of one organization.
    Side(&'a Side),
    /// Somebody who signed in, by the token of the session.
    Session(&'a str),
    /// The key for all organizations.
    All,
}

impl World {
    pub(crate) async fn start() -> Self {
        let (mut alpha, mut bravo) = (Side::new(648, "alpha"), Side::new(700, "bravo"));
        let keys = [&alpha, &bravo].map(|side| json!({"name": side.tag, "value": side.key, "orgIds": [side.org]}));
        let mut operators = keys.to_vec();
        operators.push(json!({"name": "all", "value": OPERATOR_KEY}));
        let control_plane = Setup::new()
            .set("operatorKeys", json!(operators))
            .set("alerts.checkEverySeconds", json!(1))
            .set("alerts.rules.endpointDown.forSeconds", json!(0))
            .start()
            .await;
        let mut world = Self {
            _gateway: Reporter::connect(&control_plane, "reporter").await,
            _other: Reporter::connect(&control_plane, "other").await,
            client: client(),
            control_plane,
            alpha: Side::new(0, ""),
            bravo: Side::new(0, ""),
        };
        for side in [&alpha, &bravo] {
            world.configure(side).await;
        }
        world.report(&[&alpha, &bravo]).await;
        for side in [&mut alpha, &mut bravo] {
            world.order(side).await;
            world.furnish(side).await;
            world.admit(side).await;
            world.revise(side).await;
        }
        world.alpha = alpha;
        world.bravo = bravo;
        world
    }

    /// A request as `asked` says.
    pub(super) fn request(&self, key: Key<'_>, method: Method, asked: &Ask) -> RequestBuilder {
        let url = format!("{}{}", self.control_plane.url(), asked.address());
        let request = self.client.request(method, url);
        let request = match key {
            Key::None => request,
            Key::Side(side) => request.header("x-api-key", &side.key),
            Key::Session(token) => request.bearer_auth(token),
            Key::All => request.header("x-api-key", OPERATOR_KEY),
        };
        match (&asked.body, asked.file) {
            (Some(body), _) => request.json(body),
            (None, Some(rows)) => request.header("content-type", "text/csv").body(rows),
            (None, None) => request,
        }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let asked = Ask::new("", path, body.clone());
        let reply = Reply::of(self.request(Key::All, method, &asked)).await;
        assert!((200..300).contains(&reply.status), "{path}: {}", reply.text());
        serde_json::from_slice(&reply.body).unwrap_or_default()
    }

    /// One of each configured object.
    async fn configure(&self, side: &Side) {
        let path = format!("/api/v1/admin/organizations/{}", side.org);
        self.call(Method::PUT, &path, &side.organization()).await;
        for (path, id, body) in side.objects() {
            self.call(Method::PUT, &format!("/api/v1/{path}/{id}"), &body).await;
        }
        let producer = json!({"orgId": side.org, "id": side.id("producer"), "name": side.marked("producer")});
        self.call(Method::POST, "/api/v1/producer-keys", &producer).await;
    }

    /// What a gateway tells of their calls and deliveries.
    async fn report(&mut self, sides: &[&Side]) {
        let gateway = &mut self._gateway;
        let outcomes: Vec<Value> = sides.iter().flat_map(|side| side.outcomes()).collect();
        gateway.outcomes(&json!(outcomes)).await;
        let records: Vec<Value> = sides.iter().map(|side| side.record()).collect();
        gateway.records(&json!(records)).await;
        let endpoints: Vec<Value> = sides.iter().map(|side| side.endpoint()).collect();
        gateway.deliveries(&json!(endpoints)).await;
        for side in sides {
            let path = format!("/api/v1/alerts?orgId={}", side.org);
            wait::until("the alert on an endpoint", async || {
                let asked = Ask::new("GET", &path, Value::Null);
                let reply = Reply::of(self.request(Key::All, Method::GET, &asked)).await;
                reply.text().contains(side.marker()).then_some(())
            })
            .await;
        }
    }

    /// Somebody who may come in, and a key of a program; and what was said of all that was made.
    async fn admit(&self, side: &mut Side) {
        let person = json!({"email": fresh_address(), "role": "USER", "orgIds": [side.org]});
        let person = self.call(Method::POST, "/api/v1/admin/users", &person).await;
        side.made.insert("user", text(&person["id"]));
        let key = json!({"name": format!("program of {}", side.tag), "orgIds": [side.org]});
        let key = self.call(Method::POST, "/api/v1/admin/api-keys", &key).await;
        side.made.insert("key", text(&key["id"]));
        let path = format!("/api/v1/admin/audit-logs?orgId={}", side.org);
        let audit = self.call(Method::GET, &path, &Value::Null).await;
        side.made.insert("audit", text(&audit["auditLogs"][0]["id"]));
    }

    /// Templates, jobs, fields and the like, and two tables in the trash.
    async fn furnish(&self, side: &mut Side) {
        let made = self
            .call(Method::POST, "/api/v1/templates", &side.template("template"))
            .await;
        side.made.insert("template", text(&made["id"]));
        let made = self
            .call(Method::POST, "/api/v1/scheduled-jobs", &side.job("job"))
            .await;
        side.made.insert("job", text(&made["id"]));
        let within = |path: &str| format!("/api/v1/{path}?orgId={}", side.org);
        let fields = json!({"fields": [{"path": "total", "type": "number", "description": side.marker()}]});
        self.call(Method::PUT, &within(&format!("field-schemas/{TYPE}")), &fields)
            .await;
        let console = json!({"orgId": side.org, "title": side.marked("console")});
        self.call(Method::PUT, &within("ui-config"), &console).await;
        let erasure = json!({"orgId": side.org, "subject": "nobody whom anything names"});
        let begun = self.call(Method::POST, "/api/v1/admin/erasures", &erasure).await;
        side.made.insert("erasure", text(&begun["id"]));
        let trash = within("trash");
        for noun in ["trash", "rubbish"] {
            let table = json!({"orgId": side.org, "name": noun, "entries": {"a": side.marked(noun)}});
            let made = self.call(Method::POST, "/api/v1/lookups", &table).await;
            self.call(
                Method::DELETE,
                &within(&format!("lookups/{}", text(&made["id"]))),
                &Value::Null,
            )
            .await;
            let listed = self.call(Method::GET, &trash, &Value::Null).await;
            side.made.insert(noun, text(&listed["trash"][0]["id"]));
        }
    }

    /// A version, two drafts, and a rollout that is over.
    async fn revise(&self, side: &mut Side) {
        let path = format!("/api/v1/versions?orgId={}&limit=1", side.org);
        let listed = self.call(Method::GET, &path, &Value::Null).await;
        side.made
            .insert("version", listed["versions"][0]["version"].to_string());
        let path = format!("/api/v1/drafts?orgId={}", side.org);
        for noun in ["draft", "finished draft"] {
            let made = self.call(Method::POST, &path, &side.draft()).await;
            side.made.insert(noun, text(&made["id"]));
        }
        let mut labs = side.object("labs");
        labs["isActive"] = json!(false);
        let wanted = json!({"percent": 50, "put": [{"kind": "integration", "value": labs}]});
        let begun = self.call(Method::POST, "/api/v1/rollouts", &wanted).await;
        let id = text(&begun["rollout"]["id"]);
        self.call(Method::POST, &format!("/api/v1/rollouts/{id}/abort"), &Value::Null)
            .await;
        side.made.insert("rollout", id);
    }

    /// The token of somebody of `side` who signed in just now.
    pub(super) async fn sign_in(&self, side: &Side) -> String {
        let email = fresh_address();
        let person = json!({"email": email, "role": "USER", "orgIds": [side.org], "password": PASSWORD});
        self.call(Method::POST, "/api/v1/admin/users", &person).await;
        let credentials = json!({"email": email, "password": PASSWORD});
        text(&self.call(Method::POST, "/api/v1/auth/login", &credentials).await["token"])
    }

    /// A command, and a retry of many.
    async fn order(&self, side: &mut Side) {
        let path = format!("/api/v1/outbound-integrations/{}/pause", side.id("hook"));
        let given = self.call(Method::POST, &path, &Value::Null).await;
        side.made.insert("command", text(&given["commands"][0]["id"]));
        let wanted = json!({"orgId": side.org, "ids": [side.id("letter")]});
        let begun = self.call(Method::POST, "/api/v1/dlq/bulk-retry", &wanted).await;
        side.made.insert("bulk", text(&begun["id"]));
        let wanted = json!({"orgId": side.org, "subject": "nobody-4712"});
        let begun = self.call(Method::POST, "/api/v1/admin/erasures", &wanted).await;
        side.made.insert("erasure", text(&begun["id"]));
    }
}

impl Side {
    fn new(org: u64, tag: &'static str) -> Self {
        let pair = Authority::new().vouch_for(&[&format!("labs.{tag}.test")]);
        Self {
            org,
            tag,
            key: format!("key-of-the-organization-{tag}"),
            certificate: pair.certificate,
            private_key: pair.key,
            made: BTreeMap::new(),
        }
    }

    /// A text that is in everything that it has, and that nobody else may see.
    pub(super) fn marker(&self) -> &'static str {
        match self.tag {
            "alpha" => "known-in-alpha-only",
            _ => "known-in-bravo-only",
        }
    }

    /// True if an answer shows something of it.
    pub(super) fn is_in(&self, text: &str) -> bool {
        text.contains(self.marker()) || text.contains(&format!("\"orgId\":{},", self.org))
    }

    /// A name with the marker in it.
    pub(super) fn marked(&self, noun: &str) -> String {
        format!("{noun} {}", self.marker())
    }

    /// Identifier of its object `noun`.
    pub(crate) fn id(&self, noun: &str) -> String {
        match noun {
            "organization" => self.org.to_string(),
            "unit" => self.rid().to_string(),
            "trace" => self.trace(),
            "type" => TYPE.to_owned(),
            // Made by the call that makes an organization.
            "newcomer" => NEWCOMER.to_string(),
            // Names with colons are a gateway's.
            "scheduled" => format!("reporter:{}-0", self.org),
            "gateway" => "reporter".to_owned(),
            noun => self
                .made
                .get(noun)
                .cloned()
                .unwrap_or_else(|| format!("{}-{noun}", self.tag)),
        }
    }

    /// A change that is not published.
    pub(super) fn draft(&self) -> Value {
        json!({"name": self.marked("draft"), "put": [{"kind": "integration", "value": self.object("labs")}]})
    }

    pub(super) fn rid(&self) -> u64 {
        self.org * 10 + 1
    }

    fn trace(&self) -> String {
        format!("{:032x}", self.org)
    }

    /// A body for the configured kind `noun`, with `id`.
    pub(super) fn object(&self, noun: &str) -> Value {
        let name = self.marked(noun);
        let mut body = match noun {
            "labs" => json!({"type": self.id("labs"), "name": name, "hosts": [format!("labs.{}.test", self.tag)],
                "targetUrl": "https://partner.example/labs"}),
            "hook" => json!({"name": name, "eventType": "bill.generated", "targetUrl": "https://partner.example/hook"}),
            "event" => json!({"eventType": TYPE, "name": name}),
            "spare" => json!({"eventType": "bill.spare", "name": name}),
            "certificate" => json!({"name": name, "certificate": self.certificate, "privateKey": self.private_key}),
            "table" => json!({"name": self.id("table"), "entries": {"a": name}}),
            "app" => json!({"name": name}),
            "unit" => json!({"rid": self.rid(), "name": name}),
            other => panic!("no body for {other}"),
        };
        body["orgId"] = json!(self.org);
        if noun != "unit" {
            body["id"] = json!(self.id(noun));
        }
        body
    }

    /// The organization itself, whose keys may give its integrations hosts.
    pub(super) fn organization(&self) -> Value {
        json!({"orgId": self.org, "name": self.marked("clinic"), "timezone": "Europe/Berlin",
            "hosts": [format!("*.{}.test", self.tag)], "rateLimit": {"maxRequests": 1_000}})
    }

    /// A template for inbound integrations.
    pub(super) fn template(&self, noun: &str) -> Value {
        json!({
            "orgId": self.org, "name": self.marked(noun), "kind": "INBOUND",
            "parameters": [{"name": "code", "type": "text", "example": "lab"}],
            "body": {"name": "Orders to {{parameters.code}}", "type": "orders-{{parameters.code}}",
                "targetUrl": "https://{{parameters.code}}.example/api"},
        })
    }

    /// A scheduled job.
    pub(super) fn job(&self, noun: &str) -> Value {
        json!({
            "orgId": self.org, "name": self.marked(noun), "type": "DAILY_EXPORT", "targetUrl": "https://partner.example/bills",
            "schedule": {"type": "CRON", "expression": "0 9 * * *", "timezone": "Asia/Kolkata"},
            "dataSource": {"type": "API", "url": "https://api.example/bills"},
            "transformation": {"mode": "SCRIPT", "script": "fn transform(payload, context) { payload.data }"},
        })
    }

    /// Paths, identifiers and bodies of what is configured, in an order in which each finds what it needs.
    fn objects(&self) -> Vec<(&'static str, String, Value)> {
        let kinds = [
            ("admin/org-units", "unit"),
            ("event-types", "event"),
            ("event-types", "spare"),
            ("certificates", "certificate"),
            ("lookups", "table"),
            ("inbound-integrations", "labs"),
            ("outbound-integrations", "hook"),
            ("consumers", "app"),
        ];
        kinds
            .map(|(path, noun)| (path, self.id(noun), self.object(noun)))
            .to_vec()
    }

    fn outcomes(&self) -> Vec<Value> {
        let common = json!({
            "integrationConfigId": self.id("hook"), "integrationName": self.marked("hook"), "orgId": self.org,
            "eventType": "bill.generated", "targetUrl": "https://partner.example/hook", "httpMethod": "POST",
            "createdAt": AT, "gatewayId": "reporter",
        });
        let with = |fields: Value| harness::documents::with(common.clone(), fields);
        let log = with(
            json!({"id": self.id("log"), "messageId": self.id("letter"), "eventId": self.id("occurrence"),
            "status": "FAILED", "responseTimeMs": 3, "attemptCount": 1, "shouldRetry": false, "traceId": self.trace()}),
        );
        let letter = with(
            json!({"id": self.id("letter"), "eventId": self.id("occurrence"), "source": "/his",
            "status": "PENDING_RETRY", "originalPayload": {"patient": self.marker()}, "lastError": "it answered 500",
            "errorCategory": "SERVER_ERROR", "attemptCount": 8, "retryCount": 0, "maxRetries": 3,
            "traceId": self.trace(), "updatedAt": AT}),
        );
        let scheduled = with(json!({"id": self.id("scheduled"), "tenantId": self.org,
            "originalEventId": self.id("occurrence"), "scheduledFor": AT, "status": "PENDING", "updatedAt": AT}));
        vec![
            json!({"kind": "log", "value": log}),
            json!({"kind": "deadLetter", "value": letter}),
            json!({"kind": "scheduled", "value": scheduled}),
        ]
    }

    fn record(&self) -> Value {
        json!({
            "id": self.id("record"), "traceId": self.trace(), "requestId": "q", "orgId": self.org,
            "integrationConfigId": self.id("labs"), "integrationName": self.marked("labs"), "direction": "INBOUND",
            "status": "SUCCESS", "httpMethod": "GET", "path": "/labs", "responseStatus": 200, "attempts": 1,
            "requestBytes": 0, "responseBytes": 17, "durationMs": 3, "createdAt": AT, "gatewayId": "reporter",
        })
    }

    fn endpoint(&self) -> Value {
        json!({"integrationConfigId": self.id("hook"), "orgId": self.org, "open": 1, "oldest": AT,
            "state": "circuitOpen", "reason": "it answered 503"})
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no identifier"))
        .to_owned()
}

/// An address that nobody else has.
pub(super) fn fresh_address() -> String {
    format!("somebody-{}@clinic.example", next_number())
}

/// Long enough for everybody.
pub(super) const PASSWORD: &str = "correct horse battery staple";
/// An organization that a key for all of them makes and deletes.
pub(super) const NEWCOMER: u64 = 999;
/// The type of their events.
const TYPE: &str = "bill.generated";
/// Far away, so that no retention takes it.
const AT: &str = "2096-01-15T10:00:00.000Z";
