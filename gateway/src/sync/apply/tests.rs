use filters::model::push::{FromControlPlane, ObjectId};

use super::*;
use crate::sync::rig::{Rig, document, integration, snapshot};

fn change(from: u64, to: u64, put: &[&str], delete: &[&str]) -> FromControlPlane {
    FromControlPlane::Change {
        from,
        to,
        put: put
            .iter()
            .map(|id| integration(id, "https://partner.example/other"))
            .collect(),
        delete: delete.iter().map(|id| ObjectId::Integration((*id).into())).collect(),
        trial: false,
    }
}

fn version(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Live(have) => have.version,
        other => panic!("not live: {other:?}"),
    }
}

#[tokio::test]
async fn a_change_builds_on_what_is_live() {
    let rig = Rig::new();
    assert_eq!(version(&rig.message(&snapshot(7, &["a", "b"])).await), 7);
    let before = rig.shared.load().unwrap();
    assert_eq!(version(&rig.message(&change(7, 9, &["c"], &["a"])).await), 9);
    assert_eq!(rig.live().unwrap(), ["b", "c"]);
    assert_eq!(before.plan.version, 7, "who holds the old version keeps it");
    let kept = |live: &Live| live.plan.integration("b").map(Arc::as_ptr);
    assert_eq!(
        kept(&before),
        kept(&rig.shared.load().unwrap()),
        "what did not change is not compiled again"
    );
    assert_eq!(rig.state.report().source, Some(Source::ControlPlane));
    assert_eq!(rig.accepted.borrow().as_ref().unwrap().version, 9);
}

#[tokio::test]
async fn a_change_of_another_version_changes_nothing() {
    let rig = Rig::new();
    assert_eq!(
        rig.message(&change(0, 1, &["a"], &[])).await,
        Outcome::DoesNotFit,
        "nothing is live yet"
    );
    rig.message(&snapshot(7, &["a"])).await;
    assert_eq!(rig.message(&change(6, 8, &["b"], &[])).await, Outcome::DoesNotFit);
    assert_eq!(rig.live().unwrap(), ["a"]);
    assert_eq!(rig.applier.have().unwrap().version, 7);
}

