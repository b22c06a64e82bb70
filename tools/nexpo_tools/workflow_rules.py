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
    """Every finding in the workflow modules of a workspace.

    A workflow module has a class under `@operation`, or is imported by one from its
    own package: whatever it does, a replay does again. What an imported one does is told
    at the import that leads to it, the first of it.
    """
    found: list[Finding] = []
    for package in sorted(root.glob("services/*/nexpo_*")):
        told: set[tuple[Path, int]] = set()
        for module in _workflow_modules(package):
            name = module.file.relative_to(root)
            advice = sorted(_advice(module.tree, package, module.file))
            if module.led is None:
                found += [Finding(name, line, text) for line, text in advice]
            elif advice and module.led not in told:
                told.add(module.led)
                line, text = advice[0]
                workflow, at = module.led
                leads = f"leads a replay to {name}:{line}, which {text}"
                found.append(Finding(workflow.relative_to(root), at, leads))
    return found


@dataclass(frozen=True, slots=True)
class _Module:
    file: Path
    tree: ast.Module
    led: tuple[Path, int] | None
    """The workflow, and the line of its import, that leads here."""


def _workflow_modules(package: Path) -> list[_Module]:
    trees = {file: _parsed(file) for file in sorted(package.rglob("*.py"))}
    modules = {
        file: _Module(file, tree, None) for file, tree in trees.items() if _has_operation(tree)
    }
    waiting = list(modules.values())
    for module in waiting:  # grows meanwhile
        for line, _, file in _own_imports(module.tree, package, module.file):
            if file is not None and file not in modules:
                modules[file] = _Module(file, trees[file], module.led or (module.file, line))
                waiting.append(modules[file])
    return waiting


def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def _has_operation(tree: ast.Module) -> bool:
    return any(
        isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Name)
        and decorator.func.id == "operation"
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
    )


def _advice(tree: ast.Module, package: Path, file: Path) -> Iterator[tuple[int, str]]:
    yield from _imports(tree, package, file)
    yield from _iterations(tree, unordered_fields())
    yield from _clocks(tree)
    yield from check_steps(tree)


def _imported(tree: ast.Module, package: Path, file: Path) -> Iterator[tuple[int, str, str]]:
    """Line, module and name of every import; a relative one as an absolute one."""
    within = (package.name, *file.relative_to(package).with_suffix("").parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = within[: -node.level] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, module, alias.name) for alias in node.names)


def _own_imports(
    tree: ast.Module, package: Path, file: Path
) -> Iterator[tuple[int, str, Path | None]]:
    """Line, name and file of every import from the own package; None where there is no file."""
    for line, module, name in _imported(tree, package, file):
        parts = module.split(".")
        if parts[0] != package.name:
            continue
        folder = package.joinpath(*parts[1:])
        found = [
            folder / f"{name}.py",
            folder.with_suffix(".py"),
            folder / name / "__init__.py",
            folder / "__init__.py",
        ]
        yield line, f"{module}.{name}", next((one for one in found if one.is_file()), None)


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


def _imports(tree: ast.Module, package: Path, file: Path) -> Iterator[tuple[int, str]]:
    for line, name, own in _own_imports(tree, package, file):
        if own is None:
            yield line, f"imports {name}; there is no such module"
    for line, module, name in _imported(tree, package, file):
        advice = _import_advice(f"{module}.{name}" if name else module)
        if advice and module.split(".")[0] != package.name:
            yield line, advice


def _import_advice(name: str) -> str:
    top, *rest = name.split(".")
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
