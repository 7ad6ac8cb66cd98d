//! What is wrong with OpenIM's `url`. One function for each kind of fault.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::finding::{Finding, Severity};
use super::place::Place;
use super::side::{BridgeSide, NO_START, without_answer};
use super::url::{self, Destination, UrlFault};
use super::variables::name_of;
use super::webhooks::{CallbackConfig, WebhookValue, Webhooks, names};
use crate::callback::Callback;
use crate::policy::{AccessSettings, Rest, Route, UnknownRoute};

pub(super) fn url_findings(webhooks: &Webhooks, bridge: BridgeSide<'_>) -> Vec<Finding> {
    let at = webhooks.url.as_ref().map(|value| &value.at);
    let Some(text) = webhooks.url.as_ref().map_or(Some(String::new()), WebhookValue::text) else {
        return vec![
            Finding::wrong("value-type", "`url` is no text").at(at).why(NO_START).remedy("write it as a text"),
        ];
    };
    let fails = without_answer(webhooks, bridge);
    match Destination::parse(&text, bridge.served) {
        Err(fault) => vec![url_fault(&text, &fault, &fails, bridge).at_and_change(at, &text, &fault, bridge)],
        Ok(to) => {
            let findings = match other_receiver(&text, &to, webhooks, bridge) {
                Some(finding) => vec![finding],
                None => [
                    elsewhere(&text, &to, bridge),
                    query_kept(&text, &to),
                    scheme(&text, &to, &fails, bridge),
                    port(&text, &to, &fails, bridge),
                    credentials(&text, &to, bridge),
                    reach(&text, &to, &fails, bridge),
                ]
                .into_iter()
                .flatten()
                .collect(),
            };
            findings.into_iter().map(|finding| finding.at(at)).collect()
        }
    }
}

impl Finding {
    fn leads_to(self, url: &str) -> Self {
        let variable = format!("{}={}", name_of(&["url"]), url::shown(url));
        self.variable(variable).change(&["url"], url)
    }

    fn at_and_change(self, at: Option<&Place>, text: &str, fault: &UrlFault, bridge: BridgeSide<'_>) -> Self {
        match corrected(text, fault, bridge) {
            Some(url) => self.leads_to(&url).at(at),
            None => self.at(at),
        }
    }
}

fn url_fault(text: &str, fault: &UrlFault, fails: &str, bridge: BridgeSide<'_>) -> Finding {
    let scheme = scheme_of(bridge);
    let text = url::shown(text);
    let example = format!("{scheme}://bridge:{}/callbackExample", bridge.settings().listen.port());
    match fault {
        UrlFault::Missing => Finding::wrong("url-missing", "there is no `url`")
            .why("OpenIM does not know where to call; every enabled `before…` callback fails its user's action")
            .remedy(format!("set `url` to the bridge's address, such as {example}")),
        UrlFault::NoScheme => Finding::wrong("url-scheme", format!("`url` is {text}, without http:// or https://"))
            .why(fails)
            .remedy(format!("write it with its scheme, such as {example}")),
        UrlFault::Scheme(other) => {
            Finding::wrong("url-scheme", format!("`url` is {text}; OpenIM cannot post to {other}://"))
                .why(fails)
                .remedy(format!("write it with http:// or https://, such as {example}"))
        }
        UrlFault::Fragment => Finding::wrong("url-fragment", format!("`url` is {text}: the `#` swallows the command"))
            .why("OpenIM appends /COMMAND to the text of `url`, and nothing after a `#` is sent: the bridge answers 404 with code 9901, and the user's action is refused")
            .remedy("remove the `#` and everything after it"),
        UrlFault::Query => Finding::wrong("url-query", format!("`url` is {text}: the query swallows the command"))
            .why("OpenIM appends /COMMAND to the text of `url`, so that it ends up in the query's last value: the bridge answers with an error, and the user's action is refused")
            .remedy("remove the `?` and everything after it; OpenIM needs no ?command= or ?contenttype= there. A secret in a query cannot work: restrict callers with `access.allow`, or write a user and password of `access.basic_auth_file` into `url`"),
        UrlFault::Malformed(why) => Finding::wrong("url-malformed", format!("`url` is {text:?}, which is no URL: {why}"))
            .why(fails)
            .remedy(format!("write it as {example}")),
    }
}

