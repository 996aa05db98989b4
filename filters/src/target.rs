//! Where an integration's requests go: a target address, taken apart and checked once.
//!
//! Parsing is stricter than a browser's: an address that would have to be repaired or guessed at is refused with the
//! reason, so that what an operator reads is what is connected to.

use std::fmt;
use std::net::IpAddr;

use http::HeaderValue;
use url::Url;

use crate::address::EgressPolicy;
use crate::model::Security;
use crate::model::route::TargetHosts;

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS; the certificate is checked against the host's name.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that an address of this scheme has when it names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The host of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetHost {
    /// A DNS name: lower case, in its ASCII form, without a dot at the end.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

impl fmt::Display for TargetHost {
    /// The name, or the address without brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// A target address that can be connected to, as far as it can be told without DNS.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TargetUrl {
    scheme: Scheme,
    host: TargetHost,
    port: u16,
    authority: HeaderValue,
    path: String,
    query: Option<String>,
}

impl TargetUrl {
    /// Parses `text`, an absolute `http` or `https` address.
    ///
    /// # Errors
    /// What keeps it from being a target.
    pub fn parse(text: &str) -> Result<Self, InvalidTarget> {
        let (scheme, written_host) = check_spelling(text)?;
        let url = Url::parse(text)?;
        let host = host_of(&url, written_host)?;
        if let (Scheme::Https, TargetHost::Ip(address)) = (scheme, &host) {
            return Err(InvalidTarget::HttpsToAddress(*address));
        }
        let port = match url.port() {
            Some(0) => return Err(InvalidTarget::PortZero),
            Some(port) => port,
            None => scheme.default_port(),
        };
        let authority = HeaderValue::from_str(url.authority()).map_err(|_| InvalidTarget::BadHost)?;
        Ok(Self {
            scheme,
            host,
            port,
            authority,
            path: url.path().to_owned(),
            query: url.query().map(str::to_owned),
        })
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its host.
    pub fn host(&self) -> &TargetHost {
        &self.host
    }

    /// Its port; never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of the `Host` header: the host, and the port unless it is the scheme's own.
    pub fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// Its path: begins with `/`, without dot segments, percent-encoded.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its query without the `?`, percent-encoded.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Everything that can be decided without DNS: `enforceHttps`, the class of an address, the allow and deny lists.
    /// One sentence for each objection, for a [`Problem`](crate::model::Problem) at the field that holds the target.
    pub fn check_policy(&self, policy: &EgressPolicy, security: &Security, hosts: &TargetHosts) -> Vec<String> {
        let mut objections = Vec::new();
        if security.enforce_https && self.scheme == Scheme::Http {
            objections.push("has no TLS; use https, or set `security.enforceHttps` to false".to_owned());
        }
        if let TargetHost::Ip(address) = self.host
            && let Err(refused) = policy.check(address)
        {
            objections.push(refused.to_string());
        }
        let host = self.host.to_string();
        let matched = |patterns: &[String]| {
            patterns
                .iter()
                .find(|pattern| matches_host_pattern(&host, pattern))
                .cloned()
        };
        if let Some(pattern) = matched(&hosts.deny) {
            objections.push(format!(
                "has the host {host}, which `targetHosts.deny` refuses with \"{pattern}\""
            ));
        } else if !hosts.allow.is_empty() && matched(&hosts.allow).is_none() {
            objections.push(format!(
                "has the host {host}, which no entry of `targetHosts.allow` matches"
            ));
        }
        objections
    }
}

impl fmt::Display for TargetUrl {
    /// The address without its query, which may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.authority.to_str().unwrap_or_default();
        write!(f, "{}://{authority}{}", self.scheme.as_str(), self.path)
    }
}

impl fmt::Debug for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetUrl({self})")
    }
}

/// True if `host` (a name or an address, as [`TargetHost`] prints it) matches `pattern`: `api.x.example` itself, or
/// `*.x.example` for every name below `x.example`, at any depth, `x.example` itself not included.
pub fn matches_host_pattern(host: &str, pattern: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => host
            .len()
            .checked_sub(parent.len() + 1)
            .filter(|&dot| dot > 0)
            .is_some_and(|dot| {
                host.as_bytes()[dot] == b'.' && host.as_bytes()[dot + 1..].eq_ignore_ascii_case(parent.as_bytes())
            }),
        None => host.eq_ignore_ascii_case(pattern),
    }
}

/// Checks that `pattern` can match a host at all.
///
/// # Errors
/// What is wrong with it, and how it would be right.
pub fn check_host_pattern(pattern: &str) -> Result<(), InvalidTarget> {
    let (parent, wildcard) = match pattern.strip_prefix("*.") {
        Some(parent) => (parent, true),
        None => (pattern, false),
    };
    if parent.contains('*') {
        return Err(InvalidTarget::BadWildcard);
    }
    if !wildcard && let Ok(address) = parent.parse::<IpAddr>() {
        return canonical_or(parent, address.to_string());
    }
    match url::Host::parse(parent)? {
        url::Host::Domain(name) => {
            check_name(&name)?;
            canonical_or(&parent.to_ascii_lowercase(), name)
        }
        url::Host::Ipv4(_) | url::Host::Ipv6(_) if wildcard => Err(InvalidTarget::BadWildcard),
        url::Host::Ipv4(address) => Err(InvalidTarget::NotCanonical(address.to_string())),
        url::Host::Ipv6(address) => Err(InvalidTarget::NotCanonical(address.to_string())),
    }
}

