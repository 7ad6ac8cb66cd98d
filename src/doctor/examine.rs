//! The faults. One function for each part of the file; each fault is made in one place.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::finding::{Finding, Severity};
use super::place::Place;
use super::url::{self, Destination, UrlFault};
use super::variables::name_of;
use super::webhooks::{CallbackConfig, Oddity, WebhookField, WebhookValue, Webhooks};
use crate::base::text::without_password;
use crate::callback::Callback;
use crate::config::Loaded;
use crate::openim::TIMEOUT_CAP;
use crate::policy::{AccessSettings, Route, UnknownRoute};
use crate::server::Settings;

const FAILS: &str = "OpenIM lets the user's action fail when it has no answer that it can read";
const NOT_CALLED: &str = "OpenIM sends none of the callbacks, so nothing is decided";
const NO_START: &str = "OpenIM cannot read its configuration, and does not start";

#[derive(Debug, Clone, Copy)]
pub struct BridgeSide<'a> {
    pub loaded: &'a Loaded,
    /// The callbacks that it serves.
    pub served: &'static [Callback],
    /// Where OpenIM reaches it, if that has been said. One that is right.
    pub reached_at: Option<&'a Destination>,
}

impl BridgeSide<'_> {
    const fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// A setting with where it came from.
    fn said(&self, key: &str) -> String {
        match self.loaded.values.iter().find(|value| value.key == key) {
            Some(value) => format!("`{key}` is {} ({})", value.yaml(), value.source),
            None => format!("`{key}`"),
        }
    }
}

/// Everything that is wrong, in the order of what has to be put right first.
#[must_use]
pub fn examine(webhooks: &Webhooks, bridge: BridgeSide<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = webhooks.oddities.iter().map(oddity).collect();
    findings.extend(webhooks.callbacks.iter().flat_map(unreadable_values));
    findings.extend(url_findings(webhooks, bridge));
    findings.extend(callback_findings(webhooks, bridge));
    findings.extend(other_callbacks(webhooks, bridge));
    findings
}

fn oddity(oddity: &Oddity) -> Finding {
    match oddity {
        Oddity::Duplicate { key, at, first } => {
            Finding::wrong("duplicate-key", format!("`{key}` stands here and at {first}"))
                .at(Some(at))
                .why(NO_START)
                .remedy("remove one of the two")
        }
        Oddity::Nested { key, at, under } => {
            Finding::wrong("nested-key", format!("`{key}` stands under `{under}`, where OpenIM does not look for it"))
                .at(Some(at))
                .why("since v3.7 webhooks.yml has `url` and the callbacks at its top; elsewhere they are passed over")
                .remedy(format!("move what stands under `{under}` to the left margin, and remove `{under}:`"))
        }
        Oddity::NotAMapping { key, at } => Finding::wrong("value-type", format!("`{key}` holds no keys"))
            .at(Some(at))
            .why(NO_START)
            .remedy(format!("put `enable` and `timeout` under `{key}`, each on a line of its own, indented")),
        Oddity::NoSuchKey { name, at } => {
            Finding::advice("variable-without-effect", format!("{name} has no effect: webhooks.yml has no such key"))
                .at(Some(at))
                .why("OpenIM takes a variable only for a key that stands in its webhooks.yml; the name is the key in capitals, without `_` inside a callback's name")
                .remedy("correct the name (IMENV_WEBHOOKS_BEFORESETFRIENDREMARK_ENABLE is one), or add the key to the file")
        }
    }
}

/// What OpenIM cannot convert.
fn unreadable_values(callback: &CallbackConfig) -> Vec<Finding> {
    let wrong = |field: WebhookField| {
        let value = callback.value(field)?;
        let expected = match field {
            WebhookField::Enable | WebhookField::FailedContinue if value.flag().is_none() => "true or false",
            WebhookField::Timeout if value.whole().is_none() => "a whole number of seconds, such as 5",
            _ => return None,
        };
        let (name, key) = (&callback.name, field.key());
        Some(
            Finding::wrong("value-type", format!("`{name}.{key}` is {}", value.json))
                .at(Some(&value.at))
                .why(NO_START)
                .remedy(format!("write {expected}")),
        )
    };
    WebhookField::ALL.into_iter().filter_map(wrong).collect()
}

