//! The control plane's API, from the outside.

use std::io::{Read as _, Write};
use std::time::Duration;

use filters::fault::ErrorBody;
use filters::model::Secret;
use reqwest::blocking::{Client as Http, RequestBuilder};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::tokens::Tokens;

/// To connect; a control plane that takes longer is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// The most bytes of an answer; an export of ten thousand integrations takes a tenth of it.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// For an export of millions of records.
const LONGEST_COPY: Duration = Duration::from_secs(60 * 60);
const PIECE_BYTES: usize = 64 * 1024;

/// A client of one control plane.
pub(super) struct Client {
    http: Http,
    base: Url,
    key: Option<HeaderValue>,
    /// Where the session is whose token stands in for a key.
    tokens: Option<Tokens>,
    timeout: Duration,
}

/// What a request does to the server: decides how a lost answer is reported.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    Changes,
}

impl Client {
    /// A client of the control plane at `server`, whose calls take at most `timeout` each.
    pub(super) fn new(server: &str, key: Option<&Secret>, timeout: Duration) -> Result<Self, Failure> {
        let base = base_of(server)?;
        let mut http = Http::builder()
            .connect_timeout(CONNECT.min(timeout))
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("gwctl/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&base) {
            http = http.no_proxy();
        }
        let http = http
            .build()
            .map_err(|error| Failure::Usage(format!("the HTTP client cannot be set up: {error}")))?;
        let key = key.map(header_of).transpose()?;
        Ok(Self {
            http,
            base,
            key,
            tokens: Tokens::of_this_person().ok(),
            timeout,
        })
    }

    /// The address that tokens are kept under.
    pub(super) fn server(&self) -> &str {
        self.base.as_str()
    }

    /// Ends the session on the server; one that has ended already stays so.
    pub(super) fn end_session(&self) -> Result<(), Failure> {
        match self.send(Effect::Changes, self.request(Method::POST, &["auth", "logout"])) {
            Err(Failure::Refused(error)) if error.status_code == StatusCode::UNAUTHORIZED.as_u16() => Ok(()),
            ended => ended.map(drop),
        }
    }

    /// What to tell the person about this connection, if anything.
    pub(super) fn warning(&self) -> Option<String> {
        (self.base.scheme() == "http" && !is_loopback(&self.base)).then(|| {
            format!(
                "warning: {} is not encrypted; keys and secrets travel in clear",
                self.base
            )
        })
    }

    /// `GET` of `segments` below `/api/v1`.
    pub(super) fn get<T: DeserializeOwned>(&self, segments: &[&str], query: &[(&str, String)]) -> Result<T, Failure> {
        self.read(Effect::Reads, self.request(Method::GET, segments).query(query))
    }

    /// The same, given up after `timeout` if that is shorter than the client's own.
    pub(super) fn get_within<T: DeserializeOwned>(&self, segments: &[&str], timeout: Duration) -> Result<T, Failure> {
        let timeout = timeout.min(self.timeout);
        self.read(Effect::Reads, self.request(Method::GET, segments).timeout(timeout))
    }

