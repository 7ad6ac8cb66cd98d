//! docs/zh-CN/callbacks.md, made from the registry, from `proto/` and from [`rows`]. It has of each callback what a team
//! needs to choose it and to decide about it; its fields are on the English page.

mod rows;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use openim_bridge::callback::{CALLBACKS, Callback, Echo, Guard, Kind};
use openim_bridge::openim::ReservedCode;
use prost_reflect::{MessageDescriptor, MethodDescriptor};
use rows::{PARTS, ROWS, Row};

use crate::{Page, RENEW, anchors, change_of, code, comment_of, item_of, link, links_within, one_line, renew, session};

#[test]
fn the_page_is_up_to_date() {
    let missing: Vec<&str> =
        CALLBACKS.iter().map(|callback| callback.name).filter(|name| row(name).is_none()).collect();
    assert!(missing.is_empty(), "tests/callbacks_page/chinese/rows.rs has no row for {missing:?}");
    renew("docs/zh-CN/callbacks.md", &made(&Page::new()));
}

#[test]
fn every_row_is_of_a_callback_and_has_its_decisions() {
    let page = Page::new();
    assert_eq!(ROWS.len(), CALLBACKS.len(), "as many rows as callbacks");
    let titles: BTreeSet<&str> = ROWS.iter().map(|row| row.title).collect();
    assert_eq!(titles.len(), ROWS.len(), "two callbacks with the same title");
    for row in ROWS {
        let callback = CALLBACKS.iter().find(|callback| callback.name == row.name).expect(row.name);
        let decisions = page.method(callback).output().fields().len();
        assert_eq!(row.decisions.len(), decisions, "decisions of {}", row.name);
    }
}

#[test]
fn every_link_leads_to_a_headline() {
    let page = made(&Page::new());
    let anchors = anchors(&page);
    for link in links_within(&page) {
        assert!(anchors.contains(link), "#{link} is no headline");
    }
    let english = crate::anchors(&Page::new().made());
    for link in page.split("(../callbacks.md#").skip(1).filter_map(|rest| rest.split_once(')')) {
        assert!(english.contains(link.0), "docs/callbacks.md has no #{}", link.0);
    }
}

#[test]
fn the_rows_name_what_the_comments_name() {
    let texts = texts(&Page::new());
    let differ = |(comment, ours, what): &(String, String, String)| {
        let differences = differences(comment, ours).join(", ");
        (!differences.is_empty()).then(|| format!("{what}: {differences}"))
    };
    let found: Vec<String> = texts.iter().filter_map(differ).collect();
    let found = found.join("\n");
    assert!(found.is_empty(), "tests/callbacks_page/chinese/rows.rs and the comments of proto/ differ:\n{found}");
}

#[test]
fn a_row_that_lags_is_noticed() {
    let texts = texts(&Page::new());
    for (what, from, to) in [
        ("an API", "/friend/add_friend", "/friend/add_friends"),
        ("a method of the SDKs", "AcceptFriendApplication", "RefuseFriendApplication"),
        ("a version", "v3.5.0", "v3.6.0"),
        ("a field", "`time_ms`", "`time`"),
        ("a number", "10 ", "11 "),
        ("another callback", "(#beforemsgmodify)", "(#aftermsgsavedb)"),
    ] {
        let (comment, ours, _) = texts.iter().find(|(_, ours, _)| ours.contains(from)).expect(what);
        assert_ne!(differences(comment, &ours.replacen(from, to, 1)), [""; 0], "{what}");
    }
}

/// What the comments say and what the rows say, of which each names what the other names.
fn texts(page: &Page) -> Vec<(String, String, String)> {
    let mut texts = Vec::new();
    for (part, (title, notes)) in crate::PARTS.iter().zip(PARTS) {
        let head = comment_of(&page.file(part.file), &[2]);
        let (_, theirs) = head.split_once("Here:\n\n").expect("what an implementer must know of this file");
        texts.push((one_line(theirs), notes.concat(), format!("the notes under {title}")));
    }
    for callback in CALLBACKS {
        let row = row(callback.name).expect(callback.name);
        let method = page.method(callback);
        let comment = comment_of(&method.parent_service().parent_file(), method.path());
        let (about, last) = comment.rsplit_once("\n\n").expect("two paragraphs");
        let (_, since) = last.split_once(&*format!("`{}`.", callback.command)).expect("the command");
        // Which callback it is needs no saying in its own section.
        let about = one_line(about).replace(&format!("{} ", method.name()), "");
        texts.push((about, row.about.to_owned(), format!("`about` of {}", row.name)));
        texts.push((one_line(since), row.versions.to_owned(), format!("`versions` of {}", row.name)));
        for (decision, effect) in method.output().fields().zip(row.decisions) {
            let comment = comment_of(&method.output().parent_file(), decision.path());
            texts.push((one_line(&comment), (*effect).to_owned(), format!("`decisions` of {}", row.name)));
        }
    }
    texts
}

