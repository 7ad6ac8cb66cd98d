//! `openim-bridge proto`: writes out the contract that this version of the bridge speaks.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::LazyLock,
};

use anyhow::Context as _;

use super::terminal::{complain, print};
use crate::base::packed;

/// Every file, by its path under `proto/`, as it was when the bridge was built.
static FILES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let packed = include_bytes!(concat!(env!("OUT_DIR"), "/proto.json.gz"));
    // A test holds it to be all of them.
    serde_json::from_str(&packed::text_of(packed)).unwrap_or_default()
});

/// Write out the .proto files that this version of the bridge speaks, and a buf.yaml
///
/// Generate code from them with your language's plugin, or with `buf generate`.
///
/// Exit codes: 0 done, 1 a file could not be written or has other content, 2 wrong flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct ProtoArgs {
    /// The folder to write them to; it is created if it is missing
    #[arg(long, value_name = "DIR", group = "what")]
    out: Option<PathBuf>,

    /// List the names of the files
    #[arg(long, group = "what")]
    list: bool,

    /// Write one file to standard output
    #[arg(long, value_name = "NAME", group = "what", value_parser = clap::builder::PossibleValuesParser::new(FILES.keys().map(String::as_str)))]
    print: Option<String>,

    /// Overwrite files with other content
    #[arg(long, requires = "out", conflicts_with_all = ["list", "print"])]
    force: bool,
}

/// Writes the files, or shows them.
///
/// # Errors
/// When a file cannot be written.
pub async fn run(args: ProtoArgs) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &args.out {
        return write(folder, args.force);
    }
    for (name, text) in &*FILES {
        if args.list {
            print(&format!("{name}\n"))?;
        } else if args.print.as_ref() == Some(name) {
            print(text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// All of them or none: a contract of two versions would be worse than either.
fn write(folder: &Path, force: bool) -> anyhow::Result<ExitCode> {
    let mut others = Vec::new();
    for (name, text) in &*FILES {
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(found) if found != text.as_bytes() => others.push(path),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
            _ => {}
        }
    }
    if !others.is_empty() && !force {
        let others: Vec<String> = others.iter().map(|path| format!("  {}", path.display())).collect();
        complain(&format!(
            "these files differ from this version's; nothing was written. Use --force to overwrite them\n{}",
            others.join("\n")
        ));
        return Ok(ExitCode::FAILURE);
    }
    for (name, text) in &*FILES {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot make the folder {}", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        print(&format!("{}\n", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Args as _;

    use super::*;

    #[test]
    fn one_thing_is_asked_for_and_force_goes_with_out_alone() {
        let takes = |flags: &str| {
            let command = ProtoArgs::augment_args(clap::Command::new("proto"));
            command.try_get_matches_from(flags.split(' ')).is_ok()
        };
        for right in ["proto --out d", "proto --out d --force", "proto --list", "proto --print buf.yaml"] {
            assert!(takes(right), "{right}");
        }
        for wrong in ["proto", "proto --force", "proto --list --force", "proto --out d --list", "proto --print x"] {
            assert!(!takes(wrong), "{wrong}");
        }
    }

    fn files_under(folder: &Path) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        files.into_iter().chain(folders.iter().flat_map(|folder| files_under(folder))).collect()
    }

    #[test]
    fn every_file_of_the_contract_is_built_in() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
        let built_in: BTreeSet<PathBuf> = FILES.keys().map(|name| root.join(name)).collect();
        assert_eq!(built_in, files_under(&root));
    }

    #[test]
    fn what_is_written_is_the_contract_and_writing_it_again_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("new/contract");
        for _ in 0..2 {
            assert_eq!(write(&out, false).expect("written"), ExitCode::SUCCESS);
            assert_eq!(files_under(&out).len(), FILES.len());
            for (name, text) in &*FILES {
                assert_eq!(fs::read_to_string(out.join(name)).expect("a file"), *text, "{name}");
            }
        }
    }

    #[test]
    fn a_file_that_holds_something_else_stops_all_of_it_unless_forced() {
        let folder = tempfile::tempdir().expect("a folder");
        let mine = folder.path().join("buf.yaml");
        fs::write(&mine, "mine").expect("written");
        assert_eq!(write(folder.path(), false).expect("no error"), ExitCode::FAILURE);
        assert_eq!(files_under(folder.path()).len(), 1);
        assert_eq!(fs::read_to_string(&mine).expect("a file"), "mine");
        assert_eq!(write(folder.path(), true).expect("written"), ExitCode::SUCCESS);
        assert_eq!(fs::read_to_string(&mine).expect("a file"), FILES["buf.yaml"]);
    }
}
