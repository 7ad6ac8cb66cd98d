//! From an HTTP request to a callback that is served, or to the reason why it is turned away. The order of the checks is
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

use super::limits::Permit;
use super::parts::{Arrived, Bridge};
use super::settings::{MissingOperationId, Unserved};
use crate::base::{chunks::Chunks, deadline::Deadline};
use crate::callback::{BodyError, Served, command_of_unserved};
use crate::openim::{BadRequest, OPERATION_ID_HEADER, OperationId, UrlCommand};
use crate::outcome::Outcome;
use crate::policy::Percent;
use crate::upstream::{CallError, ErrorClass};

/// A request that has come in whole, whose URL names a callback that is served. Its body is not decoded yet.
pub(super) struct Received {
    served: &'static Served,
    operation_id: OperationId,
    body: Bytes,
    /// The body's share of `limits.body_bytes`, held until the answer is there.
    permit: Permit,
}

impl Received {
    /// OpenIM's JSON to the App's protobuf.
    pub(super) fn decode(self, uri: &Uri) -> ControlFlow<Outcome, Arrived> {
        let Received { served, operation_id, body, permit } = self;
        match served.decode(&body, &operation_id) {
            Ok(question) => Continue(Arrived { served, operation_id, question, body: permit }),
            Err(error) => Break(Outcome::bad_request(error.into()).serving(served).of(operation_id).at(uri)),
        }
    }
}

/// What a request turns out to be.
enum Request {
    Callback(Received),
    /// A callback that is not served and may go on.
    Unserved(OperationId),
}

/// Why a request does not come in.
enum Rejected {
    Bad(BadRequest),
    /// The limit of this name is reached.
    Overloaded(&'static str),
}

impl From<BadRequest> for Rejected {
    fn from(bad: BadRequest) -> Self {
        Self::Bad(bad)
    }
}

/// What the URL asks for.
enum UrlTarget {
    Served(&'static Served),
    /// One command as a parameter, and this other one that is served in its path. Turned away, once all else is right.
    Ambiguous(&'static Served),
    /// Not served, but allowed where the body says the same name.
    Unserved(String),
}

impl Bridge {
    /// All that comes before the JSON.
    pub(super) async fn receive<B>(
        &self,
        peer: IpAddr,
        head: &Parts,
        body: &mut B,
        deadline: Deadline,
    ) -> ControlFlow<Outcome, Received>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        match self.request(peer, head, body, deadline).await {
            Ok(Request::Callback(received)) => Continue(received),
            Ok(Request::Unserved(operation_id)) => Break(Outcome::unserved().of(operation_id).at(&head.uri)),
            Err(Rejected::Bad(bad)) => Break(self.as_named(Outcome::bad_request(bad), head).at(&head.uri)),
            Err(Rejected::Overloaded(limit)) => {
                Break(self.fall_back_unread(ErrorClass::Overloaded, Some(CallError::Limit(limit)), head))
            }
        }
    }

    /// The fallback for a callback that was never read, so that its fields are not known, and OpenIM keeps its user's;
    /// nor is its owner, so that it has effect unless no owner's has.
    pub(super) fn fall_back_unread(&self, class: ErrorClass, error: Option<CallError>, head: &Parts) -> Outcome {
        let outcome = Outcome::fallback(&self.settings.fallback, class, vec![], error);
        let is_in_shadow = self.settings.decision.enforce_percent == Percent::NONE;
        self.as_named(if is_in_shadow { outcome.in_shadow() } else { outcome }, head)
    }

    /// What the head alone names, of a request that never came in whole.
    fn as_named(&self, outcome: Outcome, head: &Parts) -> Outcome {
        let url = UrlCommand::of(&head.uri);
        let served = url.name().and_then(|name| self.registry.iter().find(|served| served.is_named(name)));
        let outcome = served.into_iter().fold(outcome, Outcome::serving);
        let id = head.headers.get(OPERATION_ID_HEADER).and_then(OperationId::from_header);
        id.into_iter().fold(outcome, Outcome::of)
    }

    async fn request<B>(
        &self,
        peer: IpAddr,
        head: &Parts,
        body: &mut B,
        deadline: Deadline,
    ) -> Result<Request, Rejected>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        self.settings.access.check(peer, &head.headers)?;
        if head.method != Method::POST {
            return Err(BadRequest::Method.into());
        }
        let url = UrlCommand::of(&head.uri);
        let target = self.target(&url)?;
        if url.content_type.is_some_and(|value| !value.eq_ignore_ascii_case("json")) {
            return Err(BadRequest::ContentTypeParameter.into());
        }
        if !is_json(&head.headers) {
            return Err(BadRequest::ContentType.into());
        }
        let operation_id = self.operation_id(&head.headers)?;
        let (body, permit) = self.read(body, deadline).await?;
        match target {
            UrlTarget::Served(served) => Ok(Request::Callback(Received { served, operation_id, body, permit })),
            UrlTarget::Ambiguous(served) => match served.decode(&body, &operation_id) {
                Err(BodyError::Malformed) => Err(BadRequest::BodyMalformed.into()),
                Ok(_) | Err(BodyError::OtherCommand) => Err(BadRequest::CommandAmbiguous.into()),
            },
            UrlTarget::Unserved(name) => match command_of_unserved(&body) {
                Some(command) if command == name => Ok(Request::Unserved(operation_id)),
                None if is_command(&name) => Err(BadRequest::BodyMalformed.into()),
                _ => Err(not_served(&name).into()),
            },
        }
    }

