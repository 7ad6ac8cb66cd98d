//! `demo`: the mock and the bridge in one process, with sample callbacks sent through both.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use http::HeaderValue;
use tempfile::NamedTempFile;

use super::send::{self, Exchange};
use super::terminal::{print, stop_signal};
use crate::callback::Callbacks;
use crate::config::{Loaded, Sources};
use crate::mock::{Mock, MockAddress, Rules};
use crate::openim::client::{CallbackRequest, OpenIm, UrlForm, go_body};
use crate::server::{Server, Settings, StartError};
use crate::telemetry::log::{self, LogLevel, LogSettings};

const BEFORE_SET_FRIEND_REMARK: &str = "callbackBeforeSetFriendRemarkCommand";
/// How long the bridge gives the decision service here: short, so that the sample that hangs does not hold up the demo.
const DECISION_TIMEOUT: Duration = Duration::from_millis(500);
/// How long OpenIM waits, unless configured.
const OPENIM_TIMEOUT: Duration = Duration::from_secs(5);

/// Run the bridge and the bundled decision service in one process, and send sample callbacks through both
///
/// Then it stays up until Ctrl-C. Exit codes: 0 every sample went as it should, 1 otherwise.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Where the bridge listens [default: 127.0.0.1:10006, or a free port with --once]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    /// Where the bridge serves operators, or `off` [default: 127.0.0.1:10007, or off with --once]
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<String>,

    /// Exit after the samples
    #[arg(long)]
    once: bool,

    /// Receive callbacks by HTTPS, with a certificate made on the spot
    #[arg(long)]
    tls: bool,
}

/// One callback, and what must come of it.
struct DemoSample {
    title: &'static str,
    remark: &'static str,
    /// Appended to OpenIM's `url`.
    suffix: &'static str,
    expected: SampleOutcome,
    /// By the answer's header.
    origin: &'static str,
    explained: &'static str,
}

#[derive(Clone, Copy)]
enum SampleOutcome {
    GoesOnWith(&'static str),
    Refused(i32),
}

const SAMPLES: [DemoSample; 6] = [
    DemoSample {
        title: "The service allows",
        remark: "My Best Friend",
        suffix: "",
        expected: SampleOutcome::GoesOnWith("My Best Friend"),
        origin: "decision",
        explained: "the decision service said allow, and OpenIM stores what its user typed",
    },
    DemoSample {
        title: "The service refuses",
        remark: "mock:refuse=5001,No nicknames here",
        suffix: "",
        expected: SampleOutcome::Refused(5001),
        origin: "decision",
        explained: "its own code (5000 to 9899) and text reach the user",
    },
    DemoSample {
        title: "The service changes the remark",
        remark: "mock:replace=Bestie",
        suffix: "",
        expected: SampleOutcome::GoesOnWith("Bestie"),
        origin: "decision",
        explained: "OpenIM stores its text instead",
    },
    DemoSample {
        title: "The service hangs",
        remark: "mock:hang",
        suffix: "",
        expected: SampleOutcome::GoesOnWith("mock:hang"),
        origin: "fallback; class=timeout",
        explained: "no reply by the deadline, so the fallback decided: allow, unless configured otherwise",
    },
    DemoSample {
        title: "The service fails",
        remark: "mock:status=UNAVAILABLE",
        suffix: "",
        expected: SampleOutcome::GoesOnWith("mock:status=UNAVAILABLE"),
        origin: "fallback; class=unavailable",
        explained: "the fallback again, and at once: nobody waits for the deadline",
    },
    DemoSample {
        title: "OpenIM is set up wrongly",
        remark: "My Best Friend",
        suffix: "?x=1",
        expected: SampleOutcome::Refused(9901),
        origin: "rejected; code=9901",
        explained: "a `?` in webhooks.yml's url swallows the command; a response header says so, and the service was not asked",
    },
];

/// Runs the demo.
///
/// # Errors
/// When an address cannot be listened on, or the result cannot be printed.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    log::init(&LogSettings { level: LogLevel::Error, ..LogSettings::default() });
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mock = Mock::bind(free.into(), Rules::default()).await?;

