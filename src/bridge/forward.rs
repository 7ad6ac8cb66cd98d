//! What another receiver decides, which a team already has: the request goes on to it as it came, and its answer back to
//! OpenIM as it came.

use std::{future::ready, rc::Rc};

use bytes::Bytes;
use futures_util::future::Either;
use http::{HeaderMap, HeaderValue, Uri, header, request::Parts};

use super::compare::compare;
use super::delivery::Payload;
use super::limits::Held;
use super::parts::{Answer, Arrived, Bridge};
use super::settings::CallbackPolicy;
use crate::base::{deadline::Deadline, memory::Permit, trace_context::Propagation};
use crate::callback::{Callback, Question};
use crate::openim::{OperationId, UrlCommand, client::Reading, last_segment};
use crate::outcome::{CallbackSpan, Origin, Outcome};
use crate::telemetry::log;
use crate::upstream::{CallError, ForwardAnswer, ForwardError, Forwarded, Passed, bytes_of, without_hop_by_hop};

/// A request that is to be forwarded. It has come in whole, and nothing of its body is known.
pub(super) struct ToForward {
    /// `None`: the registry does not know it.
    pub(super) callback: Option<&'static Callback>,
    pub(super) policy: CallbackPolicy,
    pub(super) deadline: Deadline,
    pub(super) operation_id: OperationId,
    pub(super) body: Bytes,
    pub(super) held: Held,
}

impl Bridge {
    /// The request as the receiver gets it. Credentials that the bridge has checked are not the receiver's to know.
    pub(super) fn forwarded(&self, uri: &Uri, mut headers: HeaderMap, body: Bytes) -> Forwarded {
        without_hop_by_hop(&mut headers);
        // The client sends on when it is told to, which the bridge has done.
        headers.remove(header::EXPECT);
        if self.settings.access.basic_auth.is_some() {
            headers.remove(header::AUTHORIZATION);
        }
        let is_in_path = uri.query().is_none() || UrlCommand::of(uri).parameter.is_none();
        Forwarded {
            command: last_segment(uri).filter(|_| is_in_path).unwrap_or_default().to_owned(),
            query: uri.query().map(str::to_owned),
            headers,
            body,
        }
    }

    /// The receiver's answer; or the fallback where there is none.
    pub(super) async fn forward(
        &self,
        request: ToForward,
        head: &mut Parts,
        trace: Propagation,
        span: Option<Box<CallbackSpan>>,
    ) -> Answer {
        let ToForward { callback, policy, deadline, operation_id, body, held } = request;
        let (uri, headers) = (std::mem::take(&mut head.uri), std::mem::take(&mut head.headers));
        let forwarded = self.forwarded(&uri, headers, body.clone());
        if let Some(callback) = callback.filter(|callback| callback.is_after()) {
            let key = self.decoded(callback, &body, &operation_id).and_then(|question| question.body.delivery_key());
            let payload = Payload::Forward(Box::new(forwarded));
            let is_queued =
                self.deliveries.enqueue(callback, key, payload, operation_id.clone(), trace, self.settings.delivery);
            let outcome = Outcome::queued(callback, is_queued).of(operation_id);
            return self.finish(outcome, span, Some(held), deadline);
        }
        let Passed { answer, endpoint, spent, tries } = match self.limits.in_flight.take(1) {
            Some(_place) => self.pass(forwarded, deadline, &trace).await,
            None => Passed::nowhere(CallError::Limit("limits.in_flight")),
        };
        let (outcome, answer) = match answer {
            Ok(answer) => {
                let reading = callback.map_or_else(|| Reading::of(&answer.body), |it| it.reading(&answer.body));
                (Outcome::forwarded(callback, &reading), Some(answer))
            }
            Err(error) => {
                let class = error.class(deadline.remaining());
                let body = callback.and_then(|callback| self.decoded(callback, &body, &operation_id));
                let fallback = match (body, callback) {
                    (Some(Question { body, .. }), _) => {
                        Outcome::fallback(&self.settings.fallback, policy.fallback, class, body, Some(error))
                    }
                    (None, callback) => {
                        let command = UrlCommand::of(&uri);
                        let harms = callback.zip(command.name()).is_some_and(|(it, command)| it.needs_echo(command));
                        let own = policy.fallback;
                        Outcome::fallback_unread(&self.settings.fallback, own, class, callback, harms, Some(error))
                    }
                };
                (fallback, None)
            }
        };
        let outcome = outcome.of(operation_id).after(spent, endpoint, tries).recorded_by(span);
        self.told(&outcome, answer, Some(held), deadline)
    }

