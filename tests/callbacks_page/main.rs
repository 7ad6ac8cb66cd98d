//! docs/callbacks.md, made from the registry and from the comments of `proto/`; [`chinese`] makes docs/zh-CN/callbacks.md.

#![allow(clippy::expect_used, reason = "a test's helpers fail as the test does")]

mod chinese;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use openim_bridge::callback::{CALLBACKS, Callback, Echo, Guard, Kind};
use openim_bridge::openim::ReservedCode;
use prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind as Type, MessageDescriptor, MethodDescriptor,
};

const RENEW: &str = "UPDATE_DOCS=1 cargo test --test callbacks_page";

/// A part of the page, which is a file of `proto/`.
struct Part {
    file: &'static str,
    title: &'static str,
    /// The headline over the fields that all requests with a field have, and the name of that field.
    shared: Option<(&'static str, &'static str)>,
}

const PARTS: [Part; 6] = [
    Part { file: "friend", title: "Friends", shared: None },
    Part { file: "user", title: "Users", shared: None },
    Part { file: "group", title: "Groups", shared: None },
    Part { file: "message", title: "Messages", shared: Some(("Fields of every message", "content")) },
    Part { file: "push", title: "Pushes", shared: Some(("Fields of every push", "content")) },
    Part { file: "conversation", title: "Conversations", shared: Some(("Fields of every conversation", "is_pinned")) },
];

#[test]
fn the_page_is_up_to_date() {
    renew("docs/callbacks.md", &Page::new().made());
}

/// Holds a page against what it is made of, or writes it.
fn renew(page: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, made).expect("written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == made, "{page} is out of date; renew it: {RENEW}");
}

#[test]
fn every_callback_has_a_section_and_every_link_leads_to_a_headline() {
    let page = Page::new().made();
    let anchors = anchors(&page);
    let headlines: Vec<&str> = page.lines().filter(|line| line.starts_with('#')).collect();
    for callback in CALLBACKS {
        assert!(headlines.contains(&&*format!("### {}", callback.name)), "{} has no section", callback.name);
    }
    for link in links_within(&page) {
        assert!(anchors.contains(link), "#{link} is no headline");
    }
}

/// What links within a page can lead to.
fn anchors(page: &str) -> BTreeSet<String> {
    let headlines: Vec<&str> = page.lines().filter(|line| line.starts_with('#')).collect();
    let anchors: BTreeSet<String> = headlines.iter().map(|headline| slug(headline)).collect();
    assert_eq!(anchors.len(), headlines.len(), "two headlines with the same anchor");
    anchors
}

fn links_within(page: &str) -> impl Iterator<Item = &str> {
    page.split("](#").skip(1).filter_map(|rest| rest.split_once(')')).map(|(anchor, _)| anchor)
}

/// The comments give the command too, for those who read only `proto/`.
#[test]
fn the_comments_name_the_key_and_the_command_of_the_registry() {
    let page = Page::new();
    for callback in CALLBACKS {
        let comment = comment_of(&page.method(callback).parent_service().parent_file(), page.method(callback).path());
        let expected = format!("Key `{}`, command `{}`. ", callback.name, callback.command);
        let (_, last) = comment.rsplit_once("\n\n").expect("two paragraphs");
        assert!(one_line(last).starts_with(&expected), "the rpc's last paragraph must begin: {expected}");
    }
}

#[test]
fn the_page_about_versions_has_every_old_command() {
    let page = include_str!("../../docs/compatibility.md");
    for callback in CALLBACKS {
        for alias in callback.aliases {
            assert!(page.contains(&code(alias)), "docs/compatibility.md does not name {alias} of {}", callback.name);
        }
    }
}

struct Page {
    pool: DescriptorPool,
}

