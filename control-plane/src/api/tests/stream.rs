//! The push stream, with a WebSocket client in the place of a gateway.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;

/// The far end of a push stream.
pub(super) struct Gateway(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Gateway {
    /// Connects and says what it has.
    pub(super) async fn connect(bench: &Bench, name: &str, have: Option<(u64, &str)>) -> Self {
        let mut gateway = Self::open(bench, TOKEN).await.unwrap();
        gateway.hello(name, 1, have).await;
        gateway
    }

    async fn open(bench: &Bench, token: &str) -> Result<Self, Error> {
        let url = bench.url("/api/v1/gateways/stream").replacen("http", "ws", 1);
        let mut request = url.into_client_request().unwrap();
        request
            .headers_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
        Ok(Self(connect_async(request).await?.0))
    }

    async fn hello(&mut self, name: &str, model: u32, have: Option<(u64, &str)>) {
        let have = have.map(|(version, digest)| json!({"version": version, "digest": digest}));
        self.say(json!({"message": "hello", "gatewayId": name, "modelVersion": model, "have": have}))
            .await;
    }

    pub(super) async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message; fails if none comes within a time that only a fault explains.
    pub(super) async fn next(&mut self) -> Value {
        match self.frame().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn frame(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(30), self.0.next());
            match next.await.expect("nothing came").expect("the stream ended").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                frame => return frame,
            }
        }
    }

    /// Takes the newest version, with the digest that the versions' list has for it.
    pub(super) async fn ack(&mut self, bench: &Bench, version: u64) {
        let digest = digest(bench, version).await;
        self.say(json!({"message": "ack", "version": version, "digest": digest}))
            .await;
    }
}

async fn digest(bench: &Bench, version: u64) -> String {
    let version = bench.get(&format!("/api/v1/versions/{version}")).await.is(200);
    version.body["digest"].as_str().unwrap().to_owned()
}

