//! Mapping tables and the bodies that go through them.

use filters::model::mapping::FieldMapping;
use filters::transform::Mapping;
use proptest::prelude::*;
use serde_json::Value;

use crate::corpus;

#[test]
fn every_file_is_mapped() {
    let mapped = corpus::files("mappings").iter().filter(|bytes| map(bytes)).count();
    assert!(mapped > 2, "only {mapped} tables of the corpus compile");
}

proptest! {
    #[test]
    fn a_table_maps_or_says_why_not(bytes in corpus::changed("mappings")) {
        map(&bytes);
    }

    #[test]
    fn a_body_is_mapped_or_refused(body in corpus::changed("bodies")) {
        for table in corpus::files("mappings") {
            let Ok(mut document) = serde_json::from_slice::<Value>(&table) else { continue };
            if let Some(mapping) = compiled(&mut document) {
                check(&mapping, &body);
            }
        }
    }
}

/// True if the table compiles.
fn map(bytes: &[u8]) -> bool {
    let Ok(mut document) = serde_json::from_slice::<Value>(bytes) else {
        return false;
    };
    let body = document["body"].take().to_string();
    let Some(mapping) = compiled(&mut document) else {
        return false;
    };
    check(&mapping, body.as_bytes());
    check(&mapping, bytes);
    true
}

fn compiled(document: &mut Value) -> Option<Mapping> {
    let lines: Vec<FieldMapping> = serde_json::from_value(document["lines"].take()).ok()?;
    let mut problems = Vec::new();
    let mapping = Mapping::compile(&lines, "lines", &mut problems);
    assert_eq!(mapping.is_none(), !problems.is_empty(), "{problems:?}");
    mapping
}

fn check(mapping: &Mapping, body: &[u8]) {
    if let Ok(mapped) = mapping.apply(body) {
        let read = serde_json::from_slice::<Value>(&mapped);
        assert!(read.is_ok(), "{:?} is no JSON", String::from_utf8_lossy(&mapped));
    }
}
