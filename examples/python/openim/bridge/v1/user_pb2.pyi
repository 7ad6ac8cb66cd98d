from openim.bridge.v1 import decision_pb2 as _decision_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class User(_message.Message):
    __slots__ = ("user_id", "nickname", "face_url", "ex", "app_manager_level", "global_recv_msg_opt")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    NICKNAME_FIELD_NUMBER: _ClassVar[int]
    FACE_URL_FIELD_NUMBER: _ClassVar[int]
    EX_FIELD_NUMBER: _ClassVar[int]
    APP_MANAGER_LEVEL_FIELD_NUMBER: _ClassVar[int]
    GLOBAL_RECV_MSG_OPT_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    nickname: str
    face_url: str
    ex: str
    app_manager_level: int
    global_recv_msg_opt: int
    def __init__(self, user_id: _Optional[str] = ..., nickname: _Optional[str] = ..., face_url: _Optional[str] = ..., ex: _Optional[str] = ..., app_manager_level: _Optional[int] = ..., global_recv_msg_opt: _Optional[int] = ...) -> None: ...

class BeforeUserRegisterRequest(_message.Message):
    __slots__ = ("operation_id", "users")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    users: _containers.RepeatedCompositeFieldContainer[User]
    def __init__(self, operation_id: _Optional[str] = ..., users: _Optional[_Iterable[_Union[User, _Mapping]]] = ...) -> None: ...

class BeforeUserRegisterResponse(_message.Message):
    __slots__ = ("allow", "refuse", "change")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    REFUSE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    allow: _decision_pb2.Allow
    refuse: _decision_pb2.Refuse
    change: BeforeUserRegisterChange
    def __init__(self, allow: _Optional[_Union[_decision_pb2.Allow, _Mapping]] = ..., refuse: _Optional[_Union[_decision_pb2.Refuse, _Mapping]] = ..., change: _Optional[_Union[BeforeUserRegisterChange, _Mapping]] = ...) -> None: ...

class BeforeUserRegisterChange(_message.Message):
    __slots__ = ("users",)
    USERS_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[User]
    def __init__(self, users: _Optional[_Iterable[_Union[User, _Mapping]]] = ...) -> None: ...

class AfterUserRegisterRequest(_message.Message):
    __slots__ = ("operation_id", "users")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    users: _containers.RepeatedCompositeFieldContainer[User]
    def __init__(self, operation_id: _Optional[str] = ..., users: _Optional[_Iterable[_Union[User, _Mapping]]] = ...) -> None: ...

class AfterUserRegisterResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BeforeUpdateUserInfoRequest(_message.Message):
    __slots__ = ("operation_id", "user_id", "nickname", "face_url")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    NICKNAME_FIELD_NUMBER: _ClassVar[int]
    FACE_URL_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    user_id: str
    nickname: str
    face_url: str
    def __init__(self, operation_id: _Optional[str] = ..., user_id: _Optional[str] = ..., nickname: _Optional[str] = ..., face_url: _Optional[str] = ...) -> None: ...

class BeforeUpdateUserInfoResponse(_message.Message):
    __slots__ = ("allow", "refuse", "change")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    REFUSE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    allow: _decision_pb2.Allow
    refuse: _decision_pb2.Refuse
    change: BeforeUpdateUserInfoChange
    def __init__(self, allow: _Optional[_Union[_decision_pb2.Allow, _Mapping]] = ..., refuse: _Optional[_Union[_decision_pb2.Refuse, _Mapping]] = ..., change: _Optional[_Union[BeforeUpdateUserInfoChange, _Mapping]] = ...) -> None: ...

class BeforeUpdateUserInfoChange(_message.Message):
    __slots__ = ("nickname", "face_url", "ex")
    NICKNAME_FIELD_NUMBER: _ClassVar[int]
    FACE_URL_FIELD_NUMBER: _ClassVar[int]
    EX_FIELD_NUMBER: _ClassVar[int]
    nickname: str
    face_url: str
    ex: str
    def __init__(self, nickname: _Optional[str] = ..., face_url: _Optional[str] = ..., ex: _Optional[str] = ...) -> None: ...

