//! The settings as a list, read off the schema of [`Raw`](super::raw::Raw): key, documentation, type and default. From it
//! come the flags, the variables, the messages and the reference in `docs/configuration.md`.

use std::sync::LazyLock;

use clap::{
    Arg, ArgAction,
    builder::{PossibleValuesParser, UnknownArgumentValueParser},
    value_parser,
};
use serde_json::{Map, Value as Json, json};

use crate::base::yaml::{document, quote};
use crate::base::{packed, text::nearest};
use crate::callback::{CALLBACKS, Callback};

/// What the name of every variable begins with.
pub(super) const ENV_PREFIX: &str = "OPENIM_BRIDGE_";

/// The flag and the variable that name the file. They are no setting: a file cannot name itself.
pub(super) const FILE_FLAG: &str = "config";
pub(super) const FILE_VARIABLE: &str = "OPENIM_BRIDGE_CONFIG";

/// The flag that sets one callback's own settings.
pub(super) const CALLBACK_FLAG: &str = "callback";

/// Where the schema says whether a change takes effect while the bridge runs.
const LIVE: &str = "x-live";

#[derive(Debug)]
pub(super) struct Leaf {
    /// Such as `admin.listen`.
    pub(super) key: String,
    /// The long flag without its dashes, such as `admin-listen`.
    pub(super) flag: String,
    /// A second, shorter flag.
    pub(super) short_flag: Option<String>,
    /// The variable, such as `OPENIM_BRIDGE_ADMIN_LISTEN`.
    pub(super) variable: String,
    /// That of the shorter flag.
    pub(super) short_variable: Option<String>,
    /// The key by which an earlier version knew it. Using it is an error, which names the new one.
    pub(super) was: Option<String>,
    /// What it does, as Markdown in one line.
    pub(super) doc: String,
    /// `null` where the setting is unset by default.
    pub(super) default: Json,
    /// What a value must be, in words that go on after "expected".
    pub(super) expected: String,
    /// Whether a change takes effect while the bridge runs.
    pub(super) live: bool,
    /// Whether a value may hold a secret, so that no message quotes it.
    pub(super) secret: bool,
    /// The one callback that it is about.
    pub(super) callback: Option<&'static Callback>,
    kind: SettingKind,
    value_name: String,
}

#[derive(Debug)]
enum SettingKind {
    Choice(Vec<String>),
    Boolean,
    Integer,
    List,
    Text,
    /// More than a text can say otherwise.
    Yaml,
}

/// Every setting, in the order of [`Raw`](super::raw::Raw).
pub(super) fn leaves() -> &'static [Leaf] {
    static LEAVES: LazyLock<Vec<Leaf>> = LazyLock::new(|| {
        let mut leaves = Vec::new();
        collect("", &raw_schema(), false, None, &mut leaves);
        leaves
    });
    &LEAVES
}

/// The schema of [`Raw`](super::raw::Raw) as it was when the program was built: what makes it is 250 kB of code.
fn raw_schema() -> Json {
    // A test holds it to be JSON, and no other than the types say.
    serde_json::from_str(&packed::text_of(include_bytes!(concat!(env!("OUT_DIR"), "/schema.json.gz"))))
        .unwrap_or_default()
}

fn collect(prefix: &str, group: &Json, live: bool, callback: Option<&'static Callback>, leaves: &mut Vec<Leaf>) {
    for (name, schema) in group["properties"].as_object().into_iter().flatten() {
        let key = format!("{prefix}{name}");
        let live = is_live(schema, live);
        if schema.get("properties").is_some() {
            collect(&format!("{key}."), schema, live, callback, leaves);
        } else {
            leaves.push(Leaf::new(key, schema, live, callback));
        }
    }
    let of_each = &group["additionalProperties"];
    for callback in CALLBACKS.iter().filter(|_| of_each.is_object()) {
        collect(&format!("{prefix}{}.", callback.name), &of_callback(of_each, callback), live, Some(callback), leaves);
    }
}

/// The settings of one callback. An after callback has only a route, and cannot be refused.
fn of_callback(of_each: &Json, callback: &Callback) -> Json {
    let mut schema = of_each.clone();
    if let (true, Some(settings)) = (callback.is_after(), schema["properties"].as_object_mut()) {
        settings.retain(|name, _| name == "route");
        settings.values_mut().for_each(without_refuse);
    }
    schema
}

