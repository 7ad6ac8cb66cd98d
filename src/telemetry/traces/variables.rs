//! OpenTelemetry's variables: those that say whether and where to, and those whose mistakes its library passes over in
//! silence. The rest (headers, timeout, compression, batches) it reads itself.
//! Sources: <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>,
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use std::{fs, io};

use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_sdk::trace::{OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BSP_MAX_QUEUE_SIZE_DEFAULT, Sampler};

/// What traces need.
#[derive(Debug)]
pub(super) struct Wanted {
    /// An URL, or a host and a port.
    pub(super) endpoint: String,
    pub(super) sampler: Sampler,
    /// So many spans wait at most.
    pub(super) queue: usize,
    /// `None`: plain text.
    pub(super) tls: Option<CollectorTls>,
    /// What is wrong with the rest of them.
    pub(super) warnings: Vec<String>,
}

/// Files' contents, in PEM.
#[derive(Debug, Default)]
pub(super) struct CollectorTls {
    /// `None`: the system's authorities.
    authority: Option<Vec<u8>>,
    /// Certificate and key.
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Why there are no traces although an endpoint is set.
#[derive(Debug, thiserror::Error)]
pub(super) enum WrongVariable {
    #[error("{0} is `{1}`, and the bridge speaks OTLP by `grpc` alone (port 4317 of a collector)")]
    Protocol(String, String),
    #[error("OTEL_TRACES_EXPORTER is `{0}`, and the bridge knows `otlp` and `none`")]
    Exporter(String),
    #[error("{0} names `{1}`, which cannot be read: {2}")]
    File(String, String, io::Error),
    #[error("a client certificate needs both OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY")]
    HalfIdentity,
}

/// Those that are set, and not empty.
struct Variables<F>(F);

/// `None`: no traces are asked for.
pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Wanted>, WrongVariable> {
    let variables = Variables(variable);
    let Some((_, endpoint)) = variables.of_traces("ENDPOINT") else { return Ok(None) };
    if variables.is_true("OTEL_SDK_DISABLED") {
        return Ok(None);
    }
    match variables.get("OTEL_TRACES_EXPORTER").as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => return Err(WrongVariable::Exporter(other.to_owned())),
    }
    if let Some((name, protocol)) = variables.of_traces("PROTOCOL").filter(|(_, protocol)| protocol != "grpc") {
        return Err(WrongVariable::Protocol(name, protocol));
    }
    let mut warnings = Vec::new();
    Ok(Some(Wanted {
        tls: variables.tls(&endpoint)?,
        sampler: variables.sampler(&mut warnings),
        queue: variables.queue(&mut warnings),
        endpoint,
        warnings,
    }))
}

