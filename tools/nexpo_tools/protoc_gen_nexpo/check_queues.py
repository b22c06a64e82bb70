"""Checks that every task queue is declared once, and that somebody means each.

A queue that nobody polls is silence: an operation stays where it is for ever. So
a name is never only used; one file declares it.
"""

from __future__ import annotations

from collections.abc import Iterator

from nexpo_tools.protoc_gen_nexpo.model import Contract, Place, Problem


def check_queues(contract: Contract) -> Iterator[Problem]:
    """Problems of every queue that is declared, and of every place that names one."""
    declared: dict[str, Place] = {}
    for queue in contract.queues:
        if not queue.name:
            yield Problem(queue.place, "task_queue", "is empty; give it a name")
        elif queue.name in declared:
            advice = f'"{queue.name}" is declared in {declared[queue.name]} too; remove one of them'
            yield Problem(queue.place, "task_queue", advice)
        declared.setdefault(queue.name, queue.place)
    known = ", ".join(sorted(declared)) or "none"
    for place, subject, what, name in _named(contract):
        if name not in declared:
            advice = (
                f'{what} "{name}" is declared nowhere (known: {known}); correct it, or declare the'
                " queue of a new worker with option (nexpo.options.v1.task_queue) in its file"
            )
            yield Problem(place, subject, advice)
    used = {name for *_, name in _named(contract)}
    files = {file.name for file in contract.files}
    for queue in contract.queues:
        if queue.name and queue.name not in used and queue.place.file in files:
            advice = f'"{queue.name}" is named by no service and no rule; use it or remove it'
            yield Problem(queue.place, "task_queue", advice)


def _named(contract: Contract) -> Iterator[tuple[Place, str, str, str]]:
    """Each use of a queue: where, of what, the option's name, and the queue."""
    for service in contract.services():
        if service.queue:
            yield service.place, service.full_name, "queue", service.queue
        for method in service.methods:
            for what, name in (("queue", method.rule.queue), ("worker", method.rule.worker)):
                if name:
                    yield method.place, f"{service.name}.{method.name}", what, name
