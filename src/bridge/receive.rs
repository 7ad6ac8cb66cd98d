//! From an HTTP request to a callback that is served, or to the reason why it is rejected. The order of the checks is
//! the order of the README's table of codes.

use std::{
    net::IpAddr,
    ops::ControlFlow::{self, Break, Continue},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header, request::Parts};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::timeout_at;

use super::forward::ToForward;
use super::limits::Permit;
use super::parts::{Arrived, Bridge};
use super::settings::{CallbackPolicy, MissingOperationId};
use crate::base::{chunks::Chunks, deadline::Deadline};
use crate::callback::{BodyError, Callback, Codec, command_of_unknown};
use crate::openim::{OPERATION_ID_HEADER, OperationId, Rejection, UrlCommand};
use crate::outcome::Outcome;
use crate::policy::{FallbackActions, Percent, Route, UnknownRoute};
use crate::upstream::{CallError, ErrorClass};

/// A request that has come in whole, whose URL names a callback that is served. Its body is not decoded yet.
pub(super) struct Received {
    callback: &'static Callback,
    policy: CallbackPolicy,
    deadline: Deadline,
    operation_id: OperationId,
    body: Bytes,
    /// The body's share of `limits.body_bytes`, held until the answer is there.
    permit: Permit,
}

impl Received {
    /// OpenIM's JSON to the service's protobuf.
    pub(super) fn decode(self, codec: Codec, uri: &Uri) -> ControlFlow<Outcome, Arrived> {
        let Received { callback, policy, deadline, operation_id, body, permit } = self;
        match (codec.decode)(callback, body, &operation_id) {
            Ok(question) => Continue(Arrived { operation_id, question, permit, policy, deadline }),
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

/// Why a request does not come in.
enum NotReceived {
    /// It is not known, and may go on.
    Unknown(OperationId),
    Rejected(Rejection),
    /// The limit of this name is reached.
    Overloaded(&'static str),
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

impl Bridge {
    /// All that comes before the JSON.
    pub(super) async fn receive<B>(
        &self,
        peer: IpAddr,
        head: &Parts,
        body: &mut B,
        deadline: Deadline,
    ) -> ControlFlow<Outcome, Request>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        match self.request(peer, head, body, deadline).await {
            Ok(request) => Continue(request),
            Err(NotReceived::Unknown(operation_id)) => Break(Outcome::unserved().of(operation_id).at(&head.uri)),
            Err(NotReceived::Rejected(rejection)) => {
                let outcome = Outcome::rejected(rejection, self.named(&UrlCommand::of(&head.uri)));
                Break(identified(outcome, head).at(&head.uri))
            }
            Err(NotReceived::Overloaded(limit)) => {
                Break(self.fall_back_unread(ErrorClass::Overloaded, Some(CallError::Limit(limit)), head))
            }
        }
    }

    /// The fallback for a callback that was never read, so that its fields are not known; nor is whom a roll-out counts it
    /// for, so that it has effect unless it has for nobody.
    pub(super) fn fall_back_unread(&self, class: ErrorClass, error: Option<CallError>, head: &Parts) -> Outcome {
        let url = UrlCommand::of(&head.uri);
        let callback = self.named(&url);
        let allow_harms = callback.zip(url.name()).is_some_and(|(callback, command)| callback.needs_echo(command));
        let (percent, own) = match callback.map(|callback| self.settings.policy(callback)) {
            Some(policy) => (policy.enforce_percent, policy.fallback),
            None => (self.settings.decision.enforce_percent, FallbackActions::default()),
        };
        let outcome = Outcome::fallback_unread(&self.settings.fallback, own, class, callback, allow_harms, error);
        let is_in_shadow = percent == Percent::NONE && !allow_harms;
        let outcome = if is_in_shadow { outcome.in_shadow() } else { outcome };
        identified(outcome, head)
    }

    /// The callback that a URL names, if by a command that does not count.
    fn named(&self, url: &UrlCommand<'_>) -> Option<&'static Callback> {
        let find = |name: Option<&str>| name.and_then(|name| self.callbacks.find(name));
        find(url.name()).or_else(|| find(url.segment.as_deref()))
    }

    async fn request<B>(
        &self,
        peer: IpAddr,
        head: &Parts,
        body: &mut B,
        deadline: Deadline,
    ) -> Result<Request, NotReceived>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        self.settings.access.check(peer, &head.headers)?;
        if head.method != Method::POST {
            return Err(Rejection::Method.into());
        }
        let url = UrlCommand::of(&head.uri);
        let target = self.target(&url)?;
        if url.content_type.is_some_and(|value| !value.eq_ignore_ascii_case("json")) {
            return Err(Rejection::ContentTypeParameter.into());
        }
        if !is_json(&head.headers) {
            return Err(Rejection::ContentType.into());
        }
        let operation_id = self.operation_id(&head.headers)?;
        let deadline = match &target {
            UrlTarget::Known(_, policy) => deadline.of(policy.timeout),
            UrlTarget::Ambiguous(_) | UrlTarget::Unknown(_) | UrlTarget::Forward => deadline,
        };
        let (body, permit) = self.read(body, deadline).await?;
        let to_forward = |callback, policy, body, permit, operation_id| {
            Ok(Request::Forward(ToForward { callback, policy, deadline, operation_id, body, permit }))
        };
        match target {
            UrlTarget::Known(callback, policy) if policy.route == Route::Forward => {
                to_forward(Some(callback), policy, body, permit, operation_id)
            }
            UrlTarget::Forward => to_forward(None, self.settings.policy_of_unknown(), body, permit, operation_id),
            UrlTarget::Known(callback, policy) => {
                Ok(Request::Callback(Received { callback, policy, deadline, operation_id, body, permit }))
            }
            UrlTarget::Ambiguous(callback) => match (self.callbacks.codec.decode)(callback, body, &operation_id) {
                Err(BodyError::Malformed) => Err(Rejection::BodyMalformed.into()),
                Ok(_) | Err(BodyError::OtherCommand) => Err(Rejection::CommandAmbiguous.into()),
            },
            UrlTarget::Unknown(name) => match command_of_unknown(&body) {
                Some(command) if command == name => Err(NotReceived::Unknown(operation_id)),
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
    async fn read<B>(&self, body: &mut B, deadline: Deadline) -> Result<(Bytes, Permit), NotReceived>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let limit = self.settings.limits.request_bytes.get();
        if body.size_hint().lower() > limit as u64 {
            return Err(Rejection::BodyTooLarge.into());
        }
        let overloaded = NotReceived::Overloaded("limits.body_bytes");
        let Some(mut permit) = self.limits.body_bytes.take(0) else { return Err(overloaded) };
        let mut whole = Chunks::default();
        let reading = async {
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| Rejection::BodyIncomplete)?;
                let Ok(chunk) = frame.into_data() else { continue };
                if whole.len() + chunk.len() > limit {
                    return Err(Rejection::BodyTooLarge.into());
                }
                if !permit.grow(chunk.len()) {
                    return Err(overloaded);
                }
                whole.push(chunk);
            }
            Ok(())
        };
        timeout_at(deadline.at(), reading).await.unwrap_or(Err(Rejection::BodyIncomplete.into()))?;
        Ok((whole.into_bytes(), permit))
    }
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