    /// `GET` of something long, which is written to `out` as it comes. It takes as long as it takes.
    pub(super) fn copy(&self, segments: &[&str], query: &[(&str, String)], out: &mut dyn Write) -> Result<(), Failure> {
        let request = self.request(Method::GET, segments).query(query).timeout(LONGEST_COPY);
        let mut answer = request.send().map_err(|error| self.no_answer(Effect::Reads, &error))?;
        let status = answer.status();
        if !status.is_success() {
            let mut body = Vec::new();
            let read = answer.take(MOST_BYTES).read_to_end(&mut body);
            read.map_err(|error| self.broken_off(Effect::Reads, error.to_string()))?;
            return Err(self.refusal(status, &body));
        }
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let length = answer
                .read(&mut piece)
                .map_err(|error| self.broken_off(Effect::Reads, format!("the answer broke off: {error}")))?;
            if length == 0 {
                return out.flush().map_err(Failure::Output);
            }
            out.write_all(&piece[..length]).map_err(Failure::Output)?;
        }
    }

    /// `POST` of a JSON body that changes something unless `dry_run`.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl Serialize,
        dry_run: bool,
    ) -> Result<T, Failure> {
        self.post_within(segments, &[], body, dry_run)
    }

    /// The same with query parameters.
    pub(super) fn post_within<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
        body: &impl Serialize,
        dry_run: bool,
    ) -> Result<T, Failure> {
        let effect = if dry_run { Effect::Reads } else { Effect::Changes };
        self.read(effect, self.request(Method::POST, segments).query(query).json(body))
    }

    /// A call that has something done; with a JSON body if there is one.
    pub(super) fn order<T: DeserializeOwned>(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, String)],
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        let request = self.request(method, segments).query(query);
        self.read(
            Effect::Changes,
            match body {
                Some(body) => request.json(body),
                None => request,
            },
        )
    }

    /// `POST` of a file that changes something unless `dry_run`.
    pub(super) fn upload<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
        media_type: &str,
        file: Vec<u8>,
        dry_run: bool,
    ) -> Result<T, Failure> {
        let effect = if dry_run { Effect::Reads } else { Effect::Changes };
        let request = self.request(Method::POST, segments).query(query);
        self.read(effect, request.header("content-type", media_type).body(file))
    }

    /// `GET` of a file.
    pub(super) fn download(&self, segments: &[&str], query: &[(&str, String)]) -> Result<Vec<u8>, Failure> {
        self.send(Effect::Reads, self.request(Method::GET, segments).query(query))
    }

    /// `DELETE`, whatever the body of the answer.
    pub(super) fn delete(&self, segments: &[&str], query: &[(&str, String)]) -> Result<(), Failure> {
        self.send(Effect::Changes, self.request(Method::DELETE, segments).query(query))
            .map(drop)
    }

    /// A call without a body that has something done, whatever the body of the answer.
    pub(super) fn tell(&self, method: Method, segments: &[&str]) -> Result<(), Failure> {
        self.send(Effect::Changes, self.request(method, segments)).map(drop)
    }

    fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(segments);
        }
        let request = self.http.request(method, url);
        if let Some(key) = &self.key {
            return request.header("x-api-key", key.clone());
        }
        match self.tokens.as_ref().and_then(|tokens| tokens.of(self.server())) {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    fn read<T: DeserializeOwned>(&self, effect: Effect, request: RequestBuilder) -> Result<T, Failure> {
        let body = self.send(effect, request)?;
        serde_json::from_slice(&body).map_err(|error| self.strange(format!("the answer does not read: {error}")))
    }

    fn send(&self, effect: Effect, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        let answer = request.send().map_err(|error| self.no_answer(effect, &error))?;
        let status = answer.status();
        self.keep_renewed(answer.headers());
        let mut body = Vec::new();
        answer
            .take(MOST_BYTES + 1)
            .read_to_end(&mut body)
            .map_err(|error| self.broken_off(effect, error.to_string()))?;
        if body.len() as u64 > MOST_BYTES {
            return Err(self.strange(format!("the answer is larger than {} MiB", MOST_BYTES / (1024 * 1024))));
        }
        if status.is_success() {
            return Ok(body);
        }
        Err(self.refusal(status, &body))
    }

    /// Keeps the token that the server gives in the place of one that is getting old. If it cannot be kept, the old one is
    /// good for some days.
    fn keep_renewed(&self, headers: &HeaderMap) {
        let token = headers.get("x-session-token").and_then(|token| token.to_str().ok());
        if let (None, Some(tokens), Some(token)) = (&self.key, &self.tokens, token) {
            let _ = tokens.keep(self.server(), Some(&Secret::new(token)));
        }
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> Failure {
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(error) => Failure::Refused(Box::new(error)),
            Err(_) => self.strange(format!("status {status} without the error body of a control plane")),
        }
    }

    fn no_answer(&self, effect: Effect, error: &reqwest::Error) -> Failure {
        let cause = if error.is_timeout() {
            "it took too long".to_owned()
        } else {
            innermost(error)
        };
        if error.is_connect() || effect == Effect::Reads {
            Failure::Unreachable {
                server: self.base.to_string(),
                cause,
            }
        } else {
            self.broken_off(effect, cause)
        }
    }

    fn broken_off(&self, effect: Effect, cause: String) -> Failure {
        let server = self.base.to_string();
        match effect {
            Effect::Reads => Failure::Unreachable { server, cause },
            Effect::Changes => Failure::Unconfirmed { server, cause },
        }
    }

    /// An answer that no control plane gives.
    pub(super) fn strange(&self, what: String) -> Failure {
        Failure::Strange {
            server: self.base.to_string(),
            what,
        }
    }
}

fn base_of(server: &str) -> Result<Url, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("--server {server:?} {why}, as in http://127.0.0.1:7070"));
    let url = Url::parse(server).map_err(|error| wrong(&format!("is not an address ({error}); give one")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("must start with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Not repeated: it would print the password.
        return Err(Failure::Usage(
            "--server must not hold a user name or password; the key goes into GWCTL_KEY".to_owned(),
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must have neither a query nor a fragment"));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

fn header_of(key: &Secret) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(key.expose())
        .map_err(|_| Failure::Usage("the key has characters that no header may carry".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The innermost cause, which is what a person can act on: "Connection refused".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_any_call() {
        assert!(base_of("http://127.0.0.1:7070").is_ok());
        assert!(base_of("https://control.example/base").is_ok());
        for wrong in ["127.0.0.1:7070", "ftp://x", "", "http://x?y", "http://x#y"] {
            assert!(matches!(base_of(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        let message = base_of("http://ops:hunter2@h").unwrap_err().to_string();
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn identifiers_stay_one_path_segment() {
        let client = Client::new("http://127.0.0.1:1/base/", None, Duration::from_secs(1)).unwrap();
        let request = client
            .request(Method::GET, &["inbound-integrations", "a/../b?c"])
            .build()
            .unwrap();
        assert_eq!(
            request.url().as_str(),
            "http://127.0.0.1:1/base/api/v1/inbound-integrations/a%2F..%2Fb%3Fc"
        );
    }

    #[test]
    fn plain_http_is_warned_of_beyond_this_machine() {
        let warning = |server: &str| Client::new(server, None, Duration::from_secs(1)).unwrap().warning();
        assert!(warning("http://control.example").is_some());
        assert!(warning("https://control.example").is_none());
        for local in ["http://127.0.0.1:7070", "http://[::1]:7070", "http://localhost:7070"] {
            assert!(warning(local).is_none(), "{local}");
        }
    }

    #[test]
    fn a_closed_port_is_unreachable() {
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let client = Client::new(&format!("http://127.0.0.1:{port}"), None, Duration::from_secs(5)).unwrap();
        let failure = client.get::<serde_json::Value>(&["gateways"], &[]).unwrap_err();
        assert_eq!(failure.exit_code(), 5);
        assert!(failure.to_string().contains("refused"), "{failure}");
    }
}
