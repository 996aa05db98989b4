//! What the event's producer is told.

use super::super::memory::Then;
use super::*;

/// A job whose producer wants to be told at `address`.
fn job_of(state: DeliveryState, address: String) -> Job {
    let mut job = job(state);
    let mut event = Event::clone(&job.event);
    event.head.status_callback = Some(address);
    job.event = Arc::new(event);
    job
}

fn statuses(producer: &Endpoint) -> Vec<String> {
    let told = producer.got();
    let told = told
        .iter()
        .map(|got| serde_json::from_slice::<Value>(&got.body).unwrap());
    told.map(|message| message["status"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_producer_is_told_that_its_event_is_queued_and_what_became_of_it() {
    let (endpoint, producer) = (Endpoint::status(200).await, Endpoint::status(204).await);
    let subscription = subscription(&json!({"targetUrl": endpoint.url("/")}));
    let rig = Rig::new();
    let state = state();
    let outcome = rig
        .run_job(job_of(state.clone(), producer.url("/told?x=1")), &subscription)
        .await;
    assert_eq!(outcome.settlement.next, Next::Settled);
    assert_eq!(statuses(&producer), ["QUEUED", "SUCCESS"]);
    let told = &producer.got()[1];
    assert!(told.line.starts_with("POST /told?x=1 "), "{}", told.line);
    let message: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!(
        (
            &message["eventId"],
            &message["integrationId"],
            &message["responseStatus"],
            &message["messageId"]
        ),
        (&json!("e 1"), &json!("s"), &json!(200), &json!(state.id))
    );
}

#[tokio::test]
async fn an_attempt_that_is_repeated_tells_the_producer_nothing() {
    let (endpoint, producer) = (Endpoint::status(500).await, Endpoint::status(204).await);
    let subscription = subscription(&json!({"targetUrl": endpoint.url("/")}));
    let second = DeliveryState { attempts: 1, ..state() };
    let outcome = Rig::new()
        .run_job(job_of(state(), producer.url("/")), &subscription)
        .await;
    assert!(is_retried(&outcome));
    assert_eq!(statuses(&producer), ["QUEUED"]);
    let outcome = Rig::new()
        .run_job(job_of(second, producer.url("/")), &subscription)
        .await;
    assert!(matches!(outcome.settlement.next, Next::Dead { .. }));
    assert_eq!(statuses(&producer), ["QUEUED", "FAIL"]);
}

#[tokio::test]
async fn a_delivery_stays_open_until_its_producer_is_told() {
    let endpoint = Endpoint::status(200).await;
    let is_up = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    let producer = Endpoint::start(move |_| {
        let status = if up.load(std::sync::atomic::Ordering::SeqCst) {
            200
        } else {
            503
        };
        json_answer(status, "{}")
    })
    .await;
    let subscription = subscription(&json!({"targetUrl": endpoint.url("/")}));
    let rig = Rig::new();
    let ordered = DeliveryState {
        order_key: Some(3),
        ..state()
    };
    let outcome = rig.run_job(job_of(ordered, producer.url("/")), &subscription).await;
    assert_eq!(log(&outcome).status, DeliveryStatus::Success);
    let Next::Again(owing) = outcome.settlement.next else {
        panic!("the producer does not know");
    };
    assert_eq!(owing.order_key, None, "those behind it go on");
    let crashed = rig
        .attempts
        .crashed(&job_of(owing.clone(), producer.url("/")), &subscription, "it panicked");
    assert!(is_retried(&crashed) && crashed.settlement.records.is_empty());
    is_up.store(true, std::sync::atomic::Ordering::SeqCst);
    let outcome = rig.run_job(job_of(owing, producer.url("/")), &subscription).await;
    assert_eq!(outcome.settlement.next, Next::Settled);
    assert!(outcome.settlement.records.is_empty());
    assert_eq!(outcome.verdict, Verdict::default());
    assert_eq!(endpoint.got().len(), 1, "the event itself goes out once");
}

#[tokio::test]
async fn a_dead_letter_waits_for_its_producer_and_for_no_longer_than_the_tries_last() {
    let (endpoint, producer) = (Endpoint::status(400).await, Endpoint::status(500).await);
    let subscription = subscription(&json!({"targetUrl": endpoint.url("/")}));
    let rig = Rig::new();
    let first = state();
    let mut outcome = rig
        .run_job(job_of(first.clone(), producer.url("/")), &subscription)
        .await;
    assert_eq!(outcome.settlement.records.len(), 1, "it is no dead letter yet");
    let mut tries = 1;
    let retry_ms = loop {
        let state = match outcome.settlement.next {
            Next::Again(state) => state,
            Next::Dead { state, retry_ms } => {
                assert_eq!((state.id, state.dead_retries), (first.id, Some(0)));
                break retry_ms;
            }
            Next::Settled | Next::StillDead { .. } => panic!("the dead letter is lost"),
        };
        let memory = Memory::of(state.answers.as_deref());
        assert!(matches!(memory.owed.unwrap().then, Then::Dead { .. }));
        tries += 1;
        outcome = rig.run_job(job_of(state, producer.url("/")), &subscription).await;
    };
    assert!(retry_ms.is_some());
    assert_eq!(tries, 7);
    let Some(Record::DeadLetter(letter)) = outcome.settlement.records.first() else {
        panic!("{:?} has no dead letter", outcome.settlement.records);
    };
    assert_eq!(
        (letter.id.as_str(), letter.last_status),
        (&*first.id.to_string(), Some(400))
    );
    assert_eq!(endpoint.got().len(), 1);
}
