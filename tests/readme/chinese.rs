//! README.zh-CN.md says what README.md says: of each translated part, the code blocks line by line, the tables row by row,
//! and all `code`, numbers, names in capitals and links. Only the words around them may differ.

use std::collections::{BTreeMap, BTreeSet};

use crate::{README as ENGLISH, links, slug};

pub(crate) const README: &str = include_str!("../../README.zh-CN.md");

/// The headlines of README.md's translated parts, and what they are called in README.zh-CN.md. The first stands for what
/// comes before any headline.
const TRANSLATED: [(&str, &str); 11] = [
    ("", ""),
    ("Try it by hand", "手动试用"),
    ("Point OpenIM at it", "接入 OpenIM"),
    ("HTTPS", "HTTPS"),
    ("Write a decision service", "编写决策服务"),
    ("Configuration", "配置"),
    ("Deploy and watch", "部署与监控"),
    ("The fallback", "兜底策略"),
    ("Rejected requests", "被拒绝的请求"),
    ("Exit codes", "退出码"),
    ("Status", "项目状态"),
];

/// The part of README.zh-CN.md that leads to all other parts of README.md.
const NOT_TRANSLATED: &str = "更多内容（英文）";

#[test]
fn both_name_the_same_commands_settings_codes_and_links() {
    let found = differences(ENGLISH, README);
    let found = found.join("\n");
    assert!(found.is_empty(), "README.md and README.zh-CN.md differ; a change of one needs the other:\n{found}");
}

