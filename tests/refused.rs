//! What the bridge turns away, with which code and status, and without ever asking the decision service.

#![allow(clippy::expect_used)]

mod kit;

use std::num::NonZeroUsize;

use kit::callback::named;
use kit::{App, Bridge, BridgeBuilder, COMMAND, PATH, Reply, Request, app, bridge, ms};
use openim_bridge::bridge::MissingOperationId;
use openim_bridge::callback::Callback;
use openim_bridge::policy::UnknownRoute;
use openim_bridge::server::Settings;

/// The longest body.
const MOST: usize = 3 << 20;
const UNSERVED: &str = "callbackBeforeSomethingElseCommand";

/// A bridge, and the decision service that it must not ask.
struct Unasked {
    app: App,
    bridge: Bridge,
}

fn unasked() -> Unasked {
    unasked_with(|_| {})
}

fn unasked_with(change: impl FnOnce(&mut Settings)) -> Unasked {
    unasked_by(bridge().with(change))
}

fn unasked_by(builder: BridgeBuilder) -> Unasked {
    let app = app();
    Unasked { bridge: builder.asking(&app).start(), app }
}

impl Unasked {
    #[track_caller]
    fn refuses(&self, request: &Request, status: u16, code: i32) -> Reply {
        self.refuses_bytes(&request.bytes(), status, code)
    }

    #[track_caller]
    fn refuses_body(&self, body: impl AsRef<[u8]>) {
        self.refuses(&Request::new().body(body), 400, 9900);
    }

    #[track_caller]
    fn refuses_target(&self, target: &str, status: u16, code: i32) -> Reply {
        self.refuses(&Request::new().target(target), status, code)
    }

    #[track_caller]
    fn refuses_bytes(&self, bytes: &[u8], status: u16, code: i32) -> Reply {
        let mut client = self.bridge.connect();
        client.write(bytes);
        let reply = client.reply();
        reply.refuses(status, code);
        assert_eq!(self.app.calls(), 0, "the decision service was asked");
        reply
    }

    /// The control: what is sent here reaches the decision service.
    #[track_caller]
    fn asks(&self, request: &Request) {
        assert_eq!(self.bridge.send(request).status, 200);
        assert_eq!(self.app.calls(), 1, "the decision service was not asked");
    }
}

