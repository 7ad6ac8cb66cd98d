//! Certificates that are replaced, and that are wrong.

#![allow(clippy::disallowed_methods)] // certificates are valid by the wall clock

use std::time::{Duration, SystemTime};

use openim_bridge_bench::{
    answer::Told,
    certificates::{Authority, Pair, Secret},
    load::{Callbacks, Load, Scheme},
};
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use crate::lab::{Lab, PROMPT, Run, Scenario, seconds, still_running, until};

/// Who the service is, wherever it listens.
const SERVICE: &str = "decisions.test";
const BRIDGE: &str = "bridge.test";

/// Certificates are replaced this often: longer than it takes until new files are seen.
const REPLACED: Duration = Duration::from_secs(6);
/// How long each is valid: one that is not replaced has expired before the scenario ends.
const VALID: Duration = Duration::from_secs(14);
/// `unavailable`.
const UNAVAILABLE: i32 = 9921;

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "certificates",
        fault: "certificates of 14 s replaced every 6 s: OpenIM's side, both ends of mTLS to the service; then bad files",
        promise: "no fallback",
        run: |lab| Box::pin(replaced(lab)),
    },
    Scenario {
        name: "certificates-bad",
        fault: "the service's certificate expired, from another authority, for another name; the bridge's missing, expired",
        promise: "all fall back as unavailable, at once; the log says why",
        run: |lab| Box::pin(bad(lab)),
    },
];

fn valid() -> SystemTime {
    SystemTime::now() + VALID
}

/// A connection's bridge listens by HTTPS, and asks three services by mTLS, whose connections live for a second.
async fn replaced(lab: &Lab) -> anyhow::Result<Run> {
    let [listener, services, bridges] =
        [Authority::new("listener")?, Authority::new("services")?, Authority::new("bridges")?];
    // Each holds the authority of those on the other side.
    let mut shown = Secret::new(&listener, &listener.sign(BRIDGE, valid())?)?;
    let mut service = Secret::new(&bridges, &services.sign(SERVICE, valid())?)?;
    let mut client = Secret::new(&services, &bridges.sign(BRIDGE, valid())?)?;

    let files = [service.path("cert.pem"), service.path("key.pem"), service.path("ca.pem")];
    let [cert, key, ca] = files.each_ref().map(String::as_str);
    let tls = ["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", ca, "--max-connection-age", "1s"];
    let running = [lab.service(1, &tls).await?, lab.service(2, &tls).await?, lab.service(3, &tls).await?];
    let urls = running.each_ref().map(|service| service.url().replace("http:", "https:"));
    let mut args = upstream_tls(&client);
    args.extend(["--tls-cert".to_owned(), shown.path("cert.pem"), "--tls-key".to_owned(), shown.path("key.pem")]);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut bridge = lab.bridge(&urls, &args).await?;

    let scheme = Scheme::Https(listener.trusting_client()?, ServerName::try_from(BRIDGE)?);
    let load = Load::start(bridge.address, lab.rate / 2, scheme);
    let started = Instant::now();
    for time in [REPLACED, REPLACED * 2] {
        until(started, time).await;
        shown.put(&listener, &listener.sign(BRIDGE, valid())?)?;
        service.put(&bridges, &services.sign(SERVICE, valid())?)?;
        client.put(&services, &bridges.sign(BRIDGE, valid())?)?;
    }
    until(started, REPLACED * 3).await;
    for secret in [&mut shown, &mut service, &mut client] {
        secret.put_rubbish()?;
    }
    until(started, REPLACED * 4).await;
    still_running(&mut bridge)?;
    let mut run = Run::of(load.finish().await?, &bridge);
    run.no_fallback_since(started - Duration::from_secs(1));
    Ok(run)
}

fn upstream_tls(client: &Secret) -> Vec<String> {
    let mut args = vec!["--upstream-tls-server-name".to_owned(), SERVICE.to_owned()];
    for (flag, file) in [("ca", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem")] {
        args.extend([format!("--upstream-tls-{flag}"), client.path(file)]);
    }
    args
}

/// One way in which a handshake cannot succeed.
struct Case {
    what: &'static str,
    service: Pair,
    /// `None`: the bridge shows none.
    bridge: Option<Pair>,
    /// What the bridge's log must say of it. In TLS 1.3 the peer's reason may be lost with its connection: then the log names
    /// the setting to look at.
    said: &'static str,
}

async fn bad(lab: &Lab) -> anyhow::Result<Run> {
    let [services, bridges, other] =
        [Authority::new("services")?, Authority::new("bridges")?, Authority::new("other")?];
    let past = SystemTime::now() - Duration::from_hours(1);
    let (service, bridge) = (services.sign(SERVICE, valid())?, bridges.sign(BRIDGE, valid())?);
    let case = |what, service: &Pair, bridge: Option<&Pair>, said| Case {
        what,
        service: service.clone(),
        bridge: bridge.cloned(),
        said,
    };
    let cases = [
        case("the service's expired", &services.sign(SERVICE, past)?, Some(&bridge), "expired"),
        case(
            "of another authority",
            &other.sign(SERVICE, valid())?,
            Some(&bridge),
            "signed by no authority that is trusted",
        ),
        case("of another name", &services.sign("elsewhere.test", valid())?, Some(&bridge), "not valid for name"),
        case("the bridge's missing", &service, None, "upstream.tls.cert`"),
        case("the bridge's expired", &service, Some(&bridges.sign(BRIDGE, past)?), "upstream.tls.cert`"),
    ];
    let mut all = Callbacks::default();
    let (mut broken, mut logged) = (Vec::new(), Vec::new());
    for case in cases {
        let mut run = one_bad(lab, &case, &services, &bridges).await?;
        broken.append(&mut run.broken);
        logged.append(&mut run.logged);
        all.extend(run.callbacks);
    }
    Ok(Run { callbacks: all, broken, logged, ..Run::default() })
}

async fn one_bad(lab: &Lab, case: &Case, services: &Authority, bridges: &Authority) -> anyhow::Result<Run> {
    let Case { what, said, .. } = case;
    let service = Secret::new(bridges, &case.service)?;
    let files = [service.path("cert.pem"), service.path("key.pem"), service.path("ca.pem")];
    let [cert, key, ca] = files.each_ref().map(String::as_str);
    let running = lab.service(1, &["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", ca]).await?;
    // Where the bridge is to show none, its files hold the authority all the same.
    let client = Secret::new(services, case.bridge.as_ref().unwrap_or(&case.service))?;
    let mut args = upstream_tls(&client);
    if case.bridge.is_none() {
        args.truncate(4);
    }
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let since = Instant::now();
    let mut bridge = lab.bridge(&[running.url().replace("http:", "https:")], &args).await?;
    let load = lab.load(&bridge);
    seconds(2).await;
    still_running(&mut bridge)?;
    let mut run = Run::of(load.finish().await?, &bridge);
    let count = |told: &Told| run.callbacks.fell_back().filter(|callback| callback.told == *told).count();
    let (unavailable, sent) = (count(&Told::FellBack(UNAVAILABLE)), run.callbacks.sent());
    run.promise(unavailable == sent, format!("{what}: {unavailable} of {sent} fell back as unavailable"));
    let slowest = run.callbacks.slowest();
    run.promise(slowest <= PROMPT, format!("{what}: a fallback took {slowest:?}"));
    run.promise(bridge.said(said, since).is_some(), format!("{what}: the log does not say {said:?}"));
    Ok(run)
}
