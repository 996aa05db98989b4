//! Why a request is answered as it is: by the running gateway, and by the command line without one.

use std::fs;

use harness::documents::{document, integration, with};
use harness::{Answer, Gateway, Partner, gwctl};
use serde_json::{Value, json};
use tempfile::TempDir;

#[tokio::test]
async fn the_admin_listener_says_what_the_gateway_does() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let document = document(labs(&partner.url("")));
    let gateway = Gateway::serving(&document).await;
    let ask = async |query: &str| gateway.admin_get(&format!("/explain?{query}")).await;
    let known =
        ask("line=GET%20/results/7%20HTTP/1.1&header=Host:%20labs.test&header=X-API-Key:%20key-of-the-desk").await;
    assert_eq!(known.status, 200, "{}", known.text());
    let told = known.json();
    assert_eq!(told["integration"]["id"], "labs");
    assert_eq!(told["routes"][0]["integration"], "labs");
    let other = told["routes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|route| route["integration"] == "everything");
    assert!(other.unwrap()["why"].as_str().unwrap().contains("literally"), "{told}");
    let says = told["steps"].to_string();
    assert!(
        says.contains("desk is let in") && says.contains("maxRequests"),
        "{says}"
    );
    let address = &told["targets"][0]["addresses"][0];
    assert_eq!(
        (
            &address["allowed"],
            address["class"].as_str().unwrap().contains("loopback")
        ),
        (&json!(true), true),
        "{told}"
    );
    // What is explained is what happens.
    for (path, key) in [
        ("/results/7", "key-of-the-desk"),
        ("/results/7", "wrong"),
        ("/elsewhere", "x"),
    ] {
        let request = gateway
            .request(reqwest::Method::GET, "labs.test", path)
            .header("x-api-key", key);
        let answered = harness::client::Reply::of(request).await.status;
        let told = ask(&format!(
            "line=GET%20{path}&header=Host:%20labs.test&header=X-API-Key:%20{key}"
        ))
        .await
        .json();
        assert_eq!(told["status"].as_u64().unwrap_or(200), u64::from(answered), "{told}");
        assert!(!told.to_string().contains("key-of"), "{told}");
    }
    for (query, field) in [
        ("", "line"),
        ("line=GET", "line"),
        ("line=GET%20/&header=x", "header[0]"),
        ("line=GET%20/&client=here", "client"),
        ("line=GET%20/&colour=red", "query"),
    ] {
        let refused = ask(query).await;
        assert_eq!(refused.status, 400, "{query}");
        assert_eq!(refused.json()["problems"][0]["path"], field, "{query}");
    }
}

#[tokio::test]
async fn the_command_line_says_the_same_without_a_server() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("labs.json");
    fs::write(&file, document(labs("https://partner.example/base")).to_string()).unwrap();
    let file = file.to_str().unwrap();
    let asked = [
        "explain",
        "-f",
        file,
        "-H",
        "X-API-Key: key-of-the-desk",
        "GET https://labs.test/results/7",
    ];
    let run = gwctl::offline(&asked).await;
    assert_eq!(run.code, 0, "{run:?}");
    for text in [
        "goes to the partner",
        "desk is let in",
        "https://partner.example",
        "inboundAuthConfig",
    ] {
        assert!(run.stdout.contains(text), "{text}: {run:?}");
    }
    assert!(!run.stdout.contains("key-of"), "{run:?}");
    let refused = gwctl::offline(&["explain", "-f", file, "-o", "json", "GET https://nobody.test/"]).await;
    assert_eq!(
        (refused.code, &refused.json()["status"]),
        (0, &json!(404)),
        "{refused:?}"
    );
    let wrong = gwctl::offline(&["explain", "-f", file, "nonsense"]).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
}

fn labs(target: &str) -> [Value; 2] {
    let fields = json!({
        "hosts": ["labs.test"],
        "paths": [{"prefix": "/results"}],
        "inboundAuthType": "API_KEY",
        "inboundAuthConfig": {"keys": [{"name": "desk", "value": "key-of-the-desk"}]},
        "rateLimits": {"perKey": {"maxRequests": 100, "windowSeconds": 10}},
    });
    let everything = json!({"hosts": ["labs.test"]});
    [
        with(integration("labs", target), fields),
        with(integration("everything", target), everything),
    ]
}
