//! Scripts, checked.

use crate::model::Problem;

/// A script, checked.
#[derive(Clone, Debug)]
pub struct Script;

impl Script {
    /// Checks `source`.
    pub fn check(_source: &str, _path: &str, _problems: &mut Vec<Problem>) -> Option<Self> {
        Some(Self)
    }
}
