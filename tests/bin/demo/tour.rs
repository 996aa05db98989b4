//! What the demo shows, step by step; each step fails if it does not show it.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use harness::client::Reply;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::stage::{OPERATOR_KEY, Stage};
use crate::{events, show};

/// The client's key in `conf/demo`.
const CLIENT_KEY: &str = "demo-key-648";
const APPOINTMENTS: &str = "appointments.gateway.localhost";
const LABS: &str = "labs.gateway.localhost";

/// Runs every step.
pub(crate) async fn run(stage: &mut Stage) -> anyhow::Result<()> {
    push_routes(stage).await?;
    proxied_and_transformed(stage).await?;
    without_a_key(stage).await?;
    beyond_the_limit(stage).await?;
    change_live(stage).await?;
    events::run(stage).await?;
    show::step("The control plane knows what each gateway runs");
    gwctl(stage, &["status"]).await?;
    stage.all_run()
}

async fn push_routes(stage: &Stage) -> anyhow::Result<()> {
    show::step("The gateway runs without a route; gwctl brings them, and subscriptions, through the control plane");
    let partner = format!("PARTNER=http://{}", stage.partner);
    let receiver = format!("RECEIVER=http://{}", stage.receiver);
    show::environment(stage);
    let arguments = [
        "apply",
        "-f",
        "conf/demo",
        "--set",
        &partner,
        "--set",
        &receiver,
        "--wait",
        "20",
    ];
    gwctl(stage, &arguments).await
}

async fn gwctl(stage: &Stage, arguments: &[&str]) -> anyhow::Result<()> {
    show::command(&format!("{} {}", stage.gwctl_program(), arguments.join(" ")));
    show::output(&stage.gwctl(arguments).await?);
    Ok(())
}

async fn proxied_and_transformed(stage: &Stage) -> anyhow::Result<()> {
    show::step("A client books an appointment; the gateway checks its key, maps the body and signs in to the partner");
    let request = booking();
    show::command(&format!(
        "curl -i http://{} -H 'Host: {APPOINTMENTS}' -H 'X-API-Key: {CLIENT_KEY}' -H 'Content-Type: application/json' -d '{request}'",
        stage.gateway
    ));
    let reply = Reply::of(book(stage, &request).header("x-api-key", CLIENT_KEY)).await;
    ensure!(
        reply.status == 201,
        "the booking was answered with {}: {}",
        reply.status,
        reply.text()
    );
    let mut answer = reply.json();
    let received = answer
        .as_object_mut()
        .and_then(|fields| fields.shift_remove("receivedByPartner"));
    let received = received.context("the answer does not say what the partner received")?;
    show::document("the client sent", &request);
    show::document("the partner received, with its own key in X-Partner-Key", &received);
    show::document("the client was answered 201", &answer);
    ensure!(
        received["patient"]["fullName"] == "ASHA RAO",
        "the name was not mapped: {received}"
    );
    ensure!(
        received["patient"]["bornOn"] == "1990-03-07",
        "the date was not mapped: {received}"
    );
    ensure!(
        received["lines"][1]["quantity"] == 1,
        "the default was not set: {received}"
    );
    ensure!(
        answer["bookingId"] == "A-1001" && answer["status"] == "booked",
        "the answer was not mapped: {answer}"
    );
    Ok(())
}

async fn without_a_key(stage: &Stage) -> anyhow::Result<()> {
    show::step("Without a key nobody comes through");
    let request = booking();
    show::command(&format!(
        "curl -i http://{} -H 'Host: {APPOINTMENTS}' -H 'Content-Type: application/json' -d '{request}'",
        stage.gateway
    ));
    let reply = Reply::of(book(stage, &request)).await;
    show::reply(&reply, &["www-authenticate"]);
    ensure!(
        reply.status == 401 && reply.code() == "UNAUTHORIZED",
        "the answer was {}",
        reply.status
    );
    Ok(())
}

async fn beyond_the_limit(stage: &Stage) -> anyhow::Result<()> {
    show::step("Five bookings in ten seconds for each key, then the client is told when to come back");
    let request = booking();
    show::command(&format!(
        "for i in $(seq 8); do curl -s -o /dev/null -w '%{{http_code}}\\n' http://{} -H 'Host: {APPOINTMENTS}' \
         -H 'X-API-Key: {CLIENT_KEY}' -H 'Content-Type: application/json' -d '{request}'; done",
        stage.gateway
    ));
    for _ in 0..MOST_BOOKINGS {
        let reply = Reply::of(book(stage, &request).header("x-api-key", CLIENT_KEY)).await;
        if reply.status == 429 {
            show::reply(&reply, &["retry-after", "ratelimit-policy", "ratelimit"]);
            ensure!(
                reply.header("retry-after").is_some(),
                "the 429 does not say when to come back"
            );
            return Ok(());
        }
        ensure!(
            reply.status == 201,
            "a booking within the limit was answered with {}",
            reply.status
        );
        show::note(&format!(
            "< {}  ratelimit: {}",
            reply.status,
            reply.header("ratelimit").unwrap_or_default()
        ));
    }
    bail!("{MOST_BOOKINGS} bookings in a row, and no 429")
}

