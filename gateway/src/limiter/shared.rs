//! The limits of one scope that many requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use filters::model::limits::Limit;
use filters::plan::limits::LimitPlan;
use filters::window::Window;
use parking_lot::Mutex;

use super::header;
use super::scope::{Kind, Scope};
use super::standing::{Left, Standing, seconds_up};
use crate::clock::Moment;
use crate::quota::{Day, QuotaKey, Quotas};

/// The limits of one scope, and what is used up of them.
#[derive(Debug)]
pub struct Limiter {
    scope: Scope,
    plan: LimitPlan,
    /// Its part of `RateLimit-Policy`.
    policies: Box<str>,
    windows: Mutex<Windows>,
    day: Option<Arc<Day>>,
    under_way: AtomicU32,
}

#[derive(Debug)]
struct Windows {
    window: Option<Box<Window<MINUTE_SLOTS>>>,
    second: Option<Window<SECOND_SLOTS>>,
}

/// How much of a limit is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) kind: Kind,
    /// Requests that it allows.
    pub(crate) most: u64,
    /// How many of them are used up.
    pub(crate) used: u64,
    /// Seconds (rounded up) until all of them are there again if no request comes.
    pub(crate) reset_seconds: u32,
}

/// A limit that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UsedUp {
    pub(super) kind: Kind,
    /// Seconds (rounded up) until a request may pass again; at least 1.
    pub(super) retry_after_seconds: u32,
    pub(super) standing: Standing,
}

impl Limiter {
    /// A limiter with nothing counted yet, but for the days that `quotas` knows of.
    pub fn new(scope: Scope, plan: &LimitPlan, quotas: &Quotas, key: QuotaKey) -> Self {
        let limit = plan.limit;
        Self {
            scope,
            policies: policies(scope, &limit),
            windows: Mutex::new(Windows::new(&limit)),
            day: limit.max_per_day.map(|_| quotas.day(key, &plan.zone)),
            under_way: AtomicU32::new(0),
            plan: plan.clone(),
        }
    }

    /// `previous` if it has the same limits, else a new limiter.
    pub fn carried(
        previous: Option<&Arc<Self>>,
        scope: Scope,
        plan: &LimitPlan,
        quotas: &Quotas,
        key: QuotaKey,
    ) -> Arc<Self> {
        match previous {
            Some(known) if known.plan == *plan && known.scope == scope => Arc::clone(known),
            _ => Arc::new(Self::new(scope, plan, quotas, key)),
        }
    }

    /// Whose requests are counted.
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    pub(super) fn policies(&self) -> &str {
        &self.policies
    }

    /// True if requests have to say when they end.
    pub(super) fn counts_ends(&self) -> bool {
        self.plan.limit.max_concurrent.is_some()
    }

    /// True if nothing is counted now.
    pub(super) fn is_idle(&self, now: Moment) -> bool {
        let mut windows = self.windows.lock();
        let counted = windows.window.as_mut().map_or(0, |window| window.at(now.mono_ns));
        let second = windows.second.as_mut().map_or(0, |window| window.at(now.mono_ns));
        counted == 0 && second == 0 && self.under_way.load(Ordering::Relaxed) == 0
    }

    /// Counts one request, which has to be given back by [`Self::ended`] where [`Self::counts_ends`]. A refused request is
    /// not counted.
    pub(super) fn take(&self, now: Moment) -> Result<Standing, UsedUp> {
        let limit = &self.plan.limit;
        // All of it under one lock, so that no limit is charged for what another refuses.
        let mut windows = self.windows.lock();
        let refusal = windows.refusal(limit, now).or_else(|| {
            let most = limit.max_concurrent?;
            (self.under_way.load(Ordering::Relaxed) >= most).then_some((Kind::Concurrent, 1))
        });
        if let Some((kind, retry_after_seconds)) = refusal {
            return Err(self.used_up(&mut windows, kind, retry_after_seconds, now));
        }
        if let (Some(day), Some(most)) = (&self.day, limit.max_per_day)
            && let Err(ends_in) = day.take(now.wall_ms, most)
        {
            return Err(self.used_up(&mut windows, Kind::Day, ends_in, now));
        }
        windows.add();
        if limit.max_concurrent.is_some() {
            self.under_way.fetch_add(1, Ordering::Relaxed);
        }
        Ok(self.standing(&mut windows, now))
    }

    /// Takes one request back that another limit refused.
    pub(super) fn take_back(&self) {
        let mut windows = self.windows.lock();
        if let Some(window) = &mut windows.window {
            window.take_back();
        }
        if let Some(second) = &mut windows.second {
            second.take_back();
        }
        if let Some(day) = &self.day {
            day.take_back();
        }
        if self.counts_ends() {
            self.ended();
        }
    }

