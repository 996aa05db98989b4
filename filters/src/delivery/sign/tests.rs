use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::outbound::SigningType;

const BODY: &[u8] = br#"{"test": 2432232314}"#;
const MESSAGE: Message<'_> = Message {
    id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
    timestamp_s: 1_614_265_330,
    accepted_ms: 1_614_265_300_000,
};
const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const WHSEC_NEXT: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const WHSK: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const V1: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const V1_NEXT: &str = "v1,/485aUtxlie+TIScVpHggMfqOB4so2KWb7+Gf727B44=";
const V1A: &str = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

fn secrets(values: &[&str]) -> Value {
    let secrets: Vec<Value> = (1..)
        .zip(values)
        .map(|(number, value)| json!({"name": format!("key-{number}"), "value": value}))
        .collect();
    json!({ "secrets": secrets })
}

fn compiled(kind: SigningType, config: &Value) -> Result<Signer, Vec<Problem>> {
    let mut problems = Vec::new();
    let signing = Signing::read(kind, Some(config), &mut problems);
    let signer = signing.and_then(|signing| Signer::compile(&signing, "signingConfig", &mut problems));
    signer.filter(|_| problems.is_empty()).ok_or(problems)
}

fn signer(kind: SigningType, values: &[&str]) -> Signer {
    compiled(kind, &secrets(values)).unwrap()
}

fn signed(signer: &Signer) -> Vec<(String, String)> {
    let headers = signer.sign(MESSAGE, BODY).unwrap();
    let shown = |(name, value): (HeaderName, HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
    headers.into_iter().map(shown).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// The vectors of the Standard Webhooks specification.
#[test]
fn standard_webhooks_vectors() {
    let shared = signer(SigningType::StandardWebhooks, &[WHSEC]);
    let head = [("webhook-id", MESSAGE.id), ("webhook-timestamp", "1614265330")];
    assert_eq!(signed(&shared), pairs(&[head[0], head[1], ("webhook-signature", V1)]));
    let asymmetric = signer(SigningType::StandardWebhooks, &[WHSK]);
    assert_eq!(
        signed(&asymmetric),
        pairs(&[head[0], head[1], ("webhook-signature", V1A)])
    );
}

#[test]
fn during_a_rotation_every_secret_signs() {
    let rotation = signer(SigningType::StandardWebhooks, &[WHSEC, WHSEC_NEXT, WHSK]);
    assert_eq!(signed(&rotation)[2].1, format!("{V1} {V1_NEXT} {V1A}"));
    assert_eq!(rotation.key_name(), Some("key-1, key-2, key-3"));
}

/// Computed with Python's `hmac`; the one of Shopify with `openssl dgst` too.
#[test]
fn the_other_schemes() {
    let secret = "It's a Secret to Everybody";
    let hexadecimal = "e6416d07bfe8709e7df1eac7ac9684b962b42f921b04f5ee467d3cb77d53713a";
    let plain = signer(SigningType::HmacSha256, &[secret]);
    assert_eq!(signed(&plain), pairs(&[("x-webhook-signature", hexadecimal)]));

    let github = signer(SigningType::Github, &[secret, "another"]);
    let value = format!("sha256={hexadecimal}");
    assert_eq!(
        signed(&github),
        pairs(&[("x-hub-signature-256", &value), ("x-github-delivery", MESSAGE.id)])
    );
    assert_eq!(github.key_name(), Some("key-1"));

    let stripe = signer(SigningType::Stripe, &["whsec_test", "whsec_next"]);
    let value = "t=1614265330,v1=98a6304ac7cd966786ee1b93ad76319d9cd63829827fa0f93cb3e367cf67086d,\
                 v1=74976e89836268aa651efdcadd4e67d93836d97d15ee08bf0bf5c00a7a5fbbee";
    assert_eq!(signed(&stripe), pairs(&[("stripe-signature", value)]));

    let shopify = signer(SigningType::Shopify, &["hush"]);
    assert_eq!(
        signed(&shopify),
        pairs(&[
            ("x-shopify-hmac-sha256", "GSMkouYq910XCW7wBeiXYHW1KhmYc/L3xj5h5r26zw4="),
            ("x-shopify-triggered-at", "2021-02-25T15:01:40.000Z"),
        ])
    );
}

/// The example of GitHub's own documentation.
#[test]
fn github_vector() {
    let github = signer(SigningType::Github, &["It's a Secret to Everybody"]);
    let headers = github.sign(MESSAGE, b"Hello, World!").unwrap();
    assert_eq!(
        headers[0].1,
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
}

#[test]
fn the_header_of_hmac_can_be_named() {
    let config = json!({"headerName": "X-Partner-Sign", "secrets": [{"name": "a", "value": "b"}]});
    let signer = compiled(SigningType::HmacSha256, &config).unwrap();
    assert_eq!(signed(&signer)[0].0, "x-partner-sign");
    let config = json!({"headerName": "Content-Length", "secrets": [{"name": "a", "value": "b"}]});
    let problems = compiled(SigningType::HmacSha256, &config).unwrap_err();
    assert_eq!(problems[0].path, "signingConfig.headerName");
}

#[test]
fn nothing_is_signed_without_a_type() {
    let signer = Signer::compile(&Signing::None, "signingConfig", &mut Vec::new()).unwrap();
    assert_eq!(signed(&signer), []);
    assert_eq!(signer.key_name(), None);
}

#[test]
fn identifiers_with_a_dot_are_refused() {
    let standard = signer(SigningType::StandardWebhooks, &[WHSEC]);
    for id in ["a.b", "", "a b", "a\nb", "ä"] {
        assert_eq!(
            standard.sign(Message { id, ..MESSAGE }, BODY),
            Err(SignFault::Id),
            "{id:?}"
        );
    }
    let pair = signer(SigningType::StandardWebhooks, &[WHSK]);
    assert_eq!(pair.sign(Message { id: "a.b", ..MESSAGE }, BODY), Err(SignFault::Id));
    assert!(
        signer(SigningType::Github, &["a"])
            .sign(Message { id: "a.b", ..MESSAGE }, BODY)
            .is_ok()
    );
}

#[test]
fn a_key_pair_needs_the_whole_body() {
    let signer = signer(SigningType::StandardWebhooks, &[WHSEC, WHSK]);
    assert!(signer.needs_whole_body());
    assert!(matches!(signer.begin(MESSAGE), Err(SignFault::NeedsWholeBody)));
}

#[test]
fn signatures_are_marked_and_secrets_are_never_shown() {
    for (kind, values) in [
        (SigningType::StandardWebhooks, &[WHSEC, WHSK][..]),
        (SigningType::HmacSha256, &["hunter2"]),
        (SigningType::Github, &["hunter2"]),
        (SigningType::Stripe, &["hunter2"]),
        (SigningType::Shopify, &["hunter2"]),
    ] {
        let signer = signer(kind, values);
        let headers = signer.sign(MESSAGE, BODY).unwrap();
        assert_eq!(headers.iter().filter(|(_, value)| value.is_sensitive()).count(), 1);
        let shown = format!("{signer:?}");
        assert!(values.iter().all(|value| !shown.contains(&value[6..])), "{shown}");
    }
}

#[test]
fn bad_secrets_are_named_by_path_and_not_shown() {
    let standard = |value: &str| compiled(SigningType::StandardWebhooks, &secrets(&[WHSEC, value])).unwrap_err();
    let wrong_pair = WHSK.replace("6Xb/", "6Xb+");
    for (value, fault) in [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "must begin with `whsec_`"),
        (
            "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
            "must begin with `whsec_`",
        ),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "is not base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLQ==", "holds a key of 22 bytes"),
        ("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "holds 24 bytes"),
        (&wrong_pair, "does not belong to its private key"),
        ("***", "is the mask"),
    ] {
        let problems = standard(value);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].path, "signingConfig.secrets[1].value");
        assert!(problems[0].message.contains(fault), "{value}: {}", problems[0].message);
        assert!(value == "***" || !problems[0].message.contains(&value[8..]));
    }
    let long = format!(
        "whsec_{}",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 65])
    );
    assert!(standard(&long)[0].message.contains("holds a key of 65 bytes"));
}

