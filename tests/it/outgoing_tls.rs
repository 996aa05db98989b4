//! Partners that are known by an authority of their own, and that know the gateway by its certificate.

use harness::authority::Pair;
use harness::client::Reply;
use harness::documents::{ORG, document, integration, with};
use harness::events::{bill, events_document, subscription};
use harness::example::Example;
use harness::token_server::CLIENT;
use harness::{Answer, Authority, Gateway, Partner, Receiver, TlsFront, TokenServer};
use reqwest::Method;
use serde_json::{Value, json};

/// A partner behind TLS, whose certificate an authority of its own vouches for, and which knows the gateway's.
struct Strict {
    authority: Authority,
    own: Pair,
    partner: Partner,
    front: TlsFront,
}

impl Strict {
    async fn start() -> Self {
        let authority = Authority::new();
        let partner = Partner::answering(Answer::text("known")).await;
        let server = authority.vouch_for(&["localhost"]);
        let front = TlsFront::for_known_clients(partner.address(), &server, &authority).await;
        Self {
            own: authority.vouch_for(&["gateway.example"]),
            authority,
            partner,
            front,
        }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.front.port())
    }

    fn tls(&self) -> Value {
        json!({"outgoingTls": {"authorities": self.authority.pem(), "clientCertificate": self.own.certificate,
            "privateKey": self.own.key}})
    }
}

#[tokio::test]
async fn the_gateway_shows_its_certificate_to_a_partner_of_a_private_authority() {
    let strict = Strict::start().await;
    let gateway = Gateway::serving(&document(both(&strict.url(), &strict.tls()))).await;
    for host in ["stream.test", "exchange.test"] {
        let reply = post(&gateway, host).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "known"), "{host}");
    }
    let met = strict.front.met();
    assert_eq!(met.len(), 2, "each path has its own connection");
    for met in met {
        assert_eq!(met.server_name.as_deref(), Some("localhost"));
        assert_eq!(met.certificate, Some(strict.own.certificate_der()));
    }
    let shown = gateway.admin_get("/config").await.text();
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}

#[tokio::test]
async fn without_its_authority_or_our_certificate_there_is_no_call() {
    let strict = Strict::start().await;
    let tls = strict.tls();
    let strangers = Authority::new();
    let stranger = strangers.vouch_for(&["gateway.example"]);
    for (fields, why) in [
        (
            json!({"clientCertificate": strict.own.certificate, "privateKey": strict.own.key}),
            "no authority",
        ),
        (json!({"authorities": strict.authority.pem()}), "no certificate"),
        (
            json!({"authorities": strangers.pem(), "clientCertificate": strict.own.certificate,
                "privateKey": strict.own.key}),
            "another authority",
        ),
        (
            json!({"authorities": strict.authority.pem(), "clientCertificate": stranger.certificate,
                "privateKey": stranger.key}),
            "a certificate that the partner does not know",
        ),
        (
            with(tls["outgoingTls"].clone(), json!({"serverName": "other.example"})),
            "another name",
        ),
    ] {
        let gateway = Gateway::serving(&document(both(&strict.url(), &json!({"outgoingTls": fields})))).await;
        for host in ["stream.test", "exchange.test"] {
            assert_eq!(post(&gateway, host).await.status, 502, "{why}: {host}");
        }
    }
    assert!(strict.partner.requests().is_empty());
}

#[tokio::test]
async fn a_partner_is_asked_for_by_the_name_that_is_set() {
    let authority = Authority::new();
    let partner = Partner::answering(Answer::text("named")).await;
    let server = authority.vouch_for(&["partner.internal"]);
    let front = TlsFront::for_known_clients(partner.address(), &server, &authority).await;
    let own = authority.vouch_for(&["gateway.example"]);
    let tls = json!({"outgoingTls": {"authorities": authority.pem(), "clientCertificate": own.certificate,
        "privateKey": own.key, "serverName": "partner.internal"}});
    let url = format!("https://localhost:{}", front.port());
    let gateway = Gateway::serving(&document(both(&url, &tls))).await;
    for host in ["stream.test", "exchange.test"] {
        assert_eq!(post(&gateway, host).await.text(), "named", "{host}");
    }
    assert!(
        front
            .met()
            .iter()
            .all(|met| met.server_name.as_deref() == Some("partner.internal"))
    );
    let expected = format!("localhost:{}", front.port());
    assert!(
        partner
            .requests()
            .iter()
            .all(|request| request.header("host") == Some(&expected))
    );
}

