//! TLS towards clients: which certificate they see, who may connect, and what is told to whom.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use harness::answer::Gate;
use harness::authority::{Authority, Pair};
use harness::client::Reply;
use harness::documents::{ORG, document, integration, with};
use harness::gateway::Setup;
use harness::{Answer, ControlPlane, Example, Gateway, H2Client, Partner, wait};
use reqwest::Method;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
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
async fn certificates_of_the_configuration_are_shown_and_changed() {
    let authority = Authority::new();
    let partner = Partner::answering(Answer::text("ok")).await;
    let mut document = Example::named("certificates")
        .with("https://api.partner.example", &partner.url(""))
        .document();
    let name = "lakeside.gateway.example";
    let setup = Setup::new().file(&document);
    let gateway = secure(&authority, &["other.test"], setup).await;
    let address = gateway.https();
    let refused = authority.connect(&address, name, &["http/1.1"], None).await;
    assert!(refused.is_err(), "the example's certificate vouches for itself only");
    let pair = authority.vouch_for(&["*.gateway.example"]);
    document["certificates"][0]["certificate"] = json!(pair.certificate);
    document["certificates"][0]["privateKey"] = json!(pair.key);
    gateway.swap(&document).await;
    let mut stream = authority.connect(&address, name, &["http/1.1"], None).await.unwrap();
    assert_eq!(own_name(&stream), shown(&pair));
    assert!(get(&mut stream, name).await.starts_with("HTTP/1.1 200 "));
    let stream = authority
        .connect(&address, "other.test", &["http/1.1"], None)
        .await
        .unwrap();
    assert_ne!(own_name(&stream), shown(&pair));
    document["certificates"][0]["isActive"] = json!(false);
    gateway.swap(&document).await;
    let refused = authority.connect(&address, name, &["http/1.1"], None).await;
    assert!(refused.is_err(), "the certificate is still shown");
}

