//! The types of raw settings: each can only hold what is right for one setting by itself, and says in its schema what
//! that is (`x-expected`, which error messages quote, and `x-value`, its name in `--help`; see [`super::leaf`]).

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use bytesize::ByteSize;
use ipnet::{IpNet, Ipv4Net};
use rustls::pki_types::ServerName;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value as Json;

use crate::openim::{RefusalCode, ServiceCodes};
use crate::policy::{Action, FallbackActions, Percent};
use crate::upstream::{ErrorClass, ForwardUrl, UpstreamAddress};

/// Implements `JsonSchema` with a schema in place of a reference, so that every setting's schema is whole.
macro_rules! schema {
    ([$($generics:tt)*] $type:ty, $schema:expr) => {
        impl<$($generics)*> JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

/// A whole number from 1 to `MAX`.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Whole<const MAX: usize>(pub(super) NonZeroUsize);

impl<'de, const MAX: usize> Deserialize<'de> for Whole<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = NonZeroUsize::deserialize(deserializer)?;
        if number.get() <= MAX { Ok(Self(number)) } else { Err(D::Error::custom("too large")) }
    }
}

schema!([const MAX: usize] Whole<MAX>, json_schema!({
    "type": "integer",
    "minimum": 1,
    "maximum": MAX,
    "x-value": "NUMBER",
    "x-expected": format!("a whole number from 1 to {MAX}"),
}));

/// Bytes of memory, from 1 to `MAX`: a number, or a size such as `1MiB`.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Size<const MAX: usize>(pub(super) NonZeroUsize);

impl<'de, const MAX: usize> Deserialize<'de> for Size<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Bytes(usize),
            Text(String),
        }
        let bytes = match Either::deserialize(deserializer)? {
            Either::Bytes(bytes) => bytes,
            Either::Text(text) => {
                let size: ByteSize = text.parse().map_err(D::Error::custom)?;
                size.0.try_into().map_err(D::Error::custom)?
            }
        };
        NonZeroUsize::new(bytes)
            .filter(|bytes| bytes.get() <= MAX)
            .map(Self)
            .ok_or_else(|| D::Error::custom("out of range"))
    }
}

schema!([const MAX: usize] Size<MAX>, json_schema!({
    "type": ["integer", "string"],
    "minimum": 1,
    "maximum": MAX,
    "pattern": "^[0-9]+(\\.[0-9]+)? ?([kKmMgG]([iI]?[bB])?|[bB])$",
    "x-value": "SIZE",
    "x-expected": format!("bytes from 1 to {MAX}, as a number or with a unit, such as 3MiB"),
}));

/// A percentage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share(pub(super) Percent);

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.get().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Percent::try_from(u8::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

schema!([] Share, json_schema!({
    "type": "integer",
    "minimum": 0,
    "maximum": 100,
    "x-value": "PERCENT",
    "x-expected": "a whole number from 0 to 100",
}));

/// A refusal's code, from 5000 to `MAX`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code<const MAX: i32>(pub(super) RefusalCode);

impl<const MAX: i32> Serialize for Code<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.get().serialize(serializer)
    }
}

impl<'de, const MAX: i32> Deserialize<'de> for Code<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i32::deserialize(deserializer)?;
        if number > MAX {
            return Err(D::Error::custom("too large"));
        }
        RefusalCode::try_from(number).map(Self).map_err(D::Error::custom)
    }
}

schema!([const MAX: i32] Code<MAX>, json_schema!({
    "type": "integer",
    "minimum": 5000,
    "maximum": MAX,
    "x-value": "NUMBER",
    "x-expected": format!("a whole number from 5000 to {MAX}"),
}));

/// Further codes of refusals, such as `73001` or `100-499`. A number alone is a code, too.
#[derive(Debug, Clone, Default)]
pub(super) struct Codes(pub(super) ServiceCodes);

impl Serialize for Codes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.0.iter().map(ToString::to_string))
    }
}

