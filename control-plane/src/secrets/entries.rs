//! A store of secrets that answers `GET` with JSON, as Vault's key-value store does, through the one way out.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use egress::{Body, EgressError, Part, Pool, PoolSettings, Resolver, Timeouts, Upstream};
use filters::model::Secret;
use filters::target::TargetUrl;
use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderName, HeaderValue, Request};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::sources::SecretsError;
use crate::access::read_configured;
use crate::config::secrets::SecretStoreConfig;

/// The store.
pub(super) struct EntryStore {
    pool: Pool,
    /// Path before that of an entry, without `/` at its end.
    base: String,
    header: HeaderName,
    token: Token,
    values_at: String,
}

enum Token {
    Fixed(Secret),
    /// Read each time, as tokens are renewed.
    File(PathBuf),
}

/// The entries that were asked for in one walk.
#[derive(Default)]
pub(super) struct Entries(Mutex<HashMap<String, Arc<Entry>>>);

/// The fields of an entry, once it was asked for.
type Entry = OnceCell<Result<Arc<Value>, EntryError>>;

/// Why there is no such field.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum EntryError {
    #[error("the secret store cannot be asked: {0}")]
    Egress(Arc<EgressError>),
    #[error("the secret store answered with status {0}")]
    Status(u16),
    #[error("the secret store has no such entry")]
    Absent,
    #[error("the answer of the secret store is not the JSON that `secretSources.store.valuesAt` expects")]
    Form,
    #[error("the entry has no such field, or it is no text")]
    NoField,
    #[error("the token for the secret store cannot be read or sent")]
    Token,
}

impl EntryStore {
    pub(super) fn new(config: &SecretStoreConfig) -> Result<Self, SecretsError> {
        // All of it was checked with the settings.
        let target = TargetUrl::parse(&config.url).map_err(|error| SecretsError(error.into()))?;
        let header = HeaderName::from_bytes(config.header.as_bytes()).map_err(|error| SecretsError(error.into()))?;
        let resolver = Resolver::from_system().map_err(|error| SecretsError(error.into()))?;
        let tls = egress::client_config(config.authorities_file.as_deref());
        let tls = tls.map_err(|error| SecretsError(error.into()))?;
        let base = target.path().trim_end_matches('/').to_owned();
        let upstream = Upstream::new(target, config.egress(), Arc::new(resolver));
        let token = match (&config.token, &config.token_file) {
            (Some(token), _) => Token::Fixed(token.clone()),
            (None, Some(file)) => Token::File(file.clone()),
            (None, None) => return Err(SecretsError("it has no token".into())),
        };
        Ok(Self {
            pool: Pool::new(upstream, PoolSettings::default(), tls),
            base,
            header,
            token,
            values_at: config.values_at.clone(),
        })
    }

    /// A field of an entry.
    pub(super) async fn field(&self, path: &str, field: &str, entries: &Entries) -> Result<Secret, EntryError> {
        let cell = Arc::clone(entries.0.lock().entry(path.to_owned()).or_default());
        let entry = cell.get_or_init(|| self.entry(path)).await.clone()?;
        match entry.get(field) {
            Some(Value::String(text)) => Ok(Secret::new(text.as_str())),
            _ => Err(EntryError::NoField),
        }
    }

    async fn entry(&self, path: &str) -> Result<Arc<Value>, EntryError> {
        let request = self.request(path)?;
        let failed = |error| EntryError::Egress(Arc::new(error));
        let answer = self.pool.send(request, TIMEOUTS).await.map_err(failed)?;
        match answer.status.as_u16() {
            200 => {}
            404 => return Err(EntryError::Absent),
            status => return Err(EntryError::Status(status)),
        }
        let body = answer.collect(MOST_BYTES).await.map_err(failed)?;
        let document: Value = serde_json::from_slice(&body).map_err(|_| EntryError::Form)?;
        let values = document.pointer(&self.values_at).filter(|values| values.is_object());
        values.cloned().map(Arc::new).ok_or(EntryError::Form)
    }

    fn request(&self, path: &str) -> Result<Request<Body>, EntryError> {
        let token = match &self.token {
            Token::Fixed(token) => token.clone(),
            Token::File(file) => {
                read_configured("secretSources.store.tokenFile", file).map_err(|_| EntryError::Token)?
            }
        };
        let mut token = HeaderValue::from_str(token.expose()).map_err(|_| EntryError::Token)?;
        token.set_sensitive(true);
        let mut request = Request::new(Body::of_parts([Part::Bytes(Bytes::new())]));
        *request.uri_mut() = format!("{}/{path}", self.base)
            .parse()
            .map_err(|_| EntryError::Absent)?;
        let headers = request.headers_mut();
        headers.insert(self.header.clone(), token);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static("integration-gateway-control-plane"),
        );
        Ok(request)
    }
}

impl std::fmt::Debug for EntryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EntryStore")
            .field("host", &self.pool.upstream().host())
            .finish_non_exhaustive()
    }
}

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(3),
    first_byte: Duration::from_secs(5),
    total: Duration::from_secs(5),
};
const MOST_BYTES: usize = 1024 * 1024;
