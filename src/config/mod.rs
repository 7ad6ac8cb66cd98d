//! Configuration: raw values from a YAML file, the environment and flags, then checked [`Settings`](crate::server::Settings).
//!
//! Every setting has one name, from which its three spellings follow: key `admin.listen`, flag `--admin-listen`,
//! variable `OPENIM_BRIDGE_ADMIN_LISTEN`. Flag over environment over file over default. No other module sees a raw
//! value: what is in them has been checked.
//!
//! - `raw`: the one definition of every setting, with its documentation; `field`: the types of settings.
//! - `leaf`: the settings as a list, and what follows from it: [`args`], [`schema`], variables.
//! - `file`: the YAML file, with the place of every value.
//! - `entry`: one value that one layer gives. `load`: the layers put together: [`load()`].
//! - `reload`: the [`Configuration`] in force, read again when its files change.
//! - `check`: from raw to checked ones.
//! - `error`: what can be wrong, in words.
//!
//! Called by `cli` and `doctor` alone; never reads the process's environment or prints by itself.

mod check;
mod entry;
mod error;
mod field;
mod file;
mod leaf;
mod load;
mod raw;
mod reload;
#[cfg(test)]
mod tests;

use std::ffi::OsString;

pub use error::{ConfigError, Problem, ValueSource, Warning};
pub use leaf::{admin_args, args, listener_args, schema, upstream_args};
pub use load::{Effective, EffectiveCallback, EffectiveFallback, EffectiveValue, Loaded, Reloaded, Sources};
pub use reload::Configuration;

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
