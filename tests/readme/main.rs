//! What README.md and docs/ promise is what the code does; [`chinese`] holds the Chinese pages against them.

#![allow(clippy::expect_used, reason = "a test's helpers fail as the test does")]

mod chinese;

use std::{fs, iter, path::Path};

use openim_bridge::{
    callback::CALLBACKS,
    config,
    mock::Rules,
    openim::{RefusalDefaults, Rejection, ReservedCode},
    policy::FallbackRefusal,
    upstream::ErrorClass,
};

const README: &str = include_str!("../../README.md");
const CLI: &str = include_str!("../../docs/cli.md");
const ERRORS: &str = include_str!("../../docs/errors.md");
const FALLBACK: &str = include_str!("../../docs/fallback.md");
const LIMITS: &str = include_str!("../../docs/limits.md");
/// The pages that name settings, other than their reference.
const PAGES: [(&str, &str); 12] = [
    ("README.md", README),
    ("cli.md", CLI),
    ("comparison.md", include_str!("../../docs/comparison.md")),
    ("decision-service.md", include_str!("../../docs/decision-service.md")),
    ("endpoints.md", include_str!("../../docs/endpoints.md")),
    ("errors.md", ERRORS),
    ("fallback.md", FALLBACK),
    ("limits.md", LIMITS),
    ("openim.md", include_str!("../../docs/openim.md")),
    ("rollout.md", include_str!("../../docs/rollout.md")),
    ("tls.md", include_str!("../../docs/tls.md")),
    ("troubleshooting.md", include_str!("../../docs/troubleshooting.md")),
];

/// The rows of the tables of a page's part, as cells without links.
fn rows<'a>(page: &'a str, headline: &str) -> Vec<Vec<&'a str>> {
    let part = page.split("\n## ").find(|part| part.starts_with(headline)).expect(headline);
    let rows = part.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| text_of(cell.trim())).collect()).collect()
}

/// Without the target, where it is a link.
fn text_of(cell: &str) -> &str {
    cell.strip_prefix('[').and_then(|rest| rest.split_once("](")).map_or(cell, |(text, _)| text)
}

#[test]
fn the_readme_says_at_once_what_it_is_and_how_many_callbacks_there_are() {
    assert!(README.lines().next().is_some_and(|first| first.contains("webhook")));
    let after = CALLBACKS.iter().filter(|callback| callback.is_after()).count();
    let (all, before) = (CALLBACKS.len(), CALLBACKS.len() - after);
    let row = README.lines().find(|line| line.starts_with("| **Callbacks**")).expect("the row");
    for said in [format!("all {all} "), format!(" {before} *before* "), format!(" {after} *after* ")] {
        assert!(row.contains(&said), "{said}: {row}");
    }
}

#[test]
fn the_table_of_rejections_is_complete_and_in_the_order_of_checking() {
    // A code that several kinds share has its row where the last of them is checked, 9901's all being neighbours.
    let mut expected: Vec<(ReservedCode, String, Vec<String>)> = Vec::new();
    for bad in Rejection::ALL {
        let shared = expected.iter().position(|(code, ..)| *code == bad.code()).map(|place| expected.remove(place).2);
        let mut names = shared.unwrap_or_default();
        names.push(format!("`{}`", bad.name()));
        expected.push((bad.code(), bad.status().as_str().to_owned(), names));
    }
    let row = |(code, status, names): &(ReservedCode, String, Vec<String>)| {
        format!("{} {status} {}", *code as i32, names.join(", "))
    };
    let expected: Vec<String> = expected.iter().map(row).collect();
    let found: Vec<String> = rows(ERRORS, "Rejected requests").iter().map(|row| row[..3].join(" ")).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_tables_of_fallbacks_have_every_class_with_its_code() {
    let expected = ErrorClass::ALL.map(|class| format!("{} 200 `{class}`", class.code() as i32));
    let found: Vec<String> = rows(ERRORS, "Fallback").iter().map(|row| row[..3].join(" ")).collect();
    assert_eq!(found, expected);
    let expected = ErrorClass::ALL.map(|class| format!("`{class}` {}", class.code() as i32));
    let found = rows(FALLBACK, "The classes of failure");
    assert_eq!(found.iter().map(|row| [row[0], row[2]].join(" ")).collect::<Vec<_>>(), expected);
}

#[test]
fn every_reserved_code_has_a_headline_and_says_what_users_see() {
    let headlines: Vec<&str> = ERRORS.lines().filter_map(|line| line.strip_prefix("### 99")).collect();
    let rejections = Rejection::ALL.map(|rejection| (rejection.code() as i32, rejection.refusal().message));
    let fallback = FallbackRefusal::default().message;
    let fallbacks = ErrorClass::ALL.map(|class| (class.code() as i32, fallback.clone()));
    let route = (ReservedCode::Route as i32, RefusalDefaults::default().message);
    let mut codes: Vec<i32> = Vec::new();
    for (code, message) in rejections.into_iter().chain([route]).chain(fallbacks) {
        // What all fallbacks have in common stands above them.
        let headline = if (9920..=9926).contains(&code) { "## Fallback".to_owned() } else { format!("### {code}") };
        let (_, part) = ERRORS.split_once(&format!("\n{headline}\n")).expect(&headline);
        let (part, _) = part.split_once("\n### ").unwrap_or((part, ""));
        let words = part.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&format!("\"{message}\"")), "{headline}: {message}");
        codes.push(code);
    }
    codes.sort_unstable();
    codes.dedup();
    let expected: Vec<String> = codes.iter().map(|code| format!("{:02}", code - 9900)).collect();
    assert_eq!(headlines, expected);
}