#[test]
fn a_list_of_secrets_has_names_of_its_own() {
    let problem = |config: Value| {
        let problems = compiled(SigningType::Github, &config).unwrap_err();
        (problems[0].path.clone(), problems.len())
    };
    let secret = |name: &str, value: &str| json!({"name": name, "value": value});
    assert_eq!(problem(json!({"secrets": []})), ("signingConfig.secrets".to_owned(), 1));
    assert_eq!(
        problem(json!({"secrets": [secret("a", "x"), secret("a", "y")]})),
        ("signingConfig.secrets[1].name".to_owned(), 1)
    );
    assert_eq!(
        problem(json!({"secrets": [secret("", "x")]})),
        ("signingConfig.secrets[0].name".to_owned(), 1)
    );
    assert_eq!(
        problem(json!({"secrets": [secret("a", "")]})),
        ("signingConfig.secrets[0].value".to_owned(), 1)
    );
    let many: Vec<Value> = (0..11).map(|number| secret(&number.to_string(), "x")).collect();
    assert_eq!(
        problem(json!({ "secrets": many })),
        ("signingConfig.secrets".to_owned(), 1)
    );
}

proptest! {
    #[test]
    fn a_body_in_pieces_gets_the_same_signature(body in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..300) {
        for (kind, values) in [
            (SigningType::StandardWebhooks, &[WHSEC, WHSEC_NEXT][..]),
            (SigningType::HmacSha256, &["a"]),
            (SigningType::Github, &["a"]),
            (SigningType::Stripe, &["a", "b"]),
            (SigningType::Shopify, &["a"]),
        ] {
            let signer = signer(kind, values);
            let (head, tail) = body.split_at(at.min(body.len()));
            let mut running = signer.begin(MESSAGE).unwrap();
            running.update(head);
            running.update(tail);
            prop_assert_eq!(running.finish(), signer.sign(MESSAGE, &body).unwrap());
        }
    }
}
