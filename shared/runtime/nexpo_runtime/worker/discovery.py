"""Finds what a service is made of in its own package: no list in main to edit."""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import cast

from nexpo.contract import ServiceContract, WorkflowContract

from ..errors import ContractError
from ..workflow.operation import Operation
from .invocation import Service

_NAMES_THE_CONTRACT = re.compile(r"\w_(?:service|temporal)\b|\bCONTRACT\b|\bworkflow\.operation\b")
"""Of these one stands in the source of every workflow and service."""


@dataclass(frozen=True)
class Found:
    """The classes that a service is made of, each kind by its contract's name.

    Attributes:
        workflows: What `@operation` made.
        services: What implements activities or reads.
        natives: What implements native methods.
    """

    workflows: tuple[type, ...]
    services: tuple[type[Service], ...]
    natives: tuple[type[Service], ...]


@functools.cache
def discover(package: ModuleType, skip: str = "") -> Found:
    """The workflows and services of a package.

    Its folders are walked as files, so they need no `__init__.py`. A module is imported
    only if its source names what the contract generated, or extends a class that does: no
    SDK is loaded for nothing.

    Args:
        package: The package.
        skip: A folder of it that is not looked into.

    Raises:
        ContractError: Two classes claim one contract, an Operation has none, or a module
            cannot be imported: better now than at its first task.
    """
    classes = _classes(package, skip)
    # What others derive from needs no contract of its own, and is no service of its own.
    bases = {base for cls in classes for base in cls.__mro__[1:]}
    workflows: dict[str, type] = {}
    services: dict[str, type] = {}
    natives: dict[str, type] = {}
    for cls in classes:
        workflow, service = contract_of(cls), service_contract_of(cls)
        if workflow is not None:
            _claim(workflows, workflow.name, cls)
        elif issubclass(cls, Operation) and cls not in bases:
            raise _without_contract(cls)
        elif service is not None and cls not in bases:
            native = any(method.kind == "native" for method in service.methods)
            _claim(natives if native else services, service.name, cls)
    return Found(
        tuple(workflows[name] for name in sorted(workflows)),
        tuple(cast(type[Service], services[name]) for name in sorted(services)),
        tuple(cast(type[Service], natives[name]) for name in sorted(natives)),
    )


def check_queue(workflows: tuple[type, ...], queue: str) -> None:
    """Raises: ContractError: A workflow's contract names another queue, or it has none."""
    for workflow in workflows:
        contract = contract_of(workflow)
        if contract is None:
            raise _without_contract(workflow)
        if contract.queue != queue:
            raise ContractError(
                f"{_named(workflow)}: {contract.name} belongs to {contract.queue}, not to {queue}:"
                " move the class to that worker, or correct the queue of its rule"
            )


def contract_of(workflow: type) -> WorkflowContract[object] | None:
    """The contract that `@operation` put on the class itself, or None."""
    contract = vars(workflow).get("__nexpo_contract__")
    return contract if isinstance(contract, WorkflowContract) else None


def service_contract_of(cls: type) -> ServiceContract | None:
    """The contract of the generated base that the class extends, or None."""
    contract = getattr(cls, "CONTRACT", None)
    return contract if isinstance(contract, ServiceContract) else None


def _claim(found: dict[str, type], name: str, cls: type) -> None:
    other = found.setdefault(name, cls)
    if other is not cls:
        raise ContractError(f"{_named(cls)} and {_named(other)} both are {name}: remove one")


def _without_contract(workflow: type) -> ContractError:
    return ContractError(
        f"{_named(workflow)} has no contract, so nobody would run it: put"
        " @operation(...Contract) before it"
    )


def _named(cls: type) -> str:
    return f"{cls.__module__}.{cls.__name__}"


def _classes(package: ModuleType, skip: str) -> list[type]:
    classes: list[type] = []
    seen: set[str] = set()
    names = _NAMES_THE_CONTRACT
    while modules := [m for m in _modules(package, skip, names) if m.__name__ not in seen]:
        seen.update(module.__name__ for module in modules)
        classes += [
            value
            for module in modules
            for value in list(vars(module).values())
            if isinstance(value, type) and value.__module__ == module.__name__
        ]
        # What extends one of them need not name the contract, and is what must be served.
        ours = (c for c in classes if service_contract_of(c) or issubclass(c, Operation))
        bases = "|".join(sorted(cls.__name__ for cls in ours))
        extends = rf"\bclass \w+\([^:]*\b(?:{bases})\b" if bases else "$^"
        names = re.compile(f"{_NAMES_THE_CONTRACT.pattern}|{extends}")
    return classes


def _modules(package: ModuleType, skip: str, names: re.Pattern[str]) -> Iterator[ModuleType]:
    if not hasattr(package, "__path__"):
        yield package
        return
    for folder in map(Path, package.__path__):
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            if (
                parts[-1] == "__main__"
                or parts[0] == skip
                or not all(part.isidentifier() for part in parts)
            ):
                continue
            if names.search(_source(file)):
                name = ".".join([package.__name__, *parts])
                yield _imported(name.removesuffix(".__init__"), file)


def _source(file: Path) -> str:
    try:
        return importlib.util.decode_source(file.read_bytes())
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ContractError(f"{file}: its encoding is not what it says: {error}") from error


def _imported(name: str, file: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ContractError:
        raise  # it names the class and the line
    except Exception as error:  # whatever a module does when it is imported
        raise ContractError(
            f"{file}: the module cannot be imported, so nothing in it would be served:"
            f" {type(error).__name__}: {error}"
        ) from error
