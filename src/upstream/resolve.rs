//! Which IP addresses a host name has now, and how long that may be believed.
//!
//! For those who keep connections to every address of a name: [`Resolver::lookup`] asks the name servers each time,
//! without a cache, so that asking again right after a failed connection shows what has changed. Whoever asks keeps the
//! answer for [`Resolved::valid_for`], and keeps the last good one when a lookup fails: nothing is remembered here.
//!
//! hickory sends the questions, and reads `/etc/resolv.conf` and `/etc/hosts`. What is done here is what it would do
//! otherwise: the search list goes on as glibc's does, except where a stranger could be meant, for both kinds of address
//! at once, and half an answer is told from a whole one.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures_util::future;
use hickory_resolver::{
    Hosts, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::{DnsError, NetError, NoRecords, runtime::TokioRuntimeProvider},
    proto::{
        ProtoError,
        op::{Query, ResponseCode},
        rr::{Name, RecordType},
    },
    system_conf::read_system_conf,
};
use tokio::time::{sleep, timeout};

use super::settings::TtlBounds;

/// The most addresses that a name can have here; further ones are ignored.
const MOST_ADDRESSES: usize = 256;

/// The longest that a lookup may take, the search list included.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest that one name server may take. Two of these fit into [`LOOKUP_TIMEOUT`], so that a third name server, or
/// the answer of one kind when the other never comes, is still of use. Lost datagrams are resent within it.
const QUERY_TIMEOUT: Duration = Duration::from_millis(800);

/// How often `/etc/resolv.conf` and `/etc/hosts` are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    /// A and AAAA: sorted, each once, at least 1 and at most 256.
    pub(super) addresses: Vec<IpAddr>,
    /// How long they may be used before asking again: the smallest TTL, within [`TtlBounds`].
    pub(super) valid_for: Duration,
    /// Both kinds of address were answered for. When not, what is missing may still be there: an address that is not
    /// among these is not known to have gone.
    pub(super) complete: bool,
}

/// Why there are no addresses. What was known before may still be right, except that nobody vouches for it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    /// Cannot be asked for at all.
    #[error("this is not a host name")]
    NotAName(#[source] ProtoError),
    /// The name servers say that there is none: NXDOMAIN for each name of the search list.
    #[error("there is no such host name")]
    NoSuchName,
    /// The name is there without an A or AAAA record, as that of a headless Service without pods may be.
    #[error("the host name has no address")]
    NoAddress,
    #[error("no name server answered in time")]
    Timeout,
    /// A name server could not be asked, or answered that it cannot tell.
    #[error("the name servers gave no answer")]
    Failed(#[source] NetError),
}

impl From<NetError> for ResolveError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(NoRecords { response_code, .. })) => match response_code {
                ResponseCode::NXDomain => Self::NoSuchName,
                _ => Self::NoAddress,
            },
            NetError::Timeout => Self::Timeout,
            error => Self::Failed(error),
        }
    }
}

/// A lookup that failed: why, and what an operator needs to see where.
#[derive(Debug, thiserror::Error)]
#[error("{why}{asked}")]
pub(super) struct LookupError {
    pub(super) why: ResolveError,
    asked: Asked,
}

impl LookupError {
    /// Nothing was asked, and there is no address.
    pub(super) fn no_address() -> Self {
        Self { why: ResolveError::NoAddress, asked: Asked::default() }
    }
}

/// Whom a lookup asked for what, and what came back. Empty, and shown as nothing, where nothing was asked.
#[derive(Debug, Default)]
struct Asked {
    name_servers: String,
    answers: Vec<(Name, &'static str)>,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, answer)) in self.answers.iter().enumerate() {
            let before = if index == 0 { format!(" (asked {}: ", self.name_servers) } else { ", ".to_owned() };
            write!(f, "{before}{name} {answer}")?;
        }
        f.write_str(if self.answers.is_empty() { "" } else { ")" })
    }
}

impl Asked {
    fn note(&mut self, name: &Name, outcome: &Result<Resolved, ResolveError>) {
        let answer = match outcome {
            Ok(_) => "found",
            Err(ResolveError::NotAName(_)) => "not asked",
            Err(ResolveError::NoSuchName) => "NXDOMAIN",
            Err(ResolveError::NoAddress) => "no address",
            Err(ResolveError::Timeout) => "no answer",
            Err(ResolveError::Failed(error)) => match error {
                NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => "SERVFAIL",
                NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => "REFUSED",
                NetError::Dns(_) => "error",
                _ => "not reached",
            },
        };
        self.answers.push((name.clone(), answer));
    }
}