fn url_findings(webhooks: &Webhooks, bridge: BridgeSide<'_>) -> Vec<Finding> {
    let at = webhooks.url.as_ref().map(|value| &value.at);
    let Some(text) = webhooks.url.as_ref().map_or(Some(String::new()), WebhookValue::text) else {
        return vec![
            Finding::wrong("value-type", "`url` is no text").at(at).why(NO_START).remedy("write it as a text"),
        ];
    };
    match Destination::parse(&text, bridge.served) {
        Err(fault) => vec![url_fault(&text, &fault, bridge).at_and_change(at, &text, &fault, bridge)],
        Ok(to) => {
            let all = [
                elsewhere(&text, &to, bridge),
                query_kept(&text, &to),
                scheme(&text, &to, bridge),
                port(&text, &to, bridge),
                credentials(&text, &to, bridge),
            ];
            let mut findings: Vec<Finding> = all.into_iter().flatten().collect();
            findings.extend(reach(&text, &to, bridge));
            findings.into_iter().map(|finding| finding.at_url(at)).collect()
        }
    }
}

impl Finding {
    /// A change needs to know first whether the place is a variable.
    fn at_url(self, at: Option<&Place>) -> Self {
        let change = self.change.clone();
        let placed = Self { change: None, ..self }.at(at);
        match change {
            Some(change) => placed.change(&["url"], change.value),
            None => placed,
        }
    }

    fn leads_to(self, url: &str) -> Self {
        let variable = format!("{}={}", name_of(&["url"]), without_password(url));
        self.variable(variable).change(&["url"], url)
    }

    fn at_and_change(self, at: Option<&Place>, text: &str, fault: &UrlFault, bridge: BridgeSide<'_>) -> Self {
        match corrected(text, fault, bridge) {
            Some(url) => self.leads_to(&url).at_url(at),
            None => self.at_url(at),
        }
    }
}

fn url_fault(text: &str, fault: &UrlFault, bridge: BridgeSide<'_>) -> Finding {
    let scheme = scheme_of(bridge);
    let text = without_password(text);
    let example = format!("{scheme}://bridge:{}/callbackExample", bridge.settings().listen.port());
    match fault {
        UrlFault::Missing => Finding::wrong("url-missing", "there is no `url`")
            .why("OpenIM does not know where to call; every enabled `before…` callback fails its user's action")
            .remedy(format!("set `url` to the bridge's address, such as {example}")),
        UrlFault::NoScheme => Finding::wrong("url-scheme", format!("`url` is {text}, without http:// or https://"))
            .why(FAILS)
            .remedy(format!("write it with its scheme, such as {example}")),
        UrlFault::Scheme(other) => {
            Finding::wrong("url-scheme", format!("`url` is {text}; OpenIM cannot post to {other}://"))
                .why(FAILS)
                .remedy(format!("write it with http:// or https://, such as {example}"))
        }
        UrlFault::Fragment => Finding::wrong("url-fragment", format!("`url` is {text}: the `#` swallows the command"))
            .why("OpenIM appends /COMMAND to the text of `url`, and what is behind a `#` is never sent: the bridge answers 404 with code 9901, and the user's action is refused")
            .remedy("remove the `#` and all behind it"),
        UrlFault::Query => Finding::wrong("url-query", format!("`url` is {text}: the query swallows the command"))
            .why("OpenIM appends /COMMAND to the text of `url`, so that it ends up in the query's last value: the bridge answers an error, and the user's action is refused")
            .remedy("remove the `?` and all behind it; OpenIM needs no ?command= or ?contenttype= there"),
        UrlFault::Malformed(why) => Finding::wrong("url-malformed", format!("`url` is {text:?}, which is no URL: {why}"))
            .why(FAILS)
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

fn elsewhere(text: &str, to: &Destination, bridge: BridgeSide<'_>) -> Option<Finding> {
    if let Some(right) = bridge.reached_at {
        let is_same = to.scheme() == right.scheme() && to.host_and_port().eq_ignore_ascii_case(&right.host_and_port());
        let moved = url::moved(text, right.scheme(), &right.host_and_port())?;
        let (to, right) = (format!("{}://{}", to.scheme(), to.host_and_port()), right);
        return (!is_same).then(|| {
            Finding::wrong("url-elsewhere", format!("`url` leads to {to}"))
                .why(format!("the bridge is reached at {}://{}, says --url", right.scheme(), right.host_and_port()))
                .remedy("point it there")
                .leads_to(&moved)
        });
    }
    let address = to.address().filter(|_| !to.is_loopback())?;
    let listen = bridge.settings().listen;
    (!url::is_same(address, listen) && !url::is_only_local(listen)).then(|| {
        Finding::advice("url-elsewhere", format!("`url` leads to {address}, and {}", bridge.said("listen")))
            .why("unless something between the two translates addresses, OpenIM's callbacks go elsewhere")
            .remedy("point `url` to the bridge, or say with --url how OpenIM reaches it")
    })
}

fn query_kept(text: &str, to: &Destination) -> Option<Finding> {
    to.has_query.then(|| {
        let cut = text.split('?').next().unwrap_or(text);
        Finding::advice("url-query", format!("`url` is {}: its query names a command", without_password(text)))
            .why("OpenIM appends /COMMAND itself; with a command in the query every other callback arrives under a wrong name")
            .remedy("remove the `?` and all behind it")
            .leads_to(cut)
    })
}

fn scheme(text: &str, to: &Destination, bridge: BridgeSide<'_>) -> Option<Finding> {
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
    Some(finding.why(format!("{why}. {FAILS}")).remedy(remedy).leads_to(&moved))
}

fn port(text: &str, to: &Destination, bridge: BridgeSide<'_>) -> Option<Finding> {
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
    Some(Finding::wrong("url-port", what).why(FAILS).remedy(remedy).leads_to(&moved))
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
        Finding::advice("url-password", format!("`url` holds credentials: {}", without_password(text)))
            .why("on a network error the head of OpenIM's development shows the whole `url`, password in clear, to whoever called its API; over http:// it crosses the network in clear")
            .remedy(remedy)
    })
}

