from openim.bridge.v1 import decision_pb2 as _decision_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BeforeSendSingleMsgRequest(_message.Message):
    __slots__ = ("operation_id", "sender_user_id", "server_msg_id", "client_msg_id", "sender_platform_id", "sender_nickname", "session_type", "msg_from", "content_type", "status", "send_time_ms", "create_time_ms", "content", "seq", "at_user_ids", "sender_face_url", "ex", "receiver_user_id")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_MSG_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_MSG_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_PLATFORM_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_NICKNAME_FIELD_NUMBER: _ClassVar[int]
    SESSION_TYPE_FIELD_NUMBER: _ClassVar[int]
    MSG_FROM_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_USER_IDS_FIELD_NUMBER: _ClassVar[int]
    SENDER_FACE_URL_FIELD_NUMBER: _ClassVar[int]
    EX_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    sender_user_id: str
    server_msg_id: str
    client_msg_id: str
    sender_platform_id: _decision_pb2.Platform
    sender_nickname: str
    session_type: _decision_pb2.SessionType
    msg_from: int
    content_type: int
    status: int
    send_time_ms: int
    create_time_ms: int
    content: str
    seq: int
    at_user_ids: _containers.RepeatedScalarFieldContainer[str]
    sender_face_url: str
    ex: str
    receiver_user_id: str
    def __init__(self, operation_id: _Optional[str] = ..., sender_user_id: _Optional[str] = ..., server_msg_id: _Optional[str] = ..., client_msg_id: _Optional[str] = ..., sender_platform_id: _Optional[_Union[_decision_pb2.Platform, str]] = ..., sender_nickname: _Optional[str] = ..., session_type: _Optional[_Union[_decision_pb2.SessionType, str]] = ..., msg_from: _Optional[int] = ..., content_type: _Optional[int] = ..., status: _Optional[int] = ..., send_time_ms: _Optional[int] = ..., create_time_ms: _Optional[int] = ..., content: _Optional[str] = ..., seq: _Optional[int] = ..., at_user_ids: _Optional[_Iterable[str]] = ..., sender_face_url: _Optional[str] = ..., ex: _Optional[str] = ..., receiver_user_id: _Optional[str] = ...) -> None: ...

class BeforeSendSingleMsgResponse(_message.Message):
    __slots__ = ("allow", "refuse")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    REFUSE_FIELD_NUMBER: _ClassVar[int]
    allow: _decision_pb2.Allow
    refuse: _decision_pb2.Refuse
    def __init__(self, allow: _Optional[_Union[_decision_pb2.Allow, _Mapping]] = ..., refuse: _Optional[_Union[_decision_pb2.Refuse, _Mapping]] = ...) -> None: ...

class AfterSendSingleMsgRequest(_message.Message):
    __slots__ = ("operation_id", "sender_user_id", "server_msg_id", "client_msg_id", "sender_platform_id", "sender_nickname", "session_type", "msg_from", "content_type", "status", "send_time_ms", "create_time_ms", "content", "seq", "at_user_ids", "sender_face_url", "ex", "receiver_user_id")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_MSG_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_MSG_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_PLATFORM_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_NICKNAME_FIELD_NUMBER: _ClassVar[int]
    SESSION_TYPE_FIELD_NUMBER: _ClassVar[int]
    MSG_FROM_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_USER_IDS_FIELD_NUMBER: _ClassVar[int]
    SENDER_FACE_URL_FIELD_NUMBER: _ClassVar[int]
    EX_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    sender_user_id: str
    server_msg_id: str
    client_msg_id: str
    sender_platform_id: _decision_pb2.Platform
    sender_nickname: str
    session_type: _decision_pb2.SessionType
    msg_from: int
    content_type: int
    status: int
    send_time_ms: int
    create_time_ms: int
    content: str
    seq: int
    at_user_ids: _containers.RepeatedScalarFieldContainer[str]
    sender_face_url: str
    ex: str
    receiver_user_id: str
    def __init__(self, operation_id: _Optional[str] = ..., sender_user_id: _Optional[str] = ..., server_msg_id: _Optional[str] = ..., client_msg_id: _Optional[str] = ..., sender_platform_id: _Optional[_Union[_decision_pb2.Platform, str]] = ..., sender_nickname: _Optional[str] = ..., session_type: _Optional[_Union[_decision_pb2.SessionType, str]] = ..., msg_from: _Optional[int] = ..., content_type: _Optional[int] = ..., status: _Optional[int] = ..., send_time_ms: _Optional[int] = ..., create_time_ms: _Optional[int] = ..., content: _Optional[str] = ..., seq: _Optional[int] = ..., at_user_ids: _Optional[_Iterable[str]] = ..., sender_face_url: _Optional[str] = ..., ex: _Optional[str] = ..., receiver_user_id: _Optional[str] = ...) -> None: ...

class AfterSendSingleMsgResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BeforeSendGroupMsgRequest(_message.Message):
    __slots__ = ("operation_id", "sender_user_id", "server_msg_id", "client_msg_id", "sender_platform_id", "sender_nickname", "session_type", "msg_from", "content_type", "status", "send_time_ms", "create_time_ms", "content", "seq", "at_user_ids", "sender_face_url", "ex", "group_id")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_MSG_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_MSG_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_PLATFORM_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_NICKNAME_FIELD_NUMBER: _ClassVar[int]
    SESSION_TYPE_FIELD_NUMBER: _ClassVar[int]
    MSG_FROM_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_USER_IDS_FIELD_NUMBER: _ClassVar[int]
    SENDER_FACE_URL_FIELD_NUMBER: _ClassVar[int]
    EX_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    sender_user_id: str
    server_msg_id: str
    client_msg_id: str
    sender_platform_id: _decision_pb2.Platform
    sender_nickname: str
    session_type: _decision_pb2.SessionType
    msg_from: int
    content_type: int
    status: int
    send_time_ms: int
    create_time_ms: int
    content: str
    seq: int
    at_user_ids: _containers.RepeatedScalarFieldContainer[str]
    sender_face_url: str
    ex: str
    group_id: str
    def __init__(self, operation_id: _Optional[str] = ..., sender_user_id: _Optional[str] = ..., server_msg_id: _Optional[str] = ..., client_msg_id: _Optional[str] = ..., sender_platform_id: _Optional[_Union[_decision_pb2.Platform, str]] = ..., sender_nickname: _Optional[str] = ..., session_type: _Optional[_Union[_decision_pb2.SessionType, str]] = ..., msg_from: _Optional[int] = ..., content_type: _Optional[int] = ..., status: _Optional[int] = ..., send_time_ms: _Optional[int] = ..., create_time_ms: _Optional[int] = ..., content: _Optional[str] = ..., seq: _Optional[int] = ..., at_user_ids: _Optional[_Iterable[str]] = ..., sender_face_url: _Optional[str] = ..., ex: _Optional[str] = ..., group_id: _Optional[str] = ...) -> None: ...

class BeforeSendGroupMsgResponse(_message.Message):
    __slots__ = ("allow", "refuse")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    REFUSE_FIELD_NUMBER: _ClassVar[int]
    allow: _decision_pb2.Allow
    refuse: _decision_pb2.Refuse
    def __init__(self, allow: _Optional[_Union[_decision_pb2.Allow, _Mapping]] = ..., refuse: _Optional[_Union[_decision_pb2.Refuse, _Mapping]] = ...) -> None: ...

class AfterSendGroupMsgRequest(_message.Message):
    __slots__ = ("operation_id", "sender_user_id", "server_msg_id", "client_msg_id", "sender_platform_id", "sender_nickname", "session_type", "msg_from", "content_type", "status", "send_time_ms", "create_time_ms", "content", "seq", "at_user_ids", "sender_face_url", "ex", "group_id")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_MSG_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_MSG_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_PLATFORM_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_NICKNAME_FIELD_NUMBER: _ClassVar[int]
    SESSION_TYPE_FIELD_NUMBER: _ClassVar[int]
    MSG_FROM_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_USER_IDS_FIELD_NUMBER: _ClassVar[int]
    SENDER_FACE_URL_FIELD_NUMBER: _ClassVar[int]
    EX_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    sender_user_id: str
    server_msg_id: str
    client_msg_id: str
    sender_platform_id: _decision_pb2.Platform
    sender_nickname: str
    session_type: _decision_pb2.SessionType
    msg_from: int
    content_type: int
    status: int
    send_time_ms: int
    create_time_ms: int
    content: str
    seq: int
    at_user_ids: _containers.RepeatedScalarFieldContainer[str]
    sender_face_url: str
    ex: str
    group_id: str
    def __init__(self, operation_id: _Optional[str] = ..., sender_user_id: _Optional[str] = ..., server_msg_id: _Optional[str] = ..., client_msg_id: _Optional[str] = ..., sender_platform_id: _Optional[_Union[_decision_pb2.Platform, str]] = ..., sender_nickname: _Optional[str] = ..., session_type: _Optional[_Union[_decision_pb2.SessionType, str]] = ..., msg_from: _Optional[int] = ..., content_type: _Optional[int] = ..., status: _Optional[int] = ..., send_time_ms: _Optional[int] = ..., create_time_ms: _Optional[int] = ..., content: _Optional[str] = ..., seq: _Optional[int] = ..., at_user_ids: _Optional[_Iterable[str]] = ..., sender_face_url: _Optional[str] = ..., ex: _Optional[str] = ..., group_id: _Optional[str] = ...) -> None: ...

class AfterSendGroupMsgResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BeforeMsgModifyRequest(_message.Message):
    __slots__ = ("operation_id", "sender_user_id", "server_msg_id", "client_msg_id", "sender_platform_id", "sender_nickname", "session_type", "msg_from", "content_type", "status", "send_time_ms", "create_time_ms", "content", "seq", "at_user_ids", "sender_face_url", "ex")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_MSG_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_MSG_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_PLATFORM_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_NICKNAME_FIELD_NUMBER: _ClassVar[int]
    SESSION_TYPE_FIELD_NUMBER: _ClassVar[int]
    MSG_FROM_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_USER_IDS_FIELD_NUMBER: _ClassVar[int]
    SENDER_FACE_URL_FIELD_NUMBER: _ClassVar[int]
    EX_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    sender_user_id: str
    server_msg_id: str
    client_msg_id: str
    sender_platform_id: _decision_pb2.Platform
    sender_nickname: str
    session_type: _decision_pb2.SessionType
    msg_from: int
    content_type: int
    status: int
    send_time_ms: int
    create_time_ms: int
    content: str
    seq: int
    at_user_ids: _containers.RepeatedScalarFieldContainer[str]
    sender_face_url: str
    ex: str
    def __init__(self, operation_id: _Optional[str] = ..., sender_user_id: _Optional[str] = ..., server_msg_id: _Optional[str] = ..., client_msg_id: _Optional[str] = ..., sender_platform_id: _Optional[_Union[_decision_pb2.Platform, str]] = ..., sender_nickname: _Optional[str] = ..., session_type: _Optional[_Union[_decision_pb2.SessionType, str]] = ..., msg_from: _Optional[int] = ..., content_type: _Optional[int] = ..., status: _Optional[int] = ..., send_time_ms: _Optional[int] = ..., create_time_ms: _Optional[int] = ..., content: _Optional[str] = ..., seq: _Optional[int] = ..., at_user_ids: _Optional[_Iterable[str]] = ..., sender_face_url: _Optional[str] = ..., ex: _Optional[str] = ...) -> None: ...

class BeforeMsgModifyResponse(_message.Message):
    __slots__ = ("allow", "refuse", "change")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    REFUSE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    allow: _decision_pb2.Allow
    refuse: _decision_pb2.Refuse
    change: BeforeMsgModifyChange
    def __init__(self, allow: _Optional[_Union[_decision_pb2.Allow, _Mapping]] = ..., refuse: _Optional[_Union[_decision_pb2.Refuse, _Mapping]] = ..., change: _Optional[_Union[BeforeMsgModifyChange, _Mapping]] = ...) -> None: ...

class BeforeMsgModifyChange(_message.Message):
    __slots__ = ("content", "redirect_to_user_id", "redirect_to_group_id", "sender_platform_id", "sender_nickname", "sender_face_url", "content_type", "at_user_ids", "attached_info", "ex")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_TO_USER_ID_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_TO_GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_PLATFORM_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_NICKNAME_FIELD_NUMBER: _ClassVar[int]
    SENDER_FACE_URL_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    AT_USER_IDS_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_INFO_FIELD_NUMBER: _ClassVar[int]
    EX_FIELD_NUMBER: _ClassVar[int]
    content: str
    redirect_to_user_id: str
    redirect_to_group_id: str
    sender_platform_id: _decision_pb2.Platform
    sender_nickname: str
    sender_face_url: str
    content_type: int
    at_user_ids: _decision_pb2.StringList
    attached_info: str
    ex: str
    def __init__(self, content: _Optional[str] = ..., redirect_to_user_id: _Optional[str] = ..., redirect_to_group_id: _Optional[str] = ..., sender_platform_id: _Optional[_Union[_decision_pb2.Platform, str]] = ..., sender_nickname: _Optional[str] = ..., sender_face_url: _Optional[str] = ..., content_type: _Optional[int] = ..., at_user_ids: _Optional[_Union[_decision_pb2.StringList, _Mapping]] = ..., attached_info: _Optional[str] = ..., ex: _Optional[str] = ...) -> None: ...

