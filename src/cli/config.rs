//! `openim-bridge config`: says what the configuration is, without running anything.
//!
//! `check` and `show` read the same file, variables and flags as `serve`. Exit codes: 0, or 2 for a wrong
//! configuration.

use std::{ffi::OsString, io, process::ExitCode};

use clap::{Arg, ArgMatches, Command};
use serde_json::json;

use crate::config::{self, ConfigError, Loaded};

/// The exit code for a wrong configuration, as clap's for wrong flags.
const WRONG: u8 = 2;

/// The subcommand, for the main command.
#[must_use]
pub fn command() -> Command {
    let output = || {
        Arg::new("output")
            .long("output")
            .value_name("FORMAT")
            .value_parser(["text", "json"])
            .default_value("text")
            .help("How the result is written to standard output")
    };
    Command::new("config")
        .about("Check, show or describe the configuration")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("check")
                .about("Say whether the configuration that `serve` would run on is right; exit code 2 if it is not")
                .args(config::args())
                .arg(output()),
        )
        .subcommand(
            Command::new("show")
                .about("Show the value of every setting, and where it came from")
                .args(config::args())
                .arg(output()),
        )
        .subcommand(Command::new("schema").about("Print the JSON Schema of the configuration file, for editors"))
}

/// Runs `check`, `show` or `schema`. The environment is such as [`std::env::vars_os`].
///
/// # Errors
///
/// Standard output cannot be written to.
pub fn run(
    matches: &ArgMatches,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> anyhow::Result<ExitCode> {
    let (out, log) = (&mut io::stdout().lock(), &mut io::stderr().lock());
    run_to(matches, environment, out, log)
}

fn run_to(
    matches: &ArgMatches,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    out: &mut dyn io::Write,
    log: &mut dyn io::Write,
) -> anyhow::Result<ExitCode> {
    let Some((name @ ("check" | "show"), flags)) = matches.subcommand() else {
        writeln!(out, "{:#}", config::schema())?;
        return Ok(ExitCode::SUCCESS);
    };
    let json = flags.get_one::<String>("output").is_some_and(|format| format == "json");
    match config::load(flags, environment) {
        Err(error) => {
            if json {
                writeln!(out, "{:#}", errors(&error))?;
            }
            writeln!(log, "{error}")?;
            Ok(ExitCode::from(WRONG))
        }
        Ok(loaded) => {
            for warning in &loaded.warnings {
                writeln!(log, "warning: {warning}")?;
            }
            match (name, json) {
                ("check", false) => writeln!(out, "{}", verdict(&loaded))?,
                ("check", true) => writeln!(out, "{:#}", facts(&loaded))?,
                (_, false) => write!(out, "{}", table(&loaded))?,
                (_, true) => {
                    let mut facts = facts(&loaded);
                    facts["settings"] = json!(loaded.values);
                    writeln!(out, "{facts:#}")?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn errors(error: &ConfigError) -> serde_json::Value {
    json!({ "ok": false, "errors": error.problems.iter().map(ToString::to_string).collect::<Vec<_>>() })
}

fn facts(loaded: &Loaded) -> serde_json::Value {
    json!({
        "ok": true,
        "file": loaded.file,
        "warnings": loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn verdict(loaded: &Loaded) -> String {
    match &loaded.file {
        Some(file) => format!("{}: ok", file.display()),
        None => "no configuration file: ok".to_owned(),
    }
}

fn table(loaded: &Loaded) -> String {
    let rows: Vec<[String; 3]> =
        loaded.values.iter().map(|value| [value.key.to_owned(), value.yaml(), value.source.to_string()]).collect();
    let header = ["KEY", "VALUE", "FROM"].map(str::to_owned);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (first, second) = (width(0), width(1));
    std::iter::once(&header)
        .chain(&rows)
        .map(|[key, value, from]| format!("{key:first$}  {value:second$}  {from}\n"))
        .collect()
}
