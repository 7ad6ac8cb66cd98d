//! What became of a callback: one value, from which OpenIM's answer, the log line, the metrics and the span all come, so that they
//! can never disagree.
//!
//! - here: the [`Outcome`], and the words for it.
//! - [`origin`](Origin): where the answer came from, as a header of it says.
//! - [`compared`](Compared): how it compares with what another receiver said.
//! - [`delivered`](Delivered): what became of an after callback.
//! - [`span`](CallbackSpan): when and how the callback began, where a trace records it.
//!
//! Made by `bridge`, and read by `telemetry`.

mod compared;
mod delivered;
mod origin;
mod span;

use std::rc::Rc;

use http::{StatusCode, Uri};

use crate::callback::{Body, Callback, Decision};
use crate::openim::client::{OpenIm, Reading};
use crate::openim::{Fields, OperationId, Refusal, RefusalDefaults, Rejection, ReservedCode, Verdict, without_secrets};
use crate::policy::{FallbackActions, FallbackPolicy};
use crate::proto::Refuse;
use crate::upstream::{CallError, ErrorClass, Spent, Target, Try};
pub use compared::Compared;
pub use delivered::Delivered;
pub use origin::{HINT_HEADER, ORIGIN_HEADER, Origin};
pub(crate) use span::CallbackSpan;

/// What became of a callback, and why.
#[derive(Debug)]
pub struct Outcome {
    kind: OutcomeKind,
    source: Source,
    /// Whether it has no effect: OpenIM is told to go on.
    in_shadow: bool,
    reason: Option<Reason>,
    verdict: Verdict,
    /// What is known of the callback; less, the earlier the path ended. `None`: its URL names none that is served.
    pub(crate) callback: Option<&'static Callback>,
    pub(crate) operation_id: Option<OperationId>,
    /// What was asked for, where it is not a callback that is served.
    pub(crate) url: Option<String>,
    pub(crate) body: Option<Rc<Body>>,
    pub(crate) spent: Spent,
    pub(crate) endpoint: Option<Target>,
    pub(crate) tries: Vec<Try>,
    /// `None` where no trace records it.
    pub(crate) span: Option<Box<CallbackSpan>>,
    /// For the log; its class is in `reason`.
    pub(crate) error: Option<CallError>,
}

/// What OpenIM is told, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum OutcomeKind {
    Allow,
    /// Do not go on.
    Refuse,
    /// Go on with something else.
    Change,
}

/// Where the answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Source {
    Decision,
    /// The fallback policy, as there was no decision.
    Fallback,
    /// The decision service or the fallback policy, but without effect: `enforce_percent` let OpenIM go on.
    Shadow,
    /// Another receiver, which the team already has.
    Forward,
    /// The configuration, without asking anybody.
    Route,
    /// Nobody was waited for: OpenIM only tells, and the service is told in the background.
    Queued,
    /// The bridge itself, as the request is not a callback that it serves.
    Rejected,
}

/// Why it is not simply the decision service's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The class of what went wrong.
    Error(ErrorClass),
    /// What is wrong with the request.
    Rejected(Rejection),
    /// OpenIM cannot decode what the receiver answered, and fails its user's action.
    Undecodable,
    /// The command is not known, and `callbacks.unknown` allows that.
    Unserved,
}

impl Outcome {
    fn new(kind: OutcomeKind, source: Source, reason: Option<Reason>, verdict: Verdict) -> Self {
        Self {
            kind,
            source,
            in_shadow: false,
            reason,
            verdict,
            callback: None,
            operation_id: None,
            url: None,
            body: None,
            spent: Spent::default(),
            endpoint: None,
            tries: Vec::new(),
            span: None,
            error: None,
        }
    }