#[tokio::test]
async fn a_certificate_of_the_control_plane_is_shown_and_its_key_to_nobody() {
    let authority = Authority::new();
    let control_plane = ControlPlane::start().await;
    let partner = Partner::answering(Answer::text("ok")).await;
    control_plane.allow_this_machine().await;
    control_plane.save(&integration("labs", &partner.url(""))).await;
    let setup = Setup::new().control_plane(&control_plane);
    let gateway = secure(&authority, &["other.test"], setup).await;
    let pair = authority.vouch_for(&["labs.test"]);
    let body = json!({"orgId": ORG, "name": "labs", "certificate": pair.certificate, "privateKey": pair.key});
    let created = control_plane.post("/api/v1/certificates", &body).await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert!(!created.text().contains("PRIVATE KEY"), "{}", created.text());
    let address = gateway.https();
    wait::until("the pushed certificate", async || {
        let mut stream = authority
            .connect(&address, "labs.test", &["http/1.1"], None)
            .await
            .ok()?;
        assert!(get(&mut stream, "labs.test").await.starts_with("HTTP/1.1 200 "));
        Some(())
    })
    .await;
    let mut wrong = body;
    wrong["name"] = json!("wrong");
    wrong["privateKey"] = json!(authority.vouch_for(&["labs.test"]).key);
    let refused = control_plane.post("/api/v1/certificates", &wrong).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(
        refused.json()["problems"][0]["path"],
        "certificate",
        "{}",
        refused.text()
    );
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
async fn authorities_of_clients_are_read_again_when_they_change() {
    let (authority, others) = (Authority::new(), Authority::new());
    let partner = Partner::answering(Answer::text("ok")).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clients.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let setup = Setup::new()
        .file(&document([integration("labs", &partner.url(""))]))
        .set("tls.clientCertificates", json!({"mode": "require", "caFile": file}));
    let gateway = secure(&authority, &["labs.test"], setup).await;
    let (old, new) = (
        authority.vouch_for(&["client.test"]),
        others.vouch_for(&["client.test"]),
    );
    // One configuration for all calls, so that sessions are resumed where the gateway lets them.
    let call = async |config: &Arc<ClientConfig>| {
        let tcp = TcpStream::connect(gateway.https()).await.unwrap();
        let name = ServerName::try_from("labs.test").unwrap();
        let mut stream = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await.ok()?;
        let request = b"GET / HTTP/1.1\r\nHost: labs.test\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.ok()?;
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        answer.starts_with(b"HTTP/1.1 200 ").then_some(())
    };
    let [old, new] = [&old, &new].map(|own| Arc::new(authority.client_config(&["http/1.1"], Some(own))));
    assert_eq!((call(&old).await, call(&new).await), (Some(()), None));
    std::fs::write(&file, "rubbish").unwrap();
    wait::until("the log to say what is wrong", async || {
        gateway.process.output().contains("the old ones stay").then_some(())
    })
    .await;
    assert_eq!(call(&old).await, Some(()));
    std::fs::write(&file, others.pem()).unwrap();
    wait::until("the new authority to count", async || call(&new).await).await;
    assert_eq!(call(&old).await, None, "the old authority counts still");
}

#[tokio::test]
async fn integrations_know_clients_by_their_certificates() {
    let authority = Authority::new();
    let partner = Partner::answering(Answer::text("ok")).await;
    let known = authority.vouch_for(&["lab.clinic.example"]);
    let pinned = Authority::new().vouch_for(&["pinned.clinic.example"]);
    let fingerprint = format!("sha256:{}", hex::encode(Sha256::digest(shown(&pinned))));
    let auth = json!({
        "inboundAuthType": "CLIENT_CERTIFICATE",
        "inboundAuthConfig": {"certificates": [
            {"name": "lab", "san": "dns:lab.clinic.example"},
            {"name": "pinned", "fingerprint": fingerprint},
        ]},
        "https": {"onPlain": "serve", "hsts": {"maxAgeSeconds": 60, "includeSubdomains": false}},
        "targetProtocol": "http1",
    });
    let setup = Setup::new()
        .file(&document([with(integration("labs", &partner.url("")), auth)]))
        .set(
            "tls.clientCertificates",
            json!({"mode": "request", "caFile": authority.file()}),
        );
    let gateway = secure(&authority, &["labs.test"], setup).await;
    let address = gateway.https();
    let call = async |own: Option<&Pair>| {
        let stream = authority.connect(&address, "labs.test", &["h2"], own).await.unwrap();
        let over_h2 = H2Client::over(stream).await.get("labs.test", "/").await.status;
        let mut stream = authority
            .connect(&address, "labs.test", &["http/1.1"], own)
            .await
            .unwrap();
        let over_h1 = get(&mut stream, "labs.test").await;
        assert!(
            over_h1.starts_with(&format!("HTTP/1.1 {over_h2} ")),
            "{over_h2} over h2, but {over_h1}"
        );
        over_h2
    };
    assert_eq!(call(Some(&known)).await, 200);
    assert_eq!(call(Some(&pinned)).await, 200);
    assert_eq!(call(None).await, 401);
    let impostor = Authority::new().vouch_for(&["lab.clinic.example"]);
    assert_eq!(call(Some(&impostor)).await, 401, "anybody may vouch for a name");
    assert_eq!(gateway.get("labs.test", "/").await.status, 401);
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
async fn gateways_are_fed_over_tls_by_a_control_plane_with_a_private_authority() {
    let authority = Authority::new();
    let partner = Partner::answering(Answer::text("ok")).await;
    let control_plane = harness::control_plane::Setup::new().tls(&authority).start().await;
    control_plane.allow_this_machine().await;
    control_plane.save(&integration("labs", &partner.url(""))).await;
    let trusting = Setup::new()
        .control_plane(&control_plane)
        .set("config.controlPlane.caFile", json!(authority.file()));
    let gateway = trusting.start().await;
    assert_eq!(gateway.get("labs.test", "/").await.status, 200);
    let stranger = Setup::new().control_plane(&control_plane).start_listening().await;
    wait::until(
        "the stranger to say that it does not trust the control plane",
        async || stranger.process.output().contains("UnknownIssuer").then_some(()),
    )
    .await;
    assert_eq!(stranger.get("labs.test", "/").await.status, 503);
    let mut plain = TcpStream::connect(control_plane.url().replace("https://localhost", "127.0.0.1"))
        .await
        .unwrap();
    plain
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut rest = Vec::new();
    drop(wait::within("the end of the connection", plain.read_to_end(&mut rest)).await);
    assert!(!rest.starts_with(b"HTTP/"), "an answer in clear");
}

#[tokio::test]
async fn large_bodies_pass_both_ways_without_taking_memory() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(large_partner(stream));
        }
    });
    let limits = json!({"bodyLimits": {"requestBytes": 1 << 30}, "timeouts": {"totalMs": 120_000}});
    let setup = Setup::new().file(&document([with(integration("files", &target), limits)]));
    let gateway = secure(&authority, &["files.test"], setup).await;
    let before = most_resident_kib(&gateway);
    let stream = authority
        .connect(&gateway.https(), "files.test", &["h2"], None)
        .await
        .unwrap();
    let mut client = H2Client::over(stream).await;
    let get = H2Client::request(Method::GET, "files.test", "/large").body(()).unwrap();
    let (answer, _) = client.begin(get, true).await;
    let mut body = wait::within("the head", answer).await.unwrap().into_body();
    let mut downloaded = 0;
    while let Some(data) = wait::within("more of the body", body.data()).await {
        let data = data.unwrap();
        downloaded += data.len();
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert_eq!(downloaded, LARGE);
    let put = H2Client::request(Method::PUT, "files.test", "/large").body(()).unwrap();
    let (answer, mut body) = client.begin(put, false).await;
    let mut left = LARGE;
    while left > 0 {
        body.reserve_capacity(left.min(PIECE));
        let room = wait::within("room for more", std::future::poll_fn(|cx| body.poll_capacity(cx))).await;
        let piece = room.unwrap().unwrap().min(left);
        left -= piece;
        body.send_data(vec![b'x'; piece].into(), left == 0).unwrap();
    }
    let answer = harness::h2_client::read(answer).await;
    assert_eq!((answer.status, answer.text()), (200, LARGE.to_string()));
    let grown = most_resident_kib(&gateway) - before;
    assert!(
        grown < 32 * 1024,
        "the gateway took {grown} KiB for bodies of {LARGE} bytes"
    );
}

