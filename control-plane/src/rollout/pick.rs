//! Which gateways a version goes to first.

use std::collections::BTreeSet;

use filters::model::Problem;
use sha2::{Digest as _, Sha256};

use crate::fleet::Gateway;
use crate::publish::Refusal;

/// To which gateways a version goes first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Share {
    /// To so many percent of those that are connected, at least one.
    Percent(u32),
    /// To these.
    Gateways(BTreeSet<String>),
}

/// The gateways, by name. Which ones a percentage comes to differs from rollout to rollout, so that it is not always the
/// same that get what is new first.
pub(super) fn pick(share: &Share, gateways: &[Gateway], rollout: &str) -> Result<BTreeSet<String>, Refusal> {
    let able = gateways
        .iter()
        .filter(|gateway| gateway.connected && gateway.reason.is_none());
    let able: BTreeSet<&str> = able.map(|gateway| gateway.gateway_id.as_str()).collect();
    let picked = match share {
        Share::Percent(percent) => {
            let count = (able.len() * *percent as usize).div_ceil(100).max(1);
            let mut drawn: Vec<&str> = able.iter().copied().collect();
            drawn.sort_by_key(|name| {
                <[u8; 32]>::from(Sha256::new().chain_update(rollout).chain_update(name).finalize())
            });
            drawn.into_iter().take(count).map(str::to_owned).collect()
        }
        Share::Gateways(names) => {
            let away = names
                .iter()
                .enumerate()
                .filter(|(_, name)| !able.contains(name.as_str()));
            let problems: Vec<Problem> = away
                .map(|(index, name)| {
                    let message =
                        format!("{name:?} is no gateway that is connected and can be told; see /api/v1/gateways");
                    Problem::new(format!("gateways[{index}]"), message)
                })
                .collect();
            if !problems.is_empty() {
                return Err(Refusal::Problems(problems));
            }
            names.clone()
        }
    };
    if able.len() <= picked.len() {
        return Err(Refusal::Conflict(format!(
            "{} gateway(s) are connected, and the version would go to {} of them at first: no other would be left to compare \
             with; publish it as any other change, or connect more gateways",
            able.len(),
            picked.len()
        )));
    }
    Ok(picked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(number: usize) -> Gateway {
        Gateway {
            gateway_id: format!("g{number}"),
            connected: number != 0,
            address: None,
            model_version: 1,
            applied_version: None,
            applied_digest: None,
            applied_at: None,
            target_version: 1,
            lag_versions: 0,
            lag_ms: 0,
            last_nack: None,
            reason: (number == 1).then(|| "another model".to_owned()),
            last_seen: String::new(),
            requests: None,
            in_flight: None,
            records_dropped: None,
            conflicts: 0,
        }
    }

    /// The first is away, and the second cannot be told.
    fn fleet(able: usize) -> Vec<Gateway> {
        (0..able + 2).map(gateway).collect()
    }

    #[test]
    fn a_share_is_rounded_up_and_leaves_somebody() {
        for (able, percent, expected) in [(2, 1, 1), (10, 10, 1), (10, 11, 2), (4, 50, 2), (3, 66, 2)] {
            let picked = pick(&Share::Percent(percent), &fleet(able), "r").unwrap();
            assert_eq!(picked.len(), expected, "{percent} % of {able}");
            assert!(!picked.contains("g0") && !picked.contains("g1"), "{picked:?}");
        }
        for (able, percent) in [(0, 10), (1, 10), (2, 51), (5, 100)] {
            let refused = pick(&Share::Percent(percent), &fleet(able), "r");
            assert!(
                matches!(refused, Err(Refusal::Conflict(_))),
                "{percent} % of {able}: {refused:?}"
            );
        }
    }

    #[test]
    fn it_is_not_always_the_same_that_are_first() {
        let firsts: BTreeSet<_> = (0..50)
            .map(|rollout| pick(&Share::Percent(1), &fleet(5), &rollout.to_string()).unwrap())
            .collect();
        assert!(firsts.len() > 1);
    }

    #[test]
    fn named_gateways_must_be_there() {
        let named = |names: &[&str]| Share::Gateways(names.iter().map(|name| (*name).to_owned()).collect());
        let picked = pick(&named(&["g3"]), &fleet(3), "r").unwrap();
        assert_eq!(picked.into_iter().collect::<Vec<_>>(), ["g3"]);
        let Err(Refusal::Problems(problems)) = pick(&named(&["g0", "g1", "g2", "g9"]), &fleet(3), "r") else {
            panic!("they are not there")
        };
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["gateways[0]", "gateways[1]", "gateways[3]"]);
    }
}
