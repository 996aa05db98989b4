//! Which of several targets a request goes to.

/// Place among `weights` of the `ticket`-th request: shares follow the weights, spread evenly. `None` if they are all 0.
pub fn share(weights: impl Iterator<Item = u32> + Clone, ticket: u64) -> Option<usize> {
    let all: u64 = weights.clone().map(u64::from).sum();
    if all == 0 {
        return None;
    }
    // Multiplying by the golden ratio spreads neighbouring tickets over the whole range.
    let spread = ticket.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let at = (spread * all) >> 32;
    let mut up_to = 0;
    weights
        .map(|weight| {
            up_to += u64::from(weight);
            up_to
        })
        .position(|up_to| at < up_to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_weights() {
        let mut counts = [0; 3];
        for ticket in 0..10_000 {
            counts[share([1, 0, 3].into_iter(), ticket).unwrap()] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((2_450..2_550).contains(&counts[0]), "{counts:?}");
        assert_eq!(share([0, 0].into_iter(), 7), None);
    }
}
