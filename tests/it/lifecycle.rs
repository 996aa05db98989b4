//! Starting, stopping and handing over.

use harness::answer::Gate;
use harness::client::Reply;
use harness::documents::{document, integration};
use harness::gateway::Setup;
use harness::{Answer, Gateway, Partner, wait};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn an_idle_gateway_ends_at_once_and_well() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let mut gateway = Setup::new()
        .file(&document([integration("labs", &partner.url(""))]))
        .set("shutdown", json!({"graceSeconds": 3600}))
        .start()
        .await;
    assert_eq!(gateway.get("labs.test", "/").await.status, 200);
    gateway.terminate();
    let status = gateway.process.ended().await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn requests_in_flight_are_finished_before_the_end() {
    let gate = Gate::new();
    let partner = Partner::answering(Answer::text("finished").after(&gate)).await;
    let mut gateway = Setup::new()
        .file(&document([integration("labs", &partner.url(""))]))
        .set("shutdown", json!({"graceSeconds": 3600}))
        .start()
        .await;
    let mut client = gateway.raw().await;
    client.request(&["GET / HTTP/1.1", "Host: labs.test"], "").await;
    partner.received(1).await;

    gateway.terminate();
    wait::until("the gateway to say that it stops", async || {
        let Ok(mut stream) = tokio::net::TcpStream::connect(gateway.http()).await else {
            return Some(());
        };
        // It may still accept while it drains: then it must say that it is not ready.
        drop(tokio::io::AsyncWriteExt::shutdown(&mut stream).await);
        let ready = Reply::try_of(harness::client::client().get(format!("http://{}/readyz", gateway.admin()))).await;
        ready.map_or(true, |reply| reply.status == 503).then_some(())
    })
    .await;
    assert!(gateway.process.is_running(), "it ended with a request in flight");
    gate.open();
    assert_eq!(client.answer().await.text(), "finished");
    assert!(gateway.process.ended().await.success());
}

#[tokio::test]
async fn the_grace_period_ends_a_request_that_never_does() {
    let gate = Gate::new();
    let partner = Partner::answering(Answer::text("never").after(&gate)).await;
    let mut gateway = Setup::new()
        .file(&document([integration("labs", &partner.url(""))]))
        .set("shutdown", json!({"graceSeconds": 1}))
        .start()
        .await;
    let mut client = gateway.raw().await;
    client.request(&["GET / HTTP/1.1", "Host: labs.test"], "").await;
    partner.received(1).await;
    gateway.terminate();
    gateway.process.ended().await;
}

#[tokio::test]
async fn an_interrupt_ends_it_too() {
    let mut gateway = Gateway::serving(&document([])).await;
    gateway.process.signal(Signal::SIGINT);
    gateway.process.ended().await;
}

#[tokio::test]
async fn a_new_process_takes_the_listeners_over_without_a_failed_request() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let mut old = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    let url = format!("http://{}/", old.http());
    let load = harness::load::start(4, {
        let client = harness::client::client();
        move || {
            // A connection for each call: one that idles may be closed at any time, as with every server.
            let request = client
                .get(&url)
                .header("host", "labs.test")
                .header("connection", "close");
            async move { Reply::try_of(request).await.is_ok_and(|reply| reply.status == 200) }
        }
    });
    wait::until("calls to the old process", async || (load.done() > 20).then_some(())).await;

    let socket = old.data_folder().join("upgrade.sock");
    let (new, ()) = tokio::join!(old.setup().argument("--upgrade").start(), async {
        wait::until("the new process to wait for the listeners", async || {
            socket.exists().then_some(())
        })
        .await;
        old.process.signal(Signal::SIGQUIT);
    });
    assert_eq!(new.http(), old.http(), "the new process has the same address");
    assert!(old.process.ended().await.success());
    let before = load.done();
    wait::until("calls to the new process", async || {
        (load.done() > before + 20).then_some(())
    })
    .await;
    let (done, failed) = load.stop().await;
    assert_eq!(failed, 0, "of {done} requests");
}

#[tokio::test]
async fn a_data_folder_has_one_owner() {
    let gateway = Gateway::serving(&document([])).await;
    let second = gateway.setup();
    let folder = second.data_folder();
    let mut command = std::process::Command::new(harness::binaries::find("gateway"));
    let settings = second.settings_file();
    command.arg("--config").arg(&settings);
    let mut process = harness::Process::start("second", command, folder.parent().unwrap());
    assert!(!process.ended().await.success());
    assert!(process.output().contains("data"), "{}", process.output());
    assert_eq!(gateway.admin_get("/healthz").await.status, 200);
}

#[tokio::test]
async fn settings_that_are_wrong_are_all_named() {
    let setup = Setup::new()
        .file(&document([]))
        .set("edge", json!({"headBytes": "many", "hedBytes": 1}))
        .set("listen.http", json!("nowhere"));
    let mut command = std::process::Command::new(harness::binaries::find("gateway"));
    command.arg("--config").arg(setup.settings_file());
    let folder = setup.data_folder();
    let mut process = harness::Process::start("wrong", command, folder.parent().unwrap());
    assert!(!process.ended().await.success());
    for name in ["edge.headBytes", "hedBytes", "listen.http"] {
        assert!(
            process.output().contains(name),
            "{name} is not named in {}",
            process.output()
        );
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = Setup::new().file(&document([])).set("listen.http", json!(address));
    let mut command = std::process::Command::new(harness::binaries::find("gateway"));
    command.arg("--config").arg(setup.settings_file());
    let folder = setup.data_folder();
    let mut process = harness::Process::start("taken", command, folder.parent().unwrap());
    assert!(!process.ended().await.success());
    assert!(process.output().contains(&address), "{}", process.output());
}

#[tokio::test]
async fn the_environment_wins_over_the_file() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let document = document([integration("labs", &partner.url(""))]);
    let gateway = Setup::new()
        .file(&document)
        .environment("GATEWAY_EDGE__HEAD_BYTES", "2048")
        .start()
        .await;
    let mut client = gateway.raw().await;
    client
        .request(
            &[
                "GET / HTTP/1.1",
                "Host: labs.test",
                &format!("X-Long: {}", "x".repeat(3000)),
            ],
            "",
        )
        .await;
    assert_eq!(client.answer().await.status, 431);
    assert_eq!(
        gateway
            .request(Method::GET, "labs.test", "/")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}
