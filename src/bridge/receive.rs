//! From an HTTP request to a callback that is served, or to the reason why it is rejected. The order of the checks is
//! the order of the table in docs/errors.md.

use std::{
    future::poll_fn,
    net::IpAddr,
    ops::ControlFlow::{self, Break, Continue},
    pin::Pin,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header, request::Parts};
use http_body::{Body, Frame};
use tokio::time::timeout_at;

use super::forward::ToForward;
use super::limits::{GivenUp, Held, Reading};
use super::parts::{Arrived, Bridge};
use super::settings::{CallbackPolicy, MissingOperationId};
use crate::base::{chunks::Chunks, deadline::Deadline};
use crate::callback::{BodyError, Callback, Codec, command_of_unknown};
use crate::openim::{OPERATION_ID_HEADER, OperationId, Rejection, UrlCommand};
use crate::outcome::Outcome;
use crate::policy::{Rest, Route, UnknownRoute};
use crate::telemetry::log;
use crate::upstream::{CallError, ErrorClass, bytes_of};

/// A request that has come in whole, whose URL names a callback that is served. Its body is not decoded yet.
pub(super) struct Received {
    callback: &'static Callback,
    policy: CallbackPolicy,
    deadline: Deadline,
    operation_id: OperationId,
    body: Bytes,
    held: Held,
}

impl Received {
    /// OpenIM's JSON to the service's protobuf.
    /// And what it holds.
    pub(super) fn decode(self, codec: Codec, uri: &Uri) -> ControlFlow<Outcome, (Arrived, Held)> {
        let Received { callback, policy, deadline, operation_id, body, held } = self;
        match (codec.decode)(callback, body, &operation_id) {
            Ok(question) => Continue((Arrived { operation_id, question, policy, deadline }, held)),
            Err(error) => Break(Outcome::rejected(error.into(), Some(callback)).of(operation_id).at(uri)),
        }
    }
}

/// What a request turns out to be.
pub(super) enum Request {
    Callback(Received),
    /// Another receiver is asked, and nothing of the body is read.
    Forward(ToForward),
}

