//! A version that goes to some of the gateways first, and is taken back by itself where it is bad.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::documents::{ORG, integration, with};
use harness::gateway::Setup;
use harness::load::Load;
use harness::{Answer, ControlPlane, Gateway, Partner, control_plane, gwctl, load, wait};
use reqwest::Method;
use serde_json::{Value, json};

/// A control plane with gateways that all run the same version.
struct Fleet {
    control_plane: ControlPlane,
    gateways: Vec<Gateway>,
}

impl Fleet {
    async fn serving(integration: &Value, gateways: usize) -> Self {
        Self::of(ControlPlane::start().await, integration, gateways).await
    }

    async fn of(control_plane: ControlPlane, integration: &Value, gateways: usize) -> Self {
        control_plane.save(integration).await;
        let starting = (0..gateways).map(|number| {
            let setup = Setup::new().control_plane(&control_plane);
            setup.set("gateway.id", json!(format!("g{number}"))).start()
        });
        let gateways = futures_util::future::join_all(starting).await;
        let fleet = Self {
            control_plane,
            gateways,
        };
        fleet.at_versions(fleet.newest().await, &[]).await;
        fleet
    }

    async fn newest(&self) -> u64 {
        let versions = self.control_plane.get("/api/v1/versions?limit=1").await.json();
        versions["versions"][0]["version"].as_u64().unwrap()
    }

    /// Waits until each gateway runs `version`, but those named, which run the one after it.
    async fn at_versions(&self, version: u64, first: &[String]) {
        wait::until("the gateways to run what they should", async || {
            let known = self.control_plane.get("/api/v1/gateways").await.json();
            let known = known["gateways"].as_array().unwrap();
            let is_right = |gateway: &Value| {
                let is_first = first.iter().any(|name| gateway["gatewayId"] == **name);
                gateway["appliedVersion"] == version + u64::from(is_first)
            };
            (known.len() == self.gateways.len() && known.iter().all(is_right)).then_some(())
        })
        .await;
    }

    async fn begin(&self, integration: &Value, how: &Value) -> Value {
        let mut body = how.clone();
        body["put"] = json!([{"kind": "integration", "value": integration}]);
        let reply = self.control_plane.post("/api/v1/rollouts", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()["rollout"].clone()
    }

    async fn rollout(&self, id: &Value) -> Value {
        let path = format!("/api/v1/rollouts/{}", id.as_str().unwrap());
        self.control_plane.get(&path).await.json()
    }

    /// Clients that ask each gateway in turn, and at which of them something went wrong.
    fn load(&self, method: Method) -> (Load, Arc<Mutex<BTreeSet<usize>>>) {
        let gateways: Vec<String> = self.gateways.iter().map(|gateway| gateway.http().to_owned()).collect();
        let failed_at: Arc<Mutex<BTreeSet<usize>>> = Arc::default();
        let (client, next) = (harness::client::client(), Arc::new(AtomicUsize::new(0)));
        let noted = Arc::clone(&failed_at);
        let call = move || {
            let number = next.fetch_add(1, Ordering::Relaxed) % gateways.len();
            let url = format!("http://{}/", gateways[number]);
            let request = client.request(method.clone(), url).header("host", "labs.test");
            let request = if method == Method::POST {
                request.json(&json!({"a": 1}))
            } else {
                request
            };
            let noted = Arc::clone(&noted);
            async move {
                let is_well = match request.send().await {
                    Ok(answer) => answer.text().await.is_ok_and(|text| text == "old"),
                    Err(_) => false,
                };
                if !is_well {
                    noted.lock().unwrap().insert(number);
                }
                is_well
            }
        };
        (load::start(3, call), failed_at)
    }

    /// Begins a rollout of `bad` at one gateway, and sees that it is taken back in time. Returns the reason.
    async fn takes_back_by_itself(&self, bad: &Value) -> String {
        let before = self.newest().await;
        let how = json!({"gateways": ["g1"], "rules": {"watchSeconds": 3600}});
        let began = Instant::now();
        let rollout = self.begin(bad, &how).await;
        let ended = wait::until("the rollout to end", async || {
            let rollout = self.rollout(&rollout["id"]).await;
            (rollout["state"] != "watching").then_some(rollout)
        })
        .await;
        self.at_versions(before + 2, &[]).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "it took {took:?}");
        assert_eq!(ended["state"], "rolledBack", "{ended}");
        assert_eq!(self.texts().await, ["old", "old", "old"]);
        ended["reason"].as_str().unwrap().to_owned()
    }

    async fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for gateway in &self.gateways {
            texts.push(gateway.get("labs.test", "/").await.text());
        }
        texts
    }
}

fn names(rollout: &Value) -> Vec<String> {
    serde_json::from_value(rollout["gateways"].clone()).unwrap()
}

