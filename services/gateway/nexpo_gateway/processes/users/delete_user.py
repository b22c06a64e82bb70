"""DeleteUser: a user, the profile and the home are gone everywhere."""

from __future__ import annotations

from nexpo.cloud.v1.cloud_pb2 import EraseHomeRequest
from nexpo.cloud.v1.cloud_temporal import cloud_activities as cloud
from nexpo.data.v1.data_pb2 import (
    EraseUserRequest,
    EraseUserResponse,
    ForgetEmailRequest,
    LockUserRequest,
    LockUserResponse,
    UnlockUserRequest,
)
from nexpo.data.v1.data_temporal import user_store_activities as db
from nexpo.users.v1.users_pb2 import DeleteUserRequest, DeleteUserResponse, Store
from nexpo.users.v1.users_temporal import DeleteUserContract
from nexpo_runtime.workflow.operation import Operation, operation
from nexpo_runtime.workflow.saga import Saga, SagaStep, step_key

from .store_names import store_name
from .update_user import LOCK


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
                db.lock_user(LockUserRequest(user_id=request.user_id, etag=request.etag)),
                undo=db.unlock_user(UnlockUserRequest()),
            )
            self.tracker.expect(len(locked.user.stores) + 4)
            self.pivot()
            await self._erase(saga, locked)
        return DeleteUserResponse(user_id=request.user_id, stores=sorted(locked.user.stores))

    async def _erase(self, saga: Saga, locked: LockUserResponse) -> None:
        user = locked.user

        def erased(store: Store.ValueType) -> SagaStep[EraseUserResponse]:
            name = store_name(store)
            erase = db.erase_user(EraseUserRequest(store=store, user_id=user.user_id))
            return saga.step(f"delete from {name}", erase, target=name)

        await saga.all(erased(store) for store in user.stores if store != locked.authority)
        await saga.step(
            "delete home",
            cloud.erase_home(EraseHomeRequest(user_id=user.user_id)),
            target="object storage",
        )
        await erased(locked.authority)
        await saga.step("free e-mail", db.forget_email(ForgetEmailRequest(email=user.email)))
        await saga.step("unlock user", db.unlock_user(UnlockUserRequest(key=step_key(LOCK))))
