//! The wall clock as text.

/// The time now, as RFC 3339 in UTC with milliseconds.
pub fn now_rfc3339() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_have_milliseconds_and_are_utc() {
        let now = super::now_rfc3339();
        assert!(now.len() == 24 && now.ends_with('Z') && now.contains('T'), "{now}");
    }
}
