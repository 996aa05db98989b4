//! Nothing that was acknowledged is lost, whatever ends the process: a signal, or the power.
//!
//! `KILL_ROUNDS` sets how often the gateway is killed; `KILL_SEED` repeats a run.
#![expect(clippy::print_stdout, reason = "a run that fails must say how to repeat it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use harness::crash::{Call, Crash, Shim, syncs};
use harness::documents::{ORG, organization};
use harness::gateway::Setup;
use harness::{Answer, Partner, binaries, wait};
use nix::sys::signal::Signal;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Units that events happen in; each has an order of its own.
const ENTITIES: u64 = 4;
/// Deliveries of the unordered subscription that may be under way at a time.
const CONCURRENCY: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_point_it_loses_and_reorders_nothing() {
    let rounds = number("KILL_ROUNDS").unwrap_or(32);
    let mut dice = Dice(number("KILL_SEED").unwrap_or_else(|| u64::from(std::process::id())));
    println!("{rounds} kills with KILL_SEED={}", dice.0);
    let logs = TempDir::with_prefix("durability-").unwrap();
    let received = Arc::new(Log::new(&logs.path().join("received")));
    let acknowledged = Arc::new(Log::new(&logs.path().join("acknowledged")));
    let receiver = receiver(Arc::clone(&received)).await;
    let setup = setup(&receiver);
    let shim = Shim::build();

    let (address, addresses) = watch::channel(String::new());
    let stop = Arc::new(AtomicBool::new(false));
    let mut producers = JoinSet::new();
    for entity in 1..=ENTITIES {
        let (acknowledged, addresses, stop) = (Arc::clone(&acknowledged), addresses.clone(), Arc::clone(&stop));
        producers.spawn(produce(entity, acknowledged, addresses, stop));
    }
    for round in 0..rounds {
        one_life(round, &setup, &shim, &mut dice, &address, &acknowledged).await;
    }

    let mut gateway = setup.clone().start().await;
    address.send_replace(gateway.http().to_owned());
    let enough = acknowledged.len() + 4 * ENTITIES;
    wait::until("events after the last kill", async || {
        (acknowledged.len() >= enough).then_some(())
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = producers.join_next().await {
        ended.unwrap();
    }
    let sent: BTreeSet<String> = acknowledged.lines().into_iter().collect();
    wait::until("every acknowledged event at the receiver", async || {
        let have: BTreeSet<String> = delivered(&received.lines());
        let missing = sent
            .iter()
            .flat_map(|event| [format!("/ordered {event}"), format!("/any {event}")])
            .filter(|delivery| !have.contains(delivery))
            .count();
        (missing == 0).then_some(())
    })
    .await;
    gateway.terminate();
    assert!(gateway.process.ended().await.success());
    let lines = received.lines();
    check_order(&lines);
    let doubled = doubled(&lines);
    println!("{} events, {doubled} deliveries doubled in {rounds} kills", sent.len());
    assert!(
        doubled <= rounds * (ENTITIES + CONCURRENCY),
        "{doubled} deliveries doubled, more than were under way at {rounds} kills"
    );
    verify(&setup);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_acknowledged_without_a_sync_of_its_own_or_its_group() {
    const EVENTS: u64 = 20;
    let receiver = Partner::answering(Answer::status(204)).await;
    let (shim, folder) = (Shim::build(), TempDir::with_prefix("durability-").unwrap());
    let counters = folder.path().join("counters");
    let mut setup = setup(&receiver);
    for (name, value) in shim.counting(&setup.data_folder(), &counters) {
        setup = setup.environment(&name, &value);
    }
    let gateway = setup.start().await;
    let url = format!("http://{}/api/v1/events", gateway.http());
    let client = Client::builder().timeout(wait::PATIENCE).build().unwrap();
    for number in 0..EVENTS {
        // Nobody subscribes to it, so that nothing but its arrival is written; one after the other, so that none
        // shares a group.
        let event = json!({"id": number.to_string(), "eventType": "order.unheard", "orgId": ORG, "payload": {}});
        let before = syncs(&counters);
        let request = client.post(&url).header("x-api-key", "the-producers-key").json(&event);
        assert_eq!(request.send().await.unwrap().status(), 202);
        assert!(
            syncs(&counters) > before,
            "event {number} was acknowledged without a sync"
        );
    }
}

#[test]
fn the_shim_takes_back_what_was_not_synced() {
    let shim = Shim::build();
    for (power, expected) in [(false, "BBAA"), (true, "AAAA")] {
        let folder = TempDir::with_prefix("shim-").unwrap();
        let (file, source) = (folder.path().join("file"), folder.path().join("source"));
        fs::write(&file, "AAAA").unwrap();
        fs::write(&source, "BBBB").unwrap();
        let crash = Crash {
            call: Call::Write,
            at: 3,
            after: false,
            power,
        };
        let status = Command::new("dd")
            .arg(format!("if={}", source.display()))
            .arg(format!("of={}", file.display()))
            .args(["bs=1", "count=4", "conv=notrunc", "status=none"])
            .envs(shim.environment(folder.path(), crash))
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32));
        assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    }
}

/// Starts the gateway, lets it work, and sees it die.
async fn one_life(
    round: u64,
    setup: &Setup,
    shim: &Shim,
    dice: &mut Dice,
    address: &watch::Sender<String>,
    acknowledged: &Log,
) {
    let call = match round % 4 {
        0 => Some((Call::Sync, 60)),
        1 => Some((Call::Write, 400)),
        2 => Some((Call::Send, 300)),
        _ => None,
    };
    let mut life = setup.clone();
    if let Some((call, most)) = call {
        let crash = Crash {
            call,
            at: 1 + dice.below(most),
            after: dice.below(2) == 0,
            power: dice.below(2) == 0,
        };
        println!("round {round}: {crash:?}");
        for (name, value) in shim.environment(&setup.data_folder(), crash) {
            life = life.environment(&name, &value);
        }
    }
    // It may die before it listens.
    let Some(mut gateway) = life.try_start_listening().await else {
        return;
    };
    address.send_replace(gateway.http().to_owned());
    if call.is_none() {
        let enough = acknowledged.len() + dice.below(80);
        wait::until("events before the kill", async || {
            (acknowledged.len() >= enough).then_some(())
        })
        .await;
        gateway.process.signal(Signal::SIGKILL);
    }
    let status = gateway.process.ended().await;
    assert_eq!(
        status.signal(),
        Some(Signal::SIGKILL as i32),
        "round {round}: the gateway ended by itself:\n{}",
        gateway.process.output()
    );
}

/// Hands over the events of one unit, one after the other, each until it is acknowledged.
async fn produce(entity: u64, acknowledged: Arc<Log>, addresses: watch::Receiver<String>, stop: Arc<AtomicBool>) {
    let client = Client::builder().timeout(wait::PATIENCE).build().unwrap();
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let url = format!("http://{}/api/v1/events", *addresses.borrow());
        let event = json!({
            "id": format!("{entity}-{number}"),
            "eventType": "order.changed",
            "orgId": ORG,
            "entityRid": entity,
            "payload": {"entity": entity, "number": number, "padding": "x".repeat(700)},
        });
        let answer = client
            .post(&url)
            .header("x-api-key", "the-producers-key")
            .json(&event)
            .send()
            .await;
        match answer {
            Ok(answer) if answer.status().is_success() => {
                acknowledged.append(&format!("{entity} {number}"));
                number += 1;
            }
            // It is dead, or not up yet: the same event again.
            _ => tokio::task::yield_now().await,
        }
    }
}

