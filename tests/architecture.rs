//! Imports of `src/` point down: no circle among its files, each folder imports only those below it, and the walls hold.
//! Read off the text of the files, test modules left out.

#![allow(clippy::expect_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use openim_bridge::callback::{CALLBACKS, FieldKind, Shape};

/// From the top down: each may import itself and what is below it. `proto` is generated, and stands below all.
const LAYERS: [&str; 13] = [
    "", // main.rs and lib.rs
    "cli",
    "doctor",
    "check",
    "mock",
    "config",
    "server",
    "bridge",
    "telemetry",
    "outcome",
    "policy",
    "upstream",
    "callback",
];
/// The same, below those.
const LOWEST: [&str; 2] = ["openim", "base"];

/// What stands in these places only.
const WALLS: [Wall; 5] = [
    Wall { what: "h2::", only_in: &["upstream"], why: "gRPC to the decision service is spoken in one place" },
    Wall { what: "hyper::client", only_in: &["upstream"], why: "connections out are made in one place" },
    Wall { what: "axum::", only_in: &["server/admin", "mock"], why: "no framework is on a callback's path" },
    Wall { what: "println!", only_in: &["cli"], why: "the library prints nothing" },
    Wall { what: "stdout()", only_in: &["cli"], why: "the library prints nothing" },
];
/// What does not stand in these places.
const PURE: [Pure; 3] = [
    Pure {
        folders: &["callback", "openim"],
        without: &["tokio::", "hyper::", "std::fs", "fs::", "std::net", "File::"],
        why: "it does no I/O",
    },
    Pure { folders: &["base"], without: &["openim", "OpenIM", "callback"], why: "it knows no word of OpenIM" },
    Pure {
        folders: &["server", "bridge", "telemetry", "outcome", "policy", "upstream"],
        without: &["crate::config"],
        why: "each module owns the settings that it uses",
    },
];

struct Wall {
    what: &'static str,
    only_in: &'static [&'static str],
    why: &'static str,
}

struct Pure {
    folders: &'static [&'static str],
    without: &'static [&'static str],
    why: &'static str,
}

/// Files of `src/` that name a field of a callback, or the generated message of one, beside the registry; and why.
const NAMES_FIELDS: [NamesFields; 11] = [
    NamesFields {
        file: "callback/row.rs",
        names: &["sessionType", "contentType"],
        why: "guards are the registry's words, and look at these of a message",
    },
    NamesFields { file: "callback/body.rs", names: &["userID"], why: "who is meant by an object in a list" },
    NamesFields {
        file: "cli/send/mod.rs",
        names: &["ownerUserID", "friendUserID", "remark"],
        why: "--owner, --friend and --remark are flags of old",
    },
    NamesFields {
        file: "mock/remark.rs",
        names: &["beforeSetFriendRemark", "ownerUserID", "friendUserID", "remark"],
        why: "the short names of old rules",
    },
    // Other things of the same name.
    NamesFields { file: "cli/send/report.rs", names: &["status"], why: "HTTP's, in the JSON output" },
    NamesFields { file: "mock/answer.rs", names: &["status"], why: "gRPC's, in rules" },
    NamesFields { file: "mock/command.rs", names: &["status"], why: "gRPC's, in texts" },
    NamesFields { file: "telemetry/metrics/outcomes.rs", names: &["reason"], why: "a label" },
    NamesFields { file: "config/leaf.rs", names: &["beforeSendSingleMsg"], why: "an example, in help" },
    NamesFields { file: "config/load.rs", names: &["beforeSendSingleMsg"], why: "an example, in an error" },
    NamesFields {
        file: "check/expect.rs",
        names: &["ownerUserID", "friendUserID", "remark"],
        why: "the short names of a remark in old tables",
    },
];

struct NamesFields {
    file: &'static str,
    names: &'static [&'static str],
    why: &'static str,
}

/// Files by their paths in `src/`, such as `bridge/mod.rs`.
type Sources = BTreeMap<String, String>;

