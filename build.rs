//! Compiles the public contract in `proto/` with protox (pure Rust), so that no `protoc` is needed, and makes of its
//! descriptors the tables that the codec of `src/callback/` reads. The bodies of the fixtures are the samples of the tools.
//! It also finds out which commit is built.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use flate2::{Compression, write::GzEncoder};
use prost::Message as _;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet, field_descriptor_proto::Label,
    field_descriptor_proto::Type,
};

/// What the settings are; see `src/config/leaf.rs`.
const SCHEMA: &str = "src/config/schema.json";

/// A request of each callback, as a real server sent it: `NAME.http`.
const FIXTURES: &str = "tests/fixtures/callbacks";

/// Where the linker places which code.
const LAYOUT: &str = "deploy/commands.ld";

/// The number of the decision that holds a change.
const CHANGE: i32 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    commit();
    println!("cargo::rerun-if-changed=proto");
    // How deploy/build links; a package does not have it.
    if Path::new(LAYOUT).exists() {
        println!("cargo::rerun-if-changed={LAYOUT}");
    }
    println!("cargo::rerun-if-changed={FIXTURES}");
    let mut files: Vec<PathBuf> = fs::read_dir("proto/openim/bridge/v1")?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    files.sort();
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // For gRPC reflection in the mock, and for the tests that hold the codec against another one. Of its 188 kB, 152 are
    // comments.
    let mut bare = descriptors.clone();
    bare.file.iter_mut().for_each(|file| file.source_code_info = None);
    fs::write(out.join("openim_bridge_descriptor.bin"), bare.encode_to_vec())?;
    fs::write(out.join("tables.rs"), tables(&descriptors)?)?;
    println!("cargo::rerun-if-changed={SCHEMA}");
    pack(&out.join("schema.json.gz"), &fs::read(SCHEMA)?)?;
    let mut contract = BTreeMap::new();
    read_all(Path::new("proto"), &mut contract)?;
    pack(&out.join("proto.json.gz"), &serde_json::to_vec(&contract)?)?;
    tonic_prost_build::configure().build_transport(false).generate_default_stubs(true).compile_fds(descriptors)?;
    Ok(())
}

/// For `src/base/mod.rs`: the commit and its day, as whoever builds says (`OPENIM_BRIDGE_COMMIT`, and the standard
/// `SOURCE_DATE_EPOCH`), or else as git says of a checkout. "unknown" without; a build does not fail for it.
fn commit() {
    let said = |name: &str| {
        println!("cargo::rerun-if-env-changed={name}");
        env::var(name).ok().filter(|value| !value.is_empty())
    };
    // Git looks for a checkout in the folders above, too, and there it is another project's.
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    let asked = |args: &[&str]| Path::new(".git").exists().then(|| git(args)).flatten();
    // What git writes to with each commit, and each change of branch.
    if let Some(log) = asked(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
    let commit = said("OPENIM_BRIDGE_COMMIT").or_else(|| asked(&["rev-parse", "HEAD"]));
    let seconds = said("SOURCE_DATE_EPOCH").or_else(|| asked(&["log", "-1", "--format=%ct"]));
    let date = seconds.and_then(|seconds| {
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds.parse().ok()?))?;
        let text = humantime::format_rfc3339_seconds(time).to_string();
        Some(text.split_once('T')?.0.to_owned())
    });
    let version = env!("CARGO_PKG_VERSION");
    let version = match (&commit, &date) {
        (Some(commit), Some(date)) => format!("{version} ({commit} {date})"),
        (Some(commit), None) => format!("{version} ({commit})"),
        _ => version.to_owned(),
    };
    let or_unknown = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=BUILD_COMMIT={}", or_unknown(commit));
    println!("cargo::rustc-env=BUILD_COMMIT_DATE={}", or_unknown(date));
    println!("cargo::rustc-env=BUILD_VERSION={version}");
}

