//! Health checks: requests of the gateway's own to the targets of integrations that want it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use egress::Timeouts;
use filters::resilience::HealthRules;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::Full;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Endpoint, Resilience};
use crate::clock;
use crate::live::{Live, Shared};

/// Checks the targets of the live version until `stop`.
pub async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watched = Watched::default();
    let mut checks = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        watched.follow(&shared);
        while checks.try_join_next().is_some() {}
        let now_ms = clock::now_ms();
        for (resilience, rules) in &watched.integrations {
            for endpoint in resilience.members().iter() {
                if checks.len() < MOST_AT_A_TIME && endpoint.take_check(now_ms) {
                    checks.spawn(check(Arc::clone(endpoint), rules.clone()));
                }
            }
        }
    }
}

/// The integrations with health checks of one version.
#[derive(Default)]
struct Watched {
    live: Option<Arc<Live>>,
    integrations: Vec<(Arc<Resilience>, HealthRules)>,
}

impl Watched {
    fn follow(&mut self, shared: &Shared) {
        let live = shared.load();
        if self.live.as_ref().map(Arc::as_ptr) == live.as_ref().map(Arc::as_ptr) {
            return;
        }
        let runtimes = live.iter().flat_map(|live| live.runtimes.iter().flatten());
        let active = runtimes.filter(|runtime| runtime.integration.source.is_active);
        self.integrations = active
            .filter_map(|runtime| {
                let resilience = runtime.resilience.as_ref()?;
                Some((Arc::clone(resilience), resilience.rules().active.clone()?))
            })
            .collect();
        self.live = live;
    }
}

async fn check(endpoint: Arc<Endpoint>, rules: HealthRules) {
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = Uri::from(rules.path.clone());
    request
        .headers_mut()
        .insert(header::USER_AGENT, HeaderValue::from_static("gateway-health-check"));
    let limit = Duration::from_millis(rules.timeout_ms);
    let timeouts = Timeouts {
        connect: limit,
        first_byte: limit,
        total: limit,
    };
    let answer = endpoint.target.pool().send(request, timeouts).await;
    let good = match answer {
        Ok(answer) => {
            let good = rules.is_good(answer.status.as_u16());
            // The connection is of use to the next check, if the rest is short.
            drop(answer.collect(MOST_READ).await);
            good
        }
        Err(error) => {
            tracing::debug!(%error, "a health check failed");
            false
        }
    };
    endpoint.checked(clock::now_ms(), good, &rules);
}

const TICK: Duration = Duration::from_millis(250);
/// Checks under way at a time; more wait for the next tick.
const MOST_AT_A_TIME: usize = 256;
const MOST_READ: usize = 64 * 1024;
