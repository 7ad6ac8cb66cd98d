//! The path of one callback, the same for every callback in the registry:
//!
//! ```text
//! bytes -> receive -> decode -> ask -> fall back -> encode -> bytes
//!                                              `-> record
//! ```
//!
//! - here: [`Bridge::answer`], which is that path. Start reading there.
//! - [`receive`]: what came in over HTTP is a callback that is served, or is rejected; and its JSON becomes protobuf.
//! - [`decide`]: the decision, or the fallback where there is none.
//! - [`background`]: what goes on when OpenIM has its answer. [`delivery`]: of that, what OpenIM only tells.
//! - [`forward`]: what another receiver decides, which a team already has. [`compare`]: what the two say.
//! - [`parts`]: what a bridge is made of. [`limits`]: how much the process holds at most.
//! - [`shares`](Shares): what the process's memory leaves for each thing that is held.
//! - [`settings`](BridgeSettings): the settings of all this.
//!
//! Called by `server` for each request. Knows nothing of sockets, and names no callback.

mod background;
mod compare;
mod decide;
mod delivery;
mod forward;
mod limits;
mod parts;
mod receive;
mod settings;
mod shares;

use std::{
    net::IpAddr,
    ops::ControlFlow::{Break, Continue},
    pin::pin,
    rc::Rc,
};

use bytes::Bytes;
use futures_util::future::{Either, FutureExt as _};
use http::{HeaderMap, Uri, request::Parts};
use http_body::Body;

pub use delivery::{Deliveries, Events};
pub use limits::{Held, SharedLimits};
pub use parts::{Answer, Bridge};
pub use settings::{
    BridgeLimits, BridgeSettings, CallbackPolicy, DecisionSettings, DeliverySettings, MissingOperationId,
    OperationIdSettings, ResponseSettings,
};
pub use shares::Shares;

use crate::base::deadline::Deadline;
use crate::policy::Route;
use crate::telemetry::traces;
use crate::upstream::ErrorClass;
use receive::Request;

impl Bridge {
    /// The whole path, for a request of this peer, of which it leaves no headers. Always answers, and by the deadline; what
    /// it leaves unread of `body` is the caller's to discard.
    pub async fn answer<B>(self: &Rc<Self>, peer: IpAddr, head: &mut Parts, body: &mut B, deadline: Deadline) -> Answer
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (trace, span) = traces::begin(head, self.https);

        // What is waited for next, in a block: the future keeps nothing else from here on.
        let asking = 'asking: {
            // Receive and decode: there is a callback to be decided, or an outcome already.
            let received = pin!(self.receive(peer, head, body, deadline)).await;
            let arrived = match received {
                Continue(Request::Callback(received)) => received.decode(self.callbacks.codec, &head.uri),
                Continue(Request::Forward(request)) => {
                    break 'asking Either::Left(self.forward(request, head, trace, span));
                }
                Break(outcome) => Break(outcome),
            };
            let forwarded = match &arrived {
                Continue((arrived, _)) if arrived.is_for_the_receiver() => {
                    let headers = std::mem::take(&mut head.headers);
                    Some(self.forwarded(&head.uri, headers, arrived.question.body.json()))
                }
                _ => None,
            };
            // They are part of what the connection read, which takes 8 KiB for as long as any of it is held.
            (head.uri, head.headers) = (Uri::default(), HeaderMap::default());
            let (arrived, held) = match arrived {
                Continue(arrived) => arrived,
                Break(outcome) => return self.finish(outcome, span, None, deadline),
            };

            if arrived.policy.route != Route::Service {
                return self.finish(self.routed(arrived), span, Some(held), deadline);
            }
            // What OpenIM only tells is answered before anybody is told.
            if arrived.question.body.callback().is_after() {
                return self.deliver(arrived, held, trace, span, deadline);
            }
            let place = self.limits.in_flight.take(1);
            // Roll-out: so are those whom it does not concern.
            if !arrived.has_effect() {
                let Some(forwarded) = forwarded else {
                    return self.decide_in_background(arrived, held, place, trace, span);
                };
                // Boxed, so that other decisions do not pay for its size.
                let comparing = self.forward_and_compare(arrived, held, forwarded, place, trace, span);
                break 'asking Either::Right(Either::Left(comparing.boxed_local()));
            }
            // Ask, and fall back.
            let finish = move |outcome| self.finish(outcome, span, Some(held), deadline);
            Either::Right(Either::Right(self.decide(arrived, place, trace).map(finish)))
        };
        asking.await
    }

    /// The answer when a panic has ended the path before the decision, or after it: then nothing is known of the request any
    /// more.
    #[must_use]
    pub fn answer_to_panic(&self, head: &Parts, deadline: Deadline) -> Answer {
        let (_, span) = traces::begin(head, self.https);
        self.finish(self.fall_back_unread(ErrorClass::Internal, None, head), span, None, deadline)
    }
}
