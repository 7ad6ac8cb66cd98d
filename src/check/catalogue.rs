//! The cases, as data: what each shows, why it matters in production, and what to do about a failure. How it is run is in
//! [`super::cases`].

use super::samples::{self, CheckSample};

#[derive(Debug)]
pub struct Case {
    /// Stable: what `--case` takes, and what reports call it.
    pub name: &'static str,
    pub shows: &'static str,
    pub why: &'static str,
    pub remedy: &'static str,
    pub(super) run: Run,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Run {
    ServesRpc,
    Health,
    AnswersInTime,
    /// Each sample must be answered with the status OK.
    Answers(fn() -> Vec<CheckSample>),
    RepeatedCalls,
    ConcurrentCalls,
    CancelledCalls,
    /// Judges the replies of the cases before it as well.
    ValidDecisions,
}

const TEXTS_REMEDY: &str = "decide about every text, or refuse it with a code of yours (5000 to 9899): a status other than OK is no \
     decision. Look for validation before your rule, for libraries that cannot take such a text, and for exceptions that \
     become INTERNAL or UNKNOWN";

/// All of them, in the order in which they are run.
pub static CASES: &[Case] = &[
    Case {
        name: "serves-rpc",
        shows: "serves openim.bridge.v1.FriendCallbackService/BeforeSetFriendRemark",
        why: "without it every callback is decided by the bridge's fallback",
        remedy: "register the generated FriendCallbackService with the gRPC server that listens at this address, over \
                 HTTP/2 without TLS for http://, with TLS for https://",
        run: Run::ServesRpc,
    },
    Case {
        name: "health",
        shows: "serves grpc.health.v1.Health, and says SERVING",
        why: "the bridge asks for it every 2 s: a service that says NOT_SERVING gets no calls, so that it can be stopped or \
              can warm up without failing any; one that does not answer is taken out",
        remedy: "add your language's health service (grpc-health-checking, google.golang.org/grpc/health, …), set SERVING \
                 for the service name that the bridge asks for (upstream.health.service, empty unless configured), and set \
                 NOT_SERVING before you stop",
        run: Run::Health,
    },
    Case {
        name: "answers-in-time",
        shows: "answers ordinary calls within --deadline",
        why: "a user waits, and the bridge gives up before OpenIM does: what comes later is decided by the fallback",
        remedy: "look for what the handler waits for: a database without an index, a lookup on the network, a lock, a cold \
                 start. Keep what decisions need in memory, and give your own waits a shorter limit than the call's deadline",
        run: Run::AnswersInTime,
    },
    Case {
        name: "empty-texts",
        shows: "decides about an empty remark, and about empty IDs",
        why: "an empty remark is how a user removes one, and OpenIM has checked nothing before it asks",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::empty_texts),
    },
    Case {
        name: "long-remark",
        shows: "decides about remarks of 10 kB",
        why: "the contract sets no limit: a user's client can send what it likes, and the bridge passes on up to 3 MiB",
        remedy: "accept gRPC messages of 3 MiB at least (4 MiB is the usual default), refuse what is too long for you with a \
                 code of yours, and look for rules whose time grows with the square of the length",
        run: Run::Answers(samples::long_remark),
    },
    Case {
        name: "emoji",
        shows: "decides about emoji, joined and flagged ones included",
        why: "users write them every day, and they are longer than one UTF-16 unit, which breaks careless cutting",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::emoji),
    },
    Case {
        name: "right-to-left",
        shows: "decides about right-to-left text, and the marks that steer it",
        why: "users write in Arabic and Hebrew, and others use the marks to disguise a text",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::right_to_left),
    },
    Case {
        name: "control-characters",
        shows: "decides about NUL and every other control character",
        why: "a user's client can send them. NUL ends a string in C and is refused by some databases (PostgreSQL's text), \
              so one user could make the handler fail",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::control_characters),
    },
    Case {
        name: "white-space",
        shows: "decides about every kind of white space, and invisible characters",
        why: "a remark of white space alone looks empty: where your rule trims it, what is left must not become an empty \
              replacement or an index out of range",
        remedy: TEXTS_REMEDY,
        run: Run::Answers(samples::white_space),
    },
    Case {
        name: "unknown-fields",
        shows: "answers messages with fields from a newer contract",
        why: "fields will be added, and the bridge may be upgraded before your service",
        remedy: "use your language's generated code, which ignores fields that it does not know, without a strict mode",
        run: Run::Answers(samples::unknown_fields),
    },
    Case {
        name: "repeated-calls",
        shows: "gives the same decision when the same call is repeated",
        why: "the bridge asks again when a connection broke before the reply: the same question must be answerable twice, \
              with the same result",
        remedy: "let the decision depend on the question alone, or on data that all copies of your service share. No counter, \
                 no rate limit, no 'already seen' that changes it within seconds",
        run: Run::RepeatedCalls,
    },
    Case {
        name: "concurrent-calls",
        shows: "answers 1,000 concurrent calls",
        why: "OpenIM sends callbacks as users act, without a limit; what your service rejects or keeps waiting is decided \
              by the fallback",
        remedy: "raise the limit on concurrent calls (threads of a pool, a semaphore, MAX_CONCURRENT_STREAMS), and do not \
                 hold one thing for all calls while waiting, such as one database connection",
        run: Run::ConcurrentCalls,
    },
    Case {
        name: "cancelled-calls",
        shows: "answers as fast as before after 1,000 cancelled calls",
        why: "calls are cancelled when their deadline passes, and many at once when your service was slow for a moment: \
              whatever each leaves behind (a thread, a lock, a place in a pool) adds up until nothing is answered",
        remedy: "give back in a finally, defer or destructor what a call has taken, and stop working when the call's context \
                 is cancelled",
        run: Run::CancelledCalls,
    },
    Case {
        name: "valid-decisions",
        shows: "replies with valid decisions: one is set, codes are 5000 to 9899, no replacement is empty",
        why: "a reply without a decision, or with an empty replacement, goes to the fallback, whatever was meant; a refusal \
              with another code reaches the user as 9925 with the bridge's own text",
        remedy: "set exactly one of allow, refuse and replace_remark on every path; give refusals a code of 5000 to 9899, or \
                 none for the bridge's default; where trimming leaves nothing, allow or refuse",
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
    fn the_first_decides_whether_the_others_are_worth_running_and_the_last_judges_them() {
        assert!(matches!(CASES.first().map(|case| case.run), Some(Run::ServesRpc)));
        assert!(matches!(CASES.last().map(|case| case.run), Some(Run::ValidDecisions)));
    }
}
