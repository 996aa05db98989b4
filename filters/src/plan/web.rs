//! What is done for browsers and caches, and to header fields.

use crate::cache::Cache;
use crate::compression::Compression;
use crate::cors::Cors;
use crate::edits::HeaderEdits;
use crate::error_page::ErrorPages;

/// Settings of the web's edge, of which most integrations have none.
#[derive(Debug)]
pub struct Web {
    /// Which pages of browsers may call.
    pub cors: Option<Cors>,
    /// Edits of header fields.
    pub headers: Option<HeaderEdits>,
    /// Error answers in the integration's own words.
    pub pages: Option<ErrorPages>,
    /// Which answers are compressed.
    pub compression: Option<Compression>,
    /// Which answers are kept for the next request.
    pub cache: Option<Cache>,
}
