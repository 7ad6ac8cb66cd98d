//! What goes on when OpenIM has its answer. An after callback is answered at once, and delivered in the background. In a
//! roll-out, a callback outside `enforce_percent` is allowed at once, and the service is called anyway:
//! the log shows what it would have decided.

use std::rc::Rc;

use futures_util::future::{FutureExt as _, LocalBoxFuture};
use http::StatusCode;

use super::delivery::Payload;
use super::limits::Held;
use super::parts::{Answer, Arrived, Bridge};
use crate::base::{deadline::Deadline, memory::Permit, trace_context::Propagation};
use crate::callback::Question;
use crate::openim::Verdict;
use crate::outcome::{CallbackSpan, Origin, Outcome};
use crate::policy::{Percent, Rest, Route};

impl Arrived {
    /// Whether the service's decision has effect.
    pub(super) fn has_effect(&self) -> bool {
        let percent = self.policy.enforce_percent;
        // Mostly nobody need be looked for.
        percent == Percent::ALL || percent.includes(&self.question.body.roll_out_key())
    }

    /// Whether a receiver decides, which the team had before, and the service is asked in the shadow of it.
    pub(super) fn is_for_the_receiver(&self) -> bool {
        let (policy, callback) = (&self.policy, self.question.body.callback());
        policy.rest == Rest::Forward && policy.route == Route::Service && !callback.is_after() && !self.has_effect()
    }
}

impl Bridge {
    /// Answers an after callback, and hands it on to be delivered.
    pub(super) fn deliver(
        &self,
        Arrived { operation_id, question, .. }: Arrived,
        held: Held,
        trace: Propagation,
        span: Option<Box<CallbackSpan>>,
        deadline: Deadline,
    ) -> Answer {
        let Question { frame, body } = question;
        let (callback, key, delivery) = (body.callback(), body.delivery_key(), self.settings.delivery);
        let payload = Payload::Service(frame);
        let is_queued = self.deliveries.enqueue(callback, key, payload, operation_id.clone(), trace, delivery);
        let outcome = Outcome::queued(callback, is_queued).read(body).of(operation_id);
        self.finish(outcome, span, Some(held), deadline)
    }

    /// What would have become of it, recorded, while OpenIM is told another thing. Ends by the deadline. Boxed, for it to be
    /// compiled once for whoever spawns it.
    pub(super) fn decide_in_shadow(
        self: Rc<Self>,
        arrived: Arrived,
        held: Held,
        place: Option<Permit>,
        trace: Propagation,
        span: Option<Box<CallbackSpan>>,
    ) -> LocalBoxFuture<'static, Outcome> {
        let deciding = async move {
            let _held = held;
            let deadline = arrived.deadline;
            let outcome = self.decide(arrived, place, trace).await.recorded_by(span).in_shadow();
            self.record(&outcome, deadline);
            outcome
        };
        deciding.boxed_local()
    }

    /// Answers, and then asks. `place`: among the callbacks being decided; `None` when there is none.
    pub(super) fn decide_in_background(
        self: &Rc<Self>,
        arrived: Arrived,
        held: Held,
        place: Option<Permit>,
        trace: Propagation,
        mut span: Option<Box<CallbackSpan>>,
    ) -> Answer {
        let deadline = arrived.deadline;
        let go_on = Verdict::go_on(arrived.question.body.echo());
        if let Some(span) = &mut span {
            span.answered(deadline.elapsed());
        }
        tokio::task::spawn_local(Rc::clone(self).decide_in_shadow(arrived, held, place, trace, span));
        self.metrics.answered(deadline.elapsed());
        let body = self.body(&go_on);
        let held = self.limits.answer(body.len());
        Answer { status: StatusCode::OK, origin: Origin::Shadow, hint: None, headers: None, body, held }
    }
}
