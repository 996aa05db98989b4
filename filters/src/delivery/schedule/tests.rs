use proptest::prelude::*;
use serde_json::json;

use super::*;

const NEW_YORK: &str = "America/New_York";
const BERLIN: &str = "Europe/Berlin";

fn compiled(mode: SchedulingMode, config: &Value) -> Result<SchedulePlan, Vec<Problem>> {
    let config: ScheduleConfig = serde_json::from_value(config.clone()).unwrap();
    let mut problems = Vec::new();
    let plan = SchedulePlan::compile(mode, Some(&config), None, "schedulingConfig", &mut problems);
    plan.filter(|_| problems.is_empty()).ok_or(problems)
}

fn delayed(config: &Value) -> SchedulePlan {
    compiled(SchedulingMode::Delayed, config).unwrap()
}

fn recurring(config: &Value) -> SchedulePlan {
    compiled(SchedulingMode::Recurring, config).unwrap()
}

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn shown(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap().to_string()
}

fn first(plan: &SchedulePlan, accepted: &str) -> String {
    shown(plan.first(ms(accepted), b"{}").unwrap())
}

/// The next `count` times of a cron expression, each delivered on time.
fn times(cron: &str, zone: &str, from: &str, count: u32) -> Vec<String> {
    let plan = recurring(&json!({"cron": cron, "timezone": zone}));
    let mut due_ms = plan.first(ms(from), b"").unwrap();
    let mut times = vec![shown(due_ms)];
    for occurrences in 1..count {
        due_ms = plan.following(due_ms, due_ms + 300, occurrences).unwrap();
        times.push(shown(due_ms));
    }
    times
}

fn opens(window: &Value, zone: &str, start: &str) -> String {
    first(&delayed(&json!({"window": window, "timezone": zone})), start)
}

#[test]
fn at_once() {
    let plan = SchedulePlan::compile(SchedulingMode::Immediate, None, Some(BERLIN), "x", &mut Vec::new()).unwrap();
    assert!(plan.is_immediate() && !plan.is_recurring() && !plan.reads_payload());
    assert_eq!(plan.first(7, b"not JSON"), Ok(7));
    assert_eq!(plan.following(7, 7, 0), None);
}

#[test]
fn a_fixed_delay() {
    assert_eq!(delayed(&json!({"delayMs": 90_000})).first(7, b""), Ok(90_007));
}

#[test]
fn until_a_time_of_the_payload() {
    let plan = delayed(&json!({"untilField": "visits[0].startsAt", "delayMs": -3_600_000, "timezone": BERLIN}));
    assert!(plan.reads_payload());
    let due = |time: &str| {
        let payload = json!({"visits": [{"startsAt": time}]}).to_string();
        plan.first(ms("2025-01-01T00:00:00Z"), payload.as_bytes()).map(shown)
    };
    assert_eq!(due("2025-06-01T10:00:00Z").unwrap(), "2025-06-01T09:00:00Z");
    assert_eq!(due("2025-06-01T10:00:00+05:30").unwrap(), "2025-06-01T03:30:00Z");
    assert_eq!(
        due("2025-06-01T10:00:00").unwrap(),
        "2025-06-01T07:00:00Z",
        "summer in Berlin"
    );
    assert_eq!(
        due("2025-12-01 10:00").unwrap(),
        "2025-12-01T08:00:00Z",
        "winter in Berlin"
    );
    // 02:30 is skipped on that day, and happens twice on the other.
    assert_eq!(due("2025-03-30T02:30:00").unwrap(), "2025-03-30T00:30:00Z");
    assert_eq!(due("2025-10-26T02:30:00").unwrap(), "2025-10-25T23:30:00Z");
    assert_eq!(
        due("2020-01-01T00:00:00Z").unwrap(),
        "2025-01-01T00:00:00Z",
        "the past is at once"
    );
}

