//! What clients do wrong, or what simply happens, while others are served.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    num::NonZeroUsize,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use kit::callback::{Gate, STOPS, set, wait_until};
use kit::{Bridge, BridgeBuilder, Client, Request, app, bridge, eventually, ms};

/// Raises the limit on open files as far as this process may.
fn files() -> usize {
    usize::try_from(rlimit::increase_nofile_limit(u64::MAX).expect("a limit")).unwrap_or(usize::MAX)
}

fn connections(number: usize) -> impl Fn(BridgeBuilder) -> BridgeBuilder {
    move |bridge| bridge.with(|settings| settings.connections = NonZeroUsize::new(number))
}

/// Asks on a connection that it keeps.
#[track_caller]
fn ask_on(client: &mut Client) -> kit::Reply {
    client.write(&Request::new().bytes());
    let reply = client.reply();
    reply.goes_on_with("pal");
    reply
}

fn keep(bridge: &Bridge) -> Client {
    let mut client = bridge.connect();
    assert!(!ask_on(&mut client).announces_close());
    client
}

/// All in one test, since each takes seconds: the limits on a head are 5 s from its first byte, and 10 s from accepting
/// a connection to its first byte.
#[test]
fn heads_that_never_end_and_connections_that_say_nothing_are_closed_and_idle_ones_kept() {
    let app = app();
    let bridge = bridge().asking(&app).start();
    let started = Instant::now();
    let mut silent = bridge.connect();
    let mut idle = keep(&bridge);
    let mut half = bridge.connect();
    half.write(b"POST /callbackExample/callb");
    let mut half_of_the_second = keep(&bridge);
    half_of_the_second.write(b"POST /callbackExample/callb");
    let mut without_its_end = bridge.connect();
    without_its_end.write(b"POST /callbackExample/callback HTTP/1.1\r\nHost: x\r\n");
    let mut drip = bridge.connect().stream;
    let dripped = thread::spawn(move || {
        // Until the bridge has closed.
        while drip.write_all(b"P").is_ok() {
            thread::sleep(ms(50));
        }
    });
    bridge.ask("pal").goes_on_with("pal");

    for slow in [&mut half, &mut half_of_the_second, &mut without_its_end] {
        assert!(slow.is_closed());
        assert!(started.elapsed() >= ms(5000));
    }
    dripped.join().expect("the drip ends");
    assert!(started.elapsed() >= ms(5000));
    bridge.ask("pal").goes_on_with("pal");

    assert!(silent.is_closed());
    assert!(started.elapsed() >= ms(10_000));
    // Idle for longer than any of these limits, and never closed.
    assert!(!ask_on(&mut idle).announces_close());
    eventually("one is left", || bridge.server.load().connections == 1);
}

#[test]
#[ignore = "takes minutes: run by .ci/full"]
fn a_connection_that_was_idle_for_minutes_is_used_again() {
    let app = app();
    let bridge = bridge().asking(&app).start();
    let mut kept = keep(&bridge);
    thread::sleep(Duration::from_mins(4));
    assert!(!ask_on(&mut kept).announces_close());
}

#[test]
fn a_body_that_never_ends_is_a_bad_request_at_the_deadline() {
    let app = app();
    let bridge = bridge().asking(&app).timeout(ms(300)).start();
    let request = Request::new();
    let mut half = bridge.connect();
    half.write(&request.head());
    half.write(&request.body[..request.body.len() / 2]);
    let mut none = bridge.connect();
    none.write(&request.head());
    let mut drip = bridge.connect();
    drip.write(&request.head_for(1 << 20));
    let mut dripped = drip.stream.try_clone().expect("the socket");
    thread::spawn(move || {
        while dripped.write_all(b"{").is_ok() {
            thread::sleep(ms(10));
        }
    });
    bridge.ask("pal").goes_on_with("pal");
    for client in [&mut half, &mut none, &mut drip] {
        let reply = client.reply();
        reply.refuses(400, 9900);
        assert!(reply.announces_close());
        assert!(client.is_closed());
    }
    assert_eq!(app.calls(), 1, "what never came whole is not asked");
}