/// Takes the choice `refuse` out.
fn without_refuse(choices: &mut Json) {
    for list in ["oneOf", "anyOf", "enum"] {
        for choice in choices.get_mut(list).and_then(Json::as_array_mut).into_iter().flatten() {
            without_refuse(choice);
        }
        if let Some(choices) = choices.get_mut(list).and_then(Json::as_array_mut) {
            choices.retain(|choice| choice != "refuse" && choice["const"] != "refuse");
        }
    }
}

/// What `-h` shows besides the settings with a short flag: what a first start needs.
const IN_SHORT_HELP: [&str; 7] =
    ["listen", "admin.listen", "tls.cert", "tls.key", "access.allow", "callbacks.default.route", "log.level"];

/// Whether a setting or a group is live, or else the group around it.
fn is_live(schema: &Json, around: bool) -> bool {
    schema[LIVE].as_bool().unwrap_or(around)
}

impl Leaf {
    fn new(key: String, schema: &Json, live: bool, callback: Option<&'static Callback>) -> Self {
        let text = |field: &str| schema[field].as_str().unwrap_or_default();
        let kind = SettingKind::of(schema);
        Self {
            flag: flag_of(&key),
            was: schema["x-was"].as_str().map(str::to_owned),
            short_flag: schema["x-flag"].as_str().map(str::to_owned),
            short_variable: schema["x-flag"].as_str().map(variable_of),
            variable: variable_of(&key),
            doc: text("description").split_whitespace().collect::<Vec<_>>().join(" "),
            default: schema["default"].clone(),
            value_name: text("x-value").to_owned(),
            expected: kind.expected().unwrap_or_else(|| text("x-expected").to_owned()),
            live,
            secret: is_secret(schema),
            callback,
            key,
            kind,
        }
    }

    /// The flag that people know it by.
    pub(super) fn known_flag(&self) -> String {
        match self.callback {
            Some(_) => format!("--{CALLBACK_FLAG}"),
            None => format!("--{}", self.short_flag.as_ref().unwrap_or(&self.flag)),
        }
    }

    /// The text of a flag or a variable as a value, of the setting's type where it can be read as such; otherwise as it
    /// is, which the setting's type then turns down.
    pub(super) fn value(&self, text: &str) -> Json {
        match self.kind {
            SettingKind::Integer => text.trim().parse().map_or_else(|_| text.into(), |number: i64| number.into()),
            SettingKind::Boolean => text.trim().parse().map_or_else(|_| text.into(), |truth: bool| truth.into()),
            SettingKind::List => text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
            SettingKind::Yaml => match document(text) {
                Ok(Some(document)) => document.value.json(),
                _ => text.into(),
            },
            SettingKind::Choice(_) | SettingKind::Text => text.into(),
        }
    }

    /// Whether the value is among those that may be chosen, where there is a choice.
    pub(super) fn allows(&self, value: &Json) -> bool {
        match &self.kind {
            SettingKind::Choice(choices) => value.as_str().is_some_and(|value| choices.iter().any(|it| it == value)),
            _ => true,
        }
    }

    /// What holds while it is unset, in some words.
    pub(super) fn unset(&self) -> &str {
        let text = self.doc.split_once("Unset: ").map_or("unset", |(_, text)| text);
        text.split([',', ';']).next().unwrap_or(text).trim_end_matches('.')
    }

    /// How the key is written in a file: `listen: …` under `admin:`.
    pub(super) fn nested(&self) -> String {
        match self.key.rsplit_once('.') {
            Some((group, name)) => format!("`{name}:` under `{}:`", group.replace('.', ": ")),
            None => format!("`{}:`, which stands by itself", self.key),
        }
    }

    /// The flag of an earlier version, which names the new one.
    fn arg_before(&self) -> Option<Arg> {
        let was = self.was.as_ref()?;
        let now = UnknownArgumentValueParser::suggest_arg(self.known_flag());
        let arg = Arg::new(was.clone()).long(flag_of(was)).hide(true).num_args(0..=1).default_missing_value("");
        Some(arg.value_parser(now))
    }

