//! System calls for each request, counted by strace in a run of their own: tracing slows a proxy down many times.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use benches::error::Error;
use benches::statistics::rounded;
use benches::tools::Tools;
use harness::Process;
use nix::sys::signal::Signal;

use crate::contestant::Contestant;
use crate::generator;

/// System calls by name, for each request; without those that are rarer than one in a hundred requests.
pub(crate) type Counts = BTreeMap<String, f64>;

/// Counts those of a contestant under load; `None` if strace is not there, or may not trace.
///
/// # Errors
/// If an answer is bad, or the counts cannot be read.
pub(crate) async fn count(tools: &Tools, folder: &Path, contestant: &Contestant) -> Result<Option<Counts>, Error> {
    let Some(strace) = tools.strace() else {
        return Ok(None);
    };
    let summary = folder.join("system-calls");
    let mut command = Command::new(strace);
    command
        .args(["-f", "-c", "-U", "calls,name", "-o"])
        .arg(&summary)
        .args(["-p", &contestant.process().to_string()])
        .stdout(Stdio::null());
    let mut tracer = Process::start("strace", command, folder);
    let question = contestant.proxy.question();
    let title = contestant.proxy.title();
    let outcome = generator::run(tools, title, contestant.address, &question, DURATION)?;
    if !tracer.is_running() {
        eprintln!("benches: strace cannot trace {title}: {}", tracer.output().trim());
        return Ok(None);
    }
    tracer.signal(Signal::SIGINT);
    tracer.ended().await;
    let text = fs::read_to_string(&summary).map_err(Error::system("read the counts of strace"))?;
    Ok(Some(for_each(&text, outcome.requests)))
}

fn for_each(summary: &str, requests: u64) -> Counts {
    summary
        .lines()
        .filter_map(|line| {
            let (calls, name) = line.trim().split_once(' ')?;
            Some((name.trim().to_owned(), calls.parse::<f64>().ok()?))
        })
        .filter(|(name, _)| name != "total")
        .map(|(name, calls)| {
            #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds are far below 2^52")]
            let for_each = calls / requests as f64;
            (name, rounded(for_each))
        })
        .filter(|(_, calls)| *calls >= 0.01)
        .collect()
}

const DURATION: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_calls_and_the_sum_are_left_out() {
        let summary = "    calls syscall\n--------- ----------------\n     2000 recvfrom\n     1000 sendto\n        3 futex\n--------- ---\n     3003 total\n";
        let counts = for_each(summary, 1000);
        let expected = [("recvfrom".to_owned(), 2.0), ("sendto".to_owned(), 1.0)];
        assert_eq!(counts, Counts::from(expected));
    }
}
