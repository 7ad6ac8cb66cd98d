//! Socket options. The only code that differs between Linux, where the bridge runs, and macOS, where it must build.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr},
    os::fd::AsFd,
    time::Duration,
};

use listenfd::ListenFd;
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpStream;

/// How many connections may wait to be accepted. The kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// So many files may be open before the kernel makes its table of them larger: 32 KiB of its memory.
const FILES: i32 = 4096;

/// Has the kernel make its table of this process's open files large at once, for a burst of connections. It doubles the
/// table each time that it is full, and when there are threads that share it, whoever opens the next file stands still
/// meanwhile, for up to 25 ms: the worker, with all that it serves.
pub(crate) fn make_room() {
    // Where so many files are not allowed, none of this happens, and nothing is lost.
    drop(rustix::io::fcntl_dupfd_cloexec(io::stderr(), FILES - 1));
}

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

/// The listener that whoever started this process has opened for it, as systemd does for a socket unit: it
/// outlives this process, and connections wait in it from one process to the next. Also removes the variables that say so.
pub(crate) fn passed() -> io::Result<Option<std::net::TcpListener>> {
    let mut passed = ListenFd::from_env();
    if passed.len() > 1 {
        let many = format!("{} sockets were passed, and there is a use for one", passed.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, many));
    }
    passed.take_tcp_listener(0)
}

/// The same of a listener that was [`passed`]: its accept queue is shared.
pub(crate) fn share(passed: std::net::TcpListener, workers: u16) -> io::Result<Vec<std::net::TcpListener>> {
    passed.set_nonblocking(true)?;
    if INHERITED {
        serving(&SockRef::from(&passed))?;
    }
    let mut all = (1..workers).map(|_| passed.try_clone()).collect::<io::Result<Vec<_>>>()?;
    all.push(passed);
    Ok(all)
}

/// `[::]` takes IPv4 too, whatever the system's default is. Where a system has no IPv6 it still means all addresses:
/// a manifest does for every cluster so.
fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    match bind_as_is(address, shared) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_ipv6(&error) => {
            bind_as_is((Ipv4Addr::UNSPECIFIED, address.port()).into(), shared)
        }
        bound => bound,
    }
}

/// The kernel was built or started without IPv6, or has it disabled.
fn lacks_ipv6(error: &io::Error) -> bool {
    let lacking = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL];
    Errno::from_io_error(error).is_some_and(|errno| lacking.contains(&errno))
}

fn bind_as_is(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    // So that a restart does not wait for the old process's connections to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    if INHERITED {
        serving(&SockRef::from(&socket))?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Whether connections have their listener's options from the start. It saves each of them five system calls.
const INHERITED: bool = cfg!(target_os = "linux");

/// For a connection that a listener of [`listen`] has accepted.
pub(crate) fn accepted(stream: &TcpStream) -> io::Result<()> {
    if INHERITED { Ok(()) } else { serving(&SockRef::from(stream)) }
}

/// A peer that takes no data, or has gone without a word, holds an answer for 30 s at most.
fn serving(socket: &SockRef<'_>) -> io::Result<()> {
    connection(socket, Duration::from_mins(1), Duration::from_secs(30))
}

/// For a connection that was made from here. Packets that nobody acknowledges are found out after 3 s.
pub(crate) fn connected(stream: &TcpStream) -> io::Result<ConnectionEnd> {
    connection(&SockRef::from(stream), Duration::from_secs(15), Duration::from_secs(3))?;
    ConnectionEnd::of(stream)
}

/// Ends a connection from outside of whatever uses it, which then sees it closed.
#[derive(Debug)]
pub(crate) struct ConnectionEnd(Socket);

impl ConnectionEnd {
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
fn connection(socket: &SockRef<'_>, idle: Duration, unacknowledged: Duration) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(idle / 4))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(unacknowledged))?;
    #[cfg(not(target_os = "linux"))]
    let _ = unacknowledged;
    Ok(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn options(socket: &impl AsFd) -> (bool, Duration, Duration, Option<Duration>) {
        let socket = SockRef::from(socket);
        let read = || {
            assert!(socket.keepalive()?);
            io::Result::Ok((
                socket.tcp_nodelay()?,
                socket.tcp_keepalive_time()?,
                socket.tcp_keepalive_interval()?,
                socket.tcp_user_timeout()?,
            ))
        };
        read().expect("options")
    }

    #[tokio::test]
    async fn both_ends_send_at_once_and_find_out_that_the_other_has_gone() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 1).expect("a port").remove(0);
        let to_service = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("it accepts");
        let _end = connected(&to_service).expect("options");
        let (from_client, _) = TcpListener::from_std(listener).expect("a listener").accept().await.expect("it");
        accepted(&from_client).expect("options");

        let seconds = Duration::from_secs;
        assert_eq!(options(&to_service), (true, seconds(15), seconds(3), Some(seconds(3))));
        assert_eq!(options(&from_client), (true, seconds(60), seconds(15), Some(seconds(30))));
    }

    #[test]
    fn the_wildcard_of_ipv6_takes_ipv4_too() {
        for workers in [1, 2] {
            let listeners = listen((Ipv6Addr::UNSPECIFIED, 0).into(), workers).expect("with or without IPv6");
            let port = listeners[0].local_addr().expect("an address").port();
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it takes IPv4");
        }
    }
}