#[tokio::test]
async fn integrations_with_the_same_partner_share_no_connection() {
    let strict = Strict::start().await;
    let other = strict.authority.vouch_for(&["other.example"]);
    let mut second = strict.tls();
    second["outgoingTls"]["clientCertificate"] = json!(other.certificate);
    second["outgoingTls"]["privateKey"] = json!(other.key);
    let target = format!("{}/", strict.url());
    let foreign = json!({"orgId": 649, "hosts": ["foreign.test"]});
    let mut document = document([
        with(integration("one", &target), strict.tls()),
        with(integration("two", &target), second),
        with(with(integration("foreign", &target), strict.tls()), foreign),
    ]);
    let organizations = document["organizations"].as_array_mut().unwrap();
    organizations.push(json!({"orgId": 649, "allowedNetworks": ["127.0.0.0/8", "::1/128"]}));
    let gateway = Gateway::serving(&document).await;
    for _ in 0..3 {
        for host in ["one.test", "two.test", "foreign.test"] {
            assert_eq!(gateway.get(host, "/").await.status, 200, "{host}");
        }
    }
    let met = strict.front.met();
    assert_eq!(met.len(), 3, "one for each integration, kept");
    let shown: Vec<_> = met.into_iter().map(|met| met.certificate).collect();
    assert_eq!(shown[0], shown[2]);
    assert_eq!(shown[1], Some(other.certificate_der()));
    // A new certificate needs a new connection.
    let renewed = strict.authority.vouch_for(&["renewed.example"]);
    document["integrations"][0]["outgoingTls"]["clientCertificate"] = json!(renewed.certificate);
    document["integrations"][0]["outgoingTls"]["privateKey"] = json!(renewed.key);
    gateway.swap(&document).await;
    assert_eq!(gateway.get("one.test", "/").await.status, 200);
    assert_eq!(strict.front.met()[3].certificate, Some(renewed.certificate_der()));
}

#[tokio::test]
async fn deliveries_and_enrichments_show_their_certificates() {
    let strict = Strict::start().await;
    let source = Strict::start().await;
    let enrichment = with(
        source.tls(),
        json!({"name": "bill", "url": format!("{}/bill", source.url()),
        "encoding": "base64", "targetField": "pdf"}),
    );
    let billing = with(
        with(subscription("billing", &format!("{}/hook", strict.url())), strict.tls()),
        json!({"enrichments": [enrichment]}),
    );
    let gateway = Gateway::serving(&events_document([billing])).await;
    gateway.accept(&bill("B-1")).await;
    assert_eq!(strict.partner.received(1).await[0].json()["pdf"], "a25vd24=");
    assert_eq!(strict.front.met()[0].certificate, Some(strict.own.certificate_der()));
    assert_eq!(source.front.met()[0].certificate, Some(source.own.certificate_der()));
}

#[tokio::test]
async fn an_action_has_tls_of_its_own() {
    let strict = Strict::start().await;
    let plain = Receiver::start().await;
    let billing = with(
        subscription("billing", &plain.url("/")),
        json!({"actions": [
            {"name": "first"},
            with(strict.tls(), json!({"name": "second", "targetUrl": format!("{}/second", strict.url())})),
        ]}),
    );
    let gateway = Gateway::serving(&events_document([billing])).await;
    gateway.accept(&bill("B-1")).await;
    assert_eq!(strict.partner.received(1).await[0].uri, "/second");
    assert_eq!(plain.requests().len(), 1);
}

#[tokio::test]
async fn a_token_endpoint_knows_the_gateway_by_its_certificate() {
    let server = TokenServer::start().await;
    server.know_by_certificate();
    let authority = Authority::new();
    let shown = authority.vouch_for(&["localhost"]);
    let front = TlsFront::for_known_clients(server.address(), &shown, &authority).await;
    let own = authority.vouch_for(&["gateway.example"]);
    let partner = server.partner().await;
    let auth = json!({"outgoingAuthType": "OAUTH2", "outgoingAuthConfig": {
        "tokenUrl": format!("https://localhost:{}/token", front.port()), "clientId": CLIENT,
        "clientAuthentication": "tls_client_auth",
        "tls": {"authorities": authority.pem(), "clientCertificate": own.certificate, "privateKey": own.key}}});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("/")), auth)).await;
    assert_eq!(gateway.get("labs.test", "/").await.text(), "signed in");
    assert_eq!(front.met()[0].certificate, Some(own.certificate_der()));
}

#[tokio::test]
async fn the_example_of_a_client_certificate_is_shown() {
    let strict = Strict::start().await;
    let mut document = Example::named("outgoing-tls")
        .with("https://api.partner.example", &strict.url())
        .document();
    // The partner of the test has another authority than that of the example.
    assert_eq!(document["integrations"][0]["orgId"], 100);
    document["integrations"][0]["outgoingTls"] = strict.tls()["outgoingTls"].clone();
    let gateway = Gateway::serving(&document).await;
    assert_eq!(gateway.get("claims.gateway.example", "/claims").await.text(), "known");
}

fn both(url: &str, fields: &Value) -> [Value; 2] {
    let exchanging = json!({"requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [{"sourceField": "a", "targetField": "b"}], "orgId": ORG});
    let target = format!("{url}/");
    let stream = with(integration("stream", &target), fields.clone());
    [
        stream,
        with(with(integration("exchange", &target), fields.clone()), exchanging),
    ]
}

async fn post(gateway: &Gateway, host: &str) -> Reply {
    Reply::of(gateway.request(Method::POST, host, "/").json(&json!({"a": 1}))).await
}