#[test]
fn the_fallback_names_the_callbacks_that_only_the_service_refuses() {
    let (_, list) = FALLBACK.split_once("**Pushes and conversations**: ").expect("the list");
    let (list, _) = list.split_once(". ").expect("its end");
    let named: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    let expected = CALLBACKS.iter().filter(|callback| callback.only_service_may_refuse());
    assert_eq!(named, expected.map(|callback| callback.name).collect::<Vec<_>>());
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
fn blocks<'a>(page: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    let opening = format!("\n```{language}\n");
    let mut rest = page;
    iter::from_fn(move || {
        let (_, from) = rest.split_once(&*opening)?;
        let (block, after) = from.split_once("```").expect("the block's end");
        rest = after;
        Some(block)
    })
}

#[test]
fn the_configuration_file_is_right() {
    let yaml = blocks(CLI, "yaml").find(|block| block.starts_with("listen:")).expect("a whole bridge.yaml");
    let loaded = loaded(yaml);
    let from_file =
        loaded.values.iter().filter(|value| matches!(value.source, config::ValueSource::File { .. })).count();
    assert_eq!(from_file, 7, "settings that the file gives");
}

/// What a bridge would run on, started with this file alone: right, and without a warning.
fn loaded(yaml: &str) -> config::Loaded {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bridge.yaml");
    fs::write(&file, yaml).expect("the file");
    let arguments = ["serve".as_ref(), "--config".as_ref(), file.as_os_str()];
    let flags = clap::Command::new("serve").args(config::args()).get_matches_from(arguments);
    let loaded = config::load(&flags, []).unwrap_or_else(|error| panic!("{error}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded
}

#[test]
fn every_example_of_a_configuration_is_right() {
    let mut seen = 0;
    for (_, page) in PAGES {
        for yaml in blocks(page, "yaml") {
            // What is OpenIM's or Kubernetes' begins otherwise.
            if ["decision:", "fallback:", "listen:", "tls:", "upstream:"].iter().any(|key| yaml.starts_with(key)) {
                loaded(yaml);
                seen += 1;
            }
        }
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn every_setting_that_a_page_names_is_there() {
    let settings = settings();
    let mut seen = 0;
    for (name, page) in PAGES {
        let prose: String = page.split("```").step_by(2).collect();
        for code in prose.split('`').skip(1).step_by(2) {
            let key = code.split([':', ' ', '=']).next().unwrap_or(code);
            let (Some((part, _)), true) = (key.split_once('.'), is_key(key)) else { continue };
            if !settings.iter().any(|setting| setting.split('.').next() == Some(part)) {
                continue;
            }
            let is_there = match key.strip_suffix(".*") {
                Some(several) => settings.iter().any(|setting| setting.starts_with(several)),
                None => settings.iter().any(|setting| names(setting, key)),
            };
            assert!(is_there, "{name}: {key}");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

/// The keys of all settings.
fn settings() -> Vec<String> {
    let flags = clap::Command::new("serve").args(config::args()).get_matches_from(["serve"]);
    let loaded = config::load(&flags, []).unwrap_or_else(|error| panic!("{error}"));
    let own =
        ["route", "timeout", "fallback", "enforce_percent", "rest"].map(|setting| format!("callbacks.NAME.{setting}"));
    loaded.values.into_iter().map(|value| value.key.to_string()).chain(own).collect()
}

/// Whether it is written as a key is.
fn is_key(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphabetic() || "._*".contains(c))
}

/// Whether this is the setting, one of its parts, or one callback's or class's.
fn names(setting: &str, key: &str) -> bool {
    let mut parts = setting.split('.');
    key.split('.').all(|part| {
        parts.next().is_some_and(|of_setting| {
            part == of_setting
                || part == "CLASS"
                || of_setting == "NAME" && CALLBACKS.iter().any(|callback| callback.name == part)
        })
    })
}

#[test]
fn the_table_of_limits_has_the_defaults() {
    let rows = rows(LIMITS, "# Limits");
    let default = |key: &str| {
        let row = rows.iter().find(|row| row[0].ends_with(&format!("`{key}`"))).expect(key);
        row[1].to_owned()
    };
    let limits = openim_bridge::bridge::BridgeSettings::default().limits;
    assert_eq!(default("limits.request_bytes"), format!("{} MiB", limits.request_bytes.get() >> 20));
    assert_eq!(default("limits.in_flight").replace(',', ""), limits.in_flight.get().to_string());
    for key in ["limits.body_bytes", "limits.connections", "delivery.queue_bytes"] {
        default(key);
    }
}

#[test]
fn every_step_of_a_migration_is_a_right_configuration() {
    let page = include_str!("../../docs/migrating.md");
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let steps: Vec<&str> = blocks.filter(|block| block.starts_with("forward:")).collect();
    assert_eq!(steps.len(), 4, "three steps, and the chat server");
    for yaml in steps {
        loaded(yaml);
    }
}

#[test]
fn the_table_of_flags_names_settings_and_their_defaults() {
    let args = config::args();
    let flags = clap::Command::new("serve").args(args.clone()).get_matches_from(["serve"]);
    let loaded = config::load(&flags, []).unwrap_or_else(|error| panic!("{error}"));
    let rows: Vec<Vec<&str>> = CLI
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
