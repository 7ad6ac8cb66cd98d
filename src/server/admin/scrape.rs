//! The state of the running bridge, for a scrape.

use crate::base::file_watch::{ReloadCounts, Reloads};
use crate::bridge::Shares;
use crate::server::context::Shared;
use crate::server::drain::DrainStage;
use crate::telemetry::metrics::{BridgeState, CertificateState};

pub(super) fn state(shared: &Shared) -> BridgeState {
    let (in_flight, body_bytes) = (&shared.limits.in_flight, &shared.limits.body_bytes);
    let certificate = match &shared.tls {
        Some(tls) => of(tls.expires_in(), tls.reloads()),
        None => CertificateState::NONE,
    };
    let upstream = shared.pool.expires_in().zip(shared.pool.reloads());
    let upstream = upstream.map_or(CertificateState::NONE, |(expires_in, reloads)| of(expires_in, reloads));
    let forward = shared.receiver.as_ref().and_then(|receiver| receiver.expires_in().zip(receiver.reloads()));
    let forward = forward.map_or(CertificateState::NONE, |(expires_in, reloads)| of(expires_in, reloads));
    let (queued, oldest_queued) = shared.deliveries.queued();
    let (queue_bytes, queue_bytes_limit) = shared.deliveries.bytes();
    let (connection_bytes, connection_bytes_limit) = shared.connections.bytes();
    BridgeState {
        budget: Shares::of_process().budget,
        connection_bytes,
        connection_bytes_limit,
        queued,
        oldest_queued: oldest_queued.as_secs_f64(),
        queue_bytes,
        queue_bytes_limit,
        in_flight: in_flight.held(),
        in_flight_limit: in_flight.limit(),
        body_bytes: body_bytes.held(),
        body_bytes_limit: body_bytes.limit(),
        connections: shared.connections.open(),
        connections_limit: shared.connections.limit(),
        connections_accepted: shared.connections.accepted(),
        draining: shared.drain.stage() >= DrainStage::Announcing,
        upstream: shared.pool.status(),
        certificate,
        upstream_certificate: upstream,
        forward_certificate: forward,
        receiver: shared.receiver.as_ref().map(|receiver| receiver.status()),
        configuration: shared.configuration_reloads.get().map(ReloadCounts::now).unwrap_or_default(),
        needs_restart: shared.needs_restart(),
    }
}

fn of(expires_in: f64, reloads: Reloads) -> CertificateState {
    CertificateState { expires_in, rotations: reloads.taken, rotation_errors: reloads.refused }
}
