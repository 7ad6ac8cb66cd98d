//! Certificates that are not right, on either side: what is logged, what OpenIM is told, and what `config check` says.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{
    io::Read as _,
    net::TcpStream,
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime},
};

use kit::{
    BridgeBuilder, Request, app, bridge, eventually, log, ms,
    tls::{Authority, Files, Pair, Service, changing, shows, shows_over},
};
use openim_bridge::base::file_watch::Reloads;
use openim_bridge::server::TlsSettings;
use rcgen::{CertificateParams, date_time_ymd};
use rustls::{ClientConfig, ClientConnection, StreamOwned, crypto::ring, pki_types::ServerName};

const DAY: Duration = Duration::from_hours(24);

fn expired(params: &mut CertificateParams) {
    params.not_after = date_time_ymd(2001, 2, 3);
}

fn not_yet(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2345, 6, 7);
    params.not_after = date_time_ymd(2346, 6, 7);
}

/// A callback that this bridge cannot have decided, until the log says why: class, and an error with one of these texts.
#[track_caller]
fn is_unavailable(operation_id: &str, bridge: BridgeBuilder, expected: &[&str]) {
    log::keep();
    let bridge = bridge.start();
    // Again, since no more than ten such lines a second are logged.
    eventually(&format!("{expected:?} is logged"), || {
        bridge.send(&Request::new().header("operationID", operation_id)).refuses(200, 9921);
        let lines = log::of(operation_id);
        assert!(lines.iter().all(|line| line["reason"] == "unavailable"), "{lines:?}");
        let says = |line: &serde_json::Value, text: &str| line["error"].as_str().expect("an error").contains(text);
        lines.iter().any(|line| expected.iter().any(|text| says(line, text)))
    });
}

#[test]
fn a_service_s_certificate_that_is_not_right() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = Files::new(&authority);
    let right = "127.0.0.1";
    for (kind, pair, expected) in [
        (
            "expired",
            authority.signs_with(right, expired),
            "its certificate has expired on 2001-02-03T00:00:00Z: renew it",
        ),
        (
            "not yet",
            authority.signs_with(right, not_yet),
            "its certificate is not valid before 2345-06-07T00:00:00Z: check",
        ),
        ("name", authority.signs("decisions"), "certificate not valid for name \"127.0.0.1\""),
        ("authority", other.signs(right), "its certificate is signed by a CA that is not trusted: add"),
    ] {
        let (service, address) = Service::secured(&changing(shows(&pair, None, "h2")));
        is_unavailable(kind, files.asking(address), &[&format!("no TLS connection to {address}: {expected}")]);
        assert!(service.asked.try_recv().is_err(), "it was asked");
    }
    is_unavailable(
        "plain",
        files.asking(app().address),
        &["it does not speak TLS: its address must begin with http://"],
    );
}

#[test]
fn a_certificate_of_the_bridge_that_the_service_does_not_accept() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let files = Files::new(&authority);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        // TLS 1.3 says it when the handshake is over.
        let config = shows_over(&[version], &authority.signs("127.0.0.1"), Some(&clients), "h2");
        let (_service, address) = Service::secured(&changing(config));
        let name = |kind: &str| format!("{kind} {:?}", version.version);
        let at_once = format!("{address} closes TLS connections at once: does it ask for a certificate, or not accept");
        let asks = "it asks for a certificate: set `upstream.tls.cert`";
        is_unavailable(&name("none"), files.asking(address), &[asks, &at_once]);
        for (kind, pair, alert) in [
            ("of another", authority.signs("bridge"), "UnknownCA"),
            ("expired", clients.signs_with("bridge", expired), "CertificateExpired"),
        ] {
            files.put_pair(&pair);
            let expected = format!("it does not accept the certificate of the bridge ({alert})");
            is_unavailable(&name(kind), files.asking_with_pair(address), &[&expected, &at_once]);
        }
    }
}

/// Shakes hands with the bridge as a client that trusts this authority, and looks for this name.
fn shakes_hands(address: std::net::SocketAddr, authority: &Authority, name: &str) -> bool {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("versions")
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let stream = TcpStream::connect(address).expect("the bridge accepts");
    stream.set_read_timeout(Some(ms(200))).expect("a timeout");
    let mut stream = StreamOwned::new(connection, stream);
    // Nothing is answered before a request: what comes is an error, of the handshake or of the time.
    let _error = stream.read(&mut [0]);
    !stream.conn.is_handshaking()
}

