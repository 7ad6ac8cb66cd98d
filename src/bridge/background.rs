//! What goes on when OpenIM has its answer. An after callback is answered at once, and the service is told in the background.
//! So is, in a roll-out, a callback that `decision.enforce_percent` leaves out: it is allowed, and the log shows what the
//! service would have decided.

use std::rc::Rc;

use http::StatusCode;

use super::limits::Permit;
use super::parts::{Answer, Arrived, Bridge};
use crate::base::{deadline::Deadline, trace_context::Propagation};
use crate::openim::Verdict;
use crate::outcome::{CallbackSpan, Origin, Source};
use crate::policy::Percent;

impl Bridge {
    /// By what the callback is answered before anybody is asked; `None` when a decision is waited for.
    pub(super) fn aside(&self, arrived: &Arrived) -> Option<Source> {
        let body = &arrived.question.body;
        if body.callback().is_after() {
            return Some(Source::Queued);
        }
        let percent = self.settings.decision.enforce_percent;
        let has_effect = percent == Percent::ALL || percent.includes(&body.roll_out_key());
        (!has_effect).then_some(Source::Shadow)
    }

    /// Answers, and then asks. `place`: among the callbacks being decided; `None` when there is none.
    pub(super) fn decide_aside(
        self: &Rc<Self>,
        source: Source,
        arrived: Arrived,
        place: Option<Permit>,
        trace: Propagation,
        mut span: Option<Box<CallbackSpan>>,
        deadline: Deadline,
    ) -> Answer {
        let go_on = Verdict::go_on(arrived.question.body.echo());
        if let Some(span) = &mut span {
            span.answered(deadline.elapsed());
        }
        let bridge = Rc::clone(self);
        // Ends by the deadline.
        tokio::task::spawn_local(async move {
            let outcome = bridge.decide(arrived, place, &trace, deadline).await;
            bridge.record(&outcome.recorded_by(span).aside(source), deadline);
        });
        self.metrics.answered(deadline.elapsed());
        let origin = if source == Source::Queued { Origin::Queued } else { Origin::Shadow };
        Answer { status: StatusCode::OK, origin, hint: None, body: self.body(&go_on) }
    }
}
