//! The decision, or the fallback where there is none.

use std::{panic::AssertUnwindSafe, pin::pin, rc::Rc};

use futures_util::future::FutureExt as _;

use super::parts::{Arrived, Bridge};
use super::settings::CallbackPolicy;
use crate::base::{deadline::Deadline, memory::Permit, trace_context::Propagation};
use crate::callback::{Body, Question};
use crate::outcome::Outcome;
use crate::policy::Route;
use crate::upstream::{Asked, Call, CallError, CallId, ErrorClass};

impl Bridge {
    /// The decision, or the fallback where there is none: also where there is no `place` among the callbacks being
    /// decided, and after a panic.
    pub(super) fn decide(
        &self,
        arrived: Arrived,
        place: Option<Permit>,
        trace: Propagation,
    ) -> impl Future<Output = Outcome> + use<'_> {
        // Not an `async fn`, which would keep room for them as they came, too.
        let Arrived { operation_id, question: Question { frame, body }, policy, deadline } = arrived;
        async move {
            let outcome = {
                let deciding = pin!(async {
                    let path = self.callbacks.path(body.callback());
                    let (operation_id, memory) = (operation_id.metadata(), &self.limits.body_bytes);
                    let (id, trace) = (CallId::now(), &trace);
                    let call = Call { path: &path, frame: &frame, id, attempt: None, operation_id, trace, memory };
                    let asked = match &place {
                        Some(_) => pin!(self.upstream.ask(&call, deadline)).await,
                        None => Asked::nowhere(CallError::Limit("limits.in_flight")),
                    };
                    self.outcome(Rc::clone(&body), &frame, asked, &policy, deadline)
                });
                AssertUnwindSafe(deciding).catch_unwind().await
            };
            let outcome = outcome.unwrap_or_else(|_panicked| self.fall_back(body, &policy, ErrorClass::Internal, None));
            outcome.of(operation_id)
        }
    }

    fn outcome(
        &self,
        body: Rc<Body>,
        frame: &[u8],
        asked: Asked,
        policy: &CallbackPolicy,
        deadline: Deadline,
    ) -> Outcome {
        let decision = asked
            .reply
            .and_then(|reply| (self.callbacks.codec.read)(&body, &reply.message).map_err(CallError::InvalidReply));
        match decision {
            Ok(decision) => Outcome::decided(decision, body, frame, &self.settings.refusal),
            Err(error) => self.fall_back(body, policy, error.class(deadline.remaining()), Some(error)),
        }
        .after(asked.spent, asked.endpoint, asked.tries)
    }

    fn fall_back(
        &self,
        body: Rc<Body>,
        policy: &CallbackPolicy,
        class: ErrorClass,
        error: Option<CallError>,
    ) -> Outcome {
        Outcome::fallback(&self.settings.fallback, policy.fallback, class, body, error)
    }

    /// What the configuration says, without asking anybody.
    pub(super) fn routed(&self, Arrived { operation_id, question, policy, .. }: Arrived) -> Outcome {
        let outcome = Outcome::routed(question.body, policy.route == Route::Refuse, &self.settings.refusal);
        outcome.of(operation_id)
    }
}
