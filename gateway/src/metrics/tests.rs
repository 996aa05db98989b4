use super::*;

fn series(metrics: &Metrics) -> usize {
    metrics.render().lines().filter(|line| !line.starts_with('#')).count()
}

fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.render();
    let mut found = text
        .lines()
        .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.next().map(|number| number.parse().unwrap())
}

#[test]
fn ten_thousand_integrations_stay_below_five_thousand_series() {
    let metrics = Metrics::new(200).unwrap();
    let handles: Vec<_> = (0..10_000)
        .map(|n| metrics.integration(&format!("i-{n}"), false))
        .collect();
    for handle in &handles {
        for status in [101, 200, 302, 404, 502, 999] {
            handle.answered(status, Duration::from_millis(30));
        }
        Failure::ALL.into_iter().for_each(|why| handle.failed(why));
    }
    assert_eq!(handles.iter().filter(|handle| handle.has_own_series()).count(), 200);
    let series = series(&metrics);
    assert!(series < 5_000, "{series} series");

    let requests = r#"integration_requests_total{integration="other",status_class="4xx"}"#;
    assert_eq!(value(&metrics, requests), Some(9_800.0));
}

#[test]
fn an_integration_keeps_its_handles_over_swaps() {
    let metrics = Metrics::new(1).unwrap();
    let before = metrics.integration("a", false);
    before.answered(200, Duration::from_millis(7));
    let after = metrics.integration("a", false);
    drop(before);
    after.answered(201, Duration::from_millis(700));

    let requests = r#"integration_requests_total{integration="a",status_class="2xx"}"#;
    assert_eq!(value(&metrics, requests), Some(2.0));
    assert_eq!(
        value(&metrics, r#"integration_latency_ms_bucket{integration="a",le="10"}"#),
        Some(1.0)
    );
    assert_eq!(
        value(&metrics, r#"integration_latency_ms_bucket{integration="a",le="1000"}"#),
        Some(2.0)
    );
    assert_eq!(
        value(&metrics, r#"integration_latency_ms_sum{integration="a"}"#),
        Some(707.0)
    );
}

#[test]
fn series_end_with_their_integration_and_leave_their_place() {
    let metrics = Metrics::new(1).unwrap();
    let before = series(&metrics);
    let first = metrics.integration("a", false);
    assert!(
        !metrics.integration("b", false).has_own_series(),
        "the budget is used up"
    );
    drop(first);
    assert_eq!(series(&metrics), before);
    assert!(metrics.integration("b", false).has_own_series());
}

#[test]
fn detailed_integrations_have_their_own_series_beside_the_budget() {
    let metrics = Metrics::new(1).unwrap();
    let basic = metrics.integration("basic", false);
    let detailed = metrics.integration("detailed", true);
    assert!(basic.has_own_series() && detailed.has_own_series());

    // No longer detailed, and the budget is used up: it joins the others.
    assert!(!metrics.integration("detailed", false).has_own_series());
    // The basic one becomes detailed: same handles, and its place is free.
    assert!(Arc::ptr_eq(&basic, &metrics.integration("basic", true)));
    assert!(Arc::ptr_eq(&detailed, &metrics.integration("detailed", false)));
    assert!(!metrics.integration("third", false).has_own_series());
}

#[test]
fn an_integration_called_other_is_one_of_the_others() {
    let metrics = Metrics::new(5).unwrap();
    let other = metrics.integration("other", true);
    assert!(!other.has_own_series());
    drop(other);
    assert!(value(&metrics, r#"integration_latency_ms_count{integration="other"}"#).is_some());
}

#[test]
fn handles_bound_and_dropped_by_many_threads_leave_nothing_behind() {
    let metrics = Metrics::new(2).unwrap();
    let before = series(&metrics);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..2_000 {
                    metrics
                        .integration(["a", "b", "c"][n % 3], n % 5 == 0)
                        .failed(Failure::Connect);
                }
            });
        }
    });
    assert_eq!(series(&metrics), before);
    let [a, b] = ["a", "b"].map(|id| metrics.integration(id, false));
    assert!(
        a.has_own_series() && b.has_own_series(),
        "the whole budget is free again"
    );
}