/// Answers a GET with [`LARGE`] bytes, and anything else with the number of bytes that it was sent in chunks.
async fn large_partner(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut held = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = held.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
            let read = stream.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            held.extend_from_slice(&buffer[..read]);
        };
        if held.starts_with(b"GET ") {
            held.drain(..head);
            stream
                .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes())
                .await?;
            for _ in 0..LARGE / PIECE {
                stream.write_all(&[b'x'; PIECE]).await?;
            }
            continue;
        }
        // Nothing but `x` is sent, so that what is not one belongs to the chunks.
        held.drain(..head);
        let mut sent = 0;
        while !held.ends_with(b"\r\n0\r\n\r\n") {
            sent += held.iter().filter(|byte| **byte == b'x').count();
            let kept = held.len().saturating_sub(7);
            held.drain(..kept);
            held.retain(|byte| *byte != b'x');
            let read = stream.read(&mut buffer).await?;
            held.extend_from_slice(&buffer[..read]);
        }
        sent += held.iter().filter(|byte| **byte == b'x').count();
        held.clear();
        let text = sent.to_string();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        stream.write_all(answer.as_bytes()).await?;
    }
}

const LARGE: usize = 96 << 20;
const PIECE: usize = 64 * 1024;

/// The most memory that the gateway had resident so far.
fn most_resident_kib(gateway: &Gateway) -> u64 {
    let path = format!("/proc/{}/status", gateway.process.id());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
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
