//! `openim-bridge config`: says what the configuration is, without running anything.
//!
//! `check` and `show` read the same file, variables and flags as `serve`; `check` also the certificates, keys and
//! authorities that it would read. Exit codes: 0, or 2 for a wrong
//! configuration.

use std::{ffi::OsString, io, process::ExitCode};

use clap::{Arg, ArgMatches, Command};
use serde_json::json;

use super::terminal::print;
use crate::base::{error_chain, text::visible};
use crate::config::{self, EffectiveCallback, EffectiveValue, Loaded, Warning};
use crate::policy::{Rest, Route};
use crate::server::inspect_files;

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
            .help("The format of the result on standard output")
    };
    Command::new("config")
        .about("Check, show or describe the configuration")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("check")
                .about("Validate the configuration of `serve` and the files that it names, without starting anything; exit code 2 if wrong")
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
    let mut out = Vec::new();
    let code = run_to(matches, environment, &mut out, &mut io::stderr().lock())?;
    print(&String::from_utf8_lossy(&out))?;
    Ok(code)
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
    let loaded = config::load(flags, environment);
    let loaded = loaded.map_err(|error| error.problems.iter().map(ToString::to_string).collect());
    match loaded.and_then(|loaded| if name == "check" { with_files(loaded) } else { Ok(in_words(loaded)) }) {
        Err(errors) => {
            if json {
                writeln!(out, "{:#}", json!({ "ok": false, "errors": errors }))?;
            }
            errors.iter().try_for_each(|error| writeln!(log, "{}", visible(error)))?;
            Ok(ExitCode::from(WRONG))
        }
        Ok((loaded, warnings)) => {
            warnings.iter().try_for_each(|warning| writeln!(log, "warning: {}", visible(warning)))?;
            match (name, json) {
                ("check", false) => writeln!(out, "{}", verdict(&loaded))?,
                ("check", true) => writeln!(out, "{:#}", facts(&loaded, &warnings))?,
                (_, false) => show(&loaded, out)?,
                (_, true) => {
                    let mut facts = facts(&loaded, &warnings);
                    facts["settings"] = json!(loaded.settings_in_force().collect::<Vec<_>>());
                    facts["callbacks"] = json!(loaded.callbacks());
                    writeln!(out, "{facts:#}")?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A configuration, and its warnings.
type Checked = (Loaded, Vec<String>);

fn in_words(loaded: Loaded) -> Checked {
    let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
    (loaded, warnings)
}

/// With the errors and warnings about TLS files. Those about credentials come from loading the configuration.
fn with_files(loaded: Loaded) -> Result<Checked, Vec<String>> {
    let (loaded, mut warnings) = in_words(loaded);
    // Most likely a mistake: whoever asks whether all is right should hear of it.
    let mistakes =
        loaded.warnings.iter().filter(|warning| matches!(warning, Warning::UnknownVariable { hint: Some(_), .. }));
    let mut errors: Vec<String> = mistakes.map(ToString::to_string).collect();
    for side in inspect_files(&loaded.settings) {
        match side {
            Ok(untimely) => warnings.extend(untimely.iter().map(ToString::to_string)),
            Err(error) => errors.push(error_chain::text(&error)),
        }
    }
    if errors.is_empty() { Ok((loaded, warnings)) } else { Err(errors) }
}

fn facts(loaded: &Loaded, warnings: &[String]) -> serde_json::Value {
    json!({
        "ok": true,
        "file": loaded.file.as_ref().map(|file| file.to_string_lossy()),
        "warnings": warnings,
    })
}

fn verdict(loaded: &Loaded) -> String {
    match &loaded.file {
        Some(file) => format!("{}: ok", file.display()),
        None => "no configuration file: ok".to_owned(),
    }
}

/// The settings, and what is done with each callback.
fn show(loaded: &Loaded, out: &mut dyn io::Write) -> io::Result<()> {
    let setting = |it: &EffectiveValue| vec![it.key.to_owned(), it.yaml(), it.source.to_string()];
    table(&["KEY", "VALUE", "FROM"], &loaded.settings_in_force().map(setting).collect::<Vec<_>>(), out)?;
    writeln!(out)?;
    let callbacks: Vec<_> = loaded.callbacks().iter().map(callback).collect();
    table(&["CALLBACK", "ROUTE", "TIMEOUT", "FALLBACK", "PERCENT", "FROM"], &callbacks, out)
}

fn callback(it: &EffectiveCallback) -> Vec<String> {
    let if_asked = |text: Option<String>| {
        text.filter(|_| [Route::Service, Route::Forward].contains(&it.route)).unwrap_or_else(|| "-".to_owned())
    };
    let mut from: Vec<String> = it.sources.iter().map(ToString::to_string).collect();
    from.sort_unstable();
    from.dedup();
    let from = from.join(", ");
    vec![
        it.name.to_owned(),
        it.route.into_str().to_owned(),
        if_asked(it.timeout.clone()),
        if_asked(it.fallback.map(super::handling::in_a_word)),
        if_asked(it.enforce_percent.map(|percent| match it.rest {
            Some(Rest::Forward) if percent < 100 => format!("{percent}, rest: forward"),
            _ => percent.to_string(),
        })),
        if from.is_empty() { "default".to_owned() } else { from },
    ]
}

fn table(header: &[&str], rows: &[Vec<String>], out: &mut dyn io::Write) -> io::Result<()> {
    let header = header.iter().copied().map(str::to_owned).collect();
    let all = || std::iter::once(&header).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    for row in all() {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::callback::CALLBACKS;

    /// Exit code, standard output and standard error, with the folder of `bridge.yaml` taken out.
    fn bridge_config(arguments: &[&str], file: &str, variables: &[(&str, &str)]) -> (String, String, String) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("bridge.yaml");
        std::fs::write(&path, file).expect("file");
        let path = path.into_os_string();
        let environment = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let environment = environment.chain([("OPENIM_BRIDGE_CONFIG".into(), path)]);
        let matches = command().try_get_matches_from([&["config"], arguments].concat()).expect("arguments");
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let code = run_to(&matches, environment, &mut out, &mut log).expect("written");
        let code = if code == ExitCode::SUCCESS {
            "0"
        } else if code == ExitCode::from(2) {
            "2"
        } else {
            "another"
        };
        let text = |bytes| {
            let folder = format!("{}/", folder.path().display());
            String::from_utf8(bytes).expect("UTF-8").replace(&folder, "")
        };
        (code.to_owned(), text(out), text(log))
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn check_says_ok_and_warns() {
        let (code, out, log) = bridge_config(&["check"], "workers: 2", &[("OPENIM_BRIDGE_ELEPHANT", "2")]);
        assert_eq!(code, "0");
        assert_snapshot!(out, @"bridge.yaml: ok");
        assert_snapshot!(log, @"warning: OPENIM_BRIDGE_ELEPHANT: no setting has this variable");
    }

    #[test]
    fn a_variable_that_is_close_to_a_setting_s_is_wrong_and_keeps_nobody_from_starting() {
        let variables = &[("OPENIM_BRIDGE_WORKER", "2")];
        let (code, out, log) = bridge_config(&["check"], "workers: 2", variables);
        assert_eq!((&*code, &*out), ("2", ""));
        assert_snapshot!(log, @"OPENIM_BRIDGE_WORKER: no setting has this variable: did you mean OPENIM_BRIDGE_WORKERS?");
        assert_eq!(bridge_config(&["show"], "workers: 2", variables).0, "0");
    }

    #[test]
    fn check_says_what_is_wrong() {
        let (code, out, log) = bridge_config(&["check", "--timeout", "15s"], "wokers: 2\nlisten: off", &[]);
        assert_eq!((&*code, &*out), ("2", ""));
        assert_snapshot!(log, @r#"
        bridge.yaml:1:1: unknown key `wokers`: did you mean `workers`?
        bridge.yaml:2:9: `listen` is off: expected an IP address and a port, such as 127.0.0.1:10006, or 0.0.0.0:10006 for every interface
        --timeout: `decision.timeout` is 15s: expected a duration of at least 10ms and under 15s, with its unit, such as 500ms or 4s
        "#);
    }

    #[test]
    fn check_for_programs() {
        let (code, out, _) = bridge_config(&["check", "--output", "json"], "wokers: 2", &[]);
        assert_eq!(code, "2");
        assert_snapshot!(out, @r#"
        {
          "ok": false,
          "errors": [
            "bridge.yaml:1:1: unknown key `wokers`: did you mean `workers`?"
          ]
        }
        "#);
        let (code, out, _) = bridge_config(&["check", "--output", "json"], "workers: 2", &[]);
        assert_eq!(code, "0");
        assert_snapshot!(out, @r#"
        {
          "ok": true,
          "file": "bridge.yaml",
          "warnings": []
        }
        "#);
    }

    #[test]
    fn show_says_where_every_value_came_from() {
        let file = "fallback:\n  refusal:\n    message: \"Busy: try again\"\n    detail: \"12\"\n";
        let variables = &[("OPENIM_BRIDGE_ADMIN_LISTEN", "off")];
        let (code, out, log) = bridge_config(&["show", "--upstream", "http://a:1,http://[::1]:2"], file, variables);
        assert_eq!((&*code, &*log), ("0", ""));
        let (settings, callbacks) = out.split_once("\n\n").expect("two tables");
        assert_eq!(callbacks.lines().count(), 1 + CALLBACKS.len());
        // They depend on the machine's memory.
        let limits = ["limits.body_bytes ", "delivery.queue_bytes "];
        let is_default = |key: &&str| settings.lines().any(|line| line.starts_with(key) && line.ends_with("default"));
        assert!(limits.iter().all(is_default));
        let lines = settings.split_inclusive('\n').filter(|line| !limits.iter().any(|key| line.starts_with(key)));
        assert_snapshot!(lines.collect::<String>(), @r#"
        KEY                           VALUE                                 FROM
        listen                        127.0.0.1:10006                       default
        access.allow                  []                                    default
        access.basic_auth_file        no credentials are required           default
        tls.cert                      plain HTTP                            default
        tls.key                       plain HTTP                            default
        workers                       1                                     default
        upstream.addresses            [http://a:1, "http://[::1]:2"]        --upstream
        upstream.connect_timeout      1s                                    default
        upstream.connections          4                                     default
        upstream.resolve.ttl_min      1s                                    default
        upstream.resolve.ttl_max      30s                                   default
        upstream.resolve.server       those of `/etc/resolv.conf`           default
        upstream.tls.ca               those of the system                   default
        upstream.tls.cert             none                                  default
        upstream.tls.key              none                                  default
        upstream.tls.server_name      the host of its address               default
        upstream.health.service       ""                                    default
        upstream.health.interval      2s                                    default
        upstream.health.timeout       1s                                    default
        upstream.eject.failures       5                                     default
        upstream.eject.probe_min      500ms                                 default
        upstream.eject.probe_max      2s                                    default
        forward.url                   nothing can be forwarded              default
        forward.basic_auth_file       OpenIM's own header is passed on      default
        forward.connect_timeout       1s                                    default
        forward.tls.ca                those of the system                   default
        forward.tls.cert              none                                  default
        forward.tls.key               none                                  default
        forward.tls.server_name       the host of `forward.url`             default
        decision.timeout              4s                                    default
        decision.enforce_percent      100                                   default
        decision.rest                 allow                                 default
        fallback.action               allow                                 default
        fallback.class.timeout        allow                                 default
        fallback.class.unavailable    allow                                 default
        fallback.class.overloaded     allow                                 default
        fallback.class.denied         allow                                 default
        fallback.class.unimplemented  allow                                 default
        fallback.class.invalid_reply  allow                                 default
        fallback.class.internal       allow                                 default
        fallback.refusal.code         the reserved code of the error class  default
        fallback.refusal.message      "Busy: try again"                     bridge.yaml:3:14
        fallback.refusal.detail       "12"                                  bridge.yaml:4:13
        refusal.default_code          5000                                  default
        refusal.default_message       This is not allowed                   default
        refusal.codes                 []                                    default
        response.next_code            integer                               default
        callbacks.default.route       service                               default
        callbacks.unknown.route       refuse                                default
        operation_id.missing          refuse                                default
        limits.request_bytes          3145728                               default
        limits.connections            80 % of the limit on open files       default
        limits.in_flight              1024                                  default
        delivery.max_age              5m                                    default
        delivery.max_attempts         5                                     default
        delivery.attempt_timeout      5s                                    default
        delivery.concurrency          64                                    default
        admin.listen                  off                                   OPENIM_BRIDGE_ADMIN_LISTEN
        admin.write                   false                                 default
        admin.hosts                   []                                    default
        ready.require_upstream        false                                 default
        ready.wait_for_upstream       10s                                   default
        drain.delay                   5s                                    default
        drain.timeout                 25s                                   default
        log.level                     info                                  default
        log.format                    text                                  default
        log.private                   false                                 default
        log.ids                       plain                                 default
        log.ids_key_file              a random key for each process         default
        "#);
    }

    #[test]
    fn show_says_what_is_done_with_every_callback() {
        let file = "
fallback: {action: refuse}
callbacks:
  beforeSetFriendRemark: {timeout: 800ms, enforce_percent: 10, fallback: allow}
  afterSetFriendRemark: {route: allow}
  beforeAddFriend: {route: refuse}
";
        let (_, out, _) = bridge_config(&["show", "--callback=beforeAddFriendAgree.timeout=1s"], file, &[]);
        let callbacks = out.split_once("\n\n").expect("two tables").1;
        let shown =
            |line: &&str| line.starts_with("CALLBACK") || line.contains("FriendRemark") || line.contains("eAddFriend");
        let lines: Vec<&str> = callbacks.lines().filter(shown).collect();
        assert_snapshot!(lines.join("\n"), @"
        CALLBACK                             ROUTE    TIMEOUT  FALLBACK                       PERCENT  FROM
        beforeSetFriendRemark                service  800ms    allow                          10       bridge.yaml:4:36, bridge.yaml:4:60, bridge.yaml:4:74
        afterSetFriendRemark                 allow    -        -                              -        bridge.yaml:5:33
        beforeAddFriend                      refuse   -        -                              -        bridge.yaml:6:28
        beforeAddFriendAgree                 service  1s       refuse (unimplemented: allow)  100      --callback
        ");
    }

    #[test]
    fn show_for_programs() {
        let variables = &[("OPENIM_BRIDGE_LOG_PRIVATE", "true")];
        let (code, out, _) = bridge_config(&["show", "--output", "json", "--timeout=1s"], "workers: 2", variables);
        assert_eq!(code, "0");
        let shown: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(shown["file"], "bridge.yaml");
        let setting = |key: &str| {
            let settings = shown["settings"].as_array().expect("settings");
            settings.iter().find(|setting| setting["key"] == key).expect("key").to_string()
        };
        assert_snapshot!(setting("workers"), @r#"{"key":"workers","value":2,"source":{"kind":"file","path":"bridge.yaml","line":1,"column":10}}"#);
        assert_snapshot!(setting("log.private"), @r#"{"key":"log.private","value":true,"source":{"kind":"env","name":"OPENIM_BRIDGE_LOG_PRIVATE"}}"#);
        assert_snapshot!(setting("decision.timeout"), @r#"{"key":"decision.timeout","value":"1s","source":{"kind":"flag","name":"--timeout"}}"#);
        assert_snapshot!(setting("limits.connections"), @r#"{"key":"limits.connections","value":null,"source":{"kind":"default"}}"#);
    }

    #[test]
    fn schema_is_json() {
        let (code, out, log) = bridge_config(&["schema"], "wokers: 2", &[]);
        assert_eq!((&*code, &*log), ("0", ""));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&out).expect("JSON"), config::schema());
    }
}
