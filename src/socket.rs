//! Socket options. The only code that differs between Linux, where the bridge runs, and macOS, where it must build.

use std::{
    io,
    net::{Shutdown, SocketAddr},
    os::fd::AsFd,
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpStream;

/// How many connections may wait to be accepted. The kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// One listener per worker, all on one port. Several share it by `SO_REUSEPORT`, but only after an exclusive bind has
/// proved that nobody else has it: a second `serve` must fail, not share.
pub(crate) fn listen(address: SocketAddr, workers: u16) -> io::Result<Vec<std::net::TcpListener>> {
    let exclusive = bind(address, false)?;
    if workers == 1 {
        exclusive.listen(BACKLOG)?;
        return Ok(vec![exclusive.into()]);
    }
    let address = exclusive.local_addr()?.as_socket().unwrap_or(address);
    exclusive.listen(BACKLOG)?;
    drop(exclusive);
    let listen = |_| {
        let socket = bind(address, true)?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    (0..workers).map(listen).collect()
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // So that a restart does not wait for the old process's connections to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// For a connection from OpenIM. A peer that takes no data, or has gone without a word, holds an answer for 30 s at most.
pub(crate) fn accepted(stream: &TcpStream) -> io::Result<()> {
    connection(stream, Duration::from_mins(1), Duration::from_secs(30))
}

/// For a connection to the decision service. Packets that nobody acknowledges are found out after 3 s.
pub(crate) fn connected(stream: &TcpStream) -> io::Result<End> {
    connection(stream, Duration::from_secs(15), Duration::from_secs(3))?;
    End::of(stream)
}

/// Ends a connection from outside of whatever uses it, which then sees it closed.
#[derive(Debug)]
pub(crate) struct End(Socket);

impl End {
    /// For a socket of any kind.
    pub(crate) fn of(stream: &impl AsFd) -> io::Result<Self> {
        Ok(Self(SockRef::from(stream).try_clone()?))
    }

    pub(crate) fn now(&self) {
        // Fails only when it has ended already.
        let _ended = self.0.shutdown(Shutdown::Both);
    }
}

/// Small messages leave at once, and dead peers are found: after `idle` without traffic, or `unacknowledged` with some.
fn connection(stream: &TcpStream, idle: Duration, unacknowledged: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(idle / 4))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(unacknowledged))?;
    #[cfg(not(target_os = "linux"))]
    let _ = unacknowledged;
    Ok(())
}
