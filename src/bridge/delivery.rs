//! After callbacks, on their way to the service: OpenIM has its answer, and the service is told, in order for each key, and
//! again where it was not there.
//!
//! An event goes to the worker that owns its key. There a task for each key tells the service of one event after the other,
//! so that a retry never overtakes; other keys go beside it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, VecDeque},
    rc::Rc,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::select;
use tokio::{
    sync::{Mutex, Semaphore, mpsc, watch},
    time::{Instant, sleep, timeout_at},
};
use tonic::Code;

use super::limits::SharedLimits;
use super::settings::DeliverySettings;
use crate::base::{
    deadline::Deadline,
    memory::{Gauge, Permit},
    trace_context::Propagation,
};
use crate::callback::{Callback, Callbacks};
use crate::openim::OperationId;
use crate::outcome::Delivered;
use crate::telemetry::{log, metrics::Metrics};
use crate::upstream::{Call, CallError, CallId, ForwardError, Forwarded, Forwarder, Upstream, bytes_of};

/// The pause before the first retry; each further one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often to check whether an endpoint is healthy again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Over how long the retries are spread when one is.
const SPREAD: Duration = Duration::from_secs(1);
/// What an event holds beside its message.
const OVERHEAD: usize = 768;
/// What the task holds that sees to a key, or to an event without one.
const TASK: usize = 1536;

/// What the process holds of events, whatever the number of workers.
#[derive(Debug)]
pub struct Deliveries {
    bytes: Arc<Gauge>,
    calls: Semaphore,
    /// By the callback's place in the registry.
    calls_of: Box<[Semaphore]>,
    callbacks: Arc<Callbacks>,
    metrics: Arc<Metrics>,
    /// Each event that is not done, by its number, and when it came.
    open: std::sync::Mutex<BTreeMap<u64, (Instant, &'static Callback)>>,
    next: AtomicU64,
    /// Whether the process is to end: then pauses are short.
    hurry: watch::Sender<bool>,
    /// To each worker, which owns the keys whose hash is its number.
    workers: Box<[mpsc::UnboundedSender<Event>]>,
}

/// What a worker takes its events from.
pub type Events = mpsc::UnboundedReceiver<Event>;

/// An after callback on its way.
#[derive(Debug)]
pub struct Event {
    callback: &'static Callback,
    operation_id: OperationId,
    id: CallId,
    payload: Payload,
    /// `None`: in no order.
    key: Option<u64>,
    received: Instant,
    settings: DeliverySettings,
    trace: Propagation,
    number: u64,
    bytes: usize,
    _held: Permit,
}

/// What is delivered, and to whom.
#[derive(Debug)]
pub(super) enum Payload {
    /// The rpc's request, in its frame.
    Service(Bytes),
    /// OpenIM's request, for the receiver that a team already has.
    Forward(Box<Forwarded>),
}

impl Payload {
    fn len(&self) -> usize {
        match self {
            Self::Service(frame) => frame.len(),
            Self::Forward(request) => request.body.len() + bytes_of(&request.headers),
        }
    }
}

impl Deliveries {
    /// And what each of so many workers takes its events from.
    #[must_use]
    pub fn new(
        settings: &DeliverySettings,
        callbacks: Arc<Callbacks>,
        metrics: Arc<Metrics>,
        workers: usize,
    ) -> (Arc<Self>, Vec<Events>) {
        let concurrency = settings.concurrency.get();
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::unbounded_channel()).unzip();
        let deliveries = Self {
            bytes: Gauge::new(settings.queue_bytes.get()),
            calls: Semaphore::new(concurrency),
            calls_of: callbacks.rows.iter().map(|_| Semaphore::new(concurrency.div_ceil(2))).collect(),
            callbacks,
            metrics,
            open: std::sync::Mutex::default(),
            next: AtomicU64::new(0),
            hurry: watch::Sender::new(false),
            workers: senders.into(),
        };
        (Arc::new(deliveries), receivers)
    }

    pub(super) const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub(super) const fn callbacks(&self) -> &Arc<Callbacks> {
        &self.callbacks
    }

    /// Another bound on what is held, from now on.
    pub fn change(&self, settings: &DeliverySettings) {
        self.bytes.change(settings.queue_bytes.get());
    }

    /// Takes an event in; false when there is no room, and it is lost.
    pub(super) fn enqueue(
        &self,
        callback: &'static Callback,
        key: Option<u64>,
        payload: Payload,
        operation_id: OperationId,
        trace: Propagation,
        settings: DeliverySettings,
    ) -> bool {
        let bytes = payload.len() + OVERHEAD;
        let Some(held) = self.bytes.take(bytes) else {
            self.metrics.delivery(callback, Delivered::Dropped);
            return false;
        };
        let (number, received) = (self.next.fetch_add(1, Relaxed), Instant::now());
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(number, (received, callback));
        let event = Event {
            callback,
            operation_id,
            id: CallId::now(),
            payload,
            key,
            received,
            settings,
            trace,
            number,
            bytes,
            _held: held,
        };
        let worker = usize::try_from(key.unwrap_or(number)).unwrap_or_default() % self.workers.len();
        // Fails only when that worker has ended, and the process with it.
        self.workers[worker].send(event).is_ok()
    }

