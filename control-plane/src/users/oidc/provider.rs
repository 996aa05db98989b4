//! What is asked of the provider: its addresses, its keys, and a token for a code. All of it goes through the one way out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use egress::{Body, EgressError, Part, Pool, PoolSettings, Resolver, SetupError, Timeouts, Upstream};
use filters::auth::jwk::{KeySet, KeySetError};
use filters::auth::jwt::{self, Failed};
use filters::model::auth::JwtAlgorithm;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::config::oidc::OidcConfig;

/// The provider.
pub(in crate::users) struct Provider {
    config: OidcConfig,
    resolver: Arc<Resolver>,
    tls: Arc<rustls::ClientConfig>,
    /// What it said of itself, for some time; held while it is asked, so that it is asked once.
    found: Mutex<Option<(Instant, Arc<Found>)>>,
}

/// Why the provider's answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProviderError {
    /// There is none.
    #[error("the identity provider does not answer")]
    Egress(#[from] EgressError),
    /// It refuses.
    #[error("the identity provider answered {what} with status {status}")]
    Status {
        /// What was asked.
        what: &'static str,
        /// With what it answered.
        status: u16,
    },
    /// It is not what was asked for.
    #[error("the identity provider's {what} {reason}")]
    Content {
        /// What was asked.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Its token is not good.
    #[error("the identity provider's token is not good: {0}")]
    Token(&'static str),
}

/// What the provider says of itself.
#[derive(Debug)]
struct Found {
    authorization_endpoint: String,
    token_endpoint: String,
    keys: KeySet,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl Provider {
    /// A provider that was not asked anything yet.
    ///
    /// # Errors
    /// If the trust store or the name resolution cannot be used.
    pub(in crate::users) fn new(config: OidcConfig) -> Result<Self, SetupError> {
        Ok(Self {
            resolver: Arc::new(Resolver::from_system()?),
            tls: egress::client_config(config.authorities_file.as_deref())?,
            config,
            found: Mutex::default(),
        })
    }

    pub(super) fn config(&self) -> &OidcConfig {
        &self.config
    }

    /// Where people sign in.
    pub(super) async fn authorization_endpoint(&self) -> Result<String, ProviderError> {
        Ok(self.found(USUAL_AGE).await?.authorization_endpoint.clone())
    }

    /// What the provider says of the person that it gave `code`.
    pub(super) async fn claims(
        &self,
        code: &str,
        verifier: &str,
        nonce: &str,
        now: Timestamp,
    ) -> Result<Value, ProviderError> {
        let found = self.found(USUAL_AGE).await?;
        let token = self.token(&found.token_endpoint, code, verifier).await?;
        let open = |keys: &KeySet| jwt::open(&token, keys, &ALGORITHMS, LEEWAY_S, now.as_second());
        let claims = match open(&found.keys) {
            // The provider may have a new key since it was asked.
            Err(Failed::NoSuchKey) => open(&self.found(SHORTEST_AGE).await?.keys),
            opened => opened,
        };
        let claims = claims.map_err(|_| ProviderError::Token("its signature or its time"))?;
        check(&claims, &self.config, nonce)?;
        Ok(claims)
    }

    /// What the provider said of itself at most `age` ago.
    async fn found(&self, age: Duration) -> Result<Arc<Found>, ProviderError> {
        let mut known = self.found.lock().await;
        if let Some((_, found)) = known.as_ref().filter(|(at, _)| at.elapsed() < age) {
            return Ok(Arc::clone(found));
        }
        let found = Arc::new(self.ask().await?);
        *known = Some((Instant::now(), Arc::clone(&found)));
        Ok(found)
    }

    async fn ask(&self) -> Result<Found, ProviderError> {
        let what = "description";
        let address = format!(
            "{}/.well-known/openid-configuration",
            self.config.issuer.trim_end_matches('/')
        );
        let discovery: Discovery = read(what, &self.get(&address, what).await?)?;
        if discovery.issuer != self.config.issuer {
            let reason = format!("is that of the issuer {:?}", discovery.issuer);
            return Err(ProviderError::Content { what, reason });
        }
        for endpoint in [
            &discovery.authorization_endpoint,
            &discovery.token_endpoint,
            &discovery.jwks_uri,
        ] {
            if let Err(message) = self.config.address(endpoint) {
                let reason = format!("names the address {endpoint:?}, which {message}");
                return Err(ProviderError::Content { what, reason });
            }
        }
        let what = "key set";
        let keys = KeySet::from_json(&self.get(&discovery.jwks_uri, what).await?);
        Ok(Found {
            authorization_endpoint: discovery.authorization_endpoint,
            token_endpoint: discovery.token_endpoint,
            keys: keys.map_err(|error: KeySetError| ProviderError::Content {
                what,
                reason: error.to_string(),
            })?,
        })
    }

    async fn token(&self, endpoint: &str, code: &str, verifier: &str) -> Result<String, ProviderError> {
        let what = "token request";
        let (form, authorization) = self.exchange(code, verifier);
        let body = self.send(Method::POST, endpoint, what, authorization, form).await?;
        Ok(read::<Tokens>(what, &body)?.id_token)
    }

    /// The form that asks for a token, and what shows who is asking.
    fn exchange(&self, code: &str, verifier: &str) -> (String, Option<String>) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &self.config.redirect_url)
            .append_pair("code_verifier", verifier);
        let Some(secret) = &self.config.client_secret else {
            form.append_pair("client_id", &self.config.client_id);
            return (form.finish(), None);
        };
        // Both parts are encoded as in a form (RFC 6749 section 2.3.1).
        let part = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", part(&self.config.client_id), part(secret.expose()));
        (form.finish(), Some(format!("Basic {}", STANDARD.encode(pair))))
    }

    async fn get(&self, address: &str, what: &'static str) -> Result<Bytes, ProviderError> {
        self.send(Method::GET, address, what, None, String::new()).await
    }

    async fn send(
        &self,
        method: Method,
        address: &str,
        what: &'static str,
        authorization: Option<String>,
        form: String,
    ) -> Result<Bytes, ProviderError> {
        let content = |reason: String| ProviderError::Content { what, reason };
        let target = self.config.address(address).map_err(content)?;
        let uri = match target.query() {
            Some(query) => format!("{}?{query}", target.path()),
            None => target.path().to_owned(),
        };
        let uri = uri
            .parse()
            .map_err(|error: http::uri::InvalidUri| content(error.to_string()))?;
        let mut request = Request::new(Body::of_parts([Part::Bytes(Bytes::from(form))]));
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if method == Method::POST {
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
        }
        if let Some(authorization) = authorization {
            let mut value = HeaderValue::from_str(&authorization)
                .map_err(|_| content("cannot be made with this secret".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        *request.method_mut() = method;
        // A pool of its own each time: somebody signs in now and then.
        let upstream = Upstream::new(target, self.config.egress(), Arc::clone(&self.resolver));
        let pool = Pool::new(upstream, PoolSettings::default(), Arc::clone(&self.tls));
        let answer = pool.send(request, TIMEOUTS).await?;
        if answer.status != StatusCode::OK {
            let status = answer.status.as_u16();
            return Err(ProviderError::Status { what, status });
        }
        Ok(answer.collect(MOST_BYTES).await?)
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider")
            .field("issuer", &self.config.issuer)
            .finish_non_exhaustive()
    }
}

/// Whether a token is of this provider, for us, and an answer to this sign-in (OpenID Connect Core section 3.1.3.7).
fn check(claims: &Value, config: &OidcConfig, nonce: &str) -> Result<(), ProviderError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let own = config.client_id.as_str();
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(audience)) => vec![audience],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if text("iss") != Some(&config.issuer) {
        return Err(ProviderError::Token("it is of another issuer"));
    }
    if !audiences.contains(&own) {
        return Err(ProviderError::Token("it is for another audience"));
    }
    let party = text("azp");
    if party.is_some_and(|party| party != own) || (audiences.len() > 1 && party.is_none()) {
        return Err(ProviderError::Token("it was made for another party"));
    }
    if text("nonce") != Some(nonce) {
        return Err(ProviderError::Token("it answers another sign-in"));
    }
    Ok(())
}

fn read<T: for<'de> Deserialize<'de>>(what: &'static str, body: &[u8]) -> Result<T, ProviderError> {
    // What is wrong with it is not quoted: it may hold tokens.
    serde_json::from_slice(body).map_err(|_| ProviderError::Content {
        what,
        reason: "is not what OpenID Connect asks for".to_owned(),
    })
}

/// Signatures that only the provider can make.
const ALGORITHMS: [JwtAlgorithm; 9] = [
    JwtAlgorithm::RS256,
    JwtAlgorithm::RS384,
    JwtAlgorithm::RS512,
    JwtAlgorithm::PS256,
    JwtAlgorithm::PS384,
    JwtAlgorithm::PS512,
    JwtAlgorithm::ES256,
    JwtAlgorithm::ES384,
    JwtAlgorithm::EdDsa,
];
/// How far the provider's clock may be off.
const LEEWAY_S: i64 = 60;
/// How long the provider is not asked again about itself; and at least, if it signs with a key that is not known.
const USUAL_AGE: Duration = Duration::from_secs(600);
const SHORTEST_AGE: Duration = Duration::from_secs(10);
const MOST_BYTES: usize = 512 * 1024;
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    total: Duration::from_secs(10),
};
