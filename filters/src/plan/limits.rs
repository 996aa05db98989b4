//! What somebody may use up, compiled.

use jiff::tz::TimeZone;

use crate::model::limits::Limit;

/// Limits of one integration; nothing is limited until it is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// All requests to the integration together.
    pub integration: Option<LimitPlan>,
    /// Each caller.
    pub per_key: Option<LimitPlan>,
    /// Each client address.
    pub per_client_ip: Option<LimitPlan>,
}

/// A limit, and where its days begin.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitPlan {
    /// The limit.
    pub limit: Limit,
    /// The zone of its days.
    pub zone: TimeZone,
}

/// The limit of a consumer.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerLimit {
    /// The organization that the consumer belongs to.
    pub org_id: u64,
    /// Its limit.
    pub plan: LimitPlan,
}