/// `OTEL_SERVICE_NAME`.
pub(super) fn service_name(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    Variables(variable).get("OTEL_SERVICE_NAME")
}

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// One of the exporter's, with its name: that of traces before that of all signals.
    fn of_traces(&self, what: &str) -> Option<(String, String)> {
        let names = [format!("OTEL_EXPORTER_OTLP_TRACES_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
        names.into_iter().find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    fn file(&self, what: &str) -> Result<Option<Vec<u8>>, WrongVariable> {
        let Some((name, path)) = self.of_traces(what) else { return Ok(None) };
        fs::read(&path).map(Some).map_err(|error| WrongVariable::File(name, path, error))
    }

    fn tls(&self, endpoint: &str) -> Result<Option<CollectorTls>, WrongVariable> {
        let insecure = self.of_traces("INSECURE").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
        if !endpoint.split_once("://").map_or(!insecure, |(scheme, _)| scheme.eq_ignore_ascii_case("https")) {
            return Ok(None);
        }
        let identity = match (self.file("CLIENT_CERTIFICATE")?, self.file("CLIENT_KEY")?) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => return Err(WrongVariable::HalfIdentity),
        };
        Ok(Some(CollectorTls { authority: self.file("CERTIFICATE")?, identity }))
    }

    fn sampler(&self, warnings: &mut Vec<String>) -> Sampler {
        let parent_based = |root: Sampler| Sampler::ParentBased(Box::new(root));
        let Some(name) = self.get("OTEL_TRACES_SAMPLER") else { return parent_based(Sampler::AlwaysOn) };
        match &*name {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(self.ratio(warnings)),
            "parentbased_always_on" => parent_based(Sampler::AlwaysOn),
            "parentbased_always_off" => parent_based(Sampler::AlwaysOff),
            "parentbased_traceidratio" => parent_based(Sampler::TraceIdRatioBased(self.ratio(warnings))),
            _ => {
                warnings.push(format!(
                    "OTEL_TRACES_SAMPLER is `{name}`, which is none of always_on, always_off, traceidratio, \
                     parentbased_always_on, parentbased_always_off and parentbased_traceidratio: parentbased_always_on \
                     is used"
                ));
                parent_based(Sampler::AlwaysOn)
            }
        }
    }

    fn ratio(&self, warnings: &mut Vec<String>) -> f64 {
        let Some(text) = self.get("OTEL_TRACES_SAMPLER_ARG") else { return 1.0 };
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.unwrap_or_else(|| {
            warnings.push(format!("OTEL_TRACES_SAMPLER_ARG is `{text}`, and not a number from 0 to 1: 1 is used"));
            1.0
        })
    }

    fn queue(&self, warnings: &mut Vec<String>) -> usize {
        let Some(text) = self.get(OTEL_BSP_MAX_QUEUE_SIZE) else { return OTEL_BSP_MAX_QUEUE_SIZE_DEFAULT };
        text.parse().ok().filter(|queue| *queue > 0).unwrap_or_else(|| {
            let default = OTEL_BSP_MAX_QUEUE_SIZE_DEFAULT;
            warnings.push(format!("{OTEL_BSP_MAX_QUEUE_SIZE} is `{text}`, and not a number from 1: {default} is used"));
            default
        })
    }
}

impl CollectorTls {
    pub(super) fn config(&self) -> ClientTlsConfig {
        let config = match &self.authority {
            Some(authority) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)),
            None => ClientTlsConfig::new().with_enabled_roots(),
        };
        match &self.identity {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(variables: &[(&str, &str)]) -> Result<Option<Wanted>, String> {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        read(get).map_err(|error| error.to_string())
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");

    fn with(more: &[(&str, &str)]) -> Result<Option<Wanted>, String> {
        reads(&[&[ENDPOINT], more].concat())
    }

    #[test]
    fn traces_are_off_unless_an_endpoint_is_set_and_nothing_says_no() {
        let off = |wanted: Result<Option<Wanted>, String>| assert!(wanted.expect("no mistake").is_none());
        off(reads(&[]));
        off(reads(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]));
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
        assert!(error.contains("`grpc` alone"), "{error}");
        let own = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")];
        assert!(with(&own).expect("right").is_some());
        assert!(with(&[("OTEL_TRACES_EXPORTER", "jaeger")]).expect_err("wrong").contains("`otlp` and `none`"));
    }

    #[test]
    fn samplers_are_those_of_the_specification_and_mistakes_are_said() {
        let sampler = |name: &str, argument: &str| {
            let wanted = with(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
            let wanted = wanted.expect("right").expect("on");
            (format!("{:?}", wanted.sampler), wanted.warnings.len())
        };
        assert_eq!(sampler("", ""), ("ParentBased(AlwaysOn)".to_owned(), 0));
        assert_eq!(sampler("always_off", ""), ("AlwaysOff".to_owned(), 0));
        assert_eq!(sampler("parentbased_traceidratio", "0.25"), ("ParentBased(TraceIdRatioBased(0.25))".to_owned(), 0));
        assert_eq!(sampler("traceidratio", ""), ("TraceIdRatioBased(1.0)".to_owned(), 0));
        for wrong in ["2", "-1", "NaN", "half"] {
            assert_eq!(sampler("traceidratio", wrong), ("TraceIdRatioBased(1.0)".to_owned(), 1));
        }
        assert_eq!(sampler("jaeger_remote", ""), ("ParentBased(AlwaysOn)".to_owned(), 1));
    }

    #[test]
    fn the_queue_holds_at_least_one() {
        let queue = |size: &str| {
            let wanted = with(&[(OTEL_BSP_MAX_QUEUE_SIZE, size)]).expect("right").expect("on");
            (wanted.queue, wanted.warnings.len())
        };
        assert_eq!([queue(""), queue("7"), queue("0"), queue("x")], [(2048, 0), (7, 0), (2048, 1), (2048, 1)]);
    }

    #[test]
    fn an_endpoint_is_secured_by_its_scheme_or_unless_insecure_is_said() {
        let secured = |endpoint: &str, insecure: &str| {
            let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_EXPORTER_OTLP_INSECURE", insecure)];
            reads(&variables).expect("right").expect("on").tls.is_some()
        };
        assert!(secured("https://collector:4317", "true") && secured("collector:4317", ""));
        assert!(!secured("http://collector:4317", "") && !secured("collector:4317", "true"));
        let files =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://a"), ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")];
        assert!(
            reads(&files).expect_err("wrong").starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE names `/nowhere/ca.pem`")
        );
    }
}
