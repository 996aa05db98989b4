//! The closed sets of label values.

use egress::TokenCall;

use crate::limiter::Scope;

/// A fieldless enum with a label for each variant, and the list of all variants in order.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them, each at the index of its number.
            pub const ALL: [Self; [$($label),+].len()] = [$(Self::$variant),+];

            /// Its name in metrics.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)+
                }
            }
        }
    };
}

labels! {
    /// How a request ended.
    Outcome {
        /// The partner answered, or events were taken in, and the client got it all.
        Answered = "answered",
        /// The gateway refused it before the partner was called; see [`Refusal`].
        Refused = "refused",
        /// The partner could not be called or did not answer as it should; see [`Failure`].
        Failed = "failed",
        /// The client left before the end of the answer.
        Aborted = "aborted",
    }
}

labels! {
    /// What became of a request at an integration that keeps answers.
    CacheResult {
        /// It got an answer that was kept.
        Hit = "hit",
        /// There was none: the partner was asked.
        Miss = "miss",
        /// It got one whose time was over, as the partner failed; it was a miss before.
        Stale = "stale",
        /// It was none that answers are kept for, or the last answer to it was none to keep.
        Bypass = "bypass",
    }
}

labels! {
    /// A part of the time that a partner takes, each from the first attempt on.
    UpstreamPart {
        /// To the connection of the last attempt; next to nothing where there was one.
        Connect = "connect",
        /// To the end of the answer's head.
        FirstByte = "first_byte",
        /// To the end of the call.
        Total = "total",
    }
}

labels! {
    /// Why the gateway refused a request itself.
    Refusal {
        /// The head is not HTTP, or contradicts itself (400).
        BadRequest = "bad_request",
        /// The head did not arrive in time (408).
        HeadTimeout = "head_timeout",
        /// The body did not arrive in time (408).
        BodyTimeout = "body_timeout",
        /// The head has too many bytes or fields (431).
        HeadTooLarge = "head_too_large",
        /// The body has too many bytes (413).
        BodyTooLarge = "body_too_large",
        /// The body cannot be read as the integration needs it: not JSON, or an unknown encoding (400, 415).
        BadBody = "bad_body",
        /// The path could be read in two ways (400).
        AmbiguousPath = "ambiguous_path",
        /// No integration answers to host and path (404).
        NotFound = "not_found",
        /// The integration answers to other methods only (405).
        MethodNotAllowed = "method_not_allowed",
        /// The credential is missing or wrong (401).
        Unauthorized = "unauthorized",
        /// The client is known, or its address is, and may not call (403).
        Forbidden = "forbidden",
        /// Who could tell whose credential it is does not answer (503).
        NoIssuer = "no_issuer",
        /// The limit of the client address (429).
        RateLimitedClientIp = "rate_limited_client_ip",
        /// The limit of the credential (429).
        RateLimitedKey = "rate_limited_key",
        /// The limit of the consumer (429).
        RateLimitedConsumer = "rate_limited_consumer",
        /// The limit of the integration (429).
        RateLimitedIntegration = "rate_limited_integration",
        /// The limit of the organization (429).
        RateLimitedOrganization = "rate_limited_organization",
        /// The request is not what the integration's validation asks for (400).
        Invalid = "invalid",
        /// An idempotency key is wrong, or its request is not carried out again (400, 409, 422).
        IdempotencyKey = "idempotency_key",
        /// The request cannot be mapped to the partner's form (422).
        Unmappable = "unmappable",
        /// Events that were handed over are wrong (400, 413, 415, 422).
        InvalidEvent = "invalid_event",
        /// The organization has too many open deliveries (429).
        OrganizationShare = "organization_share",
        /// No events can be taken in now (503).
        Overloaded = "overloaded",
        /// No target of the integration takes requests (503).
        NoTarget = "no_target",
        /// The targets of the integration failed too often (503).
        CircuitOpen = "circuit_open",
        /// The targets of the integration have as many requests as they bear (503).
        TargetsBusy = "targets_busy",
        /// There is no memory for the request (503).
        NoRoom = "no_room",
        /// Too many connections (the connection is closed, or 503).
        TooManyConnections = "too_many_connections",
        /// The request came without TLS and must not (308, 403).
        Plain = "plain",
        /// A client got no TLS connection.
        Handshake = "tls_handshake",
        /// There is no configuration yet, or the gateway is stopping (503).
        NotReady = "not_ready",
    }
}

labels! {
    /// What became of a call that was to be a dead letter.
    LetterOutcome {
        /// It is on disk.
        Kept = "kept",
        /// It was the repeat of one that is there.
        Repeated = "repeated",
        /// Lost: its integration has as many as it may.
        TooMany = "too_many",
        /// Lost: the queue, its disk, or what waits for the control plane is too full.
        Full = "full",
        /// Lost: too much waited to be written.
        Busy = "busy",
        /// Lost: this gateway has no queue, or it is not open.
        NoQueue = "no_queue",
        /// Lost: the queue could not write it.
        Failed = "failed",
    }
}