/// What was meant, where that is plain.
fn corrected(text: &str, fault: &UrlFault, bridge: BridgeSide<'_>) -> Option<String> {
    let cut = |at: &[char]| text.split(at).next().map(str::to_owned);
    let url = match fault {
        UrlFault::Missing => {
            let to = bridge.reached_at?;
            Some(format!("{}://{}/callbackExample", to.scheme(), to.host_and_port()))
        }
        UrlFault::NoScheme if !text.contains("//") => Some(format!("{}://{text}", scheme_of(bridge))),
        UrlFault::Fragment | UrlFault::Query => cut(&['?', '#']),
        UrlFault::NoScheme | UrlFault::Scheme(_) | UrlFault::Malformed(_) => None,
    }?;
    // One thing at a time: what else is wrong with it shows once this is right.
    let better = match Destination::parse(&url, bridge.served) {
        Ok(_) => true,
        Err(other) => other != *fault && matches!(other, UrlFault::Fragment | UrlFault::Query),
    };
    better.then_some(url)
}

const fn scheme_of(bridge: BridgeSide<'_>) -> &'static str {
    if bridge.settings().tls.is_some() { "https" } else { "http" }
}

/// Whether the URL has the bridge's own port: then there is nothing in between that could map ports or end TLS.
fn is_direct(to: &Destination, bridge: BridgeSide<'_>) -> bool {
    let port = bridge.settings().listen.port();
    port != 0 && to.port == port
}

/// Another program that answers callbacks: OpenIM's chat server, or the one that the bridge forwards to.
fn other_receiver(text: &str, to: &Destination, webhooks: &Webhooks, bridge: BridgeSide<'_>) -> Option<Finding> {
    let place = |to: &Destination| to.host_and_port().to_ascii_lowercase();
    let port = bridge.settings().listen.port();
    let is_bridge = bridge.reached_at.map_or(to.port == port, |right| place(right) == place(to));
    let is_forwarded = bridge.settings().forward.as_ref().is_some_and(|forward| {
        let url = forward.url.to_string();
        let forwarded = Destination::parse(url.split('?').next().unwrap_or_default(), bridge.served);
        forwarded.is_ok_and(|forwarded| place(&forwarded) == place(to))
    });
    if is_bridge || !(is_forwarded || to.is_chat_server()) {
        return None;
    }
    let (it, what) = if to.is_chat_server() {
        ("OpenIM's chat server", "OpenIM's own chat server")
    } else {
        ("it", "the receiver of `forward.url`")
    };
    let finding = Finding::wrong(
        "url-other-receiver",
        format!("`url` leads to {what}, {}, and not to the bridge", to.host_and_port()),
    );
    // Who forwards to it and sends a callback elsewhere by its own setting wants that.
    let bridges = &bridge.settings().bridge;
    let goes_on = |served: &'static Callback| {
        let policy = bridges.policy(served);
        policy.route == Route::Forward || policy.rest == Rest::Forward || bridges.routes.own(served).route.is_some()
    };
    let is_kept = |callback: &CallbackConfig| {
        let known = bridge.served.iter().find(|served| served.name.eq_ignore_ascii_case(&callback.name));
        is_forwarded && known.map_or(bridges.routes.unknown == UnknownRoute::Forward, goes_on)
    };
    let lost: Vec<_> = webhooks.enabled().filter(|callback| !is_kept(callback)).collect();
    let right = bridge
        .reached_at
        .cloned()
        .or_else(|| (to.is_loopback() && port != 0).then(|| Destination { port, ..to.clone() }));
    if lost.is_empty() {
        let finding = finding
            .why("OpenIM's callbacks do not reach the bridge, which would forward to it as configured")
            .remedy("point `url` to the bridge");
        let moved = right.and_then(|right| url::moved(text, right.scheme(), &right.host_and_port()));
        return Some(match moved {
            Some(moved) => finding.leads_to(&moved),
            None => finding,
        });
    }
    let forward = if is_forwarded { String::new() } else { format!("\n  forward:\n    url: \"{}\"", url::shown(text)) };
    Some(
        finding
            .why(format!("there is one `url` for all callbacks. Once it leads to the bridge, {it} is asked no more for {}, which are enabled: what it does with them would be lost", names(&lost)))
            .remedy(format!("let the bridge forward to it what your service does not decide, by the bridge's configuration:{forward}\n  callbacks:\n    default: {{ route: forward }}\n    unknown: {{ route: forward }}\n    NAME: {{ route: service }}  # each that your service decides\nThen point `url` to the bridge. docs/migrating.md leads through it")),
    )
}

