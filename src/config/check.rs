//! From raw settings to checked ones: what no setting can be told by itself.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU16,
    time::Duration,
};

use super::{
    entry::Entry,
    error::{Problem, ValueSource, Warning},
    field::{FilePath, Size, human},
    raw::{MAX_BYTES, Raw, RawCallback, RawCallbacks, RawForward, RawLogIds, RawResolve},
};
use crate::base::{file_watch::LOOK_EVERY, yaml::read_text};
use crate::bridge::{
    BridgeLimits, BridgeSettings, DecisionSettings, DeliverySettings, OperationIdSettings, ResponseSettings, Shares,
};
use crate::callback::CALLBACKS;
use crate::openim::RefusalDefaults;
use crate::policy::{
    AccessSettings, Action, Credentials, FallbackActions, FallbackPolicy, FallbackRefusal, OwnPolicy, Rest, Route,
    Routes, UnknownRoute,
};
use crate::server::{AdminSettings, CONNECTION_BYTES, DrainSettings, ReadySettings, Settings, TlsSettings};
use crate::telemetry::log::{LogIds, LogSettings, PseudonymKey};
use crate::upstream::{
    EjectSettings, ForwardCredentials, ForwardSettings, HealthSettings, TlsKeys, TtlBounds, UpstreamSettings,
    UpstreamTlsSettings,
};

/// What an answer needs on top of its deadline to be written out.
const DRAIN_MARGIN: Duration = Duration::from_secs(1);

/// What files hold that settings name.
pub(super) struct Beside {
    pub(super) basic_auth: Option<Credentials>,
    pub(super) log_ids: LogIds,
    pub(super) forward: Option<ForwardCredentials>,
}

/// Where the values came from, for messages.
pub(super) trait Origins {
    fn source(&self, key: &str) -> ValueSource;
}

impl Origins for &[Entry] {
    fn source(&self, key: &str) -> ValueSource {
        self.iter().rfind(|entry| entry.leaf.key == key).map_or(ValueSource::Default, |entry| entry.source.clone())
    }
}

/// Whether two listeners would be in each other's way: the wildcard address takes the port on all of its family, and
/// IPv6's takes IPv4's too.
fn meet(a: SocketAddr, b: SocketAddr) -> bool {
    let takes = |one: IpAddr, other: IpAddr| one.is_unspecified() && (one.is_ipv6() || other.is_ipv4());
    a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || takes(a.ip(), b.ip()) || takes(b.ip(), a.ip()))
}

impl Raw {
    /// The checks that need more than one setting. Caps `upstream.connect_timeout`, and
    /// fills in what depends on the process's memory, where nobody has set it.
    pub(super) fn check(&mut self, origins: &impl Origins) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |text: String| problems.push(Problem::Combination(text));
        let say = |key: &str, value: &dyn std::fmt::Display| format!("`{key}` ({value}, {})", origins.source(key));

        let is_set = |key: &str| origins.source(key) != ValueSource::Default;