fn https(files: &Files) -> BridgeBuilder {
    let tls = TlsSettings { cert: files.path("cert.pem"), key: files.path("key.pem"), look_every: ms(5) };
    bridge().with(|settings| settings.tls = Some(tls))
}

#[test]
fn a_certificate_at_the_listener_that_the_client_does_not_accept() {
    log::keep();
    let (authority, other) = (Authority::new(), Authority::new());
    let files = Files::new(&authority);
    let logged = || -> Vec<String> {
        let lines = log::lines_with("a TLS handshake failed");
        lines.iter().map(|line| line["error"].to_string()).collect()
    };
    let right = "127.0.0.1";
    for (number, (pair, alert)) in (1..).zip([
        (authority.signs_with(right, expired), "CertificateExpired"),
        (authority.signs_with(right, not_yet), "CertificateExpired"),
        (authority.signs("bridge"), "BadCertificate"),
        (other.signs(right), "UnknownCA"),
    ]) {
        files.put_pair(&pair);
        let bridge = https(&files).start();
        assert!(!shakes_hands(bridge.address(), &authority, right));
        eventually("it is logged", || logged().len() == number);
        let error = logged().pop().expect("a line");
        assert!(
            error.contains(&format!("the client does not accept the certificate in `tls.cert` ({alert})")),
            "{error}"
        );
    }
    files.put_pair(&authority.signs(right));
    let bridge = https(&files).start();
    assert!(shakes_hands(bridge.address(), &authority, right));
    bridge.connect().write(&Request::new().bytes());
    eventually("plain HTTP is logged", || logged().len() == 5);
    assert!(
        logged()[4].contains("the client does not speak TLS: with `tls.cert`, OpenIM's `url` must"),
        "{:?}",
        logged()
    );
}

/// A certificate on P-521, and one that it has signed. Nothing in the tests' own cryptography makes either.
fn on_p521() -> [Pair; 2] {
    let of = |cert: &str, key: &str| Pair { cert: cert.to_owned(), key: key.to_owned() };
    [
        of(include_str!("fixtures/tls/p521.pem"), include_str!("fixtures/tls/p521.key")),
        of(include_str!("fixtures/tls/by_p521.pem"), include_str!("fixtures/tls/by_p521.key")),
    ]
}

#[test]
fn what_is_not_supported_is_named_and_one_authority_of_two_is_enough() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = Files::new(&authority);
    let [p521, by_p521] = on_p521();
    files.put("p521.pem", &p521.cert);
    files.put("p521.key", &p521.key);
    let says = |key: &str| {
        format!(
            "`{key}` (p521.pem) holds a certificate whose key is of a kind that is not supported, curve P-521: use RSA of \
             2048 bits or more, ECDSA on P-256 or P-384, or Ed25519, with SHA-256 or SHA-384\n"
        )
    };
    for (flags, key) in [
        (&[("tls-cert", "p521.pem"), ("tls-key", "p521.key"), ("upstream-tls-ca", "ca.pem")][..], "tls.cert"),
        (&[("upstream-tls-ca", "p521.pem")], "upstream.tls.ca"),
    ] {
        assert_eq!(config_check(&files, flags), (Some(2), String::new(), says(key)));
    }

    let right = other.signs("127.0.0.1");
    for second in [&p521.cert, &authority.cert] {
        files.put("ca.pem", &[second.as_str(), &other.cert].concat());
        let (_service, address) = Service::secured(&changing(shows(&right, None, "h2")));
        files.asking(address).start().ask("pal").goes_on_with("pal");
    }

    files.put("ca.pem", &[p521.cert.as_str(), &other.cert].concat());
    let (_service, address) = Service::secured(&changing(shows(&by_p521, None, "h2")));
    let expected = "its certificate is signed by ECDSA with SHA-512, which is not supported: use RSA";
    is_unavailable("signed on P-521", files.asking(address), &[expected]);
}

#[test]
fn a_new_certificate_that_has_expired_leaves_the_old_in_place() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    files.put_pair(&authority.signs("127.0.0.1"));
    let (_service, address) = Service::secured(&changing(shows(&authority.signs("127.0.0.1"), Some(&authority), "h2")));
    let bridge = files.asking_with_pair(address).start();
    let listener = https(&files).start();
    files.put_pair(&authority.signs_with("127.0.0.1", expired));
    let refused = Some(Reloads { taken: 0, refused: 1, last_refused: true });
    eventually("both sides refuse it", || {
        bridge.server.upstream_reloads() == refused && listener.server.reloads() == refused
    });
    bridge.ask("pal").goes_on_with("pal");
    assert!(shakes_hands(listener.address(), &authority, "127.0.0.1"));
}