#[test]
fn a_client_that_leaves_half_way_is_forgotten() {
    let app = app();
    let bridge = bridge().asking(&app).timeout(ms(14_000)).start();
    let bytes = Request::new().bytes();
    for end in 0..bytes.len() {
        let mut client = bridge.connect();
        client.write(&bytes[..end]);
        client.leave();
    }
    bridge.ask("pal").goes_on_with("pal");
    eventually("none is left", || {
        let load = bridge.server.load();
        (load.connections, load.in_flight, load.body_bytes) == (0, 0, 0)
    });
    assert_eq!(app.calls(), 1);
}

#[test]
fn a_body_that_ends_early_is_refused_to_a_client_that_still_reads() {
    let app = app();
    let bridge = bridge().asking(&app).start();
    let bytes = Request::new().bytes();
    for end in Request::new().head().len()..bytes.len() {
        let mut client = bridge.connect();
        client.write(&bytes[..end]);
        client.stream.shutdown(Shutdown::Write).expect("open");
        client.reply().refuses(400, 9900);
        assert!(client.is_closed());
    }
    assert_eq!(app.calls(), 0);
}

#[test]
fn a_client_that_resets_its_connection_has_gone_once_its_request_is_there() {
    let app = app();
    let bridge = bridge().asking(&app).timeout(ms(14_000)).start();
    for request in [Request::new().remark("mock:hang").bytes(), Request::new().remark("mock:hang").chunked(16)] {
        // At once, and when its callback is being decided.
        for is_late in [false, true] {
            let mut client = bridge.connect();
            client.write(&request);
            if is_late {
                eventually("it is asked", || bridge.server.load().in_flight == 1);
            }
            client.leave();
            eventually("nothing is held", || bridge.server.load().in_flight == 0);
        }
    }
}

#[test]
fn one_byte_at_a_time_is_as_good_as_all_at_once() {
    let app = app();
    let bridge = bridge().asking(&app).start();
    let mut client = bridge.connect();
    for byte in Request::new().bytes() {
        client.write(&[byte]);
    }
    client.reply().goes_on_with("pal");
}

#[test]
fn thousands_of_silent_connections_do_not_keep_others_waiting() {
    // Both ends of each live in this process, which runs other tests too.
    let number = ((files() - 500) / 2).min(5000);
    let app = app();
    let bridge = connections(number + 10)(bridge().asking(&app)).start();
    let mut kept = keep(&bridge);
    let silent: Vec<_> = (0..number)
        .map(|connected| {
            if connected % 100 == 0 {
                ask_on(&mut kept);
                bridge.ask("pal").goes_on_with("pal");
            }
            TcpStream::connect(bridge.address()).expect("the bridge accepts")
        })
        .collect();
    eventually("all are accepted", || bridge.server.load().connections >= number);
    bridge.ask("pal").goes_on_with("pal");
    drop(silent);
    assert!(!ask_on(&mut kept).announces_close());
    eventually("all but one are gone", || bridge.server.load().connections == 1);
}

#[test]
fn when_full_the_oldest_silent_connection_goes_and_those_that_have_spoken_stay() {
    let app = app();
    let bridge = connections(3)(bridge().asking(&app)).start();
    let mut spoken = keep(&bridge);
    let full = || eventually("it is full", || bridge.server.load().connections == 3);
    let mut oldest = bridge.connect();
    let mut older = bridge.connect();
    full();

    // Its coming makes the oldest go, and being answered makes itself go.
    let mut new = bridge.connect();
    assert!(oldest.is_closed());
    assert!(ask_on(&mut new).announces_close());
    assert!(new.is_closed());

    eventually("there is room", || bridge.server.load().connections == 2);
    assert!(!ask_on(&mut spoken).announces_close());
    let mut young = bridge.connect();
    full();
    let mut younger = bridge.connect();
    assert!(older.is_closed());
    full();

    // A connection that has spoken stays while a silent one can go.
    assert!(!ask_on(&mut spoken).announces_close());
    ask_on(&mut young);
    ask_on(&mut younger);
}