fn basic((user, password): &(String, String)) -> Option<HeaderMap> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    Some(HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&value).ok()?)]))
}

/// Whether another container or pod gets there.
fn reach(text: &str, to: &Destination, bridge: BridgeSide<'_>) -> Option<Finding> {
    let listen = bridge.settings().listen;
    if to.is_loopback() {
        return Some(
            Finding::advice("url-loopback", format!("`url` is {}: the machine, container or pod of OpenIM itself", without_password(text)))
                .why("in containers, OpenIM would call its own container, where no bridge listens. It is right only where both share one host or pod")
                .remedy(format!(
                    "use a name or an address that leads from OpenIM to the bridge, and start the bridge with --listen 0.0.0.0:{}",
                    listen.port()
                )),
        );
    }
    url::is_only_local(listen).then(|| {
        let severity = if is_direct(to, bridge) { Severity::Wrong } else { Severity::Advice };
        let what = format!(
            "{}: nothing but its own host or pod can reach it, and `url` leads to {}",
            bridge.said("listen"),
            to.host
        );
        Finding::new("listen-loopback", severity, what).why(FAILS).remedy(format!(
            "start the bridge with --listen 0.0.0.0:{}, and say who may call with `access.allow` or a network policy",
            listen.port()
        ))
    })
}

/// What is wrong with the callbacks that OpenIM sends; with the first one where it sends none.
fn callback_findings(webhooks: &Webhooks, bridge: BridgeSide<'_>) -> Vec<Finding> {
    // One whose `enable` cannot be read is found elsewhere.
    let enabled = |served: &&Callback| {
        let enable = webhooks.callback_named(served.name).and_then(|callback| callback.value(WebhookField::Enable));
        enable.is_some_and(|value| !value.json.is_null() && value.flag() != Some(false))
    };
    let mut findings = Vec::new();
    let mut sent: Vec<&'static Callback> = bridge.served.iter().filter(enabled).collect();
    if sent.is_empty() {
        sent.extend(bridge.served.first());
        findings.extend(sent.iter().map(|first| match webhooks.callback_named(first.name) {
            Some(callback) => disabled(callback, first, bridge),
            None => absent(webhooks, first, bridge),
        }));
    }
    let set = |served: &'static Callback| timeout(webhooks.callback_named(served.name)?, served, bridge);
    findings.extend(sent.into_iter().filter_map(set));
    findings
}

