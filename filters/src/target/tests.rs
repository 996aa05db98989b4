use proptest::prelude::proptest;

use super::*;

fn target(text: &str) -> TargetUrl {
    TargetUrl::parse(text).unwrap()
}

fn refusal(text: &str) -> InvalidTarget {
    TargetUrl::parse(text).unwrap_err()
}

fn hosts(allow: &[&str], deny: &[&str]) -> TargetHosts {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    TargetHosts {
        allow: owned(allow),
        deny: owned(deny),
    }
}

const RELAXED: Security = Security {
    block_private_networks: false,
    enforce_https: false,
};

#[test]
fn an_address_is_taken_apart() {
    let parsed = target("HTTPS://API.Partner.Example:8443/v1/./a/../Patients%20x?a=1&b=%2F");
    assert_eq!(parsed.scheme(), Scheme::Https);
    assert_eq!(parsed.host(), &TargetHost::Name("api.partner.example".to_owned()));
    assert_eq!(parsed.port(), 8443);
    assert_eq!(parsed.authority(), "api.partner.example:8443");
    assert_eq!(parsed.path(), "/v1/Patients%20x");
    assert_eq!(parsed.query(), Some("a=1&b=%2F"));
}

#[test]
fn the_default_port_stays_out_of_the_host_header() {
    let expected = [
        ("https://a.example", 443, "a.example"),
        ("https://a.example:443/", 443, "a.example"),
        ("https://a.example:/", 443, "a.example"),
        ("https://a.example:80/", 80, "a.example:80"),
        ("http://a.example", 80, "a.example"),
        ("http://a.example:8080", 8080, "a.example:8080"),
        ("http://192.0.2.7:9090", 9090, "192.0.2.7:9090"),
        ("http://[2001:DB8::7]:9090", 9090, "[2001:db8::7]:9090"),
        ("http://[2001:db8:0:0::7]", 80, "[2001:db8::7]"),
    ];
    for (text, port, authority) in expected {
        let parsed = target(text);
        assert_eq!(
            (parsed.port(), parsed.authority().to_str().unwrap()),
            (port, authority),
            "{text}"
        );
        assert_eq!(parsed.path(), "/");
        assert_eq!(parsed.query(), None);
    }
}

#[test]
fn names_of_other_scripts_become_ascii() {
    assert_eq!(target("https://bücher.example/").authority(), "xn--bcher-kva.example");
}

#[test]
fn names_of_container_networks_pass() {
    assert_eq!(
        target("http://partner_api:9090").host(),
        &TargetHost::Name("partner_api".to_owned())
    );
    assert_eq!(
        target("http://localhost:9090").host(),
        &TargetHost::Name("localhost".to_owned())
    );
}

#[test]
fn what_is_no_target_is_refused_with_the_reason() {
    let long_label = format!("https://{}.example", "a".repeat(64));
    let long_name = format!("https://{}example", "abcdefgh.".repeat(28));
    let expected = [
        ("", InvalidTarget::Scheme),
        ("api.partner.example/v1", InvalidTarget::Scheme),
        ("/v1", InvalidTarget::Scheme),
        ("ftp://a.example", InvalidTarget::Scheme),
        ("file:///etc/passwd", InvalidTarget::Scheme),
        ("https:a.example", InvalidTarget::Scheme),
        (" https://a.example", InvalidTarget::Scheme),
        ("https://", InvalidTarget::NoHost),
        ("https:///path", InvalidTarget::NoHost),
        ("https://:443/", InvalidTarget::NoHost),
        ("https://?q", InvalidTarget::NoHost),
        ("https://user:pw@a.example", InvalidTarget::Userinfo),
        ("https://@a.example", InvalidTarget::Userinfo),
        ("https://a.example/#top", InvalidTarget::Fragment),
        ("https://a.example#@b.example/", InvalidTarget::Fragment),
        ("https://a.example:0/", InvalidTarget::PortZero),
        ("https://a.example:65536/", InvalidTarget::BadPort),
        ("https://a.example:https/", InvalidTarget::BadPort),
        ("https://a.example/a b", InvalidTarget::Character(' ')),
        ("https://a.example/\t", InvalidTarget::Character('\t')),
        ("https://a.ex\nample/", InvalidTarget::Character('\n')),
        ("https://a.example\\b", InvalidTarget::Character('\\')),
        ("https://a.example/{id}", InvalidTarget::Braces),
        ("https://a.example/%zz", InvalidTarget::BadEscape),
        ("https://a.example/x%2", InvalidTarget::BadEscape),
        ("https://a.example./", InvalidTarget::TrailingDot),
        ("https://a..example/", InvalidTarget::BadHost),
        ("https://-a.example/", InvalidTarget::BadHost),
        ("https://a-.example/", InvalidTarget::BadHost),
        ("https://a!b.example/", InvalidTarget::BadHost),
        ("https://a%00.example/", InvalidTarget::BadHost),
        ("http://1.2.3.4.5/", InvalidTarget::BadHost),
        ("http://[fe80::1%25eth0]/", InvalidTarget::BadHost),
        ("http://[::1/", InvalidTarget::BadHost),
        (&long_label, InvalidTarget::BadHost),
        (&long_name, InvalidTarget::BadHost),
    ];
    for (text, reason) in expected {
        assert_eq!(refusal(text), reason, "{text:?}");
    }
}

