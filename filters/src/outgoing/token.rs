//! How an OAuth2 token is asked for, decided once at compile time, and what the token endpoint's answer means.

mod answer;
mod assertion;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::Serializer;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use ring::rand::SecureRandom;
use sha2::{Digest as _, Sha256};

use super::{Owner, TlsPlan};
use crate::model::Problem;
use crate::model::outgoing::{ClientAuthentication, GrantType, OutgoingOauth2};
use crate::model::secret::Secret;
use crate::target::{Scheme, TargetUrl};
pub use answer::{Granted, OauthError, TokenRefusal, read};
use assertion::Assertion;
pub use assertion::SigningFault;

/// How tokens of one credential are asked for.
pub struct TokenPlan {
    /// The token endpoint.
    pub endpoint: TargetUrl,
    /// Stands for the organization, its rules for addresses and the whole configuration: who has the same may share tokens.
    pub credential: [u8; 32],
    /// TLS with the token endpoint, where the usual is not enough.
    pub tls: Option<Arc<TlsPlan>>,
    /// What is exchanged for tokens, if not the client's own credential.
    pub grant: Option<Grant>,
    uri: Uri,
    client: Client,
    /// Parameters that are the same in each request, encoded.
    form: Secret,
}

/// A refresh token, which stands for somebody's consent.
pub struct Grant {
    /// Stands for the organization, the token endpoint, the client and the configured token: what comes in the place of
    /// that token belongs to who has all of these, whatever else the configuration says.
    pub id: [u8; 32],
    /// The token that is configured.
    pub token: Secret,
}

/// How the client shows who it is.
enum Client {
    /// In a header.
    Header(HeaderValue),
    /// In the parameters that are always the same.
    Form,
    /// By an assertion that is signed for each request.
    Assertion(Box<Assertion>),
}

/// A token request, but for what belongs to HTTP.
pub struct TokenRequest {
    /// `Authorization`, where the client shows who it is there.
    pub authorization: Option<HeaderValue>,
    /// The body, `application/x-www-form-urlencoded`.
    pub form: Secret,
}

impl TokenPlan {
    /// Compiles `config`, adding what is wrong with it.
    pub(super) fn compile(config: &OutgoingOauth2, owner: &Owner<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let endpoint = owner.address(&config.token_url, &at("tokenUrl"), problems);
        if endpoint.as_ref().is_some_and(|endpoint| origin(endpoint).is_none()) {
            problems.push(Problem::new(at("tokenUrl"), "is longer than an address may be"));
        }
        check(config, problems);
        let client = client(config, problems);
        let tls = tls(config, endpoint.as_ref(), problems);
        let plan = Self {
            tls,
            uri: origin(endpoint.as_ref()?)?,
            endpoint: endpoint?,
            credential: owner.digest(config),
            grant: owner.grant(config, problems),
            client: client?,
            form: form(config),
        };
        let own = plan.grant.as_ref().map_or(0, |grant| grant.token.expose().len());
        if plan.form.expose().len() + own > LONGEST_FORM {
            let message = format!("makes a token request of more than {LONGEST_FORM} bytes");
            problems.push(Problem::new(PATH, message));
        }
        (problems.len() == before).then_some(plan)
    }

    /// Path and query of the token endpoint.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The request for a token, in exchange for `refresh_token` where the plan has a [`Grant`]. `now_s` is the time in
    /// seconds since the epoch, `id` must be another one each time.
    ///
    /// # Errors
    /// If the client's key does not sign.
    pub fn request(
        &self,
        refresh_token: Option<&Secret>,
        now_s: u64,
        id: &str,
        random: &dyn SecureRandom,
    ) -> Result<TokenRequest, SigningFault> {
        let mut request = TokenRequest {
            authorization: None,
            form: self.form.clone(),
        };
        if let Some(token) = refresh_token {
            let value: String = form_urlencoded::byte_serialize(token.expose().as_bytes()).collect();
            request.form = Secret::new(format!("{}&refresh_token={value}", self.form.expose()));
        }
        match &self.client {
            Client::Header(value) => request.authorization = Some(value.clone()),
            Client::Form => {}
            Client::Assertion(assertion) => {
                let text = assertion.sign(now_s, id, random)?;
                let form = format!(
                    "{}&client_assertion_type={ASSERTION_TYPE}&client_assertion={text}",
                    request.form.expose()
                );
                request.form = Secret::new(form);
            }
        }
        Ok(request)
    }
}