#[tokio::test]
async fn a_good_version_reaches_its_gateways_first_and_then_all() {
    let (old, new) = (
        Partner::answering(Answer::text("old")).await,
        Partner::answering(Answer::text("new")).await,
    );
    let fleet = Fleet::serving(&integration("labs", &old.url("")), 3).await;
    let before = fleet.newest().await;
    let how = json!({"percent": 34, "rules": {"watchSeconds": 3600}, "message": "a new partner"});
    let rollout = fleet.begin(&integration("labs", &new.url("")), &how).await;
    let first = names(&rollout);
    assert_eq!(first.len(), 2, "34 % of three gateways, rounded up");
    fleet.at_versions(before, &first).await;
    let texts = fleet.texts().await;
    for (number, text) in texts.iter().enumerate() {
        let is_first = first.contains(&format!("g{number}"));
        assert_eq!(text, if is_first { "new" } else { "old" }, "gateway g{number}");
    }
    let other = integration("other", &old.url(""));
    let refused = fleet.control_plane.try_save(&other).await.unwrap();
    assert_eq!(refused.status, 409);
    assert!(
        refused.text().contains(rollout["id"].as_str().unwrap()),
        "{}",
        refused.text()
    );

    let status = gwctl::against(&fleet.control_plane, &["rollout", "status"]).await;
    assert_eq!(status.code, 0, "{}", status.stderr);
    assert!(
        status.stdout.contains(": watching") && status.stdout.contains(&first[0]),
        "{}",
        status.stdout
    );
    let promoted = gwctl::against(&fleet.control_plane, &["rollout", "promote"]).await;
    assert_eq!(promoted.code, 0, "{}", promoted.stderr);
    fleet.at_versions(before + 2, &[]).await;
    assert_eq!(fleet.texts().await, ["new", "new", "new"]);
    fleet.control_plane.save(&other).await;
}

#[tokio::test]
async fn a_bad_version_stays_at_its_gateway_and_is_taken_back_within_five_seconds() {
    let partner = Partner::answering(Answer::text("old")).await;
    let broken = Partner::answering(Answer::status(500)).await;
    let fleet = Fleet::serving(&integration("labs", &partner.url("")), 3).await;
    let (load, failed_at) = fleet.load(Method::POST);
    let reason = fleet.takes_back_by_itself(&integration("labs", &broken.url(""))).await;
    assert!(reason.contains("request(s) failed"), "{reason}");
    load.stop().await;
    // What a partner answered to a POST is not asked for twice.
    let failed_at: Vec<usize> = failed_at.lock().unwrap().iter().copied().collect();
    assert_eq!(failed_at, [1], "only the gateway of the rollout");
}

#[tokio::test]
async fn no_client_pays_for_a_partner_that_is_not_there() {
    let partner = Partner::answering(Answer::text("old")).await;
    let closed = { Partner::answering(Answer::text("new")).await.url("") };
    no_client_pays(&partner, &integration("labs", &closed), Method::POST).await;
}

#[tokio::test]
async fn no_client_pays_for_a_partner_that_answers_with_errors() {
    let partner = Partner::answering(Answer::text("old")).await;
    let broken = Partner::answering(Answer::status(500)).await;
    no_client_pays(&partner, &integration("labs", &broken.url("")), Method::GET).await;
}

#[tokio::test]
async fn no_client_pays_for_a_script_that_fails() {
    let partner = Partner::answering(Answer::text("old")).await;
    let scripted = with(
        integration("labs", &partner.url("")),
        json!({"requestTransformationMode": "SCRIPT", "requestTransformScript": "fn transform(payload, context) { throw \"no\"; }"}),
    );
    no_client_pays(&partner, &scripted, Method::POST).await;
}

#[tokio::test]
async fn no_client_pays_for_an_integration_that_is_gone_from_its_host() {
    let partner = Partner::answering(Answer::text("old")).await;
    let elsewhere = with(integration("labs", &partner.url("")), json!({"hosts": ["other.test"]}));
    no_client_pays(&partner, &elsewhere, Method::POST).await;
}

/// Tries `bad` under load: it is taken back, and no client sees that it ever was.
async fn no_client_pays(partner: &Partner, bad: &Value, method: Method) {
    let fleet = Fleet::serving(&integration("labs", &partner.url("")), 3).await;
    let (load, failed_at) = fleet.load(method);
    let reason = fleet.takes_back_by_itself(bad).await;
    assert!(reason.contains("request(s) failed"), "{reason}");
    let (done, failed) = load.stop().await;
    assert_eq!(failed, 0, "of {done} requests, at the gateways {failed_at:?}");
}

