//! What is refused of rollouts; how they go is tried with gateways (`rollout/tests.rs`, and from outside).

use super::*;

#[tokio::test]
async fn a_rollout_that_cannot_be_is_refused_with_everything_that_is_wrong() {
    let bench = Bench::start().await;
    let body = json!({"percent": 100, "rules": {"watchSeconds": 0, "tolerancePercent": 101, "minFailures": 0},
        "message": "x".repeat(4_097)});
    let refused = bench.send(Method::POST, "/api/v1/rollouts", &body).await.is(400);
    assert_eq!(
        refused.problems(),
        [
            "message",
            "percent",
            "rules.watchSeconds",
            "rules.tolerancePercent",
            "rules.minFailures"
        ]
    );
    for body in [json!({}), json!({"percent": 1, "gateways": ["a"]})] {
        assert_eq!(
            bench
                .send(Method::POST, "/api/v1/rollouts", &body)
                .await
                .is(400)
                .problems(),
            ["percent"]
        );
    }
    let unknown = json!({"gateways": ["nobody"]});
    let refused = bench.send(Method::POST, "/api/v1/rollouts", &unknown).await.is(400);
    assert_eq!(refused.problems(), ["gateways[0]"]);
    let alone = json!({"percent": 10, "put": []});
    bench
        .send(Method::POST, "/api/v1/rollouts", &alone)
        .await
        .is(409)
        .has_code("CONFLICT");
    bench
        .send(Method::POST, "/api/v1/rollouts", &json!({"percent": 1, "wat": 1}))
        .await
        .is(400);
    assert_eq!(bench.get("/api/v1/rollouts").await.is(200).body["rollouts"], json!([]));
}

#[tokio::test]
async fn rollouts_are_for_keys_for_all_organizations() {
    let bench = Bench::start().await;
    bench.get("/api/v1/rollouts/unknown").await.is(404);
    for what in ["promote", "abort"] {
        let path = format!("/api/v1/rollouts/unknown/{what}");
        bench.send(Method::POST, &path, &json!({})).await.is(404);
        bench.scoped(Method::POST, &path, None).await.is(403);
    }
    bench.scoped(Method::GET, "/api/v1/rollouts", None).await.is(403);
    bench
        .scoped(Method::GET, "/api/v1/rollouts/unknown", None)
        .await
        .is(403);
    let body = json!({"percent": 10});
    bench
        .scoped(Method::POST, "/api/v1/rollouts", Some(&body))
        .await
        .is(403);
}