impl Page {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
        let files = ["decision"].into_iter().chain(PARTS.iter().map(|part| part.file));
        let files: Vec<PathBuf> = files.map(|file| folder.join(format!("openim/bridge/v1/{file}.proto"))).collect();
        // With comments, which the descriptors in the program need not have.
        let contract = protox::compile(files, [folder]).expect("the contract");
        Self { pool: DescriptorPool::from_file_descriptor_set(contract).expect("the contract") }
    }

    fn made(&self) -> String {
        let parts: String = PARTS.iter().map(|part| self.part(part)).collect();
        format!("{}{}{parts}{}", introduction(), self.contents(), self.types())
    }

    fn file(&self, name: &str) -> FileDescriptor {
        self.pool.get_file_by_name(&format!("openim/bridge/v1/{name}.proto")).expect("the file")
    }

    fn method(&self, callback: &Callback) -> MethodDescriptor {
        let (service, method) = callback.rpc.path.trim_start_matches('/').split_once('/').expect("a path");
        let service = self.pool.get_service_by_name(service).expect("the service");
        service.methods().find(|found| found.name() == method).expect("the method")
    }

    /// Its callbacks, in the order of the file.
    fn callbacks(&self, file: &str) -> Vec<(&'static Callback, MethodDescriptor)> {
        let file = self.file(file);
        let methods = file.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let row = |method: &MethodDescriptor| {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            CALLBACKS.iter().find(|callback| callback.rpc.path == path).expect("a row of the registry")
        };
        methods.map(|method| (row(&method), method)).collect()
    }

    fn contents(&self) -> String {
        let mut contents = "| part, service | *before*: OpenIM waits for a decision | *after*: OpenIM reports |\n\
                            | --- | --- | --- |\n"
            .to_owned();
        for part in &PARTS {
            let callbacks = self.callbacks(part.file);
            let service = callbacks[0].1.parent_service();
            let of = |after: bool| {
                let of = callbacks.iter().filter(|(callback, _)| callback.is_after() == after);
                of.map(|(callback, _)| link(callback.name, callback.name)).collect::<Vec<_>>().join("<br>")
            };
            let (before, after) = (of(false), of(true));
            let part = link(part.title, part.title);
            writeln!(contents, "| {part}<br>`{}` | {before} | {after} |", service.name()).expect("a string");
        }
        contents
    }

    fn part(&self, part: &Part) -> String {
        let file = self.file(part.file);
        let words = Words { page: self, part, callback: "" };
        let head = comment_of(&file, &[2]);
        let (_, notes) = head.split_once("Here:\n\n").expect("what an implementer must know of this file");
        let mut text = format!("\n## {}\n\n{}", part.title, words.list(notes));
        let shared = self.shared(part);
        if let Some((headline, _)) = part.shared {
            let table = words.fields(&shared);
            write!(text, "\n### {headline}\n\n{table}").expect("a string");
        }
        for (callback, method) in self.callbacks(part.file) {
            text.push_str(&section(callback, &method, &shared, &Words { callback: method.name(), ..words }));
        }
        text
    }

    /// What all requests of the part with a certain field have in common.
    fn shared(&self, part: &Part) -> Vec<FieldDescriptor> {
        let Some((_, telling)) = part.shared else { return Vec::new() };
        let inputs = self.callbacks(part.file).into_iter().map(|(_, method)| method.input());
        let mut requests = inputs.filter(|request| request.get_field_by_name(telling).is_some());
        let mut shared = requests.next().map(|request| told(&request)).unwrap_or_default();
        for request in requests {
            shared.retain(|field| told(&request).iter().any(|other| is_same(field, other)));
        }
        shared
    }

    fn types(&self) -> String {
        let words = Words { page: self, part: &PARTS[0], callback: "" };
        let mut types = "\n## Types\n".to_owned();
        for message in self.messages() {
            let about = words.paragraph(&comment_of(&message.parent_file(), message.path()));
            let fields = words.fields(&message.fields().collect::<Vec<_>>());
            write!(types, "\n### {}\n\n{about}\n{fields}", message.name()).expect("a string");
        }
        for listed in self.enums() {
            let about = words.paragraph(&comment_of(&listed.parent_file(), listed.path()));
            write!(types, "\n### {}\n\n{about}\n| number | name | meaning |\n| --- | --- | --- |\n", listed.name())
                .expect("a string");
            for value in listed.values() {
                let meaning = words.cell(&comment_of(&listed.parent_file(), value.path()));
                writeln!(types, "| {} | `{}` | {meaning} |", value.number(), value.name()).expect("a string");
            }
        }
        types
    }

    /// The messages that requests and decisions are made of.
    fn messages(&self) -> Vec<MessageDescriptor> {
        let of_callbacks: BTreeSet<String> = CALLBACKS
            .iter()
            .map(|callback| self.method(callback))
            .flat_map(|method| [Some(method.input()), Some(method.output()), change_of(&method)])
            .flatten()
            .map(|message| message.name().to_owned())
            .collect();
        let files = ["decision"].into_iter().chain(PARTS.iter().map(|part| part.file));
        let messages = files.flat_map(|file| self.file(file).messages().collect::<Vec<_>>());
        messages.filter(|it| it.fields().len() > 0 && !of_callbacks.contains(it.name())).collect()
    }

    fn enums(&self) -> Vec<EnumDescriptor> {
        let files = ["decision"].into_iter().chain(PARTS.iter().map(|part| part.file));
        files.flat_map(|file| self.file(file).enums().collect::<Vec<_>>()).collect()
    }
}

