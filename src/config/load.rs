//! Putting the layers together: default, file, environment, flags, each over the one before.

use std::{
    borrow::Cow,
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::ArgMatches;
use serde_json::{Value as Json, json};

use super::{
    check::{Beside, Origins as _},
    entry::Entry,
    error::{ConfigError, Problem, ValueSource, Warning},
    field::{human, meant},
    file::{self, hint},
    leaf::{self, CALLBACK_FLAG, ENV_PREFIX, FILE_FLAG, FILE_VARIABLE, Leaf, leaves},
    raw::Raw,
};
use crate::callback::{CALLBACKS, Callback};
use crate::policy::{Action, FallbackActions, Rest, Route};
use crate::server::{Settings, ShowConfiguration, ShownConfiguration, ShownSetting};
use crate::telemetry::log::LogIds;
use crate::upstream::ErrorClass;

/// What the keys of the actions for single classes begin with.
const OF_CLASS: &str = "fallback.class.";
/// The ranges of addresses.
const ALLOW: &str = "access.allow";

// The settings that name files which are read with the configuration.
const USERS: &str = "access.basic_auth_file";
const IDS_KEY: &str = "log.ids_key_file";

#[derive(Debug, Clone)]
pub struct Loaded {
    pub settings: Settings,
    pub file: Option<PathBuf>,
    pub values: Vec<EffectiveValue>,
    /// What the caller should say aloud.
    pub warnings: Vec<Warning>,
}

impl Loaded {
    #[must_use]
    pub fn effective(&self) -> Effective {
        Effective {
            file: self.file.clone(),
            settings: self.settings_in_force().cloned().collect(),
            callbacks: self.callbacks(),
            needs_restart: vec![],
        }
    }

    /// Every setting. Of single callbacks' settings, only those that are set.
    pub fn settings_in_force(&self) -> impl Iterator<Item = &EffectiveValue> {
        let all = leaves().iter().zip(&self.values);
        all.filter(|(leaf, value)| leaf.callback.is_none() || value.is_set()).map(|(_, value)| value)
    }

    /// What is done with each callback.
    #[must_use]
    pub fn callbacks(&self) -> Vec<EffectiveCallback> {
        let bridge = &self.settings.bridge;
        let of_one = |callback: &'static Callback| {
            let policy = bridge.policy(callback);
            let is_of_it = |leaf: &Leaf| leaf.callback.is_some_and(|it| it.name == callback.name);
            let own = leaves().iter().zip(&self.values).filter(|(leaf, value)| is_of_it(leaf) && value.is_set());
            let decides = !callback.is_after();
            let action = |class| bridge.fallback.action_for(class, Some(callback), policy.fallback);
            EffectiveCallback {
                name: callback.name,
                route: policy.route,
                timeout: decides.then(|| human(policy.timeout).to_string()),
                fallback: decides.then(|| EffectiveFallback(ErrorClass::ALL.map(action))),
                enforce_percent: decides.then(|| policy.enforce_percent.get()),
                rest: decides.then_some(policy.rest),
                has_own_fallback: policy.fallback != FallbackActions::default(),
                sources: own.map(|(_, value)| value.source.clone()).collect(),
            }
        };
        CALLBACKS.iter().map(of_one).collect()
    }
}

/// The configuration in force, human-readable. Holds no secret: those are in files, which settings only name.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Effective {
    pub file: Option<PathBuf>,
    pub settings: Vec<EffectiveValue>,
    pub callbacks: Vec<EffectiveCallback>,
    /// The settings that would have another value after a restart.
    pub needs_restart: Vec<&'static str>,
}

impl ShowConfiguration for Effective {
    fn needs_restart(&self) -> usize {
        self.needs_restart.len()
    }

    fn shown(&self) -> ShownConfiguration {
        let source = |value: &EffectiveValue| value.is_set().then(|| value.source.to_string());
        let setting =
            |value: &EffectiveValue| ShownSetting { key: value.key, value: value.yaml(), source: source(value) };
        ShownConfiguration {
            json: json!(self),
            file: self.file.as_ref().map(|path| path.display().to_string()),
            settings: self.settings.iter().map(setting).collect(),
            needs_restart: self.needs_restart.clone(),
        }
    }
}

/// What is done for each error class, indexed as [`ErrorClass::ALL`].
#[derive(Debug, Clone, Copy)]
pub struct EffectiveFallback([Action; ErrorClass::ALL.len()]);

impl EffectiveFallback {
    /// Each class with its action.
    pub fn by_class(self) -> impl Iterator<Item = (ErrorClass, Action)> + Clone {
        ErrorClass::ALL.into_iter().zip(self.0)
    }
}

