//! What goes on when OpenIM has its answer: roll-out. A callback whose owner is not of `decision.enforce_percent` is allowed
//! at once, and the decision service is asked all the same, so that the log shows what it would have decided.

use std::rc::Rc;

use http::StatusCode;

use super::limits::Permit;
use super::parts::{Answer, Arrived, Bridge};
use crate::base::{deadline::Deadline, trace_context::Propagation};
use crate::openim::Verdict;
use crate::outcome::{CallbackSpan, Origin};

impl Bridge {
    /// `place`: among the callbacks being decided; `None` when there is none.
    pub(super) fn decide_in_background(
        self: &Rc<Self>,
        arrived: Arrived,
        place: Option<Permit>,
        trace: Propagation,
        mut span: Option<Box<CallbackSpan>>,
        deadline: Deadline,
    ) -> Answer {
        let go_on = Verdict::GoOn(arrived.question.unchanged.clone());
        if let Some(span) = &mut span {
            span.answered(deadline.elapsed());
        }
        let bridge = Rc::clone(self);
        // Ends by the deadline.
        tokio::task::spawn_local(async move {
            let outcome = bridge.decide(arrived, place, &trace, deadline).await;
            bridge.record(&outcome.recorded_by(span).in_shadow(), deadline);
        });
        self.metrics.answered(deadline.elapsed());
        Answer { status: StatusCode::OK, origin: Origin::Shadow, hint: None, body: self.body(&go_on) }
    }
}
