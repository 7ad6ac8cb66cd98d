//! The listener for operators (`admin.listen`), on a thread of its own: a busy worker never delays a probe, and a scrape
//! never delays a callback. Started last, and up until the very end of a drain.
//!
//! | endpoint | answers |
//! | --- | --- |
//! | `GET /` | the status page; with `?refresh=10` it reloads itself every 10 s |
//! | `GET /live` | 200 as long as the process runs |
//! | `GET /ready` | 200, or 503 while the decision service is waited for at the start, and from the beginning of a drain on; the body says why |
//! | `GET /metrics` | Prometheus' text format 0.0.4, whatever the scraper would like best |
//! | `GET /version` | JSON: the program's version and commit |
//! | `GET /config` | JSON: the configuration in force, and where each value came from; no secrets |
//! | `PUT /log-level` | sets the log's level, which is the body: `debug` |
//! | `POST /drain` | the first step of a drain: `/ready` is 503 and every answer to OpenIM closes its connection; nothing ends |
//!
//! HEAD is answered where GET is. `PUT` and `POST` are for loopback addresses, unless `admin.write` is true. Answers are
//! plain text, one line, unless said otherwise.
//!
//! - [`routes`]: the endpoints.
//! - [`scrape`]: what `/metrics` reads off the running bridge.
//! - [`page`]: the status page; [`verdict`]: its first lines; [`count_rows`]: its rows about callbacks.
//! - [`plain_http`]: HTTP/1.1 for a few clients; the mock's control port uses it too.
//! - [`ready`]: whether the bridge is ready, and why not.

mod count_rows;
mod page;
pub(crate) mod plain_http;
mod ready;
mod routes;
mod scrape;
mod verdict;

use std::{io, pin::pin, sync::Arc, thread};

use futures_util::future::select;
use tokio::{net::TcpListener, runtime, time::sleep};

use super::context::Shared;
use super::drain::DrainStage;
use crate::telemetry::metrics;

/// Serves until everything is stopped.
pub(super) fn start(shared: &Arc<Shared>, listener: std::net::TcpListener) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let listener = {
        let _entered = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let shared = Arc::clone(shared);
    let serving = move || {
        let router = routes::router(Arc::clone(&shared));
        runtime.block_on(async {
            let metrics = Arc::clone(&shared.metrics);
            tokio::spawn(async move {
                loop {
                    sleep(metrics::EVERY).await;
                    metrics.keep();
                }
            });
            let stopped = pin!(shared.drain.reached(DrainStage::Stopped));
            select(pin!(plain_http::serve(listener, router)), stopped).await;
        });
    };
    thread::Builder::new().name("admin".to_owned()).spawn(serving)?;
    Ok(())
}
