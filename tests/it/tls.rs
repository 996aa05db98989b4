//! TLS towards clients: which certificate they see, who may connect, and what is told to whom.

use std::path::PathBuf;

use futures_util::{SinkExt as _, StreamExt as _};
use harness::answer::Gate;
use harness::authority::{Authority, Pair};
use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::gateway::Setup;
use harness::{Answer, Example, Gateway, H2Client, Partner, wait};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// A gateway with a TLS listener that shows these certificates, the first one to everybody else.
async fn secure(authority: &Authority, names: &[&str], setup: Setup) -> Gateway {
    let files = names.iter().map(|name| {
        let (certificate, key) = authority.write(name, &authority.vouch_for(&[name]));
        json!({"certFile": certificate, "keyFile": key})
    });
    setup
        .set("listen.https", json!("127.0.0.1:0"))
        .set("tls.certificates", files.collect())
        .start()
        .await
}

fn own_name(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn shown(pair: &Pair) -> Vec<u8> {
    pair.der().0[0].to_vec()
}

/// One GET over HTTP/1.1; the answer as text.
async fn get(stream: &mut TlsStream<TcpStream>, host: &str) -> String {
    let request = format!("GET /a?b=c HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A partner that closes without saying so is what the answer's length is for.
    drop(wait::within("an answer", stream.read_to_end(&mut answer)).await);
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn each_name_gets_its_certificate_and_calls_pass() {
    let authority = Authority::new();
    let partner = Partner::echo().await;
    let setup = Setup::new().file(&document([integration("labs", &partner.url(""))]));
    let gateway = secure(&authority, &["labs.test", "other.test"], setup).await;
    let names = ["labs.test", "other.test"];
    let mut seen = Vec::new();
    for name in names {
        let mut stream = authority
            .connect(&gateway.https(), name, &["http/1.1"], None)
            .await
            .unwrap();
        seen.push(own_name(&stream));
        let answer = get(&mut stream, "labs.test").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("\"x-forwarded-proto\":\"https\""), "{answer}");
    }
    assert_ne!(seen[0], seen[1]);
    let refused = authority
        .connect(&gateway.https(), "nobody.test", &["http/1.1"], None)
        .await;
    assert!(refused.is_err(), "a certificate for another name was believed");
    let plain = gateway.get("labs.test", "/").await.json();
    assert_eq!(plain["headers"]["x-forwarded-proto"], "http");
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_shown_to_the_next_client() {
    let authority = Authority::new();
    let partner = Partner::answering(Answer::text("ok")).await;
    let setup = Setup::new().file(&document([integration("labs", &partner.url(""))]));
    let gateway = secure(&authority, &["labs.test"], setup).await;
    let address = gateway.https();
    let connect = || authority.connect(&address, "labs.test", &["http/1.1"], None);
    let mut old = connect().await.unwrap();
    let new = authority.vouch_for(&["labs.test"]);
    authority.write("labs.test", &new);
    wait::until("the new certificate", async || {
        (own_name(&connect().await.unwrap()) == shown(&new)).then_some(())
    })
    .await;
    let answer = get(&mut old, "labs.test").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 "),
        "the open connection broke: {answer}"
    );
    let broken = Pair {
        certificate: "-----BEGIN RUBBISH-----".to_owned(),
        key: new.key.clone(),
    };
    authority.write("labs.test", &broken);
    wait::until("the log to say what is wrong", async || {
        gateway.process.output().contains("the old ones stay").then_some(())
    })
    .await;
    assert_eq!(own_name(&connect().await.unwrap()), shown(&new));
}

#[tokio::test]
async fn clients_without_a_good_certificate_get_no_connection_where_one_is_required() {
    let authority = Authority::new();
    let others = Authority::new();
    let partner = Partner::answering(Answer::text("ok")).await;
    let clients = json!({"mode": "require", "caFile": authority.file()});
    let setup = Setup::new()
        .file(&document([integration("labs", &partner.url(""))]))
        .set("tls.clientCertificates", clients);
    let gateway = secure(&authority, &["labs.test"], setup).await;
    let call = async |own: Option<&Pair>| {
        let mut stream = authority
            .connect(&gateway.https(), "labs.test", &["http/1.1"], own)
            .await
            .ok()?;
        // In TLS 1.3 the refusal comes after the client's side of the handshake.
        let request = b"GET / HTTP/1.1\r\nHost: labs.test\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.ok()?;
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        (!answer.is_empty()).then(|| String::from_utf8(answer).unwrap())
    };
    let good = authority.vouch_for(&["client.test"]);
    assert!(call(Some(&good)).await.unwrap().starts_with("HTTP/1.1 200 "));
    assert_eq!(call(None).await, None);
    assert_eq!(call(Some(&others.vouch_for(&["client.test"]))).await, None);
    assert_eq!(partner.requests().len(), 1);
}

#[tokio::test]
async fn whoever_does_not_speak_tls_is_cut_off() {
    let authority = Authority::new();
    let setup = Setup::new().file(&document([])).set("edge.headTimeoutMs", json!(300));
    let gateway = secure(&authority, &["labs.test"], setup).await;
    for bytes in [&b""[..], b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost: labs.test\r\n\r\n"] {
        let mut stream = TcpStream::connect(gateway.https()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        drop(wait::within("the end of the connection", stream.read_to_end(&mut rest)).await);
        assert!(!rest.starts_with(b"HTTP/"), "an answer in clear on a listener for TLS");
    }
    let metrics = wait::until("failed handshakes to be counted", async || {
        let metrics = gateway.admin_get("/metrics").await.text();
        metrics
            .contains("gateway_refused_total{reason=\"tls_handshake\"} 3")
            .then_some(metrics)
    });
    metrics.await;
}

#[tokio::test]
async fn plain_requests_are_redirected_or_refused() {
    let authority = Authority::new();
    let partner = Partner::answering(Answer::text("ok")).await;
    let document = Example::named("https")
        .with("https://api.partner.example", &partner.url(""))
        .document();
    let setup = Setup::new().file(&document).set("tls.redirectPort", json!(8443));
    let gateway = secure(&authority, &["portal.gateway.example"], setup).await;
    let (portal, machines) = ("portal.gateway.example", "machines.gateway.example");
    let reply = gateway.get(portal, "/a%20b?c=d").await;
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (308, Some("HTTPS_REQUIRED"))
    );
    assert_eq!(
        reply.header("location"),
        Some("https://portal.gateway.example:8443/a%20b?c=d")
    );
    assert_eq!(
        reply.header("strict-transport-security"),
        None,
        "in clear anybody may have put it there"
    );
    let reply = gateway.get(machines, "/").await;
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (403, Some("HTTPS_REQUIRED"))
    );
    assert!(partner.requests().is_empty());
    let mut stream = authority
        .connect(&gateway.https(), portal, &["http/1.1"], None)
        .await
        .unwrap();
    let answer = get(&mut stream, portal).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let told = "strict-transport-security: max-age=31536000; includeSubDomains\r\n";
    assert!(
        answer.to_ascii_lowercase().contains(&told.to_ascii_lowercase()),
        "{answer}"
    );
}

#[tokio::test]
async fn a_proxy_in_front_may_say_that_the_client_spoke_tls() {
    let partner = Partner::echo().await;
    let rule = json!({"https": {"onPlain": "refuse"}});
    let served = document([with(integration("labs", &partner.url("")), rule)]);
    let call = async |setup: Setup| {
        let gateway = setup.file(&served).start().await;
        Reply::of(
            gateway
                .request(Method::GET, "labs.test", "/")
                .header("x-forwarded-proto", "https"),
        )
        .await
    };
    let reply = call(Setup::new().set("edge.trustedProxies", json!(["127.0.0.0/8"]))).await;
    assert_eq!(
        (reply.status, reply.json()["headers"]["x-forwarded-proto"].as_str()),
        (200, Some("https"))
    );
    assert_eq!(call(Setup::new()).await.status, 403, "anybody's word was taken");
}

#[tokio::test]
async fn web_sockets_pass_over_tls() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(Message::Text(text))) = socket.next().await {
            socket.send(Message::text(format!("you said {text}"))).await.unwrap();
        }
    });
    let setup = Setup::new().file(&document([integration("chat", &target)]));
    let gateway = secure(&authority, &["chat.test"], setup).await;
    let stream = authority
        .connect(&gateway.https(), "chat.test", &["http/1.1"], None)
        .await
        .unwrap();
    let request = "wss://chat.test/room".into_client_request().unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    for word in ["one", "two"] {
        socket.send(Message::text(word)).await.unwrap();
        let said = wait::within("an echo", socket.next()).await.unwrap().unwrap();
        assert_eq!(said.into_text().unwrap(), format!("you said {word}"));
    }
}