impl serde::Serialize for EffectiveFallback {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.by_class().map(|(class, action)| (class.into_str(), action)))
    }
}

/// What is done with one callback, human-readable. Of what OpenIM only tells there is no more than the route.
#[derive(Debug, Clone, serde::Serialize)]
pub struct EffectiveCallback {
    /// Its key in webhooks.yml.
    pub name: &'static str,
    pub route: Route,
    pub timeout: Option<String>,
    /// By error class.
    pub fallback: Option<EffectiveFallback>,
    pub enforce_percent: Option<u8>,
    /// What is done for the others.
    pub rest: Option<Rest>,
    /// Whether a fallback is set for it alone.
    #[serde(skip)]
    pub has_own_fallback: bool,
    /// Where its own settings came from.
    pub sources: Vec<ValueSource>,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct EffectiveValue {
    /// Such as `admin.listen`.
    pub key: &'static str,
    /// As it would stand in a file; `null` is unset.
    pub value: Json,
    pub source: ValueSource,
    /// What holds where it is unset.
    #[serde(skip)]
    pub unset: Cow<'static, str>,
}

impl EffectiveValue {
    fn is_set(&self) -> bool {
        self.source != ValueSource::Default
    }

    /// The value as YAML, or what holds where it is unset.
    #[must_use]
    pub fn yaml(&self) -> String {
        if self.value.is_null() { self.unset.to_string() } else { leaf::show(&self.value) }
    }
}

/// What came of reading a configuration again.
#[derive(Debug, Clone)]
pub struct Reloaded {
    /// What is in force from now on.
    pub loaded: Loaded,
    /// The settings that are in force with another value now, or whose file holds something else.
    pub changed: Vec<&'static str>,
    /// The settings that would have another value after a restart.
    pub needs_restart: Vec<&'static str>,
}

impl Reloaded {
    #[must_use]
    pub fn effective(&self) -> Effective {
        Effective { needs_restart: self.needs_restart.clone(), ..self.loaded.effective() }
    }
}

impl Loaded {
    /// Whether this sets all to the same, wherever the values came from.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        self.differing(other).next().is_none()
    }

    /// The files that settings name and that are read with the configuration.
    pub fn files_beside(&self) -> impl Iterator<Item = &Path> {
        let named = self.values.iter().filter(|value| [USERS, IDS_KEY].contains(&value.key));
        named.filter_map(|value| value.value.as_str().map(Path::new))
    }

    fn differing<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (&'static Leaf, &'a EffectiveValue, &'a EffectiveValue)> {
        let other_users = self.settings.bridge.access.basic_auth != other.settings.bridge.access.basic_auth;
        let ids = (&self.settings.bridge.log.ids, &other.settings.bridge.log.ids);
        let other_key = matches!(ids, (LogIds::Hash(own), LogIds::Hash(others)) if own != others);
        let pairs = leaves().iter().zip(self.values.iter().zip(&other.values));
        pairs.map(|(leaf, (own, others))| (leaf, own, others)).filter(move |(leaf, own, others)| {
            own.value != others.value || (other_users && leaf.key == USERS) || (other_key && leaf.key == IDS_KEY)
        })
    }

    /// What becomes of a bridge that was started on this, or went over to it, when `found` is what there is now.
    ///
    /// # Errors
    ///
    /// Never, as far as is known: both have been checked.
    pub fn reload(&self, found: &Self) -> Result<Reloaded, ConfigError> {
        let (mut changed, mut needs_restart) = (vec![], vec![]);
        for (leaf, own, others) in self.differing(found) {
            // A default that differs has followed another setting.
            let is_set = [own, others].iter().any(|value| value.is_set());
            match leaf.live {
                true => changed.push(own.key),
                false if is_set => needs_restart.push(own.key),
                false => {}
            }
        }
        let pairs = leaves().iter().zip(self.values.iter().zip(&found.values));
        let in_force = |(leaf, (own, others)): (&Leaf, (&EffectiveValue, &EffectiveValue))| {
            if leaf.live { others } else { own }.clone()
        };
        let values: Vec<EffectiveValue> = pairs.map(in_force).collect();
        let mut tree = json!({});
        let is_said = |(leaf, value): &(&Leaf, &EffectiveValue)| leaf.callback.is_none() || !value.value.is_null();
        for (leaf, value) in leaves().iter().zip(&values).filter(is_said) {
            put(&mut tree, leaf, &value.value);
        }
        let raw: Raw = serde_json::from_value(tree).map_err(|error| whole(&error))?;
        let beside = Beside {
            basic_auth: found.settings.bridge.access.basic_auth.clone(),
            log_ids: found.settings.bridge.log.ids.clone(),
            forward: found.settings.forward.as_ref().and_then(|forward| forward.credentials.clone()),
        };
        let settings = raw.into_settings(beside);
        let loaded = Self { settings, file: found.file.clone(), values, warnings: found.warnings.clone() };
        Ok(Reloaded { loaded, changed, needs_restart })
    }
}

