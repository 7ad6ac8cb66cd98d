//! What is wrong between OpenIM's webhooks.yml and the bridge, as data: each fault with its place, why it matters, and
//! what to do.
//!
//! - [`webhooks`]: OpenIM's file, and the `IMENV_…` variables over it, read as OpenIM reads them. `part`: where in a file
//!   of Kubernetes or Helm it stands. `variables`: what sets them.
//! - [`url`]: what OpenIM's `url` leads to.
//! - [`finding`]: a fault. [`place`](Place): where it is.
//! - [`examine()`]: the faults, by holding the file against the [`side`](BridgeSide) of the bridge; `examine_url` and
//!   `examine_callbacks` have those of `url` and of callbacks.
//! - [`mod@fix`]: the file with the faults corrected that have one right answer; comments and order stay.
//!
//! Called by `cli::doctor`, which reads files, asks the URL and prints. Nothing here does I/O.

mod examine;
mod examine_callbacks;
mod examine_url;
mod finding;
mod fix;
mod part;
mod place;
mod side;
mod url;
mod variables;
mod webhooks;

pub use examine::examine;
pub use finding::{FileChange, Finding, Severity};
pub use fix::{Fixed, fix};
pub use part::Unreadable;
pub use place::Place;
pub(crate) use side::never_sent_as;
pub use side::{BridgeSide, ServiceRpcs, sent};
pub(crate) use url::shown;
pub use url::{Destination, UrlFault};
pub use variables::{UnreadableVariables, Variable, in_environment, in_file};
pub use webhooks::{CallbackConfig, Oddity, WebhookField, WebhookValue, Webhooks};
