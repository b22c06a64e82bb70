"""The part of the lint rule for workflows that looks at a saga's steps.

A step's name is its effect's key, so a name stands for one step; the runtime
refuses a second one when it is made. What can be seen in the source is told
here already: one literal name in two places that can both be reached, a literal
name in a loop, and a step that nobody awaits.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

_LOOPS = (
    *(ast.For, ast.AsyncFor, ast.While),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
# The parts of a loop that are made once: what it goes through, and what follows it.
_ONCE = ("iter", "generators", "orelse")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
# What has to be awaited to do anything, by the object it is called on.
_AWAITED = {"saga": {"all", "optional"}, "flow": {"call", "sleep", "until"}}

_Path = tuple[tuple[ast.AST, str], ...]
"""The nodes above one, outermost first, each with its part in which the node is."""


def check_steps(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and advice of everything that is wrong with the steps of one module."""
    seen: dict[str, list[tuple[ast.Call, _Path]]] = {}
    for call, path in _calls(tree, ()):
        if isinstance(path[-1][0], ast.Expr):
            forgotten = _never_awaited(call)
            if forgotten:
                yield call.lineno, forgotten
        name = _literal_name(call)
        if name is None:
            continue
        if _loops(path):
            yield (
                call.lineno,
                f"makes the step '{name}' in a loop: the second one would have the first one's"
                " key; put what differs into its name",
            )
        for other, its_path in seen.get(name, []):
            if not _exclusive(path, its_path):
                yield (
                    call.lineno,
                    f"makes a step '{name}', as line {other.lineno} does: both would have one key;"
                    " name each after what it does",
                )
                break
        seen.setdefault(name, []).append((call, path))


def _calls(node: ast.AST, above: _Path) -> Iterator[tuple[ast.Call, _Path]]:
    for part, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                path = (*above, (node, part))
                if isinstance(child, ast.Call):
                    yield child, path
                yield from _calls(child, path)


def _literal_name(call: ast.Call) -> str | None:
    """The name of a step that is made by this call, when the source says it."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "step"):
        return None
    named = [word.value for word in call.keywords if word.arg == "name"]
    first = [*call.args[:1], *named]
    if first and isinstance(first[0], ast.Constant) and isinstance(first[0].value, str):
        return first[0].value
    return None


def _never_awaited(call: ast.Call) -> str:
    """What to do about a call that is a statement of its own; empty when it may be."""
    if not isinstance(call.func, ast.Attribute):
        return ""
    said = ast.unparse(call.func)
    if call.func.attr == "step":
        return f"{said}(...) only describes a step: await it, or hand it to saga.all"
    on = call.func.value.id if isinstance(call.func.value, ast.Name) else ""
    if call.func.attr in _AWAITED.get(on, ()):
        return f"{said}(...) does nothing until it is awaited: await it"
    return ""


def _loops(path: _Path) -> bool:
    """Whether the innermost function repeats what is there."""
    inside = path
    for index, (node, _) in enumerate(path):
        if isinstance(node, _SCOPES):
            inside = path[index + 1 :]
    return any(isinstance(node, _LOOPS) and part not in _ONCE for node, part in inside)


def _exclusive(one: _Path, other: _Path) -> bool:
    """Whether at most one of the two places is reached: branches of one statement."""
    for (node, part), (its_node, its_part) in zip(one, other, strict=False):
        if node is not its_node:
            return isinstance(node, ast.match_case) and isinstance(its_node, ast.match_case)
        if part == its_part:
            continue
        return isinstance(node, (ast.If, ast.IfExp)) and "test" not in (part, its_part)
    return False