    /// The decision service decided.
    pub(crate) fn decided(decision: Decision, body: Rc<Body>, question: &[u8], defaults: &RefusalDefaults) -> Self {
        let new = |kind, reason, verdict| Self::new(kind, Source::Decision, reason, verdict);
        let outcome = match decision {
            Decision::Allow => new(OutcomeKind::Allow, None, Verdict::go_on(body.echo())),
            Decision::Change(fields) => new(OutcomeKind::Change, None, Verdict::go_on(fields)),
            Decision::Refuse(refuse) => {
                // A refusal stays a refusal.
                let (refusal, error) = match completed(refuse, defaults) {
                    Ok(refusal) => (refusal, None),
                    Err((refusal, Refuse { code, message, .. })) => {
                        (refusal, Some(CallError::refusal_code(code, &defaults.codes, &message, question)))
                    }
                };
                let reason = error.is_some().then_some(Reason::Error(ErrorClass::InvalidReply));
                let verdict = Verdict { refusal: Some(refusal), fields: body.echo() };
                Self { error, ..new(OutcomeKind::Refuse, reason, verdict) }
            }
        };
        outcome.about(body)
    }

    /// There is no decision, because of `error`, so the policy decides.
    pub(crate) fn fallback(
        policy: &FallbackPolicy,
        own: FallbackActions,
        class: ErrorClass,
        body: Rc<Body>,
        error: Option<CallError>,
    ) -> Self {
        let refusal = policy.refusal(class, Some(body.callback()), own, false);
        Self::fallen_back(class, Verdict { refusal, fields: body.echo() }, error).about(body)
    }

    /// The same where the body was not read. `allow_harms`: whether an allow does harm that repeats nothing of it.
    pub(crate) fn fallback_unread(
        policy: &FallbackPolicy,
        own: FallbackActions,
        class: ErrorClass,
        callback: Option<&'static Callback>,
        allow_harms: bool,
        error: Option<CallError>,
    ) -> Self {
        let refusal = policy.refusal(class, callback, own, allow_harms);
        Self { callback, ..Self::fallen_back(class, Verdict { refusal, fields: Fields::default() }, error) }
    }

    fn fallen_back(class: ErrorClass, verdict: Verdict, error: Option<CallError>) -> Self {
        let kind = if verdict.refusal.is_some() { OutcomeKind::Refuse } else { OutcomeKind::Allow };
        Self { error, ..Self::new(kind, Source::Fallback, Some(Reason::Error(class)), verdict) }
    }

    /// The request is not a callback that the bridge can serve; `callback` is the one that its URL names.
    pub(crate) fn rejected(rejection: Rejection, callback: Option<&'static Callback>) -> Self {
        let may_go_on = rejection.is_about_content() && callback.is_some_and(Callback::only_service_may_refuse);
        let kind = if may_go_on { OutcomeKind::Allow } else { OutcomeKind::Refuse };
        let verdict = Verdict { refusal: (!may_go_on).then(|| rejection.refusal()), fields: Fields::default() };
        Self { callback, ..Self::new(kind, Source::Rejected, Some(Reason::Rejected(rejection)), verdict) }
    }

    /// OpenIM only tells, and goes on whatever it is answered. Without a place in the queue the service is never told.
    pub(crate) fn queued(callback: &'static Callback, is_queued: bool) -> Self {
        let reason = (!is_queued).then_some(Reason::Error(ErrorClass::Overloaded));
        let new = Self::new(OutcomeKind::Allow, Source::Queued, reason, Verdict::go_on(Fields::default()));
        let error = (!is_queued).then_some(CallError::Limit("delivery.queue_bytes"));
        Self { error, callback: Some(callback), ..new }
    }

    /// Another receiver answered, and OpenIM makes this of it. `callback`: `None` where the registry does not know it.
    pub(crate) fn forwarded(callback: Option<&'static Callback>, reading: &Reading) -> Self {
        let (kind, reason) = match reading.open_im() {
            OpenIm::GoesOn => (OutcomeKind::Allow, None),
            OpenIm::Refused { .. } => (OutcomeKind::Refuse, None),
            OpenIm::Fails { .. } => (OutcomeKind::Refuse, Some(Reason::Undecodable)),
        };
        let new = Self::new(kind, Source::Forward, reason, Verdict::go_on(Fields::default()));
        Self { callback, ..new }
    }

