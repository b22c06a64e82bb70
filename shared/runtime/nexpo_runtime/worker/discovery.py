"""Finds a service's workflows: no list in main to edit."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from nexpo.contract import WorkflowContract

from ..errors import ContractError
from ..workflow.operation import Operation


def discover(package: ModuleType) -> tuple[type, ...]:
    """The classes under a package that `@operation` made, by their contract's name.

    Args:
        package: Its modules, at any depth, are imported.

    Raises:
        ContractError: Two classes claim one contract, or an Operation has none.
        ImportError: A module cannot be imported: better now than at its first task.
    """
    found: dict[str, type] = {}
    without: list[type] = []
    for module in _modules(package):
        for value in list(vars(module).values()):
            if not isinstance(value, type) or value.__module__ != module.__name__:
                continue
            contract = contract_of(value)
            if contract is None:
                without += [value] if issubclass(value, Operation) else []
                continue
            other = found.setdefault(contract.name, value)
            if other is not value:
                raise ContractError(
                    f"{_named(value)} and {_named(other)} both are {contract.name}: remove one"
                )
    for value in without:
        # What others derive from needs no contract of its own.
        if not any(issubclass(other, value) for other in found.values()):
            raise ContractError(
                f"{_named(value)} has no contract, so nobody would run it: put"
                " @operation(...Contract) before it"
            )
    return tuple(found[name] for name in sorted(found))


def check_queue(workflows: tuple[type, ...], queue: str) -> None:
    """Raises: ContractError: A workflow's contract names another queue, or it has none."""
    for workflow in workflows:
        contract = contract_of(workflow)
        if contract is None:
            raise ContractError(
                f"{_named(workflow)} has no contract: put @operation(...Contract) before it"
            )
        if contract.queue != queue:
            raise ContractError(
                f"{_named(workflow)}: {contract.name} belongs to {contract.queue}, not to {queue}:"
                " move the class to that worker, or correct the queue of its rule"
            )


def contract_of(workflow: type) -> WorkflowContract[object] | None:
    """The contract that `@operation` put on the class itself, or None."""
    contract = vars(workflow).get("__nexpo_contract__")
    return contract if isinstance(contract, WorkflowContract) else None


def _named(cls: type) -> str:
    return f"{cls.__module__}.{cls.__name__}"


def _modules(package: ModuleType) -> list[ModuleType]:
    if not hasattr(package, "__path__"):
        return [package]
    names = [m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return [package, *(importlib.import_module(name) for name in sorted(names))]
