//! Writes the man pages and the shells' completions, for the archives of a release:
//!
//!     cargo run --example manual -- FOLDER

use std::{env, error::Error, fs, path::Path};

use clap_complete::{Shell, generate_to};
use openim_bridge::cli;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).ok_or("the folder to write to is missing")?;
    let (man, completions) = (Path::new(&folder).join("man"), Path::new(&folder).join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    // The plain version: a page of the same release is the same whichever commit it is made from.
    let command = || cli::command().version(env!("CARGO_PKG_VERSION"));
    clap_mangen::generate_to(command(), man)?;
    for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
        generate_to(shell, &mut command(), "openim-bridge", &completions)?;
    }
    Ok(())
}