async fn change_live(stage: &Stage) -> anyhow::Result<()> {
    show::step("An operator edits a route; the gateway serves the new one at once");
    show::command(&format!(
        "curl -i http://{}/labs -H 'Host: {LABS}' -H 'X-API-Key: {CLIENT_KEY}'",
        stage.gateway
    ));
    let before = Reply::of(labs(stage)).await;
    show::reply(&before, &[]);
    ensure!(
        before.status == 200 && before.json()["count"] == 2,
        "the route does not serve before the change"
    );

    let (url, mut integration) = stored(stage, "lab-results").await?;
    integration["responseTransformScript"] = json!(NEW_SCRIPT);
    let file = stage.folder.path().join("edited.json");
    fs::write(&file, format!("{integration:#}"))?;
    show::command(&format!(
        "curl -X PUT '{url}' -H 'X-API-Key: {OPERATOR_KEY}' -H 'Content-Type: application/json' -d @{}",
        file.display()
    ));
    show::note(&format!("with responseTransformScript: {NEW_SCRIPT}"));
    let put = stage.client.put(&url).header("x-api-key", OPERATOR_KEY);
    let put = Reply::of(put.json(&integration)).await;
    let answered = Instant::now();
    ensure!(
        put.status == 200,
        "the PUT was answered with {}: {}",
        put.status,
        put.text()
    );
    let (after, old) = first_new_answer(stage, &before).await?;
    show::note(&format!(
        "The first new answer came {:.1} ms after the PUT was answered. Calls that had the old one till then: {old}; that failed: 0.",
        answered.elapsed().as_secs_f64() * 1000.0
    ));
    show::reply(&after, &[]);
    Ok(())
}

/// Calls without a pause until the edited route answers; also gives how many calls still had the old answer.
async fn first_new_answer(stage: &Stage, before: &Reply) -> anyhow::Result<(Reply, u32)> {
    let deadline = Instant::now() + LONGEST_CHANGE;
    for old in 0.. {
        let reply = Reply::of(labs(stage)).await;
        ensure!(
            reply.status == 200,
            "a call during the change was answered with {}: {}",
            reply.status,
            reply.text()
        );
        if reply.json()["edited"] == "live" {
            return Ok((reply, old));
        }
        ensure!(
            reply.body == before.body,
            "an answer is neither the old nor the new one: {}",
            reply.text()
        );
        ensure!(
            Instant::now() < deadline,
            "the change is not live after {LONGEST_CHANGE:?}"
        );
    }
    bail!("the change never became live")
}

/// The address and the stored form of an integration, found by its type.
async fn stored(stage: &Stage, kind: &str) -> anyhow::Result<(String, Value)> {
    let base = format!("http://{}/api/v1/inbound-integrations", stage.control_plane);
    let list = stage
        .client
        .get(format!("{base}?orgId=648"))
        .header("x-api-key", OPERATOR_KEY);
    let list = Reply::of(list).await;
    ensure!(
        list.status == 200,
        "the list was answered with {}: {}",
        list.status,
        list.text()
    );
    let list = list.json();
    let integrations = list["integrations"]
        .as_array()
        .context("the list has no integrations")?;
    let integration = integrations.iter().find(|integration| integration["type"] == kind);
    let integration = integration.with_context(|| format!("there is no {kind} in {list}"))?;
    let id = integration["id"].as_str().context("an integration has no id")?;
    Ok((format!("{base}/{id}?orgId=648"), integration.clone()))
}

fn book(stage: &Stage, body: &Value) -> RequestBuilder {
    let url = format!("http://{}/", stage.gateway);
    stage.client.post(url).header("host", APPOINTMENTS).json(body)
}

fn labs(stage: &Stage) -> RequestBuilder {
    let url = format!("http://{}/labs", stage.gateway);
    stage
        .client
        .get(url)
        .header("host", LABS)
        .header("x-api-key", CLIENT_KEY)
}

fn booking() -> Value {
    json!({
        "patientId": "P-7",
        "patient": {"name": " Asha Rao ", "birthDate": "07/03/1990"},
        "items": [{"code": "hba1c", "quantity": 2}, {"code": "lipid"}],
        "notes": "",
    })
}

const NEW_SCRIPT: &str = "fn transform(payload, context) { #{ edited: \"live\", count: payload.labs.len() } }";
const MOST_BOOKINGS: usize = 12;
const LONGEST_CHANGE: Duration = Duration::from_secs(20);
