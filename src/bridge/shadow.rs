//! Roll-out: a callback whose owner is not of `decision.enforce_percent`. OpenIM is told at once to go on, and the
//! decision service is asked all the same, so that the log shows what it would have decided.

use std::rc::Rc;

use http::StatusCode;

use super::{Answer, Arrived, Bridge, Origin, Permit};
use crate::decision::Deadline;
use crate::openim::Verdict;
use crate::telemetry::traces::CallbackSpan;
use crate::trace_context::Propagation;

/// A callback that is asked in the background, with what it holds meanwhile.
pub(super) struct Shadowed {
    pub(super) arrived: Arrived,
    /// Its place among the callbacks being decided; `None` when there is none.
    pub(super) place: Option<Permit>,
    pub(super) trace: Propagation,
    pub(super) span: Option<Box<CallbackSpan>>,
}

impl Bridge {
    pub(super) fn shadow(self: &Rc<Self>, mut shadowed: Shadowed, deadline: Deadline) -> Answer {
        let go_on = Verdict::GoOn(shadowed.arrived.question.unchanged.clone());
        if let Some(span) = &mut shadowed.span {
            span.answered(deadline.elapsed());
        }
        tokio::task::spawn_local(Rc::clone(self).decide_in_shadow(shadowed, deadline));
        self.metrics.answered(deadline.elapsed());
        Answer { status: StatusCode::OK, origin: Origin::Shadow, hint: None, body: self.encode(&go_on) }
    }

    /// Ends by the deadline.
    async fn decide_in_shadow(self: Rc<Self>, shadowed: Shadowed, deadline: Deadline) {
        let Shadowed { arrived, place, trace, span } = shadowed;
        let outcome = self.decide(arrived, place, &trace, deadline).await;
        self.record(&outcome.recorded_by(span).in_shadow(), deadline);
    }
}
