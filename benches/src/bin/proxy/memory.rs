//! Resident memory without connections, and with many that are idle.

use std::net::SocketAddr;
use std::path::Path;

use benches::client::Client;
use benches::error::Error;
use benches::statistics::rounded;
use benches::tools::Tools;
use benches::usage::settled_resident_mib;
use serde::Serialize;

use crate::contestant::{Contestant, Proxy};

/// Resident memory in MiB.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Resident {
    /// Started, and asked once.
    pub(crate) idle: f64,
    /// With [`IDLE_CONNECTIONS`] connections that have not said anything yet.
    pub(crate) connected_5000: f64,
    /// The same after one request on each, one after the other.
    pub(crate) kept_alive_5000: f64,
}

/// Measures a process of its own; `None` if the proxy is not installed.
///
/// # Errors
/// If it cannot be started, or refuses one of the connections.
pub(crate) async fn measure(
    tools: &Tools,
    folder: &Path,
    proxy: Proxy,
    upstream: SocketAddr,
) -> Result<Option<Resident>, Error> {
    let Some(contestant) = Contestant::start(tools, folder, proxy, upstream).await? else {
        return Ok(None);
    };
    let resident = || settled_resident_mib(contestant.process()).map(rounded);
    let idle = resident()?;
    let mut connections = (0..IDLE_CONNECTIONS)
        .map(|_| Client::connect(contestant.address))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Error::system(format!("connect to {}", proxy.title())))?;
    let connected_5000 = resident()?;
    let question = proxy.question();
    for connection in &mut connections {
        let reply = connection
            .get(&question)
            .map_err(Error::system(format!("ask {} on an idle connection", proxy.title())))?;
        if reply.status != 200 {
            return Err(Error::WrongAnswer {
                who: proxy.title().to_owned(),
                what: format!("{} on an idle connection", reply.status),
            });
        }
    }
    Ok(Some(Resident {
        idle,
        connected_5000,
        kept_alive_5000: resident()?,
    }))
}

/// Connections that are held open, as the names in [`Resident`] say.
pub(crate) const IDLE_CONNECTIONS: usize = 5000;
