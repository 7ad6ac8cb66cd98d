//! The rule: remarks that contain a listed word are refused, the others trimmed.

use tonic::{Request, Response, Status};
use unicode_normalization::UnicodeNormalization as _;

use crate::contract::{
    Allow, BeforeSetFriendRemarkRequest, BeforeSetFriendRemarkResponse, Refuse, ReplaceRemark,
    before_set_friend_remark_response::Decision, friend_callback_service_server::FriendCallbackService,
};

/// The service's own codes, of the 5000 to 9899 that are free for it.
const CODE_NOT_ALLOWED: i32 = 5001;
const CODE_BLANK: i32 = 5002;

pub struct Friends {
    words: Vec<String>,
}

#[tonic::async_trait]
impl FriendCallbackService for Friends {
    async fn before_set_friend_remark(
        &self,
        request: Request<BeforeSetFriendRemarkRequest>,
    ) -> Result<Response<BeforeSetFriendRemarkResponse>, Status> {
        // When the call is cancelled, or its deadline passes, tonic drops this future, and with it all that the rule
        // awaits, such as a database.
        let decision = self.decide(&request.into_inner().remark);
        Ok(Response::new(BeforeSetFriendRemarkResponse { decision: Some(decision) }))
    }
}

impl Friends {
    /// `words` has one word a line. Empty lines and those that begin with `#` are passed over.
    pub fn new(words: &str) -> Self {
        let lines = words.lines().map(str::trim);
        Self { words: lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(searchable).collect() }
    }

    /// The remark alone decides, so a call that is repeated gets the same answer.
    fn decide(&self, remark: &str) -> Decision {
        let text = searchable(remark);
        if self.words.iter().any(|word| text.contains(word)) {
            return refuse(CODE_NOT_ALLOWED, "This remark is not allowed");
        }
        // `trim` trims what has Unicode's property White_Space.
        match remark.trim() {
            // Also the empty remark, which removes the one that was set.
            trimmed if trimmed == remark => Decision::Allow(Allow {}),
            // It cannot be replaced: an empty replacement is an invalid reply.
            "" => refuse(CODE_BLANK, "A remark cannot be blank"),
            trimmed => Decision::ReplaceRemark(ReplaceRemark { remark: trimmed.to_owned() }),
        }
    }
}

fn refuse(code: i32, message: &str) -> Decision {
    Decision::Refuse(Refuse { code, message: message.to_owned(), detail: String::new() })
}

/// Makes ＳＰＡＭ, Spam and spam equal: compatibility characters taken apart (NFKD), each character in lower case, and put
/// together again (NFKC), so that a word is not found in half of a Hangul syllable. Case folding proper (ß and ss) and
/// letters that merely look alike are left out.
fn searchable(text: &str) -> String {
    text.nfkd().flat_map(char::to_lowercase).nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decides() {
        let friends = Friends::new("# a comment\nspam\n\nÜberfall\n");
        let not_allowed = refuse(CODE_NOT_ALLOWED, "This remark is not allowed");
        let alice = Decision::ReplaceRemark(ReplaceRemark { remark: "Alice".to_owned() });
        for (name, remark, expected) in [
            ("an ordinary remark is allowed", "Alice", &Decision::Allow(Allow {})),
            ("an empty remark is allowed", "", &Decision::Allow(Allow {})),
            ("space around is trimmed", "\u{3000} Alice\n", &alice),
            ("a blank remark is refused", " \t\u{2028}", &refuse(CODE_BLANK, "A remark cannot be blank")),
            ("a listed word is refused", "so much spam", &not_allowed),
            ("letter case does not matter", "ÜBERFALL", &not_allowed),
            ("nor does width", "ＳＰＡＭ", &not_allowed),
            ("nor do combining characters", "U\u{308}berfall", &not_allowed),
        ] {
            assert_eq!(&friends.decide(remark), expected, "{name}");
        }
    }
}