/// What one text names and the other does not.
fn differences(english: &str, chinese: &str) -> Vec<String> {
    let (english, chinese) = (tokens(english), tokens(chinese));
    let only = |these: &BTreeSet<(String, bool)>, those: &BTreeSet<(String, bool)>, which: &str| {
        let missing = |token: &str| !those.iter().any(|(other, _)| other == token);
        let these = these.iter().filter(|(token, telling)| *telling && missing(token));
        these.map(|(token, _)| format!("only in {which}: {token}")).collect::<Vec<_>>()
    };
    [only(&english, &chinese, "proto/"), only(&chinese, &english, "the row")].concat()
}

/// The Latin words of a text, and whether a translation must have each: paths, names, versions and numbers.
fn tokens(text: &str) -> BTreeSet<(String, bool)> {
    let text = &text.replace("(../../proto/openim/bridge/v1/decision.proto)", "");
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"_./".contains(c));
    let words = words.map(|word| word.trim_matches('.')).filter(|word| !word.is_empty() && *word != "OpenIM");
    let telling = |word: &str| {
        let inner_capital = word
            .as_bytes()
            .windows(2)
            .any(|two| matches!(two, [before, after] if before.is_ascii_lowercase() && after.is_ascii_uppercase()));
        inner_capital || word.contains(|c: char| c.is_ascii_digit() || "_/".contains(c))
    };
    // A link names the rpc in `proto/` and the key on the page.
    let links = links_within(text).map(str::to_owned);
    let rpcs = CALLBACKS.iter().map(rpc).filter(|rpc| words.clone().any(|word| word == *rpc)).map(str::to_lowercase);
    let named = links.chain(rpcs).map(|name| (name, true));
    words.clone().map(|word| (word.to_lowercase(), telling(word))).chain(named).collect()
}

/// The name of the callback's rpc.
fn rpc(callback: &Callback) -> &'static str {
    callback.rpc.path.rsplit_once('/').map_or("", |(_, name)| name)
}

fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

fn made(page: &Page) -> String {
    let mut text = introduction();
    for (part, (title, notes)) in crate::PARTS.iter().zip(PARTS) {
        let callbacks = page.callbacks(part.file);
        let service = callbacks[0].1.parent_service();
        write!(
            text,
            "\n## {title}\n\n`{}`，定义见 [{file}.proto](../../proto/openim/bridge/v1/{file}.proto)。\n\n",
            service.name(),
            file = part.file,
        )
        .expect("a string");
        for note in notes {
            writeln!(text, "- {note}").expect("a string");
        }
        for (callback, method) in callbacks {
            text.push_str(&section(callback, &method, row(callback.name).expect(callback.name)));
        }
    }
    // The introduction has the table of contents in it.
    text.replace("{contents}", &contents(page))
}

fn introduction() -> String {
    format!(
        "\
<!-- 由 src/callback/registry.rs、proto/ 和 tests/callbacks_page/chinese/rows.rs 生成。更新：{RENEW} -->

# 回调参考

[English](../callbacks.md) · [文档目录](README.md) · [术语表](glossary.md)

OpenIM 的全部 {} 个回调，名称即 `webhooks.yml` 中的键。rpc 的名称是把键的首字母改为大写。

- **before 回调**：OpenIM 等待响应，并按其中的决策处理。你的服务可以放行（`allow`）、拒绝（`refuse`），部分回调还可以改写（`change`）。
- **after 回调**：OpenIM 只通知已经发生的事，不等待结果。openim-bridge 立即响应，再把事件投递给你的服务，见 \
[after 回调](after-callbacks.md)。
- 元数据、截止时间、重复调用等所有 rpc 通用的规则见[编写决策服务](decision-service.md)和 [decision.proto](../../proto/openim/bridge/v1/decision.proto)。\
旧版本 OpenIM 的差异见 [compatibility.md](../compatibility.md)。
- 每个请求都有 `operation_id`，来自 OpenIM 的请求头 `operationID`。
- 拒绝会让用户的 API 调用失败，错误码和文字由你的服务给出；另有说明的除外。OpenIM v3.6 忽略拒绝。
- 改写只替换它设置的字段。什么都没设置的改写、违反下列规则的改写都是无效结果（`invalid_reply`），由兜底策略决定。
- 没有按时得到有效决策时，由[兜底策略](fallback.md)决定放行还是拒绝：默认放行，见 `fallback.action`。
- 每个字段的类型和含义见各节末尾的链接（英文）。

{{contents}}",
        CALLBACKS.len(),
    )
}

fn contents(page: &Page) -> String {
    let mut contents = "| 分类 | before：OpenIM 等待决策 | after：只通知 |\n| --- | --- | --- |\n".to_owned();
    for (part, (title, _)) in crate::PARTS.iter().zip(PARTS) {
        let callbacks = page.callbacks(part.file);
        let of = |after: bool| {
            let of = callbacks.iter().filter(|(callback, _)| callback.is_after() == after);
            let of = of.map(|(callback, _)| {
                let title = row(callback.name).expect(callback.name).title;
                format!("{} {title}", link(callback.name, callback.name))
            });
            of.collect::<Vec<_>>().join("<br>")
        };
        writeln!(contents, "| {} | {} | {} |", link(title, title), of(false), of(true)).expect("a string");
    }
    contents
}

