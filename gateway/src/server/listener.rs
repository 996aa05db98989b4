//! Sockets that clients connect to: bound by us so that port 0 works, handed to pingora, and to a new process.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{IntoRawFd as _, RawFd};
use std::path::Path;

use pingora::server::Fds;
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Listen;

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    /// HTTP/1.1.
    Http,
    /// TLS.
    Https,
    /// HTTP/2 without TLS.
    H2c,
}

/// A listening socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listener {
    pub(super) speech: Speech,
    /// Where it listens.
    pub(super) address: SocketAddr,
    pub(super) socket: RawFd,
}

/// An address that cannot be listened on.
#[derive(Debug)]
pub(super) struct Refused {
    /// Name of the setting.
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    pub(super) source: io::Error,
}

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4_096;

impl Speech {
    /// Names the setting of its address, and in an upgrade what the socket is for.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2c => "h2c",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Http, Self::Https, Self::H2c]
            .into_iter()
            .find(|speech| speech.name() == name)
    }
}

/// Binds every address that the settings name, except those that `given` is for.
pub(super) fn bind(listen: &Listen, mut given: Vec<Listener>) -> Result<Vec<Listener>, Refused> {
    let wanted = [
        (Speech::Http, Some(listen.http)),
        (Speech::Https, listen.https),
        (Speech::H2c, listen.h2c),
    ];
    // A listener that the new settings do not name any more ends with the old process.
    let is_wanted = |speech| {
        wanted
            .iter()
            .any(|(other, address)| *other == speech && address.is_some())
    };
    given.retain(|listener| is_wanted(listener.speech));
    for (speech, address) in wanted {
        let is_there = given.iter().any(|listener| listener.speech == speech);
        if let Some(address) = address.filter(|_| !is_there) {
            let bound = Listener::bind(speech, address);
            given.push(bound.map_err(|source| Refused {
                name: speech.name(),
                address,
                source,
            })?);
        }
    }
    Ok(given)
}

/// Takes the sockets of the running process over the Unix socket at `path`: waits for it to send.
pub(super) fn take_over(path: &Path) -> io::Result<Vec<Listener>> {
    let path = path.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    let mut sent = Fds::new();
    sent.get_from_sock(path).map_err(io::Error::from)?;
    let (names, sockets) = sent.serialize();
    let found = names.iter().zip(sockets).filter_map(|(name, socket)| {
        let (speech, address) = name.split_once('=')?;
        Some(Listener {
            speech: Speech::named(speech)?,
            address: address.parse().ok()?,
            socket,
        })
    });
    let found: Vec<Listener> = found.collect();
    if found.is_empty() {
        let message = "the running process sent no listener";
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(found)
}

/// Sends the sockets to a process that waits at `path`.
pub(super) fn hand_over(listeners: &[Listener], path: &Path) -> io::Result<()> {
    let path = path.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    let mut fds = Fds::new();
    for listener in listeners {
        fds.add(
            format!("{}={}", listener.speech.name(), listener.address),
            listener.socket,
        );
    }
    fds.send_to_sock(path).map_err(io::Error::from)?;
    Ok(())
}

impl Listener {
    /// Binds `address`; port 0 takes a free port.
    fn bind(speech: Speech, address: SocketAddr) -> io::Result<Self> {
        let listener = listening(address, false)?;
        Ok(Self {
            speech,
            address: listener.local_addr()?,
            socket: listener.into_raw_fd(),
        })
    }
}

/// Binds the admin address. While one process takes over from another, both listen on it.
pub(super) fn bind_admin(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::from_std(listening(address, true)?)
}

fn listening(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