#[tokio::test]
async fn events_come_when_the_partner_sends_them_over_tls() {
    let authority = Authority::new();
    let gate = Gate::new();
    let answer = Answer::status(200).header("content-type", "text/event-stream");
    let partner = Partner::answering(answer.first_then("data: one\n\n", &gate, "data: two\n\n")).await;
    let setup = Setup::new().file(&document([integration("feed", &partner.url(""))]));
    let gateway = secure(&authority, &["feed.test"], setup).await;
    let stream = authority
        .connect(&gateway.https(), "feed.test", &["h2"], None)
        .await
        .unwrap();
    let mut client = H2Client::over(stream).await;
    let request = H2Client::request(Method::GET, "feed.test", "/").body(()).unwrap();
    let (answer, _) = client.begin(request, true).await;
    let mut body = wait::within("the head", answer).await.unwrap().into_body();
    let first = wait::within("the first event", body.data()).await.unwrap().unwrap();
    assert_eq!(first, "data: one\n\n", "the partner has not sent the second");
    gate.open();
    let second = wait::within("the second event", body.data()).await.unwrap().unwrap();
    assert_eq!(second, "data: two\n\n");
}

#[tokio::test]
async fn wrong_settings_are_named() {
    let files = |certificate: PathBuf| json!([{"certFile": certificate, "keyFile": "/nowhere/own.key"}]);
    let settings: [(&str, Value, &str); 3] = [
        (
            "tls.certificates",
            files("/nowhere/own.pem".into()),
            "tls.certificates[0]: cannot read /nowhere/own.pem",
        ),
        (
            "tls.clientCertificates",
            json!({"mode": "require"}),
            "tls.clientCertificates.caFile: must name a file",
        ),
        (
            "tls.clientCertificates",
            json!({"mode": "request", "caFile": "/nowhere/ca.pem"}),
            "tls.clientCertificates.caFile: cannot read /nowhere/ca.pem",
        ),
    ];
    for (setting, value, message) in settings {
        let setup = Setup::new().file(&document([])).set(setting, value);
        let file = setup.settings_file();
        let output = std::process::Command::new(harness::binaries::find("gateway"))
            .arg("--config")
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(message), "{said}");
    }
}
