//! The PEM files of TLS, on both sides of the bridge.
//!
//! - [`pem`](PemFile): what they hold, and why it cannot be used.
//! - [`validity`](Untimely): from when and until when their certificates are valid.
//! - [`watched`](TlsFiles): what is made from them, and made anew when they change.
//! - [`algorithms`](named): what they are made with, by its name.
//! - [`alert`](is_of_certificate): what a handshake has failed of.

mod alert;
mod algorithms;
mod pem;
mod validity;
mod watched;

pub(crate) use alert::{inside, is_of_certificate};
pub(crate) use algorithms::{SUPPORTED, named};
pub(crate) use pem::{PairContents, PairFiles};
pub use pem::{PemFile, TlsError};
pub use validity::{Untimeliness, Untimely};
pub(crate) use validity::{authorities_end, chain_end, date, expires_in};
pub(crate) use watched::{TlsFiles, inspect, tell, watch};
