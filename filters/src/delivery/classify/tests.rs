use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;

fn table(rules: &[(&[&str], StatusMeaning)], retry: &Retry) -> Result<StatusTable, Vec<Problem>> {
    let rules: Vec<StatusRule> = rules
        .iter()
        .map(|(statuses, treat_as)| StatusRule {
            statuses: statuses.iter().map(|status| (*status).to_owned()).collect(),
            treat_as: *treat_as,
        })
        .collect();
    let mut problems = Vec::new();
    StatusTable::compile(&rules, retry, "statusHandling", &mut problems).ok_or(problems)
}

fn built_in_table() -> StatusTable {
    table(&[], &Retry::Standard {}).unwrap()
}

fn answer(status: u16) -> Answer {
    Answer {
        status,
        ..Answer::default()
    }
}

fn judged(table: &StatusTable, answer: Answer) -> Classified {
    table.classify(AttemptResult::Answer(answer))
}

fn read(headers: &[(&'static str, &str)]) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    Answer::read(StatusCode::SERVICE_UNAVAILABLE, &map, NOW_MS)
}

/// The table of design decisions 7 and 8.
#[test]
fn what_each_status_means() {
    use ErrorCategory::{Auth, ClientError, Gone, RateLimited, Redirect, ServerError};
    use Health::{Bad, Good, Unknown};
    use Meaning::{DeadLetter, Delivered, Retry};
    for (status, meaning, category, health) in [
        (200, Delivered, None, Good),
        (202, Delivered, None, Good),
        (204, Delivered, None, Good),
        (299, Delivered, None, Good),
        (301, DeadLetter, Some(Redirect), Bad),
        (304, DeadLetter, Some(Redirect), Bad),
        (308, DeadLetter, Some(Redirect), Bad),
        (400, DeadLetter, Some(ClientError), Unknown),
        (401, DeadLetter, Some(Auth), Bad),
        (403, DeadLetter, Some(Auth), Bad),
        (404, DeadLetter, Some(ClientError), Bad),
        (405, DeadLetter, Some(ClientError), Bad),
        (408, Retry, Some(ServerError), Bad),
        (409, Delivered, None, Good),
        (410, DeadLetter, Some(Gone), Bad),
        (413, DeadLetter, Some(ClientError), Unknown),
        (415, DeadLetter, Some(ClientError), Unknown),
        (422, DeadLetter, Some(ClientError), Unknown),
        (425, DeadLetter, Some(ClientError), Unknown),
        (429, Retry, Some(RateLimited), Bad),
        (500, Retry, Some(ServerError), Bad),
        (501, Retry, Some(ServerError), Bad),
        (502, Retry, Some(ServerError), Bad),
        (503, Retry, Some(ServerError), Bad),
        (504, Retry, Some(ServerError), Bad),
        (599, Retry, Some(ServerError), Bad),
        (600, Retry, Some(ErrorCategory::Protocol), Bad),
        (999, Retry, Some(ErrorCategory::Protocol), Bad),
        (101, Retry, Some(ErrorCategory::Protocol), Bad),
    ] {
        let classified = judged(&built_in_table(), answer(status));
        assert_eq!(
            (classified.meaning, classified.category, classified.health),
            (meaning, category, health),
            "{status}"
        );
        assert_eq!(classified.disable.is_some(), status == 410, "{status}");
    }
}

#[test]
fn what_each_failure_means() {
    use Meaning::{DeadLetter, Retry};
    for (category, meaning, health) in [
        (ErrorCategory::Dns, Retry, Health::Bad),
        (ErrorCategory::Network, Retry, Health::Bad),
        (ErrorCategory::Tls, Retry, Health::Bad),
        (ErrorCategory::Timeout, Retry, Health::Bad),
        (ErrorCategory::Protocol, Retry, Health::Bad),
        (ErrorCategory::SignIn, Retry, Health::Bad),
        (ErrorCategory::BlockedAddress, DeadLetter, Health::Bad),
        (ErrorCategory::Enrichment, Retry, Health::Unknown),
        (ErrorCategory::Internal, Retry, Health::Unknown),
        (ErrorCategory::Transformation, DeadLetter, Health::Unknown),
    ] {
        let classified = built_in_table().classify(AttemptResult::Failure(category));
        assert_eq!(
            (classified.meaning, classified.health),
            (meaning, health),
            "{category:?}"
        );
        assert_eq!(classified.category, Some(category));
    }
}

#[test]
fn a_401_renews_the_token_once_and_is_a_dead_letter_then() {
    let fresh = Answer {
        can_renew: true,
        ..answer(401)
    };
    assert_eq!(judged(&built_in_table(), fresh).meaning, Meaning::RenewToken);
    let again = judged(&built_in_table(), answer(401));
    assert_eq!((again.meaning, again.health), (Meaning::DeadLetter, Health::Bad));
}

#[test]
fn an_overloaded_endpoint_gets_a_minute_by_the_standard_schedule() {
    let own = table(&[], &Retry::Seed {}).unwrap();
    for (status, wait_ms, pauses_lane) in [
        (429, Some(60_000), true),
        (502, Some(60_000), false),
        (504, Some(60_000), false),
        (500, None, false),
        (503, None, false),
    ] {
        let classified = judged(&built_in_table(), answer(status));
        assert_eq!(
            (classified.wait_ms, classified.pauses_lane),
            (wait_ms, pauses_lane),
            "{status}"
        );
        assert_eq!(judged(&own, answer(status)).wait_ms, None, "{status}");
    }
    let timeout = AttemptResult::Failure(ErrorCategory::Timeout);
    assert_eq!(built_in_table().classify(timeout).wait_ms, Some(60_000));
    assert_eq!(own.classify(timeout).wait_ms, None);
}

#[test]
fn retry_after_pauses_the_lane_for_as_long() {
    let asks = |status, retry_after_ms| Answer {
        retry_after_ms: Some(retry_after_ms),
        ..answer(status)
    };
    let long = judged(&built_in_table(), asks(503, 90_000));
    assert_eq!((long.wait_ms, long.pauses_lane), (Some(90_000), true));
    assert_eq!(long.pause_until(NOW_MS, Some(NOW_MS + 300_000)), Some(NOW_MS + 90_000));
    assert_eq!(long.pause_until(NOW_MS, None), Some(NOW_MS + 90_000));
    let short = judged(&built_in_table(), asks(429, 1_000));
    assert_eq!(
        (short.wait_ms, short.pauses_lane),
        (Some(1_000), true),
        "not the minute of our own"
    );
    let delivered = judged(&built_in_table(), asks(200, 90_000));
    assert_eq!((delivered.wait_ms, delivered.pauses_lane), (None, false));
    assert_eq!(delivered.pause_until(NOW_MS, None), None);
}

#[test]
fn a_429_without_a_time_pauses_until_the_delivery_is_due_or_a_minute() {
    let own = table(&[], &Retry::Seed {}).unwrap();
    let classified = judged(&own, answer(429));
    assert_eq!(
        classified.pause_until(NOW_MS, Some(NOW_MS + 1_000)),
        Some(NOW_MS + 1_000)
    );
    assert_eq!(
        classified.pause_until(NOW_MS, Some(NOW_MS + 3_600_000)),
        Some(NOW_MS + 60_000)
    );
    assert_eq!(classified.pause_until(NOW_MS, None), Some(NOW_MS + 60_000));
}

#[test]
fn receivers_may_abort_and_disable() {
    let says = |status, control| {
        let answer = Answer {
            control: Some(control),
            can_renew: true,
            ..answer(status)
        };
        let classified = judged(&built_in_table(), answer);
        (classified.meaning, classified.disable.is_some())
    };
    assert_eq!(says(500, ReplyControl::Abort), (Meaning::DeadLetter, false));
    assert_eq!(says(401, ReplyControl::Abort), (Meaning::DeadLetter, false));
    assert_eq!(says(200, ReplyControl::Abort), (Meaning::Delivered, false));
    assert_eq!(says(503, ReplyControl::Disable), (Meaning::DeadLetter, true));
    assert_eq!(says(200, ReplyControl::Disable), (Meaning::Delivered, true));
}

#[test]
fn the_reply_header_is_read_in_any_case_and_the_stronger_word_holds() {
    assert_eq!(
        read(&[("webhook-delivery", "Abort-Message")]).control,
        Some(ReplyControl::Abort)
    );
    assert_eq!(
        read(&[("webhook-delivery", "disable, abort-message")]).control,
        Some(ReplyControl::Disable)
    );
    assert_eq!(
        read(&[("webhook-delivery", "abort-message"), ("webhook-delivery", " disable ")]).control,
        Some(ReplyControl::Disable)
    );
    assert_eq!(read(&[("webhook-delivery", "disabled")]).control, None);
    assert_eq!(read(&[("webhook-delivery", "\u{ff}")]).control, None);
}

#[test]
fn rules_come_before_the_table_and_statuses_before_classes() {
    let table = table(
        &[
            (&["4xx"], StatusMeaning::Retry),
            (&["404", "410"], StatusMeaning::Success),
            (&["429"], StatusMeaning::DeadLetter),
            (&["503"], StatusMeaning::Disable),
            (&["202"], StatusMeaning::Retry),
        ],
        &Retry::Standard {},
    )
    .unwrap();
    let meaning = |status| judged(&table, answer(status)).meaning;
    assert_eq!(meaning(422), Meaning::Retry);
    assert_eq!(meaning(404), Meaning::Delivered);
    assert_eq!(meaning(500), Meaning::Retry);
    assert_eq!(meaning(202), Meaning::Retry);
    let gone = judged(&table, answer(410));
    assert_eq!(
        (gone.meaning, gone.disable, gone.health),
        (Meaning::Delivered, None, Health::Good)
    );
    let disabled = judged(&table, answer(503));
    assert_eq!(
        (disabled.meaning, disabled.category),
        (Meaning::DeadLetter, Some(ErrorCategory::Gone))
    );
    assert!(disabled.disable.is_some());
    // The endpoint asks for less, whatever becomes of this delivery.
    let limited = judged(&table, answer(429));
    assert_eq!((limited.meaning, limited.pauses_lane), (Meaning::DeadLetter, true));
    // A repeat is still this event's fault, not the endpoint's.
    assert_eq!(judged(&table, answer(422)).health, Health::Unknown);
}

#[test]
fn bad_rules_are_named_by_path() {
    let problems = table(
        &[
            (
                &["404", "4XX", "99", "600", "1xx", "xxx", "40", "+04", ""],
                StatusMeaning::Retry,
            ),
            (&[], StatusMeaning::Retry),
            (&["404"], StatusMeaning::Retry),
            (&["4xx"], StatusMeaning::Success),
        ],
        &Retry::Standard {},
    )
    .unwrap_err();
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    let bad = (2..9).map(|place| format!("statusHandling[0].statuses[{place}]"));
    let others = [
        "statusHandling[1].statuses",
        "statusHandling[2].statuses[0]",
        "statusHandling[3].statuses[0]",
    ];
    let expected: Vec<String> = bad.chain(others.map(str::to_owned)).collect();
    assert_eq!(paths, expected);
    assert!(problems[8].message.contains("twice"));
}

#[test]
fn retry_after_in_both_forms_and_hostile_ones() {
    let wait = |text: &str| read(&[("retry-after", text)]).retry_after_ms;
    assert_eq!(wait("120"), Some(120_000));
    assert_eq!(wait(" 0 "), Some(0));
    assert_eq!(wait("86401"), Some(86_400_000));
    assert_eq!(wait("99999999999999999999999999"), Some(86_400_000));
    // 2023-11-14T22:13:20Z is NOW_MS.
    assert_eq!(wait("Tue, 14 Nov 2023 22:14:20 GMT"), Some(60_000));
    assert_eq!(wait("Tuesday, 14-Nov-23 22:14:20 GMT"), Some(60_000));
    assert_eq!(wait("Tue Nov 14 22:14:20 2023"), Some(60_000));
    assert_eq!(wait("Tue, 14 Nov 2023 22:12:20 GMT"), Some(0));
    assert_eq!(wait("Fri, 31 Dec 9999 23:59:59 GMT"), Some(86_400_000));
    for text in [
        "",
        "-5",
        "1.5",
        "5 s",
        "1e9",
        "soon",
        "Tue, 99 Nov 2023 22:14:20 GMT",
        "\u{ff}",
    ] {
        assert_eq!(wait(text), None, "{text}");
    }
    let twice = read(&[("retry-after", "1"), ("retry-after", "2")]);
    assert_eq!(twice.retry_after_ms, None);
}

#[test]
fn every_category_has_advice() {
    assert!(advice(ErrorCategory::ClientError, Some(404)).contains("targetUrl"));
    assert!(advice(ErrorCategory::Auth, Some(401)).contains("sign-in"));
}

proptest! {
    #[test]
    fn no_answer_is_judged_to_wait_longer_than_a_day(
        status in any::<u16>(),
        retry_after in ".{0,40}",
        now_ms in any::<i64>(),
    ) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&retry_after) {
            headers.insert("retry-after", value);
        }
        let read = Answer::read(StatusCode::OK, &headers, now_ms);
        let classified = judged(&built_in_table(), Answer { status, ..read });
        prop_assert!(classified.wait_ms.is_none_or(|wait_ms| (0..=86_400_000).contains(&wait_ms)));
        prop_assert_eq!(classified.meaning == Meaning::Delivered, classified.category.is_none());
    }
}
