//! What became of an after callback: an event of which the service is told.

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Delivered {
    /// The service was told.
    Delivered,
    /// There was no room for it.
    Dropped,
    /// The service was not there for too long.
    Expired,
    /// The service does not want it.
    Rejected,
    /// The process exited first.
    Lost,
}

impl Delivered {
    pub(crate) const ALL: [Self; 5] = [Self::Delivered, Self::Dropped, Self::Expired, Self::Rejected, Self::Lost];
}
