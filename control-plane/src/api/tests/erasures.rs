//! Erasures, and gateways that are gone.

use std::time::Duration;

use super::deliveries::{connected, letter, tell};
use super::*;

#[tokio::test]
async fn a_short_number_needs_places_to_look_at() {
    let bench = Bench::start().await;
    let erase = async |subject: &str, anywhere: bool| {
        let wanted = json!({"orgId": 648, "subject": subject, "anywhere": anywhere});
        bench.send(Method::POST, "/api/v1/admin/erasures", &wanted).await
    };
    for short in ["7", "ab", "12345"] {
        let refused = erase(short, false).await.is(400);
        assert_eq!(refused.problems(), ["subject"]);
        assert!(refused.text.contains("subjectPaths"), "{}", refused.text);
    }
    for wrong in ["", " 123456", &"x".repeat(257)] {
        erase(wrong, true).await.is(400);
    }
    let anywhere = erase("7", true).await.is(202);
    assert_eq!(anywhere.body["onlyPaths"], false);
    assert_eq!(erase("123456", false).await.is(202).body["onlyPaths"], false);

    let paths = json!([{"path": "patient.mrn"}, {"path": "items[].patientId", "eventType": "bill.generated"}]);
    let organization = json!({"orgId": 648, "name": "Clinic", "subjectPaths": paths});
    let path = "/api/v1/admin/organizations/648";
    bench.send(Method::PUT, path, &organization).await.is(201);
    let by_paths = erase("7", false).await.is(202);
    assert_eq!(
        (&by_paths.body["paths"], &by_paths.body["onlyPaths"]),
        (&paths, &json!(true))
    );
    let anywhere = erase("7", true).await.is(202);
    assert_eq!(
        (&anywhere.body["paths"], &anywhere.body["onlyPaths"]),
        (&Value::Null, &json!(false))
    );

    let wrong = json!({"orgId": 648, "name": "Clinic", "subjectPaths": [{"path": "a..b"}]});
    let refused = bench.send(Method::PUT, path, &wrong).await.is(400);
    assert_eq!(refused.problems(), ["subjectPaths[0].path"]);
}

#[tokio::test]
async fn erasures_are_listed_page_by_page_the_newest_first() {
    let bench = Bench::start().await;
    let place = "/api/v1/admin/erasures";
    let mut begun = Vec::new();
    for number in 0..3 {
        let wanted = json!({"orgId": 648, "subject": format!("MRN-471{number}")});
        let erasure = bench.send(Method::POST, place, &wanted).await.is(202);
        begun.insert(0, erasure.body["id"].clone());
    }
    let ids = |page: &Reply| -> Vec<Value> {
        let erasures = page.body["erasures"].as_array().unwrap();
        erasures.iter().map(|erasure| erasure["id"].clone()).collect()
    };
    let first = bench.get(&format!("{place}?limit=2")).await.is(200);
    assert_eq!(
        (ids(&first), &first.body["hasMore"]),
        (begun[..2].to_vec(), &json!(true))
    );
    let cursor = first.body["nextCursor"].as_str().unwrap();
    let rest = bench.get(&format!("{place}?limit=2&cursor={cursor}")).await.is(200);
    assert_eq!(
        (ids(&rest), &rest.body["hasMore"]),
        (begun[2..].to_vec(), &json!(false))
    );
    assert_eq!(rest.body["nextCursor"], Value::Null);
    assert_eq!(ids(&bench.get(place).await.is(200)), begun);
    for limit in ["0", "201"] {
        let wrong = bench.get(&format!("{place}?limit={limit}")).await.is(400);
        assert_eq!(wrong.problems(), ["limit"]);
    }
}

#[tokio::test]
async fn an_erasure_waits_for_a_gateway_until_it_is_removed_and_goes_on_when_it_comes_back() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    tell(
        &mut gateway,
        1,
        &json!([letter(1, json!({"originalPayload": {"mrn": "MRN-4711"}}))]),
    )
    .await;
    let wanted = json!({"orgId": 648, "subject": "MRN-4711"});
    let begun = bench
        .send(Method::POST, "/api/v1/admin/erasures", &wanted)
        .await
        .is(202);
    let path = format!("/api/v1/admin/erasures/{}", begun.body["id"].as_str().unwrap());
    let told = gateway.next().await;
    assert_eq!(told["command"]["action"], "erase");
    let command = told["id"].as_str().unwrap().to_owned();

    let removed = async |id: &str| Reply::of(bench.request(Method::DELETE, &format!("/api/v1/gateways/{id}"))).await;
    removed("g1").await.is(409).has_code("CONFLICT");
    removed("g2").await.is(404);
    bench.scoped(Method::DELETE, "/api/v1/gateways/g1", None).await.is(403);
    drop(gateway);
    let waiting = until(&bench, &path, "RUNNING").await;
    assert_eq!(
        (&waiting["gateways"][0]["gone"], &waiting["removed"]["deadLetters"]),
        (&json!(false), &json!(1))
    );
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while removed("g1").await.status == StatusCode::CONFLICT {
        // The control plane sees the end of the connection a moment later.
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let listed = bench.get("/api/v1/gateways").await.is(200);
    assert_eq!(listed.body["gateways"], json!([]));
    let shown = bench.get(&format!("/api/v1/commands/{command}")).await.is(200);
    assert_eq!(shown.body["state"], "DONE");
    assert!(shown.text.contains("removed before"), "{}", shown.text);
    let ended = until(&bench, &path, "INCOMPLETE").await;
    assert_eq!(
        (&ended["gateways"][0]["gone"], &ended["gateways"][0]["done"]),
        (&json!(true), &json!(false))
    );
    assert!(ended["finishedAt"].is_string());

    // It comes back after all, also to another process.
    let bench = bench.restart().await;
    let mut gateway = connected(&bench).await;
    let told = gateway.next().await;
    assert_eq!(told["command"]["action"], "erase");
    assert_ne!(told["id"], command.as_str());
    let result = json!({"kind": "commanded", "value": {"id": told["id"], "result": {"done": 3}}});
    tell(&mut gateway, 2, &json!([result])).await;
    let done = until(&bench, &path, "DONE").await;
    assert_eq!(
        (&done["gateways"][0]["gone"], &done["gateways"][0]["events"]),
        (&json!(false), &json!(3))
    );
    let audit = bench.get("/api/v1/admin/audit-logs?limit=200").await.is(200);
    for action in ["erasure.begin", "gateway.remove", "erasure.incomplete", "erasure.done"] {
        assert!(audit.text.contains(action), "{action}: {}", audit.text);
    }
    assert!(!audit.text.contains("4711"), "{}", audit.text);
}

/// Waits until an erasure is in a state.
async fn until(bench: &Bench, path: &str, state: &str) -> Value {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let shown = bench.get(path).await.is(200);
        if shown.body["state"] == state && shown.body["sweptAt"].is_string() {
            return shown.body;
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", shown.text);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
