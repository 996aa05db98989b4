//! Which answers may be kept for the next request, and for how long (RFC 9111, as a cache that several share).

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Which answers are kept.
#[derive(Debug)]
pub struct Cache {
    pub(crate) ttl: Duration,
    pub(crate) shared: bool,
    pub(crate) vary: Vec<HeaderName>,
    /// What else the answer is made of.
    pub(crate) reads: Reads,
    /// Fields of the client that do not reach the partner.
    pub(crate) stripped: Vec<HeaderName>,
    /// The most bytes of a body.
    pub max_body: usize,
    /// How long after its time an answer still stands in for an error.
    pub stale_if_error: Duration,
}

/// What edits, tables and scripts of the integration read of the client, beside its address and single fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Who it is.
    pub(crate) caller: bool,
    /// What its token says.
    pub(crate) claims: bool,
    /// Where it calls from.
    pub(crate) client: bool,
    /// Any of its fields.
    pub(crate) all_fields: bool,
}

/// Whose answer it is.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The organization.
    pub org_id: u64,
    /// The integration.
    pub integration: &'a str,
    /// Digest of its configuration: an answer of an earlier one is no answer.
    pub digest: &'a [u8],
    /// Who asks.
    pub caller: &'a [&'a str],
    /// What the token of who asks says.
    pub claims: Option<&'a Value>,
    /// Where it is asked from.
    pub client: Option<IpAddr>,
}

impl Cache {
    /// True for a request that a kept answer may be given to, or whose answer may be kept.
    pub fn is_for(&self, method: &Method, headers: &HeaderMap) -> bool {
        let personal = [header::AUTHORIZATION, header::COOKIE];
        // What the partner tells callers apart by has to be in the key.
        let is_told_apart =
            |name: &HeaderName| !headers.contains_key(name) || self.stripped.contains(name) || self.vary.contains(name);
        *method == Method::GET
            && !headers.contains_key(header::RANGE)
            && !directives(headers).any(|directive| directive == "no-store")
            && personal.iter().all(is_told_apart)
    }

    /// True for a client that wants a new answer.
    pub fn is_refresh(headers: &HeaderMap) -> bool {
        directives(headers).any(|directive| matches!(directive.as_str(), "no-cache" | "max-age=0"))
    }

    /// What tells the answer from all others.
    pub fn key(&self, scope: Scope<'_>, path_and_query: &str, headers: &HeaderMap) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        add(&scope.org_id.to_be_bytes());
        add(scope.integration.as_bytes());
        add(scope.digest);
        let reads = self.reads;
        if !self.shared || reads.caller {
            scope.caller.iter().for_each(|part| add(part.as_bytes()));
        }
        if let Some(claims) = scope.claims.filter(|_| reads.claims) {
            add(claims.to_string().as_bytes());
        }
        if let Some(client) = scope.client.filter(|_| reads.client) {
            add(client.to_string().as_bytes());
        }
        if reads.all_fields {
            for (name, value) in headers {
                add(name.as_str().as_bytes());
                add(value.as_bytes());
            }
        }
        add(path_and_query.as_bytes());
        for name in &self.vary {
            for value in headers.get_all(name) {
                add(value.as_bytes());
            }
            add(b"\n");
        }
        hash.finalize().into()
    }

    /// How long an answer may be kept from when it came; `None` if not at all.
    pub fn lifetime(&self, status: StatusCode, fields: &HeaderMap) -> Option<Duration> {
        if status != StatusCode::OK || fields.contains_key(header::SET_COOKIE) || !self.covers(fields) {
            return None;
        }
        let mut said = None;
        let mut said_shared = None;
        for directive in directives(fields) {
            let (name, value) = directive.split_once('=').unwrap_or((&directive, ""));
            let seconds = || value.trim_matches('"').parse().ok().map(Duration::from_secs);
            match name {
                "no-store" | "no-cache" | "private" => return None,
                // What does not read is over already (RFC 9111 section 4.2.1).
                "max-age" => said = Some(seconds().unwrap_or_default()),
                "s-maxage" => said_shared = Some(seconds().unwrap_or_default()),
                _ => {}
            }
        }
        let lifetime = said_shared.or(said).or_else(|| expires(fields)).unwrap_or(self.ttl);
        let age = fields.get(header::AGE).and_then(|age| age.to_str().ok()?.parse().ok());
        let left = lifetime
            .min(LONGEST)
            .saturating_sub(Duration::from_secs(age.unwrap_or(0)));
        (!left.is_zero()).then_some(left)
    }

    /// True if the key holds all that the answer depends on.
    fn covers(&self, fields: &HeaderMap) -> bool {
        let names = fields.get_all(header::VARY).iter().flat_map(|value| {
            let text = value.to_str().unwrap_or("*");
            text.split(',').map(|name| name.trim().to_ascii_lowercase())
        });
        names
            .filter(|name| !name.is_empty())
            // The partner is asked for what is not encoded.
            .all(|name| name == "accept-encoding" || self.vary.iter().any(|known| known.as_str() == name))
    }
}

/// The words of `Cache-Control`, in lower case.
fn directives(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let values = headers.get_all(header::CACHE_CONTROL).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|word| word.trim().to_ascii_lowercase())
}

