//! Why an attempt got no answer, in the words that operators and the table of classification use.

use egress::{EgressError, ResolveError};
use filters::model::delivery::ErrorCategory;
use filters::script::ScriptFault;
use filters::transform::MappingFault;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Decides what becomes of the delivery.
    pub(super) category: ErrorCategory,
    /// What happened, for people; without secrets.
    pub(super) message: String,
    /// False where the endpoint has nothing to do with it.
    pub(super) is_endpoints: bool,
}

impl Fault {
    /// A fault before the endpoint was called.
    pub(super) fn ours(category: ErrorCategory, message: impl Into<String>) -> Self {
        Self {
            category,
            message: message.into(),
            is_endpoints: false,
        }
    }

    /// A call of the endpoint that brought no answer, or no whole one.
    pub(super) fn of_endpoint(error: &EgressError) -> Self {
        let category = category(error);
        Self {
            category,
            message: filters::fault::told(error),
            is_endpoints: category != ErrorCategory::Internal,
        }
    }

    /// A call of the enrichment `name` that brought no answer, or no whole one.
    pub(super) fn of_enrichment(name: &str, error: &EgressError) -> Self {
        let category = match category(error) {
            // An address that is refused today is refused tomorrow.
            ErrorCategory::BlockedAddress => ErrorCategory::BlockedAddress,
            _ => ErrorCategory::Enrichment,
        };
        Self::ours(
            category,
            format!("enrichment `{name}`: {}", filters::fault::told(error)),
        )
    }

    pub(super) fn of_mapping(fault: &MappingFault) -> Self {
        Self::ours(
            ErrorCategory::Transformation,
            format!("the payload could not be mapped: {fault}"),
        )
    }

    pub(super) fn of_script(fault: &ScriptFault) -> Self {
        let category = match fault {
            // Neither the script nor the payload is to blame.
            ScriptFault::Busy => ErrorCategory::Internal,
            ScriptFault::Compile { .. }
            | ScriptFault::Runtime { .. }
            | ScriptFault::Limit { .. }
            | ScriptFault::Stopped { .. }
            | ScriptFault::BadInput { .. }
            | ScriptFault::BadOutput { .. }
            | ScriptFault::Crashed => ErrorCategory::Transformation,
        };
        Self::ours(category, fault.to_string())
    }
}

fn category(error: &EgressError) -> ErrorCategory {
    match error {
        EgressError::Refused { .. } | EgressError::Resolve(ResolveError::Refused { .. }) => {
            ErrorCategory::BlockedAddress
        }
        EgressError::Resolve(_) => ErrorCategory::Dns,
        EgressError::Connect { .. } | EgressError::Body { .. } => ErrorCategory::Network,
        EgressError::Tls { .. } => ErrorCategory::Tls,
        EgressError::ConnectTimeout { .. }
        | EgressError::FirstByteTimeout { .. }
        | EgressError::TotalTimeout { .. } => ErrorCategory::Timeout,
        EgressError::Protocol { source, .. } if source.is_user() => ErrorCategory::Internal,
        EgressError::Protocol { source, .. } if source.is_parse() => ErrorCategory::Protocol,
        EgressError::Protocol { .. } => ErrorCategory::Network,
        EgressError::UnexpectedUpgrade { .. } | EgressError::BodyTooLarge { .. } => ErrorCategory::Protocol,
    }
}