/// Whole seconds that leave the bridge its time.
fn enough(callback: &'static Callback, bridge: BridgeSide<'_>) -> u64 {
    (bridge.settings().bridge.policy(callback).timeout.as_secs() + 1).clamp(5, TIMEOUT_CAP.as_secs())
}

fn absent(webhooks: &Webhooks, served: &'static Callback, bridge: BridgeSide<'_>) -> Finding {
    let (key, enough) = (served.name, enough(served, bridge));
    let others = webhooks.others.iter().map(|(name, at)| (name, at));
    let mut others = others.chain(webhooks.callbacks.iter().map(|callback| (&callback.name, &callback.at)));
    let meant = others.find(|(name, _)| is_meant(name, key));
    let block = serde_json::json!({ WebhookField::Enable.key(): true, WebhookField::Timeout.key(): enough });
    let finding = Finding::wrong("callback-disabled", format!("`{key}` is not there")).why(NOT_CALLED);
    // A variable has no effect without its key in the file.
    let finding = match whole_file(webhooks) {
        None => finding.variable(format!("{}=true", name_of(&[key, WebhookField::Enable.key()]))),
        at => Finding { at, ..finding },
    };
    match meant {
        Some((name, at)) => finding.at(Some(at)).remedy(format!("write `{key}` for `{name}`")),
        None => finding
            .remedy(format!("add `{key}:` with `enable: true` and `timeout: {enough}` under it, and restart OpenIM"))
            .change(&[key], block),
    }
}

fn whole_file(webhooks: &Webhooks) -> Option<super::Place> {
    webhooks.path.clone().map(|path| super::Place::File { path, line: 1, column: 1 })
}

fn disabled(callback: &CallbackConfig, served: &'static Callback, bridge: BridgeSide<'_>) -> Finding {
    let key = served.name;
    let enable = WebhookField::Enable.key();
    let value = callback.value(WebhookField::Enable);
    let finding = Finding::wrong(
        "callback-disabled",
        match value {
            Some(value) if !value.json.is_null() => format!("`{key}.{enable}` is {}", value.json),
            _ => format!("`{key}.{enable}` is not set"),
        },
    );
    let finding = finding.at(Some(value.map_or(&callback.at, |value| &value.at))).why(NOT_CALLED);
    let finding = match value {
        Some(_) => finding.variable(format!("{}=true", name_of(&[key, enable]))),
        None => finding,
    };
    if let Some((name, at)) = callback.others.iter().find(|(name, _)| is_meant(name, enable)) {
        return finding.at(Some(at)).remedy(format!("write `{enable}` for `{name}`"));
    }
    let finding = finding.remedy(format!(
        "set `{enable}: true` under `{key}`, and restart OpenIM, which reads its configuration at its start only"
    ));
    if callback.is_empty {
        let block = serde_json::json!({ enable: true, WebhookField::Timeout.key(): enough(served, bridge) });
        return finding.change(&[&callback.name], block);
    }
    finding.change(&[&callback.name, enable], true)
}

/// Whether somebody who wrote `name` meant `key`.
fn is_meant(name: &str, key: &str) -> bool {
    let letters = |text: &str| text.to_ascii_lowercase().replace(['_', '-'], "");
    strsim::levenshtein(&letters(name), &letters(key)) <= 2
}

