//! What the demo shows of events: handed over, delivered, late and in order, dead and alive again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use harness::client::Reply;
use reqwest::Method;
use serde_json::{Value, json};

use crate::show;
use crate::stage::{OPERATOR_KEY, Stage};

/// The producer's key in `conf/demo`.
const PRODUCER_KEY: &str = "demo-producer-key-648";
/// The subscriptions in `conf/demo`; each is delivered to the path of its name.
const INSURER: &str = "insurer";
const ACCOUNTING: &str = "accounting";

/// Runs every step.
pub(crate) async fn run(stage: &Stage) -> anyhow::Result<()> {
    hand_over_one(stage).await?;
    delivered_and_signed(stage).await?;
    down_for_a_while(stage).await?;
    dead_and_alive_again(stage).await?;
    nothing_left(stage).await
}

async fn hand_over_one(stage: &Stage) -> anyhow::Result<()> {
    show::step("A product hands over an event; its 202 comes when the event is safe on disk");
    let taken = hand_over(stage, &bill("B-1"), 202).await?;
    ensure!(taken["deliveries"] == 2, "two subscriptions should get it: {taken}");
    show::note("The answer got lost? The same again does no harm:");
    let repeat = hand_over(stage, &bill("B-1"), 202).await?;
    ensure!(repeat["duplicate"] == true, "the repeat was not recognized: {repeat}");
    show::note("An event that does not fit the schema of its type is refused, with the reason:");
    let wrong = json!({"eventType": "bill.generated", "payload": {"bill": {"number": "B-0", "amount": -1}}});
    let refused = hand_over(stage, &wrong, 422).await?;
    ensure!(
        refused["code"] == "SCHEMA_VIOLATION",
        "the reason is not the schema: {refused}"
    );
    Ok(())
}

async fn delivered_and_signed(stage: &Stage) -> anyhow::Result<()> {
    show::step("Both subscribers have it, each in its own form; the receiver verifies the signatures");
    let mut claim = delivered(stage, INSURER, "B-1").await?;
    let bill_itself = delivered(stage, ACCOUNTING, "B-1").await?;
    printed_by_receiver(stage, "B-1");
    let mapped = json!({"claim": {"reference": "B-1", "total": 125.5, "currency": "INR"}});
    ensure!(claim["body"] == mapped, "the insurer should get {mapped}: {claim}");
    ensure!(
        bill_itself["body"] == bill("B-1")["payload"],
        "accounting should get the payload as it is: {bill_itself}"
    );
    show::document("the insurer got", &claim["body"].take());
    Ok(())
}

async fn down_for_a_while(stage: &Stage) -> anyhow::Result<()> {
    show::step("Accounting is down; its bills wait for it in their order, and the insurer gets its own at once");
    answers(stage, ACCOUNTING, 503).await?;
    hand_over(stage, &json!([bill("B-2"), bill("B-3")]), 202).await?;
    delivered(stage, INSURER, "B-3").await?;
    show::note("The insurer has both. What is not delivered, and why, is known to the control plane:");
    let path = format!("/api/v1/undelivered?orgId=648&integrationConfigId=648-{ACCOUNTING}");
    show::command(&operator_curl(stage, &Method::GET, &path));
    let waiting = until("the two bills that accounting waits for", async || {
        let undelivered = ask(stage, &path).await?;
        let waiting = &undelivered["endpoints"][0];
        let is_told = waiting["open"] == 2 && waiting["nextAttemptAt"].is_string();
        Ok(Seen::when(is_told, undelivered))
    })
    .await?;
    show::output(&format!("{waiting:#}"));
    show::note("It comes back:");
    answers(stage, ACCOUNTING, 204).await?;
    delivered(stage, ACCOUNTING, "B-3").await?;
    in_order(stage).await?;
    show::note("Every attempt is on record:");
    let path = format!("/api/v1/logs?orgId=648&integrationConfigId=648-{ACCOUNTING}");
    let columns = [
        "createdAt",
        "eventId",
        "attemptCount",
        "responseStatus",
        "status",
        "nextRetryAt",
    ];
    show::command(&format!(
        "{} | jq -r '.logs | reverse | .[] | [.{}] | @tsv'",
        operator_curl(stage, &Method::GET, &path),
        columns.join(", .")
    ));
    let attempts = logged(stage, &path, "B-3").await?;
    let retries = attempts
        .iter()
        .filter(|attempt| attempt["status"] == "RETRYING")
        .count();
    ensure!(retries > 0, "no retry is on record: {attempts:?}");
    for attempt in &attempts {
        show::row(columns.map(|column| &attempt[column]));
    }
    Ok(())
}

