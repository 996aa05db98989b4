//! What the gateway adds to a request to sign in to the partner, made once at compile time.

pub mod signature;
pub mod tls;
pub mod token;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, header};

use crate::address::EgressPolicy;
use crate::model::outgoing::{OutgoingApiKey, OutgoingAuth, OutgoingBasic, OutgoingHeaders};
use crate::model::route::TargetHosts;
use crate::model::secret::Secret;
use crate::model::{Problem, Security};
use crate::target::TargetUrl;
pub use signature::RequestSigner;
pub use tls::TlsPlan;
pub use token::TokenPlan;

/// What signs the gateway in to a partner: written on the upstream request only.
#[derive(Clone, Default)]
pub struct SignIn {
    /// Headers to set.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `name=value`, encoded, to append to the query.
    pub query: Option<Secret>,
    /// Where the token for `Authorization` comes from.
    pub token: Option<Arc<TokenPlan>>,
    /// What signs each request.
    pub signature: Option<Arc<RequestSigner>>,
}

/// Whose sign-in it is, and where that organization may connect to.
pub(crate) struct Owner<'a> {
    pub(crate) org_id: u64,
    pub(crate) egress: &'a EgressPolicy,
    pub(crate) security: &'a Security,
}

impl Owner<'_> {
    /// Reads an address that is called to sign in. Lists of target hosts are not for it.
    pub(crate) fn address(&self, url: &str, path: &str, problems: &mut Vec<Problem>) -> Option<TargetUrl> {
        let target = TargetUrl::parse(url)
            .map_err(|error| problems.push(Problem::new(path, error.to_string())))
            .ok()?;
        let refused = target.check_policy(self.egress, self.security, &TargetHosts::default());
        problems.extend(refused.into_iter().map(|message| Problem::new(path, message)));
        Some(target)
    }
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("SignIn")
            .field("headers", &names)
            .field("query", &self.query)
            .field("token", &self.token)
            .field("signature", &self.signature)
            .finish()
    }
}

impl SignIn {
    /// Makes the headers and the parameter of `auth`.
    pub(crate) fn compile(auth: &OutgoingAuth, owner: &Owner<'_>, problems: &mut Vec<Problem>) -> Self {
        let mut sign_in = Self::default();
        match auth {
            OutgoingAuth::None => {}
            OutgoingAuth::ApiKey(key) => sign_in.add_api_key(key, problems),
            OutgoingAuth::Bearer(bearer) => {
                let token = bearer.token.expose();
                if token.is_empty() || token.contains(char::is_whitespace) {
                    problems.push(Problem::new(
                        "outgoingAuthConfig.token",
                        "must be the bare token, not empty and without white space",
                    ));
                }
                sign_in.add(&header::AUTHORIZATION, &format!("Bearer {token}"), "token", problems);
            }
            OutgoingAuth::Basic(basic) => sign_in.add_basic(basic, problems),
            OutgoingAuth::Oauth2(config) => {
                sign_in.token = TokenPlan::compile(config, owner, problems).map(Arc::new);
            }
            OutgoingAuth::CustomHeaders(custom) => sign_in.add_headers(custom, problems),
            OutgoingAuth::Hmac(config) => {
                sign_in.signature = RequestSigner::hmac(config, problems).map(Arc::new);
            }
            OutgoingAuth::AwsSigv4(config) => {
                sign_in.signature = RequestSigner::sigv4(config, problems).map(Arc::new);
            }
        }
        sign_in
    }

    fn add_api_key(&mut self, key: &OutgoingApiKey, problems: &mut Vec<Problem>) {
        if key.api_key.expose().is_empty() {
            problems.push(Problem::new("outgoingAuthConfig.apiKey", "must not be empty"));
        }
        match (&key.header_name, &key.query_name) {
            (Some(name), None) => {
                if let Some(name) = header_name(name, "outgoingAuthConfig.headerName", problems) {
                    self.add(&name, key.api_key.expose(), "apiKey", problems);
                }
            }
            (None, Some(name)) if !name.is_empty() => {
                let pair = form_urlencoded::Serializer::new(String::new())
                    .append_pair(name, key.api_key.expose())
                    .finish();
                self.query = Some(Secret::new(pair));
            }
            _ => problems.push(Problem::new(
                "outgoingAuthConfig",
                "needs either `headerName` or `queryName`",
            )),
        }
    }

    fn add_basic(&mut self, basic: &OutgoingBasic, problems: &mut Vec<Problem>) {
        if basic.username.contains(':') {
            problems.push(Problem::new(
                "outgoingAuthConfig.username",
                "must not hold a colon (RFC 7617)",
            ));
        }
        let pair = format!("{}:{}", basic.username, basic.password.expose());
        self.add(
            &header::AUTHORIZATION,
            &format!("Basic {}", STANDARD.encode(pair)),
            "password",
            problems,
        );
    }

    fn add_headers(&mut self, custom: &OutgoingHeaders, problems: &mut Vec<Problem>) {
        if custom.headers.is_empty() {
            problems.push(Problem::new(
                "outgoingAuthConfig.headers",
                "must name at least one header",
            ));
        }
        for (name, value) in &custom.headers {
            let path = format!("outgoingAuthConfig.headers[{name:?}]");
            if let Some(header) = header_name(name, &path, problems) {
                self.add(&header, value.expose(), &format!("headers[{name:?}]"), problems);
            }
        }
    }

    fn add(&mut self, name: &HeaderName, value: &str, field: &str, problems: &mut Vec<Problem>) {
        match HeaderValue::from_str(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.headers.push((name.clone(), value));
            }
            Err(_) => problems.push(Problem::new(
                format!("outgoingAuthConfig.{field}"),
                "holds a character that a header cannot carry (line break, control character or beyond ASCII)",
            )),
        }
    }
}

/// Reads a header name that an operator may use for a credential.
pub(crate) fn header_name(name: &str, path: &str, problems: &mut Vec<Problem>) -> Option<HeaderName> {
    let Ok(header) = HeaderName::try_from(name) else {
        problems.push(Problem::new(path, format!("{name:?} is not a header name")));
        return None;
    };
    let reserved = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
    ];
    if reserved.contains(&header) {
        problems.push(Problem::new(
            path,
            format!("{name:?} belongs to HTTP itself and cannot carry a credential"),
        ));
        return None;
    }
    Some(header)
}
