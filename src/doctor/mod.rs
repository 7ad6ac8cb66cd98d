//! What is wrong between OpenIM's webhooks.yml and the bridge, as data: each fault with its place, why it matters, and
//! what to do.
//!
//! - [`webhooks`]: OpenIM's file, and the `IMENV_…` variables over it, read as OpenIM reads them.
//! - [`url`]: what OpenIM's `url` leads to.
//! - [`finding`]: a fault. [`place`](Place): where it is.
//! - [`examine()`]: the faults, by holding the file against the bridge's configuration.
//! - [`mod@fix`]: the file with the faults corrected that have one right answer; comments and order stay.
//!
//! Called by `cli::doctor`, which reads files, asks the URL and prints. Nothing here does I/O.

mod examine;
mod finding;
mod fix;
mod place;
mod url;
mod variables;
mod webhooks;

pub use examine::{BridgeSide, examine};
pub use finding::{FileChange, Finding, Severity};
pub use fix::{Fixed, fix};
pub use place::Place;
pub use url::{Destination, UrlFault};
pub use variables::{Variable, in_environment, in_file};
pub use webhooks::{CallbackConfig, Oddity, Unreadable, WebhookField, WebhookValue, Webhooks};