fn introduction() -> String {
    format!(
        "\
<!-- Made from src/callback/registry.rs and proto/. To renew it: {RENEW} -->

# Callbacks

Every callback of OpenIM, by its key in `webhooks.yml`. The name of its rpc is the key with a capital first letter.

- [decision.proto](../proto/openim/bridge/v1/decision.proto) has the rules for every rpc: metadata, deadlines, repeated
  calls. [decision-service.md](decision-service.md) explains them, and [compatibility.md](compatibility.md) has what older
  servers do differently.
- Every request also has `operation_id`, from OpenIM's header `operationID`. The tables do not repeat it.
- The column *JSON* has OpenIM's name of a field, the column *field* its name in `proto/`. An `optional` field is unset
  where OpenIM sends null or nothing.
- A change replaces the fields that it sets. A change that breaks a rule below is an invalid reply: the fallback decides.

"
    )
}

fn section(callback: &Callback, method: &MethodDescriptor, shared: &[FieldDescriptor], words: &Words) -> String {
    let comment = comment_of(&method.parent_service().parent_file(), method.path());
    let (about, last) = comment.rsplit_once("\n\n").expect("two paragraphs");
    let (_, since) = last.split_once(&*format!("`{}`.", callback.command)).expect("the command");
    let kind = if callback.is_after() { "after" } else { "before" };
    let mut command = format!("`{}`", callback.command);
    if !callback.aliases.is_empty() {
        write!(command, "; older servers: {}", codes(callback.aliases)).expect("a string");
    }
    let mut text = format!(
        "\n### {}\n\n- Kind: {kind}\n- Command: {command}\n- Rpc: `{}.{}`\n{}\n{}",
        callback.name,
        method.parent_service().name(),
        method.name(),
        words.item(&format!("Versions: {}", decapitalized(since.trim()))),
        words.paragraph(about),
    );
    if !callback.is_after() {
        text.push_str("\n| decision | tells OpenIM |\n| --- | --- |\n");
        for decision in method.output().fields() {
            let effect = words.cell(&comment_of(&method.output().parent_file(), decision.path()));
            writeln!(text, "| `{}` | {effect} |", decision.name()).expect("a string");
        }
    }
    let request = method.input();
    let own = told(&request).into_iter().filter(|field| !shared.iter().any(|other| is_same(field, other)));
    let own: Vec<FieldDescriptor> = own.collect();
    let about = renamed(&comment_of(&request.parent_file(), request.path()), "The request");
    write!(text, "\n{}", words.paragraph(&about)).expect("a string");
    if own.len() < told(&request).len() {
        let headline = words.part.shared.map(|(headline, _)| headline).expect("shared fields");
        let and = if own.is_empty() { "." } else { ", and:" };
        write!(text, "\nIt has the {}{and}\n", link(&decapitalized(headline), headline)).expect("a string");
    }
    if !own.is_empty() {
        write!(text, "\n{}", words.fields(&own)).expect("a string");
    }
    if let Some(change) = change_of(method) {
        let about = renamed(&comment_of(&change.parent_file(), change.path()), "The change");
        let fields = words.fields(&change.fields().collect::<Vec<_>>());
        write!(text, "\n{}\n{fields}", words.paragraph(&about)).expect("a string");
    }
    let rules: String = rules(callback, method).iter().map(|rule| words.item(rule)).collect();
    if !rules.is_empty() {
        write!(text, "\nNotes:\n\n{rules}").expect("a string");
    }
    text
}

