//! The scenarios: each starts a contender of its own, so that what one leaves behind costs no other one.

mod closed;
mod endpoints;
mod hung;
mod idle;
mod open;
mod openim;
mod start;

use crate::lab::Scenario;

/// All, in the order of the report.
pub(crate) static ALL: [&Scenario; 9] = [
    &closed::KEEP_ALIVE,
    &closed::NEW_CONNECTION,
    &openim::HTTP,
    &openim::HTTPS,
    &open::OPEN_LOOP,
    &hung::HUNG,
    &idle::IDLE,
    &endpoints::ENDPOINTS,
    &start::START,
];

/// The scenario of that name.
pub(crate) fn named(name: &str) -> Result<&'static Scenario, String> {
    let found = ALL.into_iter().find(|scenario| scenario.name == name);
    found.ok_or_else(|| format!("there is {}", ALL.map(|scenario| scenario.name).join(", ")))
}
