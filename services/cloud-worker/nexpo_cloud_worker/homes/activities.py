"""Users' homes, provisioned, undone and erased."""

from __future__ import annotations

from nexpo.cloud.v1.cloud_pb2 import (
    CreateHomeRequest,
    CreateHomeResponse,
    EraseHomeRequest,
    EraseHomeResponse,
    RemoveHomeRequest,
    RemoveHomeResponse,
)
from nexpo.cloud.v1.cloud_service import CloudActivitiesBase
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault
from nexpo_runtime.telemetry import logs
from nexpo_runtime.worker import activity

from ..object_stores.object_store import ObjectStore
from .homes import Homes

_log = logs.get(__name__)


class CloudActivities(CloudActivitiesBase):
    """The activities of nexpo.cloud.v1.CloudActivities.

    Args:
        store: Where homes are; None when object storage is switched off.
    """

    def __init__(self, store: ObjectStore | None) -> None:
        self._homes = Homes(store) if store is not None else None

    async def create_home(self, request: CreateHomeRequest) -> CreateHomeResponse:
        """Provisions a user's home.

        Raises:
            Fault: FENCED, OBJECT_STORE_UNAVAILABLE, OBJECT_STORE_REFUSED or
                STORE_DISABLED.
        """
        tenant = activity.current().tenant
        uri = await self._on().create(tenant, request.key, request.user_id)
        return CreateHomeResponse(uri=uri)

    async def remove_home(self, request: RemoveHomeRequest) -> RemoveHomeResponse:
        """Undoes create_home, also one that has not landed yet.

        With object storage switched off create_home refuses, so there is nothing
        to undo: a refused onboarding must not wait for a human because of that.

        Raises:
            Fault: OBJECT_STORE_UNAVAILABLE or OBJECT_STORE_REFUSED.
        """
        if self._homes is None:
            _log.warning("no home removed: object storage is switched off")
            return RemoveHomeResponse()
        tenant = activity.current().tenant
        await self._homes.remove(tenant, request.key, request.user_id)
        return RemoveHomeResponse()

    async def erase_home(self, request: EraseHomeRequest) -> EraseHomeResponse:
        """Deletes a home with everything in it; goes on where an earlier attempt ended.

        Raises:
            Fault: OBJECT_STORE_UNAVAILABLE, OBJECT_STORE_REFUSED or STORE_DISABLED.
        """
        tenant = activity.current().tenant
        deleted = await self._on().erase(
            tenant, request.user_id, _deleted_before(), report=activity.heartbeat
        )
        return EraseHomeResponse(objects=deleted)

    def _on(self) -> Homes:
        if self._homes is None:
            raise Fault(Reason.REASON_STORE_DISABLED, "Object storage is switched off.")
        return self._homes


def _deleted_before() -> int:
    """How many objects the previous attempt had deleted by its last heartbeat."""
    details = activity.heartbeat_details()
    return details[0] if details and isinstance(details[0], int) else 0
