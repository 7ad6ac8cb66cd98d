//! Roll-out: a callback whose owner is not of `decision.enforce_percent`. OpenIM is told at once to go on, and the
//! decision service is asked all the same, so that the log shows what it would have decided.

use std::{panic::AssertUnwindSafe, rc::Rc};

use futures_util::future::FutureExt as _;

use super::{Answer, Bridge, Outcome, Permit};
use crate::callback::{Question, Served};
use crate::decision::{Deadline, ErrorClass};
use crate::openim::{OperationId, Verdict};
use crate::telemetry::traces::CallbackSpan;
use crate::trace_context::Propagation;

/// A callback that is asked in the background, with what it holds meanwhile.
pub(super) struct Shadowed {
    pub(super) served: &'static Served,
    pub(super) operation_id: OperationId,
    pub(super) question: Question,
    /// Its place among the callbacks being decided; `None` when there is none.
    pub(super) place: Option<Permit>,
    /// Its share of `limits.body_bytes`.
    pub(super) body: Permit,
    pub(super) trace: Propagation,
    pub(super) span: Option<Box<CallbackSpan>>,
}

impl Bridge {
    pub(super) fn shadow(self: &Rc<Self>, mut shadowed: Shadowed, deadline: Deadline) -> Answer {
        let go_on = Verdict::GoOn(shadowed.question.unchanged.clone());
        if let Some(span) = &mut shadowed.span {
            span.answered(deadline.elapsed());
        }
        tokio::task::spawn_local(Rc::clone(self).ask_in_shadow(shadowed, deadline));
        self.metrics.answered(deadline.elapsed());
        self.encode(&go_on)
    }

    /// Ends by the deadline.
    async fn ask_in_shadow(self: Rc<Self>, shadowed: Shadowed, deadline: Deadline) {
        let Shadowed { served, operation_id, question, place, body: _held, trace, span } = shadowed;
        let deciding = async {
            let asked = self.ask(served, &question, &operation_id, &trace, place, deadline).await;
            self.decide(served, question, asked, deadline)
        };
        let outcome = AssertUnwindSafe(deciding).catch_unwind().await.unwrap_or_else(|_| {
            Outcome::fallback(&self.settings.fallback, ErrorClass::Internal, vec![], None).serving(served)
        });
        self.record(&outcome.of(operation_id).recorded_by(span).in_shadow(), deadline);
    }
}
