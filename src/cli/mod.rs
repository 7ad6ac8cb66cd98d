//! The command line, one file per subcommand.

pub mod config;
pub mod mock;
pub mod send;