#[test]
fn when_full_a_request_that_is_there_already_is_answered_and_its_connection_stays() {
    let app = app();
    let bridge = connections(2)(bridge().asking(&app)).coded_by(STOPS).start();
    let mut silent = bridge.connect();
    eventually("it is accepted", || bridge.server.load().connections == 1);
    // From then on it could be turned out.
    thread::sleep(ms(100));
    set(Gate::Shut);
    let mut stops = bridge.connect();
    stops.write(&Request::new().remark("stop").bytes());
    wait_until(|gate| gate == Gate::Reached);
    // The worker hears of the new connection before it hears of the request.
    let mut new = bridge.connect();
    new.write(&Request::new().bytes());
    silent.write(&Request::new().bytes());
    set(Gate::Open);
    stops.reply().goes_on_with("stop");
    for client in [&mut silent, &mut new] {
        client.reply().goes_on_with("pal");
    }
}

#[test]
fn full_of_those_that_have_spoken_a_new_one_is_still_served() {
    let app = app();
    let bridge = connections(2)(bridge().asking(&app)).timeout(ms(14_000)).start();
    let mut idle = keep(&bridge);
    let mut busy = bridge.connect();
    busy.write(&Request::new().remark("mock:hang").bytes());
    while app.next_call().text("remark") != "mock:hang" {}
    for _ in 0..10 {
        let reply = bridge.ask("pal");
        reply.goes_on_with("pal");
        assert!(reply.announces_close());
    }
    assert!(ask_on(&mut idle).announces_close());
    busy.leave();
    eventually("none is left", || bridge.server.load().connections == 0);
    assert!(!bridge.ask("pal").announces_close());
}

#[test]
fn a_burst_of_new_connections_into_a_full_bridge_is_served() {
    let app = app();
    let bridge = connections(4)(bridge().asking(&app)).start();
    let _kept: Vec<_> = (0..3).map(|_| keep(&bridge)).collect();
    let mut burst: Vec<_> = (0..100).map(|_| bridge.connect()).collect();
    for client in &mut burst {
        client.write(&Request::new().bytes());
    }
    for client in &mut burst {
        client.reply().goes_on_with("pal");
    }
}

/// A bridge in a process of its own, which may open only a few files.
struct Starved {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: SocketAddr,
}

const STARVED: &str = "TEST_STARVED_BRIDGE_ASKS";
const FILES: u64 = 64;

impl Starved {
    fn start(test: &str, upstream: SocketAddr) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", test, "--nocapture"])
            .env(STARVED, upstream.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process");
        let commands = process.stdin.take().expect("its input");
        let answers = BufReader::new(process.stdout.take().expect("its output"));
        let mut starved = Self { process, commands, answers, address: kit::nowhere() };
        starved.address = starved.answer("address").parse().expect("an address");
        starved
    }

    /// What it says to this, among the lines of the test harness.
    fn answer(&mut self, name: &str) -> String {
        let mut line = String::new();
        while self.answers.read_line(&mut line).expect("a line") > 0 {
            if let Some((_, answer)) = line.trim_end().split_once(&format!("{name}=")) {
                return answer.to_owned();
            }
            line.clear();
        }
        panic!("the bridge has ended");
    }

    fn ask(&mut self, name: &str) -> String {
        writeln!(self.commands, "{name}").expect("the bridge listens");
        self.answer(name)
    }

