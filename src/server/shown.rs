//! The configuration as operators are shown it: texts, since where it comes from is not known here. It holds no secret.

use std::fmt;

use serde_json::Value as Json;

/// The configuration in force.
pub trait ShowConfiguration: fmt::Debug + Send + Sync {
    /// How many settings would have another value after a restart.
    fn needs_restart(&self) -> usize;
    /// All of it as texts. They are made when somebody asks: they take more memory than the configuration.
    fn shown(&self) -> ShownConfiguration;
}

/// What `/config` and the status page show.
#[derive(Debug, Clone, Default)]
pub struct ShownConfiguration {
    pub json: Json,
    pub file: Option<String>,
    pub settings: Vec<ShownSetting>,
    /// The settings that would have another value after a restart.
    pub needs_restart: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub struct ShownSetting {
    /// Such as `admin.listen`.
    pub key: &'static str,
    pub value: String,
    /// Where that came from; `None`: nobody has set it.
    pub source: Option<String>,
}
