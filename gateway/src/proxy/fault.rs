//! Everything that can go wrong with a request, and what its client is told: one table.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use egress::{EgressError, TokenError};
use filters::auth::AuthRefusal;
use filters::event::EventFault;
use filters::fault::ErrorBody;
use filters::model::Problem;
use filters::outgoing::signature::SignatureFault;
use filters::path::PathRefusal;
use filters::plan::idempotency::KeyFault;
use filters::route::MethodSet;
use filters::script::ScriptFault;
use filters::transform::MappingFault;
use http::{HeaderName, HeaderValue, header};

use crate::clock;
use crate::ingest::pressure::Overload;
use crate::limiter::{Kind, RATELIMIT, RATELIMIT_POLICY, Refused};
use crate::metrics::{Failure, Refusal};
use crate::shedding::Shed;
use crate::upstream::Unavailable;

/// Why a request was not answered by the partner.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No configuration is live.
    NotReady,
    /// No integration answers to host and path.
    NotFound,
    /// The integration answers to other methods.
    MethodNotAllowed(MethodSet),
    /// The client is to come to this address, over TLS.
    Redirected(HeaderValue),
    /// The client is to come over TLS.
    Plain,
    /// The path could be read in two ways.
    Path(PathRefusal),
    /// The runtime address was called without a usable `orgId`.
    OrgId,
    /// The credential is missing or wrong.
    Unauthorized(AuthRefusal, Vec<HeaderValue>),
    /// Who could tell whose credential it is does not answer.
    NoIssuer,
    /// It is known who the client is, or where it calls from, and that may not call.
    Forbidden(Forbidden),
    /// An idempotency key cannot be used, or its request is not carried out again.
    Repeat(RepeatFault),
    /// A limit is used up.
    RateLimited(Box<Refused>),
    /// The client's body is larger than allowed.
    BodyTooLarge(u64),
    /// The client's body did not arrive in time.
    BodyTimeout,
    /// The client's header fields contradict each other.
    BadHeaders,
    /// The client's body broke off or is malformed.
    BodyBroken,
    /// The client's body is encoded, and has to be read.
    BodyEncoded,
    /// None of the integration's operations has the path.
    NotListed,
    /// The request is not what the operation asks for.
    Invalid(Vec<Problem>),
    /// The client's body has a content type that is none of these.
    ContentType(String),
    /// The partner answered with an error that a page of the integration takes the place of.
    Replaced(u16),
    /// The partner's answer is not what the operation promises.
    AnswerInvalid(Vec<Problem>),
    /// The client's body cannot be mapped.
    RequestMapping(MappingFault),
    /// The partner's answer cannot be mapped.
    ResponseMapping(MappingFault),
    /// A script failed.
    Script(&'static str, ScriptFault),
    /// The partner's answer is encoded, and has to be read.
    AnswerEncoded,
    /// The partner could not be called, or gave no whole answer.
    Egress(EgressError),
    /// The same on the streaming path.
    Stream(StreamFailure),
    /// There is no token to sign in to the partner with.
    SignIn(Arc<TokenError>),
    /// The request cannot be signed for the partner.
    Unsigned(SignatureFault<Infallible>),
    /// The partner answered with this status, which is not passed on.
    PartnerStatus(u16),
    /// No target takes the request now.
    Unavailable(Unavailable),
    /// The gateway has no room for the request.
    Shed(Shed),
    /// Events cannot be taken in now.
    Overloaded(Overload),
    /// The events that were handed over are wrong.
    Event(Box<EventFault>),
    /// A parameter of the query is wrong.
    Query(Problem),
    /// The client went away.
    ClientGone,
    /// A fault of the gateway.
    Internal(String),
}

/// Why a client may not call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// Its address is not one that the integration takes calls from.
    Address,
    /// Its credential is good, for other integrations or with other claims.
    Caller,
}

