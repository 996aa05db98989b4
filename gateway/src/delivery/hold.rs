//! Endpoints that get no events until an operator says so. Their deliveries wait.

use std::fmt;

/// Why an endpoint gets no events. It is kept over restarts, as the text that its `Display` makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What happened.
    pub cause: Cause,
    /// For operators.
    pub reason: String,
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
}

/// A hold that cannot be kept over restarts, so that nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue cannot remember that the endpoint is held or not: {0}")]
pub struct NotKept(pub String);

/// What stopped an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An operator paused it.
    Paused,
    /// It wants no more events: 410, its reply header, or a status that is configured to mean so.
    Disabled,
    /// It failed so often in a row that its breaker gave up (`onConsecutive: deactivate`).
    Deactivated,
}

impl Hold {
    /// Reads what was kept; whatever else is there counts as an operator's reason for a pause.
    pub fn read(text: &str, since_ms: i64) -> Self {
        let split = text.split_once(": ");
        let known = split.and_then(|(name, reason)| {
            let cause = Cause::ALL.into_iter().find(|cause| cause.name() == name)?;
            Some((cause, reason))
        });
        let (cause, reason) = known.unwrap_or((Cause::Paused, text));
        Self {
            cause,
            reason: reason.to_owned(),
            since_ms,
        }
    }

    /// An operator's pause.
    pub fn paused(now_ms: i64) -> Self {
        Self {
            cause: Cause::Paused,
            reason: "an operator paused it".to_owned(),
            since_ms: now_ms,
        }
    }

    /// The endpoint wants no more events.
    pub const fn disabled(reason: String, now_ms: i64) -> Self {
        Self {
            cause: Cause::Disabled,
            reason,
            since_ms: now_ms,
        }
    }

    /// The breaker gave up.
    pub fn deactivated(last_error: Option<&str>, now_ms: i64) -> Self {
        let last = last_error.map_or_else(String::new, |error| format!("; the last one: {error}"));
        Self {
            cause: Cause::Deactivated,
            reason: format!("too many failures in a row{last}"),
            since_ms: now_ms,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause.name(), self.reason)
    }
}

impl Cause {
    const ALL: [Self; 3] = [Self::Paused, Self::Disabled, Self::Deactivated];

    const fn name(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Disabled => "disabled",
            Self::Deactivated => "deactivated",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back() {
        let holds = [
            Hold::paused(5),
            Hold::disabled("410: gone".to_owned(), 5),
            Hold::deactivated(Some("500"), 5),
        ];
        for hold in holds {
            assert_eq!(Hold::read(&hold.to_string(), 5), hold);
        }
        let other = Hold::read("moving: until Friday", 5);
        assert_eq!((other.cause, &*other.reason), (Cause::Paused, "moving: until Friday"));
    }
}
