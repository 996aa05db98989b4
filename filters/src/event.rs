//! Events: read from whatever form they come in.

use bytes::Bytes;

use crate::model::EventHead;

/// An event, ready to be kept and matched.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Everything but the payload.
    pub head: EventHead,
    /// The payload as it came: JSON text, unless the head names another media type.
    pub payload: Bytes,
}