#[test]
fn imports_point_down() {
    let mut sources = Sources::new();
    read(Path::new("src"), "", &mut sources);
    let wrong = violations(&sources);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_registry_alone_names_fields_of_callbacks() {
    let mut sources = Sources::new();
    read(Path::new("src"), "", &mut sources);
    sources.remove("callback/registry.rs");
    let named = |file: &str| fields_named(&sources[file]);
    let wrong: Vec<_> = sources.keys().flat_map(|file| named(file).into_iter().map(move |name| (file, name))).collect();
    let wrong = wrong.into_iter().filter(|(file, name)| {
        let allowed = NAMES_FIELDS.iter().filter(|it| *file == it.file);
        !allowed.clone().any(|it| it.names.contains(&&**name))
    });
    let wrong: Vec<_> = wrong.map(|(file, name)| format!("src/{file} names {name}")).collect();
    assert!(wrong.is_empty(), "what is said of one callback belongs into its row:\n{}", wrong.join("\n"));
    for NamesFields { file, names, why } in NAMES_FIELDS {
        let still = named(file);
        assert!(names.iter().all(|name| still.contains(*name)), "src/{file} is no exception any more: {why}");
    }
}

#[test]
fn a_field_that_is_named_is_found() {
    for (code, expected) in [
        ("f(\"remark\")", &["remark"][..]),
        ("f(\"--set remark=x\"); g(\"remark=x\")", &["remark"]),
        ("f(r#\"{\"ownerUserID\":1}\"#)", &["ownerUserID"]),
        ("// \"remark\"\nf(\"a remark\", remark)", &[]),
        ("f(\"afterQuitGroup\")", &["afterQuitGroup"]),
        ("use crate::proto::{Allow, AfterQuitGroupRequest};", &["AfterQuitGroupRequest"]),
    ] {
        assert_eq!(fields_named(code).iter().map(String::as_str).collect::<Vec<_>>(), expected, "{code}");
    }
}

/// What a text's code names of callbacks: fields by their names in JSON, names and commands, generated messages. A field of one
/// plain word, which is a word of other things too, is named where it is all of a literal, or stands before its `=`.
fn fields_named(text: &str) -> BTreeSet<String> {
    let code = without_comments(&without_tests(text));
    let words: BTreeSet<_> = code.split(|char: char| !char.is_alphanumeric() && char != '_').collect();
    let is_named = |name: &str| {
        if name.contains(char::is_uppercase) {
            words.contains(name)
        } else {
            code.contains(&format!("\"{name}\"")) || code.contains(&format!("\"{name}="))
        }
    };
    let mut names = BTreeSet::new();
    for callback in CALLBACKS {
        names.extend([callback.name, callback.command]);
        add_keys(callback.rpc.request, &mut names);
        callback.rpc.change.into_iter().for_each(|change| add_keys(change, &mut names));
    }
    let messages = CALLBACKS.iter().flat_map(|callback| {
        let rpc = callback.rpc.path.rsplit('/').next().unwrap_or_default();
        ["Request", "Response", "Change"].map(|end| format!("{rpc}{end}"))
    });
    names.into_iter().map(str::to_owned).chain(messages).filter(|name| is_named(name)).collect()
}

fn add_keys(shape: &'static Shape, keys: &mut BTreeSet<&'static str>) {
    for field in shape.fields {
        keys.insert(field.key);
        if let FieldKind::Message(shape) = field.kind {
            add_keys(shape, keys);
        }
    }
}

/// The pages for operators quote lines of the log, so that people find them there.
#[test]
fn lines_of_the_log_that_pages_quote_are_in_the_sources() {
    let mut sources = Sources::new();
    read(Path::new("src"), "", &mut sources);
    let pages = [include_str!("../docs/operations.md"), include_str!("../docs/reliability.md")];
    let quoted: Vec<&str> = pages.into_iter().flat_map(quoted_lines).collect();
    assert!(quoted.len() > 10, "{quoted:?}");
    // What is behind a colon may be a value.
    let is_written = |line: &str| sources.values().any(|it| it.contains(line.split(':').next().unwrap_or(line)));
    let wrong: Vec<_> = quoted.into_iter().filter(|line| !is_written(line)).collect();
    assert!(wrong.is_empty(), "no source has these lines of the log: {wrong:?}");
}

/// What a page has in backquotes, where it reads like a sentence. Code blocks are not looked at.
fn quoted_lines(page: &'static str) -> impl Iterator<Item = &'static str> {
    let prose = page.split("```").step_by(2);
    let quoted = prose.flat_map(|text| text.split('`').skip(1).step_by(2));
    let is_sentence = |text: &str| text.chars().all(|it| it.is_ascii_alphabetic() || " ,;:'.".contains(it));
    let quoted = quoted.filter(move |text| is_sentence(text) && text.split(' ').count() >= 3);
    quoted.map(|text| text.trim_matches(['.', ' ']))
}

#[test]
fn what_is_planted_is_found() {
    for (files, expected) in [
        (
            &[("server/worker.rs", "use super::webhook::answer;"), ("server/webhook.rs", "use super::worker::Worker;")]
                [..],
            "src/server/webhook.rs and src/server/worker.rs import each other: one has to go without the other",
        ),
        (
            // Through what another file hands on, and through the folder's own file.
            &[
                ("bridge/mod.rs", "mod outcome;\npub use outcome::Outcome;\nuse crate::telemetry::record;"),
                ("bridge/outcome.rs", ""),
                ("telemetry/mod.rs", "mod line;\npub use line::record;"),
                ("telemetry/line.rs", "use crate::bridge::{Kind, Outcome};"),
            ],
            "src/telemetry/line.rs imports src/bridge/mod.rs, which is above it",
        ),
        (
            &[
                ("base/mod.rs", "mod text;"),
                ("base/text.rs", "fn f() { crate::policy::percent::bucket(); }"),
                ("policy/mod.rs", "mod percent;"),
                ("policy/percent.rs", ""),
            ],
            "src/base/text.rs imports src/policy/percent.rs, which is above it",
        ),
        (
            &[("a/mod.rs", "mod b;\nfn f() { b::g() }"), ("a/b.rs", "use super::h;")],
            "src/a/b.rs and src/a/mod.rs import each other: one has to go without the other",
        ),
        (
            &[("server/webhook.rs", "use h2::client;")],
            "src/server/webhook.rs: `h2::` stands in src/upstream/ only: gRPC to the decision service is spoken in one place",
        ),
        (
            &[("openim/command.rs", "use std::fs;")],
            "src/openim/command.rs: `std::fs` does not stand in src/openim/: it does no I/O",
        ),
        (
            &[("base/text.rs", "//! For OpenIM's texts.")],
            "src/base/text.rs: `OpenIM` does not stand in src/base/: it knows no word of OpenIM",
        ),
    ] {
        let sources = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let found = violations(&sources);
        assert!(found.iter().any(|wrong| wrong == expected), "{expected}\n{found:?}");
    }
    let fine = [
        ("server/worker.rs", "use super::webhook::answer;\n#[cfg(test)]\nmod tests { use crate::cli; }"),
        ("server/webhook.rs", "// use super::worker;"),
    ];
    let fine = fine.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
    assert_eq!(violations(&fine), [""; 0]);
}

fn read(folder: &Path, prefix: &str, sources: &mut Sources) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = format!("{prefix}{}", path.file_name().expect("a name").to_str().expect("UTF-8"));
        if path.is_dir() {
            read(&path, &format!("{name}/"), sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            sources.insert(name, fs::read_to_string(&path).expect("text"));
        }
    }
}

fn violations(sources: &Sources) -> Vec<String> {
    let modules = Modules::of(sources);
    let imports: BTreeMap<&str, BTreeSet<&str>> =
        sources.keys().map(|file| (file.as_str(), modules.imports(file))).collect();
    let mut wrong = Vec::new();
    for (file, imported) in &imports {
        for other in imported.iter().filter(|other| is_above(folder(other), folder(file))) {
            wrong.push(format!("src/{file} imports src/{other}, which is above it"));
        }
        wrong.extend(walls(file, sources));
    }
    wrong.extend(circles(&imports));
    wrong
}

fn folder(file: &str) -> &str {
    file.split_once('/').map_or("", |(folder, _)| folder)
}

/// Whether the folder `other` is above `own`, of those that are known.
fn is_above(other: &str, own: &str) -> bool {
    let rank = |folder| LAYERS.iter().chain(&LOWEST).position(|layer| *layer == folder);
    matches!((rank(other), rank(own)), (Some(other), Some(own)) if other < own)
}

fn walls(file: &str, sources: &Sources) -> Vec<String> {
    let is_in = |folder: &str| file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let text = &sources[file];
    let code = without_comments(&without_tests(text));
    let walls = WALLS.iter().filter(|wall| !wall.only_in.iter().any(|folder| is_in(folder)) && holds(&code, wall.what));
    let places =
        |folders: &[&str]| folders.iter().map(|folder| format!("src/{folder}/")).collect::<Vec<_>>().join(" and ");
    let mut wrong: Vec<_> = walls
        .map(|wall| format!("src/{file}: `{}` stands in {} only: {}", wall.what, places(wall.only_in), wall.why))
        .collect();
    for pure in &PURE {
        for folder in pure.folders.iter().filter(|folder| is_in(folder)) {
            // Of what a folder knows, its comments count too.
            let text = if *folder == "base" { without_tests(text) } else { code.clone() };
            let found = pure.without.iter().find(|what| holds(&text, what));
            wrong.extend(
                found.map(|what| format!("src/{file}: `{what}` does not stand in src/{folder}/: {}", pure.why)),
            );
        }
    }
    wrong
}

/// Whether it stands there, and not as the end of another name.
fn holds(code: &str, what: &str) -> bool {
    code.match_indices(what)
        .any(|(at, _)| !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
}

/// Files that import each other, however many others are between them; the first two of each circle.
fn circles(imports: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let reaches = |from| reached(imports, from);
    let all: BTreeMap<&str, BTreeSet<&str>> = imports.keys().map(|file| (*file, reaches(file))).collect();
    let pairs = imports.iter().flat_map(|(file, imported)| imported.iter().map(move |other| (*file, *other)));
    let in_circles = pairs.filter(|(file, other)| all.get(other).is_some_and(|reached| reached.contains(file)));
    let named: BTreeSet<_> =
        in_circles.map(|(file, other)| if file < other { (file, other) } else { (other, file) }).collect();
    named
        .into_iter()
        .map(|(one, other)| format!("src/{one} and src/{other} import each other: one has to go without the other"))
        .collect()
}

fn reached<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(file) = next.pop() {
        next.extend(imports.get(file).into_iter().flatten().filter(|other| seen.insert(**other)));
    }
    seen
}

/// Where modules and what they hand on are defined.
struct Modules<'a> {
    sources: &'a Sources,
    /// By module path, such as `bridge::outcome`.
    files: BTreeMap<String, &'a str>,
    /// Without comments and tests.
    code: BTreeMap<&'a str, String>,
}