impl<'de> Deserialize<'de> for Codes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Item {
            Code(u32),
            Range(String),
        }
        let items = Vec::<Item>::deserialize(deserializer)?;
        let range = |item: Item| match item {
            Item::Code(code) => code.to_string().parse(),
            Item::Range(text) => text.parse(),
        };
        let ranges: Result<_, _> = items.into_iter().map(range).collect();
        ranges.map(|ranges| Self(ServiceCodes(ranges))).map_err(D::Error::custom)
    }
}

schema!([] Codes, json_schema!({
    "type": "array",
    "items": { "type": ["string", "integer"], "pattern": "^[0-9]+(-[0-9]+)?$" },
    "x-value": "CODES",
    "x-expected": "a list of codes and ranges from 100 on, without 1000 to 1999, 9900 to 9999 and 90000 to 90999, such as [100-499, 73001]",
}));

/// A duration such as `500ms`, of at least `MIN` and under `MAX` milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period<const MIN: u64, const MAX: u64>(pub(super) Duration);

impl<const MIN: u64, const MAX: u64> Serialize for Period<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&human(self.0))
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Period<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // humantime takes a bare `0`; here a unit is always asked for.
        let unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
        let duration = humantime::parse_duration(&text).map_err(D::Error::custom)?;
        let range = Duration::from_millis(MIN)..Duration::from_millis(MAX);
        if unit && range.contains(&duration) { Ok(Self(duration)) } else { Err(D::Error::custom("out of range")) }
    }
}

schema!([const MIN: u64, const MAX: u64] Period<MIN, MAX>, {
    let (min, max) = (human(Duration::from_millis(MIN)), human(Duration::from_millis(MAX)));
    json_schema!({
        "type": "string",
        "pattern": "^\\s*([0-9]+\\s*[a-zA-Z]+\\s*)+$",
        "examples": ["500ms", "4s"],
        "x-value": "DURATION",
        "x-expected": format!("a duration of at least {min} and under {max}, with its unit, such as 500ms or 4s"),
    })
});

/// A duration as it is written in a configuration.
pub(super) fn human(duration: Duration) -> impl fmt::Display {
    humantime::format_duration(duration)
}

/// Text that is not empty.
#[derive(Debug, Clone, Serialize)]
pub(super) struct NonEmpty(pub(super) String);

impl<'de> Deserialize<'de> for NonEmpty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() { Err(D::Error::custom("empty")) } else { Ok(Self(text)) }
    }
}

schema!([] NonEmpty, json_schema!({
    "type": "string",
    "minLength": 1,
    "x-value": "TEXT",
    "x-expected": "a text that is not empty, in quotes where it could be read as a number",
}));

/// Text, which may be empty.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AnyText(pub(super) String);

schema!([] AnyText, json_schema!({
    "type": "string",
    "x-value": "TEXT",
    "x-expected": "a text, in quotes where it could be read as a number",
}));

/// The path of a file.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FilePath(pub(super) PathBuf);

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NonEmpty::deserialize(deserializer).map(|path| Self(path.0.into()))
    }
}

schema!([] FilePath, json_schema!({
    "type": "string",
    "minLength": 1,
    "x-value": "FILE",
    "x-expected": "the path of a file",
}));

/// Where to listen: an IP address and a port.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Listen(pub(super) SocketAddr);

schema!([] Listen, json_schema!({
    "type": "string",
    "pattern": "^(\\[[^\\]]+\\]|[0-9.]+):[0-9]+$",
    "examples": ["127.0.0.1:10006", "0.0.0.0:10006", "[::]:10006"],
    "x-value": "ADDR",
    "x-expected": "an IP address and a port, such as 127.0.0.1:10006, or 0.0.0.0:10006 for every interface",
}));

/// Where to listen, or `off`. YAML 1.1 reads `off` as `false`, so that is understood too.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListenOrOff(pub(super) Option<SocketAddr>);

