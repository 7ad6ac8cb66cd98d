//! The bundled decision service: answers every callback by rules, and by commands in its texts, so that a bridge can be tried
//! out and tested without a service. Serves gRPC health and reflection as well.
//!
//! - [`MockAnswer`], [`MockReply`], [`MockInvalid`]: what it can answer.
//! - `contract`: what rules and commands name, held against the tables of the contract. `remark`: short names of the first
//!   callback's fields.
//! - `command`: texts that say what to answer, `mock:refuse=5001,text`.
//! - [`Rules`]: the rules file. `when`: which calls a rule is for.
//! - [`MockControl`]: what a running mock is told to do and what it was asked. [`ControlPort`]: the same by HTTP.
//! - `record`: the record of calls, for a test's assertions.
//! - `service`: the rpcs, and `raw` their codec. [`MockCall`], [`MockEvent`]: what a test can see of them.
//! - `listen`, `tls`: where and how it takes connections.
//! - [`Mock`]: binds and serves.
//!
//! Called by `openim-bridge mock`, by `demo` and by tests. Nothing on the path of a callback may use it.

mod answer;
mod call;
mod command;
mod contract;
mod control;
mod control_port;
mod listen;
mod raw;
mod record;
mod remark;
mod rules;
mod service;
mod tls;
mod when;

use std::{collections::BTreeSet, io, num::NonZeroUsize, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    time::sleep,
};
use tonic::{service::Routes, transport::Server};
use tonic_health::ServingStatus;

pub use answer::{MockAnswer, MockInvalid, MockReply};
pub use call::{CallStage, MockCall, MockEvent};
pub use contract::callback_named;
pub use control::{MockControl, WatchedRules};
pub use control_port::ControlPort;
pub use listen::MockAddress;
pub use record::Calls;
pub use rules::{Rules, RulesError};
pub use tls::{MockTls, TlsSetupError};

use crate::base::tls::TlsError;
use crate::callback::Callback;
use crate::proto::DESCRIPTORS;
use listen::{Incoming, Listener};
use service::Service;

/// The services beside the contract's.
const HEALTH: &str = "grpc.health.v1.Health";
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";
const REFLECTION_BEFORE: &str = "grpc.reflection.v1alpha.ServerReflection";

/// How long calls may go on once the mock was told to end.
const GRACE: Duration = Duration::from_secs(1);

/// A decision service that is bound to its address. Connections are taken by the kernel from then on, and answered once
/// it is served.
#[derive(Debug)]
pub struct Mock {
    listener: Listener,
    tls: Option<MockTls>,
    control: MockControl,
    without: Vec<&'static Callback>,
    log_private: bool,
    events: Option<mpsc::UnboundedSender<MockEvent>>,
    concurrency: Option<NonZeroUsize>,
    max_connection_age: Option<Duration>,
}

/// Why the mock cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum MockError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind { address: MockAddress, source: io::Error },
    /// The contract that was compiled in cannot be offered by reflection.
    #[error("cannot offer gRPC reflection")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    #[error("cannot serve")]
    Serve(#[from] tonic::transport::Error),
}

impl Mock {
    /// Listens on `address`; port 0 takes a free one, and a socket that a mock has left behind is replaced.
    ///
    /// # Errors
    ///
    /// Where the address cannot be listened on.
    pub async fn bind(address: MockAddress, rules: Rules) -> Result<Self, MockError> {
        let listener = Listener::bind(&address).await.map_err(|source| MockError::Bind { address, source })?;
        Ok(Self {
            listener,
            tls: None,
            control: MockControl::new(rules),
            without: Vec::new(),
            log_private: false,
            events: None,
            concurrency: None,
            max_connection_age: None,
        })
    }

