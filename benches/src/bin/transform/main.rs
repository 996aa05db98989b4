//! `make bench-transform`: what a mapping table and a script cost, on one thread, without any network around them.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use filters::model::mapping::FieldMapping;
use filters::transform::Mapping;
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let small = order(10);
    let large = order(1_000);
    let plain = mapping(&plain_table())?;
    report("plain table, 20 lines, 1 KB", &small, |body| Ok(plain.apply(body)?))?;
    report("plain table, 20 lines, 100 KB", &large, |body| Ok(plain.apply(body)?))?;
    Ok(())
}

/// A body of `items` ordered tests, some 100 bytes each.
fn order(items: usize) -> Vec<u8> {
    let items: Vec<Value> = (0..items)
        .map(|index| json!({"code": format!("lab-{index:05}"), "name": "Hemoglobin A1c", "quantity": 2, "price": 12.5}))
        .collect();
    let body = json!({
        "patient": {"id": "P-000123", "firstName": "Asha", "lastName": "Rao", "born": "07/03/1990", "sex": "F",
            "address": {"city": "Pune", "zip": "411001", "street": "12 Lake Road"}},
        "visit": {"number": 4711, "ward": " icu ", "at": "2026-03-02T09:30:00Z", "kind": "inpatient"},
        "note": "", "priority": null, "items": items,
    });
    body.to_string().into_bytes()
}

fn plain_table() -> Value {
    json!([
        {"sourceField": "patient.id", "targetField": "subject.number", "required": true},
        {"sourceField": "patient.firstName", "targetField": "subject.given", "transform": [{"type": "trim"}]},
        {"sourceField": "patient.lastName", "targetField": "subject.family", "transform": [{"type": "upper"}]},
        {"sourceField": "patient.born", "targetField": "subject.bornOn",
         "transform": [{"type": "date", "from": "%d/%m/%Y", "format": "%Y-%m-%d"}]},
        {"sourceField": "patient.sex", "targetField": "subject.gender", "transform": [{"type": "lower"}]},
        {"sourceField": "patient.address.city", "targetField": "subject.address.city"},
        {"sourceField": "patient.address.zip", "targetField": "subject.address.postalCode"},
        {"sourceField": "patient.address.street", "targetField": "subject.address.lines[0]"},
        {"sourceField": "visit.number", "targetField": "encounter.number"},
        {"sourceField": "visit.ward", "targetField": "encounter.ward", "transform": [{"type": "trim"}, {"type": "upper"}]},
        {"sourceField": "visit.at", "targetField": "encounter.startedAt",
         "transform": [{"type": "date", "zone": "Asia/Kolkata"}]},
        {"sourceField": "visit.kind", "targetField": "encounter.kind"},
        {"sourceField": "note", "targetField": "note", "omitWhen": "empty"},
        {"sourceField": "priority", "targetField": "priority", "defaultValue": "routine"},
        {"targetField": "system", "value": "HIS"},
        {"sourceField": "items[].code", "targetField": "lines[].sku", "transform": [{"type": "upper"}]},
        {"sourceField": "items[].name", "targetField": "lines[].text"},
        {"sourceField": "items[].quantity", "targetField": "lines[].quantity"},
        {"sourceField": "items[].price", "targetField": "lines[].price"},
        {"targetField": "lines[].unit", "value": "piece"},
    ])
}

fn mapping(table: &Value) -> anyhow::Result<Mapping> {
    let lines: Vec<FieldMapping> = serde_json::from_value(table.clone()).context("the table does not read")?;
    let mut problems = Vec::new();
    match Mapping::compile(&lines, "table", &mut problems) {
        Some(mapping) => Ok(mapping),
        None => bail!("the table does not compile: {problems:?}"),
    }
}

/// Prints the least time that a run took on average in one of several rounds: what else the machine does adds to it.
fn report(what: &str, body: &[u8], run: impl Fn(&[u8]) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<()> {
    let started = Instant::now();
    let output = run(body)?;
    let once = started.elapsed().max(Duration::from_nanos(100));
    let runs = u32::try_from(ROUND.as_nanos() / once.as_nanos())
        .unwrap_or(u32::MAX)
        .clamp(10, 1_000_000);
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..runs {
            black_box(run(black_box(body))?);
        }
        least = least.min(started.elapsed() / runs);
    }
    let microseconds = least.as_secs_f64() * 1e6;
    println!("{what:<40} {:>9} B in {:>9} B out {microseconds:>10.2} us", body.len(), output.len());
    Ok(())
}

const ROUND: Duration = Duration::from_millis(150);
const ROUNDS: u32 = 15;