impl Serialize for ListenOrOff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(address) => address.serialize(serializer),
            None => serializer.serialize_str("off"),
        }
    }
}

impl<'de> Deserialize<'de> for ListenOrOff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Off(bool),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Off(false) => Ok(Self(None)),
            Either::Off(true) => Err(D::Error::custom("not an address")),
            Either::Text(text) if text == "off" => Ok(Self(None)),
            Either::Text(text) => text.parse().map(|address| Self(Some(address))).map_err(D::Error::custom),
        }
    }
}

schema!([] ListenOrOff, json_schema!({
    "type": ["string", "boolean"],
    "pattern": "^(off|(\\[[^\\]]+\\]|[0-9.]+):[0-9]+)$",
    "not": { "const": true },
    "examples": ["127.0.0.1:10007", "off"],
    "x-value": "ADDR",
    "x-expected": "an IP address and a port, such as 127.0.0.1:10007, or `off`",
}));

/// One address of the decision service.
#[derive(Debug, Clone)]
pub(super) struct UpstreamUrl(pub(super) UpstreamAddress);

impl Serialize for UpstreamUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UpstreamUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        UpstreamAddress::from_str(&text).map(Self).map_err(D::Error::custom)
    }
}

schema!([] UpstreamUrl, json_schema!({
    "type": "string",
    "pattern": "^(https?://([^/?#@:\\[\\]]+|\\[[0-9a-fA-F:.]+\\])(:0*[1-9][0-9]{0,4})?/?|unix:///.*[^/])$",
}));

/// A name that a certificate can be for.
#[derive(Debug, Clone)]
pub(super) struct CertName(pub(super) ServerName<'static>);

impl Serialize for CertName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_str())
    }
}

impl<'de> Deserialize<'de> for CertName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ServerName::try_from(String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

schema!([] CertName, json_schema!({
    "type": "string",
    "minLength": 1,
    "x-value": "NAME",
    "x-expected": "a host name or an IP address, without a port",
}));

/// At least one of them. One alone may stand without a list.
#[derive(Debug, Clone, Serialize)]
pub(super) struct UpstreamUrls(pub(super) Vec<UpstreamUrl>);

impl<'de> Deserialize<'de> for UpstreamUrls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            One(UpstreamUrl),
            List(Vec<UpstreamUrl>),
        }
        let addresses = match Either::deserialize(deserializer)? {
            Either::One(address) => vec![address],
            Either::List(addresses) => addresses,
        };
        if addresses.is_empty() { Err(D::Error::custom("empty")) } else { Ok(Self(addresses)) }
    }
}

impl JsonSchema for UpstreamUrls {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Upstreams".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = UpstreamUrl::json_schema(generator);
        json_schema!({
            "type": ["array", "string"],
            "pattern": one.get("pattern"),
            "items": one,
            "minItems": 1,
            "x-value": "URL",
            "x-expected": "a list of URLs of the form http://HOST:PORT, https://HOST:PORT or unix:///PATH, such as [http://127.0.0.1:50051]",
        })
    }
}

/// Where requests are forwarded to.
#[derive(Debug, Clone)]
pub(super) struct ReceiverUrl(pub(super) ForwardUrl);

impl Serialize for ReceiverUrl {
    /// Without what may be a secret.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ReceiverUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

schema!([] ReceiverUrl, json_schema!({
    "type": "string",
    "pattern": "^https?://[^#]+$",
    "x-secret": true,
    "x-value": "URL",
    "x-expected": "a URL such as http://old-receiver:8080/callback, without a fragment",
}));

/// What is done for one callback: one action, or one for each error class.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallbackFallback(pub(super) FallbackActions);

/// The key of the action for every class that has none of its own.
const EVERY_CLASS: &str = "action";

impl Serialize for CallbackFallback {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let FallbackActions { action, class } = &self.0;
        if let (Some(action), true) = (action, class.iter().all(Option::is_none)) {
            return action.serialize(serializer);
        }
        let of_class = ErrorClass::ALL.iter().map(ErrorClass::into_str).zip(class);
        let set = [(EVERY_CLASS, action)].into_iter().chain(of_class);
        serializer.collect_map(set.filter_map(|(key, action)| Some((key, (*action)?))))
    }
}

