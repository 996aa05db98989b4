use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::*;

const SOON: [Duration; 1] = [Duration::from_millis(1)];

/// A mail server: what it was told, without the text of messages, and the messages.
struct Server {
    port: u16,
    heard: mpsc::UnboundedReceiver<(Vec<String>, Option<String>)>,
}

impl Server {
    /// `refusals` is how it answers the receivers of the first messages; those after them are taken.
    async fn start(refusals: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tell.send(converse(stream, refusals.get(number).copied()).await)
                    .unwrap();
            }
        });
        Self { port, heard }
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "allowedNetworks": ["127.0.0.0/8"], "allowPlaintext": true,
            "mail": {"host": "127.0.0.1", "port": self.port, "tls": "none", "username": "ops", "password": "hunter2",
                "from": "Gateway <gateway@clinic.example>", "to": ["ops@clinic.example", "Night <night@clinic.example>"]},
        })
    }
}

/// One connection, to its end.
async fn converse(stream: TcpStream, refusal: Option<&str>) -> (Vec<String>, Option<String>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let (mut commands, mut message) = (Vec::new(), None);
    write.write_all(b"220 mail.example\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        let verb = line
            .split_ascii_whitespace()
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        commands.push(line);
        let answer = match verb.as_str() {
            "EHLO" => "250-mail.example\r\n250-8BITMIME\r\n250 AUTH PLAIN",
            "AUTH" => "235 ok",
            "RCPT" => refusal.unwrap_or("250 ok"),
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.unwrap();
                let mut text = String::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line == "." {
                        break;
                    }
                    text.push_str(&line);
                    text.push('\n');
                }
                message = Some(text);
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            break;
        }
    }
    (commands, message)
}

#[tokio::test]
async fn an_alert_arrives_by_mail_and_says_everything() {
    let mut server = Server::start(&[]).await;
    let (metrics, counts) = counts();
    let outbox = Outbox::start(channels(&settings(server.settings())).unwrap(), &counts, &SOON);
    let raised = notice(Happened::Raised);
    outbox.post(raised.clone()).await;
    let (commands, message) = server.heard.recv().await.unwrap();
    let message = message.unwrap();
    let said = |part: &str| commands.iter().any(|command| command.contains(part));
    assert!(said("EHLO clinic.example"), "{commands:?}");
    // NUL ops NUL hunter2, in base64.
    assert!(said("AUTH PLAIN AG9wcwBodW50ZXIy"), "{commands:?}");
    assert!(said("MAIL FROM:<gateway@clinic.example>"), "{commands:?}");
    assert!(
        said("RCPT TO:<ops@clinic.example>") && said("RCPT TO:<night@clinic.example>"),
        "{commands:?}"
    );
    for part in [
        "Subject: [CRITICAL] clinic: Gateway g1 is not connected",
        &format!("Message-ID: <{}@clinic.example>", raised.id),
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain; charset=utf-8",
        "What to do: Look at its log.",
        "2026-01-15 09:00:00 UTC",
    ] {
        assert!(message.contains(part), "no {part} in {message}");
    }
    counted(
        &metrics,
        "control_plane_alert_messages_total{channel=\"mail\",result=\"delivered\"} 1",
    )
    .await;

    let mut over = notice(Happened::Resolved);
    over.thread = Some(raised.id.clone());
    outbox.post(over).await;
    let (_, message) = server.heard.recv().await.unwrap();
    let message = message.unwrap();
    assert!(message.contains("Subject: [RESOLVED] clinic:"), "{message}");
    assert!(
        message.contains(&format!("In-Reply-To: <{}@clinic.example>", raised.id)),
        "{message}"
    );
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let mut server = Server::start(&["451 busy", "550 no such user"]).await;
    let (metrics, counts) = counts();
    let outbox = Outbox::start(channels(&settings(server.settings())).unwrap(), &counts, &SOON);
    outbox.post(notice(Happened::Raised)).await;
    outbox.post(notice(Happened::Resolved)).await;
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(server.heard.recv().await.unwrap().1.is_some());
    }
    // The second message is on the third connection: the first one was tried twice, and then refused for good.
    assert_eq!(taken, [false, false, true]);
    counted(
        &metrics,
        "control_plane_alert_messages_total{channel=\"mail\",result=\"retried\"} 1",
    )
    .await;
    counted(
        &metrics,
        "control_plane_alert_messages_total{channel=\"mail\",result=\"failed\"} 1",
    )
    .await;
}

#[tokio::test]
async fn nothing_is_said_in_clear_where_tls_is_asked_for() {
    let mut server = Server::start(&[]).await;
    let mut document = server.settings();
    document["mail"]["tls"] = "starttls".into();
    let (metrics, counts) = counts();
    let outbox = Outbox::start(channels(&settings(document)).unwrap(), &counts, &SOON);
    outbox.post(notice(Happened::Raised)).await;
    let (commands, message) = server.heard.recv().await.unwrap();
    assert!(message.is_none());
    assert!(
        !commands.iter().any(|command| command.starts_with("AUTH")),
        "{commands:?}"
    );
    counted(
        &metrics,
        "control_plane_alert_messages_total{channel=\"mail\",result=\"failed\"} 1",
    )
    .await;
}

#[tokio::test]
async fn a_private_mail_server_is_refused_unless_the_operator_allows_it() {
    let mut server = Server::start(&[]).await;
    let mut document = server.settings();
    document["allowedNetworks"] = serde_json::json!([]);
    let (metrics, counts) = counts();
    let outbox = Outbox::start(channels(&settings(document)).unwrap(), &counts, &SOON);
    outbox.post(notice(Happened::Raised)).await;
    counted(
        &metrics,
        "control_plane_alert_messages_total{channel=\"mail\",result=\"failed\"} 1",
    )
    .await;
    assert!(server.heard.try_recv().is_err(), "nobody connected");
}
