//! What OpenIM sends, and what it reads.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remark {
    #[serde(rename = "ownerUserID")]
    pub owner_user_id: String,
    #[serde(rename = "friendUserID")]
    pub friend_user_id: String,
    pub remark: String,
}

/// What every message has, and its receiver or its group.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    #[serde(rename = "sendID")]
    pub send_id: String,
    #[serde(rename = "serverMsgID")]
    pub server_msg_id: String,
    #[serde(rename = "clientMsgID")]
    pub client_msg_id: String,
    #[serde(rename = "senderPlatformID")]
    pub sender_platform_id: i32,
    pub sender_nickname: String,
    pub session_type: i32,
    pub msg_from: i32,
    pub content_type: i32,
    pub status: i32,
    pub send_time: i64,
    pub create_time: i64,
    pub content: String,
    pub seq: u32,
    pub at_user_list: Option<Vec<String>>,
    #[serde(rename = "faceURL")]
    pub face_url: String,
    pub ex: String,
    #[serde(default, rename = "recvID")]
    pub recv_id: String,
    #[serde(default, rename = "groupID")]
    pub group_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnlinePush {
    #[serde(rename = "platformID")]
    pub platform_id: i32,
    pub platform: String,
    #[serde(rename = "userIDList")]
    pub user_ids: Option<Vec<String>>,
    #[serde(rename = "clientMsgID")]
    pub client_msg_id: String,
    #[serde(rename = "sendID")]
    pub send_id: String,
    #[serde(rename = "groupID")]
    pub group_id: String,
    pub content_type: i32,
    pub session_type: i32,
    #[serde(rename = "atUserIDList")]
    pub at_user_ids: Option<Vec<String>>,
    pub content: String,
}

/// What is not to be changed is null.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupEx {
    #[serde(rename = "groupID")]
    pub group_id: String,
    pub group_name: Option<String>,
    pub notification: Option<String>,
    pub introduction: Option<String>,
    #[serde(rename = "faceURL")]
    pub face_url: Option<String>,
    pub ex: Option<String>,
    pub need_verification: Option<i32>,
    pub look_member_info: Option<i32>,
    pub apply_member_friend: Option<i32>,
}

/// An answer that lets the user's action go on: the fields that each has, and some of its own.
///
/// No `#[serde(flatten)]`, which is dearer than fields.
macro_rules! answers {
    ($($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            #[derive(Serialize)]
            #[serde(rename_all = "camelCase")]
            pub struct $name {
                pub action_code: i32,
                pub err_code: i32,
                pub err_msg: Cow<'static, str>,
                pub err_dlt: Cow<'static, str>,
                pub next_code: i32,
                $($(#[$attribute])* pub $field: $type,)*
            }

            impl $name {
                pub fn success($($field: $type),*) -> Self {
                    let (err_msg, err_dlt) = (Cow::Borrowed("Success"), Cow::Borrowed(""));
                    Self { action_code: 0, err_code: 0, err_msg, err_dlt, next_code: 0, $($field),* }
                }
            }
        )*
    };
}

answers! {
    Answer {}
    RemarkAnswer {
        remark: String,
    }
    ModifyAnswer {
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        #[serde(rename = "recvID", skip_serializing_if = "Option::is_none")]
        recv_id: Option<String>,
        #[serde(rename = "groupID", skip_serializing_if = "Option::is_none")]
        group_id: Option<String>,
        #[serde(rename = "senderPlatformID", skip_serializing_if = "Option::is_none")]
        sender_platform_id: Option<i32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sender_nickname: Option<String>,
        #[serde(rename = "senderFaceURL", skip_serializing_if = "Option::is_none")]
        sender_face_url: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content_type: Option<i32>,
        #[serde(rename = "atUserIDList", skip_serializing_if = "Option::is_none")]
        at_user_ids: Option<Vec<String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        attached_info: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ex: Option<String>,
    }
    GroupAnswer {
        #[serde(rename = "groupID")]
        group_id: String,
        group_name: Option<String>,
        introduction: Option<String>,
        #[serde(rename = "faceURL")]
        face_url: Option<String>,
        ex: Option<String>,
        need_verification: Option<i32>,
        look_member_info: Option<i32>,
        apply_member_friend: Option<i32>,
    }
}
