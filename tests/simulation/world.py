"""The modelled world: stores with the providers' rules, and what people see of it.

A model keeps to the same promises as the real providers (checked for these by
the store suite of db-worker): a record and its fence are one row; the same key
finds what is there; undo leaves a tombstone; an e-mail address is unique among
live records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from nexpo.ai.v1 import ai_pb2 as ai
from nexpo.cloud.v1 import cloud_pb2 as cloud
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.notifications.v1 import notifications_pb2 as notifications
from nexpo.users.v1 import user_records_pb2 as data
from nexpo.users.v1.users_pb2 import User
from nexpo_runtime.errors import Fault

STORES = (
    "databases/postgres",
    "databases/mongodb",
    "databases/cosmosdb",
    "databases/sqlserver",
    "databases/supabase",
)
AUTHORITY = "databases/postgres"


@dataclass
class Rows:
    """Rows under unique keys: key -> (unique value, content), content None in a tombstone."""

    rows: dict[str, tuple[str, Any] | None] = field(default_factory=dict)
    fenced_creates: int = 0
    """Creations that met their tombstone: the fence did its work."""

    def put(self, key: str, unique: str, content: Any) -> bool:
        """Writes unless the key is there; False when another live row has `unique`."""
        if key in self.rows:
            if self.rows[key] is None:
                self.fenced_creates += 1
                raise Fault(Reason.REASON_FENCED)
            return True
        if any(row is not None and row[0] == unique for row in self.rows.values()):
            return False
        self.rows[key] = (unique, content)
        return True

    def bury(self, key: str) -> None:
        """Leaves a tombstone under the key, whether there was a row or not."""
        self.rows[key] = None

    def live(self) -> dict[str, tuple[str, Any]]:
        """Rows that are no tombstones."""
        return {key: row for key, row in self.rows.items() if row is not None}

    def tombstones(self) -> set[str]:
        """Keys that were undone or erased."""
        return {key for key, row in self.rows.items() if row is None}


@dataclass(frozen=True)
class Mail:
    """A mail that left the house."""

    kind: str
    to: str
    operation: str
    token: str
    key: str


class World:
    """Everything outside the workflows, for one tenant."""

    def __init__(self) -> None:
        self.users = {store: Rows() for store in STORES}
        self.claims = Rows()
        self.homes = Rows()
        self.mails: list[Mail] = []
        self.on_mail: Callable[[Mail], None] = lambda mail: None
        self._accepted: set[tuple[str, bytes]] | None = None
        self._serve: dict[type[Message], Callable[[Any], Message]] = {
            data.DescribeDatabasesRequest: self._describe,
            data.ReserveEmailRequest: self._reserve,
            data.ReleaseEmailRequest: self._release,
            data.CreateUserRequest: self._create,
            data.RemoveUserRequest: self._remove,
            data.LockUserRequest: self._lock,
            data.UnlockUserRequest: self._unlock,
            data.ReplaceUserRequest: self._replace,
            data.ReadUserRequest: self._read,
            data.EraseUserRequest: self._erase,
            data.ForgetEmailRequest: self._forget,
            cloud.CreateHomeRequest: self._create_home,
            cloud.RemoveHomeRequest: self._remove_home,
            cloud.EraseHomeRequest: self._erase_home,
            ai.WriteWelcomeRequest: self._write,
            notifications.SendVerificationRequest: self._send_verification,
            notifications.SendWelcomeRequest: self._send_welcome,
        }

    def apply(self, request: Message) -> Message:
        """The effect of one activity, at once and whole. Raises: Fault."""
        answer = self._serve[type(request)](request)
        if self._accepted is not None and (content := _content(request)):
            self._accepted.add(content)
        return answer

    def remember_content(self) -> None:
        """From now on it is kept in mind which content each store has accepted."""
        self._accepted = set()

    def refuse_new_content(self, request: Message) -> None:
        """Raises: Fault: The request brings content that its store has not accepted yet."""
        assert self._accepted is not None
        content = _content(request)
        if content is not None and content not in self._accepted:
            raise Fault(Reason.REASON_STORE_REFUSED)

    def _describe(self, request: data.DescribeDatabasesRequest) -> Message:
        return data.DescribeDatabasesResponse(enabled=STORES, authority=AUTHORITY)

    def _reserve(self, request: data.ReserveEmailRequest) -> Message:
        if not self.claims.put(request.key, f"email:{request.email}", None):
            raise Fault(Reason.REASON_EMAIL_TAKEN)
        return data.ReserveEmailResponse()

    def _release(self, request: data.ReleaseEmailRequest) -> Message:
        self.claims.bury(request.key)
        return data.ReleaseEmailResponse()

    def _create(self, request: data.CreateUserRequest) -> Message:
        user = User()
        user.CopyFrom(request.record.user)
        if not self.users[request.database].put(request.key, user.email, user):
            raise Fault(Reason.REASON_EMAIL_TAKEN)
        digest = hashlib.sha256(f"{request.database}/{request.key}".encode()).hexdigest()
        return data.CreateUserResponse(id=digest[:12])

    def _remove(self, request: data.RemoveUserRequest) -> Message:
        self.users[request.database].bury(request.key)
        return data.RemoveUserResponse()

    def _lock(self, request: data.LockUserRequest) -> Message:
        if not self.claims.put(request.key, f"user:{request.user_id}", None):
            raise Fault(Reason.REASON_USER_BUSY)
        user = self.find(AUTHORITY, request.user_id)
        if user is None:
            if request.for_repair:
                return data.LockUserResponse(enabled=STORES, authority=AUTHORITY)
            raise Fault(Reason.REASON_USER_NOT_FOUND)
        if user.state != User.ACTIVE:
            raise Fault(Reason.REASON_USER_NOT_ACTIVE)
        if request.etag and request.etag != user.etag:
            raise Fault(Reason.REASON_ETAG_MISMATCH)
        return data.LockUserResponse(user=user, enabled=STORES, authority=AUTHORITY)

    def _unlock(self, request: data.UnlockUserRequest) -> Message:
        self.claims.bury(request.key)
        return data.UnlockUserResponse()

    def _replace(self, request: data.ReplaceUserRequest) -> Message:
        user = self.find(request.database, request.user.user_id)
        if user is not None and user.etag == request.user.etag:
            return data.ReplaceUserResponse()
        if user is None or user.etag not in request.expected_etags:
            if request.allow_other:
                return data.ReplaceUserResponse()
            if request.database != AUTHORITY:
                raise Fault(Reason.REASON_COPY_DIFFERS)
            missing = user is None
            raise Fault(Reason.REASON_USER_NOT_FOUND if missing else Reason.REASON_ETAG_MISMATCH)
        user.CopyFrom(request.user)
        return data.ReplaceUserResponse()

    def _read(self, request: data.ReadUserRequest) -> Message:
        return data.ReadUserResponse(user=self.find(request.database, request.user_id))

    def _erase(self, request: data.EraseUserRequest) -> Message:
        rows = self.users[request.database]
        for key, (_, user) in rows.live().items():
            if user.user_id == request.user_id:
                rows.bury(key)
        return data.EraseUserResponse()

    def _forget(self, request: data.ForgetEmailRequest) -> Message:
        for key, (resource, _) in self.claims.live().items():
            if resource == f"email:{request.email}":
                self.claims.bury(key)
        return data.ForgetEmailResponse()

    def _create_home(self, request: cloud.CreateHomeRequest) -> Message:
        if not self.homes.put(request.key, request.user_id, None):
            raise Fault(Reason.REASON_OBJECT_STORE_REFUSED)
        return cloud.CreateHomeResponse(uri=f"s3://homes/{request.user_id}/")

    def _remove_home(self, request: cloud.RemoveHomeRequest) -> Message:
        self.homes.bury(request.key)
        return cloud.RemoveHomeResponse()

    def _erase_home(self, request: cloud.EraseHomeRequest) -> Message:
        for key, (user_id, _) in self.homes.live().items():
            if user_id == request.user_id:
                self.homes.bury(key)
        return cloud.EraseHomeResponse(objects=1)

    def _write(self, request: ai.WriteWelcomeRequest) -> Message:
        return ai.WriteWelcomeResponse(text=f"Welcome, {request.display_name}!", model="model")

    def _send_verification(self, request: notifications.SendVerificationRequest) -> Message:
        token = hashlib.sha256(f"token {request.key}".encode()).hexdigest()
        kind = notifications.VerificationKind.Name(request.kind)
        self._mail(Mail(kind, request.email, request.operation, token, request.key))
        digest = hashlib.sha256(token.encode()).hexdigest()
        return notifications.SendVerificationResponse(token_digest=digest, message_id=request.key)

    def _send_welcome(self, request: notifications.SendWelcomeRequest) -> Message:
        self._mail(Mail("WELCOME", request.email, "", "", request.key))
        return notifications.SendWelcomeResponse(message_id=request.key)

    def _mail(self, mail: Mail) -> None:
        self.mails.append(mail)
        self.on_mail(mail)

    def find(self, store: str, user_id: str) -> User | None:
        """A store's live record of the user."""
        for _, user in self.users[store].live().values():
            if user.user_id == user_id:
                found: User = user
                return found
        return None


def _content(request: Message) -> tuple[str, bytes] | None:
    """What a write brings into its store: all that a person chose, and nothing of its state."""
    user = User()
    match request:
        case data.CreateUserRequest():
            user.CopyFrom(request.record.user)
        case data.ReplaceUserRequest():
            user.CopyFrom(request.user)
        case _:
            return None
    for name in ("state", "etag", "update_time"):
        user.ClearField(name)
    return request.database, user.SerializeToString(deterministic=True)
