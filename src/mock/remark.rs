//! Short names of the remark's callback, by which the mock's first rules were written. The only file of the mock that names a
//! callback or a field.

use serde_json::{Map, Value};

/// The callback that they are for.
pub(super) const CALLBACK: &str = "beforeSetFriendRemark";

/// What `replace` sets.
const REMARK: &str = "remark";

/// The field that is meant by a short name.
pub(super) fn field(short: &str) -> Option<&'static str> {
    match short {
        "owner" => Some("ownerUserID"),
        "friend" => Some("friendUserID"),
        _ => None,
    }
}

/// The change that `replace: TEXT` is.
pub(super) fn change(text: &str) -> Map<String, Value> {
    Map::from_iter([(REMARK.to_owned(), text.into())])
}
