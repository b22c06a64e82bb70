"""Names of commands, from names of services and methods.

UserService.OnboardUser is `nexpo users onboard`: the group is the domain, that is
the package; the command is the method without the service's noun. A further
service of a domain is named by its rest: OperationTaskService is `tasks`. Where
that would give one name twice, the full names stand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")


def kebab(name: str) -> str:
    """mark-operation-task-done for MarkOperationTaskDone; user-id for user_id."""
    return "-".join(word.lower() for word in _WORD.findall(name))


def group_names(services: Iterable[ServiceDescriptor]) -> dict[str, str]:
    """The group of each service, by its full name."""
    short = {service.full_name: _group(service) for service in services}
    count = Counter(short.values())
    return {
        full: name if count[name] == 1 else full.replace(".", "-").lower()
        for full, name in short.items()
    }


def command_names(service: ServiceDescriptor) -> dict[str, str]:
    """The command of each method, by the method's name."""
    noun = _words(service.name.removesuffix("Service"))
    short = {method.name: _command(method, noun) for method in service.methods}
    count = Counter(short.values())
    return {
        name: command if command and count[command] == 1 else kebab(name)
        for name, command in short.items()
    }


def _group(service: ServiceDescriptor) -> str:
    domain = re.sub(r"\.v\d\w*$", "", service.file.package).rpartition(".")[2]
    noun = _words(service.name.removesuffix("Service"))
    for length in range(len(noun), 0, -1):
        if domain in ("".join(noun[:length]), "".join(_plural(noun[:length]))):
            rest = noun[length:]
            return "-".join(_plural(rest)) if rest else domain
    return "-".join(_plural(noun))


def _command(method: MethodDescriptor, noun: list[str]) -> str:
    words = _words(method.name)
    for form in (noun, _plural(noun)):
        for start in range(1, len(words) - len(form) + 1):
            if words[start : start + len(form)] == form:
                return "-".join(words[:start] + words[start + len(form) :])
    return "-".join(words)


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _plural(words: list[str]) -> list[str]:
    if not words:
        return []
    last = words[-1]
    if re.search(r"[^aeiou]y$", last):
        last = f"{last[:-1]}ies"
    elif re.search(r"(s|x|z|ch|sh)$", last):
        last = f"{last}es"
    else:
        last = f"{last}s"
    return [*words[:-1], last]
