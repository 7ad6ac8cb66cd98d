//! The scenarios: each starts a contender of its own, so that what one leaves behind costs no other one.

mod closed;
mod endpoints;
mod forward;
mod hung;
mod idle;
mod open;
mod openim;
mod start;
mod workers;

use crate::lab::Scenario;

pub(crate) use closed::{ECHO, KEEP_ALIVE, MESSAGE, MESSAGE_4K, MODIFY, NEW_CONNECTION, PUSH};
pub(crate) use endpoints::ENDPOINTS;
use forward::{FORWARD, FORWARD_OPEN};
pub(crate) use hung::{HUNG, OUTSTANDING};
pub(crate) use idle::{IDLE, IDLE_CONNECTIONS};
pub(crate) use open::OPEN_LOOP;
pub(crate) use openim::{CHAT_HTTP, CHAT_HTTPS, OPENIM_HTTP, OPENIM_HTTPS};
pub(crate) use start::START;
pub(crate) use workers::WORKERS;

/// Of what asks the decision service, in the order of the report.
pub(crate) static ASKING: [&Scenario; 17] = [
    &KEEP_ALIVE,
    &MESSAGE,
    &MESSAGE_4K,
    &MODIFY,
    &ECHO,
    &NEW_CONNECTION,
    &OPENIM_HTTP,
    &OPENIM_HTTPS,
    &CHAT_HTTP,
    &CHAT_HTTPS,
    &PUSH,
    &OPEN_LOOP,
    &HUNG,
    &IDLE,
    &ENDPOINTS,
    &WORKERS,
    &START,
];
/// Of what passes requests on.
pub(crate) static FORWARDING: [&Scenario; 2] = [&FORWARD, &FORWARD_OPEN];

/// The scenario of that name.
pub(crate) fn named(name: &str) -> Result<&'static Scenario, String> {
    let all = || ASKING.into_iter().chain(FORWARDING);
    let names = || all().map(|scenario| scenario.name).collect::<Vec<_>>().join(", ");
    all().find(|scenario| scenario.name == name).ok_or_else(|| format!("there is {}", names()))
}
