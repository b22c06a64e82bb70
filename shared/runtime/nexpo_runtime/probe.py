"""The probe that every worker answers on its own queue: the proof that the queue is alive."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata

from nexpo.health.v1.health_pb2 import ProbeRequest, ProbeResponse
from nexpo.health.v1.health_service import ProbeActivitiesBase

ON = "on"


class Probe(ProbeActivitiesBase):
    """Answers with what the worker knows of itself.

    Args:
        service: Name of the service.
        providers: "on", or "off: why", by the provider's name.
    """

    def __init__(self, service: str, providers: Mapping[str, str]) -> None:
        self._answer = ProbeResponse(
            service=service,
            version=version(),
            providers=[name for name, state in sorted(providers.items()) if state == ON],
        )

    async def probe(self, request: ProbeRequest) -> ProbeResponse:
        """Answers; what a dependency is worth is told by health checks, not here."""
        answer = ProbeResponse()
        answer.CopyFrom(self._answer)
        return answer


def version() -> str:
    """Version of the installed runtime; all packages are released together."""
    return metadata.version("nexpo-runtime")
