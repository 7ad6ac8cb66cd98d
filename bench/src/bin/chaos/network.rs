//! Names that move, and networks that lose packets.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use openim_bridge_bench::{namespace::Namespace, program::Program, proxy::Proxy};
use tokio::time::Instant;

use crate::{
    dns::name_server,
    lab::{Lab, Run, Scenario, Service, seconds, still_running, until},
};

/// By then a connection whose other side is silent is found.
const FOUND: Duration = Duration::from_secs(5);
/// By then one that forwards again is asked.
const BACK: Duration = Duration::from_secs(3);
/// `upstream.resolve.ttl_min` is 1 s, and the answers hold for no time.
const RESOLVED: Duration = Duration::from_secs(3);

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "names",
        fault: "a name's two addresses replaced by two others, the old pods stop 4 s later",
        promise: "no fallback; within 3 s the new ones get all calls",
        run: |lab| Box::pin(names(lab)),
    },
    Scenario {
        name: "half-open-proxy",
        fault: "the connections to one of three are silent: a proxy stops forwarding",
        promise: "ejected within 5 s, then no fallback and none slow; gets calls again within 3 s",
        run: |lab| Box::pin(half_open_proxy(lab)),
    },
    Scenario {
        name: "half-open-packets",
        fault: "the packets to and from one of three dropped (network namespace, iptables)",
        promise: "ejected within 5 s, then no fallback and none slow; gets calls again within 3 s",
        run: |lab| Box::pin(half_open_packets(lab)),
    },
];

async fn names(lab: &Lab) -> anyhow::Result<Run> {
    let ips = [1, 2, 3, 4].map(|last| IpAddr::from(Ipv4Addr::new(127, 0, 0, 20 + last)));
    let first = lab.service_at(SocketAddr::new(ips[0], 0), None, &[]).await?;
    let at = |ip| lab.service_at(SocketAddr::new(ip, first.address.port()), None, &[]);
    let [second, third, fourth] = [at(ips[1]).await?, at(ips[2]).await?, at(ips[3]).await?];
    let (mut old, new) = ([first, second], [third, fourth]);
    let names = name_server(ips[0]);
    names.says_all(&ips[..2]);
    let url = format!("http://decisions.test:{}", old[0].address.port());
    let mut bridge = lab.bridge(&[url], &["--upstream-resolve-server", &names.address.to_string()]).await?;
    let load = lab.load(&bridge);
    seconds(3).await;
    let unasked = counts(&new)?;
    let fault = Instant::now();
    names.says_all(&ips[2..]);
    until(fault, RESOLVED).await;
    let (olds, news) = (counts(&old)?, counts(&new)?);
    until(fault, RESOLVED + Duration::from_secs(1)).await;
    let left = counts(&old)?;
    for service in &mut old {
        service.end().await?;
    }
    seconds(3).await;
    still_running(&mut bridge)?;
    let mut run = Run::of(load.finish().await?, &bridge);
    run.no_fallback_since(fault - Duration::from_secs(3));
    run.promise(unasked == [0, 0], "an address that the name did not have was asked");
    run.promise(news.iter().all(|count| *count > 0), format!("the new ones were asked {news:?} times within 3 s"));
    run.promise(left == olds, format!("the old ones were asked {olds:?} times within 3 s, and then up to {left:?}"));
    Ok(run)
}

fn counts(services: &[Service<'_>; 2]) -> anyhow::Result<[usize; 2]> {
    Ok([services[0].program()?.answered(), services[1].program()?.answered()])
}

async fn half_open_proxy(lab: &Lab) -> anyhow::Result<Run> {
    let services = [lab.service(1, &[]).await?, lab.service(2, &[]).await?, lab.service(3, &[]).await?];
    let proxy = Proxy::start(services[0].address).await?;
    let urls = [format!("http://{}", proxy.address), services[1].url(), services[2].url()];
    let bridge = lab.bridge(&urls, &[]).await?;
    let lose = |lost| {
        proxy.stop(lost);
        Ok(())
    };
    half_open(lab, bridge, &services[0], lose).await
}

async fn half_open_packets(lab: &Lab) -> anyhow::Result<Run> {
    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(error) => return Ok(Run::skipped(format!("{error:#}"))),
    };
    let inside = lab.service_at(SocketAddr::new(namespace.address, 0), Some(&namespace), &[]).await?;
    let others = [lab.service(2, &[]).await?, lab.service(3, &[]).await?];
    let urls = [inside.url(), others[0].url(), others[1].url()];
    let bridge = lab.bridge(&urls, &[]).await?;
    let lose = |lost| if lost { namespace.lose_packets() } else { namespace.lose_no_packets() };
    half_open(lab, bridge, &inside, lose).await
}

async fn half_open(
    lab: &Lab,
    mut bridge: Program,
    affected: &Service<'_>,
    lose: impl Fn(bool) -> anyhow::Result<()>,
) -> anyhow::Result<Run> {
    let load = lab.load(&bridge);
    seconds(2).await;
    let fault = Instant::now();
    lose(true)?;
    until(fault, Duration::from_secs(9)).await;
    lose(false)?;
    let again = affected.is_asked(BACK).await?;
    seconds(1).await;
    still_running(&mut bridge)?;
    let mut run = Run::of(load.finish().await?, &bridge);
    run.found(&bridge, "is ejected", fault, FOUND);
    run.no_fallback_since(fault + FOUND);
    run.prompt_since(fault + FOUND);
    run.asked_again(again, BACK);
    Ok(run)
}
