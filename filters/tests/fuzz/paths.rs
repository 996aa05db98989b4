//! Paths of requests, and names of hosts.

use filters::path;
use filters::route::host;
use proptest::prelude::*;

use crate::corpus;

#[test]
fn every_file_is_read() {
    corpus::files("paths")
        .iter()
        .for_each(|bytes| read(&String::from_utf8_lossy(bytes)));
}

proptest! {
    #[test]
    fn a_path_means_one_thing(text in corpus::changed_text("paths")) {
        read(&text);
    }
}

fn read(text: &str) {
    if let Ok(canonical) = path::canonical(text) {
        assert_eq!(
            path::canonical(&canonical).as_deref(),
            Ok(&*canonical),
            "{text:?} has no canonical form"
        );
        assert!(canonical.starts_with('/'), "{canonical:?}");
        assert!(
            canonical.split('/').all(|segment| segment != ".." && segment != "."),
            "{canonical:?} climbs"
        );
    }
    if let Some(host) = host::of_authority(text) {
        assert!(
            !host.is_empty() && !host.contains(['/', ' ', '@']),
            "{host:?} of {text:?}"
        );
        assert_eq!(host.to_ascii_lowercase(), *host, "{text:?}");
    }
}
