use http::HeaderValue;
use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn headers_that_sign_in_or_sign_are_masked() {
    let mut map = HeaderMap::new();
    for (name, value) in [
        ("authorization", "Bearer hunter2"),
        ("proxy-authorization", "Basic hunter2"),
        ("cookie", "a=hunter2"),
        ("set-cookie", "a=hunter2"),
        ("x-api-key", "hunter2"),
        ("apikey", "hunter2"),
        ("ocp-apim-subscription-key", "hunter2"),
        ("x-auth-token", "hunter2"),
        ("x-amz-security-token", "hunter2"),
        ("client_secret", "hunter2"),
        ("webhook-signature", "v1,hunter2"),
        ("x-hub-signature-256", "sha256=hunter2"),
        ("x-shopify-hmac-sha256", "hunter2"),
        ("x-partner", "hunter2"),
    ] {
        map.append(name, HeaderValue::from_static(value));
    }
    let mut own = HeaderValue::from_static("hunter2");
    own.set_sensitive(true);
    map.insert("x-own", own);
    let plain = [
        ("content-type", "application/json"),
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1"),
        ("idempotency-key", "msg_1"),
        ("x-author", "me"),
        ("x-tokens-used", "7"),
    ];
    for (name, value) in plain {
        map.append(name, HeaderValue::from_static(value));
    }
    let shown = headers(&map, &[HeaderName::from_static("x-partner")]);
    assert_eq!(shown.len(), map.keys_len());
    assert!(!format!("{shown:?}").contains("hunter2"), "{shown:?}");
    for (name, value) in plain {
        assert_eq!(shown[name], value);
    }
}

#[test]
fn repeated_and_odd_headers_are_shown_within_a_limit() {
    let mut map = HeaderMap::new();
    map.append("via", HeaderValue::from_static("a"));
    map.append("via", HeaderValue::from_static("b"));
    map.append("x-raw", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    map.append("x-long", HeaderValue::from_str(&"x".repeat(100_000)).unwrap());
    map.append("x-long", HeaderValue::from_str(&"x".repeat(100_000)).unwrap());
    let shown = headers(&map, &[]);
    assert_eq!(shown["via"], "a, b");
    assert_eq!(shown["x-raw"], "caf\u{fffd}");
    assert!(shown["x-long"].len() <= 2 * MAX_HEADER);
}

#[test]
fn whole_json_stays_json_with_its_secrets_masked() {
    let text =
        br#"{"user":"u","Password":"hunter2","nested":[{"access_token":{"a":"hunter2"}}],"token":null,"tokens":3}"#;
    assert_eq!(
        body(text, true, 1_000),
        Some(json!({"user": "u", "Password": "***", "nested": [{"access_token": "***"}], "token": null, "tokens": 3}))
    );
    assert_eq!(body(b"", true, 10), None);
    assert_eq!(body(b"3", true, 10), Some(json!(3)));
}

#[test]
fn a_cut_body_is_text_and_masked_all_the_same() {
    let text = br#"{"a":1,"client_secret" : "hun\"ter2","b":{"apiKey":["hunter2",{"c":"]"}],"d":2},"password":"hunter2 and more"#;
    let shown = r#"{"a":1,"client_secret" : "***","b":{"apiKey":"***","d":2},"password":"***""#;
    assert_eq!(body(text, false, 1_000), Some(json!(shown)));
    // It is whole, but too long to be kept so.
    let long = br#"{"password":"hunter2","text":"0123456789"}"#;
    assert_eq!(body(long, true, 30), Some(json!(r#"{"password":"***","text":""#)));
    assert_eq!(
        body(br#"{"password":1234,"x":1}"#, false, 99),
        Some(json!(r#"{"password":"***","x":1}"#))
    );
    assert_eq!(
        body(br#"{"pass\u0077ord":"hunter2""#, false, 99),
        Some(json!(r#"{"pass\u0077ord":"***""#))
    );
    assert_eq!(body(br#"{"token":null,"#, false, 99), Some(json!(r#"{"token":null,"#)));
    assert_eq!(body(br#"{"token""#, false, 99), Some(json!(r#"{"token""#)));
}

#[test]
fn text_is_cut_between_characters() {
    assert_eq!(body("äöü".as_bytes(), true, 3), Some(json!("ä")));
    assert_eq!(body("äöü".as_bytes(), true, 1), Some(json!("")));
    assert_eq!(body(&"ä".as_bytes()[..1], false, 10), Some(json!("")));
    assert_eq!(body(b"<html>", true, 10), Some(json!("<html>")));
    assert_eq!(
        body(b"\xff\xfe\x00", true, 10),
        Some(json!("[3 bytes that are not text]"))
    );
}

#[test]
fn addresses_lose_what_may_be_secret() {
    let address = Url::parse("https://user:pass@a.example:8443/x?key=hunter2#f").unwrap();
    assert_eq!(url(&address), "https://a.example:8443/x");
}

proptest! {
    /// Any JSON with a secret in it, cut anywhere, shows nothing of the secret.
    #[test]
    fn no_cut_shows_a_secret(
        secret in "[A-Z]{12}",
        before in "[a-z\"\\\\{}\\[\\]:,äß ]{0,20}",
        name in prop::sample::select(vec!["password", "apiKey", "client-secret", "X_TOKEN"]),
        cut_at in 0_usize..120,
    ) {
        let document = json!({"before": before, name: [{"x": secret, "y": before}], "z": {name: secret}});
        let text = document.to_string();
        let shown = body(text.as_bytes(), true, cut_at).unwrap_or_default().to_string();
        prop_assert!(!shown.contains(&secret[..6]), "{}", shown);
        let whole = body(text.as_bytes(), true, text.len()).unwrap_or_default().to_string();
        prop_assert!(!whole.contains(&secret[..6]), "{}", whole);
    }

    #[test]
    fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..200), limit in 0_usize..100, is_whole in any::<bool>()) {
        if let Some(Value::String(text)) = body(&bytes, is_whole, limit) {
            // A mask may be longer than what it hides.
            prop_assert!(text.len() <= limit * 5 + 64);
        }
    }
}