    /// All have asked, and nobody but these can be taken.
    fn more_clients_than_files(&self) -> Vec<Client> {
        // The kernel takes them, whether or not the bridge can.
        let mut clients: Vec<_> = (0..200).map(|_| Client::connect(self.address)).collect();
        for client in &mut clients {
            client.write(&Request::new().bytes());
        }
        // Half of its files at least are connections that have spoken, so that none may be closed for another.
        for client in &mut clients[..usize::try_from(FILES / 2).expect("a small number")] {
            client.reply().goes_on_with("pal");
        }
        clients
    }

    fn cpu_time(&mut self) -> Duration {
        ms(self.ask("cpu").parse().expect("milliseconds"))
    }
}

impl Drop for Starved {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// The other process: answers until nobody asks any more.
#[cfg(target_os = "linux")]
fn be_starved(upstream: &str) {
    // Opened while there still is a descriptor for it.
    let stat = std::fs::File::open("/proc/self/stat").expect("stat");
    rlimit::Resource::NOFILE.set(FILES, FILES).expect("fewer files");
    let upstream = upstream.parse().expect("an address");
    // So many that the system's limit is met first.
    let mut bridge = connections(10_000)(bridge().asking_at(upstream)).start();
    println!("\naddress={}", bridge.address());
    for command in std::io::stdin().lines() {
        match &*command.expect("a line") {
            "cpu" => println!("\ncpu={}", cpu_milliseconds(&stat)),
            "drain" => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
                println!("\ndrain={}", runtime.block_on(bridge.server.drain(Duration::ZERO, kit::PATIENCE)));
            }
            other => panic!("what is {other}?"),
        }
    }
}

/// User and system time of this process, from fields 14 and 15 of its `stat`, in hundredths of a second.
#[cfg(target_os = "linux")]
fn cpu_milliseconds(stat: &std::fs::File) -> u64 {
    let mut text = [0; 1024];
    let read = std::os::unix::fs::FileExt::read_at(stat, &mut text, 0).expect("stat");
    let stat = std::str::from_utf8(&text[..read]).expect("ASCII");
    let (_, fields) = stat.rsplit_once(") ").expect("the name's end");
    let hundredths: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
    hundredths * 10
}

#[test]
#[cfg(target_os = "linux")]
fn more_connections_than_file_descriptors() {
    if let Ok(upstream) = std::env::var(STARVED) {
        return be_starved(&upstream);
    }
    files();
    let app = app();
    let mut starved = Starved::start("more_connections_than_file_descriptors", app.address);
    let mut kept = Client::connect(starved.address);
    ask_on(&mut kept);
    let mut clients = starved.more_clients_than_files();

    let before = starved.cpu_time();
    let since = Instant::now();
    // Served meanwhile: each answer announces that its connection makes room, and those that wait come in one by one.
    while since.elapsed() < ms(1000) {
        if ask_on(&mut kept).announces_close() {
            kept = Client::connect(starved.address);
        }
        thread::sleep(ms(100));
    }
    let spent = starved.cpu_time().saturating_sub(before);
    assert!(spent < ms(400), "it spins: {spent:?} in {:?}", since.elapsed());

    // Those that have gone make room.
    let waiting = clients.split_off(usize::try_from(FILES).expect("a small number"));
    drop(clients);
    for mut client in waiting {
        client.reply().goes_on_with("pal");
    }
    ask_on(&mut kept);
}

#[test]
#[cfg(target_os = "linux")]
fn what_waits_to_be_accepted_without_a_file_descriptor_is_answered_in_a_drain() {
    if let Ok(upstream) = std::env::var(STARVED) {
        return be_starved(&upstream);
    }
    files();
    let app = app();
    let mut starved =
        Starved::start("what_waits_to_be_accepted_without_a_file_descriptor_is_answered_in_a_drain", app.address);
    let mut clients = starved.more_clients_than_files();
    assert_eq!(starved.ask("drain"), "true");
    for client in &mut clients[usize::try_from(FILES / 2).expect("a small number")..] {
        client.reply().goes_on_with("pal");
    }
}