fn elsewhere(text: &str, to: &Destination, bridge: BridgeSide<'_>) -> Option<Finding> {
    if let Some(right) = bridge.reached_at {
        let is_same = to.scheme() == right.scheme() && to.host_and_port().eq_ignore_ascii_case(&right.host_and_port());
        let moved = url::moved(text, right.scheme(), &right.host_and_port())?;
        let (to, right) = (format!("{}://{}", to.scheme(), to.host_and_port()), right);
        return (!is_same).then(|| {
            Finding::wrong("url-elsewhere", format!("`url` leads to {to}"))
                .why(format!("the bridge is reached at {}://{}, by --url", right.scheme(), right.host_and_port()))
                .remedy("point it there")
                .leads_to(&moved)
        });
    }
    let address = to.address().filter(|_| !to.is_loopback())?;
    let listen = bridge.settings().listen;
    (!url::is_same(address, listen) && !url::is_only_local(listen)).then(|| {
        Finding::advice("url-elsewhere", format!("`url` leads to {address}, and {}", bridge.said("listen")))
            .why("unless something between the two translates addresses, OpenIM's callbacks go elsewhere")
            .remedy("point `url` to the bridge, or pass the address by which OpenIM reaches it with --url")
    })
}

fn query_kept(text: &str, to: &Destination) -> Option<Finding> {
    to.has_query.then(|| {
        let cut = text.split('?').next().unwrap_or(text);
        Finding::advice("url-query", format!("`url` is {}: its query names a command", url::shown(text)))
            .why("OpenIM appends /COMMAND itself; with a command in the query every other callback arrives under a wrong name")
            .remedy("remove the `?` and everything after it")
            .leads_to(cut)
    })
}

fn scheme(text: &str, to: &Destination, fails: &str, bridge: BridgeSide<'_>) -> Option<Finding> {
    let has_tls = bridge.settings().tls.is_some();
    if to.is_https == has_tls || bridge.reached_at.is_some_and(|right| right.is_https == to.is_https) {
        return None;
    }
    let is_direct = is_direct(to, bridge);
    let severity = if is_direct { Severity::Wrong } else { Severity::Advice };
    let (what, why) = if has_tls {
        ("`url` is http://, and the bridge takes https:// only", bridge.said("tls.cert"))
    } else {
        ("`url` is https://, and the bridge speaks plain HTTP", "`tls.cert` and `tls.key` are not set".to_owned())
    };
    let finding = Finding::new("url-tls", severity, what);
    if !is_direct {
        return Some(
            finding
                .why(format!("{why}. That is right only if something between the two translates, such as an ingress"))
                .remedy("check that there is such a thing, or give both the same"),
        );
    }
    let moved = url::moved(text, scheme_of(bridge), &to.host_and_port())?;
    let remedy = if has_tls {
        "write https://, with the host name that is in the certificate"
    } else {
        "write http://, or give the bridge a certificate (`tls.cert`, `tls.key`)"
    };
    Some(finding.why(format!("{why}. {fails}")).remedy(remedy).leads_to(&moved))
}

