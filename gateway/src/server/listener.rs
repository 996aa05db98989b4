//! Sockets that clients connect to: bound by us so that port 0 works, handed to pingora, and to a new process.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{IntoRawFd as _, RawFd};
use std::path::Path;

use pingora::server::Fds;
use socket2::{Domain, Protocol, Socket, Type};

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    /// Where it listens.
    pub(super) address: SocketAddr,
    pub(super) socket: RawFd,
}

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4_096;

impl Listener {
    /// Binds `address`; port 0 takes a free port.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = listening(address, false)?;
        Ok(Self {
            address: listener.local_addr()?,
            socket: listener.into_raw_fd(),
        })
    }

    /// Takes the socket of the running process over the Unix socket at `path`: waits for it to send.
    pub(super) fn take_over(path: &Path) -> io::Result<Self> {
        let path = path.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        let mut sent = Fds::new();
        sent.get_from_sock(path).map_err(io::Error::from)?;
        let (names, sockets) = sent.serialize();
        let found = names.iter().zip(sockets).find_map(|(name, socket)| {
            let address = name.strip_prefix(NAME)?.parse().ok()?;
            Some(Self { address, socket })
        });
        found.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the running process sent no listener"))
    }

    /// Sends the socket to a process that waits at `path`.
    pub(super) fn hand_over(&self, path: &Path) -> io::Result<()> {
        let path = path.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        let mut fds = Fds::new();
        fds.add(format!("{NAME}{}", self.address), self.socket);
        fds.send_to_sock(path).map_err(io::Error::from)?;
        Ok(())
    }
}

/// In front of the address in what is sent; names what the socket is for.
const NAME: &str = "http=";

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
