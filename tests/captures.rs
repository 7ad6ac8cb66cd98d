//! The requests of a real OpenIM Server, replayed byte for byte.

#![allow(clippy::expect_used)]

mod kit;

use kit::{Bridge, Reply, app, bridge};

fn replay(bridge: &Bridge, capture: &str) -> Reply {
    let path = format!("{}/tests/fixtures/captures/{capture}.http", env!("CARGO_MANIFEST_DIR"));
    let mut client = bridge.connect();
    client.write(&std::fs::read(path).expect("the capture"));
    client.reply()
}

#[test]
fn every_recorded_callback_is_asked_and_answered() {
    let app = app();
    let bridge = bridge().asking(&app).start();
    let long = "R".repeat(100_000);
    for (capture, friend, remark) in [
        ("allow", "u2", "asked-0"),
        ("empty-remark", "u2", ""),
        ("special-chars", "u2", "<b>&\"'\\/ é 中 😀 \u{2028} \t\n \0 \u{7f}"),
        ("100kB", "u2", &*long),
        ("ids-odd", "../u2?x=1&y#<é中>", "asked-71"),
        ("opid-odd", "u2", "asked-69"),
        ("opid-long", "u2", "asked-70"),
        ("url-root", "u2", "x"),
        ("url-trailing-slash", "u2", "x"),
        ("url-userinfo", "u2", "x"),
    ] {
        replay(&bridge, capture).goes_on_with(remark);
        let call = app.next_call();
        assert_eq!(
            (call.text("ownerUserID"), call.text("friendUserID"), call.text("remark")),
            ("u1", friend, remark),
            "{capture}"
        );
    }
}

#[test]
fn operation_ids_arrive_whole_and_are_metadata_only_where_visible() {
    let app = app();
    let bridge = bridge().asking(&app).start();

    replay(&bridge, "allow");
    let call = app.next_call();
    assert_eq!(call.operation_id, "drive-13c10484dea6");
    assert_eq!(call.operation_id_metadata.as_deref(), Some("drive-13c10484dea6"));

    replay(&bridge, "opid-odd");
    let call = app.next_call();
    assert_eq!(call.operation_id, "op id/?&=%20\"<>;:,é");
    assert_eq!(call.operation_id_metadata, None);

    replay(&bridge, "opid-long");
    let call = app.next_call();
    assert_eq!(call.operation_id, "L".repeat(6000));
    assert_eq!(call.operation_id_metadata, None);
}