fn port(text: &str, to: &Destination, fails: &str, bridge: BridgeSide<'_>) -> Option<Finding> {
    let listen = bridge.settings().listen;
    if listen.port() == 0 || to.port == listen.port() || bridge.reached_at.is_some() {
        return None;
    }
    let what = format!("`url` leads to port {}, and {}", to.port, bridge.said("listen"));
    let is_here = to.is_loopback() || to.address() == Some(listen.ip());
    if !is_here {
        return Some(
            Finding::advice("url-port", what)
                .why("that is right only if something between the two maps ports, such as a Service or a proxy")
                .remedy(format!("check that it leads to port {} of the bridge in the end", listen.port())),
        );
    }
    let right = Destination { port: listen.port(), ..to.clone() };
    let moved = url::moved(text, to.scheme(), &right.host_and_port())?;
    let remedy = format!("write port {}, or start the bridge with --listen {}:{}", listen.port(), listen.ip(), to.port);
    Some(Finding::wrong("url-port", what).why(fails).remedy(remedy).leads_to(&moved))
}

fn credentials(text: &str, to: &Destination, bridge: BridgeSide<'_>) -> Option<Finding> {
    let access = AccessSettings { allow: vec![], basic_auth: bridge.settings().bridge.access.basic_auth.clone() };
    let headers = to.credentials.as_ref().and_then(basic).unwrap_or_default();
    let file = bridge.said("access.basic_auth_file");
    if access.check(IpAddr::V4(Ipv4Addr::LOCALHOST), &headers).is_err() {
        let what = match to.credentials {
            Some(_) => "the user and password in `url` are none that the bridge takes",
            None => "`url` holds no user and password, and the bridge asks for them",
        };
        return Some(
            Finding::wrong("url-credentials", what)
                .why(format!("{file}. The bridge answers 401 with code 9907, and the user's action is refused"))
                .remedy("write http://USER:PASSWORD@HOST:PORT/… with a pair from that file, reserved characters percent-encoded"),
        );
    }
    to.credentials.as_ref().map(|_| {
        let remedy = if access.basic_auth.is_some() {
            "let a network policy and `access.allow` say who may call, and use a password that opens nothing else"
        } else {
            "remove it: the bridge does not ask for it"
        };
        Finding::advice("url-password", format!("`url` holds credentials: {}", url::shown(text)))
            .why("on a network error, OpenIM's main branch includes the whole `url`, with the password in clear text, in the error that it returns to the API's caller; over http:// the password also crosses the network in clear text")
            .remedy(remedy)
    })
}

fn basic((user, password): &(String, String)) -> Option<HeaderMap> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    Some(HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&value).ok()?)]))
}

/// Whether another container or pod gets there.
fn reach(text: &str, to: &Destination, fails: &str, bridge: BridgeSide<'_>) -> Option<Finding> {
    let listen = bridge.settings().listen;
    if to.is_loopback() {
        // Who says where OpenIM reaches the bridge knows.
        return bridge.reached_at.is_none().then(|| {
            Finding::advice("url-loopback", format!("`url` is {}: the machine, container or pod of OpenIM itself", url::shown(text)))
                .why("in containers, OpenIM would call its own container, where no bridge listens. It is right only where both share one host or pod")
                .remedy(format!(
                    "use a name or an address that leads from OpenIM to the bridge, and start the bridge with --listen 0.0.0.0:{}",
                    listen.port()
                ))
        });
    }
    url::is_only_local(listen).then(|| {
        let severity = if is_direct(to, bridge) { Severity::Wrong } else { Severity::Advice };
        let what = format!(
            "{}: nothing but its own host or pod can reach it, and `url` leads to {}",
            bridge.said("listen"),
            to.host
        );
        Finding::new("listen-loopback", severity, what).why(fails).remedy(format!(
            "start the bridge with --listen 0.0.0.0:{}, and restrict callers with `access.allow` or a NetworkPolicy",
            listen.port()
        ))
    })
}
