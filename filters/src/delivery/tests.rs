//! `docs/deliveries.md` cannot rot: its blocks are compiled, and its tables and its signature are what the code makes.

use serde_json::Value;

use super::*;
use crate::model::Problem;
use crate::model::delivery::ErrorCategory;
use crate::model::outbound::signing::Signing;
use crate::model::outbound::{self, Retry, SchedulingMode, SigningType, StatusRule};

const PAGE: &str = include_str!("../../../docs/deliveries.md");

#[test]
fn every_block_of_the_page_compiles() {
    let mut kinds = Vec::new();
    for (kind, text) in blocks() {
        let Some(kind) = kind.strip_prefix("json ") else {
            continue;
        };
        let mut problems = Vec::new();
        compile(kind, text, &mut problems);
        assert_eq!(problems, [], "{kind}: {text}");
        kinds.push(kind);
    }
    assert_eq!(
        kinds,
        [
            "statusHandling",
            "retry",
            "retry",
            "breaker",
            "DELAYED",
            "RECURRING",
            "STANDARD_WEBHOOKS"
        ]
    );
}

#[test]
fn the_breaker_of_the_page_is_the_default() {
    let (_, text) = blocks().find(|(kind, _)| *kind == "json breaker").unwrap();
    let shown: outbound::Breaker = serde_json::from_str(text).unwrap();
    assert_eq!(shown, outbound::Breaker::default());
}

#[test]
fn the_signature_of_the_page_is_right() {
    let mut problems = Vec::new();
    let (_, config) = blocks().find(|(kind, _)| *kind == "json STANDARD_WEBHOOKS").unwrap();
    let config: Value = serde_json::from_str(config).unwrap();
    let signing = Signing::read(SigningType::StandardWebhooks, Some(&config), &mut problems).unwrap();
    let signer = Signer::compile(&signing, "signingConfig", &mut problems).unwrap();
    let message = Message {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp_s: 1_614_265_330,
        accepted_ms: 0,
    };
    let body = r#"{"test": 2432232314}"#;
    let sentence = format!(
        "the id `{}`, the timestamp `{}` and the body `{body}`",
        message.id, message.timestamp_s
    );
    assert!(PAGE.contains(&sentence));
    let headers = signer.sign(message, body.as_bytes()).unwrap();
    let (name, value) = &headers[2];
    let (_, shown) = blocks().find(|(kind, _)| *kind == "text signature").unwrap();
    assert_eq!(shown.trim(), format!("{name}: {}", value.to_str().unwrap()));
}

#[test]
fn the_table_of_statuses_is_what_the_code_does() {
    let rows = rows("| status |");
    assert_eq!(rows.len(), 14);
    for status in 200_u16..600 {
        let class = format!("{}xx", status / 100);
        let row = rows.iter().find(|row| row[0] == status.to_string()).or_else(|| {
            rows.iter()
                .find(|row| row[0] == class || row[0] == format!("other {class}"))
        });
        let row = row.unwrap_or_else(|| panic!("{status} is not in the table"));
        let answer = Answer {
            status,
            ..Answer::default()
        };
        let judged = table().classify(AttemptResult::Answer(answer));
        let renewing = Answer {
            can_renew: true,
            ..answer
        };
        let renewed = table().classify(AttemptResult::Answer(renewing)).meaning;
        let mut becomes = match renewed == Meaning::RenewToken {
            true => format!(
                "with a token: once more with a new one; then a {}",
                becomes(judged.meaning)
            ),
            false => becomes(judged.meaning).to_owned(),
        };
        if judged.disable.is_some() {
            becomes.push_str(", and the endpoint is disabled");
        }
        if judged.pauses_lane {
            becomes.push_str(", and the endpoint is left alone for a while");
        }
        assert_eq!(
            [&*becomes, &label(judged.category), fault(judged.health)],
            row[1..],
            "{status}"
        );
    }
}

#[test]
fn the_table_of_failures_is_what_the_code_does() {
    let rows = rows("| no answer |");
    assert_eq!(rows.len(), 9);
    for row in rows {
        let category: ErrorCategory = serde_json::from_value(row[2].trim_matches('`').into()).unwrap();
        let judged = table().classify(AttemptResult::Failure(category));
        assert_eq!(
            [becomes(judged.meaning), fault(judged.health)],
            [&*row[1], &*row[3]],
            "{category:?}"
        );
    }
}

fn compile(kind: &str, text: &str, problems: &mut Vec<Problem>) {
    let value: Value = serde_json::from_str(text).unwrap();
    match kind {
        "statusHandling" => {
            let rules: Vec<StatusRule> = serde_json::from_value(value).unwrap();
            StatusTable::compile(&rules, &Retry::Standard {}, kind, problems);
        }
        "retry" => drop(RetryPlan::compile(
            &serde_json::from_value(value).unwrap(),
            kind,
            problems,
        )),
        "breaker" => drop(BreakerRules::compile(
            &serde_json::from_value(value).unwrap(),
            kind,
            problems,
        )),
        "DELAYED" | "RECURRING" => {
            let mode: SchedulingMode = serde_json::from_value(kind.into()).unwrap();
            let config = serde_json::from_value(value).unwrap();
            drop(SchedulePlan::compile(mode, Some(&config), None, kind, problems));
        }
        kind => {
            let kind: SigningType = serde_json::from_value(kind.into()).unwrap();
            let signing = Signing::read(kind, Some(&value), problems).unwrap();
            drop(Signer::compile(&signing, "signingConfig", problems));
        }
    }
}

fn table() -> StatusTable {
    StatusTable::compile(&[], &Retry::Standard {}, "", &mut Vec::new()).unwrap()
}

fn becomes(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Delivered => "delivered",
        Meaning::Retry => "retried",
        Meaning::DeadLetter => "dead letter",
        Meaning::RenewToken => "renewed",
    }
}

fn label(category: Option<ErrorCategory>) -> String {
    let name = category.map(|category| serde_json::to_value(category).unwrap());
    name.map_or_else(String::new, |name| format!("`{}`", name.as_str().unwrap()))
}

fn fault(health: Health) -> &'static str {
    match health {
        Health::Bad => "yes",
        Health::Good | Health::Unknown => "no",
    }
}

/// The rows of the table whose first line begins so, as the texts of their cells.
fn rows(head: &str) -> Vec<Vec<String>> {
    let lines = PAGE.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    rows.map(|line| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    })
    .collect()
}

/// Marks and texts of the page's blocks.
fn blocks() -> impl Iterator<Item = (&'static str, &'static str)> {
    let fenced = PAGE.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n'))
}
