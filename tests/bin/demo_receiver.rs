//! The receiver of the demo: endpoints that events are delivered to. It takes only what is signed, prints what came, and
//! fails as it is told.
//!
//! `POST /name` delivers to an endpoint, `PUT /name` with a status as its body has it answer so from then on, and
//! `GET /name` lists what came.
#![expect(clippy::print_stdout, reason = "says where it listens, and what came")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use harness::{Answer, Partner, Received};
use ring::hmac;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Endpoints for the events of the demo.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9091")]
    listen: SocketAddr,
    /// What deliveries are signed with.
    #[arg(long, default_value = SECRET)]
    secret: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let endpoints = Endpoints::new(&arguments.secret)?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let partner = Partner::on(listener, move |request| endpoints.answer(request));
    println!("demo-receiver listening on {}", partner.address());
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminated.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

/// All endpoints, by their paths.
struct Endpoints {
    key: hmac::Key,
    state: Mutex<BTreeMap<String, Endpoint>>,
}

#[derive(Default)]
struct Endpoint {
    /// What it was told to answer.
    told: Option<u16>,
    deliveries: Vec<Value>,
}

impl Endpoints {
    fn new(secret: &str) -> anyhow::Result<Self> {
        let text = secret.strip_prefix("whsec_").context("the secret is no whsec_...")?;
        let key = STANDARD.decode(text).context("the secret is no base64")?;
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            state: Mutex::default(),
        })
    }

    fn answer(&self, request: &Received) -> Answer {
        let path = request.uri.path();
        let mut endpoints = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let endpoint = endpoints.entry(path.to_owned()).or_default();
        match request.method.as_str() {
            "POST" => self.delivery(path, endpoint, request),
            "PUT" => told(endpoint, &request.body),
            "GET" => Answer::json(&json!(endpoint.deliveries)),
            _ => refusal(405, "POST delivers, PUT says what to answer, GET lists what came"),
        }
    }

    fn delivery(&self, path: &str, endpoint: &mut Endpoint, request: &Received) -> Answer {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let verified = self.verify(request, now);
        let status = match &verified {
            Ok(()) => endpoint.told.unwrap_or(204),
            Err(_) => 401,
        };
        let verdict = match &verified {
            Ok(()) => "signature good".to_owned(),
            Err(problem) => format!("REFUSED: {problem:#}"),
        };
        let header = |name| request.header(name).unwrap_or("-");
        println!(
            "{}  {path}  {}  {verdict}  answered {status}  webhook-id {}  webhook-signature {}",
            time_of_day(now),
            header("ce-id"),
            header("webhook-id"),
            header("webhook-signature"),
        );
        endpoint.deliveries.push(json!({
            "event": header("ce-id"),
            "webhookId": header("webhook-id"),
            "verified": verified.is_ok(),
            "answered": status,
            "body": serde_json::from_slice::<Value>(&request.body).unwrap_or_default(),
        }));
        match verified {
            Ok(()) => Answer::status(status),
            Err(problem) => refusal(status, &format!("{problem:#}")),
        }
    }

    /// Standard Webhooks: the signature is over identifier, time and body, and no older than a few minutes.
    fn verify(&self, request: &Received, now: Duration) -> anyhow::Result<()> {
        let header = |name| request.header(name).with_context(|| format!("there is no {name}"));
        let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
        let seconds: u64 = timestamp.parse().context("webhook-timestamp is no number")?;
        if now.as_secs().abs_diff(seconds) > TOLERANCE.as_secs() {
            return Err(anyhow!("webhook-timestamp is too far off"));
        }
        let mut signed = format!("{id}.{timestamp}.").into_bytes();
        signed.extend_from_slice(&request.body);
        let mut candidates = header("webhook-signature")?
            .split(' ')
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok());
        // Compares in a time that does not depend on how much is right.
        let good = candidates.any(|candidate| hmac::verify(&self.key, &signed, &candidate).is_ok());
        if good {
            Ok(())
        } else {
            Err(anyhow!("no signature is by the secret that it knows"))
        }
    }
}

fn told(endpoint: &mut Endpoint, body: &[u8]) -> Answer {
    let status = std::str::from_utf8(body).ok().and_then(|text| text.trim().parse().ok());
    match status {
        Some(status @ 200..=599) => {
            endpoint.told = Some(status);
            Answer::status(204)
        }
        _ => refusal(400, "the body must be a status from 200 to 599"),
    }
}

fn refusal(status: u16, reason: &str) -> Answer {
    Answer::json(&json!({"message": reason})).with_status(status)
}

/// Hours, minutes, seconds and milliseconds in UTC.
fn time_of_day(now: Duration) -> String {
    let seconds = now.as_secs() % 86_400;
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        now.subsec_millis()
    )
}

/// The secret in `conf/demo`.
const SECRET: &str = "whsec_ZGVtby1zZWNyZXQtZm9yLWFsbC10by1zZWU=";
/// How far the time of a signature may be off.
const TOLERANCE: Duration = Duration::from_secs(300);