/// What the registry knows beyond the comments.
fn rules(callback: &Callback, method: &MethodDescriptor) -> Vec<String> {
    let request = method.input();
    let asked = |key: &str| code(request.get_field_by_json_name(key).expect("a field of the request").name());
    let all = |keys: &[&str]| keys.iter().map(|key| asked(key)).collect::<Vec<_>>().join(", ");
    let mut rules = Vec::new();
    let required: Vec<&str> = callback.required_keys().collect();
    if !required.is_empty() {
        let rejected = ReservedCode::MalformedBody as i32;
        let required = all(&required).replace(", ", " or ");
        rules.push(format!("The bridge rejects a request that lacks {required} ({rejected})."));
    }
    if let Kind::Before { echo, only_service_refuses } = callback.kind {
        match echo {
            Echo::Helps([]) => {}
            Echo::Helps(keys) => rules.push(format!(
                "An allow of the bridge repeats {}: older servers store what the answer has, or nothing.",
                all(keys)
            )),
            Echo::Required(keys) => rules.push(format!(
                "An allow of the bridge repeats {}: OpenIM would otherwise fail, or drop what the user asked for. If \
                 the bridge could not read the request, it refuses, whatever the fallback is.",
                all(keys)
            )),
        }
        if only_service_refuses {
            rules.push(
                "The bridge refuses only if your service does, or the callback's own `fallback` or `route`. A global \
                 `fallback` or `route` does not refuse it, and a request whose body the bridge cannot read is allowed."
                    .to_owned(),
            );
        }
        if let Some(key) = callback.actor.or(callback.roll_out) {
            let field = request.get_field_by_json_name(key).expect("a field of the request");
            let first = if field.is_list() { "the first of " } else { "" };
            rules.push(format!("`decision.enforce_percent` selects by {first}{}.", asked(key)));
        }
    }
    let change = change_of(method);
    rules.extend(callback.guards.iter().map(|guard| rule(*guard, change.as_ref().expect("a change"))));
    rules
}

fn rule(guard: Guard, change: &MessageDescriptor) -> String {
    let field = |key: &str| change.get_field_by_json_name(key).expect("a field of the change");
    let name = |key: &str| code(field(key).name());
    match guard {
        Guard::NotEmpty(key) => format!("A change must not set {} to nothing.", name(key)),
        Guard::NotBlank(key) => format!("A change must not set {} to white space alone.", name(key)),
        Guard::NotZero(key) => format!("A change must not set {} to 0.", name(key)),
        Guard::EachNotZero(list, key) => {
            let key = code(item_of(&field(list), key).name());
            format!("No item of {} in a change may set {key} to 0.", name(list))
        }
        Guard::JsonObject(key) => format!("A change must set {} to a JSON object.", name(key)),
        Guard::Asked(key) => format!("A change may set {} only if the request sets it.", name(key)),
        Guard::EachHas(list, key) => {
            let key = code(item_of(&field(list), key).name());
            format!("Each item of {} in a change must have a {key}.", name(list))
        }
        Guard::InSession(key, number) => {
            let session = code(&session(change, number));
            format!("A change may set {} only if `session_type` is {session}.", name(key))
        }
        Guard::NotNotification => "A notification (`content_type` 1000 to 5000) cannot be changed.".to_owned(),
    }
}

/// The field of a list's items that has this key.
fn item_of(list: &FieldDescriptor, key: &str) -> FieldDescriptor {
    let item = list.kind().as_message().and_then(|item| item.get_field_by_json_name(key));
    item.expect("a field of the item")
}

/// The name of this session type.
fn session(change: &MessageDescriptor, number: i64) -> String {
    let sessions = change.parent_pool().get_enum_by_name("openim.bridge.v1.SessionType").expect("the enum");
    let session = i32::try_from(number).ok().and_then(|number| sessions.get_value(number));
    session.expect("a value of the enum").name().to_owned()
}

fn change_of(method: &MethodDescriptor) -> Option<MessageDescriptor> {
    method.output().get_field(3).and_then(|change| change.kind().as_message().cloned())
}

/// The fields of a request that the tables tell of.
fn told(request: &MessageDescriptor) -> Vec<FieldDescriptor> {
    request.fields().filter(|field| field.name() != "operation_id").collect()
}

fn is_same(one: &FieldDescriptor, other: &FieldDescriptor) -> bool {
    let comment = |field: &FieldDescriptor| comment_of(&field.parent_message().parent_file(), field.path());
    one.field_descriptor_proto() == other.field_descriptor_proto() && comment(one) == comment(other)
}

/// The comment before the element of the file that has this path.
fn comment_of(file: &FileDescriptor, path: &[i32]) -> String {
    let source = file.file_descriptor_proto().source_code_info.as_ref().expect("descriptors with comments");
    let location = source.location.iter().find(|location| location.path == path).expect("a location");
    let lines = location.leading_comments().lines().map(str::trim);
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// Turns comments into Markdown.
#[derive(Clone, Copy)]
struct Words<'a> {
    page: &'a Page,
    part: &'a Part,
    /// The rpc whose section it is: it is not linked there.
    callback: &'a str,
}

