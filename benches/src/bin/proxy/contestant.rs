//! Who takes part, and how each one is started.

use std::net::SocketAddr;
use std::path::Path;

use benches::client::{Question, first_good_answer, free_address};
use benches::control_plane;
use benches::error::Error;
use benches::tools::Tools;
use harness::{ControlPlane, Process};

use crate::gateway::{self, Chain};
use crate::{BODY, peers};

/// A proxy in one of the configurations that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    /// The gateway.
    Gateway(Chain),
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Envoy.
    Envoy,
}

impl Proxy {
    /// All, in the order of the table.
    pub(crate) const ALL: [Self; 5] = [
        Self::Gateway(Chain::Plain),
        Self::Gateway(Chain::Full),
        Self::Nginx,
        Self::Haproxy,
        Self::Envoy,
    ];

    /// Its name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gateway(_) => "gateway",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        }
    }

    /// Its name in the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Gateway(Chain::Plain) => "gateway plain",
            Self::Gateway(Chain::Full) => "gateway full",
            Self::Nginx | Self::Haproxy | Self::Envoy => self.name(),
        }
    }

    /// What the generator asks it for.
    pub(crate) fn question(self) -> Question {
        match self {
            Self::Gateway(chain) => chain.question(),
            Self::Nginx | Self::Haproxy | Self::Envoy => Chain::Plain.question(),
        }
    }
}

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Contestant {
    /// Which one.
    pub(crate) proxy: Proxy,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    process: Process,
    /// What feeds a gateway, and takes its records.
    _control_plane: Option<ControlPlane>,
}

impl Contestant {
    /// Starts it and waits until it passes on what the upstream says; `None` if it is not installed.
    ///
    /// # Errors
    /// If it cannot be started, or says something else.
    pub(crate) async fn start(
        tools: &Tools,
        folder: &Path,
        proxy: Proxy,
        upstream: SocketAddr,
    ) -> Result<Option<Self>, Error> {
        let address = free_address()?;
        let mut control_plane = None;
        let command = match proxy {
            Proxy::Gateway(chain) => {
                let fed_by = control_plane.insert(control_plane::holding(chain.integrations(upstream)).await?);
                gateway::command(tools, folder, address, fed_by)
            }
            Proxy::Nginx => peers::nginx(tools, folder, address, upstream)?,
            Proxy::Haproxy => match tools.haproxy() {
                Some(program) => peers::haproxy(tools, program, folder, address, upstream)?,
                None => return Ok(None),
            },
            Proxy::Envoy => match tools.envoy() {
                Some(program) => peers::envoy(tools, program, folder, address, upstream)?,
                None => return Ok(None),
            },
        };
        let process = Process::start(proxy.name(), command, folder);
        let contestant = Self {
            proxy,
            address,
            process,
            _control_plane: control_plane,
        };
        match first_good_answer(proxy.title(), address, &proxy.question()) {
            Ok(body) if body == BODY.as_bytes() => Ok(Some(contestant)),
            Ok(body) => Err(Error::WrongAnswer {
                who: proxy.title().to_owned(),
                what: String::from_utf8_lossy(&body).into_owned(),
            }),
            Err(error) => Err(Error::Program {
                program: proxy.title().to_owned(),
                output: format!("{error}\n{}", contestant.process.output()),
            }),
        }
    }

    /// Its process id.
    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }
}
