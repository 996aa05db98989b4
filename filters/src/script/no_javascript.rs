//! In the place of JavaScript, where this program was built without it.

use super::{Script, ScriptContext, ScriptFault, Stopped};

/// Refuses every script.
///
/// # Errors
/// What to do.
pub(super) fn check(_source: &str) -> Result<(), String> {
    Err(ABSENT.to_owned())
}

/// Runs nothing.
///
/// # Errors
/// Always.
pub(super) fn run(
    _script: &Script,
    _payload: &[u8],
    _context: &ScriptContext,
    _stop: impl Fn() -> Option<Stopped> + 'static,
) -> Result<Vec<u8>, ScriptFault> {
    Err(ScriptFault::Compile {
        message: ABSENT.to_owned(),
    })
}

const ABSENT: &str = "is in JavaScript, which this program was built without: write it in rhai, or build gateway and control \
                      plane with the cargo feature `javascript`";
