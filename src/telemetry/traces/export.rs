//! Finished spans on their way out. OpenTelemetry's own processor batches them on a thread of its own, and a second one
//! drives the connection. What does not fit into the queue is lost, and so is a batch that the receiver does not take.

use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter as Otlp, WithTonicConfig as _, tonic_types::transport::ClientTlsConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    resource::{EnvResourceDetector, TelemetryResourceDetector},
    trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor as _},
};

use super::variables::environment;

/// How long the end of the program waits for the last spans.
const LAST_SPANS: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Exporter {
    processor: BatchSpanProcessor,
    queue: usize,
    counters: Arc<Counters>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// Taken by the receiver.
    pub exported: u64,
    /// Lost because the receiver did not take them.
    pub failed: u64,
    /// Lost because the queue was full.
    pub dropped: u64,
}

impl SpanCounts {
    /// With their names in metrics.
    pub(crate) const fn named(self) -> [(&'static str, u64); 3] {
        [("exported", self.exported), ("failed", self.failed), ("dropped", self.dropped)]
    }
}

#[derive(Debug, Default)]
struct Counters {
    queued: AtomicUsize,
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error("the exporter cannot be set up: {0}")]
    Build(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("no thread or runtime for the exporter: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the exporter's thread has ended")]
    Ended(#[from] mpsc::RecvError),
}

impl Exporter {
    /// The libraries read the rest from the variables: endpoint, headers, timeout, compression, batches.
    pub(super) fn start(queue: usize, tls: Option<ClientTlsConfig>) -> Result<Self, ExportError> {
        let counters = Arc::new(Counters::default());
        let otlp = connect(tls)?;
        let exporter = CountedExporter { otlp, counters: Arc::clone(&counters), failing: AtomicBool::new(false) };
        let config = BatchConfigBuilder::default().with_max_queue_size(queue).build();
        let mut processor = BatchSpanProcessor::new(exporter, config);
        processor.set_resource(&resource());
        Ok(Self { processor, queue, counters })
    }

    /// Never waits.
    pub(super) fn send(&self, span: SpanData) {
        if self.counters.queued.fetch_add(1, Relaxed) >= self.queue {
            self.counters.queued.fetch_sub(1, Relaxed);
            self.counters.dropped.fetch_add(1, Relaxed);
            return;
        }
        self.processor.on_end(span);
    }

    pub(super) fn counts(&self) -> SpanCounts {
        let Counters { exported, failed, dropped, .. } = &*self.counters;
        let [exported, failed, dropped] = [exported, failed, dropped].map(|counter| counter.load(Relaxed));
        SpanCounts { exported, failed, dropped }
    }

    pub(super) fn flush(&self) {
        // What goes wrong was logged by the exporter.
        let _ended = self.processor.shutdown_with_timeout(LAST_SPANS);
        let SpanCounts { failed, dropped, .. } = self.counts();
        let left = self.counters.queued.load(Relaxed);
        if failed > 0 || dropped > 0 || left > 0 {
            tracing::warn!(failed, dropped, left, "spans were lost");
        }
    }
}

/// The connection is made when there is something to send, on a thread that lives as long as the process.
fn connect(tls: Option<ClientTlsConfig>) -> Result<Otlp, ExportError> {
    let (built, is_built) = mpsc::sync_channel(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    thread::Builder::new().name("traces".to_owned()).spawn(move || {
        runtime.block_on(async {
            let builder = Otlp::builder().with_tonic();
            let builder = match tls {
                Some(tls) => builder.with_tls_config(tls),
                None => builder,
            };
            let exporter = builder.build();
            let is_there = exporter.is_ok();
            if built.send(exporter).is_ok() && is_there {
                future::pending::<()>().await;
            }
        });
    })?;
    Ok(is_built.recv()??)
}

/// Who sends the spans. The variables win over what is known here.
fn resource() -> Resource {
    let known = Resource::builder_empty()
        .with_service_name(env!("CARGO_PKG_NAME"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())]);
    // The detector for this variable makes up a name where it is not set, and in `Resource::builder`
    // OTEL_RESOURCE_ATTRIBUTES wins over it, against the specification.
    match environment("OTEL_SERVICE_NAME") {
        Some(name) => known.with_service_name(name).build(),
        None => known.build(),
    }
}

/// The exporter, with what it does counted, and logged when that changes.
#[derive(Debug)]
struct CountedExporter {
    otlp: Otlp,
    counters: Arc<Counters>,
    failing: AtomicBool,
}

impl SpanExporter for CountedExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let count = u64::try_from(spans).unwrap_or(u64::MAX);
        self.counters.queued.fetch_sub(spans, Relaxed);
        let result = self.otlp.export(batch).await;
        match &result {
            Ok(()) => {
                self.counters.exported.fetch_add(count, Relaxed);
                if self.failing.swap(false, Relaxed) {
                    let lost = self.counters.failed.load(Relaxed);
                    tracing::info!(lost, "spans are exported again");
                }
            }
            Err(error) => {
                self.counters.failed.fetch_add(count, Relaxed);
                if !self.failing.swap(true, Relaxed) {
                    tracing::warn!(%error, "cannot export spans; they are lost until the collector is back");
                }
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}