/// What settings are read from, before anything is.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file, if one was named.
    pub file: Option<PathBuf>,
    /// Keys that flags set, each with the flag's values.
    pub flags: Vec<(&'static str, Vec<String>)>,
    /// What flags say of single callbacks, such as `beforeSendSingleMsg.route=allow`.
    pub callbacks: Vec<String>,
    /// The variables that are the bridge's own.
    pub variables: Vec<(String, OsString)>,
}

impl Sources {
    /// From the flags of [`super::args`] and an environment such as [`std::env::vars_os`]. A variable that is set but
    /// empty counts as unset, since that is how an unset value of a template arrives.
    pub fn new(flags: &ArgMatches, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut variables: Vec<(String, OsString)> = environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, value)| name.starts_with(ENV_PREFIX) && !value.is_empty())
            .collect();
        variables.sort();
        let from_flag = flags.try_get_one::<PathBuf>(FILE_FLAG).ok().flatten().cloned();
        let from_variable = || variables.iter().find(|(name, _)| name == FILE_VARIABLE).map(|(_, value)| value.into());
        let values = |leaf: &'static Leaf| flags.try_get_many::<String>(&leaf.key).ok().flatten();
        Self {
            file: from_flag.or_else(from_variable),
            flags: leaves().iter().filter_map(|leaf| Some((&*leaf.key, values(leaf)?.cloned().collect()))).collect(),
            callbacks: flags.try_get_many(CALLBACK_FLAG).ok().flatten().into_iter().flatten().cloned().collect(),
            variables,
        }
    }

    fn sets(&self, variable: &str) -> bool {
        self.variables.iter().any(|(name, _)| name == variable)
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, as far as one part being wrong does not hide another.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let (entries, problems, mut warnings) = self.entries();
        let (settings, values, more) = finish(&entries, problems)?;
        warnings.extend(more);
        Ok(Loaded { settings, file: self.file.clone(), values, warnings })
    }

    /// Of all the settings only `admin.listen`, whatever is wrong with the others: for asking a running bridge, which a
    /// file that somebody has broken since must not stand in the way of.
    ///
    /// # Errors
    ///
    /// What is wrong with this one, or with the file as a whole.
    pub fn admin_listen(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let (mut entries, problems, _) = self.entries();
        entries.retain(|entry| entry.leaf.key == "admin.listen");
        let hides_all = |problem: &Problem| matches!(problem, Problem::Syntax { .. } | Problem::Unreadable { .. });
        // A file that cannot be read matters only where nothing wins over it.
        let problems = if entries.is_empty() { problems.into_iter().filter(hides_all).collect() } else { vec![] };
        Ok(finish(&entries, problems)?.0.admin.listen)
    }

    /// Everything that the layers set, the weakest first.
    fn entries(&self) -> (Vec<Entry>, Vec<Problem>, Vec<Warning>) {
        let from_file = self.file.as_deref().map(|path| file::read(path, leaves()));
        let (mut entries, mut problems) = from_file.unwrap_or_default();
        let warnings = self.variables(&mut entries, &mut problems);
        for (key, values) in &self.flags {
            if let Some(leaf) = leaves().iter().find(|leaf| leaf.key == *key) {
                let source = ValueSource::Flag { name: leaf.known_flag() };
                entries.push(Entry { leaf, value: leaf.value(&values.join(",")), source });
            }
        }
        for text in &self.callbacks {
            match of_one_callback(text) {
                Ok(entry) => entries.push(entry),
                Err(problem) => problems.push(problem),
            }
        }
        (entries, problems, warnings)
    }

    fn variables(&self, entries: &mut Vec<Entry>, problems: &mut Vec<Problem>) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for (name, value) in &self.variables {
            let source = ValueSource::Env { name: name.clone() };
            if let Some(now) =
                leaves().iter().find(|leaf| leaf.was.as_deref().map(leaf::variable_of).as_ref() == Some(name))
            {
                problems.push(Problem::RenamedVariable { at: source, now: &now.variable });
                continue;
            }
            let is_of = |leaf: &&Leaf| leaf.variable == *name || leaf.short_variable.as_ref() == Some(name);
            match (leaves().iter().find(is_of), value.to_str()) {
                (Some(leaf), _) if *name != leaf.variable && self.sets(&leaf.variable) => {
                    problems.push(Problem::TwoVariables { at: source, other: &leaf.variable });
                }
                (Some(leaf), Some(text)) => entries.push(Entry { leaf, value: leaf.value(text), source }),
                (Some(leaf), None) => problems.push(Problem::Value {
                    at: source,
                    key: &leaf.key,
                    value: "not UTF-8".to_owned(),
                    expected: leaf.expected.clone(),
                }),
                (None, _) if name == FILE_VARIABLE || is_from_kubernetes(name) => {}
                (None, _) => {
                    let key = name.trim_start_matches(ENV_PREFIX);
                    let hint = leaf::closest(key, leaves()).map(|leaf| leaf.variable.clone());
                    warnings.push(Warning::UnknownVariable { name: name.clone(), hint });
                }
            }
        }
        warnings
    }
}