fn section(callback: &Callback, method: &MethodDescriptor, row: &Row) -> String {
    let kind = if callback.is_after() { "after（只通知）" } else { "before（OpenIM 等待决策）" };
    let mut command = code(callback.command);
    if !callback.aliases.is_empty() {
        write!(command, "；旧版本：{}", all(callback.aliases.iter().copied())).expect("a string");
    }
    let mut text = format!(
        "\n### {name}\n\n**{}**\n\n- 类型：{kind}\n- 命令：{command}\n- rpc：`{}.{}`\n- 版本：{}\n\n{}\n",
        row.title,
        method.parent_service().name(),
        method.name(),
        row.versions,
        row.about,
        name = callback.name,
    );
    if !callback.is_after() {
        text.push_str("\n| 决策 | OpenIM 的处理 |\n| --- | --- |\n");
        for (decision, effect) in method.output().fields().zip(row.decisions) {
            writeln!(text, "| `{}` | {effect} |", decision.name()).expect("a string");
        }
    }
    text.push('\n');
    for rule in rules(callback, method) {
        writeln!(text, "- {rule}").expect("a string");
    }
    writeln!(text, "- 字段：[英文字段表](../callbacks.md#{})。", callback.name.to_lowercase()).expect("a string");
    text
}

/// What the registry and the descriptors know of a callback.
fn rules(callback: &Callback, method: &MethodDescriptor) -> Vec<String> {
    let request = method.input();
    let field = |key: &str| request.get_field_by_json_name(key).expect("a field of the request");
    let asked = |keys: &[&str]| all(keys.iter().map(|key| field(key).name().to_owned()));
    let mut rules = Vec::new();
    let required: Vec<&str> = callback.required_keys().collect();
    if !required.is_empty() {
        let rejected = ReservedCode::MalformedBody as i32;
        let any = if required.len() > 1 { " 中任何一个" } else { " " };
        rules.push(format!("缺少 {}{any}的请求会被拒收（{rejected}）。", asked(&required)));
    }
    let change = change_of(method);
    if let Some(change) = &change {
        let fields = change.fields().map(|field| field.name().to_owned());
        rules.push(format!("可以改写：{}。", all(fields)));
        rules.extend(callback.guards.iter().map(|guard| rule(*guard, change)));
    }
    if let Kind::Before { echo, only_service_refuses } = callback.kind {
        rules.extend(match echo {
            Echo::Helps([]) => None,
            Echo::Helps(keys) => {
                Some(format!("放行的响应会原样带回 {}：旧版本 OpenIM 保存的是响应中的值，缺少时存为空。", asked(keys)))
            }
            Echo::Required(keys) => {
                Some(format!("放行的响应会原样带回 {}，否则 OpenIM 会报错，或丢掉用户要求的修改。", asked(keys)))
            }
        });
        rules.push(match echo {
            _ if only_service_refuses => {
                "兜底：放行。只有你的服务，或该回调自己的 `fallback`、`route`，才能拒绝；全局的 `fallback` 和 `route` 不能，无法读取请求体时也放行。".to_owned()
            }
            Echo::Required(_) => {
                "兜底：由 `fallback.action` 决定；但 openim-bridge 无法读取请求时，无论兜底策略是什么都拒绝。"
                    .to_owned()
            }
            Echo::Helps(_) => "兜底：由 `fallback.action` 决定。".to_owned(),
        });
        if let Some(key) = callback.actor.or(callback.roll_out) {
            let first = if field(key).is_list() { " 的第一项" } else { "" };
            let rule = format!("灰度（`decision.enforce_percent`）依据：{}{first}。", code(field(key).name()));
            rules.push(rule);
        }
    }
    rules
}

fn rule(guard: Guard, change: &MessageDescriptor) -> String {
    let field = |key: &str| change.get_field_by_json_name(key).expect("a field of the change");
    let name = |key: &str| code(field(key).name());
    let item = |list: &str, key: &str| code(item_of(&field(list), key).name());
    match guard {
        Guard::NotEmpty(key) => format!("改写的 {} 不能为空。", name(key)),
        Guard::NotBlank(key) => format!("改写的 {} 不能为空白。", name(key)),
        Guard::NotZero(key) => format!("改写的 {} 不能为 0。", name(key)),
        Guard::EachNotZero(list, key) => format!("改写的 {} 中，每一项的 {} 都不能为 0。", name(list), item(list, key)),
        Guard::JsonObject(key) => format!("改写的 {} 必须是 JSON 对象。", name(key)),
        Guard::Asked(key) => format!("只有请求设置了 {name} 时，才能改写 {name}。", name = name(key)),
        Guard::EachHas(list, key) => format!("改写的 {} 中，每一项都必须有 {}。", name(list), item(list, key)),
        Guard::InSession(key, number) => {
            format!("只有 `session_type` 为 {} 时，才能改写 {}。", code(&session(change, number)), name(key))
        }
        Guard::NotNotification => "不能改写通知（`content_type` 为 1000 到 5000）。".to_owned(),
    }
}

/// Names as code, as Chinese lists them.
fn all(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    names.map(|name| code(name.as_ref())).collect::<Vec<_>>().join("、")
}