class AfterMsgSaveDBRequest(_message.Message):
    __slots__ = ("operation_id", "sender_user_id", "server_msg_id", "client_msg_id", "sender_platform_id", "sender_nickname", "session_type", "msg_from", "content_type", "status", "send_time_ms", "create_time_ms", "content", "seq", "at_user_ids", "sender_face_url", "ex", "receiver_user_id", "group_id")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_MSG_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_MSG_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_PLATFORM_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_NICKNAME_FIELD_NUMBER: _ClassVar[int]
    SESSION_TYPE_FIELD_NUMBER: _ClassVar[int]
    MSG_FROM_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_USER_IDS_FIELD_NUMBER: _ClassVar[int]
    SENDER_FACE_URL_FIELD_NUMBER: _ClassVar[int]
    EX_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    sender_user_id: str
    server_msg_id: str
    client_msg_id: str
    sender_platform_id: _decision_pb2.Platform
    sender_nickname: str
    session_type: _decision_pb2.SessionType
    msg_from: int
    content_type: int
    status: int
    send_time_ms: int
    create_time_ms: int
    content: str
    seq: int
    at_user_ids: _containers.RepeatedScalarFieldContainer[str]
    sender_face_url: str
    ex: str
    receiver_user_id: str
    group_id: str
    def __init__(self, operation_id: _Optional[str] = ..., sender_user_id: _Optional[str] = ..., server_msg_id: _Optional[str] = ..., client_msg_id: _Optional[str] = ..., sender_platform_id: _Optional[_Union[_decision_pb2.Platform, str]] = ..., sender_nickname: _Optional[str] = ..., session_type: _Optional[_Union[_decision_pb2.SessionType, str]] = ..., msg_from: _Optional[int] = ..., content_type: _Optional[int] = ..., status: _Optional[int] = ..., send_time_ms: _Optional[int] = ..., create_time_ms: _Optional[int] = ..., content: _Optional[str] = ..., seq: _Optional[int] = ..., at_user_ids: _Optional[_Iterable[str]] = ..., sender_face_url: _Optional[str] = ..., ex: _Optional[str] = ..., receiver_user_id: _Optional[str] = ..., group_id: _Optional[str] = ...) -> None: ...

class AfterMsgSaveDBResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AfterSingleMsgReadRequest(_message.Message):
    __slots__ = ("operation_id", "conversation_id", "reader_user_id", "seqs", "conversation_type")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    READER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    SEQS_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_TYPE_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    conversation_id: str
    reader_user_id: str
    seqs: _containers.RepeatedScalarFieldContainer[int]
    conversation_type: _decision_pb2.SessionType
    def __init__(self, operation_id: _Optional[str] = ..., conversation_id: _Optional[str] = ..., reader_user_id: _Optional[str] = ..., seqs: _Optional[_Iterable[int]] = ..., conversation_type: _Optional[_Union[_decision_pb2.SessionType, str]] = ...) -> None: ...

class AfterSingleMsgReadResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AfterGroupMsgReadRequest(_message.Message):
    __slots__ = ("operation_id", "reader_user_id", "receive_id", "has_read_seq", "conversation_type")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    READER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_ID_FIELD_NUMBER: _ClassVar[int]
    HAS_READ_SEQ_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_TYPE_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    reader_user_id: str
    receive_id: str
    has_read_seq: int
    conversation_type: _decision_pb2.SessionType
    def __init__(self, operation_id: _Optional[str] = ..., reader_user_id: _Optional[str] = ..., receive_id: _Optional[str] = ..., has_read_seq: _Optional[int] = ..., conversation_type: _Optional[_Union[_decision_pb2.SessionType, str]] = ...) -> None: ...

class AfterGroupMsgReadResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AfterRevokeMsgRequest(_message.Message):
    __slots__ = ("operation_id", "conversation_id", "seq", "revoker_user_id")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    REVOKER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    conversation_id: str
    seq: int
    revoker_user_id: str
    def __init__(self, operation_id: _Optional[str] = ..., conversation_id: _Optional[str] = ..., seq: _Optional[int] = ..., revoker_user_id: _Optional[str] = ...) -> None: ...

class AfterRevokeMsgResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