/// Fails unless accounting got B-3 only after it had B-2, which it got under one identifier however often it was tried.
async fn in_order(stage: &Stage) -> anyhow::Result<()> {
    let deliveries = deliveries(stage, ACCOUNTING).await?;
    let of = |event: &'static str| deliveries.iter().filter(move |delivery| delivery["event"] == event);
    let first: Vec<_> = of("B-2").collect();
    ensure!(
        first.len() > 1
            && first
                .iter()
                .all(|delivery| delivery["webhookId"] == first[0]["webhookId"]),
        "B-2 should have been tried more than once, always under the same identifier: {deliveries:?}"
    );
    let position = |event: &str| deliveries.iter().position(|delivery| delivery["event"] == event);
    let taken = deliveries
        .iter()
        .position(|delivery| delivery["event"] == "B-2" && delivery["answered"] == 204);
    ensure!(
        taken.is_some() && taken < position("B-3"),
        "B-3 did not wait for B-2: {deliveries:?}"
    );
    Ok(())
}

async fn dead_and_alive_again(stage: &Stage) -> anyhow::Result<()> {
    show::step("Accounting refuses a bill for good: it becomes a dead letter, and an operator has it tried again");
    answers(stage, ACCOUNTING, 422).await?;
    hand_over(stage, &bill("B-4"), 202).await?;
    let list = "/api/v1/dlq?orgId=648";
    show::command(&operator_curl(stage, &Method::GET, list));
    let letters = until("the dead letter", async || {
        let letters = ask(stage, list).await?;
        let is_there = letters["deadLetters"][0]["eventId"] == "B-4";
        Ok(Seen::when(is_there, letters))
    })
    .await?;
    show::output(&format!("{letters:#}"));
    let letter = &letters["deadLetters"][0];
    ensure!(letter["lastStatus"] == 422, "the reason is not the 422: {letter}");
    let id = letter["id"].as_str().context("the dead letter has no id")?;
    show::note("The books are mended:");
    answers(stage, ACCOUNTING, 204).await?;
    let path = format!("/api/v1/dlq/{id}/retry");
    show::command(&operator_curl(stage, &Method::POST, &path));
    let told = operator_call(stage, &Method::POST, &path).await?;
    show::reply(&told, &[]);
    ensure!(told.status == 202, "the retry was answered with {}", told.status);
    let delivery = delivered(stage, ACCOUNTING, "B-4").await?;
    ensure!(
        delivery["webhookId"] == id,
        "it is another delivery than before: {delivery}"
    );
    printed_by_receiver(stage, "B-4");
    show::command(&operator_curl(stage, &Method::GET, list));
    let left = until("the list of dead letters to be empty", async || {
        let letters = ask(stage, list).await?;
        let is_empty = letters["deadLetters"] == json!([]);
        Ok(Seen::when(is_empty, letters))
    })
    .await?;
    show::output(&format!("{left:#}"));
    Ok(())
}

async fn nothing_left(stage: &Stage) -> anyhow::Result<()> {
    show::step("The gateway's queue is empty");
    show::command(&format!(
        "curl -s http://{}/queue | jq -c '{{open, dead}}'",
        stage.admin
    ));
    let url = format!("http://{}/queue", stage.admin);
    let queue = until("the queue to be empty", async || {
        let queue = Reply::try_of(stage.client.get(&url)).await?.json();
        let queue = json!({"open": queue["open"], "dead": queue["dead"]});
        let is_empty = queue == json!({"open": 0, "dead": 0});
        Ok(Seen::when(is_empty, queue))
    })
    .await?;
    show::output(&queue.to_string());
    Ok(())
}

/// Posts events to the gateway, shows the answer and returns it.
async fn hand_over(stage: &Stage, events: &Value, expected: u16) -> anyhow::Result<Value> {
    let url = format!("http://{}/api/v1/events", stage.gateway);
    show::command(&format!(
        "curl -i {url} -H 'X-API-Key: {PRODUCER_KEY}' -H 'Content-Type: application/json' -d '{events}'"
    ));
    let request = stage.client.post(url).header("x-api-key", PRODUCER_KEY).json(events);
    let reply = Reply::try_of(request).await?;
    show::reply(&reply, &[]);
    ensure!(
        reply.status == expected,
        "the answer should have been {expected}, and was {}",
        reply.status
    );
    Ok(reply.json())
}

