//! What the bridge takes, asks, and answers.

#![allow(clippy::expect_used)]

mod kit;

use std::time::Duration;

use kit::{ALIAS, App, Bridge, COMMAND, PATH, Reply, Request, app, app_ruled_by, bridge, ms};
use openim_bridge::openim::NextCodeForm;
use openim_bridge::policy::{Action, UnknownRoute};

/// The longest body.
const MOST: usize = 3 << 20;

struct Pair {
    app: App,
    bridge: Bridge,
}

fn pair() -> Pair {
    let app = app();
    Pair { bridge: bridge().asking(&app).start(), app }
}

impl Pair {
    /// The request is asked as the standard callback, and goes on.
    #[track_caller]
    fn asks(&self, request: &Request) {
        self.asks_bytes(&request.bytes());
    }

    #[track_caller]
    fn asks_bytes(&self, bytes: &[u8]) {
        let mut client = self.bridge.connect();
        client.write(bytes);
        client.reply().goes_on_with("pal");
        let call = self.app.next_call();
        assert_eq!((call.text("ownerUserID"), call.text("friendUserID"), call.text("remark")), ("u1", "u2", "pal"));
        assert_eq!(self.app.calls(), 0, "asked more than once");
    }

    #[track_caller]
    fn asks_with_id(&self, request: &Request, id: &str, metadata: Option<&str>) {
        self.bridge.send(request).goes_on_with("pal");
        let call = self.app.next_call();
        assert_eq!((&*call.operation_id, call.operation_id_metadata.as_deref()), (id, metadata));
    }

