//! Threads that run scripts.
use std::time::Duration;
use bytes::Bytes;
use filters::script::{Script, ScriptContext, ScriptFault};
/// Limits.
#[derive(Clone, Copy, Debug)]
pub struct ScriptLimits {
    /// Time of one run.
    pub time: Duration,
    /// Memory of one run.
    pub memory_bytes: u64,
    /// Runs that may wait.
    pub queue: usize,
}
/// The pool.
pub struct ScriptPool;
impl ScriptPool {
    /// Starts it.
    pub fn new(_threads: usize, _limits: ScriptLimits) -> Self { Self }
    /// Runs.
    pub async fn run(&self, _s: Script, _p: Bytes, _c: ScriptContext) -> Result<Vec<u8>, ScriptFault> { Ok(Vec::new()) }
}
