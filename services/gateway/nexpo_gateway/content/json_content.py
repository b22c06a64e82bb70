"""What a Struct may hold, judged on JSON: before numbers become doubles and texts UTF-8."""

from __future__ import annotations

from collections.abc import Iterator

from nexpo_runtime.errors import FieldViolation

from .limits import LIMITS, TOO_DEEP, inside, name_problem, number_problem, text_problem


def json_problems(value: object, path: str, depth: int = 0) -> Iterator[FieldViolation]:
    """Everything in a JSON value that a Struct, a list or a Value cannot hold, by its path."""
    if isinstance(value, dict | list) and depth >= LIMITS.struct_levels:
        yield FieldViolation(path, TOO_DEEP)
    elif isinstance(value, dict):
        for name, item in value.items():
            here = inside(path, name)
            problem = name_problem(name)
            if problem:
                yield FieldViolation(here, problem)
            yield from json_problems(item, here, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from json_problems(item, f"{path}[{index}]", depth + 1)
    else:
        problem = ""
        if isinstance(value, str):
            problem = text_problem(value, multiline=True)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            problem = number_problem(value)
        if problem:
            yield FieldViolation(path, problem)