    /// The receiver decides for somebody whom `enforce_percent` leaves out. The service is asked in the background, and
    /// the two are compared.
    pub(super) async fn forward_and_compare(
        self: &Rc<Self>,
        arrived: Arrived,
        held: Held,
        forwarded: Forwarded,
        place: Option<Permit>,
        trace: Propagation,
        span: Option<Box<CallbackSpan>>,
    ) -> Answer {
        let (deadline, policy) = (arrived.deadline, arrived.policy);
        let (operation_id, body) = (arrived.operation_id.clone(), Rc::clone(&arrived.question.body));
        let (tell, told) = tokio::sync::oneshot::channel::<(Bytes, Permit)>();
        let (bridge, of_service) = (Rc::clone(self), trace.clone());
        // Ends by the deadline, as the receiver does.
        tokio::task::spawn_local(async move {
            let outcome = Rc::clone(&bridge).decide_in_shadow(arrived, held, place, of_service, None).await;
            if let Ok((answer, _held)) = told.await {
                let compared = compare(&outcome, &answer);
                bridge.metrics.compared(outcome.callback, compared.result());
                log::compared(&outcome, &compared);
            }
        });
        let Passed { answer, endpoint, spent, tries } = self.pass(forwarded, deadline, &trace).await;
        let (outcome, answer) = match answer {
            Ok(answer) => {
                // Fails only when the service's side has panicked.
                let _compared = tell.send((answer.body.clone(), self.limits.body_bytes.hold(answer.body.len())));
                (Outcome::forwarded(Some(body.callback()), &body.callback().reading(&answer.body)), Some(answer))
            }
            Err(error) => {
                let class = error.class(deadline.remaining());
                (Outcome::fallback(&self.settings.fallback, policy.fallback, class, body, Some(error)), None)
            }
        };
        let outcome = outcome.of(operation_id).after(spent, endpoint, tries).recorded_by(span);
        self.told(&outcome, answer, None, deadline)
    }

    /// Records what became of it, and answers: as the receiver did, or else as the outcome says.
    fn told(&self, outcome: &Outcome, answer: Option<ForwardAnswer>, held: Option<Held>, deadline: Deadline) -> Answer {
        self.record(outcome, deadline);
        match answer {
            Some(answer) => as_it_came(answer, held.unwrap_or_else(|| self.limits.answer(0))),
            None => self.encode(outcome, held),
        }
    }

    /// Not an `async fn`, which would keep room for the request beside the receiver's.
    fn pass(
        &self,
        mut request: Forwarded,
        deadline: Deadline,
        trace: &Propagation,
    ) -> impl Future<Output = Passed> + use<'_> {
        let Some(forwarder) = &self.forwarder else {
            return Either::Right(ready(Passed::nowhere(ForwardError::NotStarted.into())));
        };
        let span = trace.next_span();
        trace.write(span, &mut request.headers);
        let span = trace.is_recorded().then_some(span);
        Either::Left(forwarder.pass(request, deadline, Some(&self.limits.body_bytes), span))
    }

    fn decoded(&self, callback: &'static Callback, body: &Bytes, operation_id: &OperationId) -> Option<Question> {
        (self.callbacks.codec.decode)(callback, body.clone(), operation_id).ok()
    }
}

/// The receiver's own answer.
fn as_it_came(answer: ForwardAnswer, mut held: Held) -> Answer {
    let ForwardAnswer { status, mut headers, body, held: of_answer } = answer;
    held.answered(body.len() + bytes_of(&headers));
    drop(of_answer);
    headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    Answer { status, origin: Origin::Forwarded, hint: None, headers: Some(Box::new(headers)), body, held }
}