    fn arg(&self) -> Arg {
        let default = match &self.default {
            Json::Null => String::new(),
            Json::Array(none) if none.is_empty() => String::new(),
            default => format!(" [default: {}]", as_flag(default)),
        };
        let summary = self.doc.split_once(". ").map_or(&*self.doc, |(first, _)| first).trim_end_matches('.');
        let arg = Arg::new(self.key.clone())
            .long(self.flag.clone())
            .visible_aliases(self.short_flag.clone())
            .help(format!("{summary}{default}"))
            .long_help(format!("{}{default}", self.doc))
            .hide_short_help(self.short_flag.is_none() && !IN_SHORT_HELP.contains(&&*self.key))
            .value_name(self.value_name.clone())
            .action(ArgAction::Set)
            .value_parser(value_parser!(String));
        let arg = match self.key.split_once('.') {
            Some((group, _)) => arg.help_heading(heading_of(group)),
            None => arg,
        };
        match &self.kind {
            SettingKind::Choice(choices) => {
                arg.value_name("CHOICE").value_parser(PossibleValuesParser::new(choices.clone()))
            }
            SettingKind::Boolean => arg
                .value_name("BOOL")
                .value_parser(PossibleValuesParser::new(["true", "false"]))
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true"),
            SettingKind::List => arg.action(ArgAction::Append),
            SettingKind::Integer | SettingKind::Text | SettingKind::Yaml => arg,
        }
    }
}

impl SettingKind {
    fn of(schema: &Json) -> Self {
        let mut choices = Vec::new();
        collect_choices(schema, &mut choices);
        let is = |name: &str| schema["type"] == name || schema["type"].as_array().is_some_and(|names| names[0] == name);
        match () {
            () if schema["x-yaml"] == true => Self::Yaml,
            () if !choices.is_empty() => Self::Choice(choices),
            () if is("boolean") => Self::Boolean,
            () if is("integer") => Self::Integer,
            () if is("array") => Self::List,
            () => Self::Text,
        }
    }

    fn expected(&self) -> Option<String> {
        match self {
            Self::Choice(choices) => {
                let quoted: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
                let (last, others) = quoted.split_last()?;
                Some(if others.is_empty() { last.clone() } else { format!("{} or {last}", others.join(", ")) })
            }
            Self::Boolean => Some("`true` or `false`".to_owned()),
            Self::Integer | Self::List | Self::Text | Self::Yaml => None,
        }
    }
}

/// Also where the setting may be unset.
fn is_secret(schema: &Json) -> bool {
    schema["x-secret"] == true || schema["anyOf"].as_array().is_some_and(|any| any.iter().any(is_secret))
}

fn flag_of(key: &str) -> String {
    key.replace(['.', '_'], "-")
}

pub(super) fn variable_of(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// The texts that an enumeration allows, however schemars wrote it: with or without documented variants, optional or not.
fn collect_choices(schema: &Json, choices: &mut Vec<String>) {
    choices.extend(schema["const"].as_str().map(str::to_owned));
    choices.extend(schema["enum"].as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned));
    for one in ["oneOf", "anyOf"].iter().filter_map(|of| schema[of].as_array()).flatten() {
        collect_choices(one, choices);
    }
}

/// Every setting as a flag, and `--config`.
#[must_use]
pub fn args() -> Vec<Arg> {
    let file = Arg::new(FILE_FLAG)
        .long(FILE_FLAG)
        .value_name("FILE")
        .help(format!("YAML file with settings; variable {FILE_VARIABLE}"))
        .long_help(format!("YAML file with settings; variable {FILE_VARIABLE}. Every flag is also a key in this file and a variable: --admin-listen is `listen` under `admin`, and {ENV_PREFIX}ADMIN_LISTEN."))
        .value_parser(value_parser!(std::path::PathBuf));
    let callback = Arg::new(CALLBACK_FLAG)
        .long(CALLBACK_FLAG)
        .value_name("NAME.SETTING=VALUE")
        .help_heading("Callbacks")
        .help("One callback's setting, such as beforeSendSingleMsg.timeout=800ms")
        .long_help("One callback's `route`, `timeout`, `fallback`, `enforce_percent` or `rest`, such as beforeSendSingleMsg.timeout=800ms. NAME is its key in webhooks.yml. May be repeated.")
        .action(ArgAction::Append)
        .value_parser(value_parser!(String));
    let of_all = leaves().iter().filter(|leaf| leaf.callback.is_none());
    [file, callback]
        .into_iter()
        .chain(of_all.flat_map(|leaf| std::iter::once(leaf.arg()).chain(leaf.arg_before())))
        .collect()
}

/// Of these flags, those that say where the decision service is, how it is reached and which codes it may refuse with, and
/// `--config`: for a command that asks it without serving.
#[must_use]
pub fn upstream_args() -> Vec<Arg> {
    let further = ["upstream.health.service", "upstream.health.timeout", "refusal.codes"];
    args_of(|key| is_of_upstream(key) || further.contains(&key))
}