    fn target(&self, url: &UrlCommand<'_>) -> Result<UrlTarget, BadRequest> {
        let served = |name: &str| self.registry.iter().find(|served| served.is_named(name));
        let name = url.name().ok_or(BadRequest::CommandMissing)?;
        let by_name = served(name);
        if url.parameter.is_some()
            && let Some(in_path) = url.segment.as_deref().and_then(served)
            && by_name.is_none_or(|by_name| by_name.command != in_path.command)
        {
            return Ok(UrlTarget::Ambiguous(by_name.unwrap_or(in_path)));
        }
        match (by_name, self.settings.commands.unserved) {
            (Some(served), _) => Ok(UrlTarget::Served(served)),
            (None, _) if url.swallowed => Err(BadRequest::CommandSwallowed),
            (None, Unserved::Allow) => Ok(UrlTarget::Unserved(name.to_owned())),
            (None, Unserved::Refuse) => Err(not_served(name)),
        }
    }

    fn operation_id(&self, headers: &HeaderMap) -> Result<OperationId, BadRequest> {
        let found = headers.get(OPERATION_ID_HEADER).and_then(OperationId::from_header);
        match (found, self.settings.operation_id.missing) {
            (Some(found), _) => Ok(found),
            (None, MissingOperationId::Generate) => Ok(OperationId::generate()),
            (None, MissingOperationId::Refuse) => Err(BadRequest::OperationId),
        }
    }

    /// The whole body, within the limits and the deadline.
    async fn read<B>(&self, body: &mut B, deadline: Deadline) -> Result<(Bytes, Permit), Rejected>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let limit = self.settings.limits.request_bytes.get();
        if body.size_hint().lower() > limit as u64 {
            return Err(BadRequest::BodyTooLarge.into());
        }
        let overloaded = Rejected::Overloaded("limits.body_bytes");
        let Some(mut permit) = self.limits.body_bytes.take(0) else { return Err(overloaded) };
        let mut whole = Chunks::default();
        let reading = async {
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| BadRequest::BodyIncomplete)?;
                let Ok(chunk) = frame.into_data() else { continue };
                if whole.len() + chunk.len() > limit {
                    return Err(BadRequest::BodyTooLarge.into());
                }
                if !permit.grow(chunk.len()) {
                    return Err(overloaded);
                }
                whole.push(chunk);
            }
            Ok(())
        };
        timeout_at(deadline.at(), reading).await.unwrap_or(Err(BadRequest::BodyIncomplete.into()))?;
        Ok((whole.into_bytes(), permit))
    }
}

/// `application/json`, or any type built on it (`application/problem+json`), with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || (essence.contains('/') && essence.to_ascii_lowercase().ends_with("+json"))
}

/// What is wrong with a URL whose command is not served, or whose path only ends like that.
fn not_served(name: &str) -> BadRequest {
    if is_command(name) { BadRequest::CommandUnserved } else { BadRequest::CommandMissing }
}

/// Whether a name looks like one of OpenIM's commands, and not like a path without one (`/callbackExample`).
fn is_command(name: &str) -> bool {
    name.strip_prefix("callback")
        .is_some_and(|rest| rest.ends_with("Command") || rest.starts_with("Before") || rest.starts_with("After"))
}
