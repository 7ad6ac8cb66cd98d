//! Configuration: raw values from a YAML file, the environment and flags, then checked [`Settings`].
//!
//! Every setting has one name, from which its three spellings follow: key `admin.listen`, flag `--admin-listen`,
//! variable `OPENIM_BRIDGE_ADMIN_LISTEN`. Flag over environment over file over default. No other module sees a raw
//! value: what is in a [`Settings`] has been checked.

mod settings;

pub use settings::*;