/// What is wrong with a request that has an idempotency key, or should have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RepeatFault {
    /// The key itself is wrong.
    Key(KeyFault),
    /// The key belongs to another request.
    Other,
    /// The first request of the key is still under way.
    UnderWay,
    /// It was carried out, and its answer is not kept.
    NotKept,
}

/// How a streamed call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamFailure {
    /// No connection.
    Connect(String),
    /// No connection in time.
    ConnectTimeout,
    /// No trust in who answers.
    Tls(String),
    /// No answer, or no more of it, in time.
    Timeout,
    /// The answer is not HTTP or broke off.
    Answer(String),
}

/// What a fault is in metrics.
pub(crate) enum Counted {
    Refused(Refusal),
    Failed(Failure),
    Aborted,
}

impl Fault {
    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Path(_)
            | Self::OrgId
            | Self::BadHeaders
            | Self::BodyBroken
            | Self::RequestMapping(_)
            | Self::Invalid(_)
            | Self::Query(_) => 400,
            Self::Unauthorized(..) => 401,
            Self::Forbidden(_) => 403,
            Self::Redirected(_) => 308,
            Self::Plain => 403,
            Self::Replaced(status) | Self::PartnerStatus(status) => *status,
            Self::NotFound | Self::NotListed => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::Repeat(RepeatFault::Key(_)) => 400,
            Self::Repeat(RepeatFault::UnderWay | RepeatFault::NotKept) => 409,
            Self::Repeat(RepeatFault::Other) => 422,
            Self::BodyTimeout => 408,
            Self::BodyTooLarge(_) => 413,
            Self::BodyEncoded | Self::ContentType(_) => 415,
            Self::RateLimited(_) | Self::Overloaded(Overload::OrganizationShare) => 429,
            Self::Overloaded(_) => 503,
            Self::Event(fault) => fault.status().as_u16(),
            Self::ClientGone => 499,
            Self::Internal(_) => 500,
            Self::Script(_, ScriptFault::Busy) => 503,
            Self::Script("request", ScriptFault::BadInput { .. }) => 400,
            Self::ResponseMapping(_) | Self::Script(..) | Self::AnswerEncoded | Self::AnswerInvalid(_) => 502,
            Self::Egress(error) if error.is_timeout() => 504,
            Self::Stream(StreamFailure::ConnectTimeout | StreamFailure::Timeout) => 504,
            Self::Egress(_) | Self::Stream(_) | Self::SignIn(_) | Self::Unsigned(_) => 502,
            Self::NotReady | Self::NoIssuer | Self::Shed(_) | Self::Unavailable(_) => 503,
        }
    }

    /// The code for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NotReady
            | Self::NoIssuer
            | Self::Unavailable(Unavailable::NoTarget | Unavailable::Busy)
            | Self::Shed(_) => "SERVICE_UNAVAILABLE",
            Self::Unavailable(Unavailable::CircuitOpen { .. } | Unavailable::Deactivated) => "CIRCUIT_OPEN",
            Self::Redirected(_) | Self::Plain => "HTTPS_REQUIRED",
            Self::NotFound | Self::NotListed => "NOT_FOUND",
            Self::MethodNotAllowed(_) => "METHOD_NOT_ALLOWED",
            Self::Path(_) | Self::BadHeaders | Self::BodyBroken => "BAD_REQUEST",
            Self::OrgId
            | Self::RequestMapping(_)
            | Self::Invalid(_)
            | Self::Query(_)
            | Self::Script("request", ScriptFault::BadInput { .. }) => "VALIDATION_ERROR",
            Self::Script(_, ScriptFault::Busy) => "SERVICE_UNAVAILABLE",
            Self::Unauthorized(..) => "UNAUTHORIZED",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::RateLimited(_) | Self::Overloaded(Overload::OrganizationShare) => "RATE_LIMITED",
            Self::Overloaded(_) => "SERVICE_UNAVAILABLE",
            Self::Event(fault) => fault.code(),
            Self::BodyTooLarge(_) => "PAYLOAD_TOO_LARGE",
            Self::Repeat(RepeatFault::Key(_)) => "VALIDATION_ERROR",
            Self::Repeat(RepeatFault::Other) => "IDEMPOTENCY_KEY_REUSED",
            Self::Repeat(RepeatFault::UnderWay) => "REQUEST_UNDER_WAY",
            Self::Repeat(RepeatFault::NotKept) => "ANSWER_NOT_KEPT",
            Self::BodyTimeout => "REQUEST_TIMEOUT",
            Self::BodyEncoded | Self::ContentType(_) => "UNSUPPORTED_MEDIA_TYPE",
            Self::AnswerInvalid(_) => "UPSTREAM_INVALID",
            Self::Replaced(_) => PARTNER_STATUS,
            Self::ResponseMapping(_) | Self::Script(..) => "TRANSFORMATION_FAILED",
            Self::Egress(EgressError::Refused { .. }) => "TARGET_REFUSED",
            Self::Egress(error) if error.is_timeout() => "UPSTREAM_TIMEOUT",
            Self::Stream(StreamFailure::ConnectTimeout | StreamFailure::Timeout) => "UPSTREAM_TIMEOUT",
            Self::Egress(_) | Self::Stream(_) | Self::AnswerEncoded | Self::PartnerStatus(_) => "UPSTREAM_ERROR",
            Self::SignIn(_) | Self::Unsigned(_) => "SIGN_IN_FAILED",
            Self::ClientGone => "CLIENT_CLOSED_REQUEST",
            Self::Internal(_) => "INTERNAL_ERROR",
        }
    }

    /// What the client is told: its own faults in full, those of the partner and of the configuration without anything
    /// that says where the partner is.
    #[expect(clippy::too_many_lines, reason = "one arm for each fault")]
    fn message(&self) -> String {
        match self {
            Self::NotReady => "the gateway has no configuration yet; try again shortly".to_owned(),
            Self::Redirected(_) | Self::Plain => "this address is served over https only".to_owned(),
            Self::NotFound => "no integration answers to this host and path".to_owned(),
            Self::MethodNotAllowed(allowed) => format!("the method must be one of {}", allowed.allow()),
            Self::Path(refusal) => refusal.to_string(),
            Self::OrgId => "the query must name the organization as orgId=N".to_owned(),
            Self::Unauthorized(refusal, _) => refusal.to_string(),
            Self::NoIssuer => {
                "the credential cannot be checked now; try again after the time in Retry-After".to_owned()
            }
            Self::Forbidden(Forbidden::Caller) => AuthRefusal::NotAllowed.to_string(),
            Self::Forbidden(Forbidden::Address) => "the client's address may not call this integration".to_owned(),
            Self::RateLimited(refused) => limit_message(refused.kind).to_owned(),
            Self::BodyTooLarge(most) => format!("the request body is larger than the {most} bytes allowed"),
            Self::Repeat(fault) => fault.to_string(),
            Self::BodyTimeout => "the request body did not arrive in time".to_owned(),
            Self::BadHeaders => "the request's header fields contradict each other".to_owned(),
            Self::BodyBroken => "the request body broke off or is malformed".to_owned(),
            Self::BodyEncoded => "the request body must be sent without Content-Encoding".to_owned(),
            Self::Replaced(status) => format!("the partner answered with {status}"),
            Self::NotListed => "no operation of this integration has this path".to_owned(),
            Self::Invalid(problems) => format!("the request is not what this operation asks for: {}", told(problems)),
            Self::ContentType(accepted) => format!("the Content-Type of the request body must be {accepted}"),
            Self::AnswerInvalid(problems) => {
                format!(
                    "the partner's answer is not what this operation promises: {}",
                    told(problems)
                )
            }
            Self::RequestMapping(fault) => format!("the request cannot be transformed: {fault}"),
            Self::ResponseMapping(fault) => format!("the partner's answer cannot be transformed: {fault}"),
            Self::Script(side, fault) => format!("the {side} script failed: {fault}"),
            Self::AnswerEncoded => "the partner's answer is encoded and cannot be transformed".to_owned(),
            Self::Egress(EgressError::Refused { .. }) => {
                "the partner's address is refused by the egress policy".to_owned()
            }
            Self::Egress(EgressError::BodyTooLarge { max, .. }) => {
                format!("the partner's answer is larger than the {max} bytes allowed")
            }
            Self::Egress(_) | Self::Stream(_) if self.status() == 504 => {
                "the partner did not answer in time".to_owned()
            }
            Self::Egress(error) if !error.may_have_been_sent() => "the partner cannot be reached".to_owned(),
            Self::Stream(StreamFailure::Connect(_) | StreamFailure::Tls(_)) => {
                "the partner cannot be reached".to_owned()
            }
            Self::Egress(_) | Self::Stream(_) => "the partner gave no valid answer".to_owned(),
            Self::PartnerStatus(status) => format!("the partner answered with status {status}"),
            Self::Unavailable(Unavailable::NoTarget) => "no target of the integration takes requests".to_owned(),
            Self::Unavailable(Unavailable::CircuitOpen { .. } | Unavailable::Deactivated) => {
                "the partner failed too often and is left alone for a while".to_owned()
            }
            Self::Unavailable(Unavailable::Busy) => {
                "the partner has as many requests under way as it bears; try again shortly".to_owned()
            }
            Self::Shed(Shed::BufferedBytes) => {
                "the bodies of the requests under way take all the room there is; try again shortly".to_owned()
            }
            Self::Shed(Shed::Memory) => "the gateway is short of memory; try again shortly".to_owned(),
            Self::Overloaded(overload) => {
                format!("{}; try again after the time in Retry-After", overload.message())
            }
            Self::Event(fault) => fault.to_string(),
            Self::Query(problem) => format!("the query is wrong: {problem}"),
            Self::SignIn(_) | Self::Unsigned(_) => "the gateway could not sign in to the partner".to_owned(),
            Self::ClientGone => "the client went away".to_owned(),
            Self::Internal(_) => "the gateway failed; the request id names the log line".to_owned(),
        }
    }

    /// What is wrong with which field, where that is known.
    fn problems(&self) -> Vec<Problem> {
        match self {
            Self::RequestMapping(MappingFault::Target(problems)) => problems.clone(),
            Self::RequestMapping(fault) => vec![problem_of(fault)],
            Self::Invalid(problems) | Self::AnswerInvalid(problems) => problems.clone(),
            Self::Event(fault) => fault.problems.clone(),
            Self::Query(problem) => vec![problem.clone()],
            Self::OrgId => vec![Problem::new("orgId", "must be there once, as a number")],
            Self::Repeat(RepeatFault::Key(fault)) => vec![Problem::new("Idempotency-Key", fault.to_string())],
            _ => Vec::new(),
        }
    }

    /// Header fields of the answer, beside those that every error has.
    pub(crate) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        match self {
            Self::Redirected(address) => vec![(header::LOCATION, address.clone())],
            Self::MethodNotAllowed(allowed) => HeaderValue::from_str(&allowed.allow())
                .map(|value| vec![(header::ALLOW, value)])
                .unwrap_or_default(),
            Self::Unauthorized(_, challenges) => {
                let challenges = challenges.iter().cloned();
                challenges
                    .map(|challenge| (header::WWW_AUTHENTICATE, challenge))
                    .collect()
            }
            Self::RateLimited(refused) => {
                let retry = HeaderValue::from(refused.retry_after_seconds);
                let mut fields = vec![(header::RETRY_AFTER, retry)];
                if let Some((policy, limit)) = refused.fields.clone() {
                    fields.push((RATELIMIT_POLICY.clone(), policy));
                    fields.push((RATELIMIT.clone(), limit));
                }
                fields
            }
            Self::Unavailable(why) => {
                let seconds = why.retry_after_seconds(clock::now_ms());
                let seconds = seconds.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds)));
                seconds.into_iter().collect()
            }
            Self::Overloaded(overload) => {
                let seconds = HeaderValue::from(overload.retry_after_seconds());
                vec![(header::RETRY_AFTER, seconds)]
            }
            Self::Shed(_) | Self::NotReady | Self::NoIssuer | Self::Script(_, ScriptFault::Busy) => {
                vec![(header::RETRY_AFTER, HeaderValue::from_static("1"))]
            }
            _ => Vec::new(),
        }
    }

    /// The body of the answer.
    pub(crate) fn body(&self, request_id: &str) -> ErrorBody {
        ErrorBody {
            error: self.message(),
            code: self.code().to_owned(),
            status_code: self.status(),
            timestamp: clock::now_rfc3339(),
            request_id: request_id.to_owned(),
            problems: self.problems(),
        }
    }

    /// What it is in metrics.
    pub(crate) fn counted(&self) -> Counted {
        match self {
            Self::NotReady => Counted::Refused(Refusal::NotReady),
            Self::Redirected(_) | Self::Plain => Counted::Refused(Refusal::Plain),
            Self::Replaced(_) => Counted::Failed(Failure::Answer),
            Self::NotFound | Self::NotListed => Counted::Refused(Refusal::NotFound),
            Self::Invalid(_) => Counted::Refused(Refusal::Invalid),
            Self::MethodNotAllowed(_) => Counted::Refused(Refusal::MethodNotAllowed),
            Self::Path(_) => Counted::Refused(Refusal::AmbiguousPath),
            Self::OrgId | Self::BadHeaders | Self::Query(_) => Counted::Refused(Refusal::BadRequest),
            Self::Overloaded(Overload::OrganizationShare) => Counted::Refused(Refusal::OrganizationShare),
            Self::Overloaded(_) => Counted::Refused(Refusal::Overloaded),
            Self::PartnerStatus(_) => Counted::Failed(Failure::Answer),
            Self::Shed(_) => Counted::Refused(Refusal::NoRoom),
            Self::Unavailable(Unavailable::NoTarget) => Counted::Refused(Refusal::NoTarget),
            Self::Unavailable(Unavailable::Busy) => Counted::Refused(Refusal::TargetsBusy),
            Self::Unavailable(Unavailable::CircuitOpen { .. } | Unavailable::Deactivated) => {
                Counted::Refused(Refusal::CircuitOpen)
            }
            Self::Event(_) => Counted::Refused(Refusal::InvalidEvent),
            Self::Unauthorized(..) => Counted::Refused(Refusal::Unauthorized),
            Self::Forbidden(_) => Counted::Refused(Refusal::Forbidden),
            Self::NoIssuer => Counted::Refused(Refusal::NoIssuer),
            Self::RateLimited(refused) => Counted::Refused(refused.scope.into()),
            Self::BodyTooLarge(_) => Counted::Refused(Refusal::BodyTooLarge),
            Self::Repeat(_) => Counted::Refused(Refusal::IdempotencyKey),
            Self::BodyTimeout => Counted::Refused(Refusal::BodyTimeout),
            Self::BodyBroken | Self::BodyEncoded | Self::ContentType(_) => Counted::Refused(Refusal::BadBody),
            Self::RequestMapping(_) => Counted::Refused(Refusal::Unmappable),
            Self::Script("request", ScriptFault::BadInput { .. }) => Counted::Refused(Refusal::Unmappable),
            Self::ResponseMapping(_) | Self::Script(..) => Counted::Failed(Failure::Transform),
            Self::Egress(EgressError::Refused { .. }) => Counted::Failed(Failure::Address),
            Self::Egress(_) | Self::Stream(_) if self.status() == 504 => Counted::Failed(Failure::Timeout),
            Self::Egress(error) if !error.may_have_been_sent() => Counted::Failed(Failure::Connect),
            Self::Stream(StreamFailure::Connect(_) | StreamFailure::Tls(_)) => Counted::Failed(Failure::Connect),
            Self::Egress(_) | Self::Stream(_) | Self::AnswerEncoded | Self::AnswerInvalid(_) => {
                Counted::Failed(Failure::Answer)
            }
            Self::SignIn(_) | Self::Unsigned(_) => Counted::Failed(Failure::SignIn),
            Self::ClientGone => Counted::Aborted,
            Self::Internal(_) => Counted::Failed(Failure::Internal),
        }
    }
}