impl<'a> Modules<'a> {
    fn of(sources: &'a Sources) -> Self {
        let module = |file: &str| -> String {
            let path = file.trim_end_matches(".rs");
            path.trim_end_matches("lib").trim_end_matches("/mod").replace('/', "::")
        };
        let files = sources.keys().map(|file| (module(file), file.as_str())).collect();
        let code = sources.iter().map(|(file, text)| (file.as_str(), without_comments(&without_tests(text)))).collect();
        Self { sources, files, code }
    }

    fn module(&self, file: &str) -> String {
        let of_file = self.files.iter().find(|(_, of)| **of == file);
        of_file.map(|(module, _)| module.clone()).unwrap_or_default()
    }

    /// The files that this one imports, but for those that it only hands on.
    fn imports(&self, file: &str) -> BTreeSet<&'a str> {
        let module = self.module(file);
        let code = &self.code[file];
        let statements = uses(code).into_iter().filter(|used| !(used.is_public && self.is_within(&module, &used.path)));
        let mut paths: Vec<String> = statements.map(|used| used.path).collect();
        // Paths in the code itself: of the crate, and of the modules that are declared here.
        let rest = without_uses(code);
        paths.extend(paths_from(&rest, "crate::"));
        for child in declared(code) {
            paths.extend(paths_from(&rest, &format!("{child}::")));
        }
        paths.iter().filter_map(|path| self.file_of(&module, path)).filter(|other: &&'a str| *other != file).collect()
    }