    /// From now on pauses are short: the process is to end.
    pub fn hurry(&self) {
        self.hurry.send_replace(true);
    }

    /// How many events are not done, and how long the oldest has been there.
    #[must_use]
    pub fn queued(&self) -> (usize, Duration) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        (open.len(), open.first_key_value().map(|(_, (received, _))| received.elapsed()).unwrap_or_default())
    }

    /// Bytes of events, and their bound.
    #[must_use]
    pub fn bytes(&self) -> (usize, usize) {
        (self.bytes.held(), self.bytes.limit())
    }

    /// Counts what is not done as lost, since the process exits. Returns how many.
    #[must_use]
    pub fn lose_the_rest(&self) -> usize {
        let lost = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        for (_, callback) in lost.values() {
            self.metrics.delivery(callback, Delivered::Lost);
        }
        lost.len()
    }

    fn done(&self, event: &Event, how: Delivered) {
        let was_open = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&event.number).is_some();
        // Otherwise it was counted as lost.
        if was_open {
            self.metrics.delivery(event.callback, how);
        }
    }

    /// A pause that ends soon where the process is to end.
    async fn pause(&self, pause: Duration) {
        let mut hurry = self.hurry.subscribe();
        let hurried = async {
            let _never_gone = hurry.wait_for(|hurry| *hurry).await;
            sleep(FIRST_PAUSE).await;
        };
        select(std::pin::pin!(sleep(pause)), std::pin::pin!(hurried)).await;
    }
}

/// The events of one worker.
#[derive(Debug)]
pub(super) struct WorkerDeliveries {
    deliveries: Arc<Deliveries>,
    upstream: Rc<Upstream>,
    forwarder: Option<Rc<Forwarder>>,
    limits: Arc<SharedLimits>,
    /// What waits behind the event of the same key that is being delivered.
    waiting: RefCell<HashMap<u64, Line>>,
    /// Held by the one that looks whether an endpoint is healthy again: all wait for that, and may be thousands.
    looking: Mutex<()>,
}

#[derive(Debug, Default)]
struct Line {
    events: VecDeque<Event>,
    bytes: usize,
}

/// What becomes of an event whose attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The service was not there: until it is, or the event is too old.
    Retry,
    /// The service may not have understood: a few times.
    RetryAFewTimes,
    /// It has, and does not want it.
    Reject,
}

impl WorkerDeliveries {
    /// Delivers what comes, for as long as the worker runs.
    pub(super) fn start(
        deliveries: Arc<Deliveries>,
        upstream: Rc<Upstream>,
        forwarder: Option<Rc<Forwarder>>,
        limits: Arc<SharedLimits>,
        mut events: Events,
    ) {
        let (waiting, looking) = (RefCell::default(), Mutex::default());
        let worker = Rc::new(Self { deliveries, upstream, forwarder, limits, waiting, looking });
        tokio::task::spawn_local(async move {
            while let Some(event) = events.recv().await {
                Rc::clone(&worker).take(event);
            }
        });
    }

    fn take(self: Rc<Self>, event: Event) {
        let Some(key) = event.key else {
            let Some(task) = self.deliveries.bytes.take(TASK) else { return self.drop_newest(&event) };
            tokio::task::spawn_local(async move {
                let _held = task;
                self.deliver(&event).await;
            });
            return;
        };
        let mut waiting = self.waiting.borrow_mut();
        if let Some(line) = waiting.get_mut(&key) {
            if line.bytes + event.bytes > self.deliveries.bytes.limit() / 4 {
                return self.drop_newest(&event);
            }
            line.bytes += event.bytes;
            line.events.push_back(event);
            return;
        }
        let Some(task) = self.deliveries.bytes.take(TASK) else { return self.drop_newest(&event) };
        waiting.insert(key, Line { bytes: event.bytes, events: VecDeque::from([event]) });
        drop(waiting);
        tokio::task::spawn_local(async move {
            let _held = task;
            while let Some(event) = self.next_of(key) {
                self.deliver(&event).await;
                if let Some(line) = self.waiting.borrow_mut().get_mut(&key) {
                    line.bytes -= event.bytes;
                }
            }
        });
    }

    /// There is no room for it, after all.
    fn drop_newest(&self, event: &Event) {
        self.give_up(event, Delivered::Dropped, 0, None);
    }

