//! Nobody sees or changes what belongs to another organization: every operation of the OpenAPI document is called by the
//! key of one organization with the identifiers of another, and then by the other's own key.
//!
//! An operation that is in the document and not in `organizations/calls.rs` fails the test: whoever adds a route says
//! there how it is called and whose it is.

pub(crate) mod calls;
pub(crate) mod sides;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use calls::{Ask, Call, Right};
use harness::ControlPlane;
use harness::client::Reply;
use reqwest::Method;
use serde_json::Value;
use sides::{Key, Side, World};

#[tokio::test]
async fn no_operation_crosses_from_one_organization_to_another() {
    let world = World::start().await;
    let calls = calls::all();
    assert_complete(&world.control_plane, &calls).await;
    let mut faults = String::new();
    for call in &calls {
        let found = match call.right {
            Right::Own => trespass(&world, &calls, call).await,
            Right::Installation => reserved(&world, call).await,
            Right::Everybody => shared(&world, call).await,
            Right::Session => of_session(&world, call).await,
            Right::Open => opened(&world, call).await,
        };
        for fault in found {
            let _ = writeln!(faults, "{}: {fault}", call.operation);
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

/// Every operation of the document has a call, and every call an operation.
async fn assert_complete(control_plane: &ControlPlane, calls: &[Call]) {
    let document = control_plane.get("/api/v1/openapi.json").await.json();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let known: BTreeSet<String> = calls.iter().map(|call| call.operation.to_owned()).collect();
    let missing: Vec<_> = described.difference(&known).collect();
    assert!(
        missing.is_empty(),
        "tests/it/organizations/calls.rs does not say how to call {missing:#?}"
    );
    let stale: Vec<_> = known.difference(&described).collect();
    assert!(stale.is_empty(), "there is no operation {stale:#?} any more");
    assert!(described.len() > 50, "the document is nearly empty");
}

/// What belongs to one organization: the other's key must fail and change nothing, its own succeeds.
async fn trespass(world: &World, calls: &[Call], call: &Call) -> Vec<String> {
    let (owner, stranger) = (&world.alpha, &world.bravo);
    let mut faults = Vec::new();
    let before = view(world, calls, owner).await;
    let asked = call.ask(owner);
    let reply = world.send(Key::Side(stranger), &asked).await;
    if ![403, 404].contains(&reply.status) {
        faults.push(format!("another organization's key got {}", told(&reply)));
    }
    faults.extend(leak(owner, &asked, &reply));
    for twisted in asked.twisted(owner, stranger) {
        let reply = world.send(Key::Side(stranger), &twisted).await;
        // Without a foreign identifier in the path it may well be a request about what is the stranger's own.
        let is_refused = (400..500).contains(&reply.status);
        if reply.status >= 500 || (call.names_an_object() && !is_refused) {
            faults.push(format!("{twisted} by another organization's key got {}", told(&reply)));
        }
        faults.extend(leak(owner, &twisted, &reply));
    }
    let after = view(world, calls, owner).await;
    for (before, after) in before.iter().zip(&after) {
        if before != after {
            faults.push(format!("it changed {before}\nto {after}"));
        }
    }
    faults.extend(anonymous(world, &asked).await);
    let reply = world.send(Key::Side(owner), &call.ask(owner)).await;
    if !(200..300).contains(&reply.status) {
        faults.push(format!("its owner got {}", told(&reply)));
    } else if call.tells() && !owner.is_in(&reply.text()) {
        faults.push(format!("its owner does not see what is its own: {}", told(&reply)));
    }
    faults
}

/// What belongs to the whole installation: no key of an organization may, one for all organizations may.
async fn reserved(world: &World, call: &Call) -> Vec<String> {
    let asked = call.ask(&world.alpha);
    let mut faults = Vec::from_iter(anonymous(world, &asked).await);
    for side in [&world.bravo, &world.alpha] {
        let reply = world.send(Key::Side(side), &asked).await;
        if ![403, 404].contains(&reply.status) {
            faults.push(format!("the key of organization {} got {}", side.org, told(&reply)));
        }
        faults.extend(leak(&world.alpha, &asked, &reply));
    }
    let reply = world.send(Key::All, &asked).await;
    let is_over = call.over && reply.status == 409;
    if !is_over && !(200..300).contains(&reply.status) {
        faults.push(format!("a key for all organizations got {}", told(&reply)));
    }
    faults
}

/// What every key may ask: nothing of an organization is in it.
async fn shared(world: &World, call: &Call) -> Vec<String> {
    let asked = call.ask(&world.alpha);
    let mut faults = Vec::from_iter(anonymous(world, &asked).await);
    let reply = world.send(Key::Side(&world.bravo), &asked).await;
    if !(200..300).contains(&reply.status) {
        faults.push(format!("the key of an organization got {}", told(&reply)));
    }
    faults.extend(leak(&world.alpha, &asked, &reply));
    faults
}

/// What somebody who signed in does with the own session: no key has one, and the token is good for it.
async fn of_session(world: &World, call: &Call) -> Vec<String> {
    let asked = call.ask(&world.alpha);
    let mut faults = Vec::from_iter(anonymous(world, &asked).await);
    let reply = world.send(Key::Side(&world.bravo), &asked).await;
    if !(400..500).contains(&reply.status) {
        faults.push(format!("a key got {}", told(&reply)));
    }
    let token = world.sign_in(&world.alpha).await;
    let reply = world.send(Key::Session(&token), &asked).await;
    if !(200..300).contains(&reply.status) {
        faults.push(format!("whoever signed in got {}", told(&reply)));
    }
    faults
}

/// What needs no key at all: nothing of an organization is in it.
async fn opened(world: &World, call: &Call) -> Vec<String> {
    let asked = call.ask(&world.alpha);
    let reply = world.send(Key::None, &asked).await;
    let mut faults = Vec::new();
    if reply.status >= 500 {
        faults.push(format!("without a key it got {}", told(&reply)));
    }
    faults.extend(leak(&world.alpha, &asked, &reply));
    faults
}

async fn anonymous(world: &World, asked: &Ask) -> Option<String> {
    let reply = world.send(Key::None, asked).await;
    (reply.status != 401).then(|| format!("without a key it got {}", told(&reply)))
}

/// The texts that only the owner may see, in an answer to somebody else; not where the request had them in it.
fn leak(owner: &Side, asked: &Ask, reply: &Reply) -> Option<String> {
    let leaks = reply.text().contains(owner.marker()) && !asked.to_string().contains(owner.marker());
    leaks.then(|| format!("{asked} showed {}", told(reply)))
}

/// Everything that the owner can read, without what shifts by itself.
async fn view(world: &World, calls: &[Call], owner: &Side) -> Vec<String> {
    let mut view = Vec::new();
    for call in calls.iter().filter(|call| call.is_read() && call.right == Right::Own) {
        let reply = world.send(Key::Side(owner), &call.ask(owner)).await;
        let mut body = serde_json::from_slice(&reply.body).unwrap_or_else(|_| Value::String(reply.text()));
        still(&mut body);
        view.push(format!("{}: {} {body}", call.operation, reply.status));
    }
    view
}

/// Takes out what others' changes and the clock move.
fn still(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !SHIFTING.contains(&name.as_str()));
            fields.values_mut().for_each(still);
        }
        Value::Array(items) => items.iter_mut().for_each(still),
        _ => {}
    }
}

fn told(reply: &Reply) -> String {
    let text = reply.text();
    let cut: String = text.chars().take(400).collect();
    format!("{} {cut}", reply.status)
}

impl World {
    async fn send(&self, key: Key<'_>, asked: &Ask) -> Reply {
        let method = Method::from_bytes(asked.method.as_bytes()).unwrap();
        Reply::of(self.request(key, method, asked)).await
    }
}

/// The newest version is that of all organizations, a gateway is heard of every few seconds, erasures go on by themselves, and
/// the requests that an error answers have numbers and times.
const SHIFTING: [&str; 13] = [
    "version",
    "lastSeen",
    "localTime",
    "at",
    "to",
    "latencyMs",
    "lagMs",
    "lagSeconds",
    "removed",
    "sweptAt",
    "commandId",
    "requestId",
    "timestamp",
];
