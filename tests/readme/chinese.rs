//! The Chinese pages say what the English ones say: part by part the code blocks line by line, the tables row by row, and
//! all `code`, numbers, names in capitals and links. Only the words around them may differ.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use crate::{links, slug};

pub(crate) const README: &str = include_str!("../../README.zh-CN.md");

/// Each English page that is translated, and its translation: a new pair is one more row.
const PAGES: [(&str, &str); 17] = [
    ("README.md", "README.zh-CN.md"),
    ("docs/README.md", "docs/zh-CN/README.md"),
    ("docs/comparison.md", "docs/zh-CN/comparison.md"),
    ("docs/openim.md", "docs/zh-CN/openim.md"),
    ("docs/decision-service.md", "docs/zh-CN/decision-service.md"),
    ("docs/fallback.md", "docs/zh-CN/fallback.md"),
    ("docs/rollout.md", "docs/zh-CN/rollout.md"),
    ("docs/endpoints.md", "docs/zh-CN/endpoints.md"),
    ("docs/tls.md", "docs/zh-CN/tls.md"),
    ("docs/limits.md", "docs/zh-CN/limits.md"),
    ("docs/errors.md", "docs/zh-CN/errors.md"),
    ("docs/troubleshooting.md", "docs/zh-CN/troubleshooting.md"),
    ("docs/cli.md", "docs/zh-CN/cli.md"),
    ("docs/migrating.md", "docs/zh-CN/migrating.md"),
    ("docs/after-callbacks.md", "docs/zh-CN/after-callbacks.md"),
    ("docs/kubernetes.md", "docs/zh-CN/kubernetes.md"),
    ("deploy/README.md", "docs/zh-CN/deploy.md"),
];

/// A translation whose facts `tests/callbacks_page` holds. Links to its sections have the same anchors in both.
const CALLBACKS: (&str, &str) = ("docs/callbacks.md", "docs/zh-CN/callbacks.md");

/// The page of words, which has no English one.
const GLOSSARY: &str = "docs/zh-CN/glossary.md";

#[test]
fn both_languages_name_the_same_commands_settings_codes_and_links() {
    let mut found = Vec::new();
    for pair in PAGES {
        let differences = differences(pair, &text(pair.0), &text(pair.1));
        found.extend(differences.iter().map(|difference| format!("{}: {difference}", pair.1)));
    }
    assert!(found.is_empty(), "a change of a page needs the same of the other language's:\n{}", found.join("\n"));
}

#[test]
fn a_page_that_lags_is_noticed() {
    for (page, what, from, to) in [
        ("README.zh-CN.md", "a command", "-- demo", "-- serve"),
        ("README.zh-CN.md", "a line of a file", "  timeout: 5\n", "  timeout: 6\n"),
        ("README.zh-CN.md", "a number", "29 个", "28 个"),
        ("README.zh-CN.md", "a range", "9900 到 9999", "9900 到 9899"),
        ("README.zh-CN.md", "a link to a page", "](docs/check.md)", "](docs/conformance.md)"),
        ("README.zh-CN.md", "a link to English where there is Chinese", "](docs/zh-CN/errors.md)", "](docs/errors.md)"),
        ("README.zh-CN.md", "a link within the page", "](#开销)", "](#部署)"),
        ("README.zh-CN.md", "a missing part", "\n## 开销\n", "\n"),
        ("README.zh-CN.md", "the way to the English page", "[English](README.md)", ""),
        ("README.md", "a new part", "\n## Deploy\n", "\n## New\n\n## Deploy\n"),
        ("README.md", "a flag", "`fallback.action`", "`fallback.actions`"),
        ("docs/zh-CN/errors.md", "a reserved code", "| [9921](#9921) |", "| [9922](#9922) |"),
        ("docs/zh-CN/errors.md", "a status", "| 413 |", "| 400 |"),
        ("docs/zh-CN/errors.md", "a gRPC status", "DEADLINE_EXCEEDED", "UNAVAILABLE"),
        ("docs/zh-CN/errors.md", "a default", "（3 MiB）", "（4 MiB）"),
        ("docs/zh-CN/errors.md", "a link to a headline", "(openim.md#url-的写法)", "(openim.md#限制谁能访问)"),
        ("docs/errors.md", "a name", "`body_too_large`", "`body_large`"),
    ] {
        let pair = PAGES.into_iter().find(|pair| [pair.0, pair.1].contains(&page)).expect(page);
        let changed = |name: &str| {
            let text = text(name);
            if name == page { text.replacen(from, to, 1) } else { text }
        };
        assert!(text(page).contains(from), "{what}: {page} has no {from}");
        let before = differences(pair, &text(pair.0), &text(pair.1));
        assert_ne!(differences(pair, &changed(pair.0), &changed(pair.1)), before, "{what}: {from} in {page}");
    }
}