    /// Also of a folder that has no file of its own.
    fn is_module(&self, path: &str) -> bool {
        self.files.keys().any(|module| module == path || module.starts_with(&format!("{path}::")))
    }

    fn is_within(&self, module: &str, path: &str) -> bool {
        let absolute = self.absolute(module, path);
        absolute.is_some_and(|absolute| module.is_empty() || absolute.starts_with(&format!("{module}::")))
    }

    /// A path as seen from a module, from the crate on; `None`: it is of another crate.
    fn absolute(&self, module: &str, path: &str) -> Option<String> {
        let (first, rest) = path.split_once("::").unwrap_or((path, ""));
        let join = |one: &str, other: &str| {
            [one, other].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("::")
        };
        match first {
            "crate" => Some(rest.to_owned()),
            "self" => Some(join(module, rest)),
            "super" => {
                let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
                if rest.starts_with("super::") || rest == "super" {
                    self.absolute(parent, rest)
                } else {
                    Some(join(parent, rest))
                }
            }
            _ => {
                let child = join(module, first);
                self.files.contains_key(&child).then(|| join(module, path))
            }
        }
    }

    /// The file that defines what the path names, however it is handed on.
    fn file_of(&self, module: &str, path: &str) -> Option<&'a str> {
        self.defining(&self.absolute(module, path)?, 0)
    }

    fn defining(&self, absolute: &str, depth: usize) -> Option<&'a str> {
        if absolute == "proto" || absolute.starts_with("proto::") || depth > 8 {
            return None;
        }
        let (mut module, mut rest) = (String::new(), absolute);
        loop {
            let (first, more) = rest.split_once("::").unwrap_or((rest, ""));
            let child = if module.is_empty() { first.to_owned() } else { format!("{module}::{first}") };
            if !self.is_module(&child) {
                break;
            }
            (module, rest) = (child, more);
        }
        let file = *self.files.get(&module)?;
        let item = rest.split("::").next().unwrap_or_default();
        let handed_on =
            uses(&self.code[file]).into_iter().find(|used| used.is_public && !item.is_empty() && used.name == item);
        let elsewhere = handed_on.and_then(|used| self.defining(&self.absolute(&module, &used.path)?, depth + 1));
        debug_assert!(self.sources.contains_key(file), "a file of these");
        Some(elsewhere.unwrap_or(file))
    }
}