/// Waits until the list of gateways is as wanted.
async fn gateways(bench: &Bench, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let reply = bench.get("/api/v1/gateways").await.is(200);
        let list = reply.body["gateways"].as_array().unwrap().clone();
        if wanted(&list) {
            return list;
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", reply.text);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_new_gateway_gets_everything_and_then_each_change() {
    let bench = Bench::start().await;
    bench.put("a", &integration("lab")).await.is(201);
    let mut gateway = Gateway::connect(&bench, "g1", None).await;
    let snapshot = gateway.next().await;
    assert_eq!(
        (&snapshot["message"], &snapshot["version"]),
        (&json!("snapshot"), &json!(2))
    );
    assert!(
        snapshot["put"]
            .as_array()
            .unwrap()
            .iter()
            .any(|object| object["value"]["id"] == "a"),
        "{snapshot}"
    );
    gateway.ack(&bench, 2).await;
    gateways(&bench, |list| {
        list.len() == 1 && list[0]["appliedVersion"] == 2 && list[0]["lagMs"] == 0
    })
    .await;

    bench.put("b", &integration("scans")).await.is(201);
    let change = gateway.next().await;
    assert_eq!(
        (&change["message"], &change["from"], &change["to"]),
        (&json!("change"), &json!(2), &json!(3))
    );
    let put: Vec<_> = change["put"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["kind"] == "integration")
        .collect();
    assert_eq!((put.len(), &put[0]["value"]["id"]), (1, &json!("b")));
    gateway.ack(&bench, 3).await;
    bench
        .send(Method::DELETE, "/api/v1/inbound-integrations/a", &Value::Null)
        .await
        .is(204);
    assert_eq!(
        gateway.next().await["delete"],
        json!([{"kind": "integration", "id": "a"}])
    );
}

#[tokio::test]
async fn what_comes_while_a_gateway_is_busy_goes_out_as_one_change() {
    let bench = Bench::start().await;
    let mut gateway = Gateway::connect(&bench, "g1", None).await;
    assert_eq!(gateway.next().await["version"], 1);
    for id in ["a", "b", "c"] {
        bench.put(id, &integration(id)).await.is(201);
    }
    bench
        .send(Method::DELETE, "/api/v1/inbound-integrations/b", &Value::Null)
        .await
        .is(204);
    gateway.ack(&bench, 1).await;
    let change = gateway.next().await;
    assert_eq!((&change["from"], &change["to"]), (&json!(1), &json!(5)));
    assert_eq!(change["delete"], json!([{"kind": "integration", "id": "b"}]));
    assert_eq!(
        change["put"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["kind"] == "integration")
            .count(),
        2
    );
}

#[tokio::test]
async fn a_gateway_that_comes_back_gets_only_what_it_lacks() {
    let bench = Bench::start().await;
    bench.put("a", &integration("lab")).await.is(201);
    bench.put("b", &integration("scans")).await.is(201);
    let old = digest(&bench, 2).await;
    let bench = bench.restart().await;
    let change = Gateway::connect(&bench, "g1", Some((2, &old))).await.next().await;
    assert_eq!(
        (&change["message"], &change["from"], &change["to"]),
        (&json!("change"), &json!(2), &json!(3))
    );

    let other = Gateway::connect(&bench, "g2", Some((2, "another digest")))
        .await
        .next()
        .await;
    assert_eq!(other["message"], "snapshot", "its version 2 is not ours");
    let future = Gateway::connect(&bench, "g3", Some((99, &old))).await.next().await;
    assert_eq!(future["message"], "snapshot");

    let newest = digest(&bench, 3).await;
    let mut current = Gateway::connect(&bench, "g4", Some((3, &newest))).await;
    gateways(&bench, |list| {
        list.iter()
            .any(|one| one["gatewayId"] == "g4" && one["connected"] == true)
    })
    .await;
    bench.put("c", &integration("more")).await.is(201);
    assert_eq!(
        current.next().await["from"],
        3,
        "nothing was sent before the next version"
    );
}

#[tokio::test]
async fn a_refused_version_is_shown_and_not_sent_again() {
    let bench = Bench::start().await;
    let mut gateway = Gateway::connect(&bench, "g1", None).await;
    gateway.next().await;
    gateway.ack(&bench, 1).await;
    bench.put("a", &integration("lab")).await.is(201);
    gateway.next().await;
    let problems = json!([{"path": "integrations[\"a\"]", "message": "no"}]);
    gateway
        .say(json!({"message": "nack", "version": 2, "problems": problems}))
        .await;
    let list = gateways(&bench, |list| list[0]["lastNack"]["version"] == 2).await;
    assert_eq!(list[0]["lastNack"]["problems"], problems);
    assert_eq!(
        (&list[0]["appliedVersion"], &list[0]["lagVersions"]),
        (&json!(1), &json!(1))
    );
    bench.put("b", &integration("scans")).await.is(201);
    let next = gateway.next().await;
    assert_eq!(
        (&next["from"], &next["to"]),
        (&json!(1), &json!(3)),
        "built on what it still has"
    );
}

#[tokio::test]
async fn a_change_that_does_not_fit_is_followed_by_everything() {
    let bench = Bench::start().await;
    let first = digest(&bench, 1).await;
    bench.put("a", &integration("lab")).await.is(201);
    let mut gateway = Gateway::connect(&bench, "g1", Some((1, &first))).await;
    assert_eq!(gateway.next().await["message"], "change");
    gateway.hello("g1", 1, Some((1, &first))).await;
    assert_eq!(gateway.next().await["message"], "snapshot");
}

#[tokio::test]
async fn the_newer_connection_of_a_gateway_replaces_the_older() {
    let bench = Bench::start().await;
    let mut old = Gateway::connect(&bench, "g1", None).await;
    old.next().await;
    let mut new = Gateway::connect(&bench, "g1", None).await;
    new.next().await;
    let Message::Close(Some(close)) = old.frame().await else {
        panic!("the old one was not closed")
    };
    assert_eq!(close.reason.as_str(), filters::model::push::REPLACED);
    let list = gateways(&bench, |list| list.len() == 1).await;
    assert_eq!(
        (&list[0]["connected"], &list[0]["conflicts"]),
        (&json!(true), &json!(1))
    );
    drop(new);
    gateways(&bench, |list| list[0]["connected"] == false).await;
}

#[tokio::test]
async fn a_gateway_of_another_model_is_told_nothing_and_shown() {
    let bench = Bench::start().await;
    let mut gateway = Gateway::open(&bench, TOKEN).await.unwrap();
    gateway.hello("g1", 99, None).await;
    let list = gateways(&bench, |list| list.len() == 1).await;
    assert!(
        list[0]["reason"].as_str().unwrap().contains("model version 99"),
        "{list:?}"
    );
    bench.put("a", &integration("lab")).await.is(201);
    gateway
        .say(json!({"message": "status", "requests": 5, "inFlight": 1}))
        .await;
    gateways(&bench, |list| list[0]["requests"] == 5).await;
    // Whatever it were told would have come before the farewell.
    bench.control_plane.stop().await;
    assert!(matches!(gateway.frame().await, Message::Close(_)));
}

#[tokio::test]
async fn only_those_with_a_token_and_sense_get_in() {
    let bench = Bench::start().await;
    let Err(Error::Http(refused)) = Gateway::open(&bench, "wrong").await else {
        panic!("it was let in")
    };
    assert_eq!(refused.status().as_u16(), 401);
    for first in [
        json!({"message": "ack", "version": 1, "digest": ""}),
        json!({"message": "dance"}),
        json!(5),
    ] {
        let mut gateway = Gateway::open(&bench, TOKEN).await.unwrap();
        gateway.say(first).await;
        assert!(matches!(gateway.frame().await, Message::Close(Some(_))));
    }
    let mut nameless = Gateway::connect(&bench, "", None).await;
    assert!(matches!(nameless.frame().await, Message::Close(Some(_))));
}

#[tokio::test]
async fn what_gateways_run_is_known_after_a_restart() {
    let bench = Bench::start().await;
    let mut gateway = Gateway::connect(&bench, "g1", None).await;
    gateway.next().await;
    gateway.ack(&bench, 1).await;
    gateways(&bench, |list| list.len() == 1 && list[0]["appliedVersion"] == 1).await;
    let bench = bench.restart().await;
    let list = gateways(&bench, |_| true).await;
    assert_eq!(
        (&list[0]["gatewayId"], &list[0]["appliedVersion"]),
        (&json!("g1"), &json!(1))
    );
    assert_eq!(list[0]["connected"], false);
}
