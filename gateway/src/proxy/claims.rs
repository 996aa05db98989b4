//! Header fields by which a client could pass for the gateway: what partners believe of a request because a proxy that they
//! trust says so. A client is no such proxy.

use http::{HeaderMap, HeaderName};

/// Takes out what a client says of its way here, and of a certificate that it showed. A proxy that is trusted may say it.
///
/// The three fields that the gateway writes itself stay, as it may have to read them; they are overwritten later.
pub(super) fn forget(fields: &mut HeaderMap, trusted: bool) {
    let claims: Vec<HeaderName> = fields
        .keys()
        .filter(|name| is_claim(name.as_str(), trusted))
        .cloned()
        .collect();
    for name in claims {
        fields.remove(name);
    }
}

/// Takes out the doubles of fields that are there: `x_api_key` beside `x-api-key`. Partners that hand fields to programs as
/// variables (CGI, WSGI) cannot tell the two, and would take the client's for the one that was written here.
pub(super) fn drop_doubles(fields: &mut HeaderMap) {
    // Asked of each field of each request; a search for a character would cost more than a look at each byte.
    let is_spelled_so = |name: &HeaderName| name.as_str().bytes().fold(false, |found, byte| found | (byte == b'_'));
    let doubles: Vec<HeaderName> = fields
        .keys()
        .filter(|name| is_spelled_so(name) && fields.contains_key(name.as_str().replace('_', "-")))
        .cloned()
        .collect();
    for name in doubles {
        fields.remove(name);
    }
}

fn is_claim(name: &str, trusted: bool) -> bool {
    let spelled = Spelled(name.as_bytes());
    // Most fields are told by their first letter.
    if !matches!(name.as_bytes().first(), Some(b'x' | b'c' | b's' | b't' | b'p')) {
        return false;
    }
    if OVERRIDES.iter().any(|other| spelled.is(other)) {
        return true;
    }
    // A proxy in front has its own spelling; the other one is the client's.
    if trusted && !name.contains('_') {
        return false;
    }
    let is_listed = CLAIMS.iter().any(|other| spelled.is(other));
    let is_kin = CLAIMING.iter().any(|start| spelled.starts_with(start));
    (is_listed || is_kin) && !WRITTEN.contains(&name)
}

/// A name of which `_` counts as `-`.
struct Spelled<'n>(&'n [u8]);

impl Spelled<'_> {
    fn is(&self, other: &str) -> bool {
        self.0.len() == other.len() && self.starts_with(other)
    }

    fn starts_with(&self, start: &str) -> bool {
        let folded = self.0.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte });
        self.0.len() >= start.len() && folded.zip(start.bytes()).all(|(own, other)| own == other)
    }
}

/// Written by the gateway for each request.
const WRITTEN: [&str; 3] = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
/// Where the client is, and what it showed, in the words of several proxies (`Client-Cert`: RFC 9440).
const CLAIMS: [&str; 9] = [
    "client-cert",
    "client-cert-chain",
    "cf-connecting-ip",
    "true-client-ip",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-real-ip",
];
const CLAIMING: [&str; 4] = ["x-forwarded-", "x-ssl-client-", "ssl-client-", "x-client-cert-"];
/// Fields that have some partners serve another path than the one that was checked here, or call through another proxy;
/// nobody has a use for them on this side.
const OVERRIDES: [&str; 3] = ["x-original-url", "x-rewrite-url", "proxy"];

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn fields(names: &[&'static str]) -> HeaderMap {
        let field = |name: &&'static str| (HeaderName::from_static(name), HeaderValue::from_static("1"));
        names.iter().map(field).collect()
    }

    fn names(fields: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = fields.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    const CLAIMED: [&str; 12] = [
        "client-cert",
        "proxy",
        "ssl-client-cert",
        "x-client-cert",
        "x-forwarded-client-cert",
        "x-forwarded-for",
        "x-forwarded-port",
        "x-original-url",
        "x-real-ip",
        "x-request-id",
        "x_forwarded_for",
        "x_real_ip",
    ];

    #[test]
    fn a_client_says_nothing_of_its_way() {
        let mut claimed = fields(&CLAIMED);
        forget(&mut claimed, false);
        assert_eq!(names(&claimed), ["x-forwarded-for", "x-request-id"]);
    }

    #[test]
    fn a_trusted_proxy_does_in_its_own_spelling() {
        let mut claimed = fields(&CLAIMED);
        forget(&mut claimed, true);
        let left = [
            "client-cert",
            "ssl-client-cert",
            "x-client-cert",
            "x-forwarded-client-cert",
            "x-forwarded-for",
            "x-forwarded-port",
            "x-real-ip",
            "x-request-id",
        ];
        assert_eq!(names(&claimed), left);
    }

    #[test]
    fn only_doubles_of_what_is_there_go() {
        let mut both = fields(&["api_key", "x-tenant-id", "x_tenant_id", "x_tenant-id"]);
        drop_doubles(&mut both);
        assert_eq!(names(&both), ["api_key", "x-tenant-id"]);
    }
}