fn timeout(callback: &CallbackConfig, served: &'static Callback, bridge: BridgeSide<'_>) -> Option<Finding> {
    let key = served.name;
    let value = callback.value(WebhookField::Timeout)?;
    let seconds = value.whole()?;
    let field = WebhookField::Timeout.key();
    let right = enough(served, bridge);
    let variable = format!("{}={right}", name_of(&[key, field]));
    let cap = TIMEOUT_CAP.as_secs();
    if u64::try_from(seconds).is_ok_and(|seconds| seconds > cap) {
        return Some(
            Finding::advice("timeout-capped", format!("`{key}.{field}` is {seconds} s, of which OpenIM waits {cap}"))
                .at(Some(&value.at))
                .why("OpenIM's HTTP client gives up after 15 s whatever this says")
                .remedy(format!("write {right}, or what you like up to {cap}"))
                .variable(variable)
                .change(&[&callback.name, field], right),
        );
    }
    // 0 and below set no limit but the client's own.
    let waits = u64::try_from(seconds).ok().filter(|&seconds| seconds > 0).map(Duration::from_secs)?;
    // An after callback is answered at once, and so is what the configuration decides.
    let policy = bridge.settings().bridge.policy(served);
    let waits_for_somebody = !served.is_after() && matches!(policy.route, Route::Service | Route::Forward);
    let own = format!("callbacks.{key}.timeout");
    let has_own = bridge.settings().bridge.routes.own(served).timeout.is_some();
    let setting = if has_own { &*own } else { "decision.timeout" };
    (waits_for_somebody && waits <= policy.timeout).then(|| {
        Finding::wrong("timeout-short", format!("`{key}.{field}` is {seconds} s, and {}", bridge.said(setting)))
            .at(Some(&value.at))
            .why("OpenIM gives up before the bridge has used its time: a slow service or receiver fails users' actions, and the fallback never counts")
            .remedy(format!("give OpenIM more than the bridge: `{field}: {right}`, or a shorter `{setting}`"))
            .variable(variable)
            .change(&[&callback.name, field], right)
    })
}

/// All of OpenIM's callbacks go to the one `url`, also those that the registry does not know.
fn other_callbacks(webhooks: &Webhooks, bridge: BridgeSide<'_>) -> Vec<Finding> {
    let is_served = |it: &CallbackConfig| bridge.served.iter().any(|served| served.name.eq_ignore_ascii_case(&it.name));
    let others = || webhooks.callbacks.iter().filter(|callback| callback.is_enabled() && !is_served(callback));
    let (before, after): (Vec<_>, Vec<_>) = others().partition(|it| it.name.to_ascii_lowercase().starts_with("before"));
    // Forwarded, they are the receiver's to answer.
    if bridge.settings().bridge.routes.unknown == UnknownRoute::Forward {
        return vec![];
    }
    let unserved = bridge.said("callbacks.unknown.route");
    let refuses = bridge.settings().bridge.routes.unknown == UnknownRoute::Refuse;
    let mut findings = Vec::new();
    if let Some(first) = before.first() {
        findings.push(if refuses {
            Finding::wrong("other-callbacks", format!("the bridge will be called for {} too, and refuses", names(&before)))
                .why(format!("OpenIM has one `url` for all callbacks, and {unserved}: the answer is 9901, which refuses what the user does"))
                .remedy("disable them; or let the receiver that you have answer them, by `callbacks.unknown.route: forward`")
        } else {
            Finding::advice("other-callbacks", format!("the bridge will be called for {} too, and allows", names(&before)))
                .why(format!("OpenIM has one `url` for all callbacks, and {unserved}: nobody decides about these"))
                .remedy("disable what nobody decides about: each costs its user a round trip")
        }.at(Some(place(first))));
    }
    if let Some(first) = after.first() {
        let does = if refuses { "answers 9901, with a warning in its log" } else { "answers that OpenIM may go on" };
        findings.push(
            Finding::advice("other-callbacks-after", format!("the bridge will be told of {} too", names(&after)))
                .at(Some(place(first)))
                .why(format!("OpenIM has one `url` for all callbacks. The bridge {does}; OpenIM does not wait for it, and what was told is lost"))
                .remedy("disable them, unless something in front of the bridge sends them elsewhere"),
        );
    }
    findings
}

fn place(callback: &CallbackConfig) -> &Place {
    callback.value(WebhookField::Enable).map_or(&callback.at, |value| &value.at)
}

fn names(callbacks: &[&CallbackConfig]) -> String {
    callbacks.iter().map(|callback| format!("`{}`", callback.name)).collect::<Vec<_>>().join(", ")
}
