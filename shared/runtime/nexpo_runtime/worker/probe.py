"""The probe that every worker answers on its own queue: the proof that the queue is alive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import metadata

from nexpo.health.v1.health_pb2 import ProbeRequest, ProbeResponse, QueueContract
from nexpo.health.v1.health_service import ProbeActivitiesBase
from nexpo.queues import QUEUES

ON = "on"
PROBE = (ProbeActivitiesBase.CONTRACT.name,)
"""Full names of the services that every worker has from the runtime."""


class Probe(ProbeActivitiesBase):
    """Answers with what the worker knows of itself.

    Args:
        service: Name of the service.
        providers: "on", or "off: why", by the provider's name.
        serves: Full names of the RPCs that the worker serves, beside this one.
    """

    def __init__(
        self, service: str, providers: Mapping[str, str], serves: Iterable[str] = ()
    ) -> None:
        self._answer = ProbeResponse(
            service=service,
            version=version(),
            providers=[name for name, state in sorted(providers.items()) if state == ON],
            serves=sorted({*serves, *(method.name for method in self.CONTRACT.methods)}),
        )

    async def probe(self, request: ProbeRequest) -> ProbeResponse:
        """Answers; what a dependency is worth is told by health checks, not here."""
        answer = ProbeResponse()
        answer.CopyFrom(self._answer)
        if request.with_contract:
            answer.contract.extend(
                QueueContract(queue=queue.name, serves=queue.rpcs) for queue in QUEUES
            )
        return answer


def version() -> str:
    """Version of the installed runtime; all packages are released together."""
    return metadata.version("nexpo-runtime")