/// Exit code, standard output and standard error of `config check`, with the folder of the files taken out.
fn config_check(files: &Files, flags: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let flags = flags.iter().map(|(flag, file)| format!("--{flag}={}", files.path(file).display()));
    let output = Command::new(env!("CARGO_BIN_EXE_openim-bridge"))
        .args(["config", "check", "--upstream=https://decisions:50051"])
        .args(flags)
        .env_clear()
        .output()
        .expect("the program");
    let folder = format!("{}/", files.path("").display()).replace("//", "/");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8").replace(&folder, "");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn config_check_reads_the_files() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let put = |name: &str, pair: &Pair| {
        files.put(&format!("{name}.pem"), &pair.cert);
        files.put(&format!("{name}.key"), &pair.key);
    };
    put("right", &authority.signs("bridge"));
    put("other", &authority.signs("bridge"));
    put("old", &authority.signs_with("bridge", expired));
    put("future", &authority.signs_with("bridge", not_yet));
    put("soon", &authority.signs_with("bridge", |params| params.not_after = (SystemTime::now() + 3 * DAY).into()));
    put("later", &authority.signs_with("bridge", |params| params.not_after = (SystemTime::now() + 15 * DAY).into()));
    files.put("empty.pem", "");
    files.put("users", "openim");

    for (prefix, side) in [("", ""), ("upstream-", "upstream.")] {
        let check = |cert: &str, key: &str| {
            let (cert_flag, key_flag) = (format!("{prefix}tls-cert"), format!("{prefix}tls-key"));
            config_check(&files, &[(&cert_flag, cert), (&key_flag, key), ("upstream-tls-ca", "ca.pem")])
        };
        let is =
            |code: i32, out: &str, log: &str| (Some(code), out.to_owned(), log.replace("tls.", &format!("{side}tls.")));
        let ok = "no configuration file: ok\n";
        assert_eq!(check("right.pem", "right.key"), is(0, ok, ""));
        assert_eq!(check("later.pem", "later.key"), is(0, ok, ""));
        for (cert, key, expected) in [
            (
                "gone.pem",
                "right.key",
                "`tls.cert` (gone.pem) cannot be read: name a file that is there, and that this process may read: \
                 No such file or directory (os error 2)\n",
            ),
            (
                "right.pem",
                "other.key",
                "`tls.cert` (right.pem) and `tls.key` (other.key) are no pair: name the key that the certificate was \
                 issued for: keys may not be consistent: KeyMismatch\n",
            ),
            ("old.pem", "old.key", "`tls.cert` (old.pem) has expired on 2001-02-03T00:00:00Z: renew it\n"),
        ] {
            assert_eq!(check(cert, key), is(2, "", expected));
        }
        for (cert, key, expected) in [
            ("empty.pem", "right.key", "`tls.cert` (empty.pem) holds no certificate in PEM: it must have one between"),
            ("right.pem", "empty.pem", "`tls.key` (empty.pem) holds no unencrypted private key in PEM: it must have"),
        ] {
            let (code, _, log) = check(cert, key);
            assert!(code == Some(2) && log.starts_with(&is(2, "", expected).2), "{log}");
        }
        for (name, expected) in [
            (
                "future",
                "warning: `tls.cert` (future.pem) is not valid before 2345-06-07T00:00:00Z: check this machine's",
            ),
            ("soon", "warning: `tls.cert` (soon.pem) expires on "),
        ] {
            let (code, out, log) = check(&format!("{name}.pem"), &format!("{name}.key"));
            assert!(code == Some(0) && out == ok && log.starts_with(&is(0, "", expected).2), "{log}");
        }
    }
    for (ca, expected) in [
        ("empty.pem", "`upstream.tls.ca` (empty.pem) holds no certificate in PEM: "),
        ("gone.pem", "`upstream.tls.ca` (gone.pem) cannot be read: name a file"),
        ("old.pem", "`upstream.tls.ca` (old.pem) has expired on 2001-02-03T00:00:00Z: renew it"),
    ] {
        let (code, _, log) = config_check(&files, &[("upstream-tls-ca", ca)]);
        assert!(code == Some(2) && log.starts_with(expected), "{log}");
    }
    for (users, expected) in
        [("gone", "`access.basic_auth_file` (gone, --access"), ("users", "users:1: expected `user:")]
    {
        let (code, _, log) = config_check(&files, &[("access-basic-auth-file", users), ("upstream-tls-ca", "ca.pem")]);
        assert!(code == Some(2) && log.starts_with(expected), "{log}");
    }
}
