//! The scenarios: each starts a contender of its own, so that what one leaves behind costs no other one.

mod closed;
mod endpoints;
mod hung;
mod idle;
mod open;
mod openim;
mod start;

use crate::lab::Scenario;

pub(crate) use closed::{KEEP_ALIVE, NEW_CONNECTION};
use endpoints::ENDPOINTS;
pub(crate) use hung::HUNG;
pub(crate) use idle::IDLE;
pub(crate) use open::OPEN_LOOP;
pub(crate) use openim::{OPENIM_HTTP, OPENIM_HTTPS};
pub(crate) use start::START;

/// All, in the order of the report.
pub(crate) static ALL: [&Scenario; 9] =
    [&KEEP_ALIVE, &NEW_CONNECTION, &OPENIM_HTTP, &OPENIM_HTTPS, &OPEN_LOOP, &HUNG, &IDLE, &ENDPOINTS, &START];

/// The scenario of that name.
pub(crate) fn named(name: &str) -> Result<&'static Scenario, String> {
    let found = ALL.into_iter().find(|scenario| scenario.name == name);
    found.ok_or_else(|| format!("there is {}", ALL.map(|scenario| scenario.name).join(", ")))
}