    /// The configuration decides; no service is called.
    pub(crate) fn routed(body: Rc<Body>, is_refused: bool, defaults: &RefusalDefaults) -> Self {
        let code = ReservedCode::Route.into();
        let refusal = is_refused.then(|| Refusal { code, message: defaults.message.clone(), detail: String::new() });
        let kind = if is_refused { OutcomeKind::Refuse } else { OutcomeKind::Allow };
        Self::new(kind, Source::Route, None, Verdict { refusal, fields: body.echo() }).about(body)
    }

    /// An unknown command may go on, without any fields.
    pub(crate) fn unserved() -> Self {
        Self::new(OutcomeKind::Allow, Source::Route, Some(Reason::Unserved), Verdict::go_on(Fields::default()))
    }

    pub(crate) fn of(self, operation_id: OperationId) -> Self {
        Self { operation_id: Some(operation_id), ..self }
    }

    pub(crate) fn at(self, uri: &Uri) -> Self {
        Self { url: Some(without_secrets(uri)), ..self }
    }

    /// With what came.
    pub(crate) fn read(self, body: Rc<Body>) -> Self {
        self.about(body)
    }

    fn about(self, body: Rc<Body>) -> Self {
        Self { callback: Some(body.callback()), body: Some(body), ..self }
    }

    pub(crate) fn after(self, spent: Spent, endpoint: Option<Target>, tries: Vec<Try>) -> Self {
        Self { spent, endpoint, tries, ..self }
    }

    pub(crate) fn recorded_by(self, span: Option<Box<CallbackSpan>>) -> Self {
        Self { span, ..self }
    }

    /// It is what would have become of the callback: OpenIM was told to go on.
    pub(crate) fn in_shadow(self) -> Self {
        Self { in_shadow: true, ..self }
    }

    /// What OpenIM is told, or in the shadow would have been, in a word.
    #[must_use]
    pub const fn kind(&self) -> OutcomeKind {
        self.kind
    }

    /// Where the answer came from.
    #[must_use]
    pub const fn source(&self) -> Source {
        if self.in_shadow { Source::Shadow } else { self.source }
    }

    /// The same, also in the shadow.
    #[must_use]
    pub const fn decided_by(&self) -> Source {
        self.source
    }

    /// Why it is not simply the decision service's decision.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// What OpenIM is told, or in the shadow would have been.
    #[must_use]
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Where the answer comes from.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        match (self.source(), self.reason) {
            (Source::Shadow, _) => Origin::Shadow,
            (Source::Queued, _) => Origin::Queued,
            (Source::Forward, _) => Origin::Forwarded,
            (Source::Fallback, Some(Reason::Error(class))) => Origin::Fallback(class),
            (Source::Rejected, Some(Reason::Rejected(rejection))) => Origin::Rejected(rejection.code()),
            // A fallback has its class, and what is rejected its reason.
            (Source::Route | Source::Fallback | Source::Rejected, _) => Origin::Route,
            (Source::Decision, _) => Origin::Decision,
        }
    }

    /// What would be right, where the request was not. For operators.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self.reason {
            Some(Reason::Rejected(rejection)) => rejection.hint(),
            _ => None,
        }
    }

    /// 200 for every decision and every fallback; the rejection's own otherwise.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self.reason {
            Some(Reason::Rejected(rejection)) => rejection.status(),
            _ => StatusCode::OK,
        }
    }
}

/// A refusal as it is sent: `Err`, with the service's own, when its code is outside the service's range.
fn completed(refuse: Refuse, defaults: &RefusalDefaults) -> Result<Refusal, (Refusal, Refuse)> {
    let code = match refuse.code {
        0 => Some(defaults.code),
        code => defaults.codes.allowed(code),
    };
    let Some(code) = code else {
        let code = ReservedCode::InvalidReply.into();
        return Err((Refusal { code, message: defaults.message.clone(), detail: String::new() }, refuse));
    };
    let message = if refuse.message.is_empty() { defaults.message.clone() } else { refuse.message };
    Ok(Refusal { code, message, detail: refuse.detail })
}

impl Reason {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error(class) => class.into_str(),
            Self::Rejected(rejection) => rejection.name(),
            Self::Unserved => "unserved",
            Self::Undecodable => "undecodable",
        }
    }
}
