//! XML: elements as fields, attributes as fields that start with `@`, text beside either as `#text`.

mod reading;
mod writing;

pub(super) use reading::read;
pub(super) use writing::{is_name, write};

/// The deepest nesting of elements, as of JSON.
const MAX_DEPTH: usize = 127;
/// The field that holds the text of an element that has more than that.
const TEXT: &str = "#text";
const XML: &str = "XML";
