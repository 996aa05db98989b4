//! A token endpoint, and partners that take its tokens only.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde_json::{Value, json};

use crate::answer::{Answer, Gate};
use crate::partner::{Partner, Received};

/// Who the client of the tests is.
pub const CLIENT: &str = "gateway";
/// Its secret.
pub const CLIENT_SECRET: &str = "s3cr3t of the/client";

/// A token endpoint that listens until it is dropped. It knows one client, by its secret or by its key.
#[derive(Debug)]
pub struct TokenServer {
    partner: Partner,
    issued: Arc<Mutex<Issued>>,
    key: String,
}

#[derive(Debug)]
struct Issued {
    count: u64,
    good: HashSet<String>,
    lifetime_s: Option<u64>,
    always: Option<Answer>,
    gate: Option<Gate>,
    public_key: Vec<u8>,
    by_certificate: bool,
    refreshing: Option<Refreshing>,
}

/// Refresh tokens, each of which is taken once.
#[derive(Debug)]
struct Refreshing {
    name: &'static str,
    count: u64,
    /// True once a token came that was used before: somebody has stolen it, or lost the one in its place.
    broken: bool,
}

impl TokenServer {
    /// A new one, whose tokens are good for an hour.
    pub async fn start() -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            document.as_ref(),
            &SystemRandom::new(),
        )
        .unwrap();
        let issued = Arc::new(Mutex::new(Issued {
            count: 0,
            good: HashSet::new(),
            lifetime_s: Some(3_600),
            always: None,
            gate: None,
            public_key: pair.public_key().as_ref().to_vec(),
            by_certificate: false,
            refreshing: None,
        }));
        let script = Arc::clone(&issued);
        let key = STANDARD.encode(document.as_ref());
        Self {
            partner: Partner::start(move |request| script.lock().unwrap().answer(request)).await,
            issued,
            key: format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.partner.address()
    }

    /// Where tokens are.
    pub fn url(&self) -> String {
        self.partner.url("/token")
    }

    /// The client's private key, as PEM.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How an integration signs in with tokens of this endpoint, with some fields set.
    pub fn sign_in(&self, fields: Value) -> Value {
        let mut config = json!({"tokenUrl": self.url(), "clientId": CLIENT, "clientSecret": CLIENT_SECRET});
        let Value::Object(fields) = fields else {
            panic!("{fields} is not an object");
        };
        config.as_object_mut().unwrap().extend(fields);
        json!({"outgoingAuthType": "OAUTH2", "outgoingAuthConfig": config})
    }

    /// A partner that says 200 to tokens that are good, and 401 to all others.
    pub async fn partner(&self) -> Partner {
        self.partner_saying(Answer::text("signed in")).await
    }

    /// The same with another answer than 200.
    pub async fn partner_saying(&self, answer: Answer) -> Partner {
        let issued = Arc::clone(&self.issued);
        Partner::start(move |request| {
            let token = request
                .header("authorization")
                .and_then(|value| value.strip_prefix("Bearer "));
            if token.is_some_and(|token| issued.lock().unwrap().good.contains(token)) {
                answer.clone()
            } else {
                Answer::text("the token is not good").with_status(401)
            }
        })
        .await
    }

    /// Ends every token.
    pub fn revoke(&self) {
        self.issued.lock().unwrap().good.clear();
    }

    /// What new tokens are said to be good for; nothing is said if `None`.
    pub fn lifetime(&self, seconds: Option<u64>) {
        self.issued.lock().unwrap().lifetime_s = seconds;
    }

    /// Answers so instead of with tokens, until it is `None`.
    pub fn always(&self, answer: Option<Answer>) {
        self.issued.lock().unwrap().always = answer;
    }

    /// Knows the client by the certificate that it showed to whoever is in front.
    pub fn know_by_certificate(&self) {
        self.issued.lock().unwrap().by_certificate = true;
    }

    /// Gives tokens in exchange for refresh tokens only: `NAME-0` at first, then the one that came with the last token. Once
    /// another comes, it refuses all.
    pub fn refresh(&self, name: &'static str) {
        self.issued.lock().unwrap().refreshing = Some(Refreshing {
            name,
            count: 0,
            broken: false,
        });
    }

    /// Holds answers back until the gate opens.
    pub fn hold(&self, gate: &Gate) {
        self.issued.lock().unwrap().gate = Some(gate.clone());
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Received> {
        self.partner.requests()
    }

    /// How many tokens were given out.
    pub fn tokens(&self) -> u64 {
        self.issued.lock().unwrap().count
    }
}

/// The parameters of a token request.
pub fn form(request: &Received) -> BTreeMap<String, String> {
    form_urlencoded::parse(&request.body).into_owned().collect()
}

impl Issued {
    fn answer(&mut self, request: &Received) -> Answer {
        if let Some(answer) = &self.always {
            return answer.clone();
        }
        let form = form(request);
        if !self.is_client(request, &form) {
            let error = json!({"error": "invalid_client", "error_description": "planted-in-the-answer"});
            return Answer::json(&error).with_status(401);
        }
        let refresh_token = match &mut self.refreshing {
            None => None,
            Some(refreshing) => match refreshing.exchange(&form) {
                Some(next) => Some(next),
                None => return Answer::json(&json!({"error": "invalid_grant"})).with_status(400),
            },
        };
        self.count += 1;
        let token = format!("token-{}", self.count);
        self.good.insert(token.clone());
        let mut granted = json!({"access_token": token, "token_type": "Bearer"});
        if let Some(token) = refresh_token {
            granted["refresh_token"] = token.into();
        }
        if let Some(seconds) = self.lifetime_s {
            granted["expires_in"] = seconds.into();
        }
        let answer = Answer::json(&granted);
        match &self.gate {
            Some(gate) => answer.after(gate),
            None => answer,
        }
    }

    fn is_client(&self, request: &Received, form: &BTreeMap<String, String>) -> bool {
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        if let Some(pair) = request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Basic "))
        {
            let pair = String::from_utf8(STANDARD.decode(pair).unwrap()).unwrap();
            // Both are form values (RFC 6749 section 2.3.1).
            let encoded: String = form_urlencoded::byte_serialize(CLIENT_SECRET.as_bytes()).collect();
            return pair == format!("{CLIENT}:{encoded}");
        }
        if field("client_id") != CLIENT {
            return false;
        }
        match field("client_assertion") {
            // Whoever is in front of it has looked at the certificate.
            "" if self.by_certificate => field("client_secret").is_empty(),
            // A client without a secret.
            "" if self.refreshing.is_some() && !form.contains_key("client_secret") => true,
            "" => field("client_secret") == CLIENT_SECRET,
            assertion => self.is_signed(assertion),
        }
    }

    fn is_signed(&self, assertion: &str) -> bool {
        let (message, signature) = assertion.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.public_key);
        key.verify(message.as_bytes(), &signature).is_ok()
    }
}

impl Refreshing {
    /// The token that takes the place of the one in `form`.
    fn exchange(&mut self, form: &BTreeMap<String, String>) -> Option<String> {
        let given = form.get("refresh_token").map_or("", String::as_str);
        let is_refresh = form.get("grant_type").is_some_and(|grant| grant == "refresh_token");
        self.broken |= !is_refresh || given != format!("{}-{}", self.name, self.count);
        self.count += 1;
        (!self.broken).then(|| format!("{}-{}", self.name, self.count))
    }
}
