//! Which routes were looked at, and why they do not answer.

use std::sync::Arc;

use http::Method;

use super::Considered;
use crate::plan::{Integration, Plan};
use crate::route::{MethodSet, PathPattern, Tree};
use crate::target::matches_host_pattern;

/// The rules of all integrations that have `host`, the one that answers first.
pub(super) fn considered(
    plan: &Plan,
    host: &str,
    path: &str,
    method: &Method,
    winner: Option<&Arc<Integration>>,
) -> Vec<Considered> {
    let best = plan
        .integrations()
        .filter(|integration| integration.source.is_active)
        .flat_map(|integration| &integration.hosts)
        .filter(|pattern| matches_host_pattern(host, pattern))
        .max_by_key(|pattern| rank(pattern));
    let mut lines = Vec::new();
    for integration in plan.integrations() {
        for pattern in integration
            .hosts
            .iter()
            .filter(|pattern| matches_host_pattern(host, pattern))
        {
            for rule in &integration.paths {
                let is_winner = winner.is_some_and(|winner| winner.slot == integration.slot);
                let seen = Seen {
                    is_active: integration.source.is_active,
                    has_best_host: best.is_none_or(|best| rank(pattern) >= rank(best)),
                    has_path: has_path(rule, path),
                    has_method: integration.methods.contains(method),
                };
                let why = seen.why(best.map(|best| &**best), is_winner);
                lines.push((
                    rank(pattern),
                    rule,
                    Considered {
                        integration: integration.id.to_string(),
                        host: pattern.to_string(),
                        path: rule.to_string(),
                        methods: methods(integration.methods),
                        matches: is_winner && why.is_none(),
                        why: why.unwrap_or_else(|| "host, path and method match".to_owned()),
                    },
                ));
            }
        }
    }
    settle(lines)
}

/// Of several rules that match the most literal one answers; it stands first, and the others say so.
fn settle(mut lines: Vec<(usize, &PathPattern, Considered)>) -> Vec<Considered> {
    lines.sort_by(|(one_host, one, first), (other_host, other, second)| {
        let by_text = other.text.len().cmp(&one.text.len());
        second
            .matches
            .cmp(&first.matches)
            .then(other_host.cmp(one_host))
            .then(by_text)
            .then(first.integration.cmp(&second.integration))
    });
    let mut has_winner = false;
    let mut considered: Vec<Considered> = lines.into_iter().map(|(_, _, line)| line).collect();
    for line in considered.iter_mut().filter(|line| line.matches) {
        if has_winner {
            line.matches = false;
            LESS_LITERAL.clone_into(&mut line.why);
        }
        has_winner = true;
    }
    considered.truncate(MOST_SHOWN);
    considered
}

/// What of a rule fits a request.
struct Seen {
    is_active: bool,
    has_best_host: bool,
    has_path: bool,
    has_method: bool,
}

impl Seen {
    /// Why the rule does not answer; `None` if nothing keeps it from that.
    fn why(&self, best: Option<&str>, is_winner: bool) -> Option<String> {
        if !self.is_active {
            return Some("the integration is not active".to_owned());
        }
        if !self.has_best_host {
            let best = best.unwrap_or_default();
            return Some(format!(
                "the host matches {best} more closely, and only its rules count then"
            ));
        }
        if !self.has_path {
            return Some("the path does not match".to_owned());
        }
        if !self.has_method {
            return Some("the path matches, the method is not among these".to_owned());
        }
        (!is_winner).then(|| LESS_LITERAL.to_owned())
    }
}

/// How closely a pattern that matches names its host: a name wins over a wildcard, a longer wildcard over a shorter one.
fn rank(pattern: &str) -> usize {
    match pattern.strip_prefix('*') {
        None => usize::MAX,
        Some(suffix) => suffix.len(),
    }
}

fn has_path(rule: &PathPattern, path: &str) -> bool {
    let mut tree = Tree::default();
    tree.place(rule).push(());
    tree.find(path).is_some()
}

fn methods(methods: MethodSet) -> String {
    if methods == MethodSet::ALL {
        "*".to_owned()
    } else {
        methods.allow()
    }
}

const LESS_LITERAL: &str = "another rule matches more of the path literally";
/// The most routes that are shown.
const MOST_SHOWN: usize = 100;