fn is_of_upstream(key: &str) -> bool {
    key.starts_with("upstream.tls.")
        || ["upstream.addresses", "upstream.connect_timeout", "upstream.resolve.server"].contains(&key)
}

/// Of these flags, those that say where operators are served, and `--config`: for a command that asks a running bridge.
#[must_use]
pub fn admin_args() -> Vec<Arg> {
    args_of(|key| key == "admin.listen")
}

/// Of these flags, those that say what OpenIM finds where it calls and where the decision service is, and `--config`: for a
/// command that compares without serving.
#[must_use]
pub fn listener_args() -> Vec<Arg> {
    args_of(|key| {
        key.starts_with("tls.")
            || key.starts_with("callback")
            || is_of_upstream(key)
            || ["listen", "decision.timeout", "access.basic_auth_file", "forward.url"].contains(&key)
    })
}

/// `--config`, and the flags of these keys.
fn args_of(wanted: impl Fn(&str) -> bool) -> Vec<Arg> {
    let is_wanted = |arg: &Arg| {
        let key = arg.get_id().as_str();
        key == FILE_FLAG || wanted(key)
    };
    args().into_iter().filter(is_wanted).collect()
}

fn heading_of(group: &str) -> String {
    match group {
        "operation_id" => "Operation ID".to_owned(),
        "tls" => "TLS".to_owned(),
        _ => {
            let (first, rest) = group.split_at(1);
            format!("{}{rest}", first.to_uppercase())
        }
    }
}

/// The JSON Schema (2020-12) of a configuration file.
#[must_use]
pub fn schema() -> Json {
    let mut schema = raw_schema();
    let of_each = schema["properties"]["callbacks"]["additionalProperties"].take();
    publish(&mut schema, false, false);
    let kinds = [("before", false), ("after", true)];
    let mut named = Map::new();
    for (kind, is_after) in kinds {
        let mut of_kind = CALLBACKS.iter().filter(|callback| callback.is_after() == is_after).peekable();
        if let Some(one) = of_kind.peek() {
            let mut setting = of_callback(&of_each, one);
            publish(&mut setting, true, true);
            schema["$defs"][kind] = setting;
        }
        named.extend(of_kind.map(|callback| (callback.name.to_owned(), json!({ "$ref": format!("#/$defs/{kind}") }))));
    }
    let callbacks = &mut schema["properties"]["callbacks"];
    callbacks["additionalProperties"] = false.into();
    if let Some(known) = callbacks["properties"].as_object_mut() {
        known.extend(named);
    }
    schema
}

/// Takes out what is only for this program, lets every value be `null`, which leaves a setting at its default, and says of
/// every setting, and no group, whether it is live.
fn publish(schema: &mut Json, nullable: bool, live: bool) {
    let live = is_live(schema, live);
    let Some(object) = schema.as_object_mut() else { return };
    object.retain(|name, _| !name.starts_with("x-"));
    if object.contains_key("properties") {
        // A group's default is said by its settings.
        object.shift_remove("default");
    } else if nullable {
        object.insert(LIVE.to_owned(), live.into());
    }
    for property in object.get_mut("properties").and_then(Json::as_object_mut).into_iter().flat_map(Map::values_mut) {
        publish(property, true, live);
    }
    if !nullable {
        return;
    }
    if let Some(kind) = object.get_mut("type") {
        let mut kinds: Vec<Json> = kind.as_array().cloned().unwrap_or_else(|| vec![kind.clone()]);
        if !kinds.contains(&"null".into()) {
            kinds.push("null".into());
        }
        *kind = kinds.into();
    }
    if let Some(one_of) = object.shift_remove("oneOf") {
        object.insert("anyOf".to_owned(), json!([{ "oneOf": one_of }, { "type": "null" }]));
    }
}

/// A value as a flag has it.
fn as_flag(value: &Json) -> String {
    match value {
        Json::String(text) if text.is_empty() => "\"\"".to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(as_flag).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// A value as YAML.
pub(super) fn show(value: &Json) -> String {
    match value {
        Json::String(text) => quote(text),
        Json::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// The setting that a wrong name most likely means, however it is spelt: as a key, a flag or a variable.
pub(super) fn closest<'a>(name: &str, leaves: &'a [Leaf]) -> Option<&'a Leaf> {
    let names = |leaf: &'a Leaf| leaf.short_flag.iter().chain([&leaf.key]).map(move |name| (name.clone(), leaf));
    nearest(name, leaves.iter().flat_map(names))
}
