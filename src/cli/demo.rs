//! `demo`: the mock and the bridge in one process, with sample callbacks sent through both.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use tempfile::NamedTempFile;
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

use super::send::{self, Exchange};
use super::serve::not_started;
use super::terminal::{columns, print, stop_signal};
use crate::base::text::{millis, one_line};
use crate::base::yaml::document;
use crate::callback::Callbacks;
use crate::config::{Loaded, Sources};
use crate::mock::{CallStage, Mock, MockAddress, MockEvent, Rules};
use crate::openim::client::CallbackRequest;
use crate::server::{Server, Settings};
use crate::telemetry::log::{self, LogLevel, LogSettings};

/// How long the bridge gives the decision service here: short, so that the sample that hangs does not hold up the demo.
const DECISION_TIMEOUT: Duration = Duration::from_millis(500);
/// How long OpenIM waits, unless configured.
const OPENIM_TIMEOUT: Duration = Duration::from_secs(5);

/// Run the bridge and the bundled decision service in one process, and send eight sample callbacks through both
///
/// It then keeps running until Ctrl-C. Exit codes: 0 every sample went as expected, 1 otherwise.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Where the bridge listens [default: 127.0.0.1:10006, or a free port with --once]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    /// Where the bridge serves its status page and metrics, or `off` [default: 127.0.0.1:10007, or off with --once]
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<String>,

    /// Exit after the samples
    #[arg(long)]
    once: bool,

    /// Receive callbacks over HTTPS, with a new self-signed certificate
    #[arg(long)]
    tls: bool,
}

/// One callback, and what must come of it: see the file.
#[derive(serde::Deserialize)]
struct DemoSample {
    title: String,
    explained: String,
    callback: String,
    set: Vec<String>,
    #[serde(default)]
    suffix: String,
    so: String,
    by: String,
}

const SAMPLES: &str = include_str!("demo.yaml");

fn samples() -> anyhow::Result<Vec<DemoSample>> {
    let samples = document(SAMPLES)?.map(|samples| samples.value.json());
    Ok(serde_json::from_value(samples.unwrap_or_default())?)
}

