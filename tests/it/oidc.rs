//! Signing in at an identity provider, from a browser's point of view.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use harness::client::{Reply, client};
use harness::control_plane::Setup;
use harness::issuer::now_s;
use harness::partner::Received;
use harness::{Answer, ControlPlane, Partner};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const SECRET: &str = "s3cr3t:of the/gateway";

#[tokio::test]
async fn somebody_signs_in_where_they_have_an_account() {
    let provider = Provider::start().await;
    let control_plane = provider.control_plane().start().await;
    provider.says(
        json!({"sub": "u-1", "email": "Ana@Clinic.example", "name": "Ana", "groups": ["nurses", "gw-users"],
        "org_ids": ["648", 7]}),
    );
    let welcome = provider.sign_in(&control_plane).await;
    assert_eq!(welcome.status, 200, "{}", welcome.text());
    let body = welcome.json();
    assert_eq!(body["user"]["email"], "ana@clinic.example");
    assert_eq!(
        (&body["user"]["role"], &body["user"]["orgIds"]),
        (&json!("USER"), &json!([7, 648]))
    );
    assert_eq!(body["user"]["hasPassword"], false);
    let me = me(&control_plane, body["token"].as_str().unwrap()).await;
    assert_eq!(me.json()["user"]["id"], body["user"]["id"]);

    // What the provider says counts each time, and the person stays the same with another address.
    provider.says(json!({"sub": "u-1", "email": "ana.silva@clinic.example", "groups": "gw-readers", "org_ids": 7}));
    let again = provider.sign_in(&control_plane).await.json();
    assert_eq!(again["user"]["id"], body["user"]["id"]);
    assert_eq!(
        (&again["user"]["role"], &again["user"]["orgIds"]),
        (&json!("READ_ONLY"), &json!([7]))
    );
    let output = control_plane.process.output();
    for secret in [body["token"].as_str().unwrap(), SECRET, "code-of-the-provider"] {
        assert!(!output.contains(secret));
    }
}

#[tokio::test]
async fn whoever_the_provider_does_not_vouch_for_stays_outside() {
    let provider = Provider::start().await;
    let control_plane = provider.control_plane().start().await;
    let good = json!({"sub": "u-1", "email": "ana@clinic.example", "groups": ["gw-users"], "org_ids": [648]});
    let with = |change: Value| {
        let mut claims = good.clone();
        claims
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        claims
    };
    for claims in [
        with(json!({"groups": ["nurses"]})),
        with(json!({"org_ids": []})),
        with(json!({"email": "nobody"})),
        with(json!({"iss": "https://other.example"})),
        with(json!({"aud": "another-client"})),
        with(json!({"aud": ["integration-gateway", "another-client"]})),
        with(json!({"azp": "another-client"})),
        with(json!({"nonce": "of another sign-in"})),
        with(json!({"exp": now_s() - 3_600})),
    ] {
        provider.says(claims.clone());
        let refused = provider.sign_in(&control_plane).await;
        assert_eq!(refused.status, 403, "{claims}: {}", refused.text());
    }
    provider.says(good.clone());
    provider.change(|state| state.unsigned = true);
    assert_eq!(provider.sign_in(&control_plane).await.status, 403, "alg none");
    provider.change(|state| state.unsigned = false);

    // An address that somebody claims to have is not theirs.
    let body = json!({"email": "ana@clinic.example", "role": "ADMIN"});
    assert_eq!(control_plane.post("/api/v1/admin/users", &body).await.status, 201);
    let refused = provider.sign_in(&control_plane).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    provider.says(with(json!({"email_verified": true})));
    assert_eq!(provider.sign_in(&control_plane).await.json()["user"]["role"], "USER");

    // The way back goes only where it began.
    let (location, cookie) = begin(&control_plane).await;
    let state = query_value(&location, "state");
    for (path, cookie) in [
        (format!("code=c&state={state}"), ""),
        ("code=c&state=another".to_owned(), cookie.as_str()),
        ("code=c".to_owned(), cookie.as_str()),
    ] {
        assert_eq!(back(&control_plane, &path, cookie).await.status, 400, "{path}");
    }
    let refused = back(&control_plane, &format!("error=access_denied&state={state}"), &cookie).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
}

#[tokio::test]
async fn people_are_sent_on_and_a_provider_that_is_away_is_told_of() {
    let provider = Provider::start().await;
    let control_plane = provider
        .control_plane()
        .set("auth.oidc.returnTo", json!("https://console.example/in"))
        .start()
        .await;
    provider.says(json!({"sub": "u-1", "email": "ana@clinic.example", "groups": ["gw-admins"]}));
    let sent_on = provider.sign_in(&control_plane).await;
    assert_eq!(sent_on.status, 303, "{}", sent_on.text());
    let place = sent_on.header("location").unwrap();
    let token = place.strip_prefix("https://console.example/in#token=").unwrap();
    assert_eq!(me(&control_plane, token).await.json()["role"], "ADMIN");

    let away = ControlPlane::start().await;
    let none = Reply::of(client().get(format!("{}/api/v1/auth/oidc/login", away.url()))).await;
    assert_eq!((none.status, none.code().as_str()), (404, "NOT_FOUND"));
    provider.change(|state| state.away = true);
    let control_plane = provider.control_plane().start().await;
    let refused = Reply::of(client().get(format!("{}/api/v1/auth/oidc/login", control_plane.url()))).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
}

