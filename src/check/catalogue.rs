//! The cases, as data: what each shows, why it matters in production, and what to do about a failure. How it is run is in
//! [`super::cases`].

use super::samples::{self, CheckSample};
use crate::callback::Callback;

#[derive(Debug)]
pub struct Case {
    /// Stable: what `--case` takes, and what reports call it.
    pub name: &'static str,
    pub of: CaseOf,
    pub shows: &'static str,
    pub why: &'static str,
    pub remedy: &'static str,
    pub(super) run: Run,
}

impl Case {
    /// Whether the others build on it, so that it is always run.
    #[must_use]
    pub const fn is_always_run(&self) -> bool {
        matches!(self.run, Run::ServesRpc | Run::Decides)
    }

    /// Whether it is about texts of one's own alone.
    #[must_use]
    pub const fn needs_texts(&self) -> bool {
        matches!(self.run, Run::OwnTexts)
    }
}

/// How often a case is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseOf {
    /// Once, for all that the service implements.
    Service,
    /// For each callback that the service implements.
    Callback,
    /// For each before callback that the service implements.
    Before,
    /// For each after callback that the service implements.
    After,
}

impl CaseOf {
    pub(super) const fn is_for(self, callback: &Callback) -> bool {
        match self {
            Self::Service => false,
            Self::Callback => true,
            Self::Before => !callback.is_after(),
            Self::After => callback.is_after(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Run {
    ServesRpc,
    Health,
    Decides,
    AnswersInTime,
    /// Each sample must be answered with the status OK.
    Answers(fn(&'static Callback) -> Vec<CheckSample>),
    OwnTexts,
    RepeatedCalls,
    RepeatedEvents,
    ConcurrentCalls,
    CancelledCalls,
    /// Judges the replies of the cases before it as well.
    ValidDecisions,
}

impl Run {
    /// Cases of one stage run beside each other, and the next stage after them.
    pub(super) const fn stage(self) -> u8 {
        match self {
            Self::ServesRpc | Self::Health | Self::Decides => 0,
            Self::AnswersInTime => 1,
            Self::Answers(_) | Self::OwnTexts | Self::RepeatedCalls | Self::RepeatedEvents => 2,
            Self::ConcurrentCalls => 3,
            Self::CancelledCalls => 4,
            Self::ValidDecisions => 5,
        }
    }
}

const TEXTS_REMEDY: &str = "decide about every text, or refuse it with a code of yours (5000 to 9899): a status other than OK is no \
     decision, and loses an event. Look for validation before your rule, for libraries that cannot take such a text, and for \
     exceptions that become INTERNAL or UNKNOWN";

/// All of them, in the order in which they are run.
pub static CASES: &[Case] = &[
    Case {
        name: "serves-rpc",
        of: CaseOf::Service,
        shows: "implements rpcs of openim.bridge.v1: those of --only, or at least one",
        why: "without an rpc its callback is decided by the bridge's fallback, or its event is dropped",
        remedy: "register the generated services with the gRPC server that listens at this address, over HTTP/2 without TLS \
                 for http://, with TLS for https://",
        run: Run::ServesRpc,
    },
    Case {
        name: "health",
        of: CaseOf::Service,
        shows: "serves grpc.health.v1.Health, and says SERVING",
        why: "the bridge asks for it every 2 s: a service that says NOT_SERVING gets no calls, so that it can be stopped or \
              can warm up without failing any; one that does not answer is taken out",
        remedy: "add your language's health service (grpc-health-checking, google.golang.org/grpc/health, …), set SERVING \
                 for the service name that the bridge asks for (upstream.health.service, empty unless configured), and set \
                 NOT_SERVING before you stop",
        run: Run::Health,
    },
    Case {
        name: "decides",
        of: CaseOf::Callback,
        shows: "answers the callback as a real OpenIM Server sent it",
        why: "a status other than OK is no decision: the fallback decides. An event with one is repeated, or dropped",
        remedy: "look into your service's log for what failed. IDs that you do not know are no error: decide about them",
        run: Run::Decides,
    },
    Case {
        name: "answers-in-time",
        of: CaseOf::Before,
        shows: "answers ordinary calls within --deadline",
        why: "a user waits, and the bridge gives up before OpenIM does: what comes later is decided by the fallback",
        remedy: "look for what the handler waits for: a database without an index, a lookup on the network, a lock, a cold \
                 start. Keep what decisions need in memory, and give your own waits a shorter limit than the call's deadline",
        run: Run::AnswersInTime,
    },
    Case {
        name: "empty-fields",
        of: CaseOf::Callback,
        shows: "answers callbacks with empty and absent fields",
        why: "an empty text is how users remove one, older servers do not send every field, and OpenIM has checked nothing \
              before it asks",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::empty),
    },
    Case {
        name: "long-texts",
        of: CaseOf::Callback,
        shows: "answers texts of 10 kB, and messages of 1 MB",
        why: "the contract sets no limit: a user's client can send what it likes, and the bridge passes on up to 3 MiB",
        remedy: "accept gRPC messages of 3 MiB at least (4 MiB is the usual default), refuse what is too long for you with a \
                 code of yours, and look for rules whose time grows with the square of the length",
        run: Run::Answers(samples::long),
    },
    Case {
        name: "emoji",
        of: CaseOf::Callback,
        shows: "answers emoji, joined and flagged ones included",
        why: "users write them every day, and they are longer than one UTF-16 unit, which breaks careless cutting",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::emoji),
    },
    Case {
        name: "right-to-left",
        of: CaseOf::Callback,
        shows: "answers right-to-left text, and the marks that steer it",
        why: "users write in Arabic and Hebrew, and others use the marks to disguise a text",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::right_to_left),
    },
    Case {
        name: "control-characters",
        of: CaseOf::Callback,
        shows: "answers NUL and every other control character",
        why: "a user's client can send them. NUL ends a string in C and is refused by some databases (PostgreSQL's text), \
              so one user could make the handler fail",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::control_characters),
    },
    Case {
        name: "white-space",
        of: CaseOf::Callback,
        shows: "answers every kind of white space, and invisible characters",
        why: "a text of white space alone looks empty: where your rule trims it, what is left must not become an empty \
              replacement or an index out of range",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::white_space),
    },
    Case {
        name: "own-texts",
        of: CaseOf::Callback,
        shows: "answers each text of --texts, in every field that holds a text",
        why: "a rule can fail at a word of its own list, which no other test knows",
        remedy: TEXTS_REMEDY,
        run: Run::OwnTexts,
    },
    Case {
        name: "unknown-fields",
        of: CaseOf::Callback,
        shows: "answers messages with fields from a newer contract",
        why: "fields will be added, and the bridge may be upgraded before your service",
        remedy: "use your language's generated code, which ignores fields that it does not know, without a strict mode",
        run: Run::Answers(samples::newer),
    },
    Case {
        name: "repeated-calls",
        of: CaseOf::Before,
        shows: "gives the same decision when the same call is repeated",
        why: "the bridge asks again when a connection broke before the reply: the same question must be answerable twice, \
              with the same result",
        remedy: "let the decision depend on the question alone, or on data that all copies of your service share. No counter, \
                 no rate limit, no 'already seen' that changes it within seconds",
        run: Run::RepeatedCalls,
    },
    Case {
        name: "repeated-events",
        of: CaseOf::After,
        shows: "takes an event twice: the same callback-id, attempts 1 and 2",
        why: "the bridge delivers an event again when it does not know whether it has come: an error the second time makes it \
              repeat, or drop, what you have",
        remedy: "remember the metadata callback-id where twice would hurt, and answer OK to what you have already",
        run: Run::RepeatedEvents,
    },
    Case {
        name: "concurrent-calls",
        of: CaseOf::Service,
        shows: "answers 1,000 concurrent calls, over all its rpcs together",
        why: "OpenIM sends callbacks as users act, without a limit; what your service rejects or keeps waiting is decided \
              by the fallback",
        remedy: "raise the limit on concurrent calls (threads of a pool, a semaphore, MAX_CONCURRENT_STREAMS), and do not \
                 hold one thing for all calls while waiting, such as one database connection",
        run: Run::ConcurrentCalls,
    },
    Case {
        name: "cancelled-calls",
        of: CaseOf::Callback,
        shows: "answers as fast as before after many cancelled calls: 1,000 over all its rpcs, at least 50 of each",
        why: "calls are cancelled when their deadline passes, and many at once when your service was slow for a moment: \
              whatever each leaves behind (a thread, a lock, a place in a pool) adds up until nothing is answered",
        remedy: "give back in a finally, defer or destructor what a call has taken, and stop working when the call's context \
                 is cancelled",
        run: Run::CancelledCalls,
    },
    Case {
        name: "valid-decisions",
        of: CaseOf::Before,
        shows: "replies with valid decisions: one is set, its code is 5000 to 9899 or one of refusal.codes, and OpenIM can carry \
                out what it changes",
        why: "a reply without a decision, or with a change that would make OpenIM fail or lose data, goes to the fallback, \
              whatever was meant; a refusal with another code reaches the user as 9925 with the bridge's own text",
        remedy: "set exactly one decision on every path; give refusals a code that is allowed, or none for the bridge's \
                 default; hold a change against the comments of its fields in proto/, and allow or refuse where it cannot be made",
        run: Run::ValidDecisions,
    },
];

pub(super) const EXPECTATION_WHY: &str = "users see exactly what your service returns";
pub(super) const EXPECTATION_REMEDY: &str = "correct the service's rule, or the table, whichever is wrong";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_easy_to_type() {
        let names: HashSet<&str> = CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CASES.len());
        assert!(names.iter().all(|name| name.chars().all(|char| char.is_ascii_lowercase() || char == '-')));
    }

    #[test]
    fn cases_of_one_stage_are_together() {
        assert!(CASES.is_sorted_by_key(|case| case.run.stage()));
        assert!(matches!(CASES[0].run, Run::ServesRpc));
    }
}
