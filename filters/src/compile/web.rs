//! What is done for browsers and caches, and to header fields, compiled.

use http::HeaderName;

use super::{cache, cors, edits, error_page};
use crate::auth::InboundCheck;
use crate::compression::Compression;
use crate::model::compression as model;
use crate::model::{InboundIntegration, Problem};
use crate::plan::web::Web;
use crate::validation::Range;

/// Compiles the settings; `None` where there are none. `shared` are the parameters that every path of the integration has.
pub(super) fn compile(
    source: &InboundIntegration,
    shared: &[String],
    inbound: &InboundCheck,
    problems: &mut Vec<Problem>,
) -> Option<Box<Web>> {
    let cors = source.cors.as_ref();
    let headers = source.headers.as_ref();
    let pages = (!source.error_pages.is_empty()).then_some(&*source.error_pages);
    let compression = source.compression.as_ref();
    let cache = source.cache.as_ref();
    if cors.is_none() && headers.is_none() && pages.is_none() && compression.is_none() && cache.is_none() {
        return None;
    }
    Some(Box::new(Web {
        cors: cors.and_then(|config| cors::compile(config, &source.methods, problems)),
        headers: headers.and_then(|config| edits::headers(config, shared, problems)),
        pages: pages.and_then(|pages| error_page::compile(pages, shared, problems)),
        compression: compression.and_then(|config| compressed(config, problems)),
        cache: cache.and_then(|config| {
            let stripped: Vec<HeaderName> = match source.forward_credentials {
                true => Vec::new(),
                false => inbound.headers().cloned().collect(),
            };
            cache::compile(config, inbound, stripped, problems)
        }),
    }))
}

fn compressed(config: &model::Compression, problems: &mut Vec<Problem>) -> Option<Compression> {
    let before = problems.len();
    if config.min_bytes > MOST_MIN_BYTES {
        let message = format!("{} must be at most {MOST_MIN_BYTES}", config.min_bytes);
        problems.push(Problem::new("compression.minBytes", message));
    }
    let count = config.content_types.len();
    if count > MOST_TYPES {
        let message = format!("holds {count} entries; at most {MOST_TYPES} are allowed");
        problems.push(Problem::new("compression.contentTypes", message));
    }
    let mut types = Vec::with_capacity(count);
    for (index, text) in config.content_types.iter().enumerate().take(MOST_TYPES) {
        match Range::parse(&text.to_ascii_lowercase()) {
            Some(range) => types.push(range),
            None => {
                let message =
                    format!("{text:?} must be a content type without parameters, such as application/json or text/*");
                problems.push(Problem::new(format!("compression.contentTypes[{index}]"), message));
            }
        }
    }
    (problems.len() == before).then_some(Compression {
        min_bytes: config.min_bytes,
        types,
    })
}

const MOST_MIN_BYTES: u64 = 1 << 30;
const MOST_TYPES: usize = 50;