struct Use {
    /// With braces taken apart.
    path: String,
    /// What it is called here.
    name: String,
    is_public: bool,
}

fn uses(code: &str) -> Vec<Use> {
    let mut uses = Vec::new();
    for (is_public, statement) in use_statements(code) {
        for path in apart(&statement) {
            let (path, renamed) =
                path.split_once(" as ").map_or((path.as_str(), None), |(path, name)| (path, Some(name)));
            let path = path.trim().trim_end_matches("::self").to_owned();
            let name = renamed.unwrap_or_else(|| path.rsplit("::").next().unwrap_or_default()).trim().to_owned();
            uses.push(Use { path, name, is_public });
        }
    }
    uses
}

/// The `use` statements of a text, without the word, and whether they hand on.
fn use_statements(code: &str) -> Vec<(bool, String)> {
    let mut statements = Vec::new();
    for statement in code.split_inclusive(';') {
        let Some(at) =
            statement.rfind("use ").filter(|at| !statement[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        else {
            continue;
        };
        let before = statement[..at].trim_end();
        let line = before.rsplit(['\n', ';', '}', '{']).next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with("pub") {
            statements.push((line.starts_with("pub"), statement[at + 4..].trim_end_matches(';').to_owned()));
        }
    }
    statements
}

fn without_uses(code: &str) -> String {
    let mut rest = code.to_owned();
    for (_, statement) in use_statements(code) {
        rest = rest.replace(&format!("use {statement};"), "");
    }
    rest
}

/// `a::{b, c::{d, self}}` as `a::b`, `a::c::d`, `a::c::self`.
fn apart(path: &str) -> Vec<String> {
    let path = path.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some(open) = path.find('{') else { return vec![path] };
    let (prefix, inner) = (&path[..open], &path[open + 1..path.rfind('}').unwrap_or(path.len())]);
    let (mut depth, mut from, mut parts) = (0, 0, Vec::new());
    for (at, char) in inner.char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[from..]);
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    parts.flat_map(|part| apart(&format!("{prefix}{part}"))).collect()
}

/// The modules that a text declares.
fn declared(code: &str) -> Vec<&str> {
    let lines = code.lines().filter_map(|line| line.trim().strip_suffix(';'));
    lines.filter_map(|line| line.split_once("mod ").map(|(_, name)| name)).collect()
}

/// The paths that begin so, where they are not the end of others.
fn paths_from(code: &str, start: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let starts =
        code.match_indices(start).filter(|(at, _)| !code[..*at].ends_with(is_part) && !code[..*at].ends_with("(in "));
    starts
        .map(|(at, _)| {
            code[at..].chars().take_while(|c| is_part(*c)).collect::<String>().trim_end_matches("::").to_owned()
        })
        .collect()
}

/// Without test modules: the one within a file, which is the last thing in it, and declarations of others.
fn without_tests(text: &str) -> String {
    let mut rest = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            while lines.peek().is_some_and(|next| next.trim().starts_with("#[")) {
                lines.next();
            }
            match lines.peek() {
                Some(next) if next.starts_with("mod ") && next.ends_with('{') => break,
                Some(next) if next.starts_with("mod ") => drop(lines.next()),
                _ => {}
            }
        } else {
            rest.push_str(line);
            rest.push('\n');
        }
    }
    rest
}

fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split_once("//").filter(|(before, _)| !before.contains('"')).map_or(line, |(code, _)| code));
    lines.collect::<Vec<_>>().join("\n")
}