/// Has the receiver answer deliveries to that endpoint so from now on.
async fn answers(stage: &Stage, endpoint: &str, status: u16) -> anyhow::Result<()> {
    let url = format!("http://{}/{endpoint}", stage.receiver);
    show::command(&format!("curl -X PUT {url} -d {status}"));
    let reply = Reply::try_of(stage.client.put(url).body(status.to_string())).await?;
    ensure!(
        reply.status == 204,
        "the receiver said {}: {}",
        reply.status,
        reply.text()
    );
    Ok(())
}

/// Waits until the endpoint has taken the event, and fails if a signature was wrong.
async fn delivered(stage: &Stage, endpoint: &str, event: &str) -> anyhow::Result<Value> {
    until(&format!("{event} at {endpoint}"), async || {
        let deliveries = deliveries(stage, endpoint).await?;
        ensure!(
            deliveries.iter().all(|delivery| delivery["verified"] == true),
            "the receiver could not verify a signature: {deliveries:?}"
        );
        let taken = |delivery: &&Value| delivery["event"] == event && delivery["answered"] == 204;
        Ok(match deliveries.iter().find(taken) {
            Some(delivery) => Seen::Yes(delivery.clone()),
            None => Seen::NotYet(json!(deliveries)),
        })
    })
    .await
}

async fn deliveries(stage: &Stage, endpoint: &str) -> anyhow::Result<Vec<Value>> {
    let url = format!("http://{}/{endpoint}", stage.receiver);
    let reply = Reply::try_of(stage.client.get(url)).await?;
    Ok(serde_json::from_slice(&reply.body)?)
}

fn printed_by_receiver(stage: &Stage, event: &str) {
    show::note("the receiver printed");
    let of_event = format!("  {event}  ");
    for line in stage
        .written_by("receiver")
        .lines()
        .filter(|line| line.contains(&of_event))
    {
        show::output(line);
    }
}

/// The records of attempts, the oldest first, once the event's success is among them.
async fn logged(stage: &Stage, path: &str, event: &str) -> anyhow::Result<Vec<Value>> {
    until(&format!("the record of {event}"), async || {
        let mut page = ask(stage, path).await?;
        let Value::Array(mut logs) = page["logs"].take() else {
            bail!("there are no logs in {page}");
        };
        logs.reverse();
        let is_there = logs
            .iter()
            .any(|log| log["eventId"] == event && log["status"] == "SUCCESS");
        Ok(if is_there {
            Seen::Yes(logs)
        } else {
            Seen::NotYet(json!(logs))
        })
    })
    .await
}

/// What the control plane says.
async fn ask(stage: &Stage, path: &str) -> anyhow::Result<Value> {
    let reply = operator_call(stage, &Method::GET, path).await?;
    ensure!(
        reply.status == 200,
        "{path} was answered with {}: {}",
        reply.status,
        reply.text()
    );
    Ok(serde_json::from_slice(&reply.body)?)
}

async fn operator_call(stage: &Stage, method: &Method, path: &str) -> anyhow::Result<Reply> {
    let url = format!("http://{}{path}", stage.control_plane);
    let request = stage.client.request(method.clone(), url);
    Ok(Reply::try_of(request.header("x-api-key", OPERATOR_KEY)).await?)
}

fn operator_curl(stage: &Stage, method: &Method, path: &str) -> String {
    let address = &stage.control_plane;
    let method = match *method {
        Method::GET => String::new(),
        _ => format!("-X {method} "),
    };
    format!("curl -s {method}'http://{address}{path}' -H 'X-API-Key: {OPERATOR_KEY}'")
}

/// What was found, or what was seen in its place.
enum Seen<T> {
    Yes(T),
    NotYet(Value),
}

impl Seen<Value> {
    fn when(is_it: bool, seen: Value) -> Self {
        if is_it { Self::Yes(seen) } else { Self::NotYet(seen) }
    }
}

/// Looks again and again until it is found; fails with what was seen last.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> anyhow::Result<Seen<T>>) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await? {
            Seen::Yes(found) => return Ok(found),
            Seen::NotYet(seen) if Instant::now() > deadline => {
                bail!("waited {} s for {what}; seen was {seen:#}", PATIENCE.as_secs())
            }
            Seen::NotYet(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}

fn bill(number: &str) -> Value {
    json!({
        "eventType": "bill.generated",
        "id": number,
        "payload": {"bill": {"number": number, "amount": 125.5}},
    })
}

const PATIENCE: Duration = Duration::from_secs(20);
const INTERVAL: Duration = Duration::from_millis(20);
