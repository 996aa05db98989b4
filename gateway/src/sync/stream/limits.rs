//! How much of limits is used up, as operators see it, and how they set limits back.

use std::cmp::Reverse;
use std::sync::Arc;

use filters::model::command::ResetScope;
use filters::model::limits::{LimitKind, LimitScope, LimitStatus};

use crate::clock::Moment;
use crate::limiter::{Kind, Used};
use crate::live::Live;

/// The limits of which something is used up; those of which least is left first.
pub(super) fn standing(live: &Live, now: Moment) -> Vec<LimitStatus> {
    let mut standing = Vec::new();
    let mut add = |scope, org_id, id: Option<&Arc<str>>, caller: Option<&str>, used: Vec<Used>| {
        standing.extend(used.into_iter().map(|used| LimitStatus {
            scope,
            org_id,
            id: id.cloned(),
            caller: caller.map(str::to_owned),
            kind: kind_of(used.kind),
            limit: used.most,
            used: used.used,
            reset_seconds: used.reset_seconds,
        }));
    };
    for (org_id, limiter) in live.organization_limiters() {
        add(LimitScope::Organization, org_id, None, None, limiter.usage(now));
    }
    for (id, limiter) in live.consumer_limiters() {
        if let Some(org_id) = owner_of(live, id) {
            add(LimitScope::Consumer, org_id, Some(id), None, limiter.usage(now));
        }
    }
    for runtime in live.runtimes() {
        let (id, org_id) = (&runtime.integration.id, runtime.integration.source.org_id);
        let (own, callers) = runtime.limiters.usage(now);
        add(LimitScope::Integration, org_id, Some(id), None, own);
        for (name, used) in callers {
            add(LimitScope::Caller, org_id, Some(id), Some(&name), used);
        }
    }
    standing.sort_by_key(|limit| Reverse(share(limit)));
    standing.truncate(MOST);
    standing
}

/// Forgets what is used up of limits; false if this gateway has none such.
pub(super) fn reset(live: &Live, org_id: u64, scope: ResetScope, id: Option<&str>) -> bool {
    match (scope, id) {
        (ResetScope::Organization, _) => {
            let limiter = live.organization_limiter(org_id);
            limiter.inspect(|limiter| limiter.reset()).is_some()
        }
        (ResetScope::Integration, Some(id)) => {
            let mut runtimes = live.runtimes();
            let found =
                runtimes.find(|runtime| &*runtime.integration.id == id && runtime.integration.source.org_id == org_id);
            found.inspect(|runtime| runtime.limiters.reset()).is_some()
        }
        (ResetScope::Consumer, Some(id)) => {
            let is_owner = owner_of(live, id) == Some(org_id);
            let limiter = live.consumer_limiter(id).filter(|_| is_owner);
            limiter.inspect(|limiter| limiter.reset()).is_some()
        }
        (ResetScope::Integration | ResetScope::Consumer, None) => false,
    }
}

/// The organization of a consumer that has a limit.
fn owner_of(live: &Live, id: &str) -> Option<u64> {
    live.plan.consumer_limits().get(id).map(|limit| limit.org_id)
}

/// How much of a limit is used up, in thousandths.
fn share(limit: &LimitStatus) -> u64 {
    limit.used.saturating_mul(1_000) / limit.limit.max(1)
}

const fn kind_of(kind: Kind) -> LimitKind {
    match kind {
        Kind::Window => LimitKind::Window,
        Kind::Second => LimitKind::Second,
        Kind::Day => LimitKind::Day,
        Kind::Concurrent => LimitKind::Concurrent,
    }
}

/// Of one message.
const MOST: usize = 500;