#[test]
fn hidden_addresses_are_refused_by_what_they_stand_for() {
    for text in [
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://%31%32%37.0.0.1/",
    ] {
        assert_eq!(
            refusal(text),
            InvalidTarget::NotCanonical("127.0.0.1".to_owned()),
            "{text}"
        );
    }
}

#[test]
fn tls_needs_a_name() {
    for text in ["https://192.0.2.7/", "https://[2001:db8::7]:8443/"] {
        assert!(matches!(refusal(text), InvalidTarget::HttpsToAddress(_)), "{text}");
    }
}

#[test]
fn a_query_is_kept_out_of_what_is_printed() {
    let parsed = target("https://a.example/v1?key=s3cret");
    assert_eq!(parsed.to_string(), "https://a.example/v1");
    assert_eq!(format!("{parsed:?}"), "TargetUrl(https://a.example/v1)");
}

#[test]
fn a_wildcard_matches_every_depth_below_and_not_the_name_itself() {
    let expected = [
        ("api.x.example", "api.x.example", true),
        ("api.x.example", "API.X.example", true),
        ("api.x.example", "*.x.example", true),
        ("v1.api.x.example", "*.x.example", true),
        ("api.x.example", "*.X.EXAMPLE", true),
        ("x.example", "*.x.example", false),
        (".x.example", "*.x.example", false),
        ("apix.example", "*.x.example", false),
        ("api.x.example", "x.example", false),
        ("x.example", "api.x.example", false),
        ("a", "*.x.example", false),
        ("10.0.0.1", "10.0.0.1", true),
        ("10.0.0.1", "10.0.0.2", false),
    ];
    for (host, pattern, matches) in expected {
        assert_eq!(matches_host_pattern(host, pattern), matches, "{host} {pattern}");
    }
}

#[test]
fn a_pattern_that_can_match_nothing_is_refused() {
    for good in [
        "api.x.example",
        "*.x.example",
        "Api.X.Example",
        "localhost",
        "10.0.0.1",
        "2001:db8::1",
        "xn--bcher-kva.example",
    ] {
        assert_eq!(check_host_pattern(good), Ok(()), "{good}");
    }
    let expected = [
        ("", InvalidTarget::NoHost),
        ("*", InvalidTarget::BadWildcard),
        ("*x.example", InvalidTarget::BadWildcard),
        ("a.*.example", InvalidTarget::BadWildcard),
        ("*.*.example", InvalidTarget::BadWildcard),
        ("*.10.0.0.1", InvalidTarget::BadWildcard),
        ("*.", InvalidTarget::NoHost),
        ("x.example.", InvalidTarget::TrailingDot),
        ("https://x.example", InvalidTarget::BadHost),
        ("x.example:443", InvalidTarget::BadHost),
        ("x.example/v1", InvalidTarget::BadHost),
        (
            "bücher.example",
            InvalidTarget::NotCanonical("xn--bcher-kva.example".to_owned()),
        ),
        ("[::1]", InvalidTarget::NotCanonical("::1".to_owned())),
        ("127.1", InvalidTarget::NotCanonical("127.0.0.1".to_owned())),
        ("2001:DB8::1", InvalidTarget::NotCanonical("2001:db8::1".to_owned())),
    ];
    for (pattern, reason) in expected {
        assert_eq!(check_host_pattern(pattern), Err(reason), "{pattern:?}");
    }
}

#[test]
fn policy_objects_to_each_thing_on_its_own() {
    let strict = Security::default();
    let policy = EgressPolicy::default();
    let none = TargetHosts::default();
    assert!(
        target("https://api.x.example")
            .check_policy(&policy, &strict, &none)
            .is_empty()
    );

    let objections = target("http://127.0.0.1:9090").check_policy(&policy, &strict, &hosts(&["*.x.example"], &[]));
    assert_eq!(objections.len(), 3, "{objections:?}");
    assert!(objections[0].contains("`security.enforceHttps`"));
    assert!(objections[1].contains("127.0.0.1 is a loopback address"));
    assert!(objections[2].contains("no entry of `targetHosts.allow` matches"));

    let open = EgressPolicy {
        block_private_networks: false,
        allowed_networks: Vec::new(),
    };
    assert!(
        target("http://127.0.0.1:9090")
            .check_policy(&open, &RELAXED, &none)
            .is_empty()
    );
}

#[test]
fn deny_wins_over_allow() {
    let lists = hosts(&["*.x.example"], &["internal.x.example"]);
    let check = |text| target(text).check_policy(&EgressPolicy::default(), &Security::default(), &lists);
    assert!(check("https://api.x.example").is_empty());
    assert_eq!(
        check("https://Internal.X.example"),
        ["has the host internal.x.example, which `targetHosts.deny` refuses with \"internal.x.example\""]
    );
    assert_eq!(check("https://y.example").len(), 1);
}

proptest! {
    #[test]
    fn what_is_parsed_can_be_written_and_parsed_again(text in "https?://[a-zA-Z0-9.:@%\\[\\]/?#_-]{0,40}") {
        if let Ok(parsed) = TargetUrl::parse(&text) {
            assert!(parsed.path().starts_with('/'));
            assert_ne!(parsed.port(), 0);
            let query = parsed.query().map_or_else(String::new, |query| format!("?{query}"));
            assert_eq!(TargetUrl::parse(&format!("{parsed}{query}")).unwrap(), parsed);
        }
    }
}
