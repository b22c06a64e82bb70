"""Every activity of the contract over worlds of the simulation, one per tenant."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from nexpo import registry
from nexpo_runtime.errors import Fault
from nexpo_runtime.worker import activity
from nexpo_runtime.worker.probe import PROBE
from tests.simulation.world import World

FaultOf = Callable[[str, int], Fault | None]
"""What goes wrong with a step ("create in postgres", "undo ...") at an attempt, from 1."""


@dataclass
class Place:
    """One test's world and what goes wrong in it."""

    world: World
    fault: FaultOf = lambda step, attempt: None
    after: FaultOf = lambda step, attempt: None
    reached: Callable[[str], None] = lambda step: None
    attempts: dict[str, int] = field(default_factory=dict)


PLACES: dict[str, Place] = {}
_KEYLESS = {"DescribeDatabases": "choose databases", "ReadUser": "read a copy"}
_UNDOS = ("ReleaseEmail", "RemoveUser", "UnlockUser", "RemoveHome")


async def _serve(request: Message) -> Message:
    context = activity.current()
    place = PLACES[context.tenant]
    name = type(request).__name__.removesuffix("Request")
    step = getattr(request, "key", "").rpartition("/")[2] or _KEYLESS[name]
    undo = name in _UNDOS or "restored" in step
    step = f"undo {step}" if undo else step
    place.attempts[step] = context.attempt
    if fault := place.fault(step, context.attempt):
        raise fault
    answer = place.world.apply(request)
    place.reached(step)
    if fault := place.after(step, context.attempt):
        raise fault
    return answer


def modelled_services() -> list[Any]:
    """An implementation of every service of activities, but for what the runtime brings."""
    return [
        _modelled(base)
        for service in registry.services()
        if registry.queue(service) and service.full_name not in PROBE
        for module in [service.file.name.removesuffix(".proto").replace("/", ".") + "_service"]
        for base in [getattr(importlib.import_module(module), f"{service.name}Base")]
    ]


def _modelled(base: Any) -> Any:
    async def call(self: object, request: Message) -> Message:
        return await _serve(request)

    methods = {method.method: call for method in base.CONTRACT.methods}
    return type(f"Modelled{base.__name__}", (base,), methods)()
