"""Compares what a worker serves with what the contract says of its queue.

A workflow, an activity or a read that nobody serves is not an error of any call:
Temporal goes on asking for it. So a worker that lacks one does not start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nexpo.contract import Queue
from nexpo.queues import QUEUES

from ..errors import ContractError
from .discovery import check_queue, contract_of
from .invocation import Service, check


def queue_of(name: str) -> Queue:
    """What the contract says of a queue.

    Raises:
        ContractError: The contract declares no such queue.
    """
    for queue in QUEUES:
        if queue.name == name:
            return queue
    known = ", ".join(queue.name for queue in QUEUES)
    raise ContractError(
        f'The contract declares no queue "{name}" ({known}): a service is named as its queue is.'
        " Correct 'service' in its settings, or declare the queue with option"
        " (nexpo.options.v1.task_queue) in a proto."
    )


def served(services: Iterable[Service | type[Service]], workflows: Iterable[type]) -> list[str]:
    """Full names of every RPC that these serve, sorted."""
    rpcs = {method.name for service in services for method in service.CONTRACT.methods}
    contracts = (contract_of(workflow) for workflow in workflows)
    return sorted(rpcs | {contract.name for contract in contracts if contract is not None})


def check_complete(
    queue: Queue,
    services: Sequence[type[Service]],
    workflows: Sequence[type],
    runtime: Sequence[str],
    natives: Sequence[type[Service]] = (),
) -> None:
    """Checks that a worker serves its queue: all of it, and nothing of another.

    Args:
        queue: What the contract says of it.
        services: The classes that implement its services.
        workflows: What it runs.
        runtime: Full names of services that the runtime adds to every worker.
        natives: The classes that implement native methods.

    Raises:
        ContractError: Lists every part that is missing, wrong or on another queue.
    """
    check([*services, *natives], queue.name)
    check_queue(tuple(workflows), queue.name)
    found = {service.CONTRACT.name for service in (*services, *natives)} | set(runtime)
    rpcs = set(served(services, workflows))
    problems = [
        f"{part.place}: {part.name} belongs to {queue.name}, and no class of its"
        " worker is it: extend its base of nexpo....*_service in a module of the worker's package"
        for part in (*queue.services, *queue.natives)
        if part.name not in found
    ]
    problems += [
        f"{part.place}: {part.name} belongs to {queue.name}, and its worker has no such workflow:"
        " write a class under @operation in a module of the worker's package"
        for part in queue.workflows
        if part.name not in rpcs
    ]
    if problems:
        raise ContractError("\n".join(problems))
