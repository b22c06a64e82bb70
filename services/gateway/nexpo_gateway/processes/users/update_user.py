"""UpdateUser: a change in every database, or in none."""

from __future__ import annotations

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.user_records_pb2 import LockUserRequest, ReplaceUserRequest, UnlockUserRequest
from nexpo.users.v1.user_records_temporal import user_record_activities as records
from nexpo.users.v1.users_pb2 import UpdateUserRequest, User
from nexpo.users.v1.users_temporal import UpdateUserContract
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.operation import Operation, operation
from nexpo_runtime.workflow.saga import step_key

from .copies import LOCK, database_id

_PROFILE_FIELDS = ("locale", "time_zone", "plan", "attributes")


@operation(UpdateUserContract)
class UpdateUser(Operation[UpdateUserRequest, User]):
    """Lock, write over the known etag everywhere, unlock.

    A database's undo writes the old fields under a third etag, so an update that
    lands after its undo meets an etag it does not expect and changes nothing.
    """

    async def execute(self, request: UpdateUserRequest) -> User:
        _check(request)
        async with self.saga() as saga:
            locked = await saga.step(
                LOCK,
                records.lock_user(LockUserRequest(user_id=request.user_id, etag=request.etag)),
                undo=records.unlock_user(UnlockUserRequest()),
            )
            before = locked.user
            self.tracker.expect(len(before.databases) + 2)
            after = _changed(before, request)
            restored = _restored(before)
            await saga.all(
                saga.step(
                    f"update in {database_id(database)}",
                    records.replace_user(
                        ReplaceUserRequest(
                            database=database,
                            user=after,
                            expected_etags=[before.etag],
                        )
                    ),
                    undo=records.replace_user(
                        ReplaceUserRequest(
                            database=database,
                            user=restored,
                            expected_etags=[before.etag, after.etag],
                            allow_other=True,
                        )
                    ),
                    target=database_id(database),
                )
                for database in before.databases
            )
            self.pivot()
            await saga.step(
                "unlock user", records.unlock_user(UnlockUserRequest(key=step_key(LOCK)))
            )
        return after


def _check(request: UpdateUserRequest) -> None:
    for path in request.update_mask.paths:
        name, _, part = path.partition(".")
        if name not in ("display_name", "profile") or (part and part not in _PROFILE_FIELDS):
            wrong = FieldViolation("update_mask", f"'{path}' cannot be changed")
            raise Fault(Reason.REASON_INVALID_ARGUMENT, "The mask is wrong.", fields=[wrong])


def _changed(before: User, request: UpdateUserRequest) -> User:
    after = User()
    after.CopyFrom(before)
    for path in request.update_mask.paths:
        if path == "display_name":
            after.display_name = request.display_name
        elif path == "profile":
            after.profile.CopyFrom(request.profile)
        elif path == "profile.attributes":
            after.profile.attributes.CopyFrom(request.profile.attributes)
        else:
            part = path.partition(".")[2]
            setattr(after.profile, part, getattr(request.profile, part))
    after.etag = flow.derived_id("etag", "updated")
    after.update_time.FromDatetime(flow.now())
    return after


def _restored(before: User) -> User:
    restored = User()
    restored.CopyFrom(before)
    restored.etag = flow.derived_id("etag", "restored")
    return restored