#[test]
fn a_translation_that_lags_is_noticed() {
    let changes = [
        ("a command", "--count 10000", "--count 1000"),
        ("an answer", r#""errCode":5001"#, r#""errCode":5002"#),
        ("a line of a file", "  timeout: 5\n", "  timeout: 6\n"),
        ("a flag", "`--log-format`", "`--log-fmt`"),
        ("a key", "`decision.timeout` | `4s`", "`decision.deadline` | `4s`"),
        ("a default", "`decision.timeout` | `4s`", "`decision.timeout` | `5s`"),
        ("a reserved code", "| 9921 |", "| 9922 |"),
        ("a status", "| 9904 | 413 |", "| 9904 | 400 |"),
        ("a gRPC status", "DEADLINE_EXCEEDED", "UNAVAILABLE"),
        ("an exit code", "| `send` | 4 |", "| `send` | 3 |"),
        ("a range", "5000 到 9899", "5000 到 9999"),
        ("a link to a file", "](docs/check.md)", "](docs/conformance.md)"),
        ("a link within the page", "](#兜底策略)", "](#退出码)"),
        ("a headline", "\n## 兜底策略\n", "\n## 兜底\n"),
        ("where the rest is", "](README.md#logs)", "](README.md#limits)"),
        ("the way to the English page", "[English](README.md)", ""),
    ];
    for (what, from, to) in changes {
        assert!(README.contains(from), "{what}: {from}");
        assert_ne!(differences(ENGLISH, &README.replacen(from, to, 1)), [""; 0], "{what}");
    }
    for (what, from, to) in
        [("a new part", "\n## Limits\n", "\n## New\n\n## Limits\n"), ("a flag", "`--count`", "`--n`")]
    {
        assert_ne!(differences(&ENGLISH.replacen(from, to, 1), README), [""; 0], "{what} of README.md");
    }
}

/// What one page says and the other does not, in words.
fn differences(english: &str, chinese: &str) -> Vec<String> {
    let (english, mut chinese) = (parts(english), parts(chinese));
    let mut found = Vec::new();
    let mut compare = |what: &str, english: &[String], chinese: &[String]| {
        let only = |these: &[String], those: &[String], page: &str| {
            let these = these.iter().filter(|fact| !those.contains(fact));
            these.map(|fact| format!("{what}, in {page} only: {fact}")).collect::<Vec<_>>()
        };
        let mut only = [only(english, chinese, "README.md"), only(chinese, english, "README.zh-CN.md")].concat();
        if only.is_empty() && english != chinese {
            only.push(format!("{what}: in another order, or not as often"));
        }
        found.append(&mut only);
    };
    let mut rest = english.clone();
    for (ours, theirs) in TRANSLATED {
        let kept = |part: Option<&str>| part.map_or_else(Vec::new, facts);
        compare(&format!("{ours:?}"), &kept(rest.remove(ours)), &kept(chinese.remove(theirs)));
    }
    let led_to: BTreeSet<String> = links(chinese.remove(NOT_TRANSLATED).unwrap_or_default()).map(link).collect();
    let rest: BTreeSet<String> = rest.keys().map(|headline| format!("#{}", slug(headline))).collect();
    compare("parts that are not translated", &Vec::from_iter(rest), &Vec::from_iter(led_to));
    let unknown: Vec<String> = chinese.keys().map(|&headline| headline.to_owned()).collect();
    compare("headlines", &[], &unknown);
    found
}

/// A page's parts by their headlines.
fn parts(page: &str) -> BTreeMap<&str, &str> {
    let (first, rest) = page.split_once("\n## ").unwrap_or((page, ""));
    let mut parts: BTreeMap<&str, &str> = rest.split("\n## ").filter_map(|part| part.split_once('\n')).collect();
    parts.insert("", first);
    parts
}

/// What a translation of a part leaves as it is.
fn facts(part: &str) -> Vec<String> {
    let mut facts = Vec::new();
    let mut prose = String::new();
    let mut block: Option<&str> = None;
    for line in part.lines() {
        match (block, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => {
                block = Some(language);
                facts.push(format!("a block of {language:?}"));
            }
            (Some(_), Some(_)) => block = None,
            // What is drawn has words in it.
            (Some("text"), None) => {}
            (Some(language), None) => facts.push(format!("{language}> {}", without_comment(line))),
            (None, None) => {
                if line.trim_start().starts_with('|') {
                    facts.push(format!("a row with {:?}", names(line)));
                }
                prose.push_str(line);
                prose.push('\n');
            }
        }
    }
    facts.extend(names(&prose));
    facts.extend(links(&prose).map(link).collect::<BTreeSet<_>>().into_iter().map(|link| format!("a link to {link}")));
    facts
}

/// A line of code without what it says to people.
fn without_comment(line: &str) -> &str {
    let code = line.split_once(" # ").map_or(line, |(code, _)| code).trim_end();
    if code.trim_start().starts_with("# ") { "" } else { code }
}

/// The `code` of a text, its words with digits, and those in capitals that are long enough for a status or a signal.
fn names(text: &str) -> BTreeSet<String> {
    let mut without_targets = text.to_owned();
    for target in links(text) {
        without_targets = without_targets.replacen(&format!("]({target})"), "] ", 1);
    }
    let mut names = BTreeSet::new();
    for (index, piece) in without_targets.split('`').enumerate() {
        if index % 2 == 1 {
            names.insert(format!("`{}`", piece.split_whitespace().collect::<Vec<_>>().join(" ")));
            continue;
        }
        let words =
            piece.split(|c: char| !c.is_ascii_alphanumeric() && !"_.".contains(c)).map(|word| word.trim_matches('.'));
        let telling = |word: &&str| {
            let capitals = word.len() >= 6 && !word.contains(|c: char| c.is_ascii_lowercase());
            capitals || word.contains(|c: char| c.is_ascii_digit())
        };
        names.extend(words.filter(telling).map(str::to_owned));
    }
    names
}

/// A link of either page as README.md has it.
fn link(target: &str) -> String {
    match target.split_once('#') {
        Some(("README.md", anchor)) => format!("#{anchor}"),
        Some(("", anchor)) => {
            let ours = TRANSLATED.iter().find(|(_, theirs)| slug(theirs) == anchor).map_or(anchor, |(ours, _)| ours);
            format!("#{}", slug(ours))
        }
        // Each page leads to the other.
        None if ["README.md", "README.zh-CN.md"].contains(&target) => "the other language".to_owned(),
        _ => target.to_owned(),
    }
}
