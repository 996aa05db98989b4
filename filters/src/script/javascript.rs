//! Scripts in JavaScript, run by QuickJS: `function transform(payload, context)`.
//!
//! Each run has an interpreter of its own, so that none sees what another left behind. There is no module, no timer, no
//! output and nothing of the machine in it; the time is that of the context, and so is what random numbers are made of.

use std::cell::Cell;
use std::rc::Rc;

use jiff::Timestamp;
use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::{CatchResultExt as _, CaughtError, Context, Ctx, Exception, Function, Runtime, Value};
use serde_json::Value as Json;

use super::engine::ENTRY;
use super::fault::{Limit, ScriptFault, Stopped, shortened};
use super::{MAX_BODY, MAX_SOURCE, Script, ScriptContext};

/// Parts of the language that scripts have. Without promises, `async` would end the interpreter.
type Parts = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::MapSet,
    intrinsic::Promise,
);

/// Checks that `source` parses, that what stands outside of its functions runs, and that it has the entry function.
///
/// # Errors
/// What is wrong, with line and column where there is one.
pub(super) fn check(source: &str) -> Result<(), String> {
    if source.len() > MAX_SOURCE {
        let bytes = source.len();
        return Err(format!(
            "the script has {bytes} bytes; at most {MAX_SOURCE} are allowed"
        ));
    }
    let asked = Cell::new(0_u32);
    // There is no clock here.
    let stop = move || {
        asked.set(asked.get() + 1);
        (asked.get() > MOST_ASKED).then_some(Stopped::Deadline)
    };
    let fresh = Fresh::new(stop).map_err(|fault| fault.to_string())?;
    fresh.context.with(|ctx| {
        let entry = prepare(&ctx, source, &ScriptContext::default());
        match entry.catch(&ctx) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(format!(
                "the script has no function `{ENTRY}`: write `function {ENTRY}(payload, context) {{ ... }}`"
            )),
            Err(error) => Err(fresh.told(&ctx, error)),
        }
    })
}

/// Runs `script`, as [`Runner::run`](super::Runner::run) does. `stop` is asked at every some thousand operations.
///
/// # Errors
/// Whatever the script does wrong.
pub(super) fn run(
    script: &Script,
    payload: &[u8],
    context: &ScriptContext,
    stop: impl Fn() -> Option<Stopped> + 'static,
) -> Result<Vec<u8>, ScriptFault> {
    check_input(payload)?;
    let known = serde_json::to_vec(context).map_err(|error| ScriptFault::BadInput {
        message: error.to_string(),
    })?;
    let fresh = Fresh::new(stop)?;
    fresh.context.with(|ctx| {
        let called = call(&ctx, script.source(), payload, &known, context);
        match called.catch(&ctx) {
            Ok(Called::Text(text)) => checked(text),
            Ok(Called::Nothing) if payload.is_empty() => Ok(Vec::new()),
            Ok(Called::Nothing) => Err(bad_output("it returned nothing; `return` the new payload")),
            Ok(Called::Promise) => Err(bad_output(
                "it returned a promise, and nobody waits for one; leave `async` out",
            )),
            Ok(Called::NoEntry) => Err(ScriptFault::Compile {
                message: format!("it has no function `{ENTRY}`"),
            }),
            Err(error) => Err(fresh.fault(&ctx, error)),
        }
    })
}

/// An interpreter in which nothing has run yet.
struct Fresh {
    context: Context,
    /// Why it was stopped.
    stopped: Rc<Cell<Option<Stopped>>>,
}

/// What a call came to.
enum Called {
    /// JSON.
    Text(String),
    Nothing,
    Promise,
    NoEntry,
}

impl Fresh {
    fn new(stop: impl Fn() -> Option<Stopped> + 'static) -> Result<Self, ScriptFault> {
        let stopped = Rc::new(Cell::new(None));
        let told = Rc::clone(&stopped);
        let context = Runtime::new().and_then(|runtime| {
            runtime.set_memory_limit(MAX_HEAP);
            runtime.set_max_stack_size(MAX_STACK);
            runtime.set_interrupt_handler(Some(Box::new(move || {
                told.set(told.get().or_else(&stop));
                told.get().is_some()
            })));
            Context::builder().with::<Parts>().build(&runtime)
        });
        match context {
            Ok(context) => Ok(Self { context, stopped }),
            Err(_) => Err(ScriptFault::Crashed),
        }
    }

    fn fault<'js>(&self, ctx: &Ctx<'js>, error: CaughtError<'js>) -> ScriptFault {
        let (line, _) = place(&error);
        if let Some(reason) = self.stopped.get() {
            return ScriptFault::Stopped { line, reason };
        }
        let message = thrown(ctx, &error);
        if message.ends_with("out of memory") {
            let reason = Stopped::Memory;
            return ScriptFault::Stopped { line, reason };
        }
        ScriptFault::Runtime {
            line,
            message: shortened(&message),
        }
    }

    /// The same for people who save a script.
    fn told<'js>(&self, ctx: &Ctx<'js>, error: CaughtError<'js>) -> String {
        let (line, column) = place(&error);
        let message = match self.fault(ctx, error) {
            ScriptFault::Runtime { message, .. } => message,
            other => other.to_string(),
        };
        match (line, column) {
            (Some(line), Some(column)) => format!("line {line}, column {column}: {message}"),
            (Some(line), None) => format!("line {line}: {message}"),
            _ => message,
        }
    }
}