        let (timeout, connect) = (self.decision.timeout.0, self.upstream.connect_timeout.0);
        if connect >= timeout {
            if is_set("upstream.connect_timeout") {
                let connect = say("upstream.connect_timeout", &human(connect));
                wrong(format!("{connect} must be less than {}", say("decision.timeout", &human(timeout))));
            } else {
                self.upstream.connect_timeout.0 = timeout;
            }
        }
        for (least_key, least, most_key, most) in [
            (
                "upstream.eject.probe_min",
                self.upstream.eject.probe_min.0,
                "upstream.eject.probe_max",
                self.upstream.eject.probe_max.0,
            ),
            (
                "upstream.resolve.ttl_min",
                self.upstream.resolve.ttl_min.0,
                "upstream.resolve.ttl_max",
                self.upstream.resolve.ttl_max.0,
            ),
        ] {
            if most < least {
                let most = say(most_key, &human(most));
                wrong(format!("{most} must be at least {}", say(least_key, &human(least))));
            }
        }
        let addresses: Vec<_> = self.upstream.addresses.0.iter().map(|address| &address.0).collect();
        for (index, address) in addresses.iter().enumerate() {
            if let Some(first) = addresses[..index].iter().find(|first| first.is_same_place(address)) {
                let at = origins.source("upstream.addresses");
                wrong(format!("`upstream.addresses` ({at}) names one place twice: keep one of {first} and {address}"));
            }
        }
        let (delay, drain) = (self.drain.delay.0, self.drain.timeout.0);
        let own = self
            .callbacks
            .named
            .iter()
            .filter_map(|(name, own)| Some((format!("callbacks.{name}.timeout"), own.timeout?.0)));
        let longest = own.chain([("decision.timeout".to_owned(), timeout)]).max_by_key(|(_, timeout)| *timeout);
        let (longest_key, longest) = longest.unwrap_or_default();
        let least = delay + longest + DRAIN_MARGIN;
        if drain < least {
            wrong(format!(
                "{} must be at least {} + {} + {}, which is {}",
                say("drain.timeout", &human(drain)),
                say("drain.delay", &human(delay)),
                say(&longest_key, &human(longest)),
                human(DRAIN_MARGIN),
                human(least),
            ));
        }
        let shown = "a client certificate needs both";
        for (group, cert, key, why) in [
            ("tls", &self.tls.cert, &self.tls.key, "HTTPS needs both, plain HTTP neither"),
            ("upstream.tls", &self.upstream.tls.cert, &self.upstream.tls.key, shown),
            ("forward.tls", &self.forward.tls.cert, &self.forward.tls.key, shown),
        ] {
            let (path, one, other) = match (cert, key) {
                (Some(cert), None) => (cert, "cert", "key"),
                (None, Some(key)) => (key, "key", "cert"),
                _ => continue,
            };
            let one = say(&format!("{group}.{one}"), &path.0.display());
            wrong(format!("{one} needs `{group}.{other}` too: {why}"));
        }
        let rest = (self.decision.rest == Rest::Forward).then(|| "decision.rest".to_owned());
        for key in self.callbacks.forwarding().chain(rest).filter(|_| self.forward.url.is_none()) {
            let forwards = say(&key, &"forward");
            wrong(format!("{forwards} needs `forward.url` too: where the receiver is that answers"));
        }
        if let Some(admin) = self.admin.listen.0.filter(|admin| meet(*admin, self.listen.0)) {
            let admin = say("admin.listen", &admin);
            wrong(format!("{admin} must have another port than {}", say("listen", &self.listen.0)));
        }
        let request = self.limits.request_bytes.0;
        let body = self.limits.body_bytes.get_or_insert(Size(BridgeLimits::body_bytes_for(request))).0;
        self.delivery.queue_bytes.get_or_insert(Size(DeliverySettings::default().queue_bytes));
        if body < request {
            let body = say("limits.body_bytes", &body);
            wrong(format!("{body} must be at least {}", say("limits.request_bytes", &request)));
        }
        problems
    }

    /// What is odd, where [`Self::check`] found nothing wrong.
    pub(super) fn warnings(&self, origins: &impl Origins) -> Vec<Warning> {
        let harms = self.callbacks.harmful_refusals();
        let harms = harms.map(|key| Warning::LosesMessages { at: origins.source(&key), key });
        harms.chain(self.unused_tls(origins)).chain(self.beyond_memory(Shares::of_process())).collect()
    }

    /// Whether the limits allow more than the process's memory holds.
    fn beyond_memory(&self, shares: Shares) -> Option<Warning> {
        let budget = shares.budget?;
        let of = |value: Option<Size<{ MAX_BYTES }>>, share: usize| value.map_or(share, |value| value.0.get());
        let callbacks = of(self.limits.body_bytes, shares.callbacks);
        let queue = of(self.delivery.queue_bytes, shares.queue);
        let connections = self.limits.connections.map_or(0, |count| count.0.get().saturating_mul(CONNECTION_BYTES));
        let all = callbacks.saturating_add(queue).saturating_add(connections);
        (all > budget).then_some(Warning::BeyondMemory { callbacks, queue, connections, budget })
    }

    fn unused_tls(&self, origins: &impl Origins) -> Vec<Warning> {
        let upstream = ["upstream.tls.ca", "upstream.tls.cert", "upstream.tls.key", "upstream.tls.server_name"];
        let forward = ["forward.tls.ca", "forward.tls.cert", "forward.tls.key", "forward.tls.server_name"];
        let to_service = self.upstream.addresses.0.iter().any(|address| address.0.is_secured());
        let to_receiver = self.forward.url.as_ref().is_some_and(|url| url.0.is_secured());
        let unused = |keys: [&'static str; 4], is_used: bool, why: &'static str| {
            let given = keys.into_iter().map(|key| (key, origins.source(key)));
            let given = given.filter(move |(_, at)| !is_used && *at != ValueSource::Default);
            given.map(move |(key, at)| Warning::UnusedTls { key, at, why }).collect::<Vec<_>>()
        };
        let of_service = unused(upstream, to_service, "no address in `upstream.addresses` begins with https://");
        [of_service, unused(forward, to_receiver, "`forward.url` does not begin with https://")].concat()
    }

    /// What the file with the credentials holds, if one is named.
    pub(super) fn credentials(&self, origins: &impl Origins) -> Result<Option<Credentials>, Problem> {
        let Some(path) = self.access.basic_auth_file.as_ref().map(|path| path.0.clone()) else { return Ok(None) };
        let key = "access.basic_auth_file";
        let at = origins.source(key);
        match read_text(&path).map(|text| Credentials::parse(&text)) {
            Ok(Ok(credentials)) => Ok(Some(credentials)),
            Ok(Err(wrong)) => Err(Problem::Credentials { at, path, wrong }),
            Err(source) => Err(Problem::UnreadableFile { key, at, path, source }),
        }
    }

    /// What the receiver of forwarded callbacks is sent as `Authorization`, if a file is named.
    pub(super) fn forward_credentials(&self, origins: &impl Origins) -> Result<Option<ForwardCredentials>, Problem> {
        let Some(path) = self.forward.basic_auth_file.as_ref().map(|path| path.0.clone()) else { return Ok(None) };
        let key = "forward.basic_auth_file";
        let at = origins.source(key);
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(source) => return Err(Problem::UnreadableFile { key, at, path, source }),
        };
        let line = text.trim_end_matches(['\r', '\n']);
        let credentials =
            (line.contains(':') && !line.contains(char::is_control)).then(|| ForwardCredentials::new(line));
        credentials.flatten().map(Some).ok_or_else(|| {
            let place = path.display();
            Problem::Combination(format!("{place}: expected one line user:password (`{key}`, {at})"))
        })
    }

    /// How log lines hold user IDs, with the key that a file holds, if one is named.
    pub(super) fn log_ids(&self, origins: &impl Origins) -> Result<LogIds, Problem> {
        match (self.log.ids, &self.log.ids_key_file) {
            (RawLogIds::Plain, _) => Ok(LogIds::Plain),
            (RawLogIds::Omit, _) => Ok(LogIds::Omit),
            (RawLogIds::Hash, None) => PseudonymKey::of_process().map(LogIds::Hash).map_err(|_| {
                Problem::Combination("`log.ids: hash` needs a random key, and the system gives none".to_owned())
            }),
            (RawLogIds::Hash, Some(FilePath(path))) => {
                let (key, path) = ("log.ids_key_file", path.clone());
                let at = origins.source(key);
                match read_text(&path).map(|text| PseudonymKey::parse(&text)) {
                    Ok(Ok(key)) => Ok(LogIds::Hash(key)),
                    Ok(Err(wrong)) => Err(Problem::IdsKey { at, path, wrong }),
                    Err(source) => Err(Problem::UnreadableFile { key, at, path, source }),
                }
            }
        }
    }

    pub(super) fn into_settings(self, beside: Beside) -> Settings {
        let Beside { basic_auth, log_ids: ids, forward: credentials } = beside;
        let forward = self.forward.into_settings(credentials, &self.upstream.resolve);
        let class = self.fallback.class;
        let (limits, delivery) = (BridgeLimits::default(), DeliverySettings::default());
        let bridge = BridgeSettings {
            access: AccessSettings { allow: self.access.allow.0, basic_auth },
            decision: DecisionSettings {
                timeout: self.decision.timeout.0,
                enforce_percent: self.decision.enforce_percent.0,
                rest: self.decision.rest,
            },
            fallback: FallbackPolicy {
                action: self.fallback.action,
                // In the order of `ErrorClass::ALL`.
                class: [
                    class.timeout,
                    class.unavailable,
                    class.overloaded,
                    class.denied,
                    class.unimplemented,
                    class.invalid_reply,
                    class.internal,
                ],
                refusal: FallbackRefusal {
                    code: self.fallback.refusal.code.map(|code| code.0),
                    message: self.fallback.refusal.message.0,
                    detail: self.fallback.refusal.detail.0,
                },
            },
            refusal: RefusalDefaults {
                code: self.refusal.default_code.0,
                message: self.refusal.default_message.0,
                codes: self.refusal.codes.0,
            },
            response: ResponseSettings { next_code: self.response.next_code },
            routes: self.callbacks.into_routes(),
            operation_id: OperationIdSettings { missing: self.operation_id.missing },
            delivery: DeliverySettings {
                max_age: self.delivery.max_age.0,
                max_attempts: self.delivery.max_attempts.0,
                attempt_timeout: self.delivery.attempt_timeout.0,
                concurrency: self.delivery.concurrency.0,
                queue_bytes: self.delivery.queue_bytes.map_or(delivery.queue_bytes, |bytes| bytes.0),
            },
            limits: BridgeLimits {
                request_bytes: self.limits.request_bytes.0,
                body_bytes: self.limits.body_bytes.map_or(limits.body_bytes, |bytes| bytes.0),
                in_flight: self.limits.in_flight.0,
            },
            log: LogSettings { level: self.log.level, format: self.log.format, private: self.log.private, ids },
        };
        let upstream = UpstreamSettings {
            addresses: self.upstream.addresses.0.into_iter().map(|address| address.0).collect(),
            connect_timeout: self.upstream.connect_timeout.0,
            connections: self.upstream.connections.0,
            resolve: TtlBounds { min: self.upstream.resolve.ttl_min.0, max: self.upstream.resolve.ttl_max.0 },
            name_server: self.upstream.resolve.server.map(|server| server.0),
            tls: UpstreamTlsSettings {
                keys: TlsKeys::UPSTREAM,
                ca: self.upstream.tls.ca.map(|ca| ca.0),
                client: self.upstream.tls.cert.zip(self.upstream.tls.key).map(|(cert, key)| (cert.0, key.0)),
                server_name: self.upstream.tls.server_name.map(|name| name.0),
                look_every: LOOK_EVERY,
            },
            health: HealthSettings {
                service: self.upstream.health.service.0,
                interval: self.upstream.health.interval.0,
                timeout: self.upstream.health.timeout.0,
            },
            eject: EjectSettings {
                failures: self.upstream.eject.failures.0,
                probe_min: self.upstream.eject.probe_min.0,
                probe_max: self.upstream.eject.probe_max.0,
            },
        };
        Settings {
            listen: self.listen.0,
            tls: self.tls.cert.zip(self.tls.key).map(|(cert, key)| TlsSettings {
                cert: cert.0,
                key: key.0,
                look_every: LOOK_EVERY,
            }),
            // 256 at most, by its type.
            workers: NonZeroU16::try_from(self.workers.0).unwrap_or(NonZeroU16::MAX),
            connections: self.limits.connections.map(|connections| connections.0),
            connection_bytes: None,
            bridge,
            upstream,
            forward,
            admin: AdminSettings { listen: self.admin.listen.0, write: self.admin.write, hosts: self.admin.hosts.0 },
            ready: ReadySettings {
                require_upstream: self.ready.require_upstream,
                wait_for_upstream: self.ready.wait_for_upstream.0,
            },
            drain: DrainSettings { delay: self.drain.delay.0, timeout: self.drain.timeout.0 },
        }
    }
}