/// A body with this value, in JSON, for this field.
fn body_with(field: &str, json: &str) -> String {
    let fields = [
        ("callbackCommand", format!("{COMMAND:?}")),
        ("ownerUserID", r#""u1""#.to_owned()),
        ("friendUserID", r#""u2""#.to_owned()),
        ("remark", r#""pal""#.to_owned()),
    ];
    let fields =
        fields.map(|(name, value)| format!("{name:?}:{}", if name == field { json } else { value.as_str() })).join(",");
    format!("{{{fields}}}")
}

/// A body that goes on behind its four fields.
fn body_and(more: &str) -> String {
    let body = body_with("", "");
    format!("{},{more}}}", body.strip_suffix('}').expect("an object"))
}

/// A fine body of exactly this many bytes.
fn body_of(bytes: usize) -> String {
    let empty = body_with("remark", "\"\"").len();
    body_with("remark", &format!("{:?}", "r".repeat(bytes - empty)))
}

const FIELDS: [&str; 4] = ["callbackCommand", "ownerUserID", "friendUserID", "remark"];

// 9906: the method.

#[test]
fn refuses_methods_other_than_post_and_says_which_is_allowed() {
    let unasked = unasked();
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "POSTS", "PROPFIND"] {
        let reply = unasked.refuses(&Request::new().method(method), 405, 9906);
        assert_eq!(reply.header("allow"), Some("POST"), "{method}");
    }
}

#[test]
fn refuses_head_without_a_body() {
    let unasked = unasked();
    let mut client = unasked.bridge.connect();
    client.write(&Request::new().method("HEAD").body("").bytes());
    let head = client.reply_head().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 405 ") && head.contains("\r\nallow: post\r\n"), "{head}");
    // Nothing but the next answer follows.
    client.write(&Request::new().method("GET").bytes());
    client.reply().refuses(405, 9906);
    assert_eq!(unasked.app.calls(), 0);
}

#[test]
fn only_a_refused_method_is_told_what_is_allowed() {
    let reply = unasked().refuses(&Request::new().body("{}"), 400, 9900);
    assert_eq!(reply.header("allow"), None);
}

// 9901: the command in the URL.

#[test]
fn refuses_a_url_without_its_command() {
    let unasked = unasked();
    for target in ["/", "//", "/?", "/callbackExample", "/callbackExample/", "/a/b/c?contenttype=json", "/cb?command="]
    {
        let reply = unasked.refuses_target(target, 404, 9901);
        assert_eq!(reply.json()["errMsg"], "The URL names no callback command", "{target}");
        let hint = reply.header("openim-bridge-hint").expect("a hint");
        assert!(hint.contains("PREFIX/COMMAND") && hint.contains("webhooks.yml"), "{hint}");
    }
}

#[test]
fn refuses_a_command_that_is_not_served() {
    let unasked = unasked();
    for target in [
        &*format!("/callbackExample/{UNSERVED}"),
        &format!("/cb?command={UNSERVED}&contenttype=json"),
        "/cb/callbackBeforeSetFriendRemarkCommandX",
        "/cb?command=callbackBeforeSetFriendRemarkCommand%00",
    ] {
        let reply = unasked.refuses_target(target, 404, 9901);
        assert_eq!(reply.json()["errMsg"], "This callback command is not served here", "{target}");
    }
}

#[test]
fn refuses_a_served_command_in_other_letters() {
    unasked().refuses_target("/cb/callbackbeforesetfriendremarkcommand", 404, 9901);
}

#[test]
fn refuses_a_served_command_that_is_not_the_last_segment() {
    unasked().refuses_target(&format!("{PATH}/more"), 404, 9901);
}

#[test]
fn refuses_a_command_that_the_query_has_swallowed_and_says_so() {
    let unasked = unasked();
    for query in ["t=x", "contenttype=json", "command=", "command=callbackExample", "a=b&c=d"] {
        let reply = unasked.refuses_target(&format!("/callbackExample?{query}/{COMMAND}"), 404, 9901);
        assert_eq!(reply.json()["errMsg"], "The URL's query has swallowed the callback command", "{query}");
    }
    let reply = unasked.refuses_target(&format!("/callbackExample?command={COMMAND}/{COMMAND}"), 404, 9901);
    assert_eq!(reply.json()["errMsg"], "The URL's query has swallowed the callback command");
}

// 9901 or not: commands that are not served, and may go on.

fn unserved_callback(target: &str, body_command: &str) -> Request {
    Request::new().target(target).callback(body_command, "u1", "u2", "pal")
}

#[test]
fn an_unserved_command_goes_on_where_allowed_and_nothing_is_said_of_a_remark() {
    let unasked = unasked_with(|settings| settings.bridge.routes.unknown = UnknownRoute::Allow);
    for target in [format!("/callbackExample/{UNSERVED}"), format!("/cb?command={UNSERVED}&contenttype=json")] {
        unasked.bridge.send(&unserved_callback(&target, UNSERVED)).goes_on();
        // Its body is another callback's, whose fields are not known.
        let other = Request::new().target(&target).body(format!(r#"{{"callbackCommand":"{UNSERVED}","x":[1,{{}}]}}"#));
        unasked.bridge.send(&other).goes_on();
        assert_eq!(unasked.app.calls(), 0);
    }
}

#[test]
fn an_unserved_command_is_refused_where_the_body_says_another() {
    let unasked = unasked_with(|settings| settings.bridge.routes.unknown = UnknownRoute::Allow);
    let target = format!("/callbackExample/{UNSERVED}");
    for command in ["callbackAfterAddFriendCommand", COMMAND, ""] {
        unasked.refuses(&unserved_callback(&target, command), 404, 9901);
    }
    for body in ["", "{}", "[]", r#"{"callbackCommand":1}"#, &*format!(r#"["{UNSERVED}"]"#), "nonsense"] {
        unasked.refuses(&Request::new().target(&target).body(body), 400, 9900);
    }
}

#[test]
fn an_unserved_command_must_be_a_fine_request_otherwise() {
    let unasked = unasked_with(|settings| settings.bridge.routes.unknown = UnknownRoute::Allow);
    let request = unserved_callback(&format!("/cb/{UNSERVED}"), UNSERVED);
    unasked.refuses(&request.clone().method("GET"), 405, 9906);
    unasked.refuses(&request.clone().target(&format!("/cb/{UNSERVED}?contenttype=xml")), 400, 9908);
    unasked.refuses(&request.clone().without("Content-Type"), 415, 9905);
    unasked.refuses(&request.clone().without("Operationid"), 400, 9903);
    unasked.refuses(&request.body(" ".repeat(MOST + 1)), 413, 9904);
}

#[test]
fn a_url_without_its_command_is_refused_even_where_unserved_commands_are_allowed() {
    let unasked = unasked_with(|settings| settings.bridge.routes.unknown = UnknownRoute::Allow);
    let swallowed = format!("/callbackExample?t=x/{UNSERVED}");
    for target in ["/", "//", "/callbackExample", "/callbackExample/", "/cb?contenttype=json", &*swallowed] {
        for command in [COMMAND, UNSERVED] {
            let reply = unasked.refuses(&unserved_callback(target, command), 404, 9901);
            assert_ne!(reply.json()["errMsg"], "This callback command is not served here", "{target}");
        }
    }
    unasked.refuses(&Request::new().target("/callbackExample").body("nonsense"), 404, 9901);
}

// 9902: two commands.

static TWO: [Callback; 2] = [
    named("callbackBeforeFirstCommand").aliases(&["callbackBeforeFirst"]),
    named("callbackBeforeSecondCommand").aliases(&["callbackBeforeSecond"]),
];

#[test]
fn refuses_a_url_that_names_two_served_commands() {
    let unasked = unasked_by(bridge().serving(&TWO));
    for (segment, parameter) in [
        ("callbackBeforeFirstCommand", "callbackBeforeSecondCommand"),
        ("callbackBeforeSecondCommand", "callbackBeforeFirst"),
        ("callbackBeforeFirst", "callbackBeforeSecond"),
        // Not served, but the path's last segment is.
        ("callbackBeforeFirstCommand", "callbackBeforeThirdCommand"),
    ] {
        for body in [segment, parameter] {
            let request = unserved_callback(&format!("/cb/{segment}?command={parameter}"), body);
            unasked.refuses(&request, 400, 9902);
        }
    }
}

#[test]
fn a_url_may_name_one_served_command_twice_and_by_any_of_its_names() {
    let unasked = unasked_by(bridge().serving(&TWO));
    let names = ["callbackBeforeFirstCommand", "callbackBeforeFirst"];
    for segment in names.into_iter().chain(["cb", "callbackBeforeThirdCommand"]) {
        for parameter in names {
            for body in names {
                unasked.asks(&unserved_callback(&format!("/cb/{segment}?command={parameter}"), body));
            }
        }
    }
}

#[test]
fn refuses_another_served_command_in_the_body_than_in_the_url() {
    let unasked = unasked_by(bridge().serving(&TWO));
    for (url, body) in [
        ("callbackBeforeFirstCommand", "callbackBeforeSecondCommand"),
        ("callbackBeforeFirst", "callbackBeforeSecond"),
        ("callbackBeforeSecond", "callbackBeforeFirstCommand"),
    ] {
        unasked.refuses(&unserved_callback(&format!("/cb/{url}"), body), 400, 9902);
        unasked.refuses(&unserved_callback(&format!("/cb?command={url}"), body), 400, 9902);
        // The parameter wins over a path that says nothing.
        unasked.refuses(&unserved_callback(&format!("/{body}/cb?command={url}"), body), 400, 9902);
    }
}

#[test]
fn refuses_another_command_in_the_body_than_in_the_url() {
    let unasked = unasked();
    for command in ["", UNSERVED, "callbackbeforesetfriendremarkcommand", "callbackBeforeSetFriendRemarkCommand "] {
        unasked.refuses(&Request::new().callback(command, "u1", "u2", "pal"), 400, 9902);
    }
}

// 9908: the parameter `contenttype`.

#[test]
fn refuses_a_content_type_parameter_other_than_json() {
    let unasked = unasked();
    for value in ["xml", "", "application/json", "json%20", "jsonp", "xml&contenttype=json"] {
        unasked.refuses_target(&format!("{PATH}?contenttype={value}"), 400, 9908);
        unasked.refuses_target(&format!("/cb?command={COMMAND}&contenttype={value}"), 400, 9908);
        unasked.refuses_target(&format!("/cb?contenttype={value}&command={COMMAND}"), 400, 9908);
    }
}

#[test]
fn the_content_type_parameter_is_json_in_any_case() {
    let unasked = unasked();
    for value in ["json", "JSON", "Json", "%6ason"] {
        unasked.asks(&Request::new().target(&format!("/cb?command={COMMAND}&contenttype={value}")));
    }
}

#[test]
fn refuses_the_documented_url_with_the_command_appended_once_more() {
    // What OpenIM makes of `url: http://bridge/cb?command=…&contenttype=json`.
    let target = format!("/cb?command={COMMAND}&contenttype=json/{COMMAND}");
    unasked().refuses_target(&target, 400, 9908);
}

// 9905: the content type.

#[test]
fn refuses_a_content_type_that_is_missing_or_not_json() {
    let unasked = unasked();
    unasked.refuses(&Request::new().without("Content-Type"), 415, 9905);
    for value in [
        "",
        "text/plain",
        "text/json",
        "json",
        "+json",
        "application/jsonx",
        "application/x-www-form-urlencoded",
        "text/plain; charset=application/json",
        "application/xml, application/json",
    ] {
        unasked.refuses(&Request::new().header("Content-Type", value), 415, 9905);
    }
    unasked.refuses(&Request::new().header("Content-Type", b"application/json\xff"), 415, 9905);
}

#[test]
fn every_json_content_type_is_fine() {
    let unasked = unasked();
    for value in [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "Application/Json;charset=UTF-8",
        "application/json ; x=y",
        "application/problem+json",
        "application/vnd.openim+JSON; charset=utf-8",
    ] {
        unasked.asks(&Request::new().header("content-type", value));
    }
}

// 9903: the operation ID.

#[test]
fn refuses_an_operation_id_that_is_missing_or_empty() {
    let unasked = unasked();
    unasked.refuses(&Request::new().without("Operationid"), 400, 9903);
    unasked.refuses(&Request::new().header("Operationid", ""), 400, 9903);
    unasked.refuses(&Request::new().header("Operationid", " \t "), 400, 9903);
}

#[test]
fn an_operation_id_is_made_up_where_configured() {
    let app = app();
    let bridge =
        bridge().asking(&app).with(|all| all.bridge.operation_id.missing = MissingOperationId::Generate).start();
    let mut made_up = Vec::new();
    for request in [Request::new().without("Operationid"), Request::new().header("Operationid", "")] {
        bridge.send(&request).goes_on_with("pal");
        let call = app.next_call();
        assert_eq!(call.operation_id_metadata.as_deref(), Some(&*call.operation_id));
        made_up.push(call.operation_id);
    }
    assert!(made_up[0] != made_up[1] && made_up.iter().all(|id| !id.is_empty()), "{made_up:?}");

    bridge.ask("pal").goes_on_with("pal");
    assert_eq!(app.next_call().operation_id, "op-1");
}

// 9904: the size.

#[test]
fn a_body_of_the_limit_is_asked_and_one_byte_more_is_refused() {
    let unasked = unasked();
    unasked.asks(&Request::new().body(body_of(MOST)));
    unasked.refuses(&Request::new().body(body_of(MOST + 1)), 413, 9904);
}

#[test]
fn the_same_holds_for_a_chunked_body() {
    let unasked = unasked();
    let mut client = unasked.bridge.connect();
    client.write(&Request::new().body(body_of(MOST)).chunked(50_000));
    assert_eq!(client.reply().status, 200);
    assert_eq!(unasked.app.calls(), 1);
    let reply = unasked.refuses_bytes(&Request::new().body(body_of(MOST + 1)).chunked(50_000), 413, 9904);
    assert!(!reply.body.contains("rrr"));
}

#[test]
fn the_limit_on_a_body_is_configured() {
    let unasked = unasked_with(|all| all.bridge.limits.request_bytes = NonZeroUsize::new(200).expect("200"));
    unasked.asks(&Request::new().body(body_of(200)));
    unasked.refuses(&Request::new().body(body_of(201)), 413, 9904);
    unasked.refuses_bytes(&Request::new().body(body_of(201)).chunked(7), 413, 9904);
}

#[test]
fn a_body_that_is_announced_too_large_is_refused_before_it_comes() {
    let unasked = unasked();
    let reply = unasked.refuses_bytes(&Request::new().head_for(MOST + 1), 413, 9904);
    assert!(reply.announces_close());
}

#[test]
fn a_body_in_broken_chunks_is_refused_and_the_close_of_its_connection_announced() {
    let unasked = unasked();
    let head = String::from_utf8(Request::new().head_for(0)).expect("a head in UTF-8");
    let head = head.replace("Content-Length: 0", "Transfer-Encoding: chunked");
    for body in ["zz\r\n", "1\r\n{zz\r\n"] {
        let reply = unasked.refuses_bytes(&[head.as_bytes(), body.as_bytes()].concat(), 400, 9900);
        assert!(reply.announces_close());
    }
}

#[test]
fn a_client_that_reads_only_at_the_end_of_20_mb_sees_the_refusal() {
    let unasked = unasked_by(bridge().timeout(ms(14_000)));
    let large = Request::new().body(vec![b' '; 20_000_000]);
    for bytes in [large.bytes(), large.chunked(64 << 10)] {
        let mut client = unasked.bridge.connect();
        client.write(&bytes);
        let reply = client.reply();
        reply.refuses(413, 9904);
        assert!(reply.announces_close());
        assert!(client.is_closed());
    }
    assert_eq!(unasked.app.calls(), 0);
}

#[test]
fn a_client_that_waits_to_be_told_to_go_on_is_refused_instead() {
    let unasked = unasked();
    let request = Request::new().header("Expect", "100-continue");
    let reply = unasked.refuses_bytes(&request.head_for(MOST + 1), 413, 9904);
    assert!(reply.announces_close());
}

// 9900: the body.

#[test]
fn refuses_a_body_that_is_empty() {
    let unasked = unasked();
    unasked.refuses_body("");
    unasked.refuses_body(" \r\n\t");
    unasked.refuses(&Request::new().body(""), 400, 9900);
    unasked.refuses_bytes(&Request::new().body("").chunked(1), 400, 9900);
}

#[test]
fn refuses_a_body_that_is_truncated_anywhere() {
    let unasked = unasked();
    let mut client = unasked.bridge.connect();
    let body = body_with("remark", r#""\u00e9 \ud83d\ude00é""#);
    for end in 0..body.len() {
        client.write(&Request::new().body(&body.as_bytes()[..end]).bytes());
        client.reply().refuses(400, 9900);
    }
    assert_eq!(unasked.app.calls(), 0);
    unasked.asks(&Request::new().body(body));
}

#[test]
fn refuses_a_body_that_is_not_json() {
    let unasked = unasked();
    for body in [
        "nonsense",
        "<callback/>",
        "callbackCommand=x&remark=y",
        &*body_with("remark", "'pal'"),
        &body_with("remark", "\"a\nb\""),
        &body_with("ownerUserID", "\"a\0b\""),
        &body_with("remark", r#""\x41""#),
        &body_with("remark", r#""\u12""#),
        &body_and(""),
        &body_and(r#""more":01"#),
        &body_and(r#""more":NaN"#),
        &body_and(r"/* no comments */"),
    ] {
        unasked.refuses_body(body);
    }
}

#[test]
fn refuses_a_body_that_is_not_an_object() {
    let unasked = unasked();
    for body in ["null", "true", "1", "\"text\"", "[]", &*format!("[{}]", body_with("", ""))] {
        unasked.refuses_body(body);
    }
}

#[test]
fn refuses_an_array_of_the_four_values() {
    unasked().refuses_body(format!(r#"["{COMMAND}","u1","u2","pal"]"#));
}

#[test]
fn refuses_a_field_of_the_wrong_type() {
    let unasked = unasked();
    for field in FIELDS {
        for value in ["1", "-1.5", "true", "null", "{}", "[]", r#"["pal"]"#, "[112,97,108]"] {
            unasked.refuses_body(body_with(field, value));
        }
    }
}

#[test]
fn refuses_a_body_without_one_of_its_fields() {
    let unasked = unasked();
    unasked.refuses_body("{}");
    for field in FIELDS {
        // Letter case counts, so these are other fields.
        for other in ["other".to_owned(), field.to_ascii_uppercase(), format!("{field} ")] {
            let body = body_with("", "").replace(&format!("{field:?}"), &format!("{other:?}"));
            unasked.refuses_body(body);
        }
    }
}

#[test]
fn refuses_a_body_with_a_duplicate_key() {
    let unasked = unasked();
    for field in FIELDS {
        unasked.refuses_body(body_and(&format!(r#""{field}":"{COMMAND}""#)));
        // The same key in other letters.
        let escaped = format!("\\u{:04x}{}", u32::from(field.as_bytes()[0]), &field[1..]);
        unasked.refuses_body(body_and(&format!(r#""{escaped}":"{COMMAND}""#)));
    }
}

#[test]
fn refuses_deep_nesting_wherever_it_is() {
    let unasked = unasked();
    for depth in [200, 300_000] {
        let arrays = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        unasked.refuses_body(&arrays);
        unasked.refuses_body("[".repeat(depth));
        unasked.refuses_body(body_with("remark", &arrays));
        unasked.refuses_body(body_and(&format!(r#""more":{arrays}"#)));
        unasked.refuses_body(body_and(&format!(r#""more":{}"#, "[".repeat(depth))));
    }
    let objects = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    unasked.refuses_body(body_and(&format!(r#""more":{objects}"#)));
}

#[test]
fn refuses_invalid_utf8_wherever_it_is() {
    let unasked = unasked();
    let swap = |text: String, bytes: &[u8]| {
        let at = text.find('@').expect("a place");
        [&text.as_bytes()[..at], bytes, &text.as_bytes()[at + 1..]].concat()
    };
    for bytes in [&b"\xff"[..], b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe4\xb8"] {
        for field in FIELDS {
            unasked.refuses_body(swap(body_with(field, "\"a@b\""), bytes));
        }
        unasked.refuses_body(swap(body_and(r#""more":"a@b""#), bytes));
        unasked.refuses_body(swap(body_and(r#""mo@re":1"#), bytes));
        unasked.refuses_body(swap(body_and(r#""more":[{"a@":1}]"#), bytes));
        unasked.refuses_body(swap(body_with("", "") + "@", bytes));
    }
}

#[test]
fn refuses_a_byte_order_mark() {
    let unasked = unasked();
    unasked.refuses_body(format!("\u{feff}{}", body_with("", "")));
    let utf16: Vec<u8> = body_with("", "").encode_utf16().flat_map(u16::to_le_bytes).collect();
    unasked.refuses_body([b"\xff\xfe", &*utf16].concat());
    unasked.refuses_body(utf16);
}

#[test]
fn refuses_bytes_behind_the_body() {
    let unasked = unasked();
    for more in ["}", "x", "{}", ",", "\0", "null"] {
        unasked.refuses_body(body_with("", "") + more);
    }
    unasked.refuses_body(body_with("", "").repeat(2));
}

// All of them together.

#[test]
fn the_first_of_several_wrong_things_answers() {
    let unasked = unasked_with(|all| all.bridge.limits.request_bytes = NonZeroUsize::new(200).expect("200"));
    let wrong = Request::new()
        .method("PUT")
        .target("/callbackExample?contenttype=xml")
        .without("Operationid")
        .header("Content-Type", "text/plain")
        .body("x".repeat(201));
    unasked.refuses(&wrong, 405, 9906);

    let wrong = wrong.method("POST");
    unasked.refuses(&wrong, 404, 9901);
    unasked.refuses(&wrong.clone().target(&format!("/cb/{UNSERVED}?contenttype=xml")), 404, 9901);

    let wrong = wrong.target(&format!("{PATH}?contenttype=xml"));
    unasked.refuses(&wrong, 400, 9908);

    let wrong = wrong.target(PATH);
    unasked.refuses(&wrong, 415, 9905);

    let wrong = wrong.header("Content-Type", "application/json");
    unasked.refuses(&wrong, 400, 9903);

    let wrong = wrong.header("Operationid", "op");
    unasked.refuses(&wrong, 413, 9904);

    let wrong = wrong.body(r#"{"callbackCommand":"other"}"#);
    unasked.refuses(&wrong, 400, 9900);

    let wrong = wrong.callback("other", "u1", "u2", "pal");
    unasked.refuses(&wrong, 400, 9902);

    unasked.asks(&wrong.remark("pal"));
}

#[test]
fn a_refused_request_leaves_its_connection_to_the_next_one() {
    let unasked = unasked();
    let mut client = unasked.bridge.connect();
    for _ in 0..3 {
        client.write(&Request::new().body("nonsense").bytes());
        let reply = client.reply();
        reply.refuses(400, 9900);
        assert!(!reply.announces_close());
    }
    client.write(&Request::new().bytes());
    client.reply().goes_on_with("pal");
}

#[test]
fn a_refusal_tells_nothing_of_the_inside() {
    let unasked = unasked();
    let upstream = unasked.app.address.port().to_string();
    for request in [
        Request::new().method("GET"),
        Request::new().target("/"),
        Request::new().target("/cb?contenttype=xml/callbackX"),
        Request::new().header("Content-Type", "text/plain"),
        Request::new().without("Operationid"),
        Request::new().body("nonsense"),
        Request::new().body(" ".repeat(MOST + 1)),
    ] {
        let reply = unasked.bridge.send(&request);
        for inside in [&*upstream, "127.0.0.1", "serde", "line 1", "grpc", "http://", ".rs"] {
            assert!(!reply.body.contains(inside), "{inside}: {}", reply.body);
        }
    }
}
