//! Where the mock listens, and the connections that it takes there: TCP or a socket in the file system, with TLS or
//! without.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    pin::Pin,
    str::FromStr,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener, UnixStream},
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::base::file_watch::WatchedFiles;
use crate::base::tls::inside;
use crate::server::admin::plain_http;
use tonic::transport::server::Connected;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long accepting pauses when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How an address of a socket in the file system begins.
const UNIX: &str = "unix://";

/// Where a mock listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MockAddress {
    /// An IP address and a port. Port 0 takes a free one.
    Tcp(SocketAddr),
    /// A socket in the file system, which any user may connect to: a bridge may run under another one. An absolute path.
    Unix(PathBuf),
}

impl MockAddress {
    /// Where it is one of TCP.
    #[must_use]
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for MockAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl FromStr for MockAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text.strip_prefix(UNIX) {
            Some(path) if Path::new(path).is_absolute() => Ok(Self::Unix(path.into())),
            Some(_) => Err("expected unix:// and an absolute path, such as unix:///run/mock.sock"),
            None => text.parse().map(Self::Tcp).map_err(|_| "expected an IP address and a port, or unix:///PATH"),
        }
    }
}

impl fmt::Display for MockAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

pub(super) trait MockConnection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> MockConnection for S {}

impl Connected for Box<dyn MockConnection> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A file that is removed at the end.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Fails where somebody else has removed it.
        let _gone = fs::remove_file(&self.0);
    }
}

/// An address that is listened on.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    _file: Option<SocketFile>,
    /// The real one, where port 0 was asked for.
    pub(super) address: MockAddress,
}

impl Listener {
    pub(super) async fn bind(address: &MockAddress) -> io::Result<Self> {
        match address {
            MockAddress::Tcp(address) => {
                let listener = TcpListener::from_std(plain_http::bind(*address)?)?;
                let address = MockAddress::Tcp(listener.local_addr()?);
                Ok(Self { socket: Socket::Tcp(listener), _file: None, address })
            }
            MockAddress::Unix(path) => {
                let listener = bind_file(path).await?;
                let file = Some(SocketFile(path.clone()));
                fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
                Ok(Self { socket: Socket::Unix(listener), _file: file, address: address.clone() })
            }
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn MockConnection>> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Fails only where the client has gone already.
                let _gone = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            Socket::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// Takes the place of a socket that a mock before has left behind, but of nothing else.
async fn bind_file(path: &Path) -> io::Result<UnixListener> {
    let in_use = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => error,
        bound => return bound,
    };
    let is_socket = fs::symlink_metadata(path)?.file_type().is_socket();
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if is_socket && UnixStream::connect(path).await.is_err_and(refused) {
        fs::remove_file(path)?;
        return UnixListener::bind(path);
    }
    Err(in_use)
}

/// The connections of a listener, ready to be read from. Dropped, it closes the listener.
pub(super) struct Incoming {
    ready: mpsc::Receiver<Box<dyn MockConnection>>,
    _accepting: JoinSet<()>,
}

impl Incoming {
    pub(super) fn new(listener: Listener, tls: Option<WatchedFiles<ServerConfig>>) -> Self {
        let (sender, ready) = mpsc::channel(16);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, tls, sender));
        Self { ready, _accepting: accepting }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Box<dyn MockConnection>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ready.poll_recv(context).map(|connection| connection.map(Ok))
    }
}

async fn accept(
    listener: Listener,
    tls: Option<WatchedFiles<ServerConfig>>,
    ready: mpsc::Sender<Box<dyn MockConnection>>,
) {
    let mut handshakes = JoinSet::new();
    loop {
        let connection = match listener.accept().await {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while handshakes.try_join_next().is_some() {}
        let ready = ready.clone();
        match &tls {
            Some(tls) => {
                let tls = TlsAcceptor::from(tls.current().get());
                handshakes.spawn(async move { shake_hands(&tls, connection, &ready).await });
            }
            None if ready.send(connection).await.is_err() => return,
            None => {}
        }
    }
}

async fn shake_hands(
    tls: &TlsAcceptor,
    connection: Box<dyn MockConnection>,
    ready: &mpsc::Sender<Box<dyn MockConnection>>,
) {
    match timeout(HANDSHAKE, tls.accept(connection)).await {
        // Nobody takes it when the mock is ending.
        Ok(Ok(secured)) => drop(ready.send(Box::new(secured)).await),
        Ok(Err(error)) => {
            let error = match inside(&error) {
                Some(rustls::Error::InvalidMessage(_)) => {
                    "the client does not speak TLS: its address for this service must begin with https://".to_owned()
                }
                _ => error.to_string(),
            };
            tracing::warn!(error, "a TLS handshake failed");
        }
        Err(_) => tracing::warn!("a TLS handshake took longer than 10 s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_tcp_or_an_absolute_path() {
        for text in ["127.0.0.1:0", "[::1]:50051", "unix:///run/mock.sock"] {
            assert_eq!(text.parse::<MockAddress>().map(|address| address.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "localhost:1", "127.0.0.1", "unix://mock.sock", "unix:/run/mock.sock"] {
            assert!(wrong.parse::<MockAddress>().is_err(), "{wrong}");
        }
    }
}
