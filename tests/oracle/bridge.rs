//! What the bridge answers: OpenIM must conclude what the bridge meant, and `send` must say so.

use std::{num::NonZeroUsize, thread};

use openim_bridge::callback::{Callback, Codec};
use openim_bridge::openim::{NextCodeForm, RefusalCode, Rejection};
use openim_bridge::policy::Action;
use openim_bridge::policy::Credentials;
use openim_bridge::policy::UnknownRoute;
use openim_bridge::server::Settings;
use openim_bridge::upstream::ErrorClass;

use crate::kit::callback::{named, panics};
use crate::kit::{App, Bridge, BridgeBuilder, COMMAND, PATH, Request, app, bridge, eventually, ms, nowhere};
use crate::server::{Answer, server};
use crate::{Conclusion, Oracle, send_says};

pub(crate) const FALLBACK_MESSAGE: &str = "Please try again later";

fn url(bridge: &Bridge) -> String {
    format!("http://{}/callbackExample", bridge.address())
}

impl Oracle {
    /// OpenIM and `send` both conclude what the bridge meant.
    #[track_caller]
    fn agrees(&mut self, url: &str, remark: &str, meant: &Conclusion) {
        assert_eq!(self.concludes(url, remark, 5), *meant, "OpenIM, of {remark:?} at {url}");
        assert_eq!(send_says(url, remark, 5), *meant, "send, of {remark:?} at {url}");
    }
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn the_apps_decision_reaches_openim() {
    let (mut oracle, app) = (Oracle::start(), app());
    let bridge = bridge().asking(&app).start();
    let url = url(&bridge);
    for remark in ["pal", "", " ", "<b>&\"'\\/ é 中 😀 \u{2028} \t\n \0 \u{7f}", &"r".repeat(100_000)] {
        oracle.agrees(&url, remark, &Conclusion::stores(remark));
        if !remark.is_empty() {
            oracle.agrees(&url, &format!("mock:replace={remark}"), &Conclusion::stores(remark));
            oracle.agrees(&url, &format!("mock:refuse=5001,{remark}"), &Conclusion::refuses(5001, remark));
        }
    }
    oracle.agrees(&url, "mock:refuse=9899,x", &Conclusion::refuses(9899, "x"));
    oracle.agrees(&url, "mock:refuse=0,", &Conclusion::refuses(5000, "This is not allowed"));
}

/// A bridge whose decisions fail in this class, and the remark that makes them.
fn failing(app: &App, class: ErrorClass) -> (BridgeBuilder, &'static str) {
    let asking = || bridge().asking(app);
    match class {
        ErrorClass::Timeout => (asking().timeout(ms(100)), "mock:hang"),
        ErrorClass::Unavailable => (bridge().asking_at(nowhere()), "pal"),
        ErrorClass::Overloaded => (asking(), "mock:status=RESOURCE_EXHAUSTED"),
        ErrorClass::Denied => (asking(), "mock:status=PERMISSION_DENIED"),
        ErrorClass::Unimplemented => (asking(), "mock:status=UNIMPLEMENTED"),
        ErrorClass::InvalidReply => (asking(), "mock:invalid=empty"),
        ErrorClass::Internal => (asking(), "mock:status=INTERNAL"),
    }
}

/// A configuration of the fallback.
type Configure = fn(&mut Settings, ErrorClass);

const ALLOWS: Configure = |settings, _| settings.bridge.fallback.action = Action::Allow;
const REFUSES: Configure = |settings, _| settings.bridge.fallback.action = Action::Refuse;
const CLASS_ALLOWS: Configure = |settings, class| {
    settings.bridge.fallback.action = Action::Refuse;
    settings.bridge.fallback.class[class as usize] = Some(Action::Allow);
};
const CLASS_REFUSES: Configure = |settings, class| {
    settings.bridge.fallback.action = Action::Allow;
    settings.bridge.fallback.class[class as usize] = Some(Action::Refuse);
};
const CONFIGURED: Configure = |settings, _| {
    settings.bridge.fallback.action = Action::Refuse;
    settings.bridge.fallback.refusal.code = RefusalCode::from_app(5005);
    "Not now".clone_into(&mut settings.bridge.fallback.refusal.message);
    "no decision".clone_into(&mut settings.bridge.fallback.refusal.detail);
};

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn each_fallback_is_what_it_was_configured_to_be() {
    let (mut oracle, app) = (Oracle::start(), app());
    for class in ErrorClass::ALL {
        let own = Conclusion::refuses(i64::from(class.code() as i32), FALLBACK_MESSAGE);
        let text = Conclusion::Refuses { code: 5005, message: "Not now".to_owned(), detail: "no decision".to_owned() };
        // An rpc that is not there is refused only where its own class says so.
        let is_covered = class != ErrorClass::Unimplemented;
        for (configure, refusal) in [
            (ALLOWS, None),
            (REFUSES, is_covered.then_some(&own)),
            (CLASS_ALLOWS, None),
            (CLASS_REFUSES, Some(&own)),
            (CONFIGURED, is_covered.then_some(&text)),
        ] {
            let (bridge, remark) = failing(&app, class);
            let bridge = bridge.with(|settings| configure(settings, class)).start();
            oracle.agrees(&url(&bridge), remark, refusal.unwrap_or(&Conclusion::stores(remark)));
        }
    }
}

/// A request of each kind that is turned away, and a bridge that turns it away.
fn bad(kind: Rejection) -> (Bridge, Vec<u8>) {
    let fine = Request::new();
    let bridge = match kind {
        Rejection::Address => bridge().with(|settings| {
            settings.bridge.access.allow = vec!["192.0.2.0/24".parse().expect("a range")];
        }),
        Rejection::Credentials => bridge().with(|settings| {
            settings.bridge.access.basic_auth = Some(Credentials::parse("openim:s3cret").expect("credentials"));
        }),
        Rejection::BodyIncomplete => bridge().timeout(ms(100)),
        Rejection::CommandAmbiguous => bridge().serving(&TWO),
        _ => bridge(),
    };
    let request = match kind {
        Rejection::Address | Rejection::Credentials => fine,
        Rejection::Method => fine.method("PUT"),
        Rejection::CommandMissing => fine.target("/callbackExample"),
        Rejection::CommandSwallowed => fine.target(&format!("/callbackExample?t=x/{COMMAND}")),
        Rejection::CommandUnserved => fine.target("/callbackExample/callbackBeforeOtherCommand"),
        Rejection::CommandAmbiguous => fine.target(&format!("{PATH}?command={}", OTHER[0].command)),
        Rejection::ContentTypeParameter => fine.target(&format!("{PATH}?contenttype=xml")),
        Rejection::ContentType => fine.without("Content-Type"),
        Rejection::OperationId => fine.without("Operationid"),
        Rejection::BodyTooLarge => fine.remark(&"r".repeat(4 << 20)),
        // No more comes than the head.
        Rejection::BodyIncomplete => return (bridge.start(), fine.head_for(1000)),
        Rejection::BodyMalformed => fine.body("{}"),
        Rejection::CommandMismatch => fine.callback("another", "u1", "u2", "pal"),
    };
    (bridge.start(), request.bytes())
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn what_is_turned_away_reads_as_its_own_refusal() {
    let mut oracle = Oracle::start();
    let kinds = Rejection::ALL.map(|kind| (kind, bad(kind)));
    let relay =
        server(kinds.each_ref().map(|(kind, (bridge, request))| {
            (kind.name().to_owned(), Answer::Relays(bridge.address(), request.clone()))
        }));
    for (kind, _) in &kinds {
        oracle.agrees(&relay.url("", kind.name()), "pal", &kind.refusal().into());
    }
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn a_wrong_url_in_webhooks_yml_reads_as_its_own_refusal() {
    let (mut oracle, bridge) = (Oracle::start(), bridge().start());
    let base = url(&bridge);
    for (more, kind) in [
        ("#part", Rejection::CommandMissing),
        ("?t=x", Rejection::CommandSwallowed),
        ("?contenttype=json", Rejection::CommandSwallowed),
        (&format!("?command={COMMAND}&contenttype=json"), Rejection::ContentTypeParameter),
    ] {
        oracle.agrees(&format!("{base}{more}"), "pal", &kind.refusal().into());
    }
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn a_command_that_is_not_served_goes_on_where_allowed() {
    let mut oracle = Oracle::start();
    let bridge = bridge().serving(&OTHER).with(|settings| settings.bridge.routes.unknown = UnknownRoute::Allow).start();
    oracle.agrees(&url(&bridge), "pal", &Conclusion::stores("pal"));
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn a_string_for_next_code_is_not_for_openim() {
    let (mut oracle, app) = (Oracle::start(), app());
    let bridge =
        bridge().asking(&app).with(|settings| settings.bridge.response.next_code = NextCodeForm::String).start();
    for remark in ["pal", "mock:replace=x", "mock:refuse"] {
        oracle.agrees(&url(&bridge), remark, &Conclusion::data_error());
    }
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn what_is_shed_is_answered() {
    let (mut oracle, app) = (Oracle::start(), app());
    let one = |settings: &mut Settings| settings.bridge.limits.in_flight = NonZeroUsize::MIN;
    for (bridge, meant) in
        [(bridge(), Conclusion::stores("pal")), (bridge().refusing(), Conclusion::refuses(9922, FALLBACK_MESSAGE))]
    {
        let bridge = bridge.asking(&app).timeout(ms(14_000)).with(one).start();
        let mut hung = bridge.connect();
        hung.write(&Request::new().remark("mock:hang").bytes());
        app.next_call();
        oracle.agrees(&url(&bridge), "pal", &meant);
        hung.leave();
    }
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn a_drain_loses_nothing() {
    let (mut oracle, app) = (Oracle::start(), app());
    let mut bridge = bridge().asking(&app).start();
    let base = url(&bridge);
    // The connections that are kept are told to close by the next answer.
    oracle.agrees(&base, "pal", &Conclusion::stores("pal"));
    bridge.server.announce();
    for remark in ["pal", "mal", "mock:delay=50ms"] {
        oracle.agrees(&base, remark, &Conclusion::stores(remark));
    }
    oracle.agrees(&base, "mock:refuse=5001,no", &Conclusion::refuses(5001, "no"));

    // What is under way when the listener closes is answered.
    app.calls();
    let asking = thread::spawn(move || oracle.concludes(&base, "mock:delay=300ms", 5));
    eventually("it is asked", || app.calls() > 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    assert!(runtime.block_on(bridge.server.drain(ms(0), ms(5_000))), "not done in time");
    assert_eq!(asking.join().expect("a conclusion"), Conclusion::stores("mock:delay=300ms"));
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn a_panic_is_answered() {
    let (mut oracle, app) = (Oracle::start(), app());
    let start = || bridge().asking(&app).coded_by(PANICS);
    oracle.agrees(&url(&start().start()), "pal", &Conclusion::stores("pal"));
    oracle.agrees(&url(&start().refusing().start()), "pal", &Conclusion::refuses(9926, FALLBACK_MESSAGE));
}

/// A callback that nobody sends.
static OTHER: [Callback; 1] = [named("callbackBeforeOtherCommand")];
static TWO: [Callback; 2] = [named(COMMAND), named("callbackBeforeOtherCommand")];
/// Code with a bug.
const PANICS: Codec = Codec { read: panics, ..Codec::TABLES };