/// Why a text is no target address, or no pattern of hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// It is relative, or of another scheme.
    #[error("is not an http or https address; write it in full, as https://api.partner.example/v1")]
    Scheme,
    /// It has a space, a control character or a backslash.
    #[error("has a {0:?}, which an address cannot contain; percent-encode it, or take it out")]
    Character(char),
    /// It has braces.
    #[error("has braces in it; parameters of a path belong into `pathRewrite`")]
    Braces,
    /// A `%` that begins no escape.
    #[error("has a % that is not followed by two hexadecimal digits; write %25 for the character itself")]
    BadEscape,
    /// It has a user name, a password or an empty one.
    #[error("has a user name or password in it; use `outgoingAuthType`, which keeps it secret")]
    Userinfo,
    /// It has a fragment.
    #[error("has a fragment (#...), which is never sent; take it out")]
    Fragment,
    /// It has no host.
    #[error("has no host; write it in full, as https://api.partner.example/v1")]
    NoHost,
    /// The host is neither a name nor an address.
    #[error(
        "has a host that is neither a DNS name (labels of letters, digits, - and _, 63 at most each, 253 together) nor \
         an IP address"
    )]
    BadHost,
    /// The name ends in a dot.
    #[error("has a host that ends in a dot; leave it out")]
    TrailingDot,
    /// The host is spelled in a way that hides what it is.
    #[error("has a host in an unusual spelling; write {0}")]
    NotCanonical(String),
    /// The port is 0.
    #[error("has the port 0; write one from 1 to 65535")]
    PortZero,
    /// The port is no number that a port can be.
    #[error("has a port that is no number from 1 to 65535")]
    BadPort,
    /// Certificates are issued for names.
    #[error(
        "has https with the address {0}, and a certificate is checked against a name; use the host name that the \
         partner's certificate is for"
    )]
    HttpsToAddress(IpAddr),
    /// A `*` that is not the whole first label of a name.
    #[error("has a * that is not its whole first label; write *.partner.example")]
    BadWildcard,
}

impl From<url::ParseError> for InvalidTarget {
    fn from(error: url::ParseError) -> Self {
        match error {
            url::ParseError::EmptyHost => Self::NoHost,
            url::ParseError::InvalidPort => Self::BadPort,
            url::ParseError::RelativeUrlWithoutBase | url::ParseError::RelativeUrlWithCannotBeABaseBase => Self::Scheme,
            _ => Self::BadHost,
        }
    }
}

/// Refuses what a lenient parser would repair in silence. Gives the scheme, and the host as it is written.
fn check_spelling(text: &str) -> Result<(Scheme, &str), InvalidTarget> {
    let (scheme, rest) = text.split_once("://").ok_or(InvalidTarget::Scheme)?;
    let scheme = if scheme.eq_ignore_ascii_case("https") {
        Scheme::Https
    } else if scheme.eq_ignore_ascii_case("http") {
        Scheme::Http
    } else {
        return Err(InvalidTarget::Scheme);
    };
    let forbidden = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    if let Some(found) = rest.chars().find(|&c| forbidden(c)) {
        return Err(InvalidTarget::Character(found));
    }
    if rest.contains('#') {
        return Err(InvalidTarget::Fragment);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at(end);
    if authority.contains('@') {
        return Err(InvalidTarget::Userinfo);
    }
    if path_and_query.contains(['{', '}']) {
        return Err(InvalidTarget::Braces);
    }
    check_escapes(path_and_query)?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    };
    if host.is_empty() {
        return Err(InvalidTarget::NoHost);
    }
    Ok((scheme, host))
}

fn check_escapes(text: &str) -> Result<(), InvalidTarget> {
    let is_escape = |after: &str| {
        let mut digits = after.bytes();
        (0..2).all(|_| digits.next().is_some_and(|digit| digit.is_ascii_hexdigit()))
    };
    if text.split('%').skip(1).all(is_escape) {
        Ok(())
    } else {
        Err(InvalidTarget::BadEscape)
    }
}

fn host_of(url: &Url, written: &str) -> Result<TargetHost, InvalidTarget> {
    match url.host() {
        None => Err(InvalidTarget::NoHost),
        Some(url::Host::Domain(name)) => {
            check_name(name)?;
            Ok(TargetHost::Name(name.to_owned()))
        }
        Some(url::Host::Ipv4(address)) => {
            canonical_or(written, address.to_string())?;
            Ok(TargetHost::Ip(address.into()))
        }
        Some(url::Host::Ipv6(address)) => Ok(TargetHost::Ip(address.into())),
    }
}

/// A name that DNS can hold. Underscores are let through: service names of container networks have them.
fn check_name(name: &str) -> Result<(), InvalidTarget> {
    if name.ends_with('.') {
        return Err(InvalidTarget::TrailingDot);
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.len() <= 253 && name.split('.').all(is_label) {
        Ok(())
    } else {
        Err(InvalidTarget::BadHost)
    }
}

fn canonical_or(written: &str, canonical: String) -> Result<(), InvalidTarget> {
    if written == canonical {
        Ok(())
    } else {
        Err(InvalidTarget::NotCanonical(canonical))
    }
}

#[cfg(test)]
mod tests;
