//! An identity provider: it signs tokens, publishes its keys, and says of a token whether it is good.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::answer::{Answer, Gate};
use crate::partner::{Partner, Received};

/// The `iss` of its tokens.
pub const ISSUER: &str = "https://login.example";
/// Who may ask about tokens, and the secret of that.
pub const ASKER: (&str, &str) = ("gateway", "s3cr3t:of the/gateway");

/// A provider that listens until it is dropped.
#[derive(Debug)]
pub struct Issuer {
    partner: Partner,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the key that signs and is published.
    key: u8,
    cache_control: Option<String>,
    is_away: bool,
    gate: Option<Gate>,
    /// What is said of each token.
    known: BTreeMap<String, Value>,
}

impl Issuer {
    /// A new one, with its first key.
    pub async fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let script = Arc::clone(&state);
        Self {
            partner: Partner::start(move |request| script.lock().unwrap().answer(request)).await,
            state,
        }
    }

    /// Its address followed by `path`: keys are at `/certs`, questions about tokens go to `/introspect`.
    pub fn url(&self, path: &str) -> String {
        self.partner.url(path)
    }

    /// Makes a new key and forgets the one before.
    pub fn rotate(&self) {
        self.state.lock().unwrap().key += 1;
    }

    /// Sends `Cache-Control` with its keys.
    pub fn cache_control(&self, value: &str) {
        self.state.lock().unwrap().cache_control = Some(value.to_owned());
    }

    /// Answers everything with 503, or not any more.
    pub fn away(&self, is_away: bool) {
        self.state.lock().unwrap().is_away = is_away;
    }

    /// Answers when the gate is open.
    pub fn after(&self, gate: &Gate) {
        self.state.lock().unwrap().gate = Some(gate.clone());
    }

    /// Says this of `token`.
    pub fn says(&self, token: &str, standing: Value) {
        self.state.lock().unwrap().known.insert(token.to_owned(), standing);
    }

    /// How often `path` was asked for.
    pub fn asked(&self, path: &str) -> usize {
        let requests = self.partner.requests();
        requests.iter().filter(|request| request.uri.path() == path).count()
    }

    /// A token with these claims beside `iss`, `aud` (`integration-gateway`) and `exp` (in five minutes).
    pub fn token(&self, claims: Value) -> String {
        let mut all = json!({"iss": ISSUER, "aud": "integration-gateway", "exp": now_s() + 300});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let number = self.state.lock().unwrap().key;
        let header = json!({"alg": "EdDSA", "kid": number.to_string(), "typ": "JWT"});
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(&header), encoded(&all));
        let signature = key(number).sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl State {
    fn answer(&self, request: &Received) -> Answer {
        let answer = match request.uri.path() {
            _ if self.is_away => Answer::status(503),
            "/certs" => self.keys(),
            "/introspect" => self.standing(request),
            _ => Answer::status(404),
        };
        match &self.gate {
            Some(gate) => answer.after(gate),
            None => answer,
        }
    }

    fn keys(&self) -> Answer {
        let x = URL_SAFE_NO_PAD.encode(key(self.key).public_key());
        let kid = self.key.to_string();
        let answer = Answer::json(&json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": x},
        ]}));
        match &self.cache_control {
            Some(value) => answer.header("cache-control", value),
            None => answer,
        }
    }

    fn standing(&self, request: &Received) -> Answer {
        // Both parts are encoded as in a form (RFC 6749 section 2.3.1).
        let asker = format!("{}:{}", ASKER.0, "s3cr3t%3Aof+the%2Fgateway");
        let expected = format!("Basic {}", STANDARD.encode(asker));
        if request.header("authorization") != Some(&expected) {
            return Answer::status(401);
        }
        let question = String::from_utf8_lossy(&request.body).into_owned();
        let token = question.split('&').find_map(|pair| pair.strip_prefix("token="));
        let said = token.and_then(|token| self.known.get(token));
        Answer::json(said.unwrap_or(&json!({"active": false})))
    }
}

fn key(number: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap()
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
