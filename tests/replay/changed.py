"""UpdateUser as somebody might change it: one more call at its beginning."""

from __future__ import annotations

from nexpo.users.v1.user_records_pb2 import DescribeDatabasesRequest
from nexpo.users.v1.user_records_temporal import user_record_activities as db
from nexpo.users.v1.users_pb2 import UpdateUserRequest, User
from nexpo.users.v1.users_temporal import UpdateUserContract
from nexpo_gateway.processes.users.update_user import UpdateUser
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.operation import operation


@operation(UpdateUserContract)
class UnpatchedUpdate(UpdateUser):
    """Forgets those that run."""

    async def execute(self, request: UpdateUserRequest) -> User:
        await flow.call(db.describe_databases(DescribeDatabasesRequest()), "look at the stores")
        return await super().execute(request)


@operation(UpdateUserContract)
class PatchedUpdate(UpdateUser):
    """Lets those that run go on as they began."""

    async def execute(self, request: UpdateUserRequest) -> User:
        if flow.patched("look at the stores"):
            await flow.call(db.describe_databases(DescribeDatabasesRequest()), "look at the stores")
        return await super().execute(request)