/// What `/etc/resolv.conf` and `/etc/hosts` held; `None` for one that could not be read.
#[derive(Debug, PartialEq, Eq)]
struct SystemFiles([Option<Vec<u8>>; 2]);

impl SystemFiles {
    fn read() -> Self {
        Self([RESOLV_CONF, HOSTS].map(|file| fs::read(file).ok()))
    }
}

/// Asks the name servers. To be used within one tokio runtime.
#[derive(Debug)]
pub(super) struct Resolver {
    /// Building it fails only for want of what is not built in, such as TLS; each lookup would say so.
    dns: Result<TokioResolver, NetError>,
    hosts: Hosts,
    search: Vec<Name>,
    ndots: usize,
    bounds: TtlBounds,
    timeout: Duration,
    /// For logs.
    name_servers: String,
    /// What this was made of. `None`: not of the system's files.
    files: Option<SystemFiles>,
}

impl Resolver {
    /// As `/etc/resolv.conf` and `/etc/hosts` say, read here: [`Self::outdated`] tells when they have changed. Without a
    /// usable `/etc/resolv.conf` the name server is 127.0.0.1, as resolv.conf(5) has it.
    pub(super) fn system(bounds: TtlBounds) -> Self {
        // Before they are read: what is written meanwhile is a change.
        let files = Some(SystemFiles::read());
        let (config, options) = read_system_conf().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot use /etc/resolv.conf: asking a name server at 127.0.0.1");
            let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            (ResolverConfig::from_name_servers(vec![local]), ResolverOpts::default())
        });
        let hosts = Hosts::from_system().unwrap_or_default();
        Self { files, ..Self::new(config, options, hosts, bounds) }
    }

    /// Returns once the system's files are others than those that this was made of. For good where it was not.
    pub(super) async fn outdated(&self) {
        let Some(files) = &self.files else { return std::future::pending().await };
        while *files == SystemFiles::read() {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Asks only this name server, over UDP and TCP: no search list, no `/etc/hosts`.
    pub(super) fn asking(name_server: SocketAddr, bounds: TtlBounds) -> Self {
        Self::new(only(name_server), ResolverOpts::default(), Hosts::default(), bounds)
    }

    fn new(config: ResolverConfig, mut options: ResolverOpts, hosts: Hosts, bounds: TtlBounds) -> Self {
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = options.timeout.min(QUERY_TIMEOUT);
        options.attempts = 1;
        let ndots = options.ndots;
        // The host's own domain counts only where no search list is given, as in glibc.
        let search = match &config.domain {
            Some(domain) if config.search.is_empty() => vec![domain.clone()],
            _ => config.search.clone(),
        };
        let name_servers: Vec<_> = config.name_servers().iter().map(|server| server.ip.to_string()).collect();
        let name_servers = name_servers.join(" ");
        let dns =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options).build();
        Self { dns, hosts, search, ndots, bounds, timeout: LOOKUP_TIMEOUT, name_servers, files: None }
    }

    /// The addresses that `host`, a name or an IP address without brackets, has now. Takes at most 2 s.
    pub(super) async fn lookup(&self, host: &str) -> Result<Resolved, LookupError> {
        if let Ok(address) = host.parse() {
            return Ok(Resolved { addresses: vec![address], valid_for: self.bounds.max, complete: true });
        }
        let mut asked = Asked { name_servers: self.name_servers.clone(), answers: Vec::new() };
        let outcome = match Name::from_str_relaxed(host).map_err(ResolveError::NotAName) {
            Ok(name) => match self.in_hosts(&name) {
                Some(resolved) => Ok(resolved),
                None => {
                    timeout(self.timeout, self.search(name, &mut asked)).await.unwrap_or(Err(ResolveError::Timeout))
                }
            },
            Err(not_a_name) => Err(not_a_name),
        };
        outcome.map_err(|why| LookupError { why, asked })
    }

    /// A name in the hosts file is not asked for: not even for the kind of address that is missing there.
    fn in_hosts(&self, name: &Name) -> Option<Resolved> {
        let answers: Vec<_> = [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(|kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind)))
            .collect();
        (!answers.is_empty()).then(|| self.resolved(&answers, true))
    }

    /// The first candidate that has an address. As in glibc, "no such name", "no address" and SERVFAIL lead to the next
    /// one, and any other failure ends the search; but see [`ends_with`].
    async fn search(&self, name: Name, asked: &mut Asked) -> Result<Resolved, ResolveError> {
        let mut result = ResolveError::NoSuchName;
        for candidate in self.candidates(&name) {
            let outcome = self.ask(candidate.clone()).await;
            asked.note(&candidate, &outcome);
            match outcome {
                Err(ResolveError::NoSuchName) => {}
                Err(error) if !ends_with(&error, &name, &candidate) => {
                    // A server that could not tell may know better the next time: that is what is reported.
                    if !matches!(result, ResolveError::Failed(_)) {
                        result = error;
                    }
                }
                outcome => return outcome,
            }
        }
        Err(result)
    }

    /// Fully qualified names to ask for, in this order. A name within a domain of the search list is complete: nothing
    /// else is asked for, since whatever else is found, by a wildcard of the node's own domain, is a stranger.
    fn candidates(&self, name: &Name) -> Vec<Name> {
        let mut as_it_is = name.clone();
        as_it_is.set_fqdn(true);
        if name.is_fqdn() || self.search.iter().any(|domain| is_within(&as_it_is, domain)) {
            return vec![as_it_is];
        }
        // A name that gets too long with a domain cannot be in it.
        let mut candidates: Vec<_> =
            self.search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
        for candidate in &mut candidates {
            candidate.set_fqdn(true);
        }
        // `search .` means the name as it is, at that place.
        if !candidates.contains(&as_it_is) {
            let as_it_is_first = usize::from(name.num_labels()) > self.ndots || name.is_localhost();
            candidates.insert(if as_it_is_first { 0 } else { candidates.len() }, as_it_is);
        }
        candidates
    }

    async fn ask(&self, name: Name) -> Result<Resolved, ResolveError> {
        use ResolveError::{NoAddress, NoSuchName};

        let dns = self.dns.as_ref().map_err(|error| ResolveError::Failed(error.clone()))?;
        let (v4, v6) = future::join(dns.ipv4_lookup(name.clone()), dns.ipv6_lookup(name)).await;
        match (v4.map_err(ResolveError::from), v6.map_err(ResolveError::from)) {
            (Ok(v4), Ok(v6)) => Ok(self.resolved(&[v4, v6], true)),
            (Ok(one), Err(other)) | (Err(other), Ok(one)) => {
                Ok(self.resolved(&[one], matches!(other, NoSuchName | NoAddress)))
            }
            (Err(NoSuchName), Err(NoSuchName)) => Err(NoSuchName),
            (Err(NoSuchName | NoAddress), Err(NoSuchName | NoAddress)) => Err(NoAddress),
            (Err(NoSuchName | NoAddress), Err(failure)) | (Err(failure), Err(_)) => Err(failure),
        }
    }

    fn resolved(&self, answers: &[Lookup], complete: bool) -> Resolved {
        let records = || answers.iter().flat_map(Lookup::answers);
        let mut addresses: Vec<_> = records().filter_map(|record| record.data.ip_addr()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MOST_ADDRESSES);
        // Half an answer is asked for again as soon as possible. An alias counts with its own TTL.
        let ttl = if complete { records().map(|record| record.ttl).min().unwrap_or(0) } else { 0 };
        Resolved { addresses, valid_for: self.bounds.clamp(Duration::from_secs(ttl.into())), complete }
    }
}