impl RawForward {
    /// Names are resolved as those of the decision service.
    fn into_settings(self, credentials: Option<ForwardCredentials>, resolve: &RawResolve) -> Option<ForwardSettings> {
        Some(ForwardSettings {
            url: self.url?.0,
            credentials,
            connect_timeout: self.connect_timeout.0,
            resolve: TtlBounds { min: resolve.ttl_min.0, max: resolve.ttl_max.0 },
            name_server: resolve.server.map(|server| server.0),
            tls: UpstreamTlsSettings {
                keys: TlsKeys::FORWARD,
                ca: self.tls.ca.map(|ca| ca.0),
                client: self.tls.cert.zip(self.tls.key).map(|(cert, key)| (cert.0, key.0)),
                server_name: self.tls.server_name.map(|name| name.0),
                look_every: LOOK_EVERY,
            },
        })
    }
}

impl RawCallbacks {
    /// The settings that forward something.
    fn forwarding(&self) -> impl Iterator<Item = String> {
        let of_one = |(name, own): (&String, &RawCallback)| {
            let route = (own.route == Some(Route::Forward)).then(|| format!("callbacks.{name}.route"));
            let rest = (own.rest == Some(Rest::Forward)).then(|| format!("callbacks.{name}.rest"));
            [route, rest].into_iter().flatten()
        };
        let default = (self.default.route == Route::Forward).then(|| "callbacks.default.route".to_owned());
        let unknown = (self.unknown.route == UnknownRoute::Forward).then(|| "callbacks.unknown.route".to_owned());
        default.into_iter().chain(unknown).chain(self.named.iter().flat_map(of_one))
    }

