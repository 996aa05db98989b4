//! Runs scripts on one thread.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Position, Scope};

use super::fault::{Limit, MAX_MESSAGE, ScriptFault, Stopped, shortened};
use super::gate::{Closed, Gate};
use super::json::{self, WriteFault};
use super::library::Around;
use super::{MAX_BODY, Script, ScriptContext, engine, javascript};
use crate::model::mapping::ScriptLanguage;

/// Bytes of stack that a thread needs to run scripts. The interpreter copies, measures and drops nested values by calling
/// itself; the limit on list items allows ten thousand levels.
pub const STACK_SIZE: usize = 32 * 1_024 * 1_024;

/// An interpreter with the scripts that it has compiled. It stays on its thread, which needs [`STACK_SIZE`].
pub struct Runner {
    engine: Engine,
    compiled: HashMap<[u8; 32], AST>,
    gate: Rc<Gate>,
    around: Rc<Around>,
}

impl Runner {
    /// A runner. This takes some milliseconds: keep it.
    pub fn new() -> Self {
        let (gate, around) = (Rc::new(Gate::default()), Rc::new(Around::default()));
        Self {
            engine: engine::runner(&gate, &around),
            compiled: HashMap::new(),
            gate,
            around,
        }
    }

    /// Runs `script` on `payload`, a JSON text or nothing at all (which the script sees as `()`), and returns JSON.
    ///
    /// `stop` is asked at every operation of the script; once it has given a reason, the script ends. A single operation
    /// is never interrupted: the limits on data keep each of them short.
    ///
    /// # Errors
    /// Whatever the script does wrong. The runner stays usable after every one of them.
    pub fn run(
        &mut self,
        script: &Script,
        payload: &[u8],
        context: &ScriptContext,
        stop: impl Fn() -> Option<Stopped> + 'static,
    ) -> Result<Vec<u8>, ScriptFault> {
        if script.language == ScriptLanguage::Javascript {
            return javascript::run(script, payload, context, stop);
        }
        self.gate.open(Box::new(stop));
        self.around.open(context, &script.tables);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.transform(script, payload, context)));
        self.around.close();
        match (self.gate.close(), outcome) {
            (_, Err(_panic)) => {
                *self = Self::new();
                Err(ScriptFault::Crashed)
            }
            (Some(Closed::Stopped(reason)), Ok(result)) => Err(ScriptFault::Stopped {
                line: line_of(&result),
                reason,
            }),
            (Some(Closed::TooLarge), Ok(result)) => Err(ScriptFault::Limit {
                line: line_of(&result),
                which: Limit::DataSize,
            }),
            (None, Ok(result)) => result,
        }
    }

    fn transform(&mut self, script: &Script, payload: &[u8], context: &ScriptContext) -> Result<Vec<u8>, ScriptFault> {
        let input = read(payload)?;
        let was_nothing = input.is_unit();
        let context = rhai::serde::to_dynamic(context).map_err(|error| ScriptFault::BadInput {
            message: error.to_string(),
        })?;
        if !self.compiled.contains_key(&script.hash) {
            self.compile(script)?;
        }
        let Some(ast) = self.compiled.get(&script.hash) else {
            return Err(ScriptFault::Crashed);
        };
        let result = self.engine.call_fn_with_options::<Dynamic>(
            CallFnOptions::new(),
            &mut Scope::new(),
            ast,
            engine::ENTRY,
            (input, context),
        );
        let output = result.map_err(|error| fault_of(*error))?;
        if output.is_unit() {
            // A script that hands on nothing where it was given nothing does no wrong.
            return if was_nothing {
                Ok(payload.to_vec())
            } else {
                Err(ScriptFault::BadOutput {
                    message: "it returned nothing; the new payload must be its last expression, without a semicolon"
                        .to_owned(),
                })
            };
        }
        json::write(&output, MAX_BODY).map_err(|fault| match fault {
            WriteFault::TooLarge => ScriptFault::Limit {
                line: None,
                which: Limit::OutputSize,
            },
            fault => ScriptFault::BadOutput {
                message: fault.to_string(),
            },
        })
    }

    fn compile(&mut self, script: &Script) -> Result<(), ScriptFault> {
        if self.compiled.len() >= MAX_COMPILED {
            self.compiled.clear();
        }
        let ast = engine::compile(&self.engine, script.source()).map_err(|message| ScriptFault::Compile { message })?;
        self.compiled.insert(script.hash, ast);
        Ok(())
    }
}

impl Default for Runner {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("compiled", &self.compiled.len())
            .finish_non_exhaustive()
    }
}

/// The line that a run ended in, where known.
fn line_of(result: &Result<Vec<u8>, ScriptFault>) -> Option<usize> {
    match result {
        Err(ScriptFault::Runtime { line, .. } | ScriptFault::Limit { line, .. }) => *line,
        _ => None,
    }
}

fn read(payload: &[u8]) -> Result<Dynamic, ScriptFault> {
    if payload.is_empty() {
        return Ok(Dynamic::UNIT);
    }
    if payload.len() > MAX_BODY {
        return Err(ScriptFault::BadInput {
            message: format!("it has {} bytes; scripts take at most {MAX_BODY}", payload.len()),
        });
    }
    serde_json::from_slice(payload).map_err(|error| ScriptFault::BadInput {
        message: format!("it is not JSON: {error}"),
    })
}

fn fault_of(error: EvalAltResult) -> ScriptFault {
    let mut place = error.position();
    let mut error = error;
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) = error {
        error = *inner;
        if !error.position().is_none() {
            place = error.position();
        }
    }
    let line = place.line();
    let which = match &error {
        EvalAltResult::ErrorTooManyOperations(_) => Limit::Operations,
        EvalAltResult::ErrorStackOverflow(_) => Limit::Depth,
        EvalAltResult::ErrorTooManyVariables(_) => Limit::Variables,
        EvalAltResult::ErrorDataTooLarge(..) => Limit::DataSize,
        EvalAltResult::ErrorRuntime(thrown, _) => {
            return ScriptFault::Runtime {
                line,
                message: shortened(&thrown_text(thrown)),
            };
        }
        _ => {
            error.set_position(Position::NONE);
            return ScriptFault::Runtime {
                line,
                message: shortened(&error.to_string()),
            };
        }
    };
    ScriptFault::Limit { line, which }
}

fn thrown_text(thrown: &Dynamic) -> String {
    if thrown.is_array() || thrown.is_map() {
        return json::write(thrown, MAX_MESSAGE).map_or_else(
            |_| format!("it threw {}", thrown.type_name()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        );
    }
    thrown.to_string()
}

/// The most scripts that a runner keeps compiled, of some 20 KB each.
const MAX_COMPILED: usize = 1_000;
