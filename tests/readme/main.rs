//! What README.md promises is what the code does; [`chinese`] holds README.zh-CN.md against it.

#![allow(clippy::expect_used, reason = "a test's helpers fail as the test does")]

mod chinese;

use std::{fs, iter, path::Path};

use openim_bridge::{
    config,
    mock::Rules,
    openim::{Rejection, ReservedCode},
    upstream::ErrorClass,
};

const README: &str = include_str!("../../README.md");

/// The rows of the tables under a headline that begin with a reserved code, as cells.
fn coded_rows(headline: &str) -> Vec<Vec<&'static str>> {
    let section = README.split("\n## ").find(|section| section.starts_with(headline)).expect(headline);
    let rows = section.lines().filter(|line| line.starts_with("| 99"));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn the_table_of_rejections_is_complete_and_in_the_order_of_checking() {
    // A code that several kinds share has its row where the last of them is checked, 9901's all being neighbours.
    let mut expected: Vec<(ReservedCode, String)> = Vec::new();
    for bad in Rejection::ALL {
        expected.retain(|(code, _)| *code != bad.code());
        expected.push((bad.code(), bad.status().as_str().to_owned()));
    }
    let expected: Vec<String> = expected.iter().map(|(code, status)| format!("{} {status}", *code as i32)).collect();
    let rows = coded_rows("Rejected requests");
    assert_eq!(rows.iter().map(|row| row[..2].join(" ")).collect::<Vec<_>>(), expected);
}

#[test]
fn the_table_of_fallbacks_has_every_class_with_its_code() {
    let expected = ErrorClass::ALL.map(|class| format!("{} 200 `{class}`", class.code() as i32));
    let rows = coded_rows("The fallback");
    assert_eq!(rows.iter().map(|row| row[..3].join(" ")).collect::<Vec<_>>(), expected);
}

#[test]
fn the_tests_of_testing_md_are_the_files_that_are_run() {
    let page = include_str!("../../docs/testing.md");
    for (language, file) in [
        ("python", include_str!("../../examples/testing/python/test_callbacks.py")),
        ("go", include_str!("../../examples/testing/go/callbacks_test.go")),
    ] {
        assert!(page.contains(&format!("```{language}\n{file}```\n")), "the {language} of docs/testing.md is another");
    }
    let (_, yaml) = page.split_once("```yaml\n").expect("rules");
    let (yaml, _) = yaml.split_once("```").expect("the block's end");
    Rules::parse("docs/testing.md", yaml).unwrap_or_else(|error| panic!("{error}"));
}

/// Every code block of a language.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let opening = format!("\n```{language}\n");
    let mut rest = README;
    iter::from_fn(move || {
        let (_, from) = rest.split_once(&*opening)?;
        let (block, after) = from.split_once("```").expect("the block's end");
        rest = after;
        Some(block)
    })
}

#[test]
fn the_configuration_file_is_right() {
    let yaml = blocks("yaml").find(|block| block.starts_with("listen:")).expect("a whole bridge.yaml");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bridge.yaml");
    fs::write(&file, yaml).expect("the file");
    let flags = clap::Command::new("serve").args(config::args()).get_matches_from([
        "serve".as_ref(),
        "--config".as_ref(),
        file.as_os_str(),
    ]);
    let loaded = config::load(&flags, []).unwrap_or_else(|error| panic!("{error}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let from_file =
        loaded.values.iter().filter(|value| matches!(value.source, config::ValueSource::File { .. })).count();
    assert_eq!(from_file, 7, "settings that the file gives");
}

#[test]
fn every_step_of_a_migration_is_a_right_configuration() {
    let page = include_str!("../../docs/migrating.md");
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let steps: Vec<&str> = blocks.filter(|block| block.starts_with("forward:")).collect();
    assert_eq!(steps.len(), 4, "three steps, and the chat server");
    for yaml in steps {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("bridge.yaml");
        fs::write(&file, yaml).expect("the file");
        let arguments = ["serve".as_ref(), "--config".as_ref(), file.as_os_str()];
        let flags = clap::Command::new("serve").args(config::args()).get_matches_from(arguments);
        let loaded = config::load(&flags, []).unwrap_or_else(|error| panic!("{error}"));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
}

#[test]
fn the_table_of_flags_names_settings_and_their_defaults() {
    let args = config::args();
    let flags = clap::Command::new("serve").args(args.clone()).get_matches_from(["serve"]);
    let loaded = config::load(&flags, []).unwrap_or_else(|error| panic!("{error}"));
    let rows: Vec<Vec<&str>> = README
        .lines()
        .filter(|line| line.starts_with("| `--"))
        .map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    assert_eq!(rows.len(), 6);
    for row in rows {
        let (flag, key, default) = (row[0].trim_start_matches("--"), row[1], row[2]);
        let value = loaded.values.iter().find(|value| value.key == key).expect(key);
        assert_eq!(value.yaml().trim_matches(['[', ']']), default, "{key}");
        let arg = args.iter().find(|arg| arg.get_id() == key).expect(key);
        let names = arg.get_long_and_visible_aliases().unwrap_or_default();
        assert!(names.contains(&flag), "{flag} is not among {names:?}");
    }
}

#[test]
fn every_link_to_a_file_or_a_headline_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, text) in [("README.md", README), ("README.zh-CN.md", chinese::README)] {
        let targets: Vec<&str> = links(text).filter(|target| !target.starts_with("https://")).collect();
        assert!(targets.len() >= 6, "{targets:?}");
        for target in targets {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = root.join(if file.is_empty() { name } else { file });
            assert!(path.exists(), "{name}: {target}");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&path).expect(target);
                let mut headlines = text.lines().filter(|line| line.starts_with('#'));
                assert!(headlines.any(|headline| slug(headline) == anchor), "{name}: {target}");
            }
        }
    }
}

/// The targets of a text's links.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

/// A headline as links name it, by GitHub's rule.
fn slug(headline: &str) -> String {
    let words = headline.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    words.chars().filter(|&c| c.is_alphanumeric() || c == '-' || c == '_').collect()
}