#[test]
fn every_chinese_page_is_in_the_table() {
    let listed: BTreeSet<PathBuf> = pages().map(|(_, chinese)| PathBuf::from(chinese)).collect();
    for entry in fs::read_dir(root().join("docs/zh-CN")).expect("the folder") {
        let path = Path::new("docs/zh-CN").join(entry.expect("an entry").file_name());
        assert!(listed.contains(&path) || path == Path::new(GLOSSARY), "{} is held to no English page", path.display());
    }
}

#[test]
fn every_link_of_a_chinese_page_leads_somewhere() {
    let mut broken = Vec::new();
    for page in chinese_pages() {
        for target in links(&text(page)).filter(|target| !target.contains("://")) {
            let (path, anchor) = resolved(page, target);
            let leads = root().join(&path).exists()
                && (anchor.is_empty() || parts(&text(&path)).iter().any(|part| slug(&part.headline) == anchor));
            if !leads {
                broken.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// A space between Chinese and Latin, none of ASCII's punctuation after Chinese, and the glossary's words.
#[test]
fn chinese_pages_are_set_as_chinese_is() {
    let latin = |c: char| c.is_ascii_alphanumeric() || c == '`';
    let mut found = Vec::new();
    for page in chinese_pages() {
        for part in parts(&text(page)) {
            for line in prose(&part.text).into_iter().chain([&*part.headline]) {
                let chars: Vec<char> = without_targets(line).chars().collect();
                let wrong = |two: &[char]| match *two {
                    [one, other] if is_han(one) => latin(other) || ",.;:!?()".contains(other),
                    [one, other] => latin(one) && is_han(other),
                    _ => false,
                };
                // Stars between a word and a mark begin or end no emphasis, in Markdown, if the mark is within.
                let pieces: Vec<&str> = line.split("**").collect();
                let unending = |three: (usize, &[&str])| match three {
                    (index, [before, within, after]) if index % 2 == 0 => {
                        before.ends_with(is_han) && within.starts_with(is_mark)
                            || within.ends_with(is_mark) && after.starts_with(is_han)
                    }
                    _ => false,
                };
                let old = ["应答", "答复"].iter().any(|word| line.contains(word));
                if old || chars.windows(2).any(wrong) || pieces.windows(3).enumerate().any(unending) {
                    found.push(format!("{page}: {line}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// All pages in Chinese.
fn chinese_pages() -> impl Iterator<Item = &'static str> {
    pages().map(|(_, chinese)| chinese).chain([GLOSSARY])
}

fn is_mark(c: char) -> bool {
    "，。；：！？、（）“”".contains(c)
}

fn is_han(c: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&c)
}

/// All translations, with the English pages.
fn pages() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGES.into_iter().chain([CALLBACKS])
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(page: &str) -> String {
    fs::read_to_string(root().join(page)).expect(page)
}

/// What one page says and the other does not, in words.
fn differences(pair: (&str, &str), english: &str, chinese: &str) -> Vec<String> {
    let (ours, theirs) = (parts(english), parts(chinese));
    let mut found = Vec::new();
    let mut ways = chinese.lines().filter_map(|line| line.strip_prefix("[English](")?.split_once(')'));
    if !ways.any(|(target, _)| resolved(pair.1, target).0 == pair.0) {
        found.push("no line begins with [English](…), which leads to the English page".to_owned());
    }
    let levels = |parts: &[Part]| parts.iter().map(|part| part.level).collect::<Vec<_>>();
    if levels(&ours) != levels(&theirs) {
        let shape = |parts: &[Part]| {
            let line = |part: &Part| format!("{} {}", "#".repeat(part.level), part.headline);
            parts.iter().map(line).collect::<Vec<_>>().join("\n")
        };
        found.push(format!("other headlines:\n{}\n--- and in Chinese ---\n{}", shape(&ours), shape(&theirs)));
        return found;
    }
    for (one, other) in ours.iter().zip(&theirs) {
        let (english, chinese) = (facts(pair, pair.0, one), facts(pair, pair.1, other));
        let only = |these: &[String], those: &[String], which: &str| {
            let these = these.iter().filter(|fact| !those.contains(fact));
            these.map(|fact| format!("{:?}, in {which} only: {fact}", one.headline)).collect::<Vec<_>>()
        };
        let mut only = [only(&english, &chinese, "English"), only(&chinese, &english, "Chinese")].concat();
        if only.is_empty() && english != chinese {
            only.push(format!("{:?}: in another order, or not as often", one.headline));
        }
        found.append(&mut only);
    }
    found
}

/// A headline and what stands under it, up to the next.
struct Part {
    level: usize,
    headline: String,
    text: String,
}

/// A page's parts in their order. The first is empty unless the page begins with something else than a headline.
fn parts(page: &str) -> Vec<Part> {
    let mut parts = vec![Part { level: 0, headline: String::new(), text: String::new() }];
    let mut in_block = false;
    for line in page.lines() {
        in_block ^= line.trim_start().starts_with("```");
        let headline = line.trim_start_matches('#');
        let level = line.len() - headline.len();
        if !in_block && level > 0 && headline.starts_with(' ') {
            parts.push(Part { level, headline: headline.trim().to_owned(), text: String::new() });
        } else if let Some(part) = parts.last_mut() {
            part.text.push_str(line);
            part.text.push('\n');
        }
    }
    parts
}

/// The lines of a part that are prose or tables: neither code, nor what a tool wrote, nor the links between languages.
fn prose(part: &str) -> Vec<&str> {
    let (mut in_block, mut made) = (false, false);
    let mut prose = Vec::new();
    for line in part.lines() {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        made = made && !line.ends_with(": end -->") || line.ends_with(": begin -->");
        let of_languages = line.starts_with("[简体中文](") || line.starts_with("[English](");
        if !in_block && !fence && !made && !of_languages && !line.starts_with("<!--") {
            prose.push(line);
        }
    }
    prose
}

/// What a translation of a part leaves as it is.
fn facts(pair: (&str, &str), page: &str, part: &Part) -> Vec<String> {
    let mut facts = Vec::new();
    let mut block: Option<&str> = None;
    for line in part.text.lines() {
        match (block, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => {
                block = Some(language);
                facts.push(format!("a block of {language:?}"));
            }
            (Some(_), Some(_)) => block = None,
            // What is drawn has words in it.
            (Some("text") | None, None) => {}
            (Some(language), None) => facts.push(format!("{language}> {}", without_comment(line))),
        }
    }
    let prose = prose(&part.text);
    let is_item = |line: &str| {
        let line = line.trim_start();
        line.starts_with("- ") || line.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(". ")
    };
    facts.push(format!("{} items of lists", prose.iter().filter(|line| is_item(line)).count()));
    let rows = prose.iter().filter(|line| line.trim_start().starts_with('|'));
    facts.extend(rows.map(|row| format!("a row with {:?}", names(row))));
    let prose = format!("{}\n{}", part.headline, prose.join("\n"));
    facts.extend(names(&prose));
    let links: BTreeSet<String> = links(&prose).filter_map(|target| link(pair, page, target)).collect();
    facts.extend(links.into_iter().map(|link| format!("a link to {link}")));
    facts
}

/// A line of code without what it says to people.
fn without_comment(line: &str) -> &str {
    let code = line.split_once(" # ").map_or(line, |(code, _)| code).trim_end();
    if code.trim_start().starts_with("# ") { "" } else { code }
}

/// The `code` of a text, its words with digits, and those in capitals that are long enough for a status or a signal.
fn names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (index, piece) in without_targets(text).split('`').enumerate() {
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

/// With nothing of its links but their words.
fn without_targets(text: &str) -> String {
    links(text).fold(text.to_owned(), |text, target| text.replacen(&format!("]({target})"), "]", 1))
}

/// Where a link of a page leads, the same for both languages. `None` if to the page's own other language.
fn link(pair: (&str, &str), page: &str, target: &str) -> Option<String> {
    if target.contains("://") {
        return Some(target.to_owned());
    }
    let (path, anchor) = resolved(page, target);
    let from_chinese = page == pair.1;
    if from_chinese && path == pair.0 || !from_chinese && path == pair.1 {
        return None;
    }
    if from_chinese && pages().any(|(english, _)| english == path) {
        return Some(format!("{target}, of which there is a Chinese page"));
    }
    let english = pages().find(|(_, chinese)| *chinese == path).map_or(&*path, |(english, _)| english);
    // Where headlines have other words, it is the same headline if it is as far down.
    let translated = PAGES.iter().any(|(english, chinese)| [*english, *chinese].contains(&&*path));
    let place = || parts(&text(&path)).iter().position(|part| slug(&part.headline) == anchor);
    Some(match translated.then(place).flatten() {
        Some(place) if !anchor.is_empty() => format!("{english}, headline {place}"),
        _ if anchor.is_empty() => english.to_owned(),
        _ => format!("{english}#{anchor}"),
    })
}

/// A link's file, from the repository's root, and its anchor.
fn resolved(page: &str, target: &str) -> (String, String) {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { PathBuf::from(page) } else { Path::new(page).with_file_name(file) };
    let mut resolved: Vec<&str> = Vec::new();
    for component in path.components() {
        match component {
            Component::ParentDir => _ = resolved.pop(),
            other => resolved.extend(other.as_os_str().to_str()),
        }
    }
    (resolved.join("/"), anchor.to_owned())
}
