"""A lint rule of our own: what a workflow module must not do.

Replay runs a workflow again, in another process, and must come to the same
commands. Three faults against that are silent until a replay fails: iterating a
protobuf map or Struct, whose order differs per process, or a set; importing code
that was not written for workflows; and reading the clock of the process. This
rule stands in for Temporal's sandbox, see ADR 15. What it says of a saga's steps
is in step_rules.py.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from nexpo import modules
from nexpo_tools.step_rules import check_steps

# Of the runtime, only what was written for workflows.
_RUNTIME = ("errors", *(f"workflow.{name}" for name in ("flow", "operation", "progress", "saga")))
# Of the standard library, what reaches outside or differs per run.
_OUTSIDE = {
    "http",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "uuid",
}
# Calls that read the clock of the process; replay happens at another time.
_CLOCKS = {"now", "utcnow", "today", "monotonic", "perf_counter", "time_ns"}
# Calls that keep, or turn into, the order of what they are given.
_KEEPS_ORDER = {"dict", "enumerate", "iter", "list", "map", "next", "reversed", "tuple", "zip"}
_VIEWS = {"items", "keys", "values"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a workflow module must not do."""

    file: Path
    line: int
    advice: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.advice}"


def check_workflows(root: Path) -> list[Finding]:
    """Every finding in the workflow modules of a workspace."""
    files = sorted(root.glob("services/*/nexpo_*/workflows/**/*.py"))
    return [finding for file in files for finding in check_module(file, root)]


def check_module(file: Path, root: Path) -> list[Finding]:
    """Every finding in one workflow module, in the order of its lines."""
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    package = file.relative_to(root).parts[2]
    found = [
        *_imports(tree, f"{package}.workflows"),
        *_iterations(tree, unordered_fields()),
        *_clocks(tree),
        *check_steps(tree),
    ]
    name = file.relative_to(root)
    return [Finding(name, line, advice) for line, advice in sorted(found)]


def unordered_fields() -> frozenset[str]:
    """Names of the contract's fields whose iteration has no order: maps and Structs."""
    names = {"fields"}
    for file in modules.FILES:
        for message in file.message_types_by_name.values():
            names.update(field.name for field in _fields(message) if _is_unordered(field))
    return frozenset(names)


def _fields(message: Descriptor) -> Iterator[FieldDescriptor]:
    yield from message.fields
    for nested in message.nested_types:
        yield from _fields(nested)


def _is_unordered(field: FieldDescriptor) -> bool:
    inner = field.message_type
    if inner is None:
        return False
    return inner.GetOptions().map_entry or inner.full_name == "google.protobuf.Struct"


def _imports(tree: ast.Module, own: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            base = node.module or ""
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level > 1:
            yield node.lineno, "imports from outside its package; a workflow uses contract stubs"
            continue
        else:
            continue
        for name in names:
            advice = _import_advice(name, own)
            if advice:
                yield node.lineno, advice


def _import_advice(name: str, own: str) -> str:
    top, *rest = name.split(".")
    if name.startswith(f"{own}."):
        return ""
    if top == "nexpo":
        other = [part for part in rest if part.endswith(("_client", "_service", "_grpc"))]
        if other or rest[0] in ("client", "modules", "registry"):
            return f"imports {name}; a workflow uses messages and the stubs of *_temporal"
        return ""
    if top == "nexpo_runtime":
        within = ".".join(rest)
        if any(within == allowed or within.startswith(f"{allowed}.") for allowed in _RUNTIME):
            return ""
        allowed = ", ".join(_RUNTIME)
        return f"imports {name}; of the runtime a workflow uses {allowed}"
    if name.startswith("google.protobuf.") or (top == "google" and "_pb2" in name):
        return ""
    if top in sys.stdlib_module_names:
        return f"imports {top}, which differs per run; use flow" if top in _OUTSIDE else ""
    return f"imports {name}; a workflow uses the standard library, nexpo and nexpo_runtime only"


def _iterations(tree: ast.Module, fields: frozenset[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            iterated = [node.iter]
        elif isinstance(node, (ast.Starred, ast.YieldFrom)):
            iterated = [node.value]
        elif isinstance(node, ast.Call) and _name(node.func) in _KEEPS_ORDER:
            iterated = list(node.args)
        else:
            continue
        for expression in iterated:
            what = _unordered(expression, fields)
            if what:
                yield (
                    expression.lineno,
                    f"iterates {what}, whose order differs per process: sorted(...) it",
                )


def _clocks(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            ours = _name(node.func.value) == "flow"
            if node.func.attr in _CLOCKS and not ours:
                yield node.lineno, f"calls {ast.unparse(node.func)}(); replay needs flow.now()"


def _unordered(node: ast.expr, fields: frozenset[str]) -> str:
    """What the expression is, when its iteration has no order; else empty."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _unordered(node.func.value, fields) if node.func.attr in _VIEWS else ""
    if isinstance(node, (ast.Set, ast.SetComp)):
        return "a set"
    if isinstance(node, ast.Call) and _name(node.func) in ("set", "frozenset"):
        return "a set"
    if _name(node) in fields:
        return ast.unparse(node)
    return ""


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