impl fmt::Debug for TokenPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPlan")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest").finish_non_exhaustive()
    }
}

impl Owner<'_> {
    /// Digest of whose credential `config` is, and of all of it.
    fn digest(&self, config: &OutgoingOauth2) -> [u8; 32] {
        // Lists and maps of texts are serialized without fail.
        let text = serde_json::to_vec(config).unwrap_or_default();
        Sha256::new()
            .chain_update(self.org_id.to_be_bytes())
            .chain_update(format!("{:?}", self.egress))
            .chain_update(text)
            .finalize()
            .into()
    }
}

impl Owner<'_> {
    fn grant(&self, config: &OutgoingOauth2, problems: &mut Vec<Problem>) -> Option<Grant> {
        let token = config.refresh_token.as_ref();
        match config.grant_type {
            GrantType::ClientCredentials => {
                if token.is_some() {
                    let message = "does not go with grantType client_credentials; give `grantType: refresh_token`";
                    problems.push(Problem::new(at("refreshToken"), message));
                }
                None
            }
            GrantType::RefreshToken => {
                let Some(token) = token.filter(|token| !token.expose().is_empty()) else {
                    problems.push(Problem::new(at("refreshToken"), "is needed by grantType refresh_token"));
                    return None;
                };
                let mut digest = Sha256::new().chain_update(self.org_id.to_be_bytes());
                for part in [&config.token_url, &config.client_id, token.expose()] {
                    // With its length, so that no two lists of parts are the same text.
                    digest.update((part.len() as u64).to_be_bytes());
                    digest.update(part);
                }
                Some(Grant {
                    id: digest.finalize().into(),
                    token: token.clone(),
                })
            }
        }
    }
}

/// Path and query.
fn origin(endpoint: &TargetUrl) -> Option<Uri> {
    let mut text = endpoint.path().to_owned();
    if let Some(query) = endpoint.query() {
        text.push('?');
        text.push_str(query);
    }
    PathAndQuery::try_from(text).ok().map(Uri::from)
}

fn check(config: &OutgoingOauth2, problems: &mut Vec<Problem>) {
    if config.client_id.is_empty() {
        problems.push(Problem::new(at("clientId"), "must not be empty"));
    }
    let given = [("scope", &config.scope), ("audience", &config.audience)];
    for (field, _) in given.iter().filter(|(_, value)| value.as_deref() == Some("")) {
        problems.push(Problem::new(at(field), "must not be empty; leave it out instead"));
    }
    for (index, resource) in config.resource.iter().enumerate() {
        // RFC 8707 section 2: an absolute URI without a fragment.
        if url::Url::parse(resource).is_err() || resource.contains('#') {
            let message = format!("{resource:?} must be an absolute address without a fragment");
            problems.push(Problem::new(at(&format!("resource[{index}]")), message));
        }
    }
    for name in config.parameters.keys() {
        if name.is_empty() || OWN_PARAMETERS.contains(&name.as_str()) {
            let message = "has a field of its own, or is one that the gateway makes";
            problems.push(Problem::new(at(&format!("parameters[{name:?}]")), message));
        }
    }
}

fn tls(config: &OutgoingOauth2, endpoint: Option<&TargetUrl>, problems: &mut Vec<Problem>) -> Option<Arc<TlsPlan>> {
    let is_wanted = config.client_authentication == ClientAuthentication::TlsClientAuth;
    let has_certificate = config.tls.as_ref().is_some_and(|tls| tls.client_certificate.is_some());
    if is_wanted && !has_certificate {
        let message = "is needed by clientAuthentication tls_client_auth";
        problems.push(Problem::new(at("tls.clientCertificate"), message));
    }
    let config = config.tls.as_ref()?;
    if endpoint.is_some_and(|endpoint| endpoint.scheme() == Scheme::Http) {
        problems.push(Problem::new(at("tls"), "needs an https `tokenUrl`"));
    }
    TlsPlan::compile(config, &at("tls"), problems)
}