impl<'de> Deserialize<'de> for CallbackFallback {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Action(Action),
            ByClass(BTreeMap<String, Action>),
        }
        let mut actions = FallbackActions::default();
        match Either::deserialize(deserializer)? {
            Either::Action(action) => actions.action = Some(action),
            Either::ByClass(by_class) => {
                for (key, action) in by_class {
                    let place = match ErrorClass::ALL.iter().position(|class| class.into_str() == key) {
                        Some(class) => &mut actions.class[class],
                        None if key == EVERY_CLASS => &mut actions.action,
                        None => return Err(D::Error::custom("no error class")),
                    };
                    *place = Some(action);
                }
            }
        }
        Ok(Self(actions))
    }
}

schema!([] CallbackFallback, {
    let keys: Vec<&str> = [EVERY_CLASS].into_iter().chain(ErrorClass::ALL.iter().map(ErrorClass::into_str)).collect();
    json_schema!({
        "type": ["string", "object"],
        "pattern": "^(allow|refuse)$",
        "patternProperties": { format!("^({})$", keys.join("|")): { "enum": ["allow", "refuse"] } },
        "additionalProperties": false,
        "x-yaml": true,
        "x-value": "ACTION",
        "x-expected": "`allow` or `refuse`, or one of them for each error class, such as {timeout: refuse}",
    })
});

/// Addresses and ranges of them, IPv4 as such and never mapped into IPv6.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Networks(pub(super) Vec<IpNet>);

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let ranges: Option<_> = texts.iter().map(|text| network(text)).collect();
        ranges.map(Self).ok_or_else(|| D::Error::custom("not a range of addresses"))
    }
}

/// `None` also for a range that begins within itself: 10.1.2.3/8 may be meant to be 10.1.2.3, or all of 10.0.0.0/8.
fn network(text: &str) -> Option<IpNet> {
    /// What comes before the IPv4 address in an IPv6 one, in bits.
    const MAPPING: u8 = 96;
    let range: IpNet = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    if range.addr() != range.network() {
        return None;
    }
    match (range.addr().to_canonical(), range.prefix_len()) {
        (IpAddr::V4(address), length @ MAPPING..) => Ipv4Net::new(address, length - MAPPING).ok().map(IpNet::from),
        _ => Some(range),
    }
}

/// What was most likely meant by ranges that begin within themselves.
pub(super) fn meant(ranges: &Json) -> Option<String> {
    let texts = ranges.as_array()?.iter().filter_map(Json::as_str);
    let mut ranges = texts.filter_map(|text| text.parse::<IpNet>().ok());
    ranges.find(|range| range.addr() != range.network()).map(|range| range.trunc().to_string())
}

schema!([] Networks, json_schema!({
    "type": "array",
    "items": { "type": "string", "pattern": "^[0-9a-fA-F:.]+(/[0-9]+)?$" },
    "x-value": "RANGE",
    "x-expected": "a list of IP addresses and CIDR ranges, each from its first address on, such as [10.0.0.0/8, 192.0.2.7]",
}));

/// Names of hosts, without ports. In lower case.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct HostNames(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for HostNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let is_name = |name: &String| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        if !names.iter().all(is_name) {
            return Err(D::Error::custom("not a host name"));
        }
        Ok(Self(names.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect()))
    }
}

schema!([] HostNames, json_schema!({
    "type": "array",
    "items": { "type": "string", "pattern": "^[0-9a-zA-Z._-]+$" },
    "x-value": "NAME",
    "x-expected": "a list of host names without ports, such as [openim-bridge, openim-bridge.chat.svc]",
}));
