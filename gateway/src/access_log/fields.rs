//! Which fields a line has.

use serde::{Deserialize, Serialize};

/// A field of a line, by its name in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AccessField {
    /// When the request's head was complete.
    Ts,
    /// Identifier of the request.
    RequestId,
    /// Identifier of the trace.
    TraceId,
    /// Address of the client.
    Client,
    /// Method.
    Method,
    /// Host, as sent.
    Host,
    /// Path, without the query.
    Path,
    /// Status of the answer.
    Status,
    /// Code of the error, if the gateway wrote the answer itself.
    Code,
    /// Integration.
    Integration,
    /// Organization.
    OrgId,
    /// Name of the credential.
    Consumer,
    /// How the request was carried.
    Mode,
    /// Bytes of the client's body.
    RequestBytes,
    /// Bytes of the answer's body.
    ResponseBytes,
    /// Time in all.
    DurationMs,
    /// The partner's part.
    Upstream,
    /// What went wrong.
    FaultReason,
}

impl AccessField {
    /// All of them, in their order in a line.
    pub const ALL: [Self; 18] = [
        Self::Ts,
        Self::RequestId,
        Self::TraceId,
        Self::Client,
        Self::Method,
        Self::Host,
        Self::Path,
        Self::Status,
        Self::Code,
        Self::Integration,
        Self::OrgId,
        Self::Consumer,
        Self::Mode,
        Self::RequestBytes,
        Self::ResponseBytes,
        Self::DurationMs,
        Self::Upstream,
        Self::FaultReason,
    ];
}

/// A choice of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields(u32);

impl Fields {
    pub(super) const ALL: Self = Self((1 << AccessField::ALL.len()) - 1);

    /// These fields; all if there are none.
    pub(super) fn of(fields: &[AccessField]) -> Self {
        if fields.is_empty() {
            return Self::ALL;
        }
        Self(fields.iter().fold(0, |set, field| set | 1 << *field as u32))
    }

    #[inline]
    pub(super) const fn has(self, field: AccessField) -> bool {
        self.0 & (1 << field as u32) != 0
    }
}
