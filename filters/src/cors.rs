//! Cross-origin calls (the Fetch standard's CORS protocol), compiled.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::compile;
use crate::model::route::HttpMethod;
use crate::model::{Problem, cors as model};

/// Which pages may call, and what a browser is told of it.
#[derive(Debug)]
pub struct Cors {
    pub(crate) origins: Origins,
    /// `Access-Control-Allow-Methods`.
    pub(crate) methods: HeaderValue,
    pub(crate) headers: AllowedHeaders,
    /// `Access-Control-Expose-Headers`.
    pub(crate) expose: Option<HeaderValue>,
    pub(crate) credentials: bool,
    /// `Access-Control-Max-Age`.
    pub(crate) max_age: HeaderValue,
}

/// Origins that may call.
#[derive(Debug)]
pub(crate) enum Origins {
    /// All.
    Any,
    /// These, and those below a name, each as what stands before it and what it ends with.
    Listed {
        /// As browsers write them.
        exact: Vec<String>,
        /// Scheme with its slashes, and the name with its dot: `https://`, `.clinic.example`.
        below: Vec<(String, String)>,
    },
}

/// Header fields that pages may send.
#[derive(Debug)]
pub(crate) enum AllowedHeaders {
    /// All that a browser asks for.
    Any,
    /// `Access-Control-Allow-Headers`; `None` where there are none.
    Listed(Option<HeaderValue>),
}

/// What the answer to one request says of its origin; `None` inside where the origin may not call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant(Option<HeaderValue>);

/// The method that a preflight request asks for; `None` for a request that is none.
pub fn preflight_method(method: &Method, headers: &HeaderMap) -> Option<Method> {
    if *method != Method::OPTIONS || !headers.contains_key(header::ORIGIN) {
        return None;
    }
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(asked.as_bytes()).ok()
}

impl Cors {
    /// Compiles `config` for an API with these methods; `None` if it has problems, whose paths begin with `cors`.
    pub fn compile(config: &model::Cors, methods: &[HttpMethod], problems: &mut Vec<Problem>) -> Option<Self> {
        compile::cors::compile(config, methods, problems)
    }

    /// What is said to the origin of a request; `None` where the request names none.
    pub fn grant(&self, headers: &HeaderMap) -> Option<Grant> {
        let origin = headers.get(header::ORIGIN)?;
        let allowed = match (&self.origins, origin.to_str()) {
            (Origins::Any, _) => Some(HeaderValue::from_static("*")),
            (Origins::Listed { exact, below }, Ok(text)) => {
                let is_below = |(scheme, suffix): &(String, String)| {
                    let host = text.strip_prefix(scheme.as_str());
                    host.is_some_and(|host| host.len() > suffix.len() && host.ends_with(suffix.as_str()))
                };
                let listed = exact.iter().any(|known| known == text) || below.iter().any(is_below);
                listed.then(|| origin.clone())
            }
            (Origins::Listed { .. }, Err(_)) => None,
        };
        Some(Grant(allowed))
    }

    /// Fields of the answer to a preflight request, those of [`Self::write`] aside.
    pub fn preflight(&self, grant: &Grant, asked: &HeaderMap, fields: &mut HeaderMap) {
        for name in [
            header::ACCESS_CONTROL_REQUEST_METHOD,
            header::ACCESS_CONTROL_REQUEST_HEADERS,
        ] {
            fields.append(header::VARY, HeaderValue::from(name));
        }
        if grant.0.is_none() {
            return;
        }
        fields.insert(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        fields.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        let headers = match &self.headers {
            AllowedHeaders::Any => asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS),
            AllowedHeaders::Listed(listed) => listed.as_ref(),
        };
        if let Some(headers) = headers {
            fields.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
        }
    }

    /// Writes what an answer says of the origin, in the place of all that the partner says of it. `grant` is `None` where
    /// the request names no origin; a cache must be told even then that the answer depends on it.
    pub fn write(&self, grant: Option<&Grant>, fields: &mut HeaderMap) {
        for name in &OWN {
            fields.remove(name);
        }
        if matches!(self.origins, Origins::Listed { .. }) {
            fields.append(header::VARY, HeaderValue::from(header::ORIGIN));
        }
        let Some(Grant(Some(origin))) = grant else {
            return;
        };
        fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            fields.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
        if let Some(expose) = &self.expose {
            fields.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }
}

/// What only the gateway says where an integration has CORS.
static OWN: [HeaderName; 6] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn compiled(config: Value) -> Cors {
        let mut problems = Vec::new();
        let config = serde_json::from_value(config).unwrap();
        let cors = crate::compile::cors::compile(&config, &[], &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        cors.unwrap()
    }

    fn asked(origin: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        headers.insert(
            header::ACCESS_CONTROL_REQUEST_HEADERS,
            HeaderValue::from_static("x-a, content-type"),
        );
        headers
    }

    fn allowed(cors: &Cors, origin: &'static str) -> bool {
        cors.grant(&asked(origin)).unwrap().0.is_some()
    }

    #[test]
    fn origins_are_compared_as_a_whole() {
        let cors = compiled(json!({"allowOrigins": ["https://app.example", "https://*.clinic.example", "null"]}));
        for origin in [
            "https://app.example",
            "https://a.clinic.example",
            "https://a.b.clinic.example",
            "null",
        ] {
            assert!(allowed(&cors, origin), "{origin}");
        }
        for origin in [
            "http://app.example",
            "https://app.example:8443",
            "https://app.example.evil.example",
            "https://evil-app.example",
            "https://clinic.example",
            "https://.clinic.example",
            "https://evilclinic.example",
            "http://a.clinic.example",
            "https://a.clinic.example:1",
            "",
        ] {
            assert!(!allowed(&cors, origin), "{origin}");
        }
    }

    #[test]
    fn a_stranger_is_told_nothing_but_caches_are() {
        let cors = compiled(json!({"allowOrigins": ["https://app.example"], "allowCredentials": true}));
        let mut fields = HeaderMap::new();
        fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        cors.write(cors.grant(&asked("https://evil.example")).as_ref(), &mut fields);
        assert_eq!(fields.len(), 1, "{fields:?}");
        assert_eq!(fields[header::VARY], "origin");
        cors.write(cors.grant(&asked("https://app.example")).as_ref(), &mut fields);
        assert_eq!(fields[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
        assert_eq!(fields[header::ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
    }

    #[test]
    fn headers_are_listed_or_those_that_are_asked_for() {
        let of = |headers: Value| {
            let cors = compiled(json!({"allowOrigins": ["*"], "allowHeaders": headers}));
            let asked = asked("https://app.example");
            let mut fields = HeaderMap::new();
            cors.preflight(&cors.grant(&asked).unwrap(), &asked, &mut fields);
            fields.get(header::ACCESS_CONTROL_ALLOW_HEADERS).cloned()
        };
        assert_eq!(of(json!(["X-B", "X-C"])).unwrap(), "x-b, x-c");
        assert_eq!(of(json!(["*"])).unwrap(), "x-a, content-type");
        assert_eq!(of(json!([])), None);
    }

    #[test]
    fn only_a_question_of_a_browser_is_a_preflight_request() {
        let mut headers = asked("https://app.example");
        assert_eq!(preflight_method(&Method::OPTIONS, &headers), None);
        headers.insert(header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PUT"));
        assert_eq!(preflight_method(&Method::OPTIONS, &headers), Some(Method::PUT));
        assert_eq!(preflight_method(&Method::GET, &headers), None);
        headers.remove(header::ORIGIN);
        assert_eq!(preflight_method(&Method::OPTIONS, &headers), None);
    }
}
