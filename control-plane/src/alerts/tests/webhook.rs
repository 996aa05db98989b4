use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use tokio::sync::mpsc;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SOON: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(1)];

/// A receiver that answers with the given statuses, one after the other, and the last one from then on.
struct Receiver {
    url: String,
    taken: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
}

type Answers = Arc<(Mutex<VecDeque<u16>>, mpsc::UnboundedSender<(HeaderMap, Bytes)>)>;

impl Receiver {
    async fn start(answers: &[u16]) -> Self {
        async fn take(State(answers): State<Answers>, headers: HeaderMap, body: Bytes) -> StatusCode {
            let mut statuses = answers.0.lock();
            let status = if statuses.len() > 1 {
                statuses.pop_front()
            } else {
                statuses.front().copied()
            };
            answers.1.send((headers, body)).unwrap();
            StatusCode::from_u16(status.unwrap_or(200)).unwrap()
        }
        let (told, taken) = mpsc::unbounded_channel();
        let answers: Answers = Arc::new((Mutex::new(answers.iter().copied().collect()), told));
        let router = Router::new().route("/hook", post(take)).with_state(answers);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=hunter2", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, taken }
    }

    fn settings(&self) -> AlertsConfig {
        settings(serde_json::json!({
            "allowedNetworks": ["127.0.0.0/8"], "allowPlaintext": true,
            "webhooks": [{"url": self.url, "secret": SECRET}],
        }))
    }
}

#[tokio::test]
async fn an_alert_arrives_signed_and_says_everything() {
    let mut receiver = Receiver::start(&[200]).await;
    let (metrics, counts) = counts();
    let config = receiver.settings();
    let outbox = Outbox::start(channels(&config).unwrap(), &counts, &SOON);
    let notice = notice(Happened::Raised);
    outbox.post(notice.clone()).await;
    let (headers, body) = receiver.taken.recv().await.unwrap();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["webhook-id"], *notice.id);
    let signer = config.webhooks[0].signer("", &mut Vec::new()).unwrap();
    let timestamp_s: i64 = headers["webhook-timestamp"].to_str().unwrap().parse().unwrap();
    let signed = Signed {
        id: &notice.id,
        timestamp_s,
        accepted_ms: 0,
    };
    let wanted = signer.sign(signed, &body).unwrap();
    let wanted = wanted.iter().find(|(name, _)| name == "webhook-signature").unwrap();
    assert_eq!(headers["webhook-signature"], wanted.1);

    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&json["type"], &json["data"]["installation"]),
        (&"alert.raised".into(), &"clinic".into())
    );
    let alert = &json["data"]["alert"];
    assert_eq!(
        (&alert["rule"], &alert["severity"]),
        (&"GATEWAY_GONE".into(), &"CRITICAL".into())
    );
    assert_eq!(alert["key"], "GATEWAY_GONE:g1");
    assert_eq!(alert["since"], "2026-01-15T09:00:00Z");
    for field in ["id", "title", "detail", "advice", "openedAt"] {
        assert!(
            alert[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field} in {json}"
        );
    }
    counted(
        &metrics,
        "control_plane_alert_messages_total{channel=\"webhook\",result=\"delivered\"} 1",
    )
    .await;
}

