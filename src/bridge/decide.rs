//! The decision, or the fallback where there is none.

use std::panic::AssertUnwindSafe;

use futures_util::future::FutureExt as _;

use super::limits::Permit;
use super::parts::{Arrived, Bridge};
use crate::base::{deadline::Deadline, trace_context::Propagation};
use crate::callback::{Question, Served};
use crate::openim::OperationId;
use crate::outcome::Outcome;
use crate::upstream::{Asked, Call, CallError, ErrorClass, Spent};

impl Bridge {
    /// The decision, or the fallback where there is none: also where there is no `place` among the callbacks being
    /// decided, and after a panic.
    pub(super) async fn decide(
        &self,
        Arrived { served, operation_id, question, body: _held }: Arrived,
        place: Option<Permit>,
        trace: &Propagation,
        deadline: Deadline,
    ) -> Outcome {
        let deciding = async {
            let asked = self.ask(served, &question, &operation_id, trace, place, deadline).await;
            self.outcome(served, question, asked, deadline)
        };
        let panicked =
            |_| Outcome::fallback(&self.settings.fallback, ErrorClass::Internal, vec![], None).serving(served);
        AssertUnwindSafe(deciding).catch_unwind().await.unwrap_or_else(panicked).of(operation_id)
    }

    async fn ask(
        &self,
        served: &Served,
        question: &Question,
        id: &OperationId,
        trace: &Propagation,
        place: Option<Permit>,
        deadline: Deadline,
    ) -> Asked {
        let Some(_place) = place else {
            let reply = Err(CallError::Limit("limits.in_flight"));
            return Asked { reply, endpoint: None, spent: Spent::default(), tries: vec![] };
        };
        let call = Call { path: &served.path, message: &question.message, operation_id: id.metadata(), trace };
        self.upstream.ask(&call, deadline).await
    }

    fn outcome(&self, served: &'static Served, question: Question, asked: Asked, deadline: Deadline) -> Outcome {
        let decision = asked.reply.and_then(|reply| served.read(reply).ok_or(CallError::InvalidReply));
        match decision {
            Ok(decision) => Outcome::decided(decision, question.unchanged, &self.settings.refusal),
            Err(error) => {
                let class = error.class(deadline.remaining());
                Outcome::fallback(&self.settings.fallback, class, question.unchanged, Some(error))
            }
        }
        .serving(served)
        .between(question.parties)
        .after(asked.spent, asked.endpoint, asked.tries)
    }
}
