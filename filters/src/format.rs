//! Formats of bodies: JSON, forms, XML. Whatever a body is written in, mappings and scripts see a JSON value.

/// Why a body cannot be read in its format, or a result not be written in the one asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatFault {
    /// The body is not what it says it is.
    #[error("the body is not {format} that can be read: {reason}")]
    Unreadable {
        /// The format.
        format: &'static str,
        /// What is wrong, and where.
        reason: String,
    },
    /// The result has something that the format cannot express.
    #[error("the result cannot be written as {format}: {reason}")]
    Unwritable {
        /// The format.
        format: &'static str,
        /// What is in the way, and where.
        reason: String,
    },
}
