from openim.bridge.v1 import decision_pb2 as _decision_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BeforeSetFriendRemarkRequest(_message.Message):
    __slots__ = ("operation_id", "owner_user_id", "friend_user_id", "remark")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    FRIEND_USER_ID_FIELD_NUMBER: _ClassVar[int]
    REMARK_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    owner_user_id: str
    friend_user_id: str
    remark: str
    def __init__(self, operation_id: _Optional[str] = ..., owner_user_id: _Optional[str] = ..., friend_user_id: _Optional[str] = ..., remark: _Optional[str] = ...) -> None: ...

class BeforeSetFriendRemarkResponse(_message.Message):
    __slots__ = ("allow", "refuse", "replace_remark")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    REFUSE_FIELD_NUMBER: _ClassVar[int]
    REPLACE_REMARK_FIELD_NUMBER: _ClassVar[int]
    allow: _decision_pb2.Allow
    refuse: _decision_pb2.Refuse
    replace_remark: ReplaceRemark
    def __init__(self, allow: _Optional[_Union[_decision_pb2.Allow, _Mapping]] = ..., refuse: _Optional[_Union[_decision_pb2.Refuse, _Mapping]] = ..., replace_remark: _Optional[_Union[ReplaceRemark, _Mapping]] = ...) -> None: ...

class ReplaceRemark(_message.Message):
    __slots__ = ("remark",)
    REMARK_FIELD_NUMBER: _ClassVar[int]
    remark: str
    def __init__(self, remark: _Optional[str] = ...) -> None: ...

class AfterSetFriendRemarkRequest(_message.Message):
    __slots__ = ("operation_id", "owner_user_id", "friend_user_id", "remark")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    FRIEND_USER_ID_FIELD_NUMBER: _ClassVar[int]
    REMARK_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    owner_user_id: str
    friend_user_id: str
    remark: str
    def __init__(self, operation_id: _Optional[str] = ..., owner_user_id: _Optional[str] = ..., friend_user_id: _Optional[str] = ..., remark: _Optional[str] = ...) -> None: ...

class AfterSetFriendRemarkResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BeforeAddFriendRequest(_message.Message):
    __slots__ = ("operation_id", "from_user_id", "to_user_id", "req_msg", "ex")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_USER_ID_FIELD_NUMBER: _ClassVar[int]
    TO_USER_ID_FIELD_NUMBER: _ClassVar[int]
    REQ_MSG_FIELD_NUMBER: _ClassVar[int]
    EX_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    from_user_id: str
    to_user_id: str
    req_msg: str
    ex: str
    def __init__(self, operation_id: _Optional[str] = ..., from_user_id: _Optional[str] = ..., to_user_id: _Optional[str] = ..., req_msg: _Optional[str] = ..., ex: _Optional[str] = ...) -> None: ...

class BeforeAddFriendResponse(_message.Message):
    __slots__ = ("allow", "refuse")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    REFUSE_FIELD_NUMBER: _ClassVar[int]
    allow: _decision_pb2.Allow
    refuse: _decision_pb2.Refuse
    def __init__(self, allow: _Optional[_Union[_decision_pb2.Allow, _Mapping]] = ..., refuse: _Optional[_Union[_decision_pb2.Refuse, _Mapping]] = ...) -> None: ...

class AfterAddFriendRequest(_message.Message):
    __slots__ = ("operation_id", "from_user_id", "to_user_id", "req_msg")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_USER_ID_FIELD_NUMBER: _ClassVar[int]
    TO_USER_ID_FIELD_NUMBER: _ClassVar[int]
    REQ_MSG_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    from_user_id: str
    to_user_id: str
    req_msg: str
    def __init__(self, operation_id: _Optional[str] = ..., from_user_id: _Optional[str] = ..., to_user_id: _Optional[str] = ..., req_msg: _Optional[str] = ...) -> None: ...

class AfterAddFriendResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BeforeAddFriendAgreeRequest(_message.Message):
    __slots__ = ("operation_id", "applicant_user_id", "accepter_user_id", "handle_result", "handle_msg")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    APPLICANT_USER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCEPTER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    HANDLE_RESULT_FIELD_NUMBER: _ClassVar[int]
    HANDLE_MSG_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    applicant_user_id: str
    accepter_user_id: str
    handle_result: int
    handle_msg: str
    def __init__(self, operation_id: _Optional[str] = ..., applicant_user_id: _Optional[str] = ..., accepter_user_id: _Optional[str] = ..., handle_result: _Optional[int] = ..., handle_msg: _Optional[str] = ...) -> None: ...

