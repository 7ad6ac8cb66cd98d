//! The way to the decision service: where it is, how it is asked within a deadline, and how a failure is classified.
//!
//! - [`settings`](UpstreamSettings): its settings. [`address`](UpstreamAddress): where it listens.
//! - [`pool`](Pool): its endpoints, and the control thread that watches over them: one for the process.
//! - `endpoint`: one of them, as the whole process sees it. `health`: its sign of life. `pause`: how long to wait between
//!   attempts to reach it.
//! - [`status`](UpstreamStatus): how they are, for operators.
//! - `resolve`: from a name to addresses, for as long as its answer says.
//! - [`call`](Upstream): one question, with its deadline and its retry. Start reading here.
//! - `balancer`: which endpoint a worker's next call goes to.
//! - `channel`: a worker's connections to one endpoint.
//! - `stream`: what such a connection runs over. `tls`: how it is secured. `tls_words`: what goes wrong with that.
//! - `empty_data`: takes out of it what h2 counts as an attack. `given_up`: calls that are, so that peers do not count them so.
//! - `unary`: one try of a call, as gRPC. `incoming_message`: its reply as it comes in, counted.
//! - [`spent`](Spent): where a call's time goes. [`tries`](Try): each try of it, for its trace.
//! - [`error`](CallError): what goes wrong, and the classes of it.
//! - [`direct`](Direct): calls without any of that, for `check`.
//! - [`forward`](Forwarder): the HTTP receiver that a team already has. [`forward_url`](ForwardUrl): where it is.
//!   [`receiver`](Receiver): how it is. `forward_connection`: a worker's connections to it.
//!
//! The only importer of h2. Knows nothing of OpenIM's JSON.

mod address;
mod balancer;
mod call;
mod channel;
mod direct;
mod empty_data;
mod endpoint;
mod error;
mod forward;
mod forward_connection;
mod forward_url;
mod given_up;
mod health;
mod incoming_message;
mod pause;
mod pool;
mod receiver;
mod resolve;
mod settings;
mod spent;
mod status;
mod stream;
mod tls;
mod tls_words;
mod tries;
mod unary;

pub use address::{InvalidUpstream, Target, UpstreamAddress};
pub use call::{Asked, Call, CallId, Upstream};
pub use direct::{Direct, DirectConnection, DirectError};
pub use error::{CallError, ConnectError, ErrorClass, ForwardError, Retry};
pub use forward::{ForwardAnswer, Forwarded, Forwarder, Passed, bytes_of, without_hop_by_hop};
pub use forward_url::{ForwardUrl, InvalidForwardUrl};
pub use pool::{Pool, PoolError};
pub use receiver::{ForwardCredentials, ForwardSettings, Receiver, ReceiverStatus};
pub use settings::{EjectSettings, HealthSettings, TlsKeys, TtlBounds, UpstreamSettings, UpstreamTlsSettings};
pub use spent::Spent;
pub use status::{EndpointState, EndpointStatus, UpstreamStatus};
pub use tries::{TriedServer, Try, TryEnd};
