//! What is left of the limits of one scope.

use super::scope::Kind;

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// Requests that would be allowed right now, after this one.
    pub(super) remaining: u64,
    /// Seconds (rounded up) until the whole limit is available again if no request comes.
    pub(super) reset_seconds: u32,
}

/// What is left of each limit of a scope; `None` for those that are not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) window: Option<Left>,
    pub(super) second: Option<Left>,
    pub(super) day: Option<Left>,
    pub(super) concurrent: Option<Left>,
}

impl Standing {
    /// Those that are set.
    pub(super) fn of_each(&self) -> impl Iterator<Item = (Kind, Left)> {
        [
            (Kind::Window, self.window),
            (Kind::Second, self.second),
            (Kind::Day, self.day),
            (Kind::Concurrent, self.concurrent),
        ]
        .into_iter()
        .filter_map(|(kind, left)| Some((kind, left?)))
    }
}

/// Nanoseconds as seconds, rounded up.
pub(super) fn seconds_up(nanos: u64) -> u32 {
    u32::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}
