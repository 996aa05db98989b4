//! The partner of the demo: a small scheduling API that wants its own key, as partners do.
#![expect(clippy::print_stdout, reason = "says where it listens")]

use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Parser;
use harness::{Answer, Partner, Received};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A partner API for the demo.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let partner = Partner::on(listener, answer);
    println!("demo-partner listening on {}", partner.address());
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminated.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

fn answer(request: &Received) -> Answer {
    if !is_signed_in(request) {
        return refusal(
            401,
            "the partner wants its own credential: X-Partner-Key or a bearer token",
        );
    }
    let path = request.uri.path();
    match (request.method.as_str(), path) {
        ("POST", "/v1/appointments") => booked(request),
        ("GET", "/v1/labs") => Answer::json(&json!({"labs": [{"code": "HBA1C"}, {"code": "LIPID"}]})),
        ("GET", _) if path.starts_with("/v2/patients/") => {
            let id = path.trim_start_matches("/v2/patients/");
            Answer::json(&json!({"id": id, "name": "Asha Rao"}))
        }
        _ => refusal(404, "the partner knows no such thing"),
    }
}

fn is_signed_in(request: &Received) -> bool {
    request.header("x-partner-key") == Some(SECRET) || request.header("authorization") == Some(BEARER)
}

fn booked(request: &Received) -> Answer {
    let Ok(received) = serde_json::from_slice::<Value>(&request.body) else {
        return refusal(400, "the partner reads JSON only");
    };
    Answer::json(&json!({
        "appointment": {"id": "A-1001", "status": "BOOKED", "startsAt": "2026-03-02T09:30:00Z"},
        "received": received,
    }))
    .with_status(201)
}

fn refusal(status: u16, reason: &str) -> Answer {
    Answer::json(&json!({"message": reason})).with_status(status)
}

/// What the gateway must show, in `X-Partner-Key` or as a bearer token.
const SECRET: &str = "partner-secret";
const BEARER: &str = "Bearer partner-secret";
