//! Every kind of address that a decision service can have.

#![allow(clippy::expect_used)]

mod kit;

use std::{fs, net::SocketAddr};

use kit::{
    app, eventually,
    tls::{Authority, Files, Service, asking, changing, shows},
};
use openim_bridge::callback::Callbacks;
use openim_bridge::server::Server;
use openim_bridge::server::Settings;
use openim_bridge::upstream::UpstreamAddress;
use rustls::pki_types::ServerName;

/// The code of a fallback that refuses, for the class `unavailable`.
const UNAVAILABLE: i32 = 9921;

#[test]
fn a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.sock");
    let service = Service::on_socket(&path);
    let bridge = asking(&[&format!("unix://{}", path.display())]).start();
    let mut client = bridge.connect();
    for _ in 0..3 {
        client.write(&kit::Request::new().bytes());
        client.reply().goes_on_with("pal");
    }
    let asked = service.next_call();
    assert_eq!(asked.scheme_str(), Some("http"));
    assert_eq!(asked.authority().map(http::uri::Authority::as_str), Some("localhost"));
}

#[test]
fn a_unix_socket_that_goes_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.sock");
    let bridge = asking(&[&format!("unix://{}", path.display())]).start();
    bridge.ask("pal").refuses(200, UNAVAILABLE);
    for _ in 0..2 {
        let service = Service::on_socket(&path);
        eventually("it is asked", || bridge.ask("pal").json()["nextCode"] == 0);
        drop(service);
        fs::remove_file(&path).expect("the socket's file");
        bridge.ask("pal").refuses(200, UNAVAILABLE);
    }
}

#[test]
fn a_unix_socket_beside_a_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.sock");
    let service = Service::on_socket(&path);
    let app = app();
    let by_name = format!("http://localhost:{}", app.address.port());
    let bridge = asking(&[&format!("unix://{}", path.display()), &by_name]).start();
    let mut asked = 0;
    eventually("both are asked", || {
        bridge.ask("pal").goes_on_with("pal");
        asked += service.asked.try_iter().filter(|uri| !uri.path().starts_with("/grpc.health")).count();
        asked > 0 && app.calls() > 0
    });
}

#[test]
fn forms_of_addresses() {
    let long = format!("unix:///{}", "x".repeat(200));
    for (text, shown) in [
        ("http://decisions", "http://decisions:80"),
        ("http://decisions:50051/", "http://decisions:50051"),
        ("http://[::1]:50051", "http://[::1]:50051"),
        ("https://decisions", "https://decisions:443"),
        ("https://[::1]:50051", "https://[::1]:50051"),
        ("unix:///run/decisions.sock", "unix:///run/decisions.sock"),
        ("unix:///run/a b?c%20.sock", "unix:///run/a b?c%20.sock"),
    ] {
        assert_eq!(text.parse::<UpstreamAddress>().expect(text).to_string(), shown);
    }
    for text in [
        "",
        "decisions:50051",
        "ftp://decisions",
        "http://",
        "http://:50051",
        "http://decisions:",
        "http://decisions:0",
        "http://decisions:65536",
        "http://decisions:+80",
        "http://[decisions]:80",
        "http://user@decisions",
        "http://user:80@decisions",
        "http://decisions/path",
        "http://decisions?query",
        "https://decisions:0",
        "https://-:443",
        "unix:",
        "unix:///",
        "unix://decisions.sock",
        "unix:/run/decisions.sock",
        "unix:///run/",
        "unix:///run/a\0b",
        &long,
    ] {
        assert!(text.parse::<UpstreamAddress>().is_err(), "{text}");
    }
}

#[test]
fn a_service_with_a_certificate_by_address_and_by_name() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let (service, address) = Service::secured(&changing(shows(&authority.signs("127.0.0.1"), None, "h2")));
    files.asking(address).start().ask("pal").goes_on_with("pal");
    let asked = service.next_call();
    assert_eq!(asked.scheme_str(), Some("https"));
    assert_eq!(asked.authority().map(ToString::to_string), Some(address.to_string()));

    let (_service, address) = Service::secured(&changing(shows(&authority.signs("localhost"), None, "h2")));
    let by_name = format!("https://localhost:{}", address.port()).parse().expect("an address");
    let bridge = files.asking(address).with(|settings| settings.upstream.addresses = vec![by_name]).start();
    // Another address of that name may refuse connections.
    eventually("it is asked", || bridge.ask("pal").json()["nextCode"] == 0);
}

