use filters::model::Problem;

use super::*;

// The memory limit works by the counters of the allocator that the process ships with.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const LIMITS: ScriptLimits = ScriptLimits {
    time: Duration::from_secs(120),
    memory_bytes: 8 << 20,
    queue: 64,
};

/// A pool that waits for as long as a busy machine may need.
fn pool(threads: usize, limits: ScriptLimits) -> ScriptPool {
    ScriptPool::with_wait(threads, limits, Duration::from_secs(60))
}

fn script(body: &str) -> Script {
    let mut problems: Vec<Problem> = Vec::new();
    Script::check(
        &format!("fn transform(payload, context) {{ {body} }}"),
        "",
        &mut problems,
    )
    .unwrap()
}

fn of(organization: u64) -> ScriptContext {
    ScriptContext {
        org_id: organization,
        ..ScriptContext::default()
    }
}

/// A script that is busy for some twenty microseconds a round.
fn busy(rounds: usize) -> String {
    format!("let s = \"\"; s.pad(200000, \"y\"); for i in 0..{rounds} {{ s.contains('z'); }}")
}

async fn ran(pool: &ScriptPool, body: &str) -> Result<Vec<u8>, ScriptFault> {
    pool.run(script(body), Bytes::from_static(b"{\"n\": 1}"), of(1)).await
}

#[tokio::test]
async fn a_script_runs_on_a_thread_of_the_pool() {
    let pool = pool(2, LIMITS);
    assert_eq!(ran(&pool, "payload.n + context.orgId").await.unwrap(), b"2");
    assert!(matches!(ran(&pool, "throw 1").await, Err(ScriptFault::Runtime { .. })));
}

#[tokio::test]
async fn a_script_that_takes_too_long_is_stopped() {
    let pool = pool(
        1,
        ScriptLimits {
            time: Duration::from_micros(100),
            ..LIMITS
        },
    );
    let fault = ran(&pool, "loop { }").await.unwrap_err();
    assert!(
        matches!(
            fault,
            ScriptFault::Stopped {
                reason: Stopped::Deadline,
                ..
            }
        ),
        "{fault}"
    );
}

#[tokio::test]
async fn a_script_that_hoards_memory_is_stopped() {
    let pool = pool(1, LIMITS);
    let text = "let s = \"yyyyyyyy\"; for i in 0..14 { s += s; } let m = #{};";
    for bomb in [
        format!("{text} for i in 0..2000 {{ m[`k${{i}}`] = s + i; }} m"),
        format!("{text} for i in 0..2000 {{ m[s + i] = i; }} m"),
        "let a = []; a.pad(400, 0); let m = #{}; for i in 0..1900 { m[`k${i}`] = a; } m".to_owned(),
    ] {
        let fault = ran(&pool, &bomb).await.unwrap_err();
        assert!(
            matches!(
                fault,
                ScriptFault::Stopped {
                    reason: Stopped::Memory,
                    ..
                }
            ),
            "{bomb}: {fault}"
        );
    }
    assert_eq!(ran(&pool, "5").await.unwrap(), b"5");
}

/// Single operations, between which no check is asked, on the largest values that a script can hold. In the form that the
/// interpreter has them, the first alone takes over a gigabyte.
#[test]
fn no_single_operation_takes_much_memory() {
    let shared = "let s = \"x\"; s.pad(200000, \"y\"); let m = #{}; for i in 0..2000 { m[`${i}`] = s; }";
    let long = "let s = \"a\"; s.pad(250000, \"a,\");";
    let mut runner = Runner::new();
    let before = peak_memory();
    for body in [
        format!("{shared} `${{m}}`"),
        format!("{shared} \"\" + m"),
        format!("{shared} let t = \"\"; t += m; t"),
        format!("{shared} m.to_json()"),
        format!("{shared} m.to_debug()"),
        format!("{shared} [m]"),
        format!("{shared} throw m"),
        format!("{shared} m"),
        format!("{long} s.replace(\"a\", s); s"),
        format!("{long} s.split(\",\")"),
        format!("{long} s.to_chars()"),
        format!("{long} s + s"),
        format!("{long} s.to_upper()"),
        "let a = []; a.pad(10000, 0); a + a".to_owned(),
        "let s = \"\"; s.pad(9223372036854775807, \"y\"); s".to_owned(),
    ] {
        let outcome = runner.run(&script(&body), b"{}", &of(1), || None);
        assert!(outcome.is_err() || body.contains("to_upper"), "{body}");
        let grown = peak_memory() - before;
        assert!(grown < 300 << 20, "{body}: {grown} bytes");
    }
}

/// The most memory that this process has had so far.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes << 10
}

#[tokio::test]
async fn runs_beyond_the_queue_are_refused() {
    let pool = Arc::new(pool(1, ScriptLimits { queue: 2, ..LIMITS }));
    let mut runs = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let pool = Arc::clone(&pool);
        runs.spawn(async move { ran(&pool, "let n = 0; for i in 0..30000 { n += i; } n").await });
    }
    let outcomes = runs.join_all().await;
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(ScriptFault::Busy))));
    assert!(outcomes.iter().any(Result::is_ok));
    assert_eq!(ran(&pool, "5").await.unwrap(), b"5");
}

#[tokio::test]
async fn one_organization_that_loops_does_not_hold_up_another() {
    let pool = Arc::new(pool(2, LIMITS));
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let pool = Arc::clone(&pool);
        loops.spawn(async move { ran(&pool, &busy(60_000)).await });
    }
    tokio::task::yield_now().await;
    let quick = pool.run(script("5"), Bytes::new(), of(2)).await;
    assert_eq!(quick.unwrap(), b"5");
    let still_waiting = pool.shared.jobs.lock().waiting();
    assert!(still_waiting > 0, "the loops had ended already");
    loops.abort_all();
}

#[test]
fn a_run_that_was_given_up_or_comes_too_late_is_not_begun() {
    let mut runner = Runner::new();
    let mut settled = |latest: Instant, given_up: bool| {
        let (answer, mut outcome) = oneshot::channel();
        if given_up {
            outcome.close();
        }
        let job = Job {
            script: script("5"),
            payload: Bytes::new(),
            context: of(1),
            latest,
            answer,
        };
        job.settle(&mut runner, LIMITS);
        (outcome.try_recv(), format!("{runner:?}").contains("compiled: 1"))
    };
    let now = Instant::now();
    let (outcome, begun) = settled(now + LIMITS.time, true);
    assert!(outcome.is_err() && !begun);
    let (outcome, begun) = settled(now, false);
    assert!(matches!(outcome, Ok(Err(ScriptFault::Busy))) && !begun);
    let (outcome, begun) = settled(now + LIMITS.time, false);
    assert!(matches!(outcome, Ok(Ok(_))) && begun);
}

#[tokio::test]
async fn the_threads_end_with_the_pool() {
    let pool = pool(3, LIMITS);
    ran(&pool, "5").await.unwrap();
    let shared = Arc::downgrade(&pool.shared);
    drop(pool);
    let gone = async {
        while shared.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), gone).await.unwrap();
}
