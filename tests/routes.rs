//! What the configuration says of one callback: its route, its time, its fallback, its share.

#![allow(clippy::expect_used)]

mod kit;

use kit::rpc::{HANGS, UNIMPLEMENTED, any_service};
use kit::{
    Bridge, BridgeBuilder, Client, Reply, Request, bridge, ms, nowhere,
    process::{self, Serve},
};
use openim_bridge::callback::CALLBACKS;
use openim_bridge::policy::{Action, FallbackActions, OwnPolicy, Percent, Route};

/// With this said of the one callback.
fn own(builder: BridgeBuilder, name: &str, own: OwnPolicy) -> BridgeBuilder {
    builder.with(|all| {
        let index = CALLBACKS.iter().position(|callback| callback.name == name).expect("the callback");
        let mut all_own = std::mem::take(&mut all.bridge.routes.own).into_vec();
        all_own.resize(CALLBACKS.len(), OwnPolicy::default());
        all_own[index] = own;
        all.bridge.routes.own = all_own.into();
    })
}

fn add_friend(from: &str) -> Request {
    let command = "callbackBeforeAddFriendCommand";
    let body = format!(r#"{{"callbackCommand":"{command}","fromUserID":"{from}","toUserID":"u2"}}"#);
    Request::new().target(&format!("/cb/{command}")).body(body)
}

fn online_push() -> Request {
    let command = "callbackBeforeOnlinePushCommand";
    Request::new()
        .target(&format!("/cb/{command}"))
        .body(format!(r#"{{"callbackCommand":"{command}","userIDList":["u1"]}}"#))
}

fn add_friend_of(bridge: &Bridge) -> Reply {
    bridge.send(&add_friend("u1"))
}

#[test]
fn a_route_decides_without_asking_anybody() {
    let service = any_service(|_| Ok(vec![0x0a, 0x00]));
    let asking = || bridge().asking_at(service.address);
    let route = |route| OwnPolicy { route: Some(route), ..OwnPolicy::default() };
    let refuses = own(asking(), "beforeAddFriend", route(Route::Refuse)).start();
    let reply = add_friend_of(&refuses);
    reply.refuses(200, 9910);
    assert_eq!((reply.origin(), &reply.json()["errMsg"]), ("route", &"This is not allowed".into()));
    let allows = own(asking(), "beforeAddFriend", route(Route::Allow)).start();
    let reply = add_friend_of(&allows);
    reply.goes_on();
    assert_eq!(reply.origin(), "route");
    assert!(service.all().is_empty());
    // All others go to the service.
    assert_eq!(refuses.ask("pal").origin(), "decision");
    // What is not the callback's JSON is rejected all the same.
    refuses.send(&add_friend("u1").body("{")).refuses(400, 9900);
}

#[test]
fn a_callback_has_its_own_time() {
    let hangs = any_service(|_| Err(HANGS));
    let of_its_own = OwnPolicy { timeout: Some(ms(100)), ..OwnPolicy::default() };
    // The time of all others is longer than the test waits.
    let bridge = own(bridge().asking_at(hangs.address).timeout(ms(14_000)), "beforeAddFriend", of_its_own).start();
    assert_eq!(add_friend_of(&bridge).origin(), "fallback; class=timeout");
    // A body that does not come in whole has the same time.
    let mut client = bridge.connect();
    client.write(&add_friend("u1").head_for(1000));
    client.reply().refuses(400, 9900);
}

#[test]
fn a_callback_has_its_own_fallback() {
    let lacks = any_service(|_| Err(UNIMPLEMENTED));
    let refuse = FallbackActions { action: Some(Action::Refuse), ..FallbackActions::default() };
    let but_unavailable = {
        let mut actions = refuse;
        actions.class[openim_bridge::upstream::ErrorClass::Unavailable as usize] = Some(Action::Allow);
        actions
    };
    let with = |fallback| OwnPolicy { fallback, ..OwnPolicy::default() };
    // Also of what the service lacks, and of what must not be refused without being asked to.
    let refuses = own(bridge().asking_at(lacks.address), "beforeAddFriend", with(refuse));
    let refuses = own(refuses, "beforeOnlinePush", with(refuse)).start();
    add_friend_of(&refuses).refuses(200, 9924);
    refuses.send(&online_push()).refuses(200, 9924);
    assert_eq!(refuses.ask("pal").origin(), "fallback; class=unimplemented");
    let bridge = own(bridge().asking_at(nowhere()).refusing(), "beforeAddFriend", with(but_unavailable)).start();
    add_friend_of(&bridge).goes_on();
    bridge.ask("pal").refuses(200, 9921);
    bridge.send(&online_push()).goes_on();
}

#[test]
fn a_callback_has_its_own_share() {
    let refuses = any_service(|_| Ok(vec![0x12, 0x00]));
    let shadow = OwnPolicy { enforce_percent: Some(Percent::NONE), ..OwnPolicy::default() };
    let bridge = own(bridge().asking_at(refuses.address), "beforeAddFriend", shadow).start();
    assert_eq!(add_friend_of(&bridge).origin(), "shadow");
    assert_eq!(bridge.ask("pal").origin(), "decision");
}

#[test]
fn what_is_said_of_one_callback_is_followed_at_run_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bridge.yaml");
    std::fs::write(&file, "callbacks: {beforeAddFriend: {route: refuse}}\n").expect("the file");
    let path = file.to_str().expect("UTF-8");
    // Nobody listens on port 1.
    let flags = ["--admin-listen", "off", "--upstream", "http://127.0.0.1:1", "--config", path];
    let mut serve: Serve = process::serve(&flags).started();
    let mut kept = Client::connect(serve.address);
    let mut ask = || {
        kept.write(&add_friend("u1").bytes());
        kept.reply()
    };
    ask().refuses(200, 9910);
    for (said, code) in [("fallback: refuse", 9921), ("route: allow", 0)] {
        std::fs::write(&file, format!("callbacks: {{beforeAddFriend: {{{said}}}}}\n")).expect("the file");
        serve.signal("HUP");
        serve.says("the configuration was reloaded; changed: callbacks.beforeAddFriend.");
        assert_eq!(ask().json()["errCode"], code, "{said}");
    }
}

#[test]
fn the_start_says_what_happens_to_each_callback_that_is_not_as_all_are() {
    let own = [
        "beforeAddFriend.enforce_percent=10",
        "beforeAddFriend.rest=forward",
        "beforeAddFriend.timeout=800ms",
        "beforeAddFriend.fallback=refuse",
        "beforeSendSingleMsg.enforce_percent=0",
        "beforeSendGroupMsg.enforce_percent=0",
        "beforeSetFriendRemark.enforce_percent=0",
        "beforeSetFriendRemark.rest=forward",
        "beforeImportFriends.route=refuse",
        "beforeAddBlack.route=allow",
        "afterAddFriend.route=forward",
        "afterUserOnline.route=allow",
    ];
    let url = ["--forward-url", "http://open:secret@old:8080/cb?token=secret", "--callbacks-unknown-route", "forward"];
    let flags = own.iter().flat_map(|own| ["--callback", own]).chain(url);
    let flags: Vec<&str> = ["--admin-listen", "off", "--drain-delay", "0s"].into_iter().chain(flags).collect();
    let mut serve = process::serve_with(&[], &flags).started();
    serve.signal("TERM");
    assert_eq!(serve.exit_code(), Some(0));
    let log = serve.rest();
    let said = log.iter().filter_map(|line| Some(line.split_once(" INFO ")?.1.trim()));
    // Nobody listens there.
    let said = said.filter(|line| !line.contains("endpoint"));
    let said: Vec<&str> = said.take_while(|line| !line.contains("draining")).collect();
    insta::assert_snapshot!(said.join("\n"), @"
    beforeSetFriendRemark: forwarded to http://...@old:8080/cb?token=..., and compared with your service; within 4s; fallback: allow
    beforeAddFriend: your service decides for 10 %, http://...@old:8080/cb?token=... for the others; within 800ms; fallback: refuse
    afterAddFriend: forwarded to http://...@old:8080/cb?token=... in the background
    beforeImportFriends: refused by the configuration with code 9910; no service is called
    beforeAddBlack: allowed by the configuration; no service is called
    afterUserOnline: acknowledged by the configuration; not delivered
    beforeSendSingleMsg, beforeSendGroupMsg: allowed; your service is called, without effect; within 4s; fallback: allow
    callbacks unknown to this bridge: forwarded to http://...@old:8080/cb?token=...
    ");
}
