//! The gateway process: reads its settings, starts the log and the runtime, and runs until it is told to stop. With a
//! subcommand it works on the queue instead.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use gateway::config::{Log, ProcessConfig};
use gateway::tool::Tool;
use tracing_log::{LogTracer, log};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The data plane of the Integration Gateway.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// File of settings (YAML or JSON); without one, the defaults and the GATEWAY_ variables of the environment hold.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File to write the bound addresses to once the gateway listens, as JSON.
    #[arg(long, value_name = "FILE")]
    ports_file: Option<PathBuf>,
    /// Take the listeners of the running gateway over, which then ends.
    #[arg(long)]
    upgrade: bool,
    #[command(subcommand)]
    tool: Option<Tool>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("gateway: {}", filters::fault::told(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// False if a tool found something wrong.
fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let environment = std::env::vars_os().filter_map(|(name, value)| {
        // A variable that is no text is none of ours.
        Some((name.into_string().ok()?, value.into_string().ok()?))
    });
    let mut config = ProcessConfig::load(arguments.config.as_deref(), environment)?;
    if let Some(tool) = arguments.tool {
        let mut out = BufWriter::new(std::io::stdout().lock());
        let found = gateway::tool::run(tool, &config, &mut out)?;
        out.flush().context("cannot write the result")?;
        return Ok(found);
    }
    config.ports_file = arguments.ports_file.or(config.ports_file);
    config.upgrade.take_over = arguments.upgrade;
    start_log(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.worker_threads())
        .thread_name("gateway")
        .enable_all()
        .build()
        .context("cannot start the worker threads")?;
    let ended = runtime.block_on(gateway::server::run(config));
    // What still runs after the grace time is cut off, rather than keeping the process.
    runtime.shutdown_background();
    ended?;
    Ok(true)
}

/// JSON lines on standard error, of this program and of the libraries that log the older way. What pingora says at
/// `info`, the access log and the metrics say better, so it is left out unless it is asked for by name.
fn start_log(log: &Log) -> anyhow::Result<()> {
    let mut filter = EnvFilter::try_new(&log.level).context("log.level")?;
    // Its warnings quote request lines, whose query may hold a key; the access log says the same without.
    filter = filter.add_directive("pingora_proxy=off".parse()?);
    if !log.level.contains("pingora") {
        for module in ["pingora_core", "pingora_pool", "pingora_runtime"] {
            filter = filter.add_directive(format!("{module}=warn").parse()?);
        }
    }
    // Records above the level are dropped before they are formatted; some are made for each request.
    let most = match filter.max_level_hint() {
        Some(LevelFilter::OFF) => log::LevelFilter::Off,
        Some(LevelFilter::ERROR) => log::LevelFilter::Error,
        Some(LevelFilter::WARN) => log::LevelFilter::Warn,
        Some(LevelFilter::INFO) => log::LevelFilter::Info,
        Some(LevelFilter::DEBUG) => log::LevelFilter::Debug,
        Some(LevelFilter::TRACE) | None => log::LevelFilter::Trace,
    };
    LogTracer::builder()
        .with_max_level(most)
        .init()
        .context("cannot start the log")?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .try_init()
        .map_err(anyhow::Error::msg)
        .context("cannot start the log")
}
