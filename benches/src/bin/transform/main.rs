//! `make bench-transform`: what a mapping table and a script cost, on one thread, without any network around them.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use filters::lookup::{Table, Tables};
use filters::model::mapping::FieldMapping;
use filters::script::{Runner, Script, ScriptContext};
use filters::transform::{Mapping, Rules, Side};
use serde_json::{Map, Value, json};

fn main() -> anyhow::Result<()> {
    let small = order(10);
    let large = order(1_000);
    let plain = mapping(&plain_table())?;
    report("plain table, 20 lines, 1 KB", &small, |body| Ok(plain.apply(body)?))?;
    report("plain table, 20 lines, 100 KB", &large, |body| Ok(plain.apply(body)?))?;
    let flat = mapping(&flat_table())?;
    report("flattened, filtered, summed, 1 KB", &orders(10), |body| {
        Ok(flat.apply(body)?)
    })?;
    report("flattened, filtered, summed, 100 KB", &orders(1_000), |body| {
        Ok(flat.apply(body)?)
    })?;
    let tables = tables()?;
    let coded = coded(&tables)?;
    report("plain table with a lookup, 100,000 rows", &small, |body| {
        Ok(coded.apply(body)?)
    })?;
    let script = script(&tables)?;
    let runner = RefCell::new(Runner::new());
    report("script with its library", &small, |body| {
        Ok(runner
            .borrow_mut()
            .run(&script, body, &ScriptContext::default(), || None)?)
    })
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

/// A body with `items` items in orders of five.
fn orders(items: usize) -> Vec<u8> {
    let orders: Vec<Value> = (0..items / 5)
        .map(|order| {
            let items: Vec<Value> = (0..5)
                .map(|item| json!({"code": format!("lab-{order:05}-{item}"), "kind": if item == 0 { "XRAY" } else { "LAB" }, "price": 12.5}))
                .collect();
            json!({"number": order, "items": items})
        })
        .collect();
    json!({"patient": {"id": "P-000123"}, "orders": orders})
        .to_string()
        .into_bytes()
}

fn flat_table() -> Value {
    json!([
        {"sourceField": "orders[].items[].code", "targetField": "lines[].sku"},
        {"sourceField": "orders[].number", "targetField": "lines[].order"},
        {"sourceField": "patient.id", "targetField": "lines[].patient"},
        {"targetField": "lines[]", "filter": {"field": "orders[].items[].kind", "equals": "LAB"}},
        {"sourceField": "orders[].items[].price", "targetField": "total", "transform": [{"type": "sum"}]},
    ])
}

/// A table of 100,000 codes.
fn tables() -> anyhow::Result<Tables> {
    let rows: Map<String, Value> = (0..100_000)
        .map(|row| (format!("lab-{row:05}"), Value::from(format!("Test number {row}"))))
        .collect();
    let lookup = serde_json::from_value(json!({"id": "c", "orgId": 1, "name": "codes", "entries": rows}))?;
    let table = Arc::new(Table::new(Arc::new(lookup), [0; 32]));
    Ok(Tables::from([(table.name().into(), table)]))
}

fn coded(tables: &Tables) -> anyhow::Result<Mapping> {
    let mut table = plain_table();
    table[15]["transform"] = json!([{"type": "lookup", "table": "codes"}]);
    let lines: Vec<FieldMapping> = serde_json::from_value(table)?;
    let mut problems = Vec::new();
    let rules = Rules {
        side: Side::Any,
        tables,
    };
    match Mapping::compile_for(rules, &lines, "table", &mut problems) {
        Some(mapping) => Ok(mapping),
        None => bail!("the table does not compile: {problems:?}"),
    }
}

fn script(tables: &Tables) -> anyhow::Result<Script> {
    let source = r#"fn transform(payload, context) {
        let lines = [];
        for item in payload.items {
            lines.push(#{ sku: lookup("codes", item.code), quantity: item.quantity });
        }
        #{ lines: lines, born: format_date(parse_date(payload.patient.born, "%d/%m/%Y")), checksum: sha256(payload.patient.id) }
    }"#;
    let mut problems = Vec::new();
    match Script::check(source, "script", &mut problems) {
        Some(script) => Ok(script.with_tables(tables)),
        None => bail!("the script does not compile: {problems:?}"),
    }
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
    println!(
        "{what:<40} {:>9} B in {:>9} B out {microseconds:>10.2} us",
        body.len(),
        output.len()
    );
    Ok(())
}

const ROUND: Duration = Duration::from_millis(150);
const ROUNDS: u32 = 15;