/// An identity provider on a socket of this machine.
struct Provider {
    partner: Partner,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    claims: Value,
    nonce: String,
    challenge: String,
    unsigned: bool,
    away: bool,
}

impl Provider {
    async fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let script = Arc::clone(&state);
        Self {
            partner: Partner::start(move |request| script.lock().unwrap().answer(request)).await,
            state,
        }
    }

    fn control_plane(&self) -> Setup {
        Setup::new().set(
            "auth",
            json!({"oidc": {
                "issuer": self.partner.url(""), "clientId": "integration-gateway", "clientSecret": SECRET,
                "redirectUrl": "http://gateway.example/api/v1/auth/oidc/callback",
                "roles": {"gw-admins": "ADMIN", "gw-users": "USER", "gw-readers": "READ_ONLY"},
                "allowedNetworks": ["127.0.0.0/8"], "allowPlaintext": true,
            }}),
        )
    }

    fn says(&self, claims: Value) {
        self.state.lock().unwrap().claims = claims;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// What a browser gets that goes there and comes back.
    async fn sign_in(&self, control_plane: &ControlPlane) -> Reply {
        let (location, cookie) = begin(control_plane).await;
        assert!(location.starts_with(&self.partner.url("/authorize?")), "{location}");
        self.change(|state| {
            state.nonce = query_value(&location, "nonce");
            state.challenge = query_value(&location, "code_challenge");
        });
        let path = format!("code=code-of-the-provider&state={}", query_value(&location, "state"));
        back(control_plane, &path, &cookie).await
    }
}

impl State {
    fn answer(&self, request: &Received) -> Answer {
        let issuer = format!("http://{}", request.header("host").unwrap());
        match request.uri.path() {
            _ if self.away => Answer::status(503),
            "/.well-known/openid-configuration" => Answer::json(&json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/certs"),
            })),
            "/certs" => {
                let x = URL_SAFE_NO_PAD.encode(key().public_key());
                Answer::json(&json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "1", "x": x}]}))
            }
            "/token" => self.token(&issuer, request),
            _ => Answer::status(404),
        }
    }

    fn token(&self, issuer: &str, request: &Received) -> Answer {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let field = |name: &str| query_value(&format!("?{form}"), name);
        let asker = STANDARD.encode("integration-gateway:s3cr3t%3Aof+the%2Fgateway");
        let is_ours = request.header("authorization") == Some(&format!("Basic {asker}"));
        let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(field("code_verifier").as_bytes()));
        if !is_ours || proof != self.challenge || field("code") != "code-of-the-provider" {
            return Answer::status(400);
        }
        let mut claims =
            json!({"iss": issuer, "aud": "integration-gateway", "exp": now_s() + 300, "nonce": self.nonce});
        claims
            .as_object_mut()
            .unwrap()
            .extend(self.claims.as_object().unwrap().clone());
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let header = json!({"alg": if self.unsigned { "none" } else { "EdDSA" }, "kid": "1"});
        let signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = if self.unsigned {
            String::new()
        } else {
            URL_SAFE_NO_PAD.encode(key().sign(signed.as_bytes()))
        };
        Answer::json(&json!({"id_token": format!("{signed}.{signature}"), "token_type": "Bearer"}))
    }
}

/// Where the browser is sent, and the cookie that it gets.
async fn begin(control_plane: &ControlPlane) -> (String, String) {
    let sent = Reply::of(client().get(format!("{}/api/v1/auth/oidc/login", control_plane.url()))).await;
    assert_eq!(sent.status, 303, "{}", sent.text());
    let cookie = sent.header("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    (sent.header("location").unwrap().to_owned(), cookie)
}

async fn back(control_plane: &ControlPlane, query: &str, cookie: &str) -> Reply {
    let url = format!("{}/api/v1/auth/oidc/callback?{query}", control_plane.url());
    Reply::of(client().get(url).header("cookie", cookie)).await
}

async fn me(control_plane: &ControlPlane, token: &str) -> Reply {
    Reply::of(
        client()
            .get(format!("{}/api/v1/auth/me", control_plane.url()))
            .bearer_auth(token),
    )
    .await
}

/// A value of a query whose characters need no decoding.
fn query_value(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find_map(|(key, value)| (key == name).then(|| value.to_owned()))
        .unwrap_or_default()
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}