class BeforeAddFriendAgreeResponse(_message.Message):
    __slots__ = ("allow", "refuse")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    REFUSE_FIELD_NUMBER: _ClassVar[int]
    allow: _decision_pb2.Allow
    refuse: _decision_pb2.Refuse
    def __init__(self, allow: _Optional[_Union[_decision_pb2.Allow, _Mapping]] = ..., refuse: _Optional[_Union[_decision_pb2.Refuse, _Mapping]] = ...) -> None: ...

class AfterAddFriendAgreeRequest(_message.Message):
    __slots__ = ("operation_id", "applicant_user_id", "accepter_user_id", "handle_result", "handle_msg")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    APPLICANT_USER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCEPTER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    HANDLE_RESULT_FIELD_NUMBER: _ClassVar[int]
    HANDLE_MSG_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    applicant_user_id: str
    accepter_user_id: str
    handle_result: int
    handle_msg: str
    def __init__(self, operation_id: _Optional[str] = ..., applicant_user_id: _Optional[str] = ..., accepter_user_id: _Optional[str] = ..., handle_result: _Optional[int] = ..., handle_msg: _Optional[str] = ...) -> None: ...

class AfterAddFriendAgreeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AfterDeleteFriendRequest(_message.Message):
    __slots__ = ("operation_id", "owner_user_id", "friend_user_id")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    FRIEND_USER_ID_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    owner_user_id: str
    friend_user_id: str
    def __init__(self, operation_id: _Optional[str] = ..., owner_user_id: _Optional[str] = ..., friend_user_id: _Optional[str] = ...) -> None: ...

class AfterDeleteFriendResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BeforeImportFriendsRequest(_message.Message):
    __slots__ = ("operation_id", "owner_user_id", "friend_user_ids")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    FRIEND_USER_IDS_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    owner_user_id: str
    friend_user_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, operation_id: _Optional[str] = ..., owner_user_id: _Optional[str] = ..., friend_user_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class BeforeImportFriendsResponse(_message.Message):
    __slots__ = ("allow", "refuse", "change")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    REFUSE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    allow: _decision_pb2.Allow
    refuse: _decision_pb2.Refuse
    change: BeforeImportFriendsChange
    def __init__(self, allow: _Optional[_Union[_decision_pb2.Allow, _Mapping]] = ..., refuse: _Optional[_Union[_decision_pb2.Refuse, _Mapping]] = ..., change: _Optional[_Union[BeforeImportFriendsChange, _Mapping]] = ...) -> None: ...

class BeforeImportFriendsChange(_message.Message):
    __slots__ = ("friend_user_ids",)
    FRIEND_USER_IDS_FIELD_NUMBER: _ClassVar[int]
    friend_user_ids: _decision_pb2.StringList
    def __init__(self, friend_user_ids: _Optional[_Union[_decision_pb2.StringList, _Mapping]] = ...) -> None: ...

class AfterImportFriendsRequest(_message.Message):
    __slots__ = ("operation_id", "owner_user_id", "friend_user_ids")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    FRIEND_USER_IDS_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    owner_user_id: str
    friend_user_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, operation_id: _Optional[str] = ..., owner_user_id: _Optional[str] = ..., friend_user_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class AfterImportFriendsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BeforeAddBlackRequest(_message.Message):
    __slots__ = ("operation_id", "owner_user_id", "black_user_id")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    BLACK_USER_ID_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    owner_user_id: str
    black_user_id: str
    def __init__(self, operation_id: _Optional[str] = ..., owner_user_id: _Optional[str] = ..., black_user_id: _Optional[str] = ...) -> None: ...

class BeforeAddBlackResponse(_message.Message):
    __slots__ = ("allow", "refuse")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    REFUSE_FIELD_NUMBER: _ClassVar[int]
    allow: _decision_pb2.Allow
    refuse: _decision_pb2.Refuse
    def __init__(self, allow: _Optional[_Union[_decision_pb2.Allow, _Mapping]] = ..., refuse: _Optional[_Union[_decision_pb2.Refuse, _Mapping]] = ...) -> None: ...

class AfterRemoveBlackRequest(_message.Message):
    __slots__ = ("operation_id", "owner_user_id", "black_user_id")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_USER_ID_FIELD_NUMBER: _ClassVar[int]
    BLACK_USER_ID_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    owner_user_id: str
    black_user_id: str
    def __init__(self, operation_id: _Optional[str] = ..., owner_user_id: _Optional[str] = ..., black_user_id: _Optional[str] = ...) -> None: ...

class AfterRemoveBlackResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