    /// A remark written like this in JSON is this text, for the App and for OpenIM.
    #[track_caller]
    fn reads_remark(&self, json: &str, remark: &str) {
        let body =
            format!(r#"{{"callbackCommand":"{COMMAND}","ownerUserID":"u1","friendUserID":"u2","remark":{json}}}"#);
        self.bridge.send(&Request::new().body(body)).goes_on_with(remark);
        assert_eq!(self.app.next_call().text("remark"), remark, "{json}");
    }
}

// The URL.

#[test]
fn a_request_is_answered_although_nothing_more_comes_behind_it() {
    let app = app();
    let bridge = bridge().asking(&app).start();
    for remark in ["pal", "mock:delay=100ms"] {
        let mut client = bridge.connect();
        client.write(&Request::new().remark(remark).bytes());
        client.has_sent_all();
        client.reply().goes_on_with(remark);
        assert!(client.is_closed());
    }
}

#[test]
fn the_command_is_the_last_segment_under_any_prefix() {
    let pair = pair();
    for target in [
        format!("/{COMMAND}"),
        PATH.to_owned(),
        format!("//{COMMAND}"),
        format!("/callbackExample//{COMMAND}"),
        format!("/callbackExample/{COMMAND}/"),
        format!("/callbackExample/{COMMAND}//"),
        format!("/a/b/c.d/~e/%20/{COMMAND}"),
        format!("/callbackBeforeAddFriendCommand/{COMMAND}"),
        format!("/cb/{COMMAND}?"),
    ] {
        pair.asks(&Request::new().target(&target));
    }
}

#[test]
fn the_command_may_be_a_parameter_under_any_path() {
    let pair = pair();
    for target in [
        format!("/?command={COMMAND}&contenttype=json"),
        format!("/cb?command={COMMAND}&contenttype=json"),
        format!("/cb/?command={COMMAND}&contenttype=JSON"),
        format!("//cb//x?command={COMMAND}"),
        format!("/callbackBeforeOtherCommand?command={COMMAND}"),
        format!("{PATH}?command={COMMAND}&contenttype=json"),
        format!("{PATH}?command=&contenttype=json"),
    ] {
        pair.asks(&Request::new().target(&target));
    }
}

#[test]
fn parameters_come_in_any_order_and_unknown_ones_are_ignored() {
    let pair = pair();
    for query in [
        format!("contenttype=json&command={COMMAND}"),
        format!("token=s%2Fecret&contenttype=json&x&=&&y=%ff&command={COMMAND}&z=a=b"),
        format!("command={COMMAND}&command=other&contenttype=json&contenttype=xml"),
        format!("Command=other&ContentType=xml&command={COMMAND}"),
    ] {
        pair.asks(&Request::new().target(&format!("/cb?{query}")));
    }
    pair.asks(&Request::new().target(&format!("{PATH}?token=x&contenttype=json")));
}

#[test]
fn the_command_may_be_percent_encoded() {
    let pair = pair();
    let all = COMMAND.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
    let one = COMMAND.replacen('B', "%42", 1);
    for command in [all, one] {
        pair.asks(&Request::new().target(&format!("/cb/{command}")));
        pair.asks(&Request::new().target(&format!("/cb?command={command}&contenttype=%6Ason")));
    }
}

#[test]
fn the_older_name_counts_as_the_same_command() {
    let pair = pair();
    for url in [COMMAND, ALIAS] {
        for body in [COMMAND, ALIAS] {
            let request = Request::new().callback(body, "u1", "u2", "pal");
            pair.asks(&request.clone().target(&format!("/cb/{url}")));
            pair.asks(&request.target(&format!("/cb?command={url}&contenttype=json")));
        }
    }
    pair.asks(&Request::new().target(&format!("/cb/{ALIAS}?command={COMMAND}")));
}

#[test]
fn the_target_may_be_a_whole_url() {
    let pair = pair();
    let authority = pair.bridge.address();
    pair.asks(&Request::new().target(&format!("http://{authority}{PATH}")));
    pair.asks(&Request::new().target(&format!("http://bridge.example/cb?command={COMMAND}&contenttype=json")));
}

// The operation ID.

#[test]
fn an_operation_id_is_metadata_only_where_it_is_visible_ascii_of_at_most_256_bytes() {
    let pair = pair();
    let with = |id: &str| Request::new().header("operationID", id);
    let visible: String = ('!'..='~').collect();
    let (longest, longer) = ("i".repeat(256), "i".repeat(257));
    pair.asks_with_id(&with(&visible), &visible, Some(&visible));
    pair.asks_with_id(&with("0"), "0", Some("0"));
    pair.asks_with_id(&with(&longest), &longest, Some(&longest));
    pair.asks_with_id(&with(&longer), &longer, None);
    pair.asks_with_id(&with("two words"), "two words", None);
    pair.asks_with_id(&with("a\tb"), "a\tb", None);
    pair.asks_with_id(&with("é中😀"), "é中😀", None);
}

#[test]
fn an_operation_id_may_be_long_and_of_any_bytes() {
    let pair = pair();
    let long = "L".repeat(10_000);
    pair.asks_with_id(&Request::new().header("Operationid", &long), &long, None);
    pair.asks_with_id(&Request::new().header("Operationid", b"a\xffb\xc3"), "a\u{fffd}b\u{fffd}", None);
}

#[test]
fn the_first_of_several_operation_ids_counts() {
    let pair = pair();
    let mut request = Request::new();
    request.headers.push(("OPERATIONID".to_owned(), b"op-2".to_vec()));
    pair.asks_with_id(&request, "op-1", Some("op-1"));
}

// The body.

#[test]
fn a_remark_is_everything_that_json_can_carry() {
    let pair = pair();
    pair.reads_remark(r#""""#, "");
    pair.reads_remark(r#"" ""#, " ");
    pair.reads_remark(r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t");
    pair.reads_remark(r#""\u0000\u001f\u007f""#, "\0\u{1f}\u{7f}");
    pair.reads_remark("\"\u{7f}\u{80}\u{2028}\u{feff}\u{fffe}\"", "\u{7f}\u{80}\u{2028}\u{feff}\u{fffe}");
    pair.reads_remark(r#""\u003cb\u003E\u0026 <b>&""#, "<b>& <b>&");
    pair.reads_remark(r#""é\u00e9 中\u4E2d 😀\ud83d\ude00 \uD83D\uDE00""#, "éé 中中 😀😀 😀");
    pair.reads_remark(r#""e\u0301 👩‍👩‍👧 \u202e""#, "e\u{301} 👩‍👩‍👧 \u{202e}");
    pair.reads_remark(r#""{\"remark\":\"x\"}""#, r#"{"remark":"x"}"#);
}

#[test]
fn a_lone_surrogate_is_a_replacement_character() {
    let pair = pair();
    pair.reads_remark(r#""\ud800""#, "\u{fffd}");
    pair.reads_remark(r#""a\udc00b\uDBFFc""#, "a\u{fffd}b\u{fffd}c");
    pair.reads_remark(r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}");
    pair.reads_remark(r#""\ud83d\ud83d\ude00\ud83d\n""#, "\u{fffd}😀\u{fffd}\n");
    pair.reads_remark(r#""\ud83d\u0041\ufffd""#, "\u{fffd}A\u{fffd}");
}

#[test]
fn ids_are_everything_that_json_can_carry() {
    let pair = pair();
    let body = format!(
        r#"{{"callbackCommand":"{COMMAND}","ownerUserID":"\u0000 é/..\ud800","friendUserID":"","remark":"pal"}}"#
    );
    pair.bridge.send(&Request::new().body(body)).goes_on_with("pal");
    let call = pair.app.next_call();
    assert_eq!((call.text("ownerUserID"), call.text("friendUserID")), ("\0 é/..\u{fffd}", ""));
}

#[test]
fn a_remark_may_be_as_large_as_the_limit_on_the_body_lets_it() {
    let pair = pair();
    let empty = Request::new().remark("").body.len();
    let remark = "r".repeat(MOST - empty);
    pair.bridge.ask(&remark).goes_on_with(&remark);
    assert!(pair.app.next_call().text("remark") == remark);

    // Each of these becomes six bytes on its way back.
    let controls = "\u{1}".repeat((MOST - empty) / 6);
    pair.bridge.ask(&controls).goes_on_with(&controls);
    assert!(pair.app.next_call().text("remark") == controls);
}

#[test]
fn fields_come_in_any_order_with_any_white_space_and_with_others_among_them() {
    let pair = pair();
    let nested = format!("{}{}", "[".repeat(127), "]".repeat(127));
    for body in [
        format!(r#"{{"remark":"pal","friendUserID":"u2","ownerUserID":"u1","callbackCommand":"{COMMAND}"}}"#),
        format!(
            "\n\t {{\r\n \"ownerUserID\" :\t\"u1\" , \"remark\":\"pal\",\n\"callbackCommand\": \"{COMMAND}\"\t,\"friendUserID\":\"u2\" }} \r\n"
        ),
        format!(
            r#"{{"eventTime":1e400,"a":null,"b":[true,{{"remark":"x"}}],"":"","Remark":"x","callbackCommand":"{COMMAND}","ownerUserID":"u1","operationID":"y","friendUserID":"u2","remark":"pal","z":-0.0,"s":"\ud800"}}"#
        ),
        format!(
            r#"{{"\u0072emark":"\u0070al","friendUserID":"u2","ownerUserID":"u1","callbackCommand":"{COMMAND}","more":{nested}}}"#
        ),
    ] {
        pair.asks(&Request::new().body(body));
    }
}

#[test]
fn a_body_may_come_in_chunks() {
    let pair = pair();
    let request = Request::new();
    for size in [1, 7, 1000] {
        pair.asks_bytes(&request.chunked(size));
    }
}

// The connection.

#[test]
fn a_client_that_waits_to_be_told_to_go_on_is_told() {
    let pair = pair();
    let request = Request::new().header("Expect", "100-continue");
    let mut client = pair.bridge.connect();
    client.write(&request.head());
    assert_eq!(client.reply_head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.write(&request.body);
    client.reply().goes_on_with("pal");
}

#[test]
fn requests_sent_in_one_write_are_answered_in_order() {
    let pair = pair();
    let mut client = pair.bridge.connect();
    let requests = ["mock:delay=50ms", "second", "mock:refuse"].map(|remark| Request::new().remark(remark).bytes());
    client.write(&requests.concat());
    client.reply().goes_on_with("mock:delay=50ms");
    client.reply().goes_on_with("second");
    client.reply().refuses(200, 5000);
}

#[test]
fn many_requests_go_over_one_connection() {
    let pair = pair();
    let mut client = pair.bridge.connect();
    for number in 0..300 {
        let remark = format!("remark {number}");
        let request = Request::new().remark(&remark);
        client.write(&if number % 3 == 0 { request.chunked(20) } else { request.bytes() });
        let reply = client.reply();
        reply.goes_on_with(&remark);
        assert_eq!(reply.header("connection"), None);
        assert_eq!(pair.app.next_call().text("remark"), remark);
    }
    assert_eq!(pair.bridge.server.load().connections, 1);
}

#[test]
fn a_client_that_wants_to_close_is_answered_first() {
    let pair = pair();
    let mut client = pair.bridge.connect();
    client.write(&Request::new().header("Connection", "close").bytes());
    let reply = client.reply();
    reply.goes_on_with("pal");
    assert!(reply.announces_close());
    assert!(client.is_closed());
}

#[test]
fn a_client_of_http_1_0_is_answered() {
    let pair = pair();
    let older = |request: &Request| {
        String::from_utf8(request.bytes()).expect("UTF-8").replacen("HTTP/1.1", "HTTP/1.0", 1).into_bytes()
    };
    let mut client = pair.bridge.connect();
    client.write(&older(&Request::new().without("Host")));
    client.reply().goes_on_with("pal");
    assert!(client.is_closed());

    let mut client = pair.bridge.connect();
    for _ in 0..2 {
        client.write(&older(&Request::new().header("Connection", "keep-alive")));
        client.reply().goes_on_with("pal");
    }
}

// The decision, and what OpenIM is told.

#[track_caller]
fn says(reply: &Reply, body: &str) {
    assert_eq!((reply.status, &*reply.body), (200, body));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[test]
fn an_allowed_remark_stays_as_it_is() {
    let pair = pair();
    says(
        &pair.bridge.ask("My \"Best\" Friend"),
        r#"{"actionCode":0,"errCode":0,"errMsg":"Success","errDlt":"","nextCode":0,"remark":"My \"Best\" Friend"}"#,
    );
}

#[test]
fn a_replaced_remark_is_the_apps() {
    let pair = pair();
    pair.bridge.ask("mock:replace=New <name>").goes_on_with("New <name>");
    pair.bridge.ask("mock:replace= ").goes_on_with(" ");
}

#[test]
fn a_refusal_is_the_apps() {
    let app = app_ruled_by(
        r#"
        rules:
          - when: { owner: bad }
            then: { refuse: { code: 5001, message: "No \"spam\"", detail: "word list" } }
          - then: { refuse: { code: 9899, message: "Last" } }
        "#,
    );
    let bridge = bridge().asking(&app).start();
    says(
        &bridge.send(&Request::new().callback(COMMAND, "bad", "u2", "pal")),
        r#"{"actionCode":0,"errCode":5001,"errMsg":"No \"spam\"","errDlt":"word list","nextCode":1,"remark":"pal"}"#,
    );
    says(
        &bridge.ask("pal"),
        r#"{"actionCode":0,"errCode":9899,"errMsg":"Last","errDlt":"","nextCode":1,"remark":"pal"}"#,
    );
}

#[test]
fn a_refusal_is_completed_where_it_says_nothing() {
    let app = app_ruled_by("rules: [{ then: { refuse: { detail: why } } }]");
    let standard = bridge().asking(&app).start();
    says(
        &standard.ask("pal"),
        r#"{"actionCode":0,"errCode":5000,"errMsg":"This is not allowed","errDlt":"why","nextCode":1,"remark":"pal"}"#,
    );
    standard.ask("mock:refuse=5001,").refuses(200, 5001);
    assert_eq!(standard.ask("mock:refuse=5001,").json()["errMsg"], "This is not allowed");
    assert_eq!(standard.ask("mock:refuse=0,text").json()["errMsg"], "text");
    standard.ask("mock:refuse=0,text").refuses(200, 5000);

    let configured = bridge()
        .asking(&app)
        .with(|all| {
            all.bridge.refusal.code = 5999.try_into().expect("a code");
            "Not here".clone_into(&mut all.bridge.refusal.message);
        })
        .start();
    says(
        &configured.ask("pal"),
        r#"{"actionCode":0,"errCode":5999,"errMsg":"Not here","errDlt":"why","nextCode":1,"remark":"pal"}"#,
    );
}

#[test]
fn a_refusal_with_a_code_that_is_none_of_an_apps_stays_a_refusal() {
    let pair = pair();
    for code in [1, 42, 4999, 9900, 9925, 9999, 10_000, -1, i32::MIN, i32::MAX] {
        says(
            &pair.bridge.ask(&format!("mock:refuse={code},the App's own text")),
            &format!(
                r#"{{"actionCode":0,"errCode":9925,"errMsg":"This is not allowed","errDlt":"","nextCode":1,"remark":"mock:refuse={code},the App's own text"}}"#
            ),
        );
    }
    pair.bridge.ask("mock:invalid=code").refuses(200, 9925);
}

#[test]
fn no_decision_and_an_empty_replacement_are_left_to_the_fallback() {
    let app = app();
    let allowing = bridge().asking(&app).start();
    let refusing = bridge().asking(&app).with(|all| all.bridge.fallback.action = Action::Refuse).start();
    for remark in ["mock:invalid=unset", "mock:invalid=empty"] {
        allowing.ask(remark).goes_on_with(remark);
        says(
            &refusing.ask(remark),
            &format!(
                r#"{{"actionCode":0,"errCode":9925,"errMsg":"Please try again later","errDlt":"","nextCode":1,"remark":"{remark}"}}"#
            ),
        );
    }
    assert_eq!(app.calls(), 4, "each is asked once");
}

#[test]
fn next_code_is_a_string_where_configured() {
    let app = app();
    let bridge = bridge().asking(&app).with(|all| all.bridge.response.next_code = NextCodeForm::String).start();
    says(
        &bridge.ask("pal"),
        r#"{"actionCode":0,"errCode":0,"errMsg":"Success","errDlt":"","nextCode":"0","remark":"pal"}"#,
    );
    says(
        &bridge.ask("mock:refuse=5001,no"),
        r#"{"actionCode":0,"errCode":5001,"errMsg":"no","errDlt":"","nextCode":"1","remark":"mock:refuse=5001,no"}"#,
    );
    let bad = bridge.send(&Request::new().body("nonsense"));
    assert_eq!((bad.status, bad.json()["nextCode"].as_str()), (400, Some("1")));
}

// The deadline.

/// gRPC's notation: digits and a unit.
fn grpc_timeout(text: &str) -> Duration {
    let (digits, unit) = text.split_at(text.len() - 1);
    let number = digits.parse().expect("digits");
    match unit {
        "n" => Duration::from_nanos(number),
        "u" => Duration::from_micros(number),
        "m" => Duration::from_millis(number),
        "S" => Duration::from_secs(number),
        _ => panic!("{text} is no timeout of this test"),
    }
}

#[test]
fn the_app_is_told_what_is_left_since_the_first_byte() {
    let app = app();
    let timeout = ms(14_000);
    let bridge = bridge().asking(&app).timeout(timeout).start();
    let told = |app: &App| grpc_timeout(&app.next_call().grpc_timeout.expect("a timeout"));

    // The first byte comes, and the bridge has read it by the time that it looks at the next connection.
    let mut slow = bridge.connect();
    let request = Request::new().bytes();
    slow.write(&request[..1]);
    bridge.ask("mock:delay=200ms").goes_on_with("mock:delay=200ms");
    assert!(told(&app) <= timeout);

    slow.write(&request[1..]);
    slow.reply().goes_on_with("pal");
    let told = told(&app);
    assert!(told + ms(200) <= timeout, "{told:?}");
    assert!(told > Duration::ZERO);
}

#[test]
fn every_answer_says_who_decided() {
    let app = app();
    let bridge = bridge().asking(&app).with(|settings| settings.bridge.routes.unknown = UnknownRoute::Allow).start();
    for remark in ["pal", "mock:replace=Another", "mock:refuse=5001,No", "mock:invalid=code"] {
        assert_eq!(bridge.ask(remark).origin(), "decision", "{remark}");
    }
    assert_eq!(bridge.ask("mock:status=UNAVAILABLE").origin(), "fallback; class=unavailable");
    let unserved = Request::new().target("/cb/callbackBeforeX").callback("callbackBeforeX", "u1", "u2", "pal");
    assert_eq!(bridge.send(&unserved).origin(), "route");
    let rejected = bridge.send(&Request::new().body("{}"));
    assert_eq!(rejected.origin(), "rejected; code=9900");
    let hint = "expected a JSON object with this callback's fields, each there once and of its type";
    assert_eq!(rejected.header("openim-bridge-hint"), Some(hint));
    assert_eq!(bridge.ask("pal").header("openim-bridge-hint"), None);
}
