//! The decision, or the fallback where there is none.

use std::{panic::AssertUnwindSafe, pin::pin, rc::Rc};

use futures_util::future::FutureExt as _;

use super::parts::{Arrived, Bridge};
use super::settings::CallbackPolicy;
use crate::base::{deadline::Deadline, memory::Permit, trace_context::Propagation};
use crate::callback::{Body, Question};
use crate::outcome::Outcome;
use crate::policy::Route;
use crate::upstream::{Asked, Call, CallError, CallId, ErrorClass, Spent};

impl Bridge {
    /// The decision, or the fallback where there is none: also where there is no `place` among the callbacks being
    /// decided, and after a panic.
    pub(super) async fn decide(
        &self,
        Arrived { operation_id, question, policy, deadline }: Arrived,
        place: Option<Permit>,
        trace: &Propagation,
    ) -> Outcome {
        let Question { frame, body } = question;
        let outcome = {
            let deciding = pin!(async {
                let path = self.callbacks.path(body.callback());
                let (operation_id, memory) = (operation_id.metadata(), &self.limits.body_bytes);
                let call =
                    Call { path: &path, frame: &frame, id: CallId::now(), attempt: None, operation_id, trace, memory };
                let asked = pin!(self.ask(&call, place, deadline)).await;
                self.outcome(Rc::clone(&body), &frame, asked, &policy, deadline)
            });
            AssertUnwindSafe(deciding).catch_unwind().await
        };
        let outcome = outcome.unwrap_or_else(|_panicked| self.fall_back(body, &policy, ErrorClass::Internal, None));
        outcome.of(operation_id)
    }

    async fn ask(&self, call: &Call<'_>, place: Option<Permit>, deadline: Deadline) -> Asked {
        let Some(_place) = place else {
            let reply = Err(CallError::Limit("limits.in_flight"));
            return Asked { reply, endpoint: None, spent: Spent::default(), tries: vec![] };
        };
        pin!(self.upstream.ask(call, deadline)).await
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
