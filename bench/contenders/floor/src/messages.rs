//! The callbacks about a message.

use axum::{Json, extract::State, http::StatusCode};

use crate::{
    Answered, Decisions, OperationId, Said,
    bodies::{Answer, Message, ModifyAnswer},
    no_decision,
    proto::{self, before_msg_modify_response, before_send_single_msg_response},
    refused,
};

/// A question about a message: the fields that each has, and some of its own.
macro_rules! question {
    ($type:ident, $operation_id:ident, $message:ident $(, $field:ident: $value:expr)*) => {
        proto::$type {
            operation_id: $operation_id,
            sender_user_id: $message.send_id,
            server_msg_id: $message.server_msg_id,
            client_msg_id: $message.client_msg_id,
            sender_platform_id: $message.sender_platform_id,
            sender_nickname: $message.sender_nickname,
            session_type: $message.session_type,
            msg_from: $message.msg_from,
            content_type: $message.content_type,
            status: $message.status,
            send_time_ms: $message.send_time,
            create_time_ms: $message.create_time,
            content: $message.content,
            seq: $message.seq,
            at_user_ids: $message.at_user_list.unwrap_or_default(),
            sender_face_url: $message.face_url,
            ex: $message.ex,
            $($field: $value,)*
        }
    };
}

pub async fn before_send_single_msg(
    State(mut decisions): State<Decisions>,
    OperationId(operation_id): OperationId,
    Json(message): Json<Message>,
) -> Answered<Answer> {
    use before_send_single_msg_response::Decision;
    let request = question!(BeforeSendSingleMsgRequest, operation_id, message, receiver_user_id: message.recv_id);
    let reply = decisions.messages.before_send_single_msg(request).await.map_err(no_decision)?;
    Ok(Json(match reply.into_inner().decision.ok_or(StatusCode::BAD_GATEWAY)? {
        Decision::Allow(_) => Said::Allowed(Answer::success()),
        Decision::Refuse(refusal) => refused(refusal),
    }))
}

pub async fn before_msg_modify(
    State(mut decisions): State<Decisions>,
    OperationId(operation_id): OperationId,
    Json(message): Json<Message>,
) -> Answered<ModifyAnswer> {
    use before_msg_modify_response::Decision;
    let request = question!(BeforeMsgModifyRequest, operation_id, message);
    let reply = decisions.messages.before_msg_modify(request).await.map_err(no_decision)?;
    let change = match reply.into_inner().decision.ok_or(StatusCode::BAD_GATEWAY)? {
        Decision::Allow(_) => proto::BeforeMsgModifyChange::default(),
        Decision::Change(change) => change,
        Decision::Refuse(refusal) => return Ok(Json(refused(refusal))),
    };
    Ok(Json(Said::Allowed(ModifyAnswer::success(
        change.content,
        change.redirect_to_user_id,
        change.redirect_to_group_id,
        change.sender_platform_id,
        change.sender_nickname,
        change.sender_face_url,
        change.content_type,
        change.at_user_ids.map(|list| list.values),
        change.attached_info,
        change.ex,
    ))))
}

/// OpenIM waits until the decision service was told.
pub async fn after_send_single_msg(
    State(mut decisions): State<Decisions>,
    OperationId(operation_id): OperationId,
    Json(message): Json<Message>,
) -> Answered<Answer> {
    let request = question!(AfterSendSingleMsgRequest, operation_id, message, receiver_user_id: message.recv_id);
    decisions.messages.after_send_single_msg(request).await.map_err(no_decision)?;
    Ok(Json(Said::Allowed(Answer::success())))
}

/// The same.
pub async fn after_msg_save_db(
    State(mut decisions): State<Decisions>,
    OperationId(operation_id): OperationId,
    Json(message): Json<Message>,
) -> Answered<Answer> {
    let request = question!(
        AfterMsgSaveDbRequest,
        operation_id,
        message,
        receiver_user_id: message.recv_id,
        group_id: message.group_id
    );
    decisions.messages.after_msg_save_db(request).await.map_err(no_decision)?;
    Ok(Json(Said::Allowed(Answer::success())))
}