    fn into_routes(self) -> Routes {
        let own = |name| self.named.get(name).map_or_else(OwnPolicy::default, RawCallback::policy);
        let is_none_named = self.named.is_empty();
        let all = CALLBACKS.iter().filter(|_| !is_none_named);
        let own = all.map(|callback| own(callback.name)).collect();
        Routes { default: self.default.route, unknown: self.unknown.route, own }
    }

    /// The settings that refuse what loses messages where it is refused.
    fn harmful_refusals(&self) -> impl Iterator<Item = String> {
        let of_one = |(name, own): (&str, &RawCallback)| {
            let name = name.to_owned();
            let refuses = |fallback: &FallbackActions| {
                [fallback.action].iter().chain(&fallback.class).any(|action| *action == Some(Action::Refuse))
            };
            let route = (own.route == Some(Route::Refuse)).then_some("route");
            let fallback = own.fallback.filter(|fallback| refuses(&fallback.0)).map(|_| "fallback");
            [route, fallback].into_iter().flatten().map(move |setting| format!("callbacks.{name}.{setting}"))
        };
        let loses = |name: &str| CALLBACKS.iter().any(|it| it.name == name && it.only_service_may_refuse());
        let named = self.named.iter().map(|(name, own)| (&**name, own));
        named.filter(move |(name, _)| loses(name)).flat_map(of_one)
    }
}

impl RawCallback {
    fn policy(&self) -> OwnPolicy {
        OwnPolicy {
            route: self.route,
            timeout: self.timeout.map(|timeout| timeout.0),
            fallback: self.fallback.map(|fallback| fallback.0).unwrap_or_default(),
            enforce_percent: self.enforce_percent.map(|percent| percent.0),
            rest: self.rest,
        }
    }
}
