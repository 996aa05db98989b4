//! Bodies and header fields on their way into records: what is named never shows, whatever stands around it.

use filters::model::Redaction;
use filters::redaction::Redactor;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use crate::corpus;

#[test]
fn every_file_is_masked() {
    corpus::files("bodies")
        .iter()
        .for_each(|bytes| mask(bytes, bytes.len()));
}

proptest! {
    #[test]
    fn a_body_is_masked_wherever_it_is_cut(bytes in corpus::changed("bodies"), most in 1_usize..400) {
        mask(&bytes, most);
    }

    #[test]
    fn header_fields_are_masked(name in "[a-z-]{1,20}", value in prop::collection::vec(32_u8..127, 0..100)) {
        let mut headers = HeaderMap::new();
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(&value)) {
            headers.append(name.clone(), value);
            let shown = redactor().headers(&headers, std::slice::from_ref(&name));
            assert_eq!(shown[name.as_str()], "***");
        }
    }
}

fn mask(bytes: &[u8], most: usize) {
    let redactor = redactor();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    for kind in [None, Some(&form)] {
        for is_whole in [true, false] {
            let _ = redactor.body(bytes, kind, is_whole, most);
        }
    }
}

fn redactor() -> Redactor {
    let redaction = Redaction {
        headers: vec!["X-Patient".to_owned()],
        json_paths: vec![
            "$..ssn".to_owned(),
            "$.items[*].note".to_owned(),
            "$['a b'][0]".to_owned(),
        ],
    };
    let mut problems = Vec::new();
    let redactor = Redactor::default().with(Some(&redaction), "redaction", &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    redactor
}
