//! Several steps, schedules, dead letters.

use super::*;

#[tokio::test]
async fn later_steps_see_earlier_answers_and_failures_are_undone() {
    let endpoint = Endpoint::start(|got| {
        if got.line.contains("/ship") {
            json_answer(422, "{}")
        } else {
            json_answer(201, r#"{"reservation":"r7"}"#)
        }
    })
    .await;
    let by_id = json!([{"sourceField": "steps.reserve.body.reservation", "targetField": "reservation"}]);
    let subscription = subscription(&json!({"actions": [
        {"name": "reserve", "targetUrl": endpoint.url("/reserve"), "compensate": {
            "targetUrl": endpoint.url("/undo"), "httpMethod": "DELETE", "transformationMode": "SIMPLE", "fieldMappings": by_id}},
        {"name": "ship", "targetUrl": endpoint.url("/ship"), "transformationMode": "SIMPLE", "fieldMappings": by_id},
    ]}));
    let rig = Rig::new();
    let mut next = state();
    let mut logs = Vec::new();
    let records = loop {
        let outcome = rig.run_job(job(next), &subscription).await;
        logs.push(log(&outcome).clone());
        match outcome.settlement.next {
            Next::Again(state) => next = state,
            Next::Dead { .. } => break outcome.settlement.records,
            Next::Settled | Next::StillDead { .. } => panic!("it was not delivered"),
        }
    };
    let lines: Vec<String> = endpoint
        .got()
        .iter()
        .map(|got| format!("{} {}", got.line, String::from_utf8_lossy(&got.body)))
        .collect();
    assert_eq!(
        lines,
        [
            r#"POST /reserve HTTP/1.1 {"bill":{"id":7,"total":12.5}}"#,
            r#"POST /ship HTTP/1.1 {"reservation":"r7"}"#,
            r#"DELETE /undo HTTP/1.1 {"reservation":"r7"}"#
        ]
    );
    let told: Vec<_> = logs
        .iter()
        .map(|log| (log.action_name.as_deref(), log.compensation, log.status))
        .collect();
    assert_eq!(
        told,
        [
            (Some("reserve"), false, DeliveryStatus::Success),
            (Some("ship"), false, DeliveryStatus::Failed),
            (Some("reserve"), true, DeliveryStatus::Success)
        ]
    );
    let Some(Record::DeadLetter(letter)) = records.get(1) else {
        panic!("{records:?} has no dead letter");
    };
    assert_eq!(
        (letter.action_name.as_deref(), letter.last_status),
        (Some("ship"), Some(422))
    );
    assert_eq!(letter.id, logs[1].message_id);
}

#[tokio::test]
async fn a_crash_is_repeated_by_the_schedule_and_is_not_the_endpoints_fault() {
    let subscription = subscription(&json!({"targetUrl": "http://127.0.0.1:1/"}));
    let outcome = Rig::new().attempts.crashed(&job(state()), &subscription, "it panicked");
    assert!(is_retried(&outcome));
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Internal));
    assert!(log(&outcome).error_message.as_ref().unwrap().contains("it panicked"));
    assert_eq!(outcome.verdict.health, Health::Unknown);
}

#[tokio::test]
async fn a_step_that_the_subscription_no_longer_has_is_a_dead_letter() {
    let subscription = subscription(&json!({"targetUrl": "http://127.0.0.1:1/"}));
    let lost = DeliveryState {
        step: Step::Forward(4),
        ..state()
    };
    let outcome = Rig::new().run_job(job(lost), &subscription).await;
    assert!(matches!(outcome.settlement.next, Next::Dead { .. }));
}

#[tokio::test]
async fn a_time_that_the_payload_does_not_name_is_a_dead_letter() {
    let endpoint = Endpoint::status(200).await;
    let outcome = Rig::new()
        .run(&json!({"targetUrl": endpoint.url("/"), "schedulingMode": "DELAYED",
            "schedulingConfig": {"untilField": "visit.at"}}))
        .await;
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Transformation));
    assert!(log(&outcome).error_message.as_ref().unwrap().contains("visit.at"));
    let scheduled = outcome.settlement.records.iter().find_map(|record| match record {
        Record::Scheduled(scheduled) => Some(scheduled),
        _ => None,
    });
    assert_eq!(scheduled.unwrap().id, "g1:5-2");
    assert!(endpoint.got().is_empty());
}

#[tokio::test]
async fn a_dead_letter_that_is_delivered_is_gone() {
    let endpoint = Endpoint::status(200).await;
    let subscription = subscription(&json!({"targetUrl": endpoint.url("/")}));
    let retried = DeliveryState {
        dead_retries: Some(1),
        trigger: TriggerType::Scheduled,
        ..state()
    };
    let id = retried.id.to_string();
    let outcome = Rig::new().run_job(job(retried), &subscription).await;
    assert_eq!(outcome.settlement.next, Next::Settled);
    assert!(outcome.settlement.records.contains(&Record::DeadLetterGone(id)));
}
