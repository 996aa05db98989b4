//! The figures, as JSON and as a table.

use std::collections::BTreeMap;

use benches::machine::{Machine, Sources};
use benches::statistics::{median, minimum, rounded};
use serde::Serialize;

use crate::contestant::Proxy;
use crate::gateway::Chain;
use crate::memory::Resident;
use crate::rounds::Round;
use crate::system_calls::Counts;

/// All that one run found out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Proxying without filters.
    pub(crate) plain: BTreeMap<&'static str, Figures>,
    /// With the filters, routes and records of the full chain.
    pub(crate) full: BTreeMap<&'static str, Figures>,
    /// The gateway's CPU time over that of Envoy's plain proxying; absent without Envoy.
    pub(crate) ratios: Option<Ratios>,
    /// Peers that are not installed.
    pub(crate) missing: Vec<&'static str>,
    /// How the figures came about.
    pub(crate) method: &'static [&'static str],
    /// Where.
    pub(crate) machine: Machine,
    /// With what.
    pub(crate) versions: BTreeMap<&'static str, String>,
    /// With which sources.
    pub(crate) sources: Sources,
}

/// The figures of one contestant.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    cpu_us_min: f64,
    cpu_us_median: f64,
    user_us_median: f64,
    kernel_us_median: f64,
    requests_per_second_median: f64,
    rss_mib: Option<Resident>,
    system_calls_per_request: Option<Counts>,
    rounds: Vec<Round>,
}

/// CPU time over that of Envoy's plain proxying, each once of the best rounds and once of the medians.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Ratios {
    plain_min: f64,
    plain_median: f64,
    full_min: f64,
    full_median: f64,
}

impl Figures {
    /// Those of a contestant's rounds; `None` if there was none.
    pub(crate) fn of(rounds: Vec<Round>, rss_mib: Option<Resident>, calls: Option<Counts>) -> Option<Self> {
        let all = |value: fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
        let cpu = all(|round| round.cpu_us);
        Some(Self {
            cpu_us_min: minimum(&cpu)?,
            cpu_us_median: rounded(median(&cpu)?),
            user_us_median: rounded(median(&all(|round| round.user_us))?),
            kernel_us_median: rounded(median(&all(|round| round.kernel_us))?),
            requests_per_second_median: median(&all(|round| round.requests_per_second))?.round(),
            rss_mib,
            system_calls_per_request: calls,
            rounds,
        })
    }
}

impl Report {
    /// Puts a contestant's figures in their place.
    pub(crate) fn enter(&mut self, proxy: Proxy, figures: Figures) {
        let place = match proxy {
            Proxy::Gateway(Chain::Full) => &mut self.full,
            Proxy::Gateway(Chain::Plain) | Proxy::Nginx | Proxy::Haproxy | Proxy::Envoy => &mut self.plain,
        };
        place.insert(proxy.name(), figures);
    }

    /// Computes the ratios, once all figures are there.
    pub(crate) fn compare(&mut self) {
        let (plain, full) = (self.plain.get("gateway"), self.full.get("gateway"));
        let (Some(plain), Some(full), Some(envoy)) = (plain, full, self.plain.get("envoy")) else {
            return;
        };
        self.ratios = Some(Ratios {
            plain_min: rounded(plain.cpu_us_min / envoy.cpu_us_min),
            plain_median: rounded(plain.cpu_us_median / envoy.cpu_us_median),
            full_min: rounded(full.cpu_us_min / envoy.cpu_us_min),
            full_median: rounded(full.cpu_us_median / envoy.cpu_us_median),
        });
    }

    /// Prints everything but the rounds.
    pub(crate) fn print(&self) {
        println!(
            "\n{} ({} cores), Linux {}",
            self.machine.cpu, self.machine.cores, self.machine.kernel
        );
        for (name, version) in &self.versions {
            println!("  {name}: {version}");
        }
        let changed = if self.sources.changed { " with changes" } else { "" };
        println!("  commit {}{changed}", self.sources.commit);
        for line in self.method {
            println!("- {line}");
        }
        println!(
            "\n{:<14} {:>7} {:>7} {:>7} {:>7} {:>9} | {:>7} {:>9} {:>9}",
            "CPU us/request", "min", "median", "user", "kernel", "rps", "RSS MiB", "+5k idle", "+5k used"
        );
        for proxy in Proxy::ALL {
            if let Some(figures) = self.figures(proxy) {
                figures.print(proxy.title());
            }
        }
        self.print_ratios();
        self.print_system_calls();
    }

    fn figures(&self, proxy: Proxy) -> Option<&Figures> {
        match proxy {
            Proxy::Gateway(Chain::Full) => self.full.get(proxy.name()),
            Proxy::Gateway(Chain::Plain) | Proxy::Nginx | Proxy::Haproxy | Proxy::Envoy => self.plain.get(proxy.name()),
        }
    }

    fn print_ratios(&self) {
        if let Some(ratios) = self.ratios {
            println!(
                "\nCPU time over Envoy's plain proxying: plain {:.2} (min {:.2}), full {:.2} (min {:.2})",
                ratios.plain_median, ratios.plain_min, ratios.full_median, ratios.full_min
            );
        }
        for peer in &self.missing {
            println!("{peer} is not installed and left out");
        }
    }

    fn print_system_calls(&self) {
        let counted = Proxy::ALL.into_iter().filter_map(|proxy| {
            let counts = self.figures(proxy)?.system_calls_per_request.as_ref()?;
            Some((proxy.title(), counts))
        });
        let mut header = Some("\nSystem calls for each request (strace, a run of its own):");
        for (title, counts) in counted {
            if let Some(header) = header.take() {
                println!("{header}");
            }
            let calls: Vec<_> = counts
                .iter()
                .map(|(name, calls)| format!("{name} {calls:.2}"))
                .collect();
            println!("{title:<14} {}", calls.join(", "));
        }
    }
}

impl Figures {
    fn print(&self, title: &str) {
        print!(
            "{title:<14} {:>7.2} {:>7.2} {:>7.2} {:>7.2} {:>9.0} |",
            self.cpu_us_min,
            self.cpu_us_median,
            self.user_us_median,
            self.kernel_us_median,
            self.requests_per_second_median
        );
        match self.rss_mib {
            Some(rss) => println!(
                " {:>7.1} {:>9.1} {:>9.1}",
                rss.idle, rss.connected_5000, rss.kept_alive_5000
            ),
            None => println!(),
        }
    }
}
