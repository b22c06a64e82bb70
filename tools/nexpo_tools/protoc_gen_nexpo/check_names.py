"""Checks names: of services, and of the messages that RPCs take and return.

buf's own rules for these know no google.longrunning.Operation and no second kind
of service, so they are off in buf.yaml, and stand here.
"""

from __future__ import annotations

from collections.abc import Iterator

from nexpo_tools.protoc_gen_nexpo.model import Contract, Method, Problem, Service


def check_names(contract: Contract) -> Iterator[Problem]:
    """Problems of every service and method."""
    seen: dict[str, str] = {}
    for service in contract.services():
        for advice in _service(service):
            yield Problem(service.place, service.full_name, advice)
        for method in service.methods:
            subject = f"{service.name}.{method.name}"
            for advice in _messages(method):
                yield Problem(method.place, subject, advice)
            if method.rpc in seen:
                # The full name of the RPC is its workflow or activity type, and a
                # part of the workflow id: two START rules with one template would
                # be one workflow.
                advice = f"{method.rpc} is the name of an RPC of {seen[method.rpc]} too; rename one"
                yield Problem(method.place, subject, advice)
            seen.setdefault(method.rpc, service.name)


def _service(service: Service) -> Iterator[str]:
    suffix = "Activities" if service.queue else "Service"
    if not service.name.endswith(suffix):
        kind = "a service of activities" if service.queue else "a service that users call"
        yield f"{kind} must end in {suffix}; rename it"


def _messages(method: Method) -> Iterator[str]:
    for message, suffix in ((method.request, "Request"), (method.response, "Response")):
        expected = f"{method.name}{suffix}"
        if message.package.startswith("google.") or message.local_name == expected:
            continue
        yield f"uses {message.full_name}; its {suffix.lower()} must be a {expected} of its own"
