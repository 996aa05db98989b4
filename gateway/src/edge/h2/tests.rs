use http::{Request, Version};

use super::*;

const LIMITS: HeadLimits = HeadLimits {
    bytes: 1_024,
    headers: 8,
    target_bytes: 64,
};

fn head(method: &str, uri: &str, fields: &[(&str, &str)]) -> RequestHeader {
    let request = Request::builder().method(method).uri(uri).version(Version::HTTP_2);
    let request = fields
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    RequestHeader::from(request.body(()).unwrap().into_parts().0)
}

fn examined(method: &str, uri: &str, fields: &[(&str, &str)]) -> Result<RequestHeader, Refusal> {
    let mut head = head(method, uri, fields);
    examine(&mut head, &LIMITS).map(|()| head)
}

#[test]
fn a_head_gets_the_form_of_http1() {
    let fields = [
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("content-length", "3"),
        ("content-length", "3"),
        ("x", "y"),
    ];
    let head = examined("POST", "https://api.example:8443/a/b?c=d", &fields).unwrap();
    assert_eq!(
        (head.uri.to_string().as_str(), head.version),
        ("/a/b?c=d", Version::HTTP_2)
    );
    let all: Vec<_> = ["host", "cookie", "content-length", "x"]
        .iter()
        .map(|name| head.headers.get_all(*name).iter().collect::<Vec<_>>())
        .collect();
    assert_eq!(all, [["api.example:8443"], ["a=1; b=2"], ["3"], ["y"]]);
}

#[test]
fn a_host_field_does_where_there_is_no_authority() {
    let head = examined("GET", "/", &[("host", "api.example")]).unwrap();
    assert_eq!(head.headers["host"], "api.example");
    assert_eq!(
        examined("GET", "/", &[]).unwrap_err(),
        Refusal::Malformed("the request names no host")
    );
    let refusal = examined("GET", "/", &[("host", "a b")]).unwrap_err();
    assert_eq!(refusal, Refusal::Malformed("the Host header is no host"));
}

#[test]
fn what_http1_refuses_is_refused() {
    for method in ["CONNECT", "TRACE"] {
        assert_eq!(
            examined(method, "https://a.example/", &[]).unwrap_err(),
            Refusal::Method
        );
    }
    let long = format!("https://a.example/{}", "a".repeat(64));
    assert_eq!(examined("GET", &long, &[]).unwrap_err(), Refusal::TargetTooLong(64));
    assert_eq!(
        examined("GET", "https://a.example/", &[("x", "y"); 9]).unwrap_err(),
        Refusal::TooManyHeaders(8)
    );
    let expectation = examined("PUT", "https://a.example/", &[("expect", "miracles")]).unwrap_err();
    assert_eq!(expectation, Refusal::Expectation);
    let refusal = examined("OPTIONS", "*", &[("host", "a.example")]).unwrap_err();
    assert_eq!(refusal, Refusal::Malformed("the request target is not a path"));
    let refusal = examined("GET", "/caf\u{e9}", &[("host", "a.example")]).unwrap_err();
    assert!(refusal.to_string().contains("percent-encoded"), "{refusal}");
}

#[test]
fn nobody_is_left_waiting_for_a_continue() {
    let head = examined("PUT", "https://a.example/", &[("expect", "100-continue")]).unwrap();
    assert!(!head.headers.contains_key("expect"));
}
