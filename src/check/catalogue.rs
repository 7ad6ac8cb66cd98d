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

const TEXTS_REMEDY: &str = "decide about every text, or refuse it with a code of your own (5000 to 9899): a status other than OK is no \
     decision, and it loses an event. Look for validation that runs before your rule, for libraries that cannot handle such a text, \
     and for exceptions that become INTERNAL or UNKNOWN";

/// All of them, in the order in which they are run.
pub static CASES: &[Case] = &[
    Case {
        name: "serves-rpc",
        of: CaseOf::Service,
        shows: "implements rpcs of openim.bridge.v1: those of --only, or at least one",
        why: "if an rpc is missing, the fallback decides its callback, or its event is dropped",
        remedy: "register the generated services with the gRPC server that listens at this address, over HTTP/2 without TLS \
                 for http://, with TLS for https://",
        run: Run::ServesRpc,
    },
    Case {
        name: "health",
        of: CaseOf::Service,
        shows: "serves grpc.health.v1.Health, and reports SERVING",
        why: "the bridge checks the health every 2 s. A service that reports NOT_SERVING gets no calls, and so it can stop or warm \
              up without a failed call. A service that does not answer is ejected",
        remedy: "add your language's health service (grpc-health-checking, google.golang.org/grpc/health, …), set SERVING \
                 for the service name that the bridge checks (upstream.health.service, empty by default), and set NOT_SERVING \
                 before you stop",
        run: Run::Health,
    },
    Case {
        name: "decides",
        of: CaseOf::Callback,
        shows: "answers the callback as a real OpenIM Server sent it",
        why: "a status other than OK is no decision: the fallback decides. An event that gets one is retried, or dropped",
        remedy: "look in your service's log for what failed. An ID that you do not know is not an error: decide about it",
        run: Run::Decides,
    },
    Case {
        name: "answers-in-time",
        of: CaseOf::Before,
        shows: "answers ordinary calls within --deadline",
        why: "a user waits, and the bridge gives up before OpenIM does: when a reply is late, the fallback decides",
        remedy: "find what the handler waits for: a database without an index, a lookup on the network, a lock, a cold start. \
                 Keep what decisions need in memory, and give your own waits a limit below the call's deadline",
        run: Run::AnswersInTime,
    },
    Case {
        name: "empty-fields",
        of: CaseOf::Callback,
        shows: "answers callbacks with empty and absent fields",
        why: "users remove a text by sending an empty one, older servers do not send every field, and OpenIM does not validate \
              a callback before it sends it",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::empty),
    },
    Case {
        name: "long-texts",
        of: CaseOf::Callback,
        shows: "answers texts of 10 kB, and messages of 1 MB",
        why: "the contract sets no limit: a user's client can send any length, and the bridge passes on up to 3 MiB",
        remedy: "accept gRPC messages of at least 3 MiB (4 MiB is the usual default), refuse a text that is too long for you with a \
                 code of your own, and look for rules whose time grows with the square of the length",
        run: Run::Answers(samples::long),
    },
    Case {
        name: "emoji",
        of: CaseOf::Callback,
        shows: "answers emoji, including joined emoji and flags",
        why: "users write them every day. They are longer than one UTF-16 unit, and code that cuts texts carelessly breaks them",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::emoji),
    },
    Case {
        name: "right-to-left",
        of: CaseOf::Callback,
        shows: "answers right-to-left text, and its control characters",
        why: "users write in Arabic and Hebrew, and others use the control characters to disguise a text",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::right_to_left),
    },
    Case {
        name: "control-characters",
        of: CaseOf::Callback,
        shows: "answers NUL and every other control character",
        why: "a user's client can send them. NUL ends a string in C, and some databases refuse it (PostgreSQL's text), so one \
              user could make the handler fail",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::control_characters),
    },
    Case {
        name: "white-space",
        of: CaseOf::Callback,
        shows: "answers every kind of white space, and invisible characters",
        why: "a text of white space alone looks empty: if your rule trims it, the result must not become an empty replacement \
              or an index out of range",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::white_space),
    },
    Case {
        name: "own-texts",
        of: CaseOf::Callback,
        shows: "answers each text of --texts, in every field that takes a text",
        why: "a rule can fail on a word of its own list, which no other case has",
        remedy: TEXTS_REMEDY,
        run: Run::OwnTexts,
    },
    Case {
        name: "unknown-fields",
        of: CaseOf::Callback,
        shows: "answers messages with fields from a newer contract",
        why: "later versions add fields, and the bridge may be upgraded before your service",
        remedy: "use your language's generated code without a strict mode: it ignores fields that it does not know",
        run: Run::Answers(samples::newer),
    },
    Case {
        name: "repeated-calls",
        of: CaseOf::Before,
        shows: "gives the same decision when the same call is repeated",
        why: "the bridge retries a call whose connection broke before the reply: your service must give the same decision both \
              times",
        remedy: "let the decision depend on the request alone, or on data that all copies of your service share. Use no counter, \
                 no rate limit and no 'already seen' that changes it within seconds",
        run: Run::RepeatedCalls,
    },
    Case {
        name: "repeated-events",
        of: CaseOf::After,
        shows: "takes an event twice: the same callback-id, attempts 1 and 2",
        why: "the bridge retries a delivery when it does not know whether the event arrived: if the second attempt gets an error, \
              it retries or drops an event that you already have",
        remedy: "if an event must not take effect twice, remember its metadata callback-id, and return OK for one that you have \
                 already",
        run: Run::RepeatedEvents,
    },
    Case {
        name: "concurrent-calls",
        of: CaseOf::Service,
        shows: "answers 1,000 concurrent calls, over all its rpcs together",
        why: "OpenIM sends a callback for each action of a user, without a limit. The fallback decides those that your service \
              rejects or keeps waiting",
        remedy: "raise the limit on concurrent calls (threads of a pool, a semaphore, MAX_CONCURRENT_STREAMS), and do not hold a \
                 resource that all calls share, such as one database connection, while a call waits",
        run: Run::ConcurrentCalls,
    },
    Case {
        name: "cancelled-calls",
        of: CaseOf::Callback,
        shows: "is as fast after many cancelled calls as before them: 1,000 over all its rpcs, at least 50 of each",
        why: "calls are cancelled when their deadline passes, and many at once when your service is slow. If each leaves something \
              behind (a thread, a lock, a place in a pool), this adds up until your service answers nothing",
        remedy: "release what a call holds in a finally, defer or destructor, and stop the work when the call's context is \
                 cancelled",
        run: Run::CancelledCalls,
    },
    Case {
        name: "valid-decisions",
        of: CaseOf::Before,
        shows: "replies with valid decisions: one is set, a refusal's code is 5000 to 9899 or one of refusal.codes, and OpenIM can \
                carry out a change",
        why: "the fallback decides if a reply has no decision, or a change that would make OpenIM fail or lose data. A refusal \
              with another code reaches the user as 9925 with the bridge's own text",
        remedy: "set exactly one decision on every path. Give refusals a code that is allowed, or none for the bridge's default. \
                 Compare a change with the comments of its fields in proto/, and allow or refuse if the change cannot be made",
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
