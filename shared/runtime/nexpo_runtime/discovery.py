"""Finds a service's workflows: no list in main to edit."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from nexpo.contract import WorkflowContract


def discover(package: ModuleType) -> tuple[type, ...]:
    """The classes under a package that `@operation` made, by their contract's name.

    Args:
        package: Its modules, at any depth, are imported.

    Raises:
        TypeError: Two classes claim one contract.
        ImportError: A module cannot be imported: better now than at its first task.
    """
    found: dict[str, type] = {}
    for module in _modules(package):
        for value in list(vars(module).values()):
            if not isinstance(value, type) or value.__module__ != module.__name__:
                continue
            contract = contract_of(value)
            if contract is None:
                continue
            other = found.setdefault(contract.name, value)
            if other is not value:
                raise TypeError(f"{value.__name__} and {other.__name__} both are {contract.name}")
    return tuple(found[name] for name in sorted(found))


def check_queue(workflows: tuple[type, ...], queue: str) -> None:
    """Raises: TypeError: A workflow's contract names another queue, or it has none."""
    for workflow in workflows:
        contract = contract_of(workflow)
        if contract is None:
            raise TypeError(f"{workflow.__name__} is not marked by @operation")
        if contract.queue != queue:
            raise TypeError(f"{contract.name} belongs to {contract.queue}, not to {queue}")


def contract_of(workflow: type) -> WorkflowContract[object] | None:
    """The contract that `@operation` put on the class itself, or None."""
    contract = vars(workflow).get("__nexpo_contract__")
    return contract if isinstance(contract, WorkflowContract) else None


def _modules(package: ModuleType) -> list[ModuleType]:
    if not hasattr(package, "__path__"):
        return [package]
    names = [m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return [package, *(importlib.import_module(name) for name in sorted(names))]