/// The time between `Date` and `Expires`; none at all if one of them does not read.
fn expires(fields: &HeaderMap) -> Option<Duration> {
    let expires = fields.get(header::EXPIRES)?;
    let time = |value: &HeaderValue| httpdate::parse_http_date(value.to_str().ok()?).ok();
    let date = fields.get(header::DATE).and_then(time);
    let lifetime = time(expires)
        .zip(date)
        .and_then(|(expires, date)| expires.duration_since(date).ok());
    Some(lifetime.unwrap_or_default())
}

/// The longest that an answer is kept, whatever the partner says.
const LONGEST: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(ttl: u64) -> Cache {
        Cache {
            ttl: Duration::from_secs(ttl),
            shared: false,
            reads: Reads::default(),
            vary: vec![header::ACCEPT_LANGUAGE],
            stripped: vec![header::AUTHORIZATION],
            max_body: 1000,
            stale_if_error: Duration::ZERO,
        }
    }

    fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in pairs {
            fields.append(*name, HeaderValue::from_static(value));
        }
        fields
    }

    #[test]
    fn the_partner_s_word_counts_before_the_default() {
        let seconds = |pairs: &[(&'static str, &'static str)]| {
            cache(60)
                .lifetime(StatusCode::OK, &fields(pairs))
                .map(|lifetime| lifetime.as_secs())
        };
        assert_eq!(seconds(&[]), Some(60));
        assert_eq!(seconds(&[("cache-control", "Max-Age=10")]), Some(10));
        assert_eq!(seconds(&[("cache-control", "max-age=10, s-maxage=\"5\"")]), Some(5));
        assert_eq!(seconds(&[("cache-control", "max-age=10"), ("age", "4")]), Some(6));
        assert_eq!(seconds(&[("cache-control", "max-age=99999999")]), Some(86_400));
        let date = ("date", "Fri, 20 Nov 2026 10:00:00 GMT");
        assert_eq!(seconds(&[date, ("expires", "Fri, 20 Nov 2026 10:00:30 GMT")]), Some(30));
        for not_kept in [
            &[("cache-control", "no-store")][..],
            &[("cache-control", "max-age=10"), ("cache-control", "private")],
            &[("cache-control", "no-cache")],
            &[("cache-control", "max-age=0")],
            &[("cache-control", "max-age=x")],
            &[("expires", "0")],
            &[("set-cookie", "a=b")],
            &[("vary", "*")],
            &[("vary", "accept-encoding, cookie")],
        ] {
            assert_eq!(seconds(not_kept), None, "{not_kept:?}");
        }
        assert_eq!(seconds(&[("vary", "Accept-Encoding, Accept-Language")]), Some(60));
        assert_eq!(cache(60).lifetime(StatusCode::NOT_FOUND, &HeaderMap::new()), None);
        assert_eq!(cache(0).lifetime(StatusCode::OK, &HeaderMap::new()), None);
    }

    #[test]
    fn requests_that_only_one_may_see_the_answer_of_are_left_alone() {
        let is_for = |pairs: &[(&'static str, &'static str)]| cache(1).is_for(&Method::GET, &fields(pairs));
        assert!(is_for(&[]) && is_for(&[("authorization", "x")]) && is_for(&[("cache-control", "no-cache")]));
        assert!(!is_for(&[("cookie", "a=b")]));
        assert!(!is_for(&[("range", "bytes=0-1")]));
        assert!(!is_for(&[("cache-control", "no-store")]));
        assert!(!cache(1).is_for(&Method::POST, &HeaderMap::new()));
        assert!(!cache(1).is_for(&Method::HEAD, &HeaderMap::new()));
    }

    #[test]
    fn organization_caller_address_and_chosen_fields_are_in_the_key() {
        let scope = Scope {
            org_id: 1,
            integration: "a",
            digest: &[1],
            caller: &["", "ann"],
            claims: None,
            client: None,
        };
        let german = fields(&[("accept-language", "de")]);
        let key = |cache: &Cache, scope, path, headers: &HeaderMap| cache.key(scope, path, headers);
        let own = cache(1);
        let base = key(&own, scope, "/a", &german);
        assert_eq!(base, key(&own, scope, "/a", &german));
        let ben = Scope {
            caller: &["", "ben"],
            ..scope
        };
        for other in [
            key(&own, scope, "/b", &german),
            key(&own, scope, "/a", &fields(&[("accept-language", "en")])),
            key(&own, ben, "/a", &german),
            key(
                &own,
                Scope {
                    caller: &["ann", ""],
                    ..scope
                },
                "/a",
                &german,
            ),
            key(&own, Scope { org_id: 2, ..scope }, "/a", &german),
            key(
                &own,
                Scope {
                    integration: "b",
                    ..scope
                },
                "/a",
                &german,
            ),
            key(&own, Scope { digest: &[2], ..scope }, "/a", &german),
        ] {
            assert_ne!(base, other);
        }
        let shared = Cache {
            shared: true,
            ..cache(1)
        };
        assert_eq!(key(&shared, scope, "/a", &german), key(&shared, ben, "/a", &german));
    }
}