class AfterUpdateUserInfoRequest(_message.Message):
    __slots__ = ("operation_id", "user_id", "nickname", "face_url")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    NICKNAME_FIELD_NUMBER: _ClassVar[int]
    FACE_URL_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    user_id: str
    nickname: str
    face_url: str
    def __init__(self, operation_id: _Optional[str] = ..., user_id: _Optional[str] = ..., nickname: _Optional[str] = ..., face_url: _Optional[str] = ...) -> None: ...

class AfterUpdateUserInfoResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BeforeUpdateUserInfoExRequest(_message.Message):
    __slots__ = ("operation_id", "user_id", "nickname", "face_url")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    NICKNAME_FIELD_NUMBER: _ClassVar[int]
    FACE_URL_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    user_id: str
    nickname: str
    face_url: str
    def __init__(self, operation_id: _Optional[str] = ..., user_id: _Optional[str] = ..., nickname: _Optional[str] = ..., face_url: _Optional[str] = ...) -> None: ...

class BeforeUpdateUserInfoExResponse(_message.Message):
    __slots__ = ("allow", "refuse", "change")
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    REFUSE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    allow: _decision_pb2.Allow
    refuse: _decision_pb2.Refuse
    change: BeforeUpdateUserInfoExChange
    def __init__(self, allow: _Optional[_Union[_decision_pb2.Allow, _Mapping]] = ..., refuse: _Optional[_Union[_decision_pb2.Refuse, _Mapping]] = ..., change: _Optional[_Union[BeforeUpdateUserInfoExChange, _Mapping]] = ...) -> None: ...

class BeforeUpdateUserInfoExChange(_message.Message):
    __slots__ = ("nickname", "face_url")
    NICKNAME_FIELD_NUMBER: _ClassVar[int]
    FACE_URL_FIELD_NUMBER: _ClassVar[int]
    nickname: str
    face_url: str
    def __init__(self, nickname: _Optional[str] = ..., face_url: _Optional[str] = ...) -> None: ...

class AfterUpdateUserInfoExRequest(_message.Message):
    __slots__ = ("operation_id", "user_id", "nickname", "face_url")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    NICKNAME_FIELD_NUMBER: _ClassVar[int]
    FACE_URL_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    user_id: str
    nickname: str
    face_url: str
    def __init__(self, operation_id: _Optional[str] = ..., user_id: _Optional[str] = ..., nickname: _Optional[str] = ..., face_url: _Optional[str] = ...) -> None: ...

class AfterUpdateUserInfoExResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AfterUserOnlineRequest(_message.Message):
    __slots__ = ("operation_id", "user_id", "platform_id", "platform_name", "time_ms", "is_app_background")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_ID_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_NAME_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    IS_APP_BACKGROUND_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    user_id: str
    platform_id: _decision_pb2.Platform
    platform_name: str
    time_ms: int
    is_app_background: bool
    def __init__(self, operation_id: _Optional[str] = ..., user_id: _Optional[str] = ..., platform_id: _Optional[_Union[_decision_pb2.Platform, str]] = ..., platform_name: _Optional[str] = ..., time_ms: _Optional[int] = ..., is_app_background: _Optional[bool] = ...) -> None: ...

class AfterUserOnlineResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AfterUserOfflineRequest(_message.Message):
    __slots__ = ("operation_id", "user_id", "platform_id", "platform_name", "time_ms")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_ID_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_NAME_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    user_id: str
    platform_id: _decision_pb2.Platform
    platform_name: str
    time_ms: int
    def __init__(self, operation_id: _Optional[str] = ..., user_id: _Optional[str] = ..., platform_id: _Optional[_Union[_decision_pb2.Platform, str]] = ..., platform_name: _Optional[str] = ..., time_ms: _Optional[int] = ...) -> None: ...

class AfterUserOfflineResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AfterUserKickOffRequest(_message.Message):
    __slots__ = ("operation_id", "user_id", "platform_id", "platform_name", "time_ms")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_ID_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_NAME_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    user_id: str
    platform_id: _decision_pb2.Platform
    platform_name: str
    time_ms: int
    def __init__(self, operation_id: _Optional[str] = ..., user_id: _Optional[str] = ..., platform_id: _Optional[_Union[_decision_pb2.Platform, str]] = ..., platform_name: _Optional[str] = ..., time_ms: _Optional[int] = ...) -> None: ...

class AfterUserKickOffResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