    /// Where it listens: the real port, also when 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> &MockAddress {
        &self.listener.address
    }

    /// Serves by TLS, and by nothing else.
    #[must_use]
    pub fn secured(mut self, tls: MockTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The rpcs of these are as if they were not there: UNIMPLEMENTED, as in a service that lacks them.
    #[must_use]
    pub fn without(mut self, callbacks: Vec<&'static Callback>) -> Self {
        self.without = callbacks;
        self
    }

    /// At most so many calls are worked on concurrently, as by a thread pool; others wait. `None`: any number.
    #[must_use]
    pub fn concurrency(mut self, calls: Option<NonZeroUsize>) -> Self {
        self.concurrency = calls;
        self
    }

    /// A connection this old is told to go away (GOAWAY), as services do so that their load is spread anew. `None`:
    /// never.
    #[must_use]
    pub fn max_connection_age(mut self, age: Option<Duration>) -> Self {
        self.max_connection_age = age;
        self
    }

    /// Log lines hold requests from now on. They are personal data.
    #[must_use]
    pub fn log_private(mut self, log_private: bool) -> Self {
        self.log_private = log_private;
        self
    }

    /// Steers it from outside, also while it serves.
    #[must_use]
    pub fn control(&self) -> MockControl {
        self.control.clone()
    }

    /// Writes a line of JSON for every call that comes in, before it is answered; a slow writer holds up the mock.
    #[must_use]
    pub fn record_to(self, out: impl io::Write + Send + 'static) -> Self {
        self.control.record_to(Box::new(out));
        self
    }

    /// Tells what calls come in and how they end, for tests. Only the last receiver is told.
    pub fn events(&mut self) -> mpsc::UnboundedReceiver<MockEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.events = Some(sender);
        receiver
    }

    /// Serves until `shutdown` completes. Calls that are waiting then have one more second, and end without an answer
    /// after it; they also do where this future is dropped.
    ///
    /// # Errors
    ///
    /// Where serving cannot begin.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), MockError> {
        // Nothing is ever sent: calls that wait are told to end by the sender going away with this future.
        let (alive, stopped) = watch::channel(());
        let (end, ended) = oneshot::channel::<()>();
        let service = Service {
            control: self.control,
            without: self.without,
            log_private: self.log_private,
            events: self.events,
            room: self.concurrency.map(|calls| Semaphore::new(calls.get().min(Semaphore::MAX_PERMITS))),
            stopped,
        };
        let names = service.names();
        let (reporter, health) = tonic_health::server::health_reporter();
        for name in &names {
            reporter.set_service_status(name, ServingStatus::Serving).await;
        }
        let service = Arc::new(service);
        let routes = Routes::new(health)
            .add_service(reflection(REFLECTION, &names).build_v1()?)
            // What grpcurl before 1.8.8 asks for.
            .add_service(reflection(REFLECTION_BEFORE, &names).build_v1alpha()?)
            .into_axum_router()
            .fallback(move |request| Arc::clone(&service).serve(request));

        let tls = self.tls.map(MockTls::watch).transpose()?;
        let mut server = Server::builder()
            // A bridge that gives up a thousand calls at once is what the mock is for, not an attack.
            .http2_max_pending_accept_reset_streams(Some(usize::MAX));
        if let Some(age) = self.max_connection_age {
            server = server.max_connection_age(age);
        }
        let server = server.add_routes(routes.into()).serve_with_incoming_shutdown(
            Incoming::new(self.listener, tls),
            async move {
                let _ = ended.await;
            },
        );
        let grace = async {
            shutdown.await;
            drop(end);
            sleep(GRACE).await;
        };
        let result = tokio::select! {
            result = server => result.map_err(MockError::from),
            () = grace => Ok(()),
        };
        drop(alive);
        result
    }
}

/// Everything that is served, reflection by this name included.
fn reflection(name: &str, services: &BTreeSet<&str>) -> tonic_reflection::server::Builder<'static> {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    services.iter().chain([&HEALTH, &name]).fold(builder, |builder, name| builder.with_service_name(*name))
}
