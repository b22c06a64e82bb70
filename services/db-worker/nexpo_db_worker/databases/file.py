"""DATABASES_FILE: any number of databases of any kind, in TOML; secrets by reference."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nexpo_db_worker.databases.configured import Configured
from nexpo_db_worker.databases.names import ID
from nexpo_db_worker.engines import ENGINES
from nexpo_db_worker.engines.engine import DatabaseEntry, Engine, Option

_TOP = "databases"
_UTF_8 = "utf-8-sig"  # editors and shells of Windows put a mark before it


class DatabasesFile:
    """What a file says.

    Args:
        path: The file; it and what it refers to are read at once.

    Attributes:
        configured: By id; of what is wrong, nothing.
        problems: Everything that is wrong: path in the file, and the mend. No value is shown.
    """

    def __init__(self, path: Path) -> None:
        self.configured: dict[str, Configured] = {}
        self.problems: list[str] = []
        self._folder = path.parent
        for database, table in self._tables(path):
            before = len(self.problems)
            found = self._database(database, table)
            if found is not None:
                self._check_own(database, found)
            if found is not None and len(self.problems) == before:
                self.configured[database] = found

    def _tables(self, path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
        try:
            content = tomllib.loads(path.read_text(encoding=_UTF_8))
        except OSError as error:
            return self._wrong("", f"cannot be read: {error.strerror}; give the path of a file")
        except UnicodeDecodeError:
            return self._wrong("", "is not UTF-8; write it as TOML in UTF-8")
        except tomllib.TOMLDecodeError as error:
            return self._wrong("", f"is not TOML: {error}; correct it")
        for name in content.keys() - {_TOP}:
            self._wrong(name, f"is not known; write [{_TOP}.id] for each database")
        tables = content.get(_TOP, {})
        if not isinstance(tables, dict) or not tables:
            return self._wrong(_TOP, f"names no database; write [{_TOP}.id] for each")
        return iter(tables.items())

    def _database(self, database: str, table: object) -> Configured | None:
        place = f"{_TOP}.{database}"
        if ID.fullmatch(database) is None:
            self._wrong(place, "must be 1 to 63 of a-z, 0-9 and -, and begin with a letter")
        if not isinstance(table, dict):
            self._wrong(place, f"must be a table; write [{place}]")
            return None
        engine = ENGINES.get(str(table.get("kind", "")))
        if engine is None:
            self._wrong(f"{place}.kind", f"must be one of {', '.join(ENGINES)}")
            return None
        enabled = table.get("enabled", True)
        if not isinstance(enabled, bool):
            self._wrong(f"{place}.enabled", "must be true or false")
        known = {"kind", "enabled", *(option.name for option in engine.options)}
        for name in sorted(table.keys() - known):
            self._wrong(f"{place}.{name}", f"is no option of {engine.kind}; remove it")
        if enabled is False:
            return Configured(engine.kind, off=f"{place}.enabled is false")
        options = dict(self._options(engine, table, place))
        return Configured(engine.kind, DatabaseEntry(database, engine.kind, options))

    def _check_own(self, database: str, found: Configured) -> None:
        """One database under two ids would refuse every user as one that it has already."""
        for other, configured in self.configured.items():
            one, two = found.entry, configured.entry
            if one and two and (one.kind, one.options) == (two.kind, two.options):
                self._wrong(f"{_TOP}.{database}", f"is {_TOP}.{other} once more; remove one")

    def _options(
        self, engine: Engine, table: Mapping[str, Any], place: str
    ) -> Iterator[tuple[str, str]]:
        for option in engine.options:
            here = f"{place}.{option.name}"
            given = table.get(option.name)
            if given is None:
                if option.required:
                    self._wrong(here, f"is missing; write {_form(option)}")
                continue
            value = self._value(option, given, here)
            problem = option.malformed(value) or (option.problem(value) if value else "")
            if problem:
                self._wrong(here, problem)
            elif value:
                yield option.name, value

    def _value(self, option: Option, given: object, here: str) -> str:
        match given:
            case str() if given and not option.secret:
                return given
            case {"env": str(name), **rest} if not rest:
                value = os.environ.get(name, "").strip("\r\n")
                if not value:
                    self._wrong(here, f"the environment has no {name}; set it")
                return value
            case {"file": str(name), **rest} if not rest:
                return self._from_file(self._folder / name, here)
        self._wrong(here, f"must be written as {_form(option)}")
        return ""

    def _from_file(self, path: Path, here: str) -> str:
        try:
            value = path.read_text(encoding=_UTF_8).strip("\r\n")
        except OSError as error:
            self._wrong(here, f"the file cannot be read: {error.strerror}; correct its path")
            return ""
        except UnicodeDecodeError:
            self._wrong(here, "the file is not UTF-8; write the value alone into it")
            return ""
        except ValueError:  # U+0000 in it
            self._wrong(here, "no file can have that path; correct it")
            return ""
        if not value:
            self._wrong(here, "the file is empty; write the value into it")
        return value

    def _wrong(self, place: str, problem: str) -> Iterator[Any]:
        self.problems.append(
            f"DATABASES_FILE: {place}: {problem}" if place else f"DATABASES_FILE: {problem}"
        )
        return iter(())


def _form(option: Option) -> str:
    reference = f'{option.name} = {{ env = "NAME" }} or {{ file = "PATH" }}'
    return reference if option.secret else f'{option.name} = "...", or {reference}'
