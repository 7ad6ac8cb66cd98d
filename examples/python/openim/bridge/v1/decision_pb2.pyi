from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class SessionType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_TYPE_UNSPECIFIED: _ClassVar[SessionType]
    SESSION_TYPE_SINGLE: _ClassVar[SessionType]
    SESSION_TYPE_GROUP: _ClassVar[SessionType]
    SESSION_TYPE_NOTIFICATION: _ClassVar[SessionType]

class Platform(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLATFORM_UNSPECIFIED: _ClassVar[Platform]
    PLATFORM_IOS: _ClassVar[Platform]
    PLATFORM_ANDROID: _ClassVar[Platform]
    PLATFORM_WINDOWS: _ClassVar[Platform]
    PLATFORM_OSX: _ClassVar[Platform]
    PLATFORM_WEB: _ClassVar[Platform]
    PLATFORM_MINI_WEB: _ClassVar[Platform]
    PLATFORM_LINUX: _ClassVar[Platform]
    PLATFORM_ANDROID_PAD: _ClassVar[Platform]
    PLATFORM_IPAD: _ClassVar[Platform]
    PLATFORM_ADMIN: _ClassVar[Platform]
    PLATFORM_HARMONY_OS: _ClassVar[Platform]
    PLATFORM_BOT: _ClassVar[Platform]
SESSION_TYPE_UNSPECIFIED: SessionType
SESSION_TYPE_SINGLE: SessionType
SESSION_TYPE_GROUP: SessionType
SESSION_TYPE_NOTIFICATION: SessionType
PLATFORM_UNSPECIFIED: Platform
PLATFORM_IOS: Platform
PLATFORM_ANDROID: Platform
PLATFORM_WINDOWS: Platform
PLATFORM_OSX: Platform
PLATFORM_WEB: Platform
PLATFORM_MINI_WEB: Platform
PLATFORM_LINUX: Platform
PLATFORM_ANDROID_PAD: Platform
PLATFORM_IPAD: Platform
PLATFORM_ADMIN: Platform
PLATFORM_HARMONY_OS: Platform
PLATFORM_BOT: Platform

class Allow(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Refuse(_message.Message):
    __slots__ = ("code", "message", "detail")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    detail: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class StringList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...
