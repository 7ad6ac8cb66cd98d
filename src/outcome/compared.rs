//! How a decision compares with what the receiver said that the team had before.

/// What came of comparing the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    Same,
    /// By the names of the fields, in which the receiver's own may be any text.
    Different(Vec<String>),
    /// The service made no decision.
    Undecided,
    /// OpenIM cannot decode what the receiver said.
    Undecodable,
}

impl Compared {
    /// The name in metrics and logs.
    #[must_use]
    pub const fn result(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different(_) => "different",
            Self::Undecided => "undecided",
            Self::Undecodable => "undecodable",
        }
    }
}
