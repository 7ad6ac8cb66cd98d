//! Names by the machine's own `/etc/resolv.conf`, in network and mount namespaces that hold another. Needs the right to make
//! them.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{
    env,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket},
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{RData, Record, RecordType},
};
use kit::{app, bridge, eventually};

/// Says that this process runs within the namespaces.
const INSIDE: &str = "OPENIM_BRIDGE_TEST_INSIDE";
/// The file, this program and the test are its arguments.
const ENTER: &str = r#"
    ip link set lo up && mount --bind "$0" "$(readlink -f /etc/resolv.conf)" || exit 9
    exec env "$3=1" "$1" --exact "$2" --nocapture
"#;

/// Runs the test of this name once more, where `/etc/resolv.conf` is this text; and there its body.
#[track_caller]
fn with_resolv_conf(test: &str, text: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("the file");
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--net", "sh", "-c", ENTER]).arg(file.path());
    let output = unshare.arg(env::current_exe().expect("this program")).args([test, INSIDE]).output().expect("unshare");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Over which protocol a name server tells what there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tells {
    OverBoth,
    OverTcpAlone,
}

/// Knows this one name, as that of this machine. Returns what it is asked for.
fn name_server(at: impl Into<IpAddr>, known: &'static str, tells: Tells) -> Arc<Mutex<Vec<String>>> {
    let at = at.into();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let answer = {
        let asked = Arc::clone(&asked);
        move |question: &[u8]| {
            let question = Message::from_vec(question).expect("a question");
            let query = question.queries.first().expect("a query").clone();
            let name = query.name().to_string();
            asked.lock().expect("what was asked").push(name.clone());
            let mut reply = question.into_response();
            if name != known {
                reply.metadata.response_code = ResponseCode::NXDomain;
            } else if query.query_type() == RecordType::A {
                let address = RData::from(IpAddr::from(Ipv4Addr::LOCALHOST));
                reply.add_answers([Record::from_rdata(query.name().clone(), 60, address)]);
            }
            reply
        }
    };
    let (udp, tcp) = (UdpSocket::bind((at, 53)).expect("port 53"), TcpListener::bind((at, 53)).expect("port 53"));
    let over_udp = answer.clone();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, asker)) = udp.recv_from(&mut buffer) {
            let mut reply = over_udp(&buffer[..length]);
            if tells == Tells::OverTcpAlone {
                reply.answers.clear();
                reply.metadata.truncation = true;
            }
            let _gone = udp.send_to(&reply.to_vec().expect("a reply"), asker);
        }
    });
    thread::spawn(move || {
        for mut stream in tcp.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut question = vec![0; u16::from_be_bytes(length).into()];
                    stream.read_exact(&mut question).expect("a question");
                    let reply = answer(&question).to_vec().expect("a reply");
                    let length = u16::try_from(reply.len()).expect("short").to_be_bytes();
                    let _gone = stream.write_all(&[&length, &reply[..]].concat());
                }
            });
        }
    });
    asked
}

/// Whether a decision service of this name is asked.
#[track_caller]
fn is_asked(name: &str) {
    let app = app();
    let address = format!("http://{name}:{}", app.address.port()).parse().expect("an address");
    let bridge = bridge().refusing().with(|settings| settings.upstream.addresses = vec![address]).start();
    eventually("it is asked", || bridge.ask("pal").json()["nextCode"] == 0);
}

#[test]
fn a_search_for_the_root_alone() {
    // Of kubelet since 1.25, where the node has no search list.
    let text = "search .\nnameserver 127.0.0.1\noptions ndots:5\n";
    with_resolv_conf("a_search_for_the_root_alone", text, || {
        name_server(Ipv4Addr::LOCALHOST, "decisions.apps.svc.cluster.local.", Tells::OverBoth);
        is_asked("decisions.apps.svc.cluster.local");
    });
}

#[test]
fn a_name_server_of_ipv6_alone() {
    let text = "search apps.svc.cluster.local svc.cluster.local\nnameserver ::1\noptions ndots:5\n";
    with_resolv_conf("a_name_server_of_ipv6_alone", text, || {
        name_server(Ipv6Addr::LOCALHOST, "decisions.apps.svc.cluster.local.", Tells::OverBoth);
        is_asked("decisions");
    });
}

#[test]
fn a_name_with_five_dots_is_asked_for_as_it_is() {
    let text = "search apps.svc.cluster.local corp.example\nnameserver 127.0.0.1\noptions ndots:5\n";
    with_resolv_conf("a_name_with_five_dots_is_asked_for_as_it_is", text, || {
        let asked = name_server(Ipv4Addr::LOCALHOST, "pod-0.decisions.apps.svc.cluster.example.", Tells::OverBoth);
        is_asked("pod-0.decisions.apps.svc.cluster.example");
        let asked = asked.lock().expect("what was asked");
        assert!(asked.iter().all(|name| name == "pod-0.decisions.apps.svc.cluster.example."), "{asked:?}");
    });
}

#[test]
fn a_name_within_a_search_domain_is_asked_for_as_it_is() {
    let text = "search apps.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.1\noptions ndots:5\n";
    with_resolv_conf("a_name_within_a_search_domain_is_asked_for_as_it_is", text, || {
        let asked = name_server(Ipv4Addr::LOCALHOST, "decisions.apps.svc.cluster.local.", Tells::OverBoth);
        is_asked("decisions.apps.svc.cluster.local");
        let asked = asked.lock().expect("what was asked");
        assert!(asked.iter().all(|name| name == "decisions.apps.svc.cluster.local."), "{asked:?}");
    });
}

#[test]
fn an_answer_that_is_too_long_for_a_datagram_is_asked_for_over_tcp() {
    let text = "nameserver 127.0.0.1\n";
    with_resolv_conf("an_answer_that_is_too_long_for_a_datagram_is_asked_for_over_tcp", text, || {
        name_server(Ipv4Addr::LOCALHOST, "decisions.example.", Tells::OverTcpAlone);
        is_asked("decisions.example");
    });
}
