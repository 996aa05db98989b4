//! The address of a control plane, parsed and checked once.

use std::net::IpAddr;

use http::Uri;

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Not an address.
    #[error("{0:?} is no address; give one as in `https://control.example.com`")]
    Syntax(String),
    /// Without TLS to another machine.
    #[error("{0:?} would send secrets to another machine in clear text; use `https`")]
    Plaintext(String),
}

/// Where a control plane listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address of the push stream: `ws://` or `wss://`.
    pub stream_url: String,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether the connection is encrypted; if not, only loopback addresses may be connected to.
    pub tls: bool,
}

impl Endpoint {
    /// Reads an `http`, `https`, `ws` or `wss` address.
    ///
    /// # Errors
    /// If it is no such address, or if it has no TLS and is not on this machine.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        let syntax = || EndpointError::Syntax(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| syntax())?;
        let tls = match uri.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            _ => return Err(syntax()),
        };
        let authority = uri.authority().ok_or_else(syntax)?;
        if uri.query().is_some() || authority.as_str().contains('@') {
            return Err(syntax());
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(syntax());
        }
        if !tls && !is_this_machine(&host) {
            return Err(EndpointError::Plaintext(url.to_owned()));
        }
        let scheme = if tls { "wss" } else { "ws" };
        let base = uri.path().trim_end_matches('/');
        Ok(Self {
            stream_url: format!("{scheme}://{authority}{base}{STREAM_PATH}"),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            host,
            tls,
        })
    }
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

const STREAM_PATH: &str = "/api/v1/gateways/stream";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_address_is_below_the_control_planes() {
        let endpoint = Endpoint::parse("http://127.0.0.1:7070/").unwrap();
        assert_eq!(endpoint.stream_url, "ws://127.0.0.1:7070/api/v1/gateways/stream");
        assert_eq!((endpoint.port, endpoint.tls), (7070, false));
        let endpoint = Endpoint::parse("https://control.example.com/gw").unwrap();
        assert_eq!(
            endpoint.stream_url,
            "wss://control.example.com/gw/api/v1/gateways/stream"
        );
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("control.example.com", 443));
    }

    #[test]
    fn clear_text_stays_on_this_machine() {
        for url in ["http://[::1]:7070", "http://localhost:7070", "ws://127.8.8.8"] {
            assert!(Endpoint::parse(url).is_ok(), "{url}");
        }
        for url in [
            "http://control.example.com",
            "ws://10.0.0.1:7070",
            "http://localhost.example.com",
        ] {
            assert!(
                matches!(Endpoint::parse(url), Err(EndpointError::Plaintext(_))),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in [
            "",
            "control",
            "ftp://127.0.0.1",
            "http://",
            "http://u:p@127.0.0.1",
            "http://127.0.0.1/?a=b",
        ] {
            assert!(matches!(Endpoint::parse(url), Err(EndpointError::Syntax(_))), "{url}");
        }
    }
}
