//! The connections to the service under test, one question, and what every reply is held against.

use std::{
    cell::{Cell, RefCell},
    fmt,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use prost::Message as _;
use tokio::{task::yield_now, time::sleep};

use super::samples::{CheckSample, quoted};
use crate::base::error_chain;
use crate::base::grpc_status;
use crate::openim::RefusalCode;
use crate::proto::{BeforeSetFriendRemarkResponse, Refuse, ReplaceRemark, before_set_friend_remark_response::Decision};
use crate::upstream::{CallError, Direct, DirectConnection, Retry, Target};

/// Connections, as one worker of the bridge has them to one endpoint at most.
pub(super) const LANES: usize = 4;

const METHOD: &str = "/openim.bridge.v1.FriendCallbackService/BeforeSetFriendRemark";

/// An error with less of the timeout left than this is a matter of the timeout.
const TIMEOUT_MARGIN: Duration = Duration::from_millis(10);

/// So many invalid replies are kept, to be shown.
const KEPT: usize = 3;

/// Turns of the runtime within which a call has been written to its connection, and too few for an answer to be read.
const TURNS_TO_SEND: usize = 8;

/// How long the service may take.
#[derive(Debug, Clone, Copy)]
pub struct CheckLimits {
    /// For an ordinary call.
    pub deadline: Duration,
    /// For any other one. Sent with every call, as its gRPC deadline.
    pub timeout: Duration,
}

pub(super) struct Session {
    direct: Direct,
    pub(super) limits: CheckLimits,
    lanes: [RefCell<Option<DirectConnection>>; LANES],
    replies: Cell<usize>,
    invalid: Cell<usize>,
    /// The first few of them.
    shown: RefCell<Vec<String>>,
}

/// A reply that came in time with the status OK.
#[derive(Debug)]
pub(super) struct TimedReply {
    pub(super) decision: Result<Decision, InvalidReply>,
    pub(super) took: Duration,
}

/// Why a reply holds no valid decision.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum InvalidReply {
    #[error("it does not decode: {0}")]
    Undecodable(prost::DecodeError),
    #[error("no decision is set")]
    Unset,
    #[error("it refuses with the code {0}, which is not one of 5000 to 9899")]
    Code(i32),
    #[error("it replaces the remark by an empty one")]
    EmptyReplacement,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum NoReply {
    #[error("no reply within {}", humantime::format_duration(*.0))]
    Late(Duration),
    #[error("the status {code} instead of a decision{message}")]
    Status { code: StatusName, message: String },
    #[error("a reply with more than one message, where the rpc has one")]
    TwoMessages,
    /// The connection could not be had, or broke.
    #[error("{0}")]
    Broken(String),
}

impl NoReply {
    /// More questions of the same kind would tell no more, and take their time.
    pub(super) const fn ends_the_case(&self) -> bool {
        matches!(self, Self::Late(_) | Self::Broken(_))
    }
}

/// A status as gRPC writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StatusName(pub(super) tonic::Code);

impl fmt::Display for StatusName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(grpc_status::name(self.0))
    }
}

impl Session {
    pub(super) fn new(direct: Direct, limits: CheckLimits) -> Self {
        Self {
            direct,
            limits,
            lanes: Default::default(),
            replies: Cell::default(),
            invalid: Cell::default(),
            shown: RefCell::default(),
        }
    }

    /// Makes the first connection.
    pub(super) async fn connect(&self) -> Result<Target, String> {
        let lane = self.lane(0).await.map_err(|why| why.to_string())?;
        Ok(lane.target().clone())
    }

    /// Makes all of them, so that calls that begin together find them.
    pub(super) async fn connect_all(&self) -> Result<(), NoReply> {
        for number in 0..LANES {
            self.lane(number).await?;
        }
        Ok(())
    }

    /// Asks on the first lane.
    pub(super) async fn ask(&self, sample: &CheckSample) -> Result<TimedReply, NoReply> {
        self.ask_on(0, sample).await
    }

    pub(super) async fn ask_on(&self, lane: usize, sample: &CheckSample) -> Result<TimedReply, NoReply> {
        let began = Instant::now();
        let reply = self.call(lane, METHOD, sample.message(), self.limits.timeout).await?;
        let decision = decision(reply);
        self.note(sample, &decision);
        Ok(TimedReply { decision, took: began.elapsed() })
    }