impl Words<'_> {
    fn fields(&self, fields: &[FieldDescriptor]) -> String {
        let mut table = "| JSON | field | type | meaning |\n| --- | --- | --- | --- |\n".to_owned();
        for field in fields {
            let meaning = self.cell(&comment_of(&field.parent_message().parent_file(), field.path()));
            let (json, name) = (field.json_name(), field.name());
            writeln!(table, "| `{json}` | `{name}` | {} | {meaning} |", type_of(field)).expect("a string");
        }
        table
    }

    fn cell(&self, comment: &str) -> String {
        self.linked(comment).replace('|', r"\|")
    }

    fn paragraph(&self, comment: &str) -> String {
        comment.split("\n\n").map(|one| wrapped(&self.linked(one), "")).collect::<Vec<_>>().join("\n")
    }

    fn item(&self, text: &str) -> String {
        wrapped(&format!("- {}", self.linked(text)), "  ")
    }

    fn list(&self, comment: &str) -> String {
        let items = comment.trim_start_matches("- ").split("\n- ");
        items.map(|item| self.item(item)).collect()
    }

    /// On one line, with links to other sections, and names as code.
    fn linked(&self, comment: &str) -> String {
        let here = format!("head of {}", link(self.part.title, self.part.title));
        let text = one_line(comment).replace("head of this file", &here);
        let pieces = text.split('`').enumerate();
        pieces.map(|(index, piece)| if index % 2 == 1 { code(piece) } else { self.linked_words(piece) }).collect()
    }

    fn linked_words(&self, text: &str) -> String {
        text.split(' ').map(|word| self.linked_word(word)).collect::<Vec<_>>().join(" ")
    }

    fn linked_word(&self, word: &str) -> String {
        let name = word.trim_matches(|c: char| "().,;:'".contains(c));
        let Some((before, after)) = word.split_once(name).filter(|_| !name.is_empty()) else { return word.to_owned() };
        let (name, after) =
            name.strip_suffix("'s").map_or((name, after.to_owned()), |name| (name, format!("'s{after}")));
        let rpc = name.trim_end_matches("Request");
        let is_rpc = |rpc: &str| CALLBACKS.iter().any(|callback| callback.rpc.path.ends_with(&format!("/{rpc}")));
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let linked = if let Some(file) = name.strip_suffix(".proto") {
            match PARTS.iter().find(|part| part.file == file) {
                Some(part) => link(part.title, part.title),
                None => format!("[{name}](../proto/openim/bridge/v1/{name})"),
            }
        } else if rpc != self.callback && is_rpc(rpc) {
            link(rpc, rpc)
        } else if self.page.enums().iter().any(|listed| listed.name() == name) {
            link(name, name)
        } else if name.contains('_') && name.chars().all(is_name) || name.starts_with(['/', '{']) {
            code(name)
        } else {
            name.to_owned()
        };
        format!("{before}{linked}{after}")
    }
}

fn type_of(field: &FieldDescriptor) -> String {
    let label = if field.is_list() {
        "repeated "
    } else if field.field_descriptor_proto().proto3_optional() {
        "optional "
    } else {
        ""
    };
    match field.kind() {
        Type::Message(message) => format!("{label}{}", link(message.name(), message.name())),
        Type::Enum(listed) => format!("{label}{}", link(listed.name(), listed.name())),
        scalar => format!("{label}{scalar:?}").to_lowercase(),
    }
}

fn link(text: &str, headline: &str) -> String {
    format!("[{text}](#{})", slug(headline))
}

/// A headline as links name it, by GitHub's rule.
fn slug(headline: &str) -> String {
    headline.trim_start_matches('#').trim().to_lowercase().replace(' ', "-")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn codes(names: &[&str]) -> String {
    names.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A comment that begins with the name of what it is about, with other words for that name.
fn renamed(comment: &str, name: &str) -> String {
    let (_, rest) = comment.split_once(' ').expect("more than a name");
    format!("{name} {rest}")
}

fn decapitalized(text: &str) -> String {
    // Not names, such as "OpenIM main".
    if text.starts_with("OpenIM") {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// In lines of at most 120 characters, where words allow that.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("a line");
        if line.trim().is_empty() || line.chars().count() + 1 + word.chars().count() <= 120 {
            let gap = if line.trim().is_empty() { "" } else { " " };
            write!(line, "{gap}{word}").expect("a string");
        } else {
            lines.push(format!("{indent}{word}"));
        }
    }
    lines.join("\n") + "\n"
}
