//! The decision service as it stands at one moment, for operators. Read when they ask, and never on a callback's path.

use super::address::Target;

#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum EndpointState {
    /// It has not answered yet since it was found. It gets calls: the first callback must not fall back just because no
    /// health check has come first.
    New,
    /// It answers, and gets calls.
    Healthy,
    /// Its health service reports `NOT_SERVING`.
    NotServing,
    /// Too many failures in a row. Calls on it may still end well. Probed until it is healthy again.
    Ejected,
    /// A health check went unanswered: nothing on it will end well. Probed until it is healthy again.
    Hung,
    /// Its name no longer resolves to it.
    Gone,
}

/// How the decision service is.
#[derive(Debug, Clone)]
pub struct UpstreamStatus {
    /// Whether its names have been looked up for the first time, with whatever result.
    pub resolved: bool,
    /// Whether any endpoint was healthy since the bridge started.
    pub reached: bool,
    pub endpoints: Vec<EndpointStatus>,
}

#[derive(Debug, Clone)]
pub struct EndpointStatus {
    pub target: Target,
    pub state: EndpointState,
    pub connections: usize,
    pub calls: usize,
    /// Why the last probe of an ejected endpoint failed.
    pub last_probe: Option<String>,
}

impl UpstreamStatus {
    /// Whether a call could be made at once, to an endpoint that answers.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.state == EndpointState::Healthy && endpoint.connections > 0)
    }

    /// Whether every callback falls back at once, because no endpoint gets calls.
    #[must_use]
    pub fn has_no_endpoint(&self) -> bool {
        let gets_calls =
            |endpoint: &EndpointStatus| matches!(endpoint.state, EndpointState::New | EndpointState::Healthy);
        self.resolved && !self.endpoints.iter().any(gets_calls)
    }
}

impl EndpointState {
    /// Every state of an endpoint that is there.
    pub const PRESENT: [Self; 5] = [Self::New, Self::Healthy, Self::NotServing, Self::Ejected, Self::Hung];
}