    /// One call. What the service has never seen, such as on a connection that it had closed meanwhile, is asked again on
    /// a new one, as the bridge does.
    pub(super) async fn call(
        &self,
        lane: usize,
        method: &'static str,
        message: Bytes,
        limit: Duration,
    ) -> Result<Bytes, NoReply> {
        let began = Instant::now();
        let mut error = match self.lane(lane).await?.call(method, message.clone(), limit).await {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        if let CallError::Broken { retry, .. } = &error {
            let never_seen = matches!(retry, Retry::Unsent | Retry::Free);
            self.forget(lane);
            if never_seen {
                let left = limit.saturating_sub(began.elapsed());
                match self.lane(lane).await?.call(method, message, left).await {
                    Ok(reply) => return Ok(reply),
                    Err(again) => error = again,
                }
            }
        }
        Err(no_reply(&error, limit, limit.saturating_sub(began.elapsed())))
    }

    /// Begins a call and cancels it `after` a while; with no while at all, as soon as it was sent. `false` when it ended
    /// before that.
    pub(super) async fn cancel(&self, lane: usize, sample: &CheckSample, after: Duration) -> bool {
        let number = lane % LANES;
        let Ok(connection) = self.lane(number).await else { return false };
        let call = std::pin::pin!(connection.call(METHOD, sample.message(), self.limits.timeout));
        let patience = std::pin::pin!(async {
            for _ in 0..TURNS_TO_SEND {
                yield_now().await;
            }
            if !after.is_zero() {
                sleep(after).await;
            }
        });
        match select(call, patience).await {
            Either::Right(_) => true,
            Either::Left((ended, _)) => {
                if matches!(ended, Err(CallError::Broken { .. })) {
                    self.forget(number);
                }
                false
            }
        }
    }

    async fn lane(&self, number: usize) -> Result<DirectConnection, NoReply> {
        let place = &self.lanes[number % LANES];
        if let Some(open) = &*place.borrow() {
            return Ok(open.clone());
        }
        let connected = self.direct.connect().await;
        let made = connected.map_err(|error| NoReply::Broken(error_chain::text(&error)))?;
        // Another call may have been quicker.
        Ok(place.borrow_mut().get_or_insert(made).clone())
    }

    /// The next call makes a new connection.
    fn forget(&self, lane: usize) {
        self.lanes[lane % LANES].replace(None);
    }

    fn note(&self, sample: &CheckSample, decision: &Result<Decision, InvalidReply>) {
        self.replies.set(self.replies.get() + 1);
        let Err(invalid) = decision else { return };
        self.invalid.set(self.invalid.get() + 1);
        let mut shown = self.shown.borrow_mut();
        if shown.len() < KEPT {
            shown.push(format!("to {sample}: {invalid}"));
        }
    }

    /// All replies so far, how many of them hold no valid decision, and the first few of those.
    pub(super) fn replies(&self) -> (usize, usize, Vec<String>) {
        (self.replies.get(), self.invalid.get(), self.shown.borrow().clone())
    }
}

fn decision(reply: Bytes) -> Result<Decision, InvalidReply> {
    let reply = BeforeSetFriendRemarkResponse::decode(reply).map_err(InvalidReply::Undecodable)?;
    match reply.decision.ok_or(InvalidReply::Unset)? {
        // 0 is unset: the bridge's default.
        Decision::Refuse(Refuse { code, .. }) if code != 0 && RefusalCode::from_app(code).is_none() => {
            Err(InvalidReply::Code(code))
        }
        Decision::ReplaceRemark(ReplaceRemark { remark }) if remark.is_empty() => Err(InvalidReply::EmptyReplacement),
        decision => Ok(decision),
    }
}

fn no_reply(error: &CallError, limit: Duration, left: Duration) -> NoReply {
    match error {
        _ if left < TIMEOUT_MARGIN => NoReply::Late(limit),
        CallError::Status(status) => {
            let message = status.message();
            let message = if message.is_empty() { String::new() } else { format!(" ({})", quoted(message)) };
            NoReply::Status { code: StatusName(status.code()), message }
        }
        CallError::TwoMessages => NoReply::TwoMessages,
        error => NoReply::Broken(error_chain::text(error)),
    }
}

/// A decision in words.
pub(super) fn words(decision: &Decision) -> String {
    match decision {
        Decision::Allow(_) => "allow".to_owned(),
        Decision::Refuse(Refuse { code, message, detail }) => {
            let detail = if detail.is_empty() { String::new() } else { format!(" and detail {}", quoted(detail)) };
            format!("refuse with code {code}, message {}{detail}", quoted(message))
        }
        Decision::ReplaceRemark(ReplaceRemark { remark }) => format!("replace by {}", quoted(remark)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rpc_is_one_that_the_bridge_calls() {
        assert!(crate::callback::CALLBACKS.iter().any(|callback| callback.rpc.path == METHOD));
    }
}
