//! Sets of statuses, as operators write them: `"503"`, `"5xx"`.

use crate::delivery::classify::{Statuses, read_status};
use crate::model::Problem;

/// Statuses from 200 to 599.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusSet {
    /// One bit for each status from [`FIRST`].
    bits: [u64; WORDS],
}

impl StatusSet {
    /// Reads the list at `path`.
    pub fn compile(statuses: &[String], path: &str, problems: &mut Vec<Problem>) -> Self {
        let mut set = Self::default();
        for (place, text) in statuses.iter().enumerate() {
            match read_status(text) {
                Ok(Statuses::One(status)) => set.insert(status),
                Ok(Statuses::Class(class)) => {
                    let first = (class as u16 + 1) * 100;
                    (first..first + 100).for_each(|status| set.insert(status));
                }
                Err(message) => problems.push(Problem::new(format!("{path}[{place}]"), message)),
            }
        }
        set
    }

    /// True if `status` is in the set.
    pub fn contains(&self, status: u16) -> bool {
        place(status).is_some_and(|(word, bit)| self.bits[word] & bit != 0)
    }

    fn insert(&mut self, status: u16) {
        if let Some((word, bit)) = place(status) {
            self.bits[word] |= bit;
        }
    }
}

fn place(status: u16) -> Option<(usize, u64)> {
    let at = usize::from(status.checked_sub(FIRST)?);
    (at < WORDS * 64).then(|| (at / 64, 1 << (at % 64)))
}

const FIRST: u16 = 200;
const WORDS: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> (StatusSet, Vec<String>) {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        let mut problems = Vec::new();
        let set = StatusSet::compile(&texts, "retry.statuses", &mut problems);
        (set, problems.into_iter().map(|problem| problem.path).collect())
    }

    #[test]
    fn statuses_and_classes_are_members_and_their_neighbours_are_not() {
        let (set, problems) = set(&["429", "5xx"]);
        assert!(problems.is_empty(), "{problems:?}");
        let members: Vec<u16> = (0..=u16::MAX).filter(|status| set.contains(*status)).collect();
        let expected: Vec<u16> = std::iter::once(429).chain(500..600).collect();
        assert_eq!(members, expected);
    }

    #[test]
    fn what_is_no_status_is_named() {
        let (_, problems) = set(&["200", "fast", "99", "6xx"]);
        assert_eq!(
            problems,
            ["retry.statuses[1]", "retry.statuses[2]", "retry.statuses[3]"]
        );
    }
}