/// Whose a request is that has come in whole.
enum Found {
    Callback(&'static Callback, CallbackPolicy),
    Forward(Option<&'static Callback>, CallbackPolicy),
}

/// Why a request does not come in.
enum NotReceived {
    /// It is not known, and may go on.
    Unknown,
    Rejected(Rejection),
    /// The limit of this name is reached.
    Overloaded(&'static str),
}

impl From<GivenUp> for NotReceived {
    fn from(GivenUp: GivenUp) -> Self {
        Self::Overloaded("limits.body_bytes")
    }
}

impl From<Rejection> for NotReceived {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// What the URL asks for.
enum UrlTarget {
    Known(&'static Callback, CallbackPolicy),
    /// One command as a parameter, and this other one that is served in its path. Rejected, once all else is right.
    Ambiguous(&'static Callback),
    /// Not known, but allowed where the body says the same name.
    Unknown(String),
    /// Not known, and another receiver's to answer.
    Forward,
}

impl UrlTarget {
    /// Whether what the head says may be another receiver's to know.
    fn may_be_forwarded(&self) -> bool {
        match self {
            Self::Known(_, policy) => policy.route == Route::Forward || policy.rest == Rest::Forward,
            Self::Forward => true,
            Self::Ambiguous(_) | Self::Unknown(_) => false,
        }
    }
}

impl Bridge {
    /// All that comes before the JSON. Leaves no headers but where another receiver may get them: they may take more memory
    /// than they had bytes, for as long as the body is waited for.
    pub(super) async fn receive<B>(
        &self,
        peer: IpAddr,
        head: &mut Parts,
        body: &mut B,
        deadline: Deadline,
    ) -> ControlFlow<Outcome, Request>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (target, operation_id) = match self.check(peer, head) {
            Ok(found) => found,
            Err(rejection) => {
                let outcome = Outcome::rejected(rejection, self.named(&UrlCommand::of(&head.uri)));
                return Break(identified(outcome, head).at(&head.uri));
            }
        };
        let headers = std::mem::take(&mut head.headers);
        let mut beside = operation_id.as_str().len() + head.uri.path_and_query().map_or(0, |path| path.as_str().len());
        if target.may_be_forwarded() {
            beside += bytes_of(&headers);
            head.headers = headers;
        }
        let deadline = match &target {
            UrlTarget::Known(_, policy) => deadline.of(policy.timeout),
            UrlTarget::Ambiguous(_) | UrlTarget::Unknown(_) | UrlTarget::Forward => deadline,
        };
        match self.request(target, &operation_id, beside, body, deadline).await {
            Ok((Found::Callback(callback, policy), body, held)) => {
                Continue(Request::Callback(Received { callback, policy, deadline, operation_id, body, held }))
            }
            Ok((Found::Forward(callback, policy), body, held)) => {
                Continue(Request::Forward(ToForward { callback, policy, deadline, operation_id, body, held }))
            }
            Err(NotReceived::Unknown) => Break(Outcome::unserved().of(operation_id).at(&head.uri)),
            Err(NotReceived::Rejected(rejection)) => {
                let outcome = Outcome::rejected(rejection, self.named(&UrlCommand::of(&head.uri)));
                Break(outcome.of(operation_id).at(&head.uri))
            }
            Err(NotReceived::Overloaded(limit)) => {
                let error = Some(CallError::Limit(limit));
                Break(self.fall_back_unread(ErrorClass::Overloaded, error, head).of(operation_id))
            }
        }
    }

    /// The fallback for a callback that was never read, so that its fields are not known; nor is whom a roll-out counts it
    /// for, so that it has effect unless the service's decisions have none for anybody.
    pub(super) fn fall_back_unread(&self, class: ErrorClass, error: Option<CallError>, head: &Parts) -> Outcome {
        let url = UrlCommand::of(&head.uri);
        let callback = self.named(&url);
        let allow_harms = callback.zip(url.name()).is_some_and(|(callback, command)| callback.needs_echo(command));
        let of_unknown = || self.settings.policy_of_unknown();
        let policy = callback.map_or_else(of_unknown, |callback| self.settings.policy(callback));
        let (all, own) = (&self.settings.fallback, policy.fallback);
        let outcome = Outcome::fallback_unread(all, own, class, callback, allow_harms, error);
        let is_in_shadow = policy.is_shadow() && !allow_harms;
        let outcome = if is_in_shadow { outcome.in_shadow() } else { outcome };
        identified(outcome, head)
    }

    /// The callback that a URL names, if by a command that does not count.
    fn named(&self, url: &UrlCommand<'_>) -> Option<&'static Callback> {
        let find = |name: Option<&str>| name.and_then(|name| self.callbacks.find(name));
        find(url.name()).or_else(|| find(url.segment.as_deref()))
    }

    /// What the head says.
    fn check(&self, peer: IpAddr, head: &Parts) -> Result<(UrlTarget, OperationId), Rejection> {
        let access = &self.settings.access;
        access.check(peer, &head.headers).inspect_err(|why| {
            if *why == Rejection::Address {
                log::not_allowed(peer, &access.allow);
            }
        })?;
        if head.method != Method::POST {
            return Err(Rejection::Method);
        }
        let url = UrlCommand::of(&head.uri);
        let target = self.target(&url)?;
        if url.content_type.is_some_and(|value| !value.eq_ignore_ascii_case("json")) {
            return Err(Rejection::ContentTypeParameter);
        }
        if !is_json(&head.headers) {
            return Err(Rejection::ContentType);
        }
        Ok((target, self.operation_id(&head.headers)?))
    }

    /// And what the body says. `beside`: what is held with it.
    async fn request<B>(
        &self,
        target: UrlTarget,
        operation_id: &OperationId,
        beside: usize,
        body: &mut B,
        deadline: Deadline,
    ) -> Result<(Found, Bytes, Held), NotReceived>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (body, held) = self.read(body, beside, deadline).await?;
        match target {
            UrlTarget::Known(callback, policy) if policy.route == Route::Forward => {
                Ok((Found::Forward(Some(callback), policy), body, held))
            }
            UrlTarget::Forward => Ok((Found::Forward(None, self.settings.policy_of_unknown()), body, held)),
            UrlTarget::Known(callback, policy) => Ok((Found::Callback(callback, policy), body, held)),
            UrlTarget::Ambiguous(callback) => match (self.callbacks.codec.decode)(callback, body, operation_id) {
                Err(BodyError::Malformed) => Err(Rejection::BodyMalformed.into()),
                Ok(_) | Err(BodyError::OtherCommand) => Err(Rejection::CommandAmbiguous.into()),
            },
            UrlTarget::Unknown(name) => match command_of_unknown(&body) {
                Some(command) if command == name => Err(NotReceived::Unknown),
                None if is_command(&name) => Err(Rejection::BodyMalformed.into()),
                _ => Err(not_served(&name).into()),
            },
        }
    }

    fn target(&self, url: &UrlCommand<'_>) -> Result<UrlTarget, Rejection> {
        let name = url.name().ok_or(Rejection::CommandMissing)?;
        let by_name = self.callbacks.find(name);
        if url.parameter.is_some()
            && let Some(in_path) = url.segment.as_deref().and_then(|name| self.callbacks.find(name))
            && by_name.is_none_or(|by_name| by_name.command != in_path.command)
        {
            return Ok(UrlTarget::Ambiguous(by_name.unwrap_or(in_path)));
        }
        match (by_name, self.settings.routes.unknown) {
            (Some(callback), _) => Ok(UrlTarget::Known(callback, self.settings.policy(callback))),
            (None, _) if url.swallowed => Err(Rejection::CommandSwallowed),
            (None, UnknownRoute::Allow) => Ok(UrlTarget::Unknown(name.to_owned())),
            (None, UnknownRoute::Forward) => Ok(UrlTarget::Forward),
            (None, UnknownRoute::Refuse) => Err(not_served(name)),
        }
    }

    fn operation_id(&self, headers: &HeaderMap) -> Result<OperationId, Rejection> {
        let found = headers.get(OPERATION_ID_HEADER).and_then(OperationId::from_header);
        match (found, self.settings.operation_id.missing) {
            (Some(found), _) => Ok(found),
            (None, MissingOperationId::Generate) => Ok(OperationId::generate()),
            (None, MissingOperationId::Refuse) => Err(Rejection::OperationId),
        }
    }

    /// The whole body, within the limits and the deadline.
    async fn read<B>(&self, body: &mut B, beside: usize, deadline: Deadline) -> Result<(Bytes, Held), NotReceived>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let limit = self.settings.limits.request_bytes.get();
        let announced = body.size_hint().lower();
        if announced > limit as u64 {
            return Err(Rejection::BodyTooLarge.into());
        }
        let expected = usize::try_from(announced).unwrap_or(limit);
        let mut reading = Reading::begin(&self.limits, expected, beside);
        let mut whole = Chunks::default();
        let all = async {
            while let Some(frame) = next_frame(body, &mut reading).await? {
                let frame = frame.map_err(|_| Rejection::BodyIncomplete)?;
                let Ok(chunk) = frame.into_data() else { continue };
                if whole.len() + chunk.len() > limit {
                    return Err(Rejection::BodyTooLarge.into());
                }
                reading.hold(whole.capacity_with(chunk.len(), expected))?;
                whole.push(chunk, expected);
            }
            Ok::<_, NotReceived>(())
        };
        timeout_at(deadline.at(), all).await.unwrap_or(Err(Rejection::BodyIncomplete.into()))?;
        Ok((whole.into_bytes(), reading.done()?))
    }
}

/// What comes next of a body, unless it is given up before that.
async fn next_frame<B>(
    body: &mut B,
    reading: &mut Reading<'_>,
) -> Result<Option<Result<Frame<Bytes>, B::Error>>, GivenUp>
where
    B: Body<Data = Bytes> + Unpin,
{
    poll_fn(|context| {
        reading.resume()?;
        let polled = Pin::new(&mut *body).poll_frame(context);
        if polled.is_pending() {
            reading.wait(context.waker());
        }
        polled.map(Ok)
    })
    .await
}

/// With the head's operation ID, where there is one.
fn identified(outcome: Outcome, head: &Parts) -> Outcome {
    let id = head.headers.get(OPERATION_ID_HEADER).and_then(OperationId::from_header);
    id.into_iter().fold(outcome, Outcome::of)
}

/// `application/json`, or any type built on it (`application/problem+json`), with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || (essence.contains('/') && essence.to_ascii_lowercase().ends_with("+json"))
}

/// What is wrong with a URL whose command is not served, or whose path only ends like that.
fn not_served(name: &str) -> Rejection {
    if is_command(name) { Rejection::CommandUnserved } else { Rejection::CommandMissing }
}

/// Whether a name looks like one of OpenIM's commands, and not like a path without one (`/callbackExample`).
fn is_command(name: &str) -> bool {
    name.strip_prefix("callback")
        .is_some_and(|rest| rest.ends_with("Command") || rest.starts_with("Before") || rest.starts_with("After"))
}
