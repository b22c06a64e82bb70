"""Records of users for tests."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from samples import BORN

from nexpo.users.v1.user_records_pb2 import UserRecord
from nexpo.users.v1.users_pb2 import User
from nexpo_db_worker.users.users import StoredUser, Users


def new_record(email: str = "", born: datetime = BORN, name: str = "Ada Byron") -> UserRecord:
    user_id = str(uuid.uuid4())
    user = User(
        user_id=user_id,
        email=email or f"{user_id}@example.com",
        display_name=name,
        state=User.PENDING,
        etag=uuid.uuid4().hex,
    )
    user.profile.locale = "de-CH"
    user.profile.time_zone = "Europe/Zurich"
    user.profile.plan = "free"
    user.databases.extend(["databases/postgres", "databases/sqlserver"])
    user.create_time.FromDatetime(born)
    user.update_time.FromDatetime(born)
    return UserRecord(user=user, password_hash=f"$argon2id$v=19$m=19456,t=2,p=1${user_id}")


def changed(user: User, name: str) -> User:
    after = User()
    after.CopyFrom(user)
    after.display_name = name
    after.etag = uuid.uuid4().hex
    after.update_time.FromDatetime(BORN + timedelta(minutes=5))
    return after


async def live(users: Users, tenant: str) -> list[StoredUser]:
    return await users.page(tenant, None, 1000)