    /// `None`, and the key is forgotten, when nothing waits for it.
    fn next_of(&self, key: u64) -> Option<Event> {
        let mut waiting = self.waiting.borrow_mut();
        let next = waiting.get_mut(&key).and_then(|line| line.events.pop_front());
        if next.is_none() {
            waiting.remove(&key);
        }
        next
    }

    /// Tells the service until it has understood, or there is no more point in it.
    async fn deliver(&self, event: &Event) {
        let (mut attempts, mut failures, mut pause) = (0, 0, FIRST_PAUSE);
        loop {
            self.wait_for_an_endpoint(event).await;
            if event.received.elapsed() >= event.settings.max_age {
                return self.give_up(event, Delivered::Expired, attempts, None);
            }
            attempts += 1;
            // Boxed, since thousands wait that are not attempted.
            let Err(error) = Box::pin(self.attempt(event, attempts)).await else {
                return self.deliveries.done(event, Delivered::Delivered);
            };
            let fate = fate(&error, &event.payload);
            failures += usize::from(fate == Fate::RetryAFewTimes);
            if fate == Fate::Reject || failures >= event.settings.max_attempts.get() {
                return self.give_up(event, Delivered::Rejected, attempts, Some(&error));
            }
            self.deliveries.metrics.delivery_retried();
            // Up to half as long again, so that those that failed together do not come together.
            self.deliveries.pause(pause + pause.mul_f64(fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn give_up(&self, event: &Event, how: Delivered, attempts: u32, error: Option<&CallError>) {
        self.deliveries.done(event, how);
        log::undelivered(event.callback, &event.operation_id, how, attempts, error);
        self.deliveries.metrics.errors.undelivered(event.callback, how, error);
    }

    /// While none is healthy nothing is attempted. When one is again, not all come at once.
    async fn wait_for_an_endpoint(&self, event: &Event) {
        if self.upstream.has_endpoint() || matches!(event.payload, Payload::Forward(_)) {
            return;
        }
        let back = async {
            let _looks = self.looking.lock().await;
            while !self.upstream.has_endpoint() {
                sleep(LOOK_AGAIN).await;
            }
        };
        let _too_old = timeout_at(event.received + event.settings.max_age, back).await;
        self.deliveries.pause(SPREAD.mul_f64(fastrand::f64())).await;
    }

    /// Tells the service once.
    async fn attempt(&self, event: &Event, attempt: u32) -> Result<(), CallError> {
        let deliveries = &self.deliveries;
        // Of the callback first: what waits for that holds up no other callback. They are never closed.
        let of_callback = deliveries.callbacks.index(event.callback).and_then(|index| deliveries.calls_of.get(index));
        let _of_callback = match of_callback {
            Some(calls) => calls.acquire().await.ok(),
            None => None,
        };
        let _call = deliveries.calls.acquire().await.ok();
        let deadline = Deadline::new(Instant::now(), event.settings.attempt_timeout);
        let frame = match (&event.payload, &self.forwarder) {
            (Payload::Service(frame), _) => frame,
            (Payload::Forward(request), Some(forwarder)) => {
                let mut request = (**request).clone();
                event.trace.write(event.trace.next_span(), &mut request.headers);
                return forwarder.pass(request, deadline, None, None).await.answer.map(|_| ());
            }
            (Payload::Forward(_), None) => return Err(ForwardError::NotStarted.into()),
        };
        let path = deliveries.callbacks.path(event.callback);
        let call = Call {
            path: &path,
            frame,
            operation_id: event.operation_id.metadata(),
            id: event.id,
            attempt: Some(attempt),
            trace: &event.trace,
            memory: &self.limits.body_bytes,
        };
        self.upstream.ask(&call, deadline).await.reply.map(|_| ())
    }
}

fn fate(error: &CallError, payload: &Payload) -> Fate {
    match error {
        // What a receiver may have read is not sent to it again.
        error if matches!(payload, Payload::Forward(_)) => match error {
            CallError::Connect(_) => Fate::Retry,
            _ => Fate::Reject,
        },
        CallError::NoEndpoint | CallError::Connect(_) | CallError::Broken { .. } | CallError::Limit(_) => Fate::Retry,
        CallError::Deadline => Fate::RetryAFewTimes,
        CallError::InvalidReply(_) | CallError::TwoMessages | CallError::Forward(_) | CallError::RefusalCode { .. } => {
            Fate::Reject
        }
        CallError::Status(status) => match status.code() {
            Code::Unavailable => Fate::Retry,
            Code::DeadlineExceeded
            | Code::Cancelled
            | Code::ResourceExhausted
            | Code::Unknown
            | Code::Internal
            | Code::Aborted
            | Code::Unauthenticated
            | Code::PermissionDenied => Fate::RetryAFewTimes,
            _ => Fate::Reject,
        },
    }
}
