//! Where a value of OpenIM's configuration stands.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_saphyr::Location;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In webhooks.yml. Line and column count from 1.
    File { path: PathBuf, line: u64, column: u64 },
    Variable {
        /// Such as `IMENV_WEBHOOKS_URL`.
        name: String,
        /// The file and line that set it, where it was not the environment.
        file: Option<(PathBuf, usize)>,
    },
}

impl Place {
    pub(super) fn of(path: &Path, at: Location) -> Self {
        Self::File { path: path.to_owned(), line: at.line(), column: at.column() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable { name, file: None } => f.write_str(name),
            Self::Variable { name, file: Some((path, line)) } => write!(f, "{}:{line} ({name})", path.display()),
        }
    }
}