impl LetterOutcome {
    /// True where nothing is left of the call.
    pub(super) const fn is_lost(self) -> bool {
        match self {
            Self::Kept | Self::Repeated => false,
            Self::TooMany | Self::Full | Self::Busy | Self::NoQueue | Self::Failed => true,
        }
    }
}

labels! {
    /// What was asked of an issuer of tokens, and whether it answered.
    IdentityCall {
        /// Its keys were fetched.
        Keys = "keys",
        /// Its keys could not be fetched.
        KeysFailed = "keys_failed",
        /// It said whether a token is good.
        Token = "token",
        /// It did not say whether a token is good.
        TokenFailed = "token_failed",
    }
}

labels! {
    /// Why a request to a partner failed.
    Failure {
        /// Address lookup, connecting or TLS failed.
        Connect = "connect",
        /// The egress policy refuses the partner's address.
        Address = "address",
        /// The partner took too long.
        Timeout = "timeout",
        /// The answer is not HTTP, is too large, or broke off.
        Answer = "answer",
        /// A mapping or script failed on the request or the answer.
        Transform = "transform",
        /// No token to sign in with.
        SignIn = "sign_in",
        /// A fault of the gateway.
        Internal = "internal",
    }
}

labels! {
    /// What came of a request to a token endpoint.
    TokenOutcome {
        /// A token.
        Granted = "granted",
        /// An answer without one.
        Refused = "refused",
        /// No answer.
        Failed = "failed",
    }
}

labels! {
    /// What was decided after an attempt at a call failed in a way that another may mend.
    Retried {
        /// It is made again.
        Again = "again",
        /// There were as many attempts as the schedule has.
        Exhausted = "exhausted",
        /// The call must not reach the partner twice.
        NotRepeatable = "not_repeatable",
        /// The request's body is gone.
        BodyGone = "body_gone",
        /// There is no time left.
        Deadline = "deadline",
        /// The budget of retries is used up.
        Budget = "budget",
        /// No target takes it.
        NoTarget = "no_target",
    }
}

labels! {
    /// What became of an event that was handed over.
    Taken {
        /// It is on disk.
        New = "new",
        /// It was there already.
        Repeat = "repeat",
        /// It was refused.
        Refused = "refused",
    }
}

labels! {
    /// What came of an attempt at a delivery.
    Attempted {
        /// The endpoint has it.
        Delivered = "delivered",
        /// It failed and is tried again.
        Retried = "retried",
        /// It failed for good.
        Failed = "failed",
    }
}

labels! {
    /// Why no events are taken in for a while.
    Pause {
        /// Somebody said so, or the gateway is stopping.
        Draining = "draining",
        /// Too many deliveries are open.
        OpenDeliveries = "open_deliveries",
        /// The queue's files are as large as they may be.
        QueueBytes = "queue_bytes",
        /// The disk is almost full.
        DiskSpace = "disk_space",
        /// The control plane does not take the records.
        SpoolBytes = "spool_bytes",
        /// The queue cannot be opened, or cannot write.
        QueueFailed = "queue_failed",
    }
}

labels! {
    /// The first digit of a status.
    StatusClass {
        /// 101, when the connection went over to another protocol.
        Informational = "1xx",
        /// 2xx.
        Success = "2xx",
        /// 3xx.
        Redirection = "3xx",
        /// 4xx.
        ClientError = "4xx",
        /// 5xx.
        ServerError = "5xx",
    }
}

impl Refusal {
    /// True for what depends on how much is asked for, not on what is configured.
    pub(crate) fn is_of_load(self) -> bool {
        matches!(
            self,
            Self::RateLimitedClientIp
                | Self::RateLimitedKey
                | Self::RateLimitedConsumer
                | Self::RateLimitedIntegration
                | Self::RateLimitedOrganization
                | Self::OrganizationShare
                | Self::Overloaded
                | Self::TargetsBusy
                | Self::NoRoom
                | Self::TooManyConnections
                | Self::NotReady
        )
    }
}

impl From<Scope> for Refusal {
    fn from(limit: Scope) -> Self {
        match limit {
            Scope::ClientIp => Self::RateLimitedClientIp,
            Scope::Key => Self::RateLimitedKey,
            Scope::Consumer => Self::RateLimitedConsumer,
            Scope::Integration => Self::RateLimitedIntegration,
            Scope::Organization => Self::RateLimitedOrganization,
        }
    }
}

impl From<TokenCall> for TokenOutcome {
    fn from(call: TokenCall) -> Self {
        match call {
            TokenCall::Granted => Self::Granted,
            TokenCall::Refused => Self::Refused,
            TokenCall::Failed => Self::Failed,
        }
    }
}

impl StatusClass {
    /// The class of `status`; none outside of 100 to 599.
    pub const fn of(status: u16) -> Option<Self> {
        match status {
            100..=199 => Some(Self::Informational),
            200..=299 => Some(Self::Success),
            300..=399 => Some(Self::Redirection),
            400..=499 => Some(Self::ClientError),
            500..=599 => Some(Self::ServerError),
            _ => None,
        }
    }
}
