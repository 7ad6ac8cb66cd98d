//! The state of the running bridge, for a scrape.

use crate::base::file_watch::{ReloadCounts, Reloads};
use crate::server::context::Shared;
use crate::server::drain::Stage;
use crate::telemetry::metrics::{Certificate, State};

pub(super) fn state(shared: &Shared) -> State {
    let (in_flight, body_bytes) = (&shared.limits.in_flight, &shared.limits.body_bytes);
    let certificate = match &shared.tls {
        Some(tls) => of(tls.expires_in(), tls.reloads()),
        None => Certificate::NONE,
    };
    let upstream = shared.pool.expires_in().zip(shared.pool.reloads());
    let upstream = upstream.map_or(Certificate::NONE, |(expires_in, reloads)| of(expires_in, reloads));
    State {
        in_flight: in_flight.held(),
        in_flight_limit: in_flight.limit(),
        body_bytes: body_bytes.held(),
        body_bytes_limit: body_bytes.limit(),
        connections: shared.connections.open(),
        connections_limit: shared.connections.limit(),
        connections_accepted: shared.connections.accepted(),
        draining: shared.drain.stage() >= Stage::Announcing,
        upstream: shared.pool.status(),
        certificate,
        upstream_certificate: upstream,
        configuration: shared.configuration_reloads.get().map(ReloadCounts::now).unwrap_or_default(),
    }
}

fn of(expires_in: f64, reloads: Reloads) -> Certificate {
    Certificate { expires_in, rotations: reloads.taken, rotation_errors: reloads.refused }
}