#[test]
fn each_outcome_and_reason_is_counted_under_its_own_name() {
    let metrics = Metrics::new(0).unwrap();
    for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
        (0..=index).for_each(|_| metrics.finished(outcome));
    }
    for (index, reason) in Refusal::ALL.into_iter().enumerate() {
        (0..=index).for_each(|_| metrics.refused(reason));
    }
    let counts = |name: &str, label: &str, values: &[&str]| -> Vec<f64> {
        let series = values.iter().map(|value| format!("{name}{{{label}=\"{value}\"}}"));
        series.map(|series| value(&metrics, &series).unwrap()).collect()
    };
    let outcomes = counts("gateway_requests_total", "outcome", &Outcome::ALL.map(Outcome::label));
    assert_eq!(outcomes, [1.0, 2.0, 3.0, 4.0]);
    let reasons = counts("gateway_refused_total", "reason", &Refusal::ALL.map(Refusal::label));
    assert!(reasons.iter().copied().eq((1..=Refusal::ALL.len()).map(|n| n as f64)));
}

#[test]
fn times_of_partners_have_series_of_their_own_where_details_are_wanted() {
    let metrics = Metrics::new(5).unwrap();
    let before = series(&metrics);
    let (basic, detailed) = (
        metrics.integration("basic", false),
        metrics.integration("special", true),
    );
    for handles in [&basic, &detailed] {
        handles.upstream(UpstreamPart::Connect, Duration::from_millis(3));
        handles.upstream(UpstreamPart::FirstByte, Duration::from_millis(30));
        handles.upstream(UpstreamPart::Total, Duration::from_millis(300));
    }
    let of = |integration: &str, part: &str| {
        let name = format!(r#"integration_upstream_ms_sum{{integration="{integration}",part="{part}"}}"#);
        value(&metrics, &name)
    };
    let sums = ["connect", "first_byte", "total"].map(|part| of("special", part));
    assert_eq!(sums, [Some(3.0), Some(30.0), Some(300.0)]);
    assert_eq!((of("basic", "total"), of("other", "total")), (None, None));
    drop((basic, detailed));
    assert_eq!(series(&metrics), before);
}

#[test]
fn results_of_the_cache_have_series_where_there_is_one() {
    let metrics = Metrics::new(5).unwrap();
    let before = series(&metrics);
    let (kept, shared) = (metrics.integration("kept", false), metrics.integration("shared", false));
    kept.keeps_answers();
    kept.cached(CacheResult::Hit);
    shared.cached(CacheResult::Miss);
    let of = |integration: &str, result: &str| {
        let name = format!(r#"integration_cache_requests_total{{integration="{integration}",result="{result}"}}"#);
        value(&metrics, &name)
    };
    assert_eq!((of("kept", "hit"), of("kept", "miss")), (Some(1.0), Some(0.0)));
    assert_eq!((of("other", "miss"), of("shared", "miss")), (Some(1.0), None));
    drop((kept, shared));
    assert_eq!(series(&metrics), before);
}

#[test]
fn a_held_place_is_given_back() {
    let metrics = Metrics::new(0).unwrap();
    let held = Held::new(&metrics.in_flight);
    assert_eq!(value(&metrics, "gateway_in_flight"), Some(1.0));
    drop(held);
    assert_eq!(value(&metrics, "gateway_in_flight"), Some(0.0));
}

#[test]
fn the_rest_is_rendered_under_the_documented_names() {
    let metrics = Metrics::new(0).unwrap();
    metrics.config_version.set(41);
    metrics.config_swaps.inc();
    metrics.config_rejected.inc();
    metrics.access_log_dropped.inc_by(3);
    metrics.access_log_errors.inc();
    metrics.records_waiting.set(5);
    metrics.records_dropped.inc_by(6);
    metrics.connections.set(2);
    metrics.upstream_answered(Duration::from_millis(20));
    metrics.config_swap_seconds.observe(0.003);
    let build = format!(r#"gateway_build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION"));
    for (name, expected) in [
        (build.as_str(), 1.0),
        ("gateway_config_version", 41.0),
        ("gateway_config_swaps_total", 1.0),
        ("gateway_config_rejected_total", 1.0),
        ("gateway_access_log_dropped_total", 3.0),
        ("gateway_access_log_errors_total", 1.0),
        ("gateway_records_waiting", 5.0),
        ("gateway_records_dropped_total", 6.0),
        ("gateway_connections", 2.0),
        ("gateway_upstream_seconds_sum", 0.02),
        ("gateway_config_swap_seconds_count", 1.0),
    ] {
        assert_eq!(value(&metrics, name), Some(expected), "{name}");
    }
}
