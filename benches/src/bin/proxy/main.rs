//! `make bench-proxy`: what one request costs the gateway, beside nginx, HAProxy and Envoy.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod contestant;
mod gateway;
mod generator;
mod memory;
mod peers;
mod report;
mod rounds;
mod system_calls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use benches::machine::{Machine, Sources};
use benches::nginx::Upstream;
use benches::output;
use benches::tools::Tools;
use clap::Parser;
use harness::binaries;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use self::contestant::{Contestant, Proxy};
use self::report::{Figures, Report};
use self::rounds::Round;

/// CPU time for each request of the gateway and its peers, their memory and their system calls.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds of each contestant; they take turns.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds that a round takes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Leaves memory and system calls out.
    #[arg(long)]
    cpu_only: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let machine = Machine::this();
    ensure!(
        machine.cores >= 2,
        "the proxy needs a core of its own, and there is only one"
    );
    allow_many_files().context("cannot raise the number of open files")?;
    leave_the_proxy_core().context("cannot choose a core")?;
    let tools = Tools::of_proxy(&binaries::repository())?;
    let folder = tempfile::Builder::new().prefix("bench-proxy-").tempdir()?;
    let upstream = Upstream::start(
        &tools,
        folder.path(),
        Some(GENERATOR_CORE),
        &format!("return 200 '{BODY}';"),
    )?;
    let mut report = Report {
        plain: BTreeMap::new(),
        full: BTreeMap::new(),
        ratios: None,
        missing: Vec::new(),
        method: &METHOD,
        machine,
        versions: tools.versions(&binaries::find("gateway")),
        sources: Sources::of(&binaries::repository()),
    };
    run(&arguments, &tools, folder.path(), upstream.address, &mut report).await?;
    report.compare();
    report.print();
    println!("\nwritten to {}", output::write("proxy", &report)?.display());
    Ok(())
}

async fn run(
    arguments: &Arguments,
    tools: &Tools,
    folder: &Path,
    upstream: SocketAddr,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut contestants = Vec::new();
    for proxy in Proxy::ALL {
        match Contestant::start(tools, folder, proxy, upstream).await? {
            Some(contestant) => contestants.push((contestant, Vec::<Round>::new())),
            None => report.missing.push(proxy.name()),
        }
    }
    for number in 1..=arguments.rounds {
        for (contestant, rounds) in &mut contestants {
            let round = rounds::measure(tools, contestant, Duration::from_secs(arguments.seconds))?;
            println!(
                "round {number}: {:<14} {:>6.2} us, {:>6.0} rps; others had {:.1} % of the core",
                contestant.proxy.title(),
                round.cpu_us,
                round.requests_per_second,
                round.others_percent
            );
            rounds.push(round);
            gateway::empty_access_log(folder)?;
        }
    }
    for (contestant, rounds) in contestants {
        let proxy = contestant.proxy;
        let calls = match arguments.cpu_only {
            true => None,
            false => system_calls::count(tools, folder, &contestant).await?,
        };
        drop(contestant);
        let rss = match arguments.cpu_only {
            true => None,
            false => memory::measure(tools, folder, proxy, upstream).await?,
        };
        let figures = Figures::of(rounds, rss, calls).context("there was no round")?;
        report.enter(proxy, figures);
    }
    Ok(())
}

/// As many open files as the system lets us, for us and the processes that we start.
fn allow_many_files() -> nix::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)
}

/// Moves this process, and with it all that it starts and does not pin, off the core of the proxy.
fn leave_the_proxy_core() -> nix::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(GENERATOR_CORE)?;
    sched_setaffinity(Pid::from_raw(0), &cores)
}

/// Core of the proxy that is measured.
const PROXY_CORE: usize = 0;
/// Core of the generator and of the upstream.
const GENERATOR_CORE: usize = 1;
/// What is asked for.
const PATH: &str = "/patients/4711";

/// What was done, for whoever reads the figures.
const METHOD: [&str; 6] = [
    "HTTP/1.1 GET of 1 KB of JSON over 64 keep-alive connections; wrk and the upstream (nginx) on core 1, the proxy on core 0 \
     with one worker",
    "CPU is user and kernel time of the whole proxy process over the requests that were answered; rounds take turns",
    "gateway: the shipped conf/gateway.yaml but for addresses, folders and threads: 1; its access log goes to a file, its \
     records to a control plane on core 1",
    "plain: one route by host name without filters; full: 10,000 routes, each with an API key and a limit for each key",
    "peers: one worker, plain proxying, no access log",
    "a run in which one answer was no success counts for nothing and ends the benchmark",
];

/// What the upstream answers: 1024 bytes.
const BODY: &str = include_str!("body.json");
