//! Configuration documents, from files and control planes.

use filters::compile;
use filters::model::Snapshot;
use proptest::prelude::*;

use crate::corpus;

#[test]
fn every_file_is_decoded() {
    let good = corpus::files("snapshots").iter().filter(|bytes| decode(bytes)).count();
    assert!(good > 0, "no document of the corpus compiles");
}

proptest! {
    #[test]
    fn a_document_compiles_or_says_what_is_wrong(bytes in corpus::changed("snapshots")) {
        decode(&bytes);
    }
}

/// True if the document compiles.
fn decode(bytes: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice(bytes) else {
        return false;
    };
    let snapshot = match Snapshot::from_document(&value) {
        Ok(snapshot) => snapshot,
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            return false;
        }
    };
    match compile(&snapshot, None) {
        Ok(plan) => {
            let again = compile(&snapshot, Some(&plan));
            assert_eq!(again.map(|plan| plan.digest), Ok(plan.digest));
            true
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            false
        }
    }
}