    let listen = args.listen.unwrap_or(if args.once { free } else { Settings::default().listen });
    let certificate = args.tls.then(|| certificate(listen.ip())).transpose()?;
    let ca = certificate.as_ref().map(NamedTempFile::path);
    let loaded = configuration(&args, listen, mock.address(), ca)?;
    let shown = loaded.effective().shown();
    let server = Server::start(loaded.settings, Callbacks::all()).map_err(|error| {
        let hint = match error {
            StartError::Admin { .. } => "choose another address with --admin-listen, or `off`",
            _ => "choose another address with --listen",
        };
        anyhow::Error::new(error).context(hint)
    })?;
    server.show_configuration(shown);

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mock_address = mock.address().clone();
    let serving = mock.serve(async { drop(stopped.await) });
    let showing = async {
        let all_right = show(server.address(), ca, &mock_address).await?;
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
async fn show(bridge: SocketAddr, ca: Option<&Path>, mock: &MockAddress) -> anyhow::Result<bool> {
    let url = url(bridge, ca);
    let http = if ca.is_some() { "HTTPS" } else { "HTTP" };
    print(&format!(
        "OpenIM Server  --{http}/JSON-->  openim-bridge {bridge}  --gRPC-->  your decision service (the mock, {mock})\n"
    ))?;
    let mut all_right = true;
    for (number, sample) in (1..).zip(&SAMPLES) {
        let remark = serde_json::Value::from(sample.remark);
        let command = BEFORE_SET_FRIEND_REMARK;
        let body = format!(
            r#"{{"callbackCommand":"{command}","ownerUserID":"user123","friendUserID":"user456","remark":{remark}}}"#
        );
        let request = CallbackRequest {
            command,
            body: go_body(&body),
            operation_id: HeaderValue::from_str(&format!("demo-{number}"))?,
            form: UrlForm::Path,
        };
        let base = format!("{url}{}", sample.suffix);
        let exchange = send::exchange_trusting(ca, &request, &base, OPENIM_TIMEOUT).await?;
        let right = sample.expected.is(&exchange) && exchange.origin() == Some(sample.origin);
        all_right &= right;
        print(&sample.told(number, &request.url(&base), &request, &exchange, right))?;
    }
    Ok(all_right)
}

impl SampleOutcome {
    fn is(self, exchange: &Exchange) -> bool {
        match (self, exchange.open_im()) {
            (Self::GoesOnWith(expected), OpenIm::GoesOn) => {
                exchange.effects().is_some_and(|it| it.taken.iter().any(|taken| taken.told == Some(expected.into())))
            }
            (Self::Refused(expected), OpenIm::Refused { code, .. }) => code == expected,
            _ => false,
        }
    }
}

impl DemoSample {
    fn told(&self, number: u32, url: &str, request: &CallbackRequest, exchange: &Exchange, right: bool) -> String {
        let answered = match &exchange.answer {
            Ok(answered) => format!("{} {}", answered.status.as_u16(), String::from_utf8_lossy(&answered.body)),
            Err(none) => none.to_string(),
        };
        let hint = exchange.answer.as_ref().ok().and_then(|answered| answered.hint.as_deref());
        let hint = hint.map(|hint| format!("\n   hint      {hint}")).unwrap_or_default();
        let elapsed = exchange.elapsed.as_millis();
        let verdict = if right { "" } else { "\n   WRONG     this is not what should have come of it" };
        format!(
            "\n{number}. {title}: {explained}\n   sent      POST {url}\n             {body}\n   answered  {answered}  ({elapsed} ms)\n   so        {words}\n   by        {decider}{hint}{verdict}\n",
            title = self.title,
            explained = self.explained,
            body = String::from_utf8_lossy(request.body.trim_ascii_end()),
            words = send::outcome(exchange),
            decider = send::decider(exchange.origin()),
        )
    }
}

fn next_steps(bridge: SocketAddr, admin: Option<SocketAddr>, ca: Option<&Path>) -> String {
    let url = url(bridge, ca);
    let trusting = |flag: &str| ca.map(|path| format!(" {flag} '{}'", path.display())).unwrap_or_default();
    let (cacert, ca) = (trusting("--cacert"), trusting("--ca"));
    let command = BEFORE_SET_FRIEND_REMARK;
    let operators = admin.map(|admin| {
        format!("\nWhat an operator asks:\n\n   curl -s http://{admin}/ready\n   curl -s http://{admin}/config\n   curl -s http://{admin}/metrics\n")
    });
    let operators = operators.unwrap_or_default();
    // As the reader called it: `cargo run` leaves the program where no shell looks for it.
    let program = std::env::args().next().unwrap_or_else(|| "openim-bridge".to_owned());
    format!(
        r#"
Try it yourself:

   curl -s{cacert} '{url}/{command}' -H 'Content-Type: application/json' -H 'operationID: by-hand' -d '{{"callbackCommand":"{command}","ownerUserID":"user123","friendUserID":"user456","remark":"mock:refuse=5001,Not this one"}}'

Other remarks that the mock understands: mock:allow, mock:replace=TEXT, mock:delay=250ms, mock:hang,
mock:status=NAME (any gRPC status), mock:invalid=unset|code|empty. To read the answers as OpenIM does:

   {program} send --url {url}{ca} --remark mock:hang
{operators}
Bridge and mock stay up until Ctrl-C.
"#
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
