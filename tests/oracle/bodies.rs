//! Bodies of all kinds: `send` must read each as OpenIM does.

use fastrand::Rng;

use crate::server::Answer;
use crate::{hold_against_openim, response};

/// The members of an answer that refuses, and would replace the remark if it did not.
const MEMBERS: [(&str, &str); 6] = [
    ("actionCode", "0"),
    ("errCode", "5001"),
    ("errMsg", "\"no\""),
    ("errDlt", "\"why\""),
    ("nextCode", "1"),
    ("remark", "\"other\""),
];

/// What may stand where a value is expected.
const VALUES: &[&[u8]] = &[
    // Numbers, and what looks like one.
    b"0",
    b"1",
    b"-0",
    b"-1",
    b"2",
    b"99",
    b"9999",
    b"2147483647",
    b"2147483648",
    b"-2147483648",
    b"-2147483649",
    b"99999999999999999999",
    b"1.0",
    b"1.5",
    b"1e0",
    b"1E+0",
    b"10e-1",
    b"1e400",
    b"00",
    b"01",
    b"+1",
    b"-",
    b"1.",
    b".1",
    b"1e",
    b"0x1",
    b"1_0",
    b"1 0",
    b"NaN",
    b"Infinity",
    // Strings, and what looks like one.
    b"\"\"",
    b"\"0\"",
    b"\"1\"",
    b"\"text\"",
    b"\" \"",
    b"'text'",
    b"\"cut",
    b"\"a\" \"b\"",
    b"\"\\u0000\"",
    b"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    b"\"\\u00e9\\u4e2d\\ud83d\\ude00\"",
    "\"é中😀\u{2028}\u{feff}\"".as_bytes(),
    b"\"\\ud800\"",
    b"\"\\udc00\\ud800\"",
    b"\"\\ud800x\"",
    b"\"\\ud83d\\ud83d\\ude00\"",
    b"\"\\x\"",
    b"\"\\u12\"",
    b"\"\\u12g4\"",
    b"\"\\U0041\"",
    b"\"\\'\"",
    b"\"a\nb\"",
    b"\"a\tb\"",
    b"\"a\0b\"",
    b"\"\x7f\"",
    b"\"\xff\"",
    b"\"\xc0\x80\"",
    b"\"\xed\xa0\x80\"",
    b"\"\xf0\x9f\x98\"",
    b"\"\xf4\x90\x80\x80\"",
    b"\"\xe4\xb8\"",
    b"\"\\ud800\xff\"",
    b"\xff",
    // Others.
    b"null",
    b"true",
    b"false",
    b"nul",
    b"NULL",
    b"True",
    b"undefined",
    b"",
    b",",
    b"[]",
    b"[1]",
    b"[null]",
    b"[\"x\"]",
    b"[1,]",
    b"[",
    b"{}",
    b"{\"a\":null}",
    b"{\"remark\":\"x\"}",
    b"{\"a\"}",
    b"/**/0",
];

/// Whole bodies.
const BODIES: &[&[u8]] = &[
    b"",
    b" ",
    b"\n",
    b"\0",
    b"{",
    b"}",
    b"{}",
    b"null",
    b"nulls",
    b"true",
    b"0",
    b"\"\"",
    b"[]",
    b"[{}]",
    b"{}}",
    b"OK",
    b"<html></html>",
    b"{\"nextCode\":1}{",
    b" \t\r\n{\"nextCode\":1}\n\t\r ",
    b"\x0b{}",
    b"\x0c{}",
    b"\xc2\xa0{}",
    b"\xef\xbb\xbf{}",
    b"{}\xef\xbb\xbf",
    b"\xff\xfe{\0}\0",
    b"\0{\0}",
    b"{}x",
    b"{} {}",
    b"{},",
    b"{};",
    b"{}\0",
    b"{}\xff",
    b"null null",
    b"/* */{}",
    b"{}//",
    b"{,}",
    b"{\"remark\":\"x\",}",
    b"{remark:\"x\"}",
    b"{'remark':'x'}",
    b"{\"remark\" : \"x\"}",
    b"{\"remark\"\n:\r\t\"x\" , \"nextCode\" :0 }",
    b"{\"remark\"::\"x\"}",
    b"{\"remark\":\"x\" \"nextCode\":0}",
    b"{\"remark\"=\"x\"}",
    b"{1:2}",
    b"{null:1}",
    b"{\"\":1,\"remark\":\"x\"}",
    // Keys.
    b"{\"REMARK\":\"x\",\"NextCode\":0}",
    b"{\"nextcode\":1,\"ERRCODE\":5001,\"errmsg\":\"no\"}",
    b"{\"remark \":\"x\"}",
    b"{\"re mark\":\"x\"}",
    b"{\"next_code\":1}",
    b"{\"remark\\u0000\":\"x\"}",
    b"{\"\\u0072emark\":\"x\"}",
    b"{\"rema\\u0052\\u212a\":\"x\"}",
    "{\"remar\u{212a}\":\"x\"}".as_bytes(),
    "{\"errM\u{17f}g\":\"no\",\"nextCode\":1,\"errCode\":5001}".as_bytes(),
    "{\"act\u{131}onCode\":1}".as_bytes(),
    "{\"remårk\":\"x\"}".as_bytes(),
    b"{\"remark\xff\":\"x\"}",
    b"{\"\\ud800\":1,\"remark\":\"x\"}",
    // Keys that come twice.
    b"{\"remark\":\"x\",\"remark\":\"y\"}",
    b"{\"remark\":\"x\",\"Remark\":\"y\"}",
    b"{\"Remark\":\"x\",\"remark\":\"y\"}",
    b"{\"remark\":\"x\",\"remark\":null}",
    b"{\"remark\":null,\"remark\":\"x\"}",
    b"{\"remark\":1,\"remark\":\"x\"}",
    b"{\"nextCode\":1,\"nextCode\":0}",
    b"{\"nextCode\":\"1\",\"nextCode\":1,\"errCode\":5001}",
    b"{\"nextCode\":1,\"errCode\":5001,\"errCode\":5002,\"ERRCODE\":5003}",
    // Unknown members, nested members.
    b"{\"a\":1e999,\"remark\":\"x\"}",
    b"{\"a\":[[[null]]],\"b\":{\"remark\":\"y\"},\"remark\":\"x\"}",
    b"{\"CommonCallbackResp\":{\"nextCode\":1}}",
    b"{\"data\":{\"nextCode\":1}}",
    b"{\"a\":nope,\"remark\":\"x\"}",
    b"{\"a\":\"\\x\",\"remark\":\"x\"}",
    b"{\"refused\":true,\"remark\":\"x\"}",
    // What OpenIM does with odd codes.
    b"{\"nextCode\":1}",
    b"{\"nextCode\":2}",
    b"{\"nextCode\":-1}",
    b"{\"actionCode\":1,\"nextCode\":1,\"errCode\":5001}",
    b"{\"actionCode\":-1,\"nextCode\":1,\"remark\":\"x\"}",
    b"{\"nextCode\":1,\"errCode\":90007,\"errMsg\":\"DataError\"}",
    b"{\"nextCode\":1,\"errCode\":90004,\"errMsg\":\"NetworkError\"}",
    b"{\"nextCode\":1,\"errCode\":-7}",
];