/// Writes down each delivery before it answers, and fails one in seven of them.
async fn receiver(received: Arc<Log>) -> Partner {
    let count = AtomicU64::new(0);
    Partner::start(move |request| {
        let body = request.json();
        let fails = count.fetch_add(1, Ordering::Relaxed) % 7 == 3;
        let verdict = if fails { "refused" } else { "taken" };
        let path = request.uri.path();
        received.append(&format!("{verdict} {path} {} {}", body["entity"], body["number"]));
        Answer::status(if fails { 500 } else { 204 })
    })
    .await
}

fn setup(receiver: &Partner) -> Setup {
    let subscription = |path: &str, ordering: Value| {
        json!({
            "id": path.trim_start_matches('/'),
            "direction": "OUTBOUND",
            "name": path,
            "orgId": ORG,
            "eventType": "order.changed",
            "targetUrl": receiver.url(path),
            "retry": {"type": "list", "delaysMs": vec![20; 50], "jitter": 0.0},
            "breaker": {"enabled": false},
            "rateLimits": {"maxConcurrency": CONCURRENCY},
            "ordering": ordering,
        })
    };
    Setup::new().file(&json!({
        "security": {"blockPrivateNetworks": true, "enforceHttps": false},
        "organizations": [organization()],
        "eventTypes": [{"orgId": ORG, "eventType": "order.changed"}, {"orgId": ORG, "eventType": "order.unheard"}],
        "producerKeys": [{"orgId": ORG, "name": "orders", "value": "the-producers-key"}],
        "integrations": [
            subscription("/ordered", json!({"mode": "perTenantAndType", "onBlocked": "block"})),
            subscription("/any", json!({"mode": "none"})),
        ],
    }))
}

/// The queue is whole by its own account.
fn verify(setup: &Setup) {
    let output = Command::new(binaries::find("gateway"))
        .arg("--config")
        .arg(setup.settings_file())
        .args(["queue", "verify"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Deliveries that the receiver took, as `path entity number`.
fn delivered(lines: &[String]) -> BTreeSet<String> {
    let taken = lines.iter().filter_map(|line| line.strip_prefix("taken "));
    taken.map(str::to_owned).collect()
}

/// No ordered delivery was tried before the one ahead of it had been taken.
fn check_order(lines: &[String]) {
    let mut next: BTreeMap<&str, u64> = BTreeMap::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let [verdict, "/ordered", entity, number] = words[..] else {
            continue;
        };
        let number: u64 = number.parse().unwrap();
        let next = next.entry(entity).or_default();
        assert!(
            number <= *next,
            "event {number} of unit {entity} came before event {next}"
        );
        if verdict == "taken" && number == *next {
            *next += 1;
        }
    }
}

/// How many deliveries were taken again.
fn doubled(lines: &[String]) -> u64 {
    let taken = lines.iter().filter(|line| line.starts_with("taken ")).count();
    (taken - delivered(lines).len()) as u64
}

/// A file that is synced after each line, as those are that prove something after a crash.
struct Log {
    file: Mutex<File>,
    path: std::path::PathBuf,
    lines: AtomicU64,
}

impl Log {
    fn new(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        Self {
            file: Mutex::new(file),
            path: path.to_owned(),
            lines: AtomicU64::new(0),
        }
    }

    fn append(&self, line: &str) {
        let mut file = self.file.lock().unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
        file.sync_data().unwrap();
        self.lines.fetch_add(1, Ordering::Relaxed);
    }

    fn len(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.path)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