#[test]
fn a_certificate_of_another_authority_or_name_or_without_http2() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = Files::new(&authority);
    for config in [
        shows(&other.signs("127.0.0.1"), None, "h2"),
        shows(&authority.signs("decisions"), None, "h2"),
        shows(&authority.signs("127.0.0.1"), None, "http/1.1"),
    ] {
        let (service, address) = Service::secured(&changing(config));
        files.asking(address).start().ask("pal").refuses(200, UNAVAILABLE);
        assert!(service.asked.try_recv().is_err(), "it was asked");
    }
}

#[test]
fn plain_text_where_tls_is_expected() {
    let app = app();
    let files = Files::new(&Authority::new());
    files.asking(app.address).start().ask("pal").refuses(200, UNAVAILABLE);
    assert_eq!(app.calls(), 0);
}

#[test]
fn a_certificate_of_a_name_that_is_set() {
    let authority = Authority::new();
    let (_service, address) = Service::secured(&changing(shows(&authority.signs("decisions"), None, "h2")));
    let name = ServerName::try_from("decisions").expect("a name");
    let files = Files::new(&authority);
    let bridge = files.asking(address).with(|settings| settings.upstream.tls.server_name = Some(name));
    bridge.start().ask("pal").goes_on_with("pal");
}

#[test]
fn a_service_that_asks_for_a_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let files = Files::new(&authority);
    let config = shows(&authority.signs("127.0.0.1"), Some(&clients), "h2");
    let (_service, address) = Service::secured(&changing(config));
    files.asking(address).start().ask("pal").refuses(200, UNAVAILABLE);

    files.put_pair(&authority.signs("bridge"));
    files.asking_with_pair(address).start().ask("pal").refuses(200, UNAVAILABLE);

    files.put_pair(&clients.signs("bridge"));
    files.asking_with_pair(address).start().ask("pal").goes_on_with("pal");
}

#[test]
fn certificates_of_both_sides_that_change() {
    let old = Authority::new();
    let new = Authority::new();
    let files = Files::new(&old);
    files.put_pair(&old.signs("bridge"));
    let config = changing(shows(&old.signs("127.0.0.1"), Some(&old), "h2"));
    let (service, address) = Service::secured(&config);
    let bridge = files.asking_with_pair(address).start();
    let is_asked = || bridge.ask("pal").json()["nextCode"] == 0;
    assert!(is_asked());

    // What cannot be used changes nothing, for connections that are open and for new ones.
    files.put("ca.pem", "no certificate");
    eventually("the bad files are seen", || bridge.server.upstream_reloads().is_some_and(|seen| seen.refused == 1));
    assert!(is_asked());
    drop(service);
    let again = |config| Service::secured_at(config, address);
    let (service, _) = again(&config);
    eventually("it is asked", is_asked);

    // New files of both, without a restart of the bridge.
    files.put("ca.pem", &new.cert);
    files.put_pair(&new.signs("bridge"));
    drop(service);
    *config.lock().expect("a configuration") = shows(&new.signs("127.0.0.1"), Some(&new), "h2");
    let (_service, _) = again(&config);
    eventually("it is asked by the new certificates", is_asked);
}

#[test]
fn files_that_are_not_right_at_the_start() {
    let files = Files::new(&Authority::new());
    files.put("ca.pem", "no certificate");
    let mut settings = Settings { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Settings::default() };
    settings.admin.listen = None;
    settings.upstream.addresses = vec!["https://127.0.0.1:1".parse().expect("an address")];
    for (ca, expected) in [("ca.pem", "holds no certificate in PEM: "), ("nothing.pem", "cannot be read: ")] {
        let ca = files.path(ca);
        settings.upstream.tls.ca = Some(ca.clone());
        let error = Server::start(settings.clone(), Callbacks::all()).expect_err("no authority");
        let expected = format!("`upstream.tls.ca` ({}) {expected}", ca.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}
