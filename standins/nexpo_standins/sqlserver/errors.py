"""T-SQL's errors, and how PostgreSQL's become them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import asyncpg

_DEADLOCK = 1205
# After these a batch goes on with its next statement, unless XACT_ABORT is ON.
_ENDS_STATEMENT_ONLY = frozenset({515, 547, 2601, 2627, 2628, 8115})
_NUMBERS = {
    "22001": 2628,
    "22003": 8115,
    "22007": 241,
    "22008": 241,
    "22P02": 245,
    "23502": 515,
    "23503": 547,
    "23505": 2627,
    "23514": 547,
    "25P02": 3930,
    "40001": _DEADLOCK,
    "40P01": _DEADLOCK,
    "42501": 229,
    "42601": 102,
    "42703": 207,
    "42804": 206,
    "42846": 529,
    "42883": 195,
    "42P01": 208,
    "42P07": 2714,
    "42710": 2714,
    "53100": 1105,
    "53200": 701,
    "55P03": 1222,
    "P0001": 50000,
}
_CHOSEN_NUMBER = re.compile(r"\berror (\d{2,9})\b")
_DUPLICATE_KEY = re.compile(r"=(\(.*\)) already exists", re.DOTALL)


@dataclass(eq=False)
class SqlError(Exception):
    """An error as SQL Server sends it.

    Attributes:
        number: Such as 2627.
        text: One sentence.
        severity: Class of the error: 11 to 16 is the user's, above it the server's.
        state: Always 1 here but for log-ins.
        duplicate_of: The unique constraint or index, where the number is 2627.
    """

    number: int
    text: str
    severity: int = 16
    state: int = 1
    duplicate_of: str = ""

    @property
    def ends_transaction(self) -> bool:
        """Whether the transaction is rolled back, whatever XACT_ABORT says.

        A deadlock's victim loses it, and so does what an error in a trigger stops.
        """
        return self.number == _DEADLOCK or self.number >= 50000

    @property
    def ends_batch(self) -> bool:
        """Whether the statements that follow are left out, whatever XACT_ABORT says."""
        return self.number not in _ENDS_STATEMENT_ONLY


class BackendLost(Exception):
    """The PostgreSQL behind the session is gone, and the session with it."""


def unknown(what: str) -> SqlError:
    """The answer to what only a real SQL Server can do."""
    return SqlError(102, f"The stand-in for SQL Server does not know {what}.", severity=15)


def login_failed(user: str) -> SqlError:
    """18456, which does not tell whether the user or the password was wrong."""
    return SqlError(18456, f"Login failed for user '{user}'.", severity=14)


def from_postgres(error: asyncpg.PostgresError) -> SqlError:
    """The T-SQL error for one of PostgreSQL's."""
    state: str = error.sqlstate or "XX000"
    text = str(error.message or error)
    chosen = _CHOSEN_NUMBER.search(error.hint or "")
    if chosen:
        return SqlError(int(chosen[1]), text)
    number = _NUMBERS.get(state)
    table = f"{error.schema_name or 'dbo'}.{error.table_name}"
    match number:
        case 2627:
            return duplicate(error, table)
        case 515:
            text = (
                f"Cannot insert the value NULL into column '{error.column_name}', table '{table}'."
            )
        case 547 if error.constraint_name:
            text = f'The statement conflicted with the constraint "{error.constraint_name}".'
        case 208:
            text = f"Invalid object name: {text}."
        case _ if number == _DEADLOCK:
            text = "Transaction was chosen as the deadlock victim. Rerun the transaction."
            return SqlError(_DEADLOCK, text, severity=13)
        case 1222:
            text = "Lock request time out period exceeded."
        case None:
            return SqlError(50000, f"PostgreSQL refuses ({state}): {text}")
    return SqlError(number, text)


def duplicate(error: asyncpg.PostgresError, table: str) -> SqlError:
    """2627; the session finds out whether it is 2601, an index without a constraint."""
    name = error.constraint_name or ""
    key = _DUPLICATE_KEY.search(error.detail or "")
    text = (
        f"Violation of UNIQUE KEY constraint '{name}'. Cannot insert duplicate key in object"
        f" '{table}'. The duplicate key value is {key[1] if key else '(?)'}."
    )
    return SqlError(2627, text, severity=14, duplicate_of=name)


def duplicate_in_index(error: SqlError) -> SqlError:
    """2601 for a 2627 whose constraint is a mere unique index."""
    text = error.text.replace("Violation of UNIQUE KEY constraint", "Unique index", 1)
    return SqlError(2601, text, severity=14)