/// The code of an error that the partner answered with.
pub(crate) const PARTNER_STATUS: &str = "UPSTREAM_STATUS";

/// How many violations there are, and the first place of one.
fn told(problems: &[Problem]) -> String {
    match problems {
        [] => "it does not fit".to_owned(),
        [one] => format!("one violation, at {}", one.path),
        [first, ..] => format!("{} violations, the first at {}", problems.len(), first.path),
    }
}

/// A mapping fault, with the field of the client's body where it is known.
fn problem_of(fault: &MappingFault) -> Problem {
    Problem::new(fault.field().unwrap_or_default(), fault.to_string())
}

/// What a client is told of a limit that is used up.
const fn limit_message(kind: Kind) -> &'static str {
    match kind {
        Kind::Window => "too many requests; try again after the time in Retry-After",
        Kind::Second => "too many requests at once; send them more evenly, and again after the time in Retry-After",
        Kind::Day => "the quota of the day is used up; a new one begins after the time in Retry-After",
        Kind::Concurrent => "too many requests at a time; wait for one of them to end",
    }
}

/// In full, for the log.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Egress(error) => error.fmt(f),
            Self::SignIn(error) => error.fmt(f),
            Self::Unsigned(fault) => fault.fmt(f),
            Self::Stream(failure) => failure.fmt(f),
            Self::Internal(what) => f.write_str(what),
            // Their messages quote values, and the log holds nothing of a body.
            Self::RequestMapping(MappingFault::Value { target, .. })
            | Self::ResponseMapping(MappingFault::Value { target, .. }) => {
                write!(f, "a value does not fit the operation on {target}")
            }
            Self::RequestMapping(MappingFault::Format(fault)) | Self::ResponseMapping(MappingFault::Format(fault)) => {
                write!(f, "the body does not go into or out of {}", fault.format())
            }
            Self::Script(side, ScriptFault::Runtime { line, .. }) => match line {
                Some(line) => write!(f, "the {side} script failed at line {line}"),
                None => write!(f, "the {side} script failed"),
            },
            // Its problems say where, and no value.
            Self::Event(fault) => match fault.problems.first() {
                Some(problem) if !problem.path.is_empty() => write!(f, "{fault} ({})", problem.path),
                _ => fault.fmt(f),
            },
            other => f.write_str(&other.message()),
        }
    }
}

impl fmt::Display for RepeatFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(fault) => write!(f, "the header field Idempotency-Key {fault}"),
            Self::Other => f.write_str("this Idempotency-Key was used for another request; take a new one for each request"),
            Self::UnderWay => f.write_str("the first request with this Idempotency-Key is still under way; try again later"),
            Self::NotKept => f.write_str(
                "the request with this Idempotency-Key was carried out, and its answer was too large to be kept; take a new key \
                 to have it carried out again",
            ),
        }
    }
}

impl fmt::Display for StreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(what) => write!(f, "cannot connect to the partner: {what}"),
            Self::ConnectTimeout => f.write_str("no connection to the partner in time"),
            Self::Tls(what) => write!(f, "no TLS connection with the partner: {what}"),
            Self::Timeout => f.write_str("no answer of the partner in time"),
            Self::Answer(what) => write!(f, "no valid answer of the partner: {what}"),
        }
    }
}
