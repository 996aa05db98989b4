//! Why an attempt got no answer, in the words that operators and the table of classification use.

use egress::{EgressError, ResolveError, TokenError};
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

    /// There is no token to sign in to the endpoint with, which keeps every delivery from it.
    pub(super) fn of_sign_in(error: &TokenError) -> Self {
        Self {
            category: ErrorCategory::SignIn,
            message: filters::fault::told(error),
            is_endpoints: true,
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

/// Why a call brought no answer, or no whole one.
pub(crate) fn category(error: &EgressError) -> ErrorCategory {
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use filters::address::EgressPolicy;

    use super::*;

    fn refused() -> EgressError {
        let policy = EgressPolicy {
            block_private_networks: true,
            allowed_networks: Vec::new(),
        };
        EgressError::Refused {
            host: "metadata.example".to_owned(),
            refused: policy.check("169.254.169.254".parse().unwrap()).unwrap_err(),
        }
    }

    #[test]
    fn each_way_to_get_no_answer_has_its_category() {
        let host = || "partner.example".to_owned();
        let address = "192.0.2.1:443".parse().unwrap();
        let after = Duration::from_secs(1);
        for (error, category) in [
            (refused(), ErrorCategory::BlockedAddress),
            (
                EgressError::Resolve(ResolveError::NotFound { host: host() }),
                ErrorCategory::Dns,
            ),
            (
                EgressError::Connect {
                    host: host(),
                    address,
                    source: io::ErrorKind::ConnectionRefused.into(),
                },
                ErrorCategory::Network,
            ),
            (
                EgressError::Tls {
                    host: host(),
                    address,
                    source: io::ErrorKind::InvalidData.into(),
                },
                ErrorCategory::Tls,
            ),
            (
                EgressError::ConnectTimeout { host: host(), after },
                ErrorCategory::Timeout,
            ),
            (
                EgressError::FirstByteTimeout { host: host(), after },
                ErrorCategory::Timeout,
            ),
            (
                EgressError::TotalTimeout { host: host(), after },
                ErrorCategory::Timeout,
            ),
            (
                EgressError::UnexpectedUpgrade {
                    host: host(),
                    status: 101,
                },
                ErrorCategory::Protocol,
            ),
        ] {
            let fault = Fault::of_endpoint(&error);
            assert_eq!((fault.category, fault.is_endpoints), (category, true), "{error}");
            let fault = Fault::of_enrichment("bill", &error);
            assert!(
                !fault.is_endpoints && fault.message.starts_with("enrichment `bill`: "),
                "{fault:?}"
            );
        }
    }

    #[test]
    fn an_enrichment_at_a_forbidden_address_is_not_tried_again() {
        let fault = Fault::of_enrichment("bill", &refused());
        assert_eq!(fault.category, ErrorCategory::BlockedAddress);
    }

    #[test]
    fn only_a_busy_script_is_tried_again() {
        assert_eq!(Fault::of_script(&ScriptFault::Busy).category, ErrorCategory::Internal);
        assert_eq!(
            Fault::of_script(&ScriptFault::Crashed).category,
            ErrorCategory::Transformation
        );
    }
}
