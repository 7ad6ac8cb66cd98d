//! OpenIM's client of a callback, without its sockets: what it sends, and what it makes of an answer. For `send`, `demo`,
//! `doctor` and tests.
//!
//! - [`request`]: the request that it makes.
//! - [`answer`]: how it reads an answer.
//! - `text`: a JSON string as Go reads it.

pub mod answer;
pub mod request;
mod text;

pub use answer::{Caution, JsonType, OpenIm, OpenImAnswer, OpenImError, Reading, Undecodable, is_same_key};
pub use request::{CallbackRequest, UrlForm, go_body};
