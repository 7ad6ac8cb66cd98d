//! One worker: a thread with its own runtime, listener and bridge, which shares nothing with others on a callback's path
//! but counters. Here is its accept loop.

use std::{
    io,
    net::IpAddr,
    pin::pin,
    rc::Rc,
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};

use futures_util::future::select;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalOptions},
    time::{sleep, timeout},
};

use super::connection;
use super::context::{Context, Shared};
use super::drain::DrainStage;
use crate::bridge::Events;

/// How many sockets with something to read are served before what they caused is written. Fewer cost more system calls.
/// With all of them at once (tokio's 1,024), all callbacks in flight move on together, and the decision service has nothing
/// to do while the bridge reads: 64 callers waited for 1.5 times as long.
const SOCKETS_AT_ONCE: usize = 32;
/// Shorter than most deadlines, and long enough to cost nothing.
const TICK: Duration = Duration::from_secs(1);
/// How long accepting pauses when the system has no more file descriptors or memory for connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the drain has ended or everything is stopped. Says in `started` whether it could begin.
pub(super) fn run(
    shared: &Arc<Shared>,
    listener: std::net::TcpListener,
    events: Events,
    started: &SyncSender<io::Result<()>>,
) {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_io_events_per_tick(SOCKETS_AT_ONCE)
        .build_local(LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return report(started, Err(error)),
    };
    runtime.block_on(async {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return report(started, Err(error)),
        };
        let context = Rc::new(Context::new(shared, events));
        report(started, Ok(()));
        tokio::task::spawn_local(tick());
        let finishing = Rc::clone(&context);
        tokio::task::spawn_local(async move {
            finishing.shared.drain.reached(DrainStage::Finishing).await;
            finishing.finishing.ring();
        });
        // A task of its own: to wake what `block_on` waits for takes a system call, each time that connections come.
        let serving = tokio::task::spawn_local(async move { serve(&context, listener).await });
        let stopped = pin!(shared.drain.reached(DrainStage::Stopped));
        let _ended = select(serving, stopped).await;
    });
}

/// Keeps a timer running that is due before any callback's deadline. For a timer that is due before all others tokio wakes
/// its driver, and without this one each callback's would be: a write to an event file and a look at the sockets more.
async fn tick() {
    loop {
        sleep(TICK).await;
    }
}

/// Nobody listens any more when another worker failed first.
fn report(started: &SyncSender<io::Result<()>>, result: io::Result<()>) {
    let _gone = started.send(result);
}

async fn serve(context: &Rc<Context>, listener: TcpListener) {
    {
        let closing = pin!(context.shared.drain.reached(DrainStage::Closing));
        select(pin!(accept_all(context, &listener)), closing).await;
    }
    if let Err(error) = accept_waiting(context, listener).await {
        tracing::warn!(%error, "connections in the accept queue may be lost");
    }
    let shared = &context.shared;
    while shared.connections.open() > 0 || shared.limits.in_flight.held() > 0 || shared.waits_for_deliveries() {
        // The wait is bounded, since the last connection may close between the look and the wait, and a callback may
        // be asked in the shadow when its connection has gone.
        let _looked_again = timeout(ACCEPT_PAUSE, context.shared.connections.one_closed()).await;
    }
}

async fn accept_all(context: &Rc<Context>, listener: &TcpListener) {
    loop {
        context.shared.connections.room().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                context.shared.connections.starved(false);
                spawn(context, stream, peer.ip());
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !context.shared.connections.starved(true) {
                    tracing::error!(%error, "cannot accept connections; retrying until it works");
                }
                context.shared.connections.make_room();
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What the kernel has accepted on our behalf is served too, and then the listener closed. It is asked itself: the
/// runtime's listener says that nothing waits as long as the runtime has not looked, and after every 128th.
async fn accept_waiting(context: &Rc<Context>, listener: TcpListener) -> io::Result<()> {
    let listener = listener.into_std()?;
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(true)?;
                spawn(context, TcpStream::from_std(stream)?, peer.ip());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if is_of_one_connection(&error) => {}
            // Those that are open make room: each closes with its next answer, or when all is answered.
            Err(_) if context.shared.connections.open() > 0 => {
                context.shared.connections.make_room();
                let _one_closed = timeout(ACCEPT_PAUSE, context.shared.connections.one_closed()).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn spawn(context: &Rc<Context>, stream: TcpStream, peer: IpAddr) {
    let place = context.shared.connections.enter(peer);
    // Boxed, since the runtime moves a task's future about.
    tokio::task::spawn_local(Box::pin(connection::serve(Rc::clone(context), stream, place)));
}

/// The connection that was to be accepted has gone already; the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
