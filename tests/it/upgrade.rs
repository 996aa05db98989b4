//! A new process takes over from a running one while events come in.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use harness::answer::Gate;
use harness::client::{Reply, client};
use harness::documents::{integration, with};
use harness::events::{KEY, bill, events_document, subscription};
use harness::gateway::Setup;
use harness::{Answer, Gateway, Receiver, load, wait};
use nix::sys::signal::Signal;
use reqwest::RequestBuilder;
use serde_json::json;

/// Attempts that the subscription of this test may have under way.
const CONCURRENCY: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_under_load_loses_no_event() {
    let receiver = Receiver::start().await;
    let limits = json!({"rateLimits": {"maxConcurrency": CONCURRENCY}});
    let mut old = Gateway::serving(&events_document([with(
        subscription("billing", &receiver.url("/")),
        limits,
    )]))
    .await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let load = load::start(4, {
        let (url, client) = (format!("http://{}/api/v1/events", old.http()), client());
        let (acknowledged, number) = (Arc::clone(&acknowledged), Arc::new(AtomicU64::new(0)));
        move || {
            let id = format!("B-{}", number.fetch_add(1, Ordering::Relaxed));
            // A connection for each call: one that idles may be closed at any time, as with every server.
            let request = client.post(&url).header("x-api-key", KEY).header("connection", "close");
            let (request, acknowledged) = (request.json(&bill(&id)), Arc::clone(&acknowledged));
            async move {
                let taken_in = taken_in(request).await;
                if taken_in {
                    acknowledged.lock().unwrap().push(id);
                }
                taken_in
            }
        }
    });
    wait::until("events at the old process", async || (load.done() > 50).then_some(())).await;
    let new = upgraded(&mut old).await;
    assert!(old.process.ended().await.success());
    let before = load.done();
    wait::until("events at the new process", async || {
        (load.done() > before + 50).then_some(())
    })
    .await;
    let (done, failed) = load.stop().await;
    assert_eq!(
        failed, 0,
        "of {done} events were neither taken in nor told to come back"
    );
    wait::until("everything to be delivered", async || {
        (new.admin_get("/queue").await.json()["open"] == 0).then_some(())
    })
    .await;
    let mut times = BTreeMap::<String, usize>::new();
    for request in receiver.requests() {
        *times.entry(request.header("ce-id").unwrap().to_owned()).or_default() += 1;
    }
    let acknowledged = acknowledged.lock().unwrap();
    let lost: Vec<_> = acknowledged.iter().filter(|id| !times.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{lost:?} of {} were lost", acknowledged.len());
    let doubled = times.values().filter(|times| **times > 1).count();
    assert!(doubled <= CONCURRENCY, "{doubled} were delivered twice");
}

#[tokio::test]
async fn the_new_process_proxies_while_events_wait_for_the_queue() {
    let gate = Gate::new();
    let receiver = Receiver::start().await;
    receiver.next([Answer::status(200).after(&gate)]);
    let mut document = events_document([subscription("billing", &receiver.url("/"))]);
    let integrations = document["integrations"].as_array_mut().unwrap();
    integrations.push(integration("labs", &receiver.url("")));
    let mut old = Setup::new()
        .file(&document)
        .set("delivery", json!({"handOverMs": 60_000}))
        .start()
        .await;
    old.accept(&bill("B-1")).await;
    receiver.received(1).await;
    let new = upgraded(&mut old).await;
    assert_eq!(new.get("labs.test", "/").await.status, 200);
    let refused = new.hand_over(&bill("B-2")).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    gate.open();
    wait::until("events to be taken in again", async || {
        (new.hand_over(&bill("B-2")).await.status == 202).then_some(())
    })
    .await;
    assert!(old.process.ended().await.success());
    wait::until("everything to be delivered", async || {
        (new.admin_get("/queue").await.json()["open"] == 0).then_some(())
    })
    .await;
    let ids: Vec<_> = receiver
        .requests()
        .iter()
        .filter_map(|request| request.header("ce-id").map(str::to_owned))
        .collect();
    assert_eq!(ids, ["B-1", "B-2"]);
}

/// Hands an event over until it is taken in; false if it is neither that nor told to come back.
async fn taken_in(request: RequestBuilder) -> bool {
    loop {
        match Reply::try_of(request.try_clone().unwrap()).await {
            Ok(reply) if reply.status == 202 => return true,
            Ok(reply) if reply.status == 503 && reply.header("retry-after").is_some() => {}
            Ok(_) | Err(_) => return false,
        }
    }
}

/// A new process in the place of `old`.
async fn upgraded(old: &mut Gateway) -> Gateway {
    let socket = old.data_folder().join("upgrade.sock");
    let (new, ()) = tokio::join!(old.setup().argument("--upgrade").start(), async {
        wait::until("the new process to wait for the listeners", async || {
            socket.exists().then_some(())
        })
        .await;
        old.process.signal(Signal::SIGQUIT);
    });
    new
}