/// Whether this failure of `candidate`, which was made of `name`, ends the search. So does "no address" or SERVFAIL for a
/// name without dots, and for what Kubernetes calls a Service, `<service>.<namespace>.svc.…`: were `users.dev` to be asked
/// for while the cluster's name server has a bad moment, what was meant for a Service would go to a stranger.
fn ends_with(error: &ResolveError, name: &Name, candidate: &Name) -> bool {
    let may_go_on = matches!(
        error,
        ResolveError::NoAddress | ResolveError::Failed(NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)))
    );
    let dots = name.num_labels().saturating_sub(1);
    let is_service = dots <= 2 && candidate.iter().nth(2).is_some_and(|label| label.eq_ignore_ascii_case(b"svc"));
    !may_go_on || dots == 0 || is_service
}

/// Whether a fully qualified name is below a domain of the search list. One label alone is no domain here: `users.dev` is
/// a Service in the namespace `dev` rather than a host of the domain `dev`.
fn is_within(name: &Name, domain: &Name) -> bool {
    let mut domain = domain.clone();
    domain.set_fqdn(true);
    domain.num_labels() >= 2 && domain.num_labels() < name.num_labels() && domain.zone_of(name)
}

fn only(name_server: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = name_server.port();
        connection
    });
    ResolverConfig::from_name_servers(vec![NameServerConfig::new(name_server.ip(), true, connections.into())])
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        net::Ipv6Addr,
        sync::{Arc, Mutex},
    };

    use hickory_resolver::proto::{
        op::Message,
        rr::{RData, Record, rdata::CNAME},
    };
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, UdpSocket},
        task::JoinSet,
    };

    use super::*;

    const BOUNDS: TtlBounds = TtlBounds { min: Duration::from_secs(1), max: Duration::from_secs(30) };

    #[derive(Clone)]
    enum Reply {
        Records(Vec<Record>),
        Code(ResponseCode),
        Silence,
    }

    /// A name server, over UDP, and over TCP for what does not fit. Other names than its zone's get NXDOMAIN, other kinds
    /// of record than a name's an empty answer.
    struct NameServer {
        address: SocketAddr,
        state: Arc<Mutex<State>>,
        _tasks: JoinSet<()>,
    }

    #[derive(Default)]
    struct State {
        zone: HashMap<Name, HashMap<RecordType, Reply>>,
        asked: Vec<(String, RecordType)>,
    }

    impl NameServer {
        async fn start() -> Self {
            // The port of one protocol may be taken in the other.
            let (tcp, udp) = loop {
                let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
                if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                    break (tcp, udp);
                }
            };
            let address = udp.local_addr().unwrap();
            let state = Arc::new(Mutex::new(State::default()));
            let mut tasks = JoinSet::new();
            let of_udp = Arc::clone(&state);
            tasks.spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok((length, peer)) = udp.recv_from(&mut buffer).await {
                    let Some(mut reply) = answer(&of_udp, &buffer[..length]) else { continue };
                    if reply.to_vec().unwrap().len() > 512 {
                        reply.answers.clear();
                        reply.metadata.truncation = true;
                    }
                    udp.send_to(&reply.to_vec().unwrap(), peer).await.unwrap();
                }
            });
            let of_tcp = Arc::clone(&state);
            tasks.spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((mut stream, _)) = tcp.accept().await {
                    let state = Arc::clone(&of_tcp);
                    connections.spawn(async move {
                        while let Ok(length) = stream.read_u16().await {
                            let mut question = vec![0; length.into()];
                            stream.read_exact(&mut question).await.unwrap();
                            let Some(reply) = answer(&state, &question) else { continue };
                            let reply = reply.to_vec().unwrap();
                            stream.write_u16(reply.len().try_into().unwrap()).await.unwrap();
                            stream.write_all(&reply).await.unwrap();
                        }
                    });
                }
            });
            Self { address, state, _tasks: tasks }
        }

        fn set(&self, name: &str, kind: RecordType, reply: Reply) {
            let name = Name::from_ascii(name).unwrap();
            self.state.lock().unwrap().zone.entry(name).or_default().insert(kind, reply);
        }

        /// A and AAAA records with this TTL in seconds.
        fn has(&self, name: &str, ttl: u32, addresses: &[&str]) {
            let owner = Name::from_ascii(name).unwrap();
            for kind in [RecordType::A, RecordType::AAAA] {
                let records: Vec<_> = ips(addresses)
                    .into_iter()
                    .filter(|address| address.is_ipv4() == (kind == RecordType::A))
                    .map(|address| Record::from_rdata(owner.clone(), ttl, RData::from(address)))
                    .collect();
                self.set(name, kind, Reply::Records(records));
            }
        }

        fn resolver(&self) -> Resolver {
            patient(Resolver::asking(self.address, BOUNDS))
        }

        /// The names asked for, in order, without repetition.
        fn names_asked(&self) -> Vec<String> {
            let mut names: Vec<_> = self.state.lock().unwrap().asked.iter().map(|(name, _)| name.clone()).collect();
            names.dedup();
            names
        }
    }

    fn answer(state: &Mutex<State>, question: &[u8]) -> Option<Message> {
        let question = Message::from_vec(question).unwrap();
        let query = question.queries.first().unwrap().clone();
        let mut state = state.lock().unwrap();
        state.asked.push((query.name().to_string(), query.query_type()));
        let mut reply = question.into_response();
        match state.zone.get(query.name()).map(|kinds| kinds.get(&query.query_type())) {
            None => reply.metadata.response_code = ResponseCode::NXDomain,
            Some(None) => {}
            Some(Some(Reply::Records(records))) => {
                reply.add_answers(records.clone());
            }
            Some(Some(Reply::Code(code))) => reply.metadata.response_code = *code,
            Some(Some(Reply::Silence)) => return None,
        }
        Some(reply)
    }

    /// So that a busy machine gets its answer.
    fn patient(resolver: Resolver) -> Resolver {
        Resolver { timeout: Duration::from_mins(1), ..resolver }
    }

    fn ips(addresses: &[&str]) -> Vec<IpAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    /// Why there is no address.
    async fn why(resolver: &Resolver, host: &str) -> Option<ResolveError> {
        resolver.lookup(host).await.err().map(|error| error.why)
    }

    #[tokio::test]
    async fn all_addresses_of_both_kinds_sorted_and_each_once() {
        let server = NameServer::start().await;
        server.has("app.test.", 7, &["10.0.0.9", "fd00::2", "10.0.0.1", "10.0.0.9", "fd00::1"]);

        let resolved = server.resolver().lookup("app.test").await.unwrap();

        let addresses = ips(&["10.0.0.1", "10.0.0.9", "fd00::1", "fd00::2"]);
        assert_eq!(resolved, Resolved { addresses, valid_for: Duration::from_secs(7), complete: true });
    }

    #[tokio::test]
    async fn what_has_changed_is_seen_at_once_whatever_the_ttl() {
        let server = NameServer::start().await;
        let resolver = server.resolver();
        server.has("app.test.", 600, &["10.0.0.1"]);
        assert_eq!(resolver.lookup("app.test").await.unwrap().addresses, ips(&["10.0.0.1"]));

        server.has("app.test.", 600, &["10.0.0.2", "10.0.0.3"]);
        assert_eq!(resolver.lookup("app.test").await.unwrap().addresses, ips(&["10.0.0.2", "10.0.0.3"]));

        server.state.lock().unwrap().zone.clear();
        assert!(matches!(why(&resolver, "app.test").await, Some(ResolveError::NoSuchName)));

        server.has("app.test.", 600, &["10.0.0.1"]);
        assert_eq!(resolver.lookup("app.test").await.unwrap().addresses, ips(&["10.0.0.1"]));
    }

    #[tokio::test]
    async fn the_ttl_is_kept_within_its_bounds() {
        let server = NameServer::start().await;
        for (ttl, expected) in [(0, BOUNDS.min), (5, Duration::from_secs(5)), (3600, BOUNDS.max)] {
            server.has("app.test.", ttl, &["10.0.0.1"]);
            assert_eq!(server.resolver().lookup("app.test").await.unwrap().valid_for, expected, "TTL {ttl}");
        }
    }

    #[tokio::test]
    async fn the_smallest_ttl_counts_that_of_an_alias_included() {
        let server = NameServer::start().await;
        let target = Name::from_ascii("pods.test.").unwrap();
        let alias = Record::from_rdata(Name::from_ascii("app.test.").unwrap(), 3, RData::CNAME(CNAME(target.clone())));
        let address = Record::from_rdata(target, 20, RData::from(ips(&["10.0.0.1"])[0]));
        server.set("app.test.", RecordType::A, Reply::Records(vec![alias, address]));

        let resolved = server.resolver().lookup("app.test").await.unwrap();

        assert_eq!((resolved.addresses, resolved.valid_for), (ips(&["10.0.0.1"]), Duration::from_secs(3)));
    }

    #[tokio::test]
    async fn one_kind_without_records_is_a_whole_answer() {
        let server = NameServer::start().await;
        for addresses in [["10.0.0.1"], ["fd00::1"]] {
            server.has("app.test.", 7, &addresses);
            let resolved = server.resolver().lookup("app.test").await.unwrap();
            assert_eq!((resolved.addresses, resolved.complete), (ips(&addresses), true));
        }
    }

    #[tokio::test]
    async fn one_kind_failing_is_half_an_answer_and_asked_for_again_soon() {
        let server = NameServer::start().await;
        server.has("app.test.", 20, &["10.0.0.1"]);
        server.set("app.test.", RecordType::AAAA, Reply::Code(ResponseCode::ServFail));

        let resolved = server.resolver().lookup("app.test").await.unwrap();

        assert_eq!(resolved, Resolved { addresses: ips(&["10.0.0.1"]), valid_for: BOUNDS.min, complete: false });
    }

    #[tokio::test]
    async fn one_kind_without_an_answer_does_not_hide_the_other() {
        let server = NameServer::start().await;
        server.has("app.test.", 20, &["10.0.0.1"]);
        server.set("app.test.", RecordType::AAAA, Reply::Silence);

        let resolved = server.resolver().lookup("app.test").await.unwrap();

        assert_eq!((resolved.addresses, resolved.complete), (ips(&["10.0.0.1"]), false));
        assert!(QUERY_TIMEOUT * 2 < LOOKUP_TIMEOUT);
    }

    #[tokio::test]
    async fn a_name_without_any_address_is_told_from_no_name() {
        let server = NameServer::start().await;
        server.has("app.test.", 7, &[]);

        assert!(matches!(why(&server.resolver(), "app.test").await, Some(ResolveError::NoAddress)));
        assert!(matches!(why(&server.resolver(), "other.test").await, Some(ResolveError::NoSuchName)));
    }

    #[tokio::test]
    async fn a_failing_name_server_is_told() {
        let server = NameServer::start().await;
        server.set("app.test.", RecordType::A, Reply::Code(ResponseCode::ServFail));

        assert!(matches!(why(&server.resolver(), "app.test").await, Some(ResolveError::Failed(_))));
    }

    #[tokio::test]
    async fn a_silent_name_server_is_not_waited_for() {
        let server = NameServer::start().await;
        for kind in [RecordType::A, RecordType::AAAA] {
            server.set("app.test.", kind, Reply::Silence);
        }
        let mut resolver = server.resolver();
        resolver.timeout = Duration::from_millis(50);

        assert!(matches!(why(&resolver, "app.test").await, Some(ResolveError::Timeout)));
        server.has("app.test.", 7, &["10.0.0.1"]);
        let resolver = patient(resolver);
        assert_eq!(resolver.lookup("app.test").await.unwrap().addresses, ips(&["10.0.0.1"]));
    }

    #[tokio::test]
    async fn an_answer_too_large_for_a_datagram_is_complete_up_to_256_addresses() {
        let server = NameServer::start().await;
        let all: Vec<_> = (0..300_u16).map(|i| format!("10.0.{}.{}", i / 250, i % 250)).collect();
        server.has("app.test.", 7, &all.iter().map(String::as_str).collect::<Vec<_>>());

        let resolved = server.resolver().lookup("app.test").await.unwrap();

        assert_eq!(resolved.addresses, ips(&all.iter().map(String::as_str).collect::<Vec<_>>())[..256]);
    }

    #[tokio::test]
    async fn ip_addresses_are_their_own_and_valid_as_long_as_can_be() {
        let server = NameServer::start().await;
        for address in ["10.0.0.1", "fd00::1"] {
            let resolved = server.resolver().lookup(address).await.unwrap();
            assert_eq!(resolved, Resolved { addresses: ips(&[address]), valid_for: BOUNDS.max, complete: true });
        }
        assert_eq!(server.names_asked(), [""; 0]);
    }

    #[tokio::test]
    async fn localhost_needs_no_name_server() {
        let server = NameServer::start().await;
        let resolver = in_kubernetes(&server, Hosts::default());

        let resolved = resolver.lookup("localhost").await.unwrap();

        let addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        assert_eq!(resolved, Resolved { addresses, valid_for: BOUNDS.max, complete: true });
        assert_eq!(server.names_asked(), [""; 0]);
    }

    #[tokio::test]
    async fn the_hosts_file_comes_first() {
        let server = NameServer::start().await;
        let mut hosts = Hosts::default();
        hosts.read_hosts_conf(&b"10.9.9.9 app App2\n127.0.0.1 localhost\n"[..]).unwrap();
        let resolver = in_kubernetes(&server, hosts);

        for (name, address) in [("APP", "10.9.9.9"), ("app2", "10.9.9.9"), ("localhost", "127.0.0.1")] {
            let resolved = resolver.lookup(name).await.unwrap();
            assert_eq!((resolved.addresses, resolved.valid_for), (ips(&[address]), BOUNDS.max), "{name}");
        }
        assert_eq!(server.names_asked(), [""; 0]);
    }

    #[tokio::test]
    async fn what_is_no_name_is_not_asked_for() {
        let server = NameServer::start().await;
        let too_long = "a".repeat(64);
        for name in ["a..b", &too_long] {
            assert!(matches!(why(&server.resolver(), name).await, Some(ResolveError::NotAName(_))), "{name}");
        }
    }

    #[test]
    fn the_machine_s_own_settings_can_be_used() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let resolved = runtime.block_on(async { Resolver::system(BOUNDS).lookup("localhost").await.unwrap() });
        assert!(resolved.addresses.iter().all(IpAddr::is_loopback), "{resolved:?}");
    }

    /// The search list of a pod in the namespace `ns`.
    fn in_kubernetes(server: &NameServer, hosts: Hosts) -> Resolver {
        let mut config = only(server.address);
        for domain in CLUSTER {
            config.add_search(Name::from_ascii(domain).unwrap());
        }
        with_search(config, hosts)
    }

    const CLUSTER: [&str; 3] = ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local"];

    fn with_search(config: ResolverConfig, hosts: Hosts) -> Resolver {
        let mut options = ResolverOpts::default();
        options.ndots = 5;
        patient(Resolver::new(config, options, hosts, BOUNDS))
    }

    /// The same, with these domains after the cluster's, as the node's own are.
    fn with_domains_of_the_node(server: &NameServer, domains: &[&str]) -> Resolver {
        let mut config = only(server.address);
        for domain in CLUSTER.iter().chain(domains) {
            config.add_search(Name::from_ascii(domain).unwrap());
        }
        with_search(config, Hosts::default())
    }

    #[tokio::test]
    async fn a_name_within_a_search_domain_is_asked_for_as_it_is_and_nothing_else() {
        let server = NameServer::start().await;
        let resolver = with_domains_of_the_node(&server, &["corp.example"]);
        let name = "app.ns.svc.cluster.local";
        server.has("app.ns.svc.cluster.local.corp.example.", 5, &["192.0.2.66"]);

        assert!(matches!(why(&resolver, name).await, Some(ResolveError::NoSuchName)));
        server.has("app.ns.svc.cluster.local.", 5, &[]);
        assert!(matches!(why(&resolver, name).await, Some(ResolveError::NoAddress)));
        server.has("app.ns.svc.cluster.local.", 5, &["10.0.0.1"]);
        assert_eq!(resolver.lookup("APP.ns.SVC.cluster.local").await.unwrap().addresses, ips(&["10.0.0.1"]));
        assert_eq!(server.names_asked().iter().filter(|asked| asked.contains("corp")).count(), 0);
    }

    #[tokio::test]
    async fn a_namespace_that_is_called_as_a_domain_of_the_node_is_found_first() {
        let server = NameServer::start().await;
        let resolver = with_domains_of_the_node(&server, &["internal"]);
        server.has("users.internal.svc.cluster.local.", 5, &["10.0.0.1"]);
        server.has("users.internal.", 5, &["192.0.2.66"]);

        assert_eq!(resolver.lookup("users.internal").await.unwrap().addresses, ips(&["10.0.0.1"]));
    }

    #[tokio::test]
    async fn no_address_and_servfail_in_a_search_domain_lead_to_the_next_name() {
        for way in [Reply::Records(Vec::new()), Reply::Code(ResponseCode::ServFail)] {
            let server = NameServer::start().await;
            let resolver = with_domains_of_the_node(&server, &["corp.example", "lab.example"]);
            let broken = ["api.example.org.corp.example.", "example.org.corp.example."];
            for (name, kind) in broken.into_iter().flat_map(|name| [(name, RecordType::A), (name, RecordType::AAAA)]) {
                server.set(name, kind, way.clone());
            }

            server.has("api.example.org.", 5, &["10.0.0.1"]);
            assert_eq!(resolver.lookup("api.example.org").await.unwrap().addresses, ips(&["10.0.0.1"]));
            server.has("example.org.lab.example.", 5, &["10.0.0.2"]);
            assert_eq!(resolver.lookup("example.org").await.unwrap().addresses, ips(&["10.0.0.2"]));
        }
    }

    #[tokio::test]
    async fn a_name_server_that_could_not_tell_is_reported_and_a_refusal_ends_the_search() {
        let server = NameServer::start().await;
        let resolver = with_domains_of_the_node(&server, &["corp.example"]);
        server.set("api.example.org.corp.example.", RecordType::A, Reply::Code(ResponseCode::ServFail));

        let error = resolver.lookup("api.example.org").await.unwrap_err().to_string();
        assert_eq!(
            error,
            "the name servers gave no answer (asked 127.0.0.1: api.example.org.ns.svc.cluster.local. NXDOMAIN, \
             api.example.org.svc.cluster.local. NXDOMAIN, api.example.org.cluster.local. NXDOMAIN, \
             api.example.org.corp.example. SERVFAIL, api.example.org. NXDOMAIN)"
        );
        server.has("api.example.org.", 5, &["10.0.0.1"]);
        server.set("api.example.org.corp.example.", RecordType::A, Reply::Code(ResponseCode::Refused));
        assert!(matches!(why(&resolver, "api.example.org").await, Some(ResolveError::Failed(_))));
    }

    #[tokio::test]
    async fn a_search_for_the_root_is_the_name_as_it_is() {
        let server = NameServer::start().await;
        let resolver = with_domains_of_the_node(&server, &[".", "corp.example"]);
        resolver.lookup("users.dev").await.unwrap_err();
        let asked = ["ns.svc.cluster.local.", "svc.cluster.local.", "cluster.local.", "", "corp.example."];
        assert_eq!(server.names_asked(), asked.map(|domain| format!("users.dev.{domain}")));
    }

    #[tokio::test]
    async fn a_root_alone_is_no_host() {
        let server = NameServer::start().await;
        in_kubernetes(&server, Hosts::default()).lookup(".").await.unwrap_err();
    }

    #[tokio::test]
    async fn a_service_is_found_by_its_short_and_its_long_name() {
        let server = NameServer::start().await;
        server.has("app.ns.svc.cluster.local.", 5, &["10.0.0.1"]);
        let resolver = in_kubernetes(&server, Hosts::default());

        for name in ["app", "app.ns", "app.ns.svc", "app.ns.svc.cluster.local", "app.ns.svc.cluster.local."] {
            assert_eq!(resolver.lookup(name).await.unwrap().addresses, ips(&["10.0.0.1"]), "{name}");
        }
    }

    #[tokio::test]
    async fn the_search_list_comes_first_for_names_with_few_dots() {
        let server = NameServer::start().await;
        in_kubernetes(&server, Hosts::default()).lookup("users.dev").await.unwrap_err();
        let searched = ["ns.svc.cluster.local.", "svc.cluster.local.", "cluster.local.", ""];
        assert_eq!(server.names_asked(), searched.map(|domain| format!("users.dev.{domain}")));

        let server = NameServer::start().await;
        in_kubernetes(&server, Hosts::default()).lookup("a.b.c.d.e.f").await.unwrap_err();
        assert_eq!(server.names_asked()[0], "a.b.c.d.e.f.");
    }

    #[tokio::test]
    async fn nobody_else_is_asked_for_when_a_service_is_there_without_an_answer() {
        let server = NameServer::start().await;
        server.has("users.dev.", 5, &["203.0.113.1"]);
        let resolver = in_kubernetes(&server, Hosts::default());

        server.set("users.dev.svc.cluster.local.", RecordType::A, Reply::Code(ResponseCode::ServFail));
        assert!(matches!(why(&resolver, "users.dev").await, Some(ResolveError::Failed(_))));
        server.has("users.dev.svc.cluster.local.", 5, &[]);
        assert!(matches!(why(&resolver, "users.dev").await, Some(ResolveError::NoAddress)));

        server.set("users.ns.svc.cluster.local.", RecordType::A, Reply::Code(ResponseCode::ServFail));
        server.has("users.svc.cluster.local.", 5, &["203.0.113.1"]);
        assert!(matches!(why(&resolver, "users").await, Some(ResolveError::Failed(_))));
    }
}
