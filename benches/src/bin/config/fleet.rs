//! A control plane and a gateway as they are shipped, with many integrations.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use benches::client::Question;
use benches::control_plane;
use harness::documents::ORG;
use harness::{ControlPlane, Gateway, documents};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::ROUTES;

/// The two programs, and the partner behind every integration.
#[derive(Debug)]
pub(crate) struct Fleet {
    control_plane: ControlPlane,
    gateway: Gateway,
    upstream: SocketAddr,
    /// How long the control plane took to start and to take all integrations over.
    pub(crate) applied_in: Duration,
    /// How long the gateway took from its start until it served them.
    pub(crate) started_in: Duration,
}

impl Fleet {
    /// Starts both, with [`ROUTES`] integrations for `upstream`, each as [`integration`] says with revision 0.
    ///
    /// # Errors
    /// If the control plane refuses them.
    pub(crate) async fn start(upstream: SocketAddr) -> anyhow::Result<Self> {
        let started = Instant::now();
        let integrations = (0..ROUTES).map(|number| integration(number, upstream, 0));
        let control_plane = control_plane::holding(integrations).await?;
        let applied_in = started.elapsed();
        let started = Instant::now();
        let gateway = Gateway::fed_by(&control_plane).await;
        Ok(Self {
            control_plane,
            gateway,
            upstream,
            applied_in,
            started_in: started.elapsed(),
        })
    }

    /// Where clients call the gateway.
    ///
    /// # Errors
    /// Never, unless the gateway reports what is no address.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.gateway.http().parse()?)
    }

    /// The request that gives the integration `number` its `revision`.
    pub(crate) fn change(&self, number: usize, revision: usize) -> RequestBuilder {
        let path = format!("/api/v1/inbound-integrations/{}?orgId={ORG}", name(number));
        self.control_plane
            .request(Method::PUT, &path)
            .json(&integration(number, self.upstream, revision))
    }
}

/// What a client asks the integration `number` for.
pub(crate) fn question(number: usize) -> Question {
    Question::new(format!("{}.test", name(number)), "/patients/4711")
}

/// What the partner answers to [`question`] once `revision` is live: the path that it was asked for.
pub(crate) fn answer(revision: usize) -> String {
    format!("/revision-{revision}/patients/4711")
}

/// An integration whose target holds its revision.
fn integration(number: usize, upstream: SocketAddr, revision: usize) -> Value {
    documents::integration(&name(number), &format!("http://{upstream}/revision-{revision}"))
}

fn name(number: usize) -> String {
    format!("route-{number}")
}