/// A constant for each message and each rpc, of the types of `src/callback/shape.rs`.
fn tables(contract: &FileDescriptorSet) -> Result<String, Box<dyn Error>> {
    let messages = || contract.file.iter().flat_map(|file| &file.message_type);
    let mut tables = String::new();
    let mut most = 0;
    for message in messages() {
        let mut fields = String::new();
        let mut count = 0;
        // The operation ID comes from a header, and the decision is read by hand.
        for field in message.field.iter().filter(|field| field.name() != "operation_id" && !is_decision(message, field))
        {
            count += 1;
            write!(
                fields,
                "Field {{ key: {:?}, number: {}, kind: {}, repeated: {}, optional: {} }}, ",
                field.json_name(),
                field.number(),
                kind(field)?,
                field.label() == Label::Repeated,
                field.proto3_optional() || (field.r#type() == Type::Message && field.label() != Label::Repeated),
            )?;
        }
        most = most.max(count);
        writeln!(tables, "const {}: Shape = Shape {{ fields: &[{fields}] }};", constant(message.name()))?;
    }
    writeln!(tables, "/// The most fields that a message has.\npub const MOST_FIELDS: usize = {most};")?;
    let mut all = String::new();
    for file in &contract.file {
        for service in &file.service {
            for method in &service.method {
                let (name, constant_name) = (method.name(), constant(method.name()));
                let request = constant(&last(method.input_type()));
                let response = messages().find(|message| message.name() == last(method.output_type()));
                let decisions =
                    || response.into_iter().flat_map(|it| it.field.iter().filter(|field| is_decision(it, field)));
                let change = match decisions().find(|field| field.number() == CHANGE) {
                    Some(change) => format!("Some(&{})", constant(&last(change.type_name()))),
                    None => "None".to_owned(),
                };
                let key = name[..1].to_lowercase() + &name[1..];
                let path = format!("/{}.{}/{name}", file.package(), service.name());
                let file = format!("{FIXTURES}/{key}.http");
                let fixture = fs::read_to_string(&file)
                    .map_err(|error| format!("{name}: there is an rpc, and {file} cannot be read: {error}"))?;
                let (_, body) = fixture.split_once("\r\n\r\n").ok_or_else(|| format!("{file} has no body"))?;
                let sample = body.trim();
                writeln!(
                    tables,
                    "pub const {constant_name}: Rpc = Rpc {{ name: {key:?}, path: {path:?}, request: &{request}, \
                     decides: {}, change: {change}, sample: {sample:?} }};",
                    decisions().next().is_some()
                )?;
                write!(all, "{constant_name}, ")?;
            }
        }
    }
    writeln!(tables, "/// Every rpc of the contract.\npub const RPCS: &[Rpc] = &[{all}];")?;
    Ok(tables)
}

/// Each file under the folder, by its path under `proto/`.
fn read_all(folder: &Path, files: &mut BTreeMap<String, String>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, files)?;
        } else {
            let name = path.strip_prefix("proto")?.to_string_lossy().into_owned();
            files.insert(name, fs::read_to_string(path)?);
        }
    }
    Ok(())
}

/// For `src/base/packed.rs`.
fn pack(file: &Path, text: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut packed = GzEncoder::new(fs::File::create(file)?, Compression::best());
    packed.write_all(text)?;
    packed.finish()?;
    Ok(())
}

/// Whether the field is one of the decisions of a response.
fn is_decision(message: &DescriptorProto, field: &FieldDescriptorProto) -> bool {
    let oneof = field.oneof_index.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
    oneof.is_some_and(|oneof| oneof.name() == "decision")
}

fn kind(field: &FieldDescriptorProto) -> Result<String, Box<dyn Error>> {
    Ok(match field.r#type() {
        Type::String => "Kind::Text".to_owned(),
        Type::Bool => "Kind::Bool".to_owned(),
        Type::Int32 | Type::Enum => "Kind::Int32".to_owned(),
        Type::Int64 => "Kind::Int64".to_owned(),
        Type::Uint32 => "Kind::Uint32".to_owned(),
        Type::Message if last(field.type_name()) == "StringList" => "Kind::Texts".to_owned(),
        Type::Message => format!("Kind::Message(&{})", constant(&last(field.type_name()))),
        other => return Err(format!("the codec knows no {other:?}, the type of {}", field.name()).into()),
    })
}

/// `BeforeSetFriendRemark` as `BEFORE_SET_FRIEND_REMARK`.
fn constant(name: &str) -> String {
    let mut constant = String::new();
    for (at, letter) in name.char_indices() {
        let starts_word = letter.is_uppercase() && !name[..at].ends_with(char::is_uppercase);
        if at > 0 && starts_word {
            constant.push('_');
        }
        constant.extend(letter.to_uppercase());
    }
    constant
}

/// The last part of a name such as `.openim.bridge.v1.Allow`.
fn last(name: &str) -> String {
    name.rsplit('.').next().unwrap_or_default().to_owned()
}