#[tokio::test]
async fn a_rollout_outlives_a_control_plane_that_is_killed() {
    let (old, broken) = (
        Partner::answering(Answer::text("old")).await,
        Partner::answering(Answer::status(500)).await,
    );
    let mut fleet = Fleet::serving(&integration("labs", &old.url("")), 2).await;
    let before = fleet.newest().await;
    let how = json!({"gateways": ["g0"], "rules": {"watchSeconds": 3600}});
    let rollout = fleet.begin(&integration("labs", &broken.url("")), &how).await;
    fleet.at_versions(before, &["g0".to_owned()]).await;
    let setup = fleet
        .control_plane
        .setup()
        .set("listen", json!(fleet.control_plane.url().trim_start_matches("http://")));
    fleet.control_plane.process.kill();
    fleet.control_plane = setup.start().await;
    fleet.at_versions(before, &["g0".to_owned()]).await;
    assert_eq!(fleet.rollout(&rollout["id"]).await["state"], "watching");
    wait::until("the rollout to end", async || {
        fleet.gateways[0].post("labs.test", "/", &json!({})).await;
        (fleet.rollout(&rollout["id"]).await["state"] == "rolledBack").then_some(())
    })
    .await;
    fleet.at_versions(before + 2, &[]).await;
    assert_eq!(fleet.texts().await, ["old", "old"]);
    let versions = fleet
        .control_plane
        .get(&format!("/api/v1/versions?orgId={ORG}"))
        .await
        .json();
    assert!(
        versions["versions"][0]["message"]
            .as_str()
            .unwrap()
            .contains("rolled back"),
        "{versions}"
    );
}

#[tokio::test]
async fn secrets_reach_the_gateways_of_a_rollout_and_to_take_them_back_needs_no_source() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let folder = tempfile::tempdir().unwrap();
    let prefix = format!("{}/", folder.path().display());
    for name in ["old", "new"] {
        std::fs::write(folder.path().join(name), format!("planted-{name}")).unwrap();
    }
    let sources = json!({"files": [{"prefix": prefix, "orgIds": [ORG]}], "refreshSeconds": 1});
    let control_plane = control_plane::Setup::new().set("secretSources", sources).start().await;
    control_plane.allow_this_machine().await;
    let labs = |name: &str| {
        let token = format!("secret://file{prefix}{name}");
        let bearer = json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": token}});
        with(integration("labs", &partner.url("")), bearer)
    };
    let fleet = Fleet::of(control_plane, &labs("old"), 2).await;
    let before = fleet.newest().await;
    let sent = async |gateway: usize| {
        let seen = partner.requests().len();
        fleet.gateways[gateway].get("labs.test", "/").await;
        let requests = partner.requests();
        requests[seen].header("authorization").unwrap_or_default().to_owned()
    };
    let how = json!({"gateways": ["g0"], "rules": {"watchSeconds": 3600}});
    let rollout = fleet.begin(&labs("new"), &how).await;
    fleet.at_versions(before, &["g0".to_owned()]).await;
    assert_eq!(sent(0).await, "Bearer planted-new");
    assert_eq!(sent(1).await, "Bearer planted-old");

    // Whoever brings a new secret in may have done away with the old one.
    std::fs::remove_file(folder.path().join("old")).unwrap();
    let abort = format!("/api/v1/rollouts/{}/abort", rollout["id"].as_str().unwrap());
    let aborted = fleet.control_plane.post(&abort, &json!({})).await;
    assert_eq!(aborted.status, 200, "{}", aborted.text());
    fleet.at_versions(before + 2, &[]).await;
    assert_eq!(sent(0).await, "Bearer planted-old");
    assert_eq!(sent(1).await, "Bearer planted-old");
}

#[tokio::test]
async fn of_many_who_end_a_rollout_at_once_one_does() {
    let (old, new) = (
        Partner::answering(Answer::text("old")).await,
        Partner::answering(Answer::text("new")).await,
    );
    let fleet = Fleet::serving(&integration("labs", &old.url("")), 2).await;
    let before = fleet.newest().await;
    let how = json!({"gateways": ["g0"], "rules": {"watchSeconds": 3600}});
    let rollout = fleet.begin(&integration("labs", &new.url("")), &how).await;
    let path = |end: &str| format!("/api/v1/rollouts/{}/{end}", rollout["id"].as_str().unwrap());
    let ends = ["promote", "abort", "promote", "abort"].map(|end| {
        let (fleet, path) = (&fleet, path(end));
        async move { (end, fleet.control_plane.post(&path, &json!({})).await) }
    });
    let other = integration("other", &old.url(""));
    let (answers, saved) = tokio::join!(
        futures_util::future::join_all(ends),
        fleet.control_plane.try_save(&other)
    );
    let done: Vec<&str> = answers
        .iter()
        .filter(|(_, reply)| reply.status == 200)
        .map(|(end, _)| *end)
        .collect();
    assert_eq!(done.len(), 1, "{done:?}");
    for (_, reply) in answers.iter().filter(|(_, reply)| reply.status != 200) {
        assert_eq!(reply.status, 409, "{}", reply.text());
    }
    // The other change came before the end, which refuses it, or after.
    let saved = saved.unwrap().status;
    assert!([201, 409].contains(&saved), "{saved}");
    let versions = 2 + u64::from(saved == 201);
    fleet.at_versions(before + versions, &[]).await;
    let wanted = if done == ["promote"] { "new" } else { "old" };
    assert_eq!(fleet.texts().await, [wanted, wanted]);
}
