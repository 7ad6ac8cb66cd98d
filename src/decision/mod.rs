//! The App's side: where its decision service is, how it is asked within a deadline, how a failure is classified, and
//! what OpenIM is told when there is no decision.
//!
//! - [`address`](UpstreamAddress): where the decision service listens.
//! - [`pool`](Pool): its endpoints, and the control thread that watches over them: one for the process.
//! - `endpoint`: one of them, as the whole process sees it. `health`: its sign of life.
//! - [`status`](UpstreamStatus): how they are, for operators.
//! - `resolve`: from a name to addresses, for as long as its answer says.
//! - `pause`: how long to wait between attempts to reach an endpoint.
//! - `balancer`: which endpoint a worker's next call goes to.
//! - [`channel`](ConnectError): a worker's connections to one endpoint.
//! - `stream`: what such a connection runs over. `tls`: how it is secured.
//! - [`spent`](Spent): where a call's time goes. [`tries`](Try): each try of it, for its trace.
//! - [`call`](Upstream): one question, with its deadline and its retry. `unary`: one try of it, as gRPC.
//! - [`direct`](Direct): calls without any of that, for `check`.
//! - [`error`](ErrorClass): the classes of failure.
//! - [`fallback`](FallbackPolicy): policy and class give allow or refuse.
//! - [`percent`](Percent): whose callbacks it decides.
//!
//! The only importer of h2. Knows nothing of OpenIM's JSON or of HTTP/1.

mod address;
mod balancer;
mod call;
mod channel;
mod deadline;
mod direct;
mod endpoint;
mod error;
mod fallback;
mod health;
mod pause;
mod percent;
mod pool;
mod resolve;
mod spent;
mod status;
mod stream;
mod tls;
mod tries;
mod unary;

pub(crate) use address::at_least_one;
pub use address::{EjectSettings, HealthSettings, InvalidUpstream, Target, UpstreamAddress, UpstreamSettings};
pub use call::{Asked, Call, CallError, Retry, Upstream};
pub use channel::ConnectError;
pub use deadline::Deadline;
pub use direct::{Direct, DirectConnection, DirectError};
pub use endpoint::State as EndpointState;
pub use error::ErrorClass;
pub use fallback::{Action, FallbackPolicy, FallbackRefusal};
pub use percent::{InvalidPercent, Percent};
pub use pool::{Pool, PoolError};
pub use resolve::TtlBounds;
pub use spent::Spent;
pub use status::{EndpointStatus, UpstreamStatus};
pub use tls::UpstreamTlsSettings;
pub use tries::{Server, Try};
