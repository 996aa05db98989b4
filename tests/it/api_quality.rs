//! The API holds what its description promises: Schemathesis calls every operation, signed in, with what the description
//! allows and with what it does not. No answer is a fault of the server, or one that the description does not have.
//!
//! `API_TESTS_SEED=N` has it make other requests; `API_TESTS=off` leaves these tests out.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use harness::ControlPlane;
use harness::schemathesis::{Report, Run};

use crate::organizations::{calls, sides::World};

/// What an answer is held to.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance,unsupported_method,allow_header_conformance,ignored_auth";

#[tokio::test]
async fn whatever_is_asked_the_answer_is_one_that_the_description_has() {
    let run = [
        "--phases",
        "examples,fuzzing",
        "--max-examples",
        "20",
        "--checks",
        CHECKS,
    ];
    let Some(run) = Run::available(&run) else { return };
    let control_plane = ControlPlane::start().await;
    clean(&control_plane, run.against(&control_plane).await).await;
}

#[tokio::test]
async fn each_border_of_each_schema_is_tried() {
    let Some(run) = Run::available(&["--phases", "coverage", "--checks", CHECKS]) else {
        return;
    };
    let control_plane = ControlPlane::start().await;
    clean(&control_plane, run.against(&control_plane).await).await;
}

#[tokio::test]
async fn with_objects_that_are_there_the_answers_are_described_too() {
    let run = [
        "--phases",
        "fuzzing,stateful",
        "--max-examples",
        "20",
        "--mode",
        "positive",
        "--checks",
        CHECKS,
    ];
    let Some(run) = Run::available(&run) else { return };
    let world = World::start().await;
    let report = run.settings(known(&world)).against(&world.control_plane).await;
    clean(&world.control_plane, report).await;
}

/// Nothing was found, and no operation was left out.
async fn clean(control_plane: &ControlPlane, run: Report) {
    assert!(run.is_clean, "{}", run.output);
    let document = control_plane.get("/api/v1/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let described: usize = paths.values().map(|item| item.as_object().unwrap().len()).sum();
    let operations = &run.report["operations"];
    assert_eq!(operations["total"], described, "{operations}");
    for (name, wanted) in [("tested", described), ("errored", 0), ("skipped", 0)] {
        assert_eq!(operations[name], wanted, "{operations}\n{}", run.output);
    }
    let tried = run.report["test_cases"]["generated"].as_u64().unwrap_or_default();
    assert!(tried >= described as u64 * 10, "only {tried} requests");
    assert_eq!(control_plane.get("/readyz").await.status, 200);
}

/// Settings that name objects of one organization: for all that does not delete them.
fn known(world: &World) -> String {
    let mut settings = format!("[parameters]\n\"query.orgId\" = {}\n", world.alpha.org);
    let mut named = BTreeSet::new();
    for call in calls::all() {
        let (Some(noun), Some(parameter)) = (call.about(), call.parameter()) else {
            continue;
        };
        if !call.operation.starts_with("DELETE ") && named.insert(call.operation) {
            let _ = write!(
                settings,
                "\n[[operations]]\ninclude-name = {:?}\nparameters = {{ \"path.{parameter}\" = {:?} }}\n",
                call.operation,
                world.alpha.id(noun)
            );
        }
    }
    settings
}