#[tokio::test]
async fn a_failure_is_tried_again_under_the_same_identifier() {
    let mut receiver = Receiver::start(&[503, 429, 204]).await;
    let (metrics, counts) = counts();
    let outbox = Outbox::start(channels(&receiver.settings()).unwrap(), &counts, &SOON);
    outbox.post(notice(Happened::Raised)).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (headers, _) = receiver.taken.recv().await.unwrap();
        ids.push(headers["webhook-id"].clone());
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    counted(
        &metrics,
        "control_plane_alert_messages_total{channel=\"webhook\",result=\"delivered\"} 1",
    )
    .await;
    counted(
        &metrics,
        "control_plane_alert_messages_total{channel=\"webhook\",result=\"retried\"} 2",
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_given_up_and_the_next_one_goes_out() {
    // The first is refused for good, the second fails for too long.
    let mut receiver = Receiver::start(&[400, 500, 500, 500, 200]).await;
    let (metrics, counts) = counts();
    let outbox = Outbox::start(channels(&receiver.settings()).unwrap(), &counts, &SOON);
    let notices = [Happened::Raised, Happened::Reminded, Happened::Resolved].map(notice);
    for notice in &notices {
        outbox.post(notice.clone()).await;
    }
    let mut ids = Vec::new();
    for _ in 0..5 {
        let (headers, _) = receiver.taken.recv().await.unwrap();
        ids.push(headers["webhook-id"].to_str().unwrap().to_owned());
    }
    let [first, second, third] = notices.map(|notice| notice.id);
    assert_eq!(ids, [first, second.clone(), second.clone(), second, third]);
    counted(
        &metrics,
        "control_plane_alert_messages_total{channel=\"webhook\",result=\"failed\"} 2",
    )
    .await;
    counted(
        &metrics,
        "control_plane_alert_messages_total{channel=\"webhook\",result=\"delivered\"} 1",
    )
    .await;
}

#[tokio::test]
async fn a_private_address_is_refused_unless_the_operator_allows_it() {
    let mut receiver = Receiver::start(&[200]).await;
    let mut config = receiver.settings();
    config.allowed_networks.clear();
    let (metrics, counts) = counts();
    let outbox = Outbox::start(channels(&config).unwrap(), &counts, &SOON);
    outbox.post(notice(Happened::Raised)).await;
    counted(
        &metrics,
        "control_plane_alert_messages_total{channel=\"webhook\",result=\"failed\"} 1",
    )
    .await;
    assert!(receiver.taken.try_recv().is_err(), "nothing was sent");
}

#[tokio::test]
async fn nobody_waits_for_a_receiver_that_does_not_answer_and_the_end_does_not_either() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/", listener.local_addr().unwrap());
    let mut healthy = Receiver::start(&[200]).await;
    let config = settings(serde_json::json!({
        "allowedNetworks": ["127.0.0.0/8"], "allowPlaintext": true,
        "webhooks": [{"url": silent}, {"url": healthy.url}],
    }));
    let (_, counts) = counts();
    let mut outbox = Outbox::start(channels(&config).unwrap(), &counts, &SOON);
    outbox.post(notice(Happened::Raised)).await;
    let (headers, _) = healthy.taken.recv().await.unwrap();
    assert!(!headers.contains_key("webhook-signature"), "there is no secret");
    // The silent one is given up at once; without that this would take the 20 seconds of its timeout.
    let stopped = tokio::time::timeout(Duration::from_secs(15), outbox.stop(Duration::from_millis(10)));
    stopped.await.unwrap();
}

#[tokio::test]
async fn slack_and_pagerduty_get_their_own_shapes_and_only_what_they_are_for() {
    let (mut slack, mut pager, mut other) = (
        Receiver::start(&[200]).await,
        Receiver::start(&[202]).await,
        Receiver::start(&[200]).await,
    );
    let config = settings(serde_json::json!({
        "allowedNetworks": ["127.0.0.0/8"], "allowPlaintext": true,
        "webhooks": [
            {"url": slack.url, "format": "slack"},
            {"url": pager.url, "format": "pagerDuty", "routingKey": "key-of-the-service", "only": {"severities": ["CRITICAL"]}},
            {"url": other.url, "only": {"rules": ["LAG"]}},
        ],
    }));
    let (_, counts) = counts();
    let mut outbox = Outbox::start(channels(&config).unwrap(), &counts, &SOON);
    outbox.post(notice(Happened::Raised)).await;
    let read = |body: &Bytes| serde_json::from_slice::<serde_json::Value>(body).unwrap();
    let (headers, body) = slack.taken.recv().await.unwrap();
    assert!(!headers.contains_key("webhook-signature"));
    assert_eq!(read(&body)["text"], "[CRITICAL] clinic: Gateway g1 is not connected");
    let (_, body) = pager.taken.recv().await.unwrap();
    assert_eq!(
        (&read(&body)["routing_key"], &read(&body)["event_action"]),
        (&"key-of-the-service".into(), &"trigger".into())
    );
    outbox.stop(Duration::from_secs(30)).await;
    assert!(other.taken.try_recv().is_err(), "it is not for gateways");
}