/// Runs the demo.
///
/// # Errors
/// When an address cannot be listened on, or the result cannot be printed.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    log::init(&LogSettings { level: LogLevel::Error, ..LogSettings::default() });
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut mock = Mock::bind(free.into(), Rules::default()).await?;
    let mut events = mock.events();

    let listen = args.listen.unwrap_or(if args.once { free } else { Settings::default().listen });
    let certificate = args.tls.then(|| certificate(listen.ip())).transpose()?;
    let ca = certificate.as_ref().map(NamedTempFile::path);
    let loaded = configuration(&args, listen, mock.address(), ca)?;
    let effective = loaded.effective();
    let server = Server::start(loaded.settings, Callbacks::all()).map_err(not_started)?;
    server.show_configuration(effective);

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mock_address = mock.address().clone();
    let serving = mock.serve(async { drop(stopped.await) });
    let showing = async {
        let all_right = show(server.address(), ca, &mock_address, &mut events).await?;
        // Nobody reads on, and the others would be kept.
        events.close();
        if !args.once {
            print(&next_steps(server.address(), server.admin_address(), ca))?;
            stop_signal().await?;
        }
        drop(stop);
        anyhow::Ok(all_right)
    };
    let (served, all_right) = tokio::join!(serving, showing);
    served?;
    Ok(if all_right? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What `serve` would make of these flags.
fn configuration(args: &DemoArgs, listen: SocketAddr, mock: &MockAddress, ca: Option<&Path>) -> anyhow::Result<Loaded> {
    let admin = args.admin_listen.clone();
    let admin = admin.or_else(|| args.once.then(|| "off".to_owned()));
    let certificate = ca.map(|path| path.to_string_lossy().into_owned());
    let timeout = humantime::format_duration(DECISION_TIMEOUT).to_string();
    let flags = [
        ("listen", Some(listen.to_string())),
        ("tls.cert", certificate.clone()),
        ("tls.key", certificate),
        ("upstream.addresses", Some(format!("http://{mock}"))),
        ("decision.timeout", Some(timeout)),
        ("admin.listen", admin),
    ];
    let flags = flags.into_iter().filter_map(|(key, value)| Some((key, vec![value?]))).collect();
    Ok(Sources { flags, ..Sources::default() }.load()?)
}

/// Sends every sample; true when each went as it should.
async fn show(
    bridge: SocketAddr,
    ca: Option<&Path>,
    mock: &MockAddress,
    events: &mut UnboundedReceiver<MockEvent>,
) -> anyhow::Result<bool> {
    let url = url(bridge, ca);
    let http = if ca.is_some() { "HTTPS" } else { "HTTP" };
    print(&format!(
        "OpenIM Server  --{http}/JSON-->  openim-bridge {bridge}  --gRPC-->  your decision service (the mock, {mock})\n"
    ))?;
    let mut all_right = true;
    for (number, sample) in (1..).zip(&samples()?) {
        let id = format!("demo-{number}");
        let request = send::request(&sample.callback, &sample.set, &id)?;
        let base = format!("{url}{}", sample.suffix);
        let exchange = send::exchange_trusting(ca, &request, &base, OPENIM_TIMEOUT).await?;
        let mut right = send::outcome(&exchange).contains(&sample.so) && exchange.origin() == Some(&*sample.by);
        let mut told = sample.told(number, &request.url(&base), &request, &exchange);
        if exchange.is_after() {
            let answered = Instant::now();
            let is_delivered = timeout(OPENIM_TIMEOUT, delivered(events, &id)).await.is_ok();
            let what = if is_delivered { "received it" } else { "did not receive it" };
            let _ = writeln!(told, "   then      the decision service {what}, {} later", millis(answered.elapsed()));
            right &= is_delivered;
        }
        if !right {
            let _ = writeln!(told, "   WRONG     this is not the expected outcome");
        }
        all_right &= right;
        print(&told)?;
    }
    Ok(all_right)
}

/// Waits until the mock has answered the callback with this operation ID.
async fn delivered(events: &mut UnboundedReceiver<MockEvent>, operation_id: &str) {
    while let Some(event) = events.recv().await {
        if event.stage == CallStage::Answered && event.call.operation_id == operation_id {
            return;
        }
    }
}

impl DemoSample {
    fn told(&self, number: u32, url: &str, request: &CallbackRequest, exchange: &Exchange) -> String {
        // What stands before each line, and after the last.
        let room = columns().saturating_sub("   answered  ".len() + " (1000 ms)".len());
        let short = |text: &[u8]| one_line(&String::from_utf8_lossy(text), room).into_owned();
        let answered = match &exchange.answer {
            Ok(answered) => format!("{} {}", answered.status.as_u16(), short(&answered.body)),
            Err(none) => none.to_string(),
        };
        let mut told = format!("\n{number}. {}\n   {}\n", self.title, self.explained);
        let mut line = |label: &str, words: &str| {
            let _ = writeln!(told, "   {label:<8}  {words}");
        };
        line("sent", &format!("POST {url}"));
        line("", &short(request.body.trim_ascii_end()));
        for set in &self.set {
            line("where", set);
        }
        line("answered", &format!("{answered} ({})", millis(exchange.elapsed)));
        line("so", &send::outcome(exchange));
        line("by", &send::decider(exchange.origin()));
        if let Some(hint) = exchange.answer.as_ref().ok().and_then(|answered| answered.hint.as_deref()) {
            line("hint", hint);
        }
        told
    }
}

fn next_steps(bridge: SocketAddr, admin: Option<SocketAddr>, ca: Option<&Path>) -> String {
    let url = url(bridge, ca);
    let ca = ca.map(|path| format!(" --ca '{}'", path.display())).unwrap_or_default();
    let operators = admin.map(|admin| {
        format!("\nThe status page, in a browser:\n\n   http://{admin}/\n\nWhat else an operator asks:\n\n   curl -s http://{admin}/ready\n   curl -s http://{admin}/config\n   curl -s http://{admin}/metrics\n")
    });
    let operators = operators.unwrap_or_default();
    // As the reader called it: `cargo run` leaves the program where no shell looks for it.
    let program = std::env::args().next().unwrap_or_else(|| "openim-bridge".to_owned());
    format!(
        r"
Try it yourself, with any callback and any text:

   {program} send --url {url}{ca} --remark 'mock:refuse=5001,Not this one'
   {program} send --url {url}{ca} CALLBACK --set KEY=VALUE

Texts that the mock understands: mock:allow, mock:refuse=CODE,TEXT, mock:replace=TEXT, mock:change=KEY:VALUE, mock:delay=250ms,
mock:hang, mock:status=NAME (any gRPC status), mock:invalid=unset|code|empty.
{operators}
Bridge and mock keep running until Ctrl-C.
"
    )
}

/// What OpenIM's `url` in webhooks.yml would be.
fn url(bridge: SocketAddr, ca: Option<&Path>) -> String {
    let scheme = if ca.is_some() { "https" } else { "http" };
    format!("{scheme}://{bridge}/callbackExample")
}

/// A file with a certificate for this address, and its key. Nobody else can read it, and it goes with the demo.
fn certificate(address: IpAddr) -> anyhow::Result<NamedTempFile> {
    let names = [address.to_string(), Ipv4Addr::LOCALHOST.to_string(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)?;
    let mut file = tempfile::Builder::new().prefix("openim-bridge-demo-").suffix(".pem").tempfile()?;
    write!(file, "{}{}", made.cert.pem(), made.signing_key.serialize_pem())?;
    Ok(file)
}