#[test]
fn faults_name_the_field_and_show_no_payload() {
    let plan = delayed(&json!({"untilField": "visit.at"}));
    let fault = |payload: &str| plan.first(0, payload.as_bytes()).unwrap_err();
    let field = || "visit.at".to_owned();
    for payload in ["{}", r#"{"visit":{"at":null}}"#, r#"{"visit":"x"}"#, "<xml/>", ""] {
        assert_eq!(fault(payload), ScheduleFault::Missing { field: field() }, "{payload}");
    }
    for time in [
        "7",
        r#""""#,
        r#""tomorrow""#,
        r#""2025-02-30T00:00:00Z""#,
        r#""10:00""#,
        "{}",
    ] {
        let payload = format!(r#"{{"visit":{{"at":{time}}}}}"#);
        assert_eq!(fault(&payload), ScheduleFault::NotATime { field: field() }, "{time}");
    }
    assert!(
        fault(r#"{"visit":{"at":"tomorrow"}}"#)
            .to_string()
            .starts_with("`visit.at` of the payload")
    );
    let far = delayed(&json!({"delayMs": 31_622_400_000_i64}));
    assert_eq!(far.first(i64::MAX, b""), Err(ScheduleFault::OutOfRange));
    let late = delayed(&json!({"untilField": "at", "delayMs": 31_622_400_000_i64}));
    assert_eq!(
        late.first(0, br#"{"at":"9999-12-30T00:00:00Z"}"#),
        Err(ScheduleFault::OutOfRange)
    );
}

#[test]
fn an_interval_keeps_its_beat_and_leaves_out_what_was_missed() {
    let plan = recurring(&json!({"intervalMs": 60_000, "count": 3}));
    assert_eq!(plan.first(1_000, b""), Ok(1_000));
    assert_eq!(plan.following(1_000, 1_500, 1), Some(61_000));
    assert_eq!(plan.following(1_000, 61_000, 1), Some(61_000));
    assert_eq!(plan.following(1_000, 86_400_000, 2), Some(86_401_000), "a day later");
    assert_eq!(plan.following(1_000, 1_000, 3), None, "three in all");
    assert_eq!(plan.following(61_000, 0, 1), Some(121_000), "the clock was set back");
    assert_eq!(plan.following(i64::MAX, i64::MAX, 1), None);
}

#[test]
fn an_end_is_an_end() {
    let plan = recurring(&json!({"intervalMs": 60_000, "end": "1970-01-01T00:02:00+00:00"}));
    assert_eq!(plan.following(0, 0, 1), Some(60_000));
    assert_eq!(plan.following(60_000, 60_000, 2), Some(120_000));
    assert_eq!(plan.following(120_000, 120_000, 3), None);
    assert_eq!(plan.first(120_001, b""), Err(ScheduleFault::Ended));
}

#[test]
fn cron_in_a_zone() {
    assert_eq!(
        times("30 9 * * 1-5", NEW_YORK, "2025-07-03T13:30:00Z", 3),
        ["2025-07-03T13:30:00Z", "2025-07-04T13:30:00Z", "2025-07-07T13:30:00Z"]
    );
    assert_eq!(
        times("0 0 29 2 *", "UTC", "2025-01-01T00:00:00Z", 2),
        ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]
    );
    // The day of the month or the day of the week, if both are named.
    assert_eq!(
        times("0 0 1 * 7", "UTC", "2025-08-01T00:00:00Z", 3),
        ["2025-08-01T00:00:00Z", "2025-08-03T00:00:00Z", "2025-08-10T00:00:00Z"]
    );
}

#[test]
fn a_cron_that_was_missed_goes_on_with_the_next_one() {
    let plan = recurring(&json!({"cron": "0 * * * *"}));
    let next = plan.following(ms("2025-01-01T00:00:00Z"), ms("2025-01-03T10:20:30.400Z"), 1);
    assert_eq!(next.map(shown).unwrap(), "2025-01-03T11:00:00Z");
    let same = plan.following(ms("2025-01-01T00:00:00Z"), ms("2024-12-31T23:59:59Z"), 1);
    assert_eq!(
        same.map(shown).unwrap(),
        "2025-01-01T01:00:00Z",
        "the clock was set back"
    );
}

/// The clock goes from 02:00 to 03:00 (New York 2025-03-09 07:00Z, Berlin 2025-03-30 01:00Z).
#[test]
fn a_time_of_day_that_is_skipped_is_made_up_for_right_after() {
    assert_eq!(
        times("30 2 * * *", NEW_YORK, "2025-03-08T00:00:00Z", 3),
        ["2025-03-08T07:30:00Z", "2025-03-09T07:00:00Z", "2025-03-10T06:30:00Z"]
    );
    assert_eq!(
        times("30 2 * * *", BERLIN, "2025-03-29T00:00:00Z", 3),
        ["2025-03-29T01:30:00Z", "2025-03-30T01:00:00Z", "2025-03-31T00:30:00Z"]
    );
    assert_eq!(
        times("*/30 * * * *", NEW_YORK, "2025-03-09T06:30:00Z", 3),
        ["2025-03-09T06:30:00Z", "2025-03-09T07:00:00Z", "2025-03-09T07:30:00Z"]
    );
}

/// The clock goes back over an hour (New York 2025-11-02 06:00Z, Berlin 2025-10-26 01:00Z).
#[test]
fn a_time_of_day_that_happens_twice_counts_once() {
    assert_eq!(
        times("30 1 * * *", NEW_YORK, "2025-11-01T00:00:00Z", 3),
        ["2025-11-01T05:30:00Z", "2025-11-02T05:30:00Z", "2025-11-03T06:30:00Z"]
    );
    assert_eq!(
        times("30 2 * * *", BERLIN, "2025-10-25T00:00:00Z", 3),
        ["2025-10-25T00:30:00Z", "2025-10-26T00:30:00Z", "2025-10-27T01:30:00Z"]
    );
    assert_eq!(
        times("*/30 * * * *", BERLIN, "2025-10-26T00:00:00Z", 5),
        [
            "2025-10-26T00:00:00Z",
            "2025-10-26T00:30:00Z",
            "2025-10-26T01:00:00Z",
            "2025-10-26T01:30:00Z",
            "2025-10-26T02:00:00Z"
        ]
    );
}

/// Samoa left out the whole of 2011-12-30.
#[test]
fn a_gap_of_a_day_does_not_end_a_schedule() {
    assert_eq!(
        times("0 9 30 * *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1),
        ["2012-01-29T19:00:00Z"]
    );
}

#[test]
fn a_window_moves_a_time_to_the_next_beginning() {
    let office = json!({"from": "09:00", "to": "17:30"});
    assert_eq!(opens(&office, BERLIN, "2025-07-04T06:59:59Z"), "2025-07-04T07:00:00Z");
    assert_eq!(opens(&office, BERLIN, "2025-07-04T07:00:00Z"), "2025-07-04T07:00:00Z");
    assert_eq!(
        opens(&office, BERLIN, "2025-07-04T15:29:59.999Z"),
        "2025-07-04T15:29:59.999Z"
    );
    assert_eq!(
        opens(&office, BERLIN, "2025-07-04T15:30:00Z"),
        "2025-07-07T07:00:00Z",
        "after Friday is Monday"
    );
    let sunday = json!({"days": ["SUN"], "from": "00:00", "to": "24:00"});
    assert_eq!(opens(&sunday, BERLIN, "2025-07-06T21:59:59Z"), "2025-07-06T21:59:59Z");
    assert_eq!(opens(&sunday, BERLIN, "2025-07-06T22:00:00Z"), "2025-07-12T22:00:00Z");
}

#[test]
fn a_window_that_the_clock_jumps_into_opens_at_the_jump() {
    let days = json!(["SAT", "SUN"]);
    let early = json!({"days": days, "from": "02:30", "to": "05:00"});
    assert_eq!(opens(&early, NEW_YORK, "2025-03-09T06:00:00Z"), "2025-03-09T07:00:00Z");
    assert_eq!(opens(&early, BERLIN, "2025-03-30T00:00:00Z"), "2025-03-30T01:00:00Z");
    let swallowed = json!({"days": days, "from": "02:15", "to": "02:45"});
    assert_eq!(
        opens(&swallowed, NEW_YORK, "2025-03-09T06:00:00Z"),
        "2025-03-15T06:15:00Z"
    );
    assert_eq!(
        opens(&swallowed, BERLIN, "2025-03-30T00:00:00Z"),
        "2025-04-05T00:15:00Z"
    );
}

#[test]
fn a_window_that_happens_twice_opens_twice() {
    let days = json!(["SUN"]);
    let night = json!({"days": days, "from": "01:15", "to": "01:45"});
    // 01:15 to 01:45 in summer time, and again in winter time.
    assert_eq!(opens(&night, NEW_YORK, "2025-11-02T05:00:00Z"), "2025-11-02T05:15:00Z");
    assert_eq!(opens(&night, NEW_YORK, "2025-11-02T05:45:00Z"), "2025-11-02T06:15:00Z");
    assert_eq!(opens(&night, NEW_YORK, "2025-11-02T06:45:00Z"), "2025-11-09T06:15:00Z");
    let night = json!({"days": days, "from": "02:15", "to": "02:45"});
    assert_eq!(opens(&night, BERLIN, "2025-10-26T00:00:00Z"), "2025-10-26T00:15:00Z");
    assert_eq!(opens(&night, BERLIN, "2025-10-26T00:45:00Z"), "2025-10-26T01:15:00Z");
    assert_eq!(opens(&night, BERLIN, "2025-10-26T01:45:00Z"), "2025-11-02T01:15:00Z");
}

#[test]
fn a_window_moves_recurring_deliveries_too() {
    let plan = recurring(&json!({"cron": "0 22 * * *", "window": {"from": "09:00", "to": "17:00"}}));
    let monday = plan
        .following(ms("2025-07-04T09:00:00Z"), ms("2025-07-04T09:00:01Z"), 1)
        .unwrap();
    assert_eq!(shown(monday), "2025-07-07T09:00:00Z");
}

#[test]
fn the_zone_of_the_organization_is_the_default() {
    let config = ScheduleConfig {
        cron: Some("0 9 * * *".to_owned()),
        ..ScheduleConfig::default()
    };
    let mode = SchedulingMode::Recurring;
    let plan = SchedulePlan::compile(mode, Some(&config), Some("Asia/Kolkata"), "", &mut Vec::new()).unwrap();
    assert_eq!(first(&plan, "2025-01-01T00:00:00Z"), "2025-01-01T03:30:00Z");
}

fn path_of(mode: SchedulingMode, config: &Value) -> String {
    let problems = compiled(mode, config).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let path = problems[0].path.strip_prefix("schedulingConfig");
    path.unwrap().to_owned()
}

#[test]
fn problems_of_delayed_ones_name_the_field() {
    let window = |from: &str, to: &str| json!({"window": {"from": from, "to": to}});
    for (config, path) in [
        (json!({}), ""),
        (json!({"delayMs": -1}), ".delayMs"),
        (json!({"delayMs": 31_622_400_001_i64}), ".delayMs"),
        (json!({"untilField": "a", "delayMs": -31_622_400_001_i64}), ".delayMs"),
        (json!({"untilField": "a..b"}), ".untilField"),
        (json!({"untilField": "a[].b"}), ".untilField"),
        (json!({"delayMs": 1, "timezone": "Mars/Olympus"}), ".timezone"),
        (json!({"delayMs": 1, "cron": "* * * * *"}), ".cron"),
        (json!({"delayMs": 1, "count": 1}), ".count"),
        (window("9:00", "17:00"), ".window.from"),
        (window("24:00", "24:00"), ".window.from"),
        (window("09:00", "24:01"), ".window.to"),
        (window("09:60", "17:00"), ".window.from"),
        (window("09:00", "+7:00"), ".window.to"),
        (window("09:00", "09:00"), ".window.to"),
        (window("17:00", "09:00"), ".window.to"),
        (
            json!({"window": {"days": [], "from": "09:00", "to": "17:00"}}),
            ".window.days",
        ),
    ] {
        assert_eq!(path_of(SchedulingMode::Delayed, &config), path, "{config}");
    }
}

#[test]
fn problems_of_recurring_ones_name_the_field() {
    for (config, path) in [
        (json!({}), ""),
        (json!({"cron": "* * * * *", "intervalMs": 1_000}), ""),
        (json!({"intervalMs": 999}), ".intervalMs"),
        (json!({"intervalMs": u64::MAX}), ".intervalMs"),
        (json!({"intervalMs": 1_000, "count": 0}), ".count"),
        (json!({"intervalMs": 1_000, "end": "2025-12-31"}), ".end"),
        (json!({"intervalMs": 1_000, "delayMs": 1}), ".delayMs"),
        (json!({"intervalMs": 1_000, "untilField": "a"}), ".untilField"),
    ] {
        assert_eq!(path_of(SchedulingMode::Recurring, &config), path, "{config}");
    }
    for cron in [
        "",
        "* * * *",
        "* * * * * *",
        "@daily",
        "60 * * * *",
        "* 24 * * *",
        "0 0 30 2 *",
        "0 0 31 4,6 *",
        "a b c d e",
        "*/0 * * * *",
        "5-1 * * * *x",
    ] {
        assert_eq!(
            path_of(SchedulingMode::Recurring, &json!({ "cron": cron })),
            ".cron",
            "{cron}"
        );
    }
}

#[test]
fn a_configuration_belongs_to_its_mode() {
    let mut problems = Vec::new();
    SchedulePlan::compile(SchedulingMode::Delayed, None, None, "schedulingConfig", &mut problems);
    let config = ScheduleConfig::default();
    SchedulePlan::compile(
        SchedulingMode::Immediate,
        Some(&config),
        None,
        "schedulingConfig",
        &mut problems,
    );
    assert!(problems.len() == 2 && problems.iter().all(|problem| problem.path == "schedulingConfig"));
}

proptest! {
    /// Around both changes of the clock, minute by minute: a window never moves a time back, never further than to the
    /// next day that has it, and always into the window.
    #[test]
    fn a_moved_time_is_in_the_window(
        start_s in prop_oneof![1_741_400_000_i64..1_741_700_000, 1_761_300_000_i64..1_762_200_000],
        from in 0_u32..1_439,
        length in 1_u32..1_440,
        zone in prop::sample::select(vec![NEW_YORK, BERLIN, "Australia/Lord_Howe", "UTC"]),
    ) {
        let to = (from + length).min(1_440);
        let time = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let days = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];
        let plan = delayed(&json!({"timezone": zone, "window": {"days": days, "from": time(from), "to": time(to)}}));
        let due_ms = plan.first(start_s * 1_000, b"").unwrap();
        prop_assert!(due_ms >= start_s * 1_000 && due_ms <= (start_s + 49 * 3_600) * 1_000);
        let shown = Timestamp::from_millisecond(due_ms).unwrap().to_zoned(TimeZone::get(zone).unwrap());
        let minute = shown.hour().unsigned_abs() as u32 * 60 + shown.minute().unsigned_abs() as u32;
        prop_assert!((from..to).contains(&minute), "{}", shown);
    }

    /// Whatever the clock does, recurring deliveries go forward and none is due before the one that it follows.
    #[test]
    fn recurring_times_go_forward(
        cron in prop::sample::select(vec!["*/7 * * * *", "30 2 * * *", "30 1,2 * * *", "0 */2 * * *", "15 1 * * 0"]),
        zone in prop::sample::select(vec![NEW_YORK, BERLIN, "Australia/Lord_Howe"]),
        start_s in prop_oneof![1_741_400_000_i64..1_741_700_000, 1_761_300_000_i64..1_762_200_000],
        late_ms in prop::collection::vec(-100_000_i64..10_000_000, 1..20),
    ) {
        let plan = recurring(&json!({"cron": cron, "timezone": zone}));
        let mut due_ms = plan.first(start_s * 1_000, b"").unwrap();
        for late_ms in late_ms {
            let next_ms = plan.following(due_ms, due_ms + late_ms, 1).unwrap();
            prop_assert!(next_ms > due_ms && next_ms > due_ms + late_ms);
            prop_assert!(next_ms - (due_ms + late_ms.max(0)) <= 15 * 86_400_000);
            due_ms = next_ms;
        }
    }
}
