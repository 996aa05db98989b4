use super::super::throttle::{Summary, Throttle};
use super::*;

#[test]
fn beyond_the_most_there_is_one_word_and_a_sum_an_hour_later() {
    let mut throttle = Throttle::new(2);
    let raised = |name: &str| change(name, Happened::Raised);
    let said = throttle.pass(vec![raised("g1"), raised("g2"), raised("g3"), raised("g4")], at(0));
    assert!(matches!(&said[..2], [Message::Alert(_), Message::Alert(_)]), "{said:?}");
    let summary = summary(&said[2]);
    assert_eq!((said.len(), summary.until), (3, at(3_600)));
    assert!(
        throttle
            .pass(vec![change("g1", Happened::Resolved)], at(3_599))
            .is_empty()
    );
    let said = throttle.pass(vec![raised("g5")], at(3_600));
    let summary = self::summary(&said[0]);
    assert_eq!((summary.raised, summary.resolved, summary.reminded), (2, 1, 0));
    assert_eq!(
        summary.titles,
        ["Gateway g3 is not connected", "Gateway g4 is not connected"]
    );
    assert_eq!((summary.from, summary.until), (at(0), at(3_600)));
    assert!(matches!(&said[1..], [Message::Alert(_)]), "{said:?}");
}

#[test]
fn an_hour_without_more_needs_no_sum() {
    let mut throttle = Throttle::new(2);
    throttle.pass(
        vec![change("g1", Happened::Raised), change("g2", Happened::Raised)],
        at(0),
    );
    assert!(throttle.pass(Vec::new(), at(4_000)).is_empty());
    assert_eq!(throttle.pass(vec![change("g3", Happened::Raised)], at(4_001)).len(), 1);
}

#[test]
fn a_storm_is_bounded_hour_after_hour() {
    let mut throttle = Throttle::new(5);
    let mut said = 0;
    for second in 0..3 * 3_600 {
        said += throttle.pass(vec![change("g1", Happened::Raised)], at(second)).len();
    }
    assert_eq!(said, 3 * (5 + 1), "five and one word that there is more, in each hour");
}

#[test]
fn a_summary_says_where_the_rest_is() {
    let mut throttle = Throttle::new(1);
    let changes = vec![change("g1", Happened::Raised), change("g2", Happened::Raised)];
    let said = throttle.pass(changes, at(0));
    let notice = Notice::of(&said[1], "clinic", at(0));
    assert!(
        notice
            .text
            .contains("Until 2026-01-15 11:00:00 UTC they are only listed"),
        "{}",
        notice.text
    );
    assert!(notice.text.contains("/api/v1/alerts?status=OPEN"), "{}", notice.text);
    let json: serde_json::Value = serde_json::from_slice(&notice.json).unwrap();
    assert_eq!(
        (&json["type"], &json["data"]["summary"]["raised"]),
        (&"alert.summary".into(), &1.into())
    );
}

fn summary(message: &Message) -> &Summary {
    match message {
        Message::Summary(summary) => summary,
        Message::Alert(alert) => panic!("{alert:?} is no summary"),
    }
}
