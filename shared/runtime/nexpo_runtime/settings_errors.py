"""What is wrong with a service's environment, in words for whoever starts it."""

from __future__ import annotations

from pydantic import AliasChoices
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings


class SettingsError(Exception):
    """The environment cannot be used as it is.

    Attributes:
        problems: One line each: variable, what is wrong, what to do.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def field_of(cls: type[BaseSettings], detail: ErrorDetails) -> str:
    """Name of the field; pydantic gives an alias where there is one."""
    location = str(detail["loc"][0]) if detail["loc"] else ""
    for name, info in cls.model_fields.items():
        alias = info.validation_alias
        if isinstance(alias, AliasChoices) and location in alias.choices:
            return name
    return location


def problem(cls: type[BaseSettings], detail: ErrorDetails) -> str:
    """One line: variable, what is wrong, what to do; never the value."""
    field = field_of(cls, detail)
    return f"{field.upper()}: {_wrong(detail)}; {_advice(cls, field, detail)}"


def _wrong(detail: ErrorDetails) -> str:
    if detail["type"] == "missing":
        return "not set"
    return detail["msg"].removeprefix("Value error, ")


def _advice(cls: type[BaseSettings], field: str, detail: ErrorDetails) -> str:
    info = cls.model_fields.get(field)
    if info is not None and info.description:
        return info.description
    advice = {
        "bool_parsing": "set true or false",
        "enum": "set one of the listed values",
        "missing": "set it",
        "literal_error": "set one of the listed values",
    }
    return advice.get(detail["type"], "correct the value, or unset it for the default")
