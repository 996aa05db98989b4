//! Checks of tokens: signed ones, and those that their issuer is asked about.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, header};
use serde_json::Value;

use super::{Checks, check_shared};
use crate::auth::claims::{ClaimCheck, NameClaim, Rule, check_claim};
use crate::auth::introspection::IntrospectionCheck;
use crate::auth::jwk::KeySet;
use crate::auth::jwt::{JwtCheck, Keys};
use crate::model::auth::{ClaimRule, IntrospectionAuth, JwtAlgorithm, JwtAuth};
use crate::model::problem::join;
use crate::outgoing::header_name;

/// The farthest that an issuer's clock may be off, in seconds.
const MOST_LEEWAY: u32 = 300;
/// The longest that an answer of an issuer counts, in seconds.
const MOST_CACHE: u32 = 3_600;
/// Parts of a JWK that are private (RFC 7518 section 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// What both kinds say of claims.
struct ClaimConfig<'c> {
    issuer: Option<&'c str>,
    audiences: &'c [String],
    rules: &'c [ClaimRule],
    name: Option<&'c String>,
    usual: &'static [&'static str],
    consumer: Option<&'c String>,
}

impl Checks<'_> {
    pub(super) fn jwt(&mut self, config: &JwtAuth, path: &str) -> Option<JwtCheck> {
        if config.algorithms.is_empty() {
            self.problem(join(path, "algorithms"), "must name at least one, such as `RS256`");
        }
        if config.audiences.is_empty() != config.any_audience {
            let message = "give either the audiences that tokens must be for, or `anyAudience: true`";
            self.problem(join(path, "audiences"), message);
        }
        let leeway = config.leeway_seconds.unwrap_or(30);
        if leeway > MOST_LEEWAY {
            let message = format!("{leeway} must be at most {MOST_LEEWAY}");
            self.problem(join(path, "leewaySeconds"), message);
        }
        let header = self.token_header(config.header_name.as_ref(), path);
        let claims = ClaimConfig {
            issuer: Some(&config.issuer),
            audiences: &config.audiences,
            rules: &config.required_claims,
            name: config.name_claim.as_ref(),
            usual: &["sub", "client_id", "azp"],
            consumer: config.consumer_claim.as_ref(),
        };
        let claims = self.claims(&claims, path);
        Some(JwtCheck {
            header,
            algorithms: config.algorithms.clone(),
            keys: self.keys(config, path)?,
            leeway_s: i64::from(leeway),
            claims,
        })
    }

    fn keys(&mut self, config: &JwtAuth, path: &str) -> Option<Keys> {
        match (&config.jwks_url, &config.jwks, config.secrets.as_slice()) {
            (Some(url), None, []) => {
                self.check_algorithms(config, false, path);
                self.owner
                    .address(url, &join(path, "jwksUrl"), self.problems)
                    .map(Keys::Fetched)
            }
            (None, Some(set), []) => {
                self.check_algorithms(config, false, path);
                self.key_set(set, join(path, "jwks")).map(Keys::Fixed)
            }
            (None, None, [_, ..]) => {
                self.check_algorithms(config, true, path);
                let mut keys = KeySet::default();
                for (index, secret) in config.secrets.iter().enumerate() {
                    let value = join(path, &format!("secrets[{index}].value"));
                    check_shared(&secret.value, value, self.problems);
                    for algorithm in config.algorithms.iter().filter(|_| secret.is_active) {
                        keys.add_secret(*algorithm, secret.value.expose().as_bytes());
                    }
                }
                Some(Keys::Fixed(keys))
            }
            _ => {
                self.problem(path.to_owned(), "needs exactly one of `jwksUrl`, `jwks` and `secrets`");
                None
            }
        }
    }

    /// A public key taken for a shared secret would let anybody sign: the two kinds do not mix.
    fn check_algorithms(&mut self, config: &JwtAuth, shared: bool, path: &str) {
        for (index, algorithm) in config.algorithms.iter().enumerate() {
            let is_shared = matches!(
                algorithm,
                JwtAlgorithm::HS256 | JwtAlgorithm::HS384 | JwtAlgorithm::HS512
            );
            if is_shared != shared {
                let (needs, given) = if shared {
                    ("a public key", "`secrets`")
                } else {
                    ("`secrets`", "public keys")
                };
                let message = format!("{algorithm:?} needs {needs}, and {given} are given");
                self.problem(join(path, &format!("algorithms[{index}]")), message);
            }
        }
    }

    fn key_set(&mut self, set: &Value, path: String) -> Option<KeySet> {
        let keys = set.get("keys").and_then(Value::as_array);
        let is_private = |key: &Value| PRIVATE.iter().any(|part| key.get(part).is_some());
        for (index, _) in keys
            .into_iter()
            .flatten()
            .enumerate()
            .filter(|(_, key)| is_private(key))
        {
            let message = "holds a private or shared key; give the public part only, and make a new key";
            self.problem(join(&path, &format!("keys[{index}]")), message);
        }
        KeySet::parse(set)
            .map_err(|error| self.problem(path, error.to_string()))
            .ok()
    }

    pub(super) fn introspection(&mut self, config: &IntrospectionAuth, path: &str) -> Option<IntrospectionCheck> {
        let cache_s = config.cache_seconds.unwrap_or(60);
        if cache_s > MOST_CACHE {
            let message = format!("{cache_s} must be at most {MOST_CACHE}");
            self.problem(join(path, "cacheSeconds"), message);
        }
        if config.client_id.is_empty() {
            self.problem(join(path, "clientId"), "must not be empty");
        }
        if config.client_secret.expose() == crate::model::secret::MASK {
            let message = "is the mask of a secret that is not stored; give the secret itself";
            self.problem(join(path, "clientSecret"), message);
        }
        let header = self.token_header(config.header_name.as_ref(), path);
        let claims = ClaimConfig {
            issuer: config.issuer.as_deref(),
            audiences: &config.audiences,
            rules: &config.required_claims,
            name: config.name_claim.as_ref(),
            usual: &["sub", "client_id", "username"],
            consumer: config.consumer_claim.as_ref(),
        };
        let claims = self.claims(&claims, path);
        let url = self.owner.address(
            &config.introspection_url,
            &join(path, "introspectionUrl"),
            self.problems,
        );
        Some(IntrospectionCheck {
            header,
            url: url?,
            authorization: basic(&config.client_id, config.client_secret.expose()),
            cache_s,
            claims,
        })
    }

    fn token_header(&mut self, name: Option<&String>, path: &str) -> HeaderName {
        let given = name.and_then(|name| header_name(name, &join(path, "headerName"), self.problems));
        given.unwrap_or(header::AUTHORIZATION)
    }

    fn claims(&mut self, config: &ClaimConfig<'_>, path: &str) -> ClaimCheck {
        if config.issuer.is_some_and(str::is_empty) {
            self.problem(join(path, "issuer"), "must not be empty");
        }
        for (index, audience) in config.audiences.iter().enumerate() {
            if audience.is_empty() {
                self.problem(join(path, &format!("audiences[{index}]")), "must not be empty");
            }
        }
        for (field, claim) in [("nameClaim", config.name), ("consumerClaim", config.consumer)] {
            if let Some(claim) = claim {
                check_claim(claim, &join(path, field), self.problems);
            }
        }
        ClaimCheck {
            issuer: config.issuer.map(Into::into),
            audiences: config
                .audiences
                .iter()
                .map(|audience| audience.as_str().into())
                .collect(),
            rules: Rule::compile(config.rules, &join(path, "requiredClaims"), self.problems),
            name: match config.name {
                Some(claim) => NameClaim::Given(claim.as_str().into()),
                None => NameClaim::Usual(config.usual),
            },
            consumer: config.consumer.map(|claim| claim.as_str().into()),
        }
    }
}

/// `Authorization` of a client at its authorization server: both parts are encoded as in a form (RFC 6749 section 2.3.1).
fn basic(id: &str, secret: &str) -> HeaderValue {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret));
    let text = format!("Basic {}", STANDARD.encode(pair));
    let mut value = HeaderValue::from_str(&text).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}