/// Runs what stands outside of functions; the entry function, if there is one.
fn prepare<'js>(ctx: &Ctx<'js>, source: &str, context: &ScriptContext) -> rquickjs::Result<Option<Function<'js>>> {
    let around: Function<'_> = ctx.eval_with_options(AROUND, options("around"))?;
    let [a, b, c, d, ..] = context.seed;
    let now: Timestamp = context.now.parse().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a date are exact up to 2^53")]
    let now = now.as_millisecond() as f64;
    around.call::<_, ()>((now, f64::from(u32::from_be_bytes([a, b, c, d]))))?;
    ctx.eval_with_options::<Value<'_>, _>(source, options(FILE))?;
    // A name that is not there is no error of `typeof`.
    let find = format!("typeof {ENTRY} === 'function' ? {ENTRY} : undefined");
    let entry: Value<'_> = ctx.eval_with_options(find, options("entry"))?;
    Ok(entry.into_function())
}

fn call(
    ctx: &Ctx<'_>,
    source: &str,
    payload: &[u8],
    known: &[u8],
    context: &ScriptContext,
) -> rquickjs::Result<Called> {
    let Some(entry) = prepare(ctx, source, context)? else {
        return Ok(Called::NoEntry);
    };
    let input = match payload {
        [] => Value::new_undefined(ctx.clone()),
        text => ctx.json_parse(text)?,
    };
    let output: Value<'_> = entry.call((input, ctx.json_parse(known)?))?;
    if output.is_promise() {
        return Ok(Called::Promise);
    }
    match ctx.json_stringify(output)? {
        Some(text) => Ok(Called::Text(text.to_string()?)),
        None => Ok(Called::Nothing),
    }
}

fn check_input(payload: &[u8]) -> Result<(), ScriptFault> {
    let bad = |message| Err(ScriptFault::BadInput { message });
    if payload.len() > MAX_BODY {
        let bytes = payload.len();
        return bad(format!("it has {bytes} bytes; scripts take at most {MAX_BODY}"));
    }
    match serde_json::from_slice::<Json>(payload) {
        Err(error) if !payload.is_empty() => bad(format!("it is not JSON: {error}")),
        _ => Ok(()),
    }
}

fn checked(text: String) -> Result<Vec<u8>, ScriptFault> {
    if text.len() > MAX_BODY {
        return Err(ScriptFault::Limit {
            line: None,
            which: Limit::OutputSize,
        });
    }
    // Whoever reads it has a limit on depth, as this has.
    if serde_json::from_str::<Json>(&text).is_err() {
        return Err(bad_output("it is nested more than 127 levels deep"));
    }
    Ok(text.into_bytes())
}

fn bad_output(message: &str) -> ScriptFault {
    ScriptFault::BadOutput {
        message: message.to_owned(),
    }
}

/// What was thrown, as text.
fn thrown<'js>(ctx: &Ctx<'js>, error: &CaughtError<'js>) -> String {
    match error {
        CaughtError::Exception(exception) => {
            let message = exception.message().unwrap_or_default();
            let name: Option<String> = exception.as_object().get("name").ok();
            name.map_or_else(|| message.clone(), |name| format!("{name}: {message}"))
        }
        CaughtError::Value(value) => match value.as_string().map(rquickjs::String::to_string) {
            Some(Ok(text)) => text,
            _ => {
                let text = ctx.json_stringify(value.clone()).ok().flatten();
                let text = text.and_then(|text| text.to_string().ok());
                text.unwrap_or_else(|| format!("it threw {}", value.type_name()))
            }
        },
        CaughtError::Error(error) => error.to_string(),
    }
}

/// Line and column of the script where an error came up, by the innermost call that is the script's own.
fn place(error: &CaughtError<'_>) -> (Option<usize>, Option<usize>) {
    let CaughtError::Exception(exception) = error else {
        return (None, None);
    };
    let stack = Exception::stack(exception).unwrap_or_default();
    let mark = format!("{FILE}:");
    let Some((_, at)) = stack.split_once(&mark) else {
        return (None, None);
    };
    let mut numbers = at
        .split(|c: char| !c.is_ascii_digit())
        .map(|digits| digits.parse().ok());
    (numbers.next().flatten(), numbers.next().flatten())
}

fn options(file: &str) -> EvalOptions {
    let mut options = EvalOptions::default();
    options.filename = Some(file.to_owned());
    options
}

/// What scripts are called in the places of errors.
const FILE: &str = "script";
/// The most bytes that the values of one run take together.
const MAX_HEAP: usize = 16 << 20;
/// The most bytes of stack; some hundred calls within each other.
const MAX_STACK: usize = 256 << 10;
/// How often a script that is only checked may be asked whether it goes on; each time are some thousand operations.
const MOST_ASKED: u32 = 100;
/// Takes the clock and chance out of the language, and puts the context's into their place.
const AROUND: &str = include_str!("javascript/around.js");

#[cfg(test)]
mod tests;