    /// What is used up of each of its limits; nothing of those that are whole.
    pub(crate) fn usage(&self, now: Moment) -> Vec<Used> {
        let limit = &self.plan.limit;
        let standing = self.standing(&mut self.windows.lock(), now);
        let used = standing.of_each().filter_map(|(kind, left)| {
            let most = match kind {
                Kind::Window => limit.max_requests?.into(),
                Kind::Second => limit.max_per_second?.into(),
                Kind::Day => limit.max_per_day?,
                Kind::Concurrent => limit.max_concurrent?.into(),
            };
            let used = most.saturating_sub(left.remaining);
            (used > 0).then_some(Used {
                kind,
                most,
                used,
                reset_seconds: left.reset_seconds,
            })
        });
        used.collect()
    }

    /// Forgets what was counted. Requests under way go on being counted until they end.
    pub(crate) fn reset(&self) {
        *self.windows.lock() = Windows::new(&self.plan.limit);
        if let Some(day) = &self.day {
            day.reset();
        }
    }

    /// One of the requests under way has ended.
    pub(super) fn ended(&self) {
        let less = |count: u32| Some(count.saturating_sub(1));
        // It cannot fail, as there is always a next count.
        let _ = self.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    fn used_up(&self, windows: &mut Windows, kind: Kind, retry_after_seconds: u32, now: Moment) -> UsedUp {
        UsedUp {
            kind,
            retry_after_seconds: retry_after_seconds.max(1),
            standing: self.standing(windows, now),
        }
    }

    fn standing(&self, windows: &mut Windows, now: Moment) -> Standing {
        let limit = &self.plan.limit;
        let left = |most: u32, used: u32, empty_in: u64| Left {
            remaining: most.saturating_sub(used).into(),
            reset_seconds: seconds_up(empty_in),
        };
        Standing {
            window: windows.window.as_mut().zip(limit.max_requests).map(|(window, most)| {
                let used = window.at(now.mono_ns);
                left(most, used, window.empty_in(now.mono_ns))
            }),
            second: windows.second.as_mut().zip(limit.max_per_second).map(|(window, most)| {
                let used = window.at(now.mono_ns);
                left(most, used, window.empty_in(now.mono_ns))
            }),
            day: self.day.as_ref().zip(limit.max_per_day).map(|(day, most)| {
                let (used, reset_seconds) = day.used(now.wall_ms);
                Left {
                    remaining: most.saturating_sub(used),
                    reset_seconds,
                }
            }),
            concurrent: limit.max_concurrent.map(|most| Left {
                remaining: most.saturating_sub(self.under_way.load(Ordering::Relaxed)).into(),
                reset_seconds: 0,
            }),
        }
    }
}

impl Windows {
    fn new(limit: &Limit) -> Self {
        Self {
            window: limit.max_requests.map(|_| Box::new(Window::new(limit.window_seconds))),
            second: limit.max_per_second.map(|_| Window::new(1)),
        }
    }

    /// The limit that refuses a request, and for how many seconds.
    fn refusal(&mut self, limit: &Limit, now: Moment) -> Option<(Kind, u32)> {
        if let (Some(window), Some(most)) = (&mut self.window, limit.max_requests)
            && window.at(now.mono_ns) >= most
        {
            return Some((Kind::Window, seconds_up(window.first_leaves_in(now.mono_ns))));
        }
        if let (Some(window), Some(most)) = (&mut self.second, limit.max_per_second)
            && window.at(now.mono_ns) >= most
        {
            return Some((Kind::Second, seconds_up(window.first_leaves_in(now.mono_ns))));
        }
        None
    }

    fn add(&mut self) {
        if let Some(window) = &mut self.window {
            window.add();
        }
        if let Some(second) = &mut self.second {
            second.add();
        }
    }
}

/// The policies of a limit as a list.
pub(super) fn policies(scope: Scope, limit: &Limit) -> Box<str> {
    let all = [
        (Kind::Window, limit.max_requests.map(u64::from), limit.window_seconds),
        (Kind::Second, limit.max_per_second.map(u64::from), 1),
        (Kind::Day, limit.max_per_day, 86_400),
        (Kind::Concurrent, limit.max_concurrent.map(u64::from), 0),
    ];
    let set = all
        .into_iter()
        .filter_map(|(kind, most, seconds)| Some((kind, most?, seconds)));
    header::policies(scope, set)
}

/// Slots of a window, the one under way included: a window of a minute is counted by seconds.
const MINUTE_SLOTS: usize = 61;
const SECOND_SLOTS: usize = 11;
