//! Answers that are kept, compiled.

use std::time::Duration;

use http::HeaderName;

use crate::auth::InboundCheck;
use crate::cache::Cache;
use crate::model::Problem;
use crate::model::cache as model;

/// Compiles `config`, whose problems have paths below `cache`. `stripped` are the client's fields that do not reach the
/// partner.
pub(super) fn compile(
    config: &model::Cache,
    inbound: &InboundCheck,
    stripped: Vec<HeaderName>,
    problems: &mut Vec<Problem>,
) -> Option<Cache> {
    let before = problems.len();
    if inbound.is_open() && !config.shared {
        let message = "needs an inboundAuthType that tells callers apart, or `shared: true` where all may see the same";
        problems.push(Problem::new("cache.shared", message));
    }
    for (field, seconds) in [
        ("ttlSeconds", config.ttl_seconds),
        ("staleIfErrorSeconds", config.stale_if_error_seconds),
    ] {
        if seconds > LONGEST {
            let message = format!("{seconds} must be at most {LONGEST}");
            problems.push(Problem::new(format!("cache.{field}"), message));
        }
    }
    if !(1..=LARGEST_BODY).contains(&config.max_body_bytes) {
        let message = format!("{} must be between 1 and {LARGEST_BODY}", config.max_body_bytes);
        problems.push(Problem::new("cache.maxBodyBytes", message));
    }
    if config.vary.len() > MOST_FIELDS {
        let message = format!("holds {} entries; at most {MOST_FIELDS} are allowed", config.vary.len());
        problems.push(Problem::new("cache.vary", message));
    }
    let mut vary = Vec::with_capacity(config.vary.len());
    for (index, name) in config.vary.iter().enumerate().take(MOST_FIELDS) {
        match HeaderName::try_from(name) {
            Ok(name) => vary.push(name),
            Err(_) => {
                let message = format!("{name:?} is not the name of a header field");
                problems.push(Problem::new(format!("cache.vary[{index}]"), message));
            }
        }
    }
    (problems.len() == before).then(|| Cache {
        ttl: Duration::from_secs(config.ttl_seconds.into()),
        shared: config.shared,
        vary,
        stripped,
        max_body: usize::try_from(config.max_body_bytes).unwrap_or(usize::MAX),
        stale_if_error: Duration::from_secs(config.stale_if_error_seconds.into()),
    })
}

const LONGEST: u32 = 86_400;
const LARGEST_BODY: u64 = 16 << 20;
const MOST_FIELDS: usize = 20;