#[tokio::test]
async fn a_version_that_does_not_compile_is_refused_with_every_problem() {
    let rig = Rig::new();
    rig.message(&snapshot(1, &["a"])).await;
    let put = vec![
        integration("b", "ftp://partner.example"),
        integration("c", "no address"),
    ];
    let bad = FromControlPlane::Change {
        from: 1,
        to: 2,
        put,
        delete: Vec::new(),
        trial: false,
    };
    let Outcome::Refused { version, problems } = rig.message(&bad).await else {
        panic!("it must not become live");
    };
    assert_eq!(version, Some(2));
    assert!(problems.len() >= 2, "{problems:?}");
    assert_eq!(rig.problems(), problems);
    assert_eq!(rig.live().unwrap(), ["a"]);
    assert_eq!(
        rig.accepted.borrow().as_ref().unwrap().version,
        1,
        "it must not be kept on disk"
    );
    // The next good one builds on what is live, and ends the error.
    assert_eq!(self::version(&rig.message(&change(1, 3, &["d"], &[])).await), 3);
    assert_eq!(rig.live().unwrap(), ["a", "d"]);
    assert!(rig.problems().is_empty());
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_refused_by_its_version() {
    let rig = Rig::new();
    let text = r#"{"message": "snapshot", "version": 5, "put": [{"kind": "integration", "value": {"nmae": "x"}}]}"#;
    let outcome = rig.applier.apply(Update::Message(text.into())).await;
    let Outcome::Refused { version, problems } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(version, Some(5));
    assert!(
        problems.iter().any(|problem| problem.message.contains("nmae")),
        "{problems:?}"
    );
    for text in ["", "{", "[]", r#"{"message": "dance"}"#] {
        let outcome = rig.applier.apply(Update::Message(text.into())).await;
        let Outcome::Refused {
            version: None,
            problems,
        } = outcome
        else {
            panic!("{text}: {outcome:?}");
        };
        assert!(!problems.is_empty(), "{text}");
    }
    assert!(rig.live().is_none());
}

#[tokio::test]
async fn a_document_becomes_live_and_a_bad_one_does_not() {
    let rig = Rig::new();
    let good = rig.applier.apply(Update::Document(document(&["a", "b"]))).await;
    assert_eq!(version(&good), 0);
    for (bad, reason) in [
        ("", "empty"),
        ("integrations: [", "YAML"),
        ("integrations: [{name: x}]", "missing field"),
        ("routes: []", "routes"),
    ] {
        let outcome = rig.applier.apply(Update::Document(bad.to_owned())).await;
        let Outcome::Refused { problems, .. } = outcome else {
            panic!("{bad}: {outcome:?}");
        };
        assert!(
            problems.iter().any(|problem| problem.message.contains(reason)),
            "{bad}: {problems:?}"
        );
    }
    assert_eq!(rig.live().unwrap().len(), 2);
    assert_eq!(rig.state.report().source, Some(Source::File));
}

#[tokio::test]
async fn what_was_restored_is_not_written_again() {
    let rig = Rig::new();
    let restored = Snapshot::from_objects(4, vec![integration("a", "https://partner.example")]);
    assert_eq!(version(&rig.applier.apply(Update::Restored(restored)).await), 4);
    assert!(rig.accepted.borrow().is_none());
    assert_eq!(rig.state.report().source, Some(Source::LastKnownGood));
    assert_eq!(
        version(&rig.message(&change(4, 5, &["b"], &[])).await),
        5,
        "the control plane goes on from it"
    );
}

#[tokio::test]
async fn the_version_before_stands_by_while_one_is_on_trial() {
    let rig = Rig::new();
    rig.message(&snapshot(1, &["a"])).await;
    let on_trial = |from, to| {
        let mut message = change(from, to, &["a"], &[]);
        if let FromControlPlane::Change { trial, .. } = &mut message {
            *trial = true;
        }
        message
    };
    let stands_by = || Some(rig.shared.load()?.before.as_ref()?.plan.version);
    assert_eq!(stands_by(), None);
    rig.message(&on_trial(1, 2)).await;
    assert_eq!(stands_by(), Some(1));
    rig.message(&on_trial(2, 3)).await;
    assert_eq!(stands_by(), Some(1), "the last that all gateways had");
    rig.message(&change(3, 4, &["a"], &[])).await;
    assert_eq!(stands_by(), None);
}

#[tokio::test]
async fn requests_count_for_the_version_that_is_live() {
    let rig = Rig::new();
    rig.message(&snapshot(1, &["a", "b"])).await;
    let count = |id: &str, failed| {
        let live = rig.shared.load().unwrap();
        let mut runtimes = live.runtimes.iter().flatten();
        let runtime = runtimes.find(|runtime| &*runtime.integration.id == id).unwrap();
        runtime.tally.count(failed);
        rig.metrics().tally.count(failed);
    };
    let counted = || {
        let counts = rig.applier.counts().unwrap();
        let pair = |counts: filters::model::push::Counts| (counts.requests, counts.failed);
        let mut of: Vec<_> = counts
            .integrations
            .iter()
            .map(|one| (one.id.to_string(), pair(one.counts)))
            .collect();
        of.sort();
        (counts.version, pair(counts.total), of)
    };
    count("a", true);
    count("b", true);
    count("b", false);
    let both = vec![("a".to_owned(), (1, 1)), ("b".to_owned(), (2, 1))];
    assert_eq!(counted(), (1, (3, 2), both));
    rig.message(&change(1, 2, &["a"], &[])).await;
    assert_eq!(
        counted(),
        (2, (0, 0), Vec::new()),
        "neither what changed nor what did not"
    );
    count("a", false);
    count("b", true);
    assert_eq!(counted(), (2, (2, 1), vec![("b".to_owned(), (1, 1))]));
}
