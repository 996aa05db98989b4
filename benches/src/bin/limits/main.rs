//! `make bench-limits`: what a request pays for its limits, without anything else of a request around them.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use filters::model::Snapshot;
use filters::plan::limits::Limits;
use gateway::limiter::{Counted, Limiters};
use gateway::quota::Quotas;
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let window = json!({"maxRequests": 4_000_000_000_u32});
    let everything = json!({"maxRequests": 4_000_000_000_u32, "maxPerSecond": 4_000_000_000_u32,
        "maxPerDay": 9_000_000_000_000_u64, "maxConcurrent": 1_000_000});
    let mut both = everything.clone();
    both["perKey"] = everything.clone();
    report("nothing is limited", &json!({}))?;
    report("one window", &window)?;
    report("window, second, day and places", &everything)?;
    report("the same, and for each key", &both)?;
    Ok(())
}

/// Prints the time of one decision with its header fields, on one thread and with all cores at the same limits.
fn report(what: &str, limits: &Value) -> anyhow::Result<()> {
    let limiters = limiters(limits).with_context(|| what.to_owned())?;
    let alone = round(&limiters, 1);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let together = round(&limiters, cores);
    println!("{what:<36} {alone:>6.0} ns alone, {together:>6.0} ns on each of {cores} threads");
    Ok(())
}

fn round(limiters: &Arc<Limiters>, threads: usize) -> f64 {
    let began = Instant::now();
    let running: Vec<_> = (0..threads)
        .map(|_| {
            let limiters = Arc::clone(limiters);
            std::thread::spawn(move || (0..DECISIONS).for_each(|_| decide(&limiters)))
        })
        .collect();
    for thread in running {
        if thread.join().is_err() {
            println!("a thread of the measurement failed");
        }
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(DECISIONS)
}

fn decide(limiters: &Limiters) {
    let counted = Counted {
        caller: Some("clinic-system"),
        consumer: None,
    };
    // Refused or not: both are decisions.
    let _ = black_box(limiters.check(counted, None));
}

fn limiters(limits: &Value) -> anyhow::Result<Arc<Limiters>> {
    let document = json!({"integrations": [{"id": "labs", "name": "Labs", "type": "labs", "orgId": 1,
        "targetUrl": "https://partner.example", "rateLimits": limits, "inboundAuthType": "API_KEY",
        "inboundAuthConfig": {"keys": [{"name": "clinic-system", "value": "only-for-this-program"}]}}]});
    let problems = |problems: Vec<filters::model::Problem>| anyhow::anyhow!("{problems:?}");
    let snapshot = Snapshot::from_document(&document).map_err(problems)?;
    let plan = filters::compile(&snapshot, None).map_err(problems)?;
    let integration = plan.integration("labs").context("the integration is not in the plan")?;
    let limits: &Limits = &integration.limits;
    let quotas = Arc::new(Quotas::default());
    Ok(Arc::new(Limiters::carried(
        None,
        limits,
        &integration.id,
        None,
        &quotas,
    )))
}

const DECISIONS: u32 = 2_000_000;
