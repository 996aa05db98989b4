//! Whether a call that is over becomes a dead letter, and why.

use egress::EgressError;
use filters::model::dead_letter::CallFailure;
use filters::model::delivery::ErrorCategory;
use filters::plan::dead_letters::DeadLetterPlan;

use super::super::call::Call;
use super::super::fault::{Fault, StreamFailure};
use crate::delivery::attempt;

/// How a call came to its end.
pub(super) struct End {
    pub(super) category: ErrorCategory,
    pub(super) status: Option<u16>,
    pub(super) error: String,
}

impl End {
    /// The end of a call that becomes a dead letter; `None` for others.
    pub(super) fn of(plan: &DeadLetterPlan, call: &Call) -> Option<Self> {
        let answered = call.upstream.status.map(|status| status.as_u16());
        let (failure, category, status) = match &call.fault {
            Some(Fault::RateLimited(_)) => {
                let is_noted = call.letter.as_ref().is_some_and(|draft| draft.is_refused());
                return is_noted.then(|| Self {
                    category: ErrorCategory::RateLimited,
                    status: None,
                    error: "the call was beyond a limit".to_owned(),
                });
            }
            Some(Fault::PartnerStatus(status) | Fault::Replaced(status)) => of_status(*status)?,
            // Its client did not wait for the answer, which says enough.
            None | Some(Fault::ClientGone) => of_status(answered?)?,
            Some(fault) => {
                let (failure, category) = of_fault(fault)?;
                (failure, category, None)
            }
        };
        plan.takes(failure).then(|| Self {
            category,
            status,
            error: match (&call.fault, status) {
                (_, Some(status)) => format!("the partner answered with status {status}"),
                (Some(fault), None) => fault.to_string(),
                (None, None) => String::new(),
            },
        })
    }
}

fn of_status(status: u16) -> Option<(CallFailure, ErrorCategory, Option<u16>)> {
    match status {
        429 => Some((CallFailure::RateLimited, ErrorCategory::RateLimited, Some(status))),
        500..=599 => Some((CallFailure::ServerError, ErrorCategory::ServerError, Some(status))),
        _ => None,
    }
}

/// How a call failed that the partner did not answer. What is the client's fault, or the gateway's, is none of it, nor is an
/// answer that could not be passed on: the partner has carried such a call out.
pub(super) fn of_fault(fault: &Fault) -> Option<(CallFailure, ErrorCategory)> {
    Some(match fault {
        Fault::Egress(EgressError::BodyTooLarge { .. } | EgressError::UnexpectedUpgrade { .. }) => return None,
        Fault::Egress(error) if error.is_timeout() => (CallFailure::Timeout, ErrorCategory::Timeout),
        Fault::Egress(error) => (CallFailure::Network, attempt::category(error)),
        Fault::Stream(failure) => match failure {
            StreamFailure::ConnectTimeout | StreamFailure::Timeout => (CallFailure::Timeout, ErrorCategory::Timeout),
            StreamFailure::Tls(_) => (CallFailure::Network, ErrorCategory::Tls),
            StreamFailure::Connect(_) | StreamFailure::Answer(_) => (CallFailure::Network, ErrorCategory::Network),
        },
        Fault::Unavailable(_) => (CallFailure::CircuitOpen, ErrorCategory::Unavailable),
        Fault::SignIn(_) | Fault::Unsigned(_) => (CallFailure::SignIn, ErrorCategory::SignIn),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shedding::Shed;
    use crate::upstream::Unavailable;

    #[test]
    fn an_answer_of_the_partner_is_a_failure_by_its_status() {
        for (status, failure) in [
            (200, None),
            (302, None),
            (404, None),
            (422, None),
            (429, Some(CallFailure::RateLimited)),
            (500, Some(CallFailure::ServerError)),
            (504, Some(CallFailure::ServerError)),
        ] {
            assert_eq!(of_status(status).map(|(failure, ..)| failure), failure, "{status}");
        }
    }

    #[test]
    fn what_the_partner_did_not_answer_is_a_failure_unless_others_are_to_blame() {
        for (fault, failure) in [
            (
                Fault::Stream(StreamFailure::Connect(String::new())),
                Some(CallFailure::Network),
            ),
            (
                Fault::Stream(StreamFailure::Answer(String::new())),
                Some(CallFailure::Network),
            ),
            (Fault::Stream(StreamFailure::ConnectTimeout), Some(CallFailure::Timeout)),
            (Fault::Stream(StreamFailure::Timeout), Some(CallFailure::Timeout)),
            (Fault::Unavailable(Unavailable::Busy), Some(CallFailure::CircuitOpen)),
            (Fault::ClientGone, None),
            (Fault::BodyBroken, None),
            (Fault::AnswerEncoded, None),
            (Fault::Shed(Shed::Memory), None),
            (Fault::Internal(String::new()), None),
        ] {
            assert_eq!(of_fault(&fault).map(|(failure, _)| failure), failure, "{fault}");
        }
    }
}
