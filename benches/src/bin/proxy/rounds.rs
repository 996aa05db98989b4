//! CPU time for each request, in rounds that take turns.

use std::time::{Duration, Instant};

use benches::error::Error;
use benches::machine::load_average;
use benches::statistics::rounded;
use benches::tools::Tools;
use benches::usage::{CpuTime, busy_time};
use serde::Serialize;

use crate::contestant::Contestant;
use crate::{PROXY_CORE, generator};

/// One round of one contestant.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    /// User and kernel time of the proxy for each request.
    pub(crate) cpu_us: f64,
    /// The part in its own code.
    pub(crate) user_us: f64,
    /// The part in the kernel.
    pub(crate) kernel_us: f64,
    /// Requests for each second; follows from the CPU time, as each waits for the one before on its connection.
    pub(crate) requests_per_second: f64,
    /// Half of the answers took no longer.
    pub(crate) p50_us: u64,
    /// 99 % of the answers took no longer.
    pub(crate) p99_us: u64,
    /// Requests that were answered.
    pub(crate) requests: u64,
    /// Percent of the proxy's core that others used meanwhile: what makes a round a bad one.
    pub(crate) others_percent: f64,
    /// Processes that wanted a core in the last minute, on average.
    pub(crate) load_average: f64,
}

/// Warms a contestant up, then measures it for `duration`.
///
/// # Errors
/// If it is gone, or one of its answers is bad.
pub(crate) fn measure(tools: &Tools, contestant: &Contestant, duration: Duration) -> Result<Round, Error> {
    let question = contestant.proxy.question();
    let run = |duration| generator::run(tools, contestant.proxy.title(), contestant.address, &question, duration);
    run(WARM_UP)?;
    let (busy, cpu, started) = (
        busy_time(PROXY_CORE)?,
        CpuTime::of(contestant.process())?,
        Instant::now(),
    );
    let outcome = run(duration)?;
    let cpu = CpuTime::of(contestant.process())?.since(cpu);
    let others = busy_time(PROXY_CORE)?.saturating_sub(busy).saturating_sub(cpu.total());
    #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds are far below 2^52")]
    let for_each = |time: Duration| rounded(time.as_secs_f64() * 1e6 / outcome.requests as f64);
    Ok(Round {
        cpu_us: for_each(cpu.total()),
        user_us: for_each(cpu.user),
        kernel_us: for_each(cpu.kernel),
        requests_per_second: outcome.rate().round(),
        p50_us: outcome.p50_us,
        p99_us: outcome.p99_us,
        requests: outcome.requests,
        others_percent: rounded(others.as_secs_f64() / started.elapsed().as_secs_f64() * 100.0),
        load_average: load_average(),
    })
}

const WARM_UP: Duration = Duration::from_secs(1);
