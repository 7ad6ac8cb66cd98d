//! OpenTelemetry's variables, as far as its libraries do not read them, or not as they should: whether there are traces,
//! the protocol, the certificates, and the length of the queue. [`start`](super::start) reads them, once.
//!
//! The libraries read the others: endpoint, headers, timeout, compression, sampler, batches, attributes. Most wrong values
//! they ignore in silence, and [`mistakes`] finds these for the log.
//! Sources: <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>,
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use std::{env, fs, io};

use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_sdk::trace::{OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BSP_MAX_QUEUE_SIZE_DEFAULT};

/// The value of a variable that is set, and not empty.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

#[derive(Debug)]
pub(super) struct Wanted {
    /// An URL, or a host and a port. For the log: the exporter reads it itself.
    pub(super) endpoint: String,
    /// So many spans wait at most.
    pub(super) queue: usize,
    /// `None`: plain text.
    pub(super) tls: Option<ClientTlsConfig>,
}

/// Why there are no traces although an endpoint is set.
#[derive(Debug, thiserror::Error)]
pub(super) enum WrongVariable {
    #[error("{0} is `{1}`, and the bridge exports OTLP only over `grpc` (port 4317 of a collector)")]
    Protocol(String, String),
    #[error("OTEL_TRACES_EXPORTER is `{0}`, and the bridge supports only `otlp` and `none`")]
    Exporter(String),
    #[error("{0} names `{1}`, which cannot be read: {2}")]
    File(String, String, io::Error),
    #[error("a client certificate needs both OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY")]
    HalfIdentity,
}

/// What a value must be, as a check and in words.
type VariableRule = (fn(&str) -> bool, &'static str);

const NUMBER: VariableRule = (|value| value.parse::<u64>().is_ok_and(|number| number > 0), "a whole number from 1");
const RATIO: VariableRule =
    (|value| value.parse().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio)), "a number from 0 to 1");
const SWITCH: VariableRule = (|value| is_true(value) || value.eq_ignore_ascii_case("false"), "true or false");
const COMPRESSION: VariableRule = (|value| ["gzip", "none"].contains(&&*value.to_ascii_lowercase()), "gzip or none");
const SAMPLER: VariableRule = (
    |value| ["always_on", "always_off", "traceidratio"].contains(&value.strip_prefix("parentbased_").unwrap_or(value)),
    "always_on, always_off or traceidratio, with or without parentbased_ before it",
);

/// The variables whose wrong values nothing else reports.
const RULES: [(&str, VariableRule); 12] = [
    ("OTEL_SDK_DISABLED", SWITCH),
    ("OTEL_TRACES_SAMPLER", SAMPLER),
    ("OTEL_TRACES_SAMPLER_ARG", RATIO),
    ("OTEL_BSP_SCHEDULE_DELAY", NUMBER),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", NUMBER),
    (OTEL_BSP_MAX_QUEUE_SIZE, NUMBER),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", NUMBER),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", NUMBER),
    ("OTEL_EXPORTER_OTLP_INSECURE", SWITCH),
    ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", SWITCH),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", COMPRESSION),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", COMPRESSION),
];

/// A [`Lookup`] in the process's environment.
pub(super) fn environment(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// `None`: no traces are asked for.
pub(super) fn read(variable: Lookup) -> Result<Option<Wanted>, WrongVariable> {
    let Some((_, endpoint)) = of_traces(variable, "ENDPOINT") else { return Ok(None) };
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| is_true(&value)) {
        return Ok(None);
    }
    match variable("OTEL_TRACES_EXPORTER").as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => return Err(WrongVariable::Exporter(other.to_owned())),
    }
    if let Some((name, protocol)) = of_traces(variable, "PROTOCOL").filter(|(_, protocol)| protocol != "grpc") {
        return Err(WrongVariable::Protocol(name, protocol));
    }
    // The processor takes 0 as well, and then loses every span.
    let queue = variable(OTEL_BSP_MAX_QUEUE_SIZE).and_then(|size| size.parse().ok()).filter(|size| *size > 0);
    let tls = tls(variable, &endpoint)?;
    Ok(Some(Wanted { endpoint, queue: queue.unwrap_or(OTEL_BSP_MAX_QUEUE_SIZE_DEFAULT), tls }))
}

/// One for each value that is wrong: the variable, the value, and what would be right.
pub(super) fn mistakes(variable: Lookup) -> impl Iterator<Item = String> {
    RULES.into_iter().filter_map(move |(name, (is_right, right))| {
        let value = variable(name).filter(|value| !is_right(value))?;
        Some(format!("{name} is `{value}`, but must be {right}"))
    })
}

fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

