//! What is done for browsers and caches, and to header fields, compiled.

use super::{cors, edits, error_page};
use crate::model::{InboundIntegration, Problem};
use crate::plan::web::Web;

/// Compiles the settings; `None` where there are none. `shared` are the parameters that every path of the integration has.
pub(super) fn compile(source: &InboundIntegration, shared: &[String], problems: &mut Vec<Problem>) -> Option<Box<Web>> {
    let cors = source.cors.as_ref();
    let headers = source.headers.as_ref();
    let pages = (!source.error_pages.is_empty()).then_some(&*source.error_pages);
    if cors.is_none() && headers.is_none() && pages.is_none() {
        return None;
    }
    Some(Box::new(Web {
        cors: cors.and_then(|config| cors::compile(config, &source.methods, problems)),
        headers: headers.and_then(|config| edits::headers(config, shared, problems)),
        pages: pages.and_then(|pages| error_page::compile(pages, shared, problems)),
    }))
}
