//! Answers that are kept, compiled.

use std::time::Duration;

use http::HeaderName;

use crate::auth::InboundCheck;
use crate::cache::{Cache, Reads};
use crate::edits::{Edits, Source, Template};
use crate::model::Problem;
use crate::model::cache as model;
use crate::plan::web::Web;
use crate::plan::{Change, Mode};

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
        reads: Reads::default(),
        stripped,
        max_body: usize::try_from(config.max_body_bytes).unwrap_or(usize::MAX),
        stale_if_error: Duration::from_secs(config.stale_if_error_seconds.into()),
    })
}

/// Puts into the key of kept answers what edits of header fields, tables and scripts read of the client: an answer that is
/// made of it is no answer for others.
pub(super) fn complete(web: &mut Web, mode: &Mode) {
    let Some(cache) = &mut web.cache else { return };
    let edits = web.headers.iter().flat_map(|edits| [&edits.request, &edits.response]);
    edits
        .flat_map(Edits::templates)
        .flat_map(Template::sources)
        .for_each(|source| match source {
            Source::Header(name) => vary_by(cache, name),
            Source::CallerName => cache.reads.caller = true,
            Source::ClientIp => cache.reads.client = true,
            Source::Path(_)
            | Source::Query(_)
            | Source::RequestId
            | Source::RequestHost
            | Source::ErrorCode
            | Source::ErrorMessage
            | Source::Status => {}
        });
    for transform in mode.transforms() {
        match &transform.change {
            Change::Mapping(mapping) => {
                mapping.header_fields().for_each(|name| vary_by(cache, name));
                cache.reads.caller |= mapping.asks_for_caller();
                cache.reads.claims |= mapping.asks_for_claims();
            }
            // Which of them it reads is not known before it runs.
            Change::Script(script) => {
                let names = |word: &str| script.source().contains(word);
                cache.reads.caller |= names("caller");
                cache.reads.claims |= names("caller");
                cache.reads.all_fields |= names("headers");
            }
            Change::Nothing => {}
        }
    }
}

fn vary_by(cache: &mut Cache, name: &str) {
    let name = HeaderName::try_from(name).ok();
    cache.vary.extend(name.filter(|name| !cache.vary.contains(name)));
}

const LONGEST: u32 = 86_400;
const LARGEST_BODY: u64 = 16 << 20;
const MOST_FIELDS: usize = 20;