/// One of the exporter's, with its name: that of traces before that of all signals.
fn of_traces(variable: Lookup, what: &str) -> Option<(String, String)> {
    let names = [format!("OTEL_EXPORTER_OTLP_TRACES_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
    names.into_iter().find_map(|name| variable(&name).map(|value| (name, value)))
}

/// The exporter reads no files, and without this trusts no authority at all.
fn tls(variable: Lookup, endpoint: &str) -> Result<Option<ClientTlsConfig>, WrongVariable> {
    let insecure = of_traces(variable, "INSECURE").is_some_and(|(_, value)| is_true(&value));
    if !endpoint.split_once("://").map_or(!insecure, |(scheme, _)| scheme.eq_ignore_ascii_case("https")) {
        return Ok(None);
    }
    let file = |what| match of_traces(variable, what) {
        Some((name, path)) => fs::read(&path).map(Some).map_err(|error| WrongVariable::File(name, path, error)),
        None => Ok(None),
    };
    let config = match file("CERTIFICATE")? {
        Some(authority) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)),
        None => ClientTlsConfig::new().with_enabled_roots(),
    };
    match (file("CLIENT_CERTIFICATE")?, file("CLIENT_KEY")?) {
        (None, None) => Ok(Some(config)),
        (Some(certificate), Some(key)) => Ok(Some(config.identity(Identity::from_pem(certificate, key)))),
        _ => Err(WrongVariable::HalfIdentity),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn reads(variables: &[(&str, &str)]) -> Result<Option<Wanted>, String> {
        read(&set(variables)).map_err(|error| error.to_string())
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");

    fn with(more: &[(&str, &str)]) -> Result<Option<Wanted>, String> {
        reads(&[&[ENDPOINT], more].concat())
    }

    #[test]
    fn traces_are_off_unless_an_endpoint_is_set_and_nothing_says_no() {
        let off = |wanted: Result<Option<Wanted>, String>| assert!(wanted.expect("no mistake").is_none());
        off(reads(&[]));
        off(reads(&[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]));
        off(with(&[("OTEL_SDK_DISABLED", "True")]));
        off(with(&[("OTEL_TRACES_EXPORTER", "none")]));
        assert_eq!(with(&[]).expect("right").expect("on").endpoint, "http://collector:4317");
        let own = with(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other:4317")]);
        assert_eq!(own.expect("right").expect("on").endpoint, "http://other:4317");
    }

    #[test]
    fn what_the_bridge_does_not_speak_is_said_with_what_would_be_right() {
        let error = with(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]).expect_err("wrong");
        assert!(error.starts_with("OTEL_EXPORTER_OTLP_PROTOCOL is `http/protobuf`, and"), "{error}");
        assert!(error.contains("only over `grpc`"), "{error}");
        let own = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")];
        assert!(with(&own).expect("right").is_some());
        assert!(with(&[("OTEL_TRACES_EXPORTER", "jaeger")]).expect_err("wrong").contains("`otlp` and `none`"));
    }

    #[test]
    fn what_the_libraries_would_pass_over_is_said_with_what_would_be_right() {
        let said = |name: &str, value: &str| mistakes(&set(&[(name, value)])).collect::<Vec<_>>().join(" ");
        for (name, right, wrong) in [
            ("OTEL_SDK_DISABLED", "True", "1"),
            ("OTEL_TRACES_SAMPLER", "always_off", "jaeger_remote"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "Always_On"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25", "2"),
            ("OTEL_TRACES_SAMPLER_ARG", "1", "-1"),
            ("OTEL_TRACES_SAMPLER_ARG", "0", "NaN"),
            ("OTEL_TRACES_SAMPLER_ARG", "1e-3", "half"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "7", "0"),
            ("OTEL_BSP_SCHEDULE_DELAY", "20", "20ms"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "GZIP", "zstd"),
        ] {
            assert_eq!(said(name, right), "", "{name}={right}");
            let told = format!("{name} is `{wrong}`, but must be ");
            assert!(said(name, wrong).starts_with(&told), "{name}={wrong}");
        }
        assert_eq!(mistakes(&set(&[])).count(), 0);
    }

    #[test]
    fn the_queue_holds_at_least_one() {
        let queue = |size| with(&[(OTEL_BSP_MAX_QUEUE_SIZE, size)]).expect("right").expect("on").queue;
        assert_eq!([queue("7"), queue("0"), queue("x")], [7, 2048, 2048]);
    }

    #[test]
    fn an_endpoint_is_secured_by_its_scheme_or_unless_insecure_is_said() {
        let secured = |endpoint: &str, insecure: &str| {
            let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_EXPORTER_OTLP_INSECURE", insecure)];
            reads(&variables).expect("right").expect("on").tls.is_some()
        };
        assert!(secured("https://collector:4317", "true") && secured("collector:4317", "false"));
        assert!(!secured("http://collector:4317", "false") && !secured("collector:4317", "true"));
        let files =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://a"), ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")];
        assert!(
            reads(&files).expect_err("wrong").starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE names `/nowhere/ca.pem`")
        );
    }
}