/// A flag that sets one callback's setting.
fn of_one_callback(text: &str) -> Result<Entry, Problem> {
    let at = ValueSource::Flag { name: format!("--{CALLBACK_FLAG}") };
    let Some(((name, setting), value)) =
        text.split_once('=').and_then(|(key, value)| Some((key.split_once('.')?, value)))
    else {
        let expected = "expected NAME.SETTING=VALUE, such as beforeSendSingleMsg.timeout=800ms".to_owned();
        return Err(Problem::Combination(format!("{at}: `{text}`: {expected}")));
    };
    let key = format!("callbacks.{name}.{setting}");
    if let Some(leaf) = leaves().iter().find(|leaf| leaf.key == key) {
        return Ok(Entry { leaf, value: leaf.value(value), source: at });
    }
    let prefix = format!("callbacks.{name}.");
    let is_callback = leaves().iter().any(|leaf| leaf.key.starts_with(&prefix));
    let hint = if is_callback { hint(setting, &prefix, leaves()) } else { hint(name, "callbacks.", leaves()) };
    Err(Problem::UnknownKey { at, key, hint })
}

/// Whether Kubernetes adds the variable to every pod beside a Service called `openim-bridge`. No setting's key begins
/// with `port` or `service`, so that none can be meant.
fn is_from_kubernetes(name: &str) -> bool {
    let name = name.trim_start_matches(ENV_PREFIX);
    name == "PORT" || name.starts_with("PORT_") || name.starts_with("SERVICE_")
}

fn finish(
    entries: &[Entry],
    mut problems: Vec<Problem>,
) -> Result<(Settings, Vec<EffectiveValue>, Vec<Warning>), ConfigError> {
    let mut tree = json!({});
    for Entry { leaf, value, source } in entries {
        // By itself first, so that every wrong value is told, and not only the first.
        let mut alone = json!({});
        put(&mut alone, leaf, value);
        if leaf.allows(value) && serde_json::from_value::<Raw>(alone).is_ok() {
            put(&mut tree, leaf, value);
        } else {
            problems.push(Problem::Value {
                at: source.clone(),
                key: &leaf.key,
                value: if leaf.secret { "not right".to_owned() } else { leaf::show(value) },
                expected: match meant(value).filter(|_| leaf.key == ALLOW) {
                    Some(range) => format!("{}: did you mean {range}?", leaf.expected),
                    None => leaf.expected.clone(),
                },
            });
        }
    }
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    let mut raw: Raw = serde_json::from_value(tree).map_err(|error| whole(&error))?;
    let mut problems = raw.check(&entries);
    let credentials = raw.credentials(&entries).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let log_ids = raw.log_ids(&entries).unwrap_or_else(|problem| {
        problems.push(problem);
        LogIds::Omit
    });
    let forward = raw.forward_credentials(&entries).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    let warnings = raw.warnings(&entries);
    let effective = serde_json::to_value(&raw).map_err(|error| whole(&error))?;
    let values = leaves().iter().map(|leaf| EffectiveValue {
        key: &leaf.key,
        value: leaf.key.split('.').fold(&effective, |group, name| &group[name]).clone(),
        source: entries.source(&leaf.key),
        unset: leaf.unset().into(),
    });
    let mut values: Vec<EffectiveValue> = values.collect();
    let beside = Beside { basic_auth: credentials, log_ids, forward };
    let settings = raw.into_settings(beside);
    for class in ErrorClass::ALL {
        if let Some(value) = values.iter_mut().find(|value| value.key.strip_prefix(OF_CLASS) == Some(class.into_str()))
        {
            value.unset = settings.bridge.fallback.action(class).to_string().into();
        }
    }
    Ok((settings, values, warnings))
}

/// What is wrong where every value was right by itself.
fn whole(error: &serde_json::Error) -> ConfigError {
    ConfigError { problems: vec![Problem::Combination(error.to_string())] }
}

/// Puts a value where its key belongs.
fn put(tree: &mut Json, leaf: &Leaf, value: &Json) {
    let place = leaf.key.split('.').fold(tree, |group, name| &mut group[name]);
    *place = value.clone();
}
