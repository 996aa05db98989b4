use filters::model::push::IntegrationCounts;

use super::super::RolloutState;
use super::*;

const BEGAN: i64 = 1_000_000;

fn rollout() -> Rollout {
    Rollout {
        id: "r".to_owned(),
        author: "tests".to_owned(),
        message: String::new(),
        created_at: Timestamp::from_second(BEGAN).unwrap(),
        state: RolloutState::Watching,
        version: 7,
        base: 6,
        gateways: vec!["c1".to_owned(), "c2".to_owned()],
        rules: Rules::default(),
        reason: None,
        ended_by: None,
        ended_at: None,
        ended_version: None,
    }
}

fn counted(version: u64, requests: u64, failed: u64) -> VersionCounts {
    VersionCounts {
        version,
        total: Counts { requests, failed },
        integrations: Vec::new(),
    }
}

fn of_integration(mut counts: VersionCounts, id: &str, requests: u64, failed: u64) -> VersionCounts {
    counts.integrations.push(IntegrationCounts {
        id: id.into(),
        counts: Counts { requests, failed },
    });
    counts
}

fn standing(id: &str, version: u64) -> Standing {
    Standing {
        gateway_id: id.to_owned(),
        connected: true,
        last_seen: Timestamp::from_second(BEGAN).unwrap(),
        applied_version: Some(version),
        refused: None,
        counts: Some(counted(version, 0, 0)),
        counts_before: None,
    }
}

fn facts() -> Facts {
    Facts {
        canaries: vec![standing("c1", 7), standing("c2", 7)],
        others: vec![standing("o1", 6)],
        since: Timestamp::from_second(BEGAN).unwrap(),
        elsewhere: false,
    }
}

fn judged(rollout: &Rollout, facts: &Facts, after_seconds: i64) -> Verdict {
    judge(rollout, facts, Timestamp::from_second(BEGAN + after_seconds).unwrap())
}

#[track_caller]
fn rolls_back(facts: &Facts, why: &str) {
    match judged(&rollout(), facts, 1) {
        Verdict::RollBack(reason) => assert!(reason.contains(why), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_goes_well_goes_on_when_its_time_is_over() {
    let mut facts = facts();
    facts.canaries[0].counts = Some(counted(7, 1_000, 0));
    assert_eq!(judged(&rollout(), &facts, 59), Verdict::Wait);
    let Verdict::Promote(reason) = judged(&rollout(), &facts, 60) else {
        panic!("it waits")
    };
    assert!(reason.contains("1000 request(s)"), "{reason}");
    let mut patient = rollout();
    patient.rules.promote = false;
    assert_eq!(judged(&patient, &facts, 600), Verdict::Wait);
}

#[test]
fn one_refusal_is_enough() {
    let mut facts = facts();
    facts.canaries[1].refused = Some(vec![Problem::new("hosts", "wrong")]);
    rolls_back(&facts, "c2 refused it: hosts: wrong");
}

#[test]
fn a_gateway_that_does_not_take_it_in_time_is_no_success() {
    let mut late = facts();
    late.canaries[0].applied_version = Some(6);
    assert_eq!(judged(&rollout(), &late, 59), Verdict::Wait);
    assert!(matches!(judged(&rollout(), &late, 60), Verdict::RollBack(_)));
    let mut unknown = facts();
    unknown.canaries.pop();
    assert!(matches!(judged(&rollout(), &unknown, 60), Verdict::RollBack(_)));
}

#[test]
fn a_gateway_that_took_it_and_went_away_is_no_success() {
    let mut gone = facts();
    gone.canaries[0].connected = false;
    gone.canaries[0].last_seen = Timestamp::from_second(BEGAN + 50).unwrap();
    assert_eq!(judged(&rollout(), &gone, 60), Verdict::Wait, "it may come back");
    let Verdict::RollBack(reason) = judged(&rollout(), &gone, 80) else {
        panic!("it goes on")
    };
    assert!(reason.contains("c1"), "{reason}");
    // A control plane that started a moment ago has not heard of anybody yet.
    gone.since = Timestamp::from_second(BEGAN + 75).unwrap();
    assert_eq!(judged(&rollout(), &gone, 80), Verdict::Wait);

    let mut elsewhere = facts();
    elsewhere.elsewhere = true;
    elsewhere.canaries[0].connected = false;
    assert!(matches!(judged(&rollout(), &elsewhere, 60), Verdict::Promote(_)));
    assert!(matches!(judged(&rollout(), &elsewhere, 90), Verdict::RollBack(_)));
}

#[test]
fn failures_at_one_gateway_count_though_all_together_look_well() {
    let mut facts = facts();
    facts.canaries[0].counts = Some(counted(7, 10, 9));
    facts.canaries[1].counts = Some(counted(7, 100_000, 0));
    rolls_back(&facts, "at the gateway c1");
}

#[test]
fn failures_of_one_integration_count_though_the_gateway_looks_well() {
    let mut facts = facts();
    facts.canaries[0].counts = Some(of_integration(counted(7, 100_000, 6), "lab", 6, 6));
    rolls_back(&facts, "of the integration \"lab\"");
}

#[test]
fn what_failed_before_or_fails_elsewhere_is_not_held_against_the_version() {
    let failing = |version| Some(of_integration(counted(version, 100, 50), "lab", 100, 50));
    let mut before = facts();
    before.canaries[0].counts = failing(7);
    before.canaries[0].counts_before = failing(6);
    assert_eq!(judged(&rollout(), &before, 1), Verdict::Wait);
    let mut elsewhere = facts();
    elsewhere.canaries[0].counts = failing(7);
    elsewhere.others[0].counts = failing(6);
    assert_eq!(judged(&rollout(), &elsewhere, 1), Verdict::Wait);
    let mut only_here = facts();
    only_here.canaries[0].counts = failing(7);
    rolls_back(&only_here, "50 of 100");
}

#[test]
fn few_failures_are_no_evidence_and_old_counts_are_none() {
    let mut few = facts();
    few.canaries[0].counts = Some(counted(7, 4, 4));
    assert_eq!(judged(&rollout(), &few, 1), Verdict::Wait);
    let mut old = facts();
    old.canaries[0].counts = Some(counted(6, 100, 100));
    assert_eq!(judged(&rollout(), &old, 1), Verdict::Wait);
}