fn client(config: &OutgoingOauth2, problems: &mut Vec<Problem>) -> Option<Client> {
    let kind = config.client_authentication;
    let (wants_secret, wants_key) = match kind {
        ClientAuthentication::ClientSecretBasic | ClientAuthentication::ClientSecretPost => (true, false),
        ClientAuthentication::PrivateKeyJwt => (false, true),
        ClientAuthentication::TlsClientAuth | ClientAuthentication::None => (false, false),
    };
    if kind == ClientAuthentication::None && config.grant_type != GrantType::RefreshToken {
        let message = "must not be none where the client's own credential is all there is; give another, or grantType \
            refresh_token";
        problems.push(Problem::new(at("clientAuthentication"), message));
    }
    let key_fields = [
        ("privateKey", config.private_key.is_some()),
        ("keyId", config.key_id.is_some()),
        ("algorithm", config.algorithm.is_some()),
        ("assertionAudience", config.assertion_audience.is_some()),
    ];
    let given = [("clientSecret", config.client_secret.is_some(), wants_secret)];
    let given = given
        .into_iter()
        .chain(key_fields.map(|(field, is_given)| (field, is_given, wants_key)));
    for (field, is_given, is_wanted) in given {
        if is_given && !is_wanted {
            let message = format!("does not go with clientAuthentication {}", kind.as_str());
            problems.push(Problem::new(at(field), message));
        }
    }
    if wants_secret
        && config
            .client_secret
            .as_ref()
            .is_none_or(|secret| secret.expose().is_empty())
    {
        let message = format!("is needed by clientAuthentication {}", kind.as_str());
        problems.push(Problem::new(at("clientSecret"), message));
    }
    match kind {
        ClientAuthentication::ClientSecretBasic => basic(config),
        ClientAuthentication::ClientSecretPost | ClientAuthentication::TlsClientAuth | ClientAuthentication::None => {
            Some(Client::Form)
        }
        ClientAuthentication::PrivateKeyJwt => {
            let assertion = Assertion::compile(config, problems)?;
            Some(Client::Assertion(Box::new(assertion)))
        }
    }
}

/// Identifier and secret as form values, then as user name and password (RFC 6749 section 2.3.1).
fn basic(config: &OutgoingOauth2) -> Option<Client> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let secret = config.client_secret.as_ref()?;
    let pair = format!("{}:{}", encoded(&config.client_id), encoded(secret.expose()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(Client::Header(value))
}

fn form(config: &OutgoingOauth2) -> Secret {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", config.grant_type.as_str());
    match config.client_authentication {
        ClientAuthentication::ClientSecretBasic => {}
        ClientAuthentication::ClientSecretPost => {
            form.append_pair("client_id", &config.client_id);
            let secret = config.client_secret.as_ref().map_or("", Secret::expose);
            form.append_pair("client_secret", secret);
        }
        ClientAuthentication::PrivateKeyJwt | ClientAuthentication::TlsClientAuth | ClientAuthentication::None => {
            form.append_pair("client_id", &config.client_id);
        }
    }
    for (name, value) in [("scope", &config.scope), ("audience", &config.audience)] {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    for resource in &config.resource {
        form.append_pair("resource", resource);
    }
    for (name, value) in &config.parameters {
        form.append_pair(name, value.expose());
    }
    Secret::new(form.finish())
}

fn at(field: &str) -> String {
    format!("{PATH}.{field}")
}

const PATH: &str = "outgoingAuthConfig";
/// Parameters of a token request that are not for `parameters`.
const OWN_PARAMETERS: [&str; 9] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "scope",
    "audience",
    "resource",
    "refresh_token",
];
/// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`, encoded.
const ASSERTION_TYPE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
/// The most bytes of the parameters that are always the same.
const LONGEST_FORM: usize = 32 * 1024;

#[cfg(test)]
mod tests;
