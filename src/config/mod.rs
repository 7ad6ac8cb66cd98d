//! Configuration: raw values from a YAML file, the environment and flags, then checked [`Settings`].
//!
//! Every setting has one name, from which its three spellings follow: key `admin.listen`, flag `--admin-listen`,
//! variable `OPENIM_BRIDGE_ADMIN_LISTEN`. Flag over environment over file over default. No other module sees a raw
//! value: what is in a [`Settings`] has been checked.
//!
//! - `raw`: the one definition of every setting, with its documentation; `field`: the types of settings.
//! - `leaf`: the settings as a list, and what follows from it: [`args`], [`schema`], variables.
//! - `file`: the YAML file, with the place of every value.
//! - `load`: the layers put together: [`load()`].
//! - `check`: from raw to [`Settings`].
//! - `error`: what can be wrong, in words for people.
//!
//! Called by `cli` alone; never reads the process's environment or prints by itself.

mod check;
mod error;
mod field;
mod file;
mod leaf;
mod load;
mod raw;
mod settings;
#[cfg(test)]
mod tests;

use std::ffi::OsString;

pub use error::{ConfigError, Problem, Source, Warning};
pub use leaf::{admin_args, args, listener_args, schema, upstream_args};
pub use load::{Effective, Loaded, Reloaded, Sources, Value};
pub use settings::*;

/// Reads and checks the configuration that the flags of [`args`] and an environment such as [`std::env::vars_os`] name.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn load(
    flags: &clap::ArgMatches,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, ConfigError> {
    Sources::new(flags, environment).load()
}