/// An answer whose member `name` has this value.
fn with(name: &str, value: &[u8]) -> Vec<u8> {
    let members = MEMBERS.map(|(key, usual)| {
        let value = if key == name { value } else { usual.as_bytes() };
        [format!("\"{key}\":").as_bytes(), value].concat()
    });
    [b"{".to_vec(), members.join(&b','), b"}".to_vec()].concat()
}

fn without(name: &str) -> Vec<u8> {
    let members = MEMBERS.into_iter().filter(|(key, _)| *key != name).map(|(key, value)| format!("\"{key}\":{value}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(",")).into_bytes()
}

/// `levels` arrays and objects around nothing.
fn nested(levels: usize) -> Vec<u8> {
    format!("{{\"a\":{}{},\"remark\":\"x\"}}", "[".repeat(levels - 1), "]".repeat(levels - 1)).into_bytes()
}

/// A body with one to three changes: pieces of JSON put in or in the place of a byte, pieces cut out or doubled, ends
/// cut off.
fn mutated(random: &mut Rng) -> Vec<u8> {
    let (name, value) =
        (random.choice(MEMBERS).map_or("", |(name, _)| name), random.choice(VALUES).copied().unwrap_or_default());
    let mut body = if random.bool() { with("", b"") } else { with(name, value) };
    for _ in 0..random.usize(1..=3) {
        let from = random.usize(0..=body.len());
        let to = (from + random.usize(0..=12)).min(body.len());
        let piece = body[from..to].to_vec();
        let value = random.choice(VALUES).copied().unwrap_or_default();
        match random.u8(0..6) {
            0 => drop(body.splice(from..to, [])),
            1 => drop(body.splice(to..to, piece)),
            2 => body.truncate(from),
            3 => drop(body.splice(from..(from + 1).min(to), value.iter().copied())),
            4 => body.iter_mut().skip(from).take(to - from).for_each(u8::make_ascii_uppercase),
            _ => drop(body.splice(from..from, [*random.choice(b"\"\\{}[]:,0e-. \n\0\xff\xc3").unwrap_or(&b' ')])),
        }
    }
    body
}

#[track_caller]
fn hold_bodies_against_openim(bodies: impl IntoIterator<Item = Vec<u8>>) {
    let bodies: Vec<_> = bodies.into_iter().collect();
    let answers = bodies.iter().map(|body| Answer::Bytes(response("200 OK", "", body)));
    let named = answers.enumerate().map(|(number, answer)| (number.to_string(), answer)).collect();
    let shown = |name: &str| String::from_utf8_lossy(&bodies[name.parse::<usize>().expect("a number")]).into_owned();
    hold_against_openim(named, "", &[], shown);
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn each_value_of_each_member_reads_as_openim_reads_it() {
    hold_bodies_against_openim(MEMBERS.iter().flat_map(|(name, _)| VALUES.iter().map(|value| with(name, value))));
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn whole_bodies_read_as_openim_reads_them() {
    let more = MEMBERS.iter().map(|(name, _)| without(name)).chain([9_999, 10_000, 10_001].map(nested));
    let large = with("remark", format!("\"{}\"", "r".repeat(3 << 20)).as_bytes());
    hold_bodies_against_openim(BODIES.iter().map(|body| body.to_vec()).chain(more).chain([large]));
}

#[test]
#[ignore = "needs Go: .ci/full oracle"]
fn mutated_bodies_read_as_openim_reads_them() {
    let mut random = Rng::with_seed(0);
    hold_bodies_against_openim((0..1_000).map(|_| mutated(&mut random)));
}
