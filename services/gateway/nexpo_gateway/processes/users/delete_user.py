"""DeleteUser: a user, the profile and the home are gone everywhere."""

from __future__ import annotations

from nexpo.cloud.v1.cloud_pb2 import EraseHomeRequest
from nexpo.cloud.v1.cloud_temporal import cloud_activities as cloud
from nexpo.users.v1.user_records_pb2 import (
    EraseUserRequest,
    EraseUserResponse,
    ForgetEmailRequest,
    LockUserRequest,
    LockUserResponse,
    UnlockUserRequest,
)
from nexpo.users.v1.user_records_temporal import user_record_activities as records
from nexpo.users.v1.users_pb2 import DeleteUserRequest, DeleteUserResponse
from nexpo.users.v1.users_temporal import DeleteUserContract
from nexpo_runtime.workflow.operation import Operation, operation
from nexpo_runtime.workflow.saga import Saga, SagaStep, step_key

from .copies import LOCK, database_id


@operation(DeleteUserContract)
class DeleteUser(Operation[DeleteUserRequest, DeleteUserResponse]):
    """Lock, then only forward: a deletion that has begun cannot be undone.

    The authority goes last, so that the user can be found until nothing else
    is left, and the e-mail address becomes free after that.
    """

    async def execute(self, request: DeleteUserRequest) -> DeleteUserResponse:
        async with self.saga() as saga:
            locked = await saga.step(
                LOCK,
                records.lock_user(LockUserRequest(user_id=request.user_id, etag=request.etag)),
                undo=records.unlock_user(UnlockUserRequest()),
            )
            self.tracker.expect(len(locked.user.databases) + 4)
            self.pivot()
            await self._erase(saga, locked)
        return DeleteUserResponse(user_id=request.user_id, databases=sorted(locked.user.databases))

    async def _erase(self, saga: Saga, locked: LockUserResponse) -> None:
        user = locked.user

        def erased(database: str) -> SagaStep[EraseUserResponse]:
            name = database_id(database)
            erase = records.erase_user(EraseUserRequest(database=database, user_id=user.user_id))
            return saga.step(f"delete from {name}", erase, target=name)

        await saga.all(
            erased(database) for database in user.databases if database != locked.authority
        )
        await saga.step(
            "delete home",
            cloud.erase_home(EraseHomeRequest(user_id=user.user_id)),
            target="object storage",
        )
        await erased(locked.authority)
        await saga.step("free e-mail", records.forget_email(ForgetEmailRequest(email=user.email)))
        await saga.step("unlock user", records.unlock_user(UnlockUserRequest(key=step_key(LOCK))))
