"""Reads the part of Cosmos DB's SQL that stores of records need.

    SELECT [TOP n] * | VALUE expression | VALUE COUNT(1) | expression [AS name], ...
    FROM c [WHERE expression] [ORDER BY c.a [ASC|DESC], ...] [OFFSET n LIMIT n]

An expression has AND, OR, NOT, = != <> < <= > >=, [NOT] IN, BETWEEN, parentheses,
properties c.a.b and c["a"], literals, @parameters, and the functions of `syntax`.
Anything else is a 400 that names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from nexpo_standins.cosmosdb.partition_hash import UNDEFINED
from nexpo_standins.cosmosdb.query.syntax import (
    AGGREGATE,
    FUNCTIONS,
    Call,
    Comparison,
    Constant,
    Expression,
    In,
    Logic,
    Not,
    Order,
    Property,
    Query,
)
from nexpo_standins.cosmosdb.refusals import Refusal, bad_request

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<parameter>@[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign><=|>=|!=|<>|[-*,.()\[\]=<>])
    )""",
    re.VERBOSE,
)
_COMPARISONS = {"=", "!=", "<>", "<", "<=", ">", ">="}
_LITERALS = {"TRUE": True, "FALSE": False, "NULL": None, "UNDEFINED": UNDEFINED}


def parse(text: str, parameters: Mapping[str, object]) -> Query:
    """Reads a query.

    Raises:
        Refusal: 400 for what is not known here, or not there.
    """
    try:
        return _Parser(text, parameters).query()
    except RecursionError:
        raise _fault("it is nested too deep") from None


def _fault(text: str) -> Refusal:
    return bad_request(f"SC1001: This stand-in does not know this query: {text}")


class _Parser:
    def __init__(self, text: str, parameters: Mapping[str, object]) -> None:
        self._parameters = parameters
        self._tokens = list(_tokens(text))
        self._place = 0
        self._root = ""

    def query(self) -> Query:
        self._need("SELECT")
        limit = self._number() if self._take("TOP") else None
        # The alias comes after what uses it: read FROM first, then come back.
        start = self._place
        self._find_root()
        after_from = self._place
        self._place = start
        columns, value, count = self._selection()
        self._need("FROM")
        self._place = after_from
        where = self._expression() if self._take("WHERE") else None
        order = self._order() if self._take("ORDER") else ()
        offset = 0
        if self._take("OFFSET"):
            if limit is not None:
                raise _fault("TOP together with OFFSET")
            offset = self._number()
            self._need("LIMIT")
            limit = self._number()
        if self._peek()[0] != "end":
            raise _fault(f"unexpected {self._peek()[1]!r}")
        return Query(columns, value, count, where, order, offset, limit)

    def _find_root(self) -> None:
        while not self._take("FROM"):
            if self._next()[0] == "end":
                raise _fault("there is no FROM")
        self._root = self._name()
        self._take("AS")
        kind, text = self._peek()
        if kind == "word" and text.upper() not in ("WHERE", "ORDER", "OFFSET"):
            if text.upper() in ("JOIN", "IN", "GROUP"):
                raise _fault(text)
            self._root = self._name()

    def _selection(self) -> tuple[tuple[tuple[str, Expression], ...], Expression | None, bool]:
        if self._take_sign("*"):
            return (), None, False
        if self._take("VALUE"):
            if self._take(AGGREGATE):
                self._need_sign("(")
                self._expression()
                self._need_sign(")")
                return (), None, True
            return (), self._expression(), False
        columns = [self._column(1)]
        while self._take_sign(","):
            columns.append(self._column(len(columns) + 1))
        return tuple(columns), None, False

    def _column(self, place: int) -> tuple[str, Expression]:
        expression = self._expression()
        if self._take("AS"):
            return self._name(), expression
        if isinstance(expression, Property) and expression.path:
            return expression.path[-1], expression
        return f"${place}", expression

    def _order(self) -> tuple[Order, ...]:
        self._need("BY")
        keys = []
        while True:
            expression = self._primary()
            if not isinstance(expression, Property):
                raise _fault("ORDER BY something that is not a property")
            descending = bool(self._take("DESC"))
            if not descending:
                self._take("ASC")
            keys.append(Order(expression.path, descending))
            if not self._take_sign(","):
                return tuple(keys)

    def _expression(self) -> Expression:
        return self._chain("OR", lambda: self._chain("AND", self._negation))

    def _chain(self, word: str, operand: Callable[[], Expression]) -> Expression:
        operands = [operand()]
        while self._take(word):
            operands.append(operand())
        return Logic(word, tuple(operands)) if len(operands) > 1 else operands[0]

    def _negation(self) -> Expression:
        return Not(self._negation()) if self._take("NOT") else self._comparison()

    def _comparison(self) -> Expression:
        left = self._primary()
        kind, text = self._peek()
        if kind == "sign" and text in _COMPARISONS:
            self._next()
            return Comparison("!=" if text == "<>" else text, left, self._primary())
        if self._take("NOT"):
            self._need("IN")
            return Not(In(left, self._list()))
        if self._take("IN"):
            return In(left, self._list())
        if self._take("BETWEEN"):
            low = Comparison(">=", left, self._primary())
            self._need("AND")
            return Logic("AND", (low, Comparison("<=", left, self._primary())))
        return left

    def _list(self) -> tuple[Expression, ...]:
        self._need_sign("(")
        found = [self._expression()]
        while self._take_sign(","):
            found.append(self._expression())
        self._need_sign(")")
        return tuple(found)

    def _primary(self) -> Expression:
        kind, text = self._next()
        match kind:
            case "number":
                return Constant(_number(text))
            case "string":
                return Constant(_string(text))
            case "parameter":
                return Constant(self._parameter(text))
            case "sign" if text == "(":
                inner = self._expression()
                self._need_sign(")")
                return inner
            case "sign" if text == "-":
                return Constant(-_number(self._next()[1]))
            case "word" if text.upper() in _LITERALS and text != self._root:
                return Constant(_LITERALS[text.upper()])
            case "word" if text == self._root:
                return self._path()
            case "word" if self._peek() == ("sign", "("):
                return self._call(text.upper())
        raise _fault(f"unexpected {text!r}")

    def _path(self) -> Property:
        parts: list[str] = []
        while True:
            if self._take_sign("."):
                parts.append(self._name())
            elif self._take_sign("["):
                kind, text = self._next()
                if kind != "string":
                    raise _fault(f"[{text}]")
                parts.append(_string(text))
                self._need_sign("]")
            else:
                return Property(tuple(parts))

    def _call(self, name: str) -> Call:
        if name not in FUNCTIONS:
            raise _fault(f"the function {name}")
        arguments = self._list()
        if len(arguments) != FUNCTIONS[name]:
            raise _fault(f"{name} with {len(arguments)} arguments")
        return Call(name, arguments)

    def _number(self) -> int:
        kind, text = self._next()
        value = self._parameter(text) if kind == "parameter" else text
        if isinstance(value, str) and kind == "number" and value.isdigit():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise _fault(f"{text!r} where a number must be")

    def _parameter(self, name: str) -> object:
        if name not in self._parameters:
            raise bad_request(f"SC2010: The parameter {name} has no value.")
        return self._parameters[name]

    def _name(self) -> str:
        kind, text = self._next()
        if kind != "word":
            raise _fault(f"unexpected {text!r}")
        return text

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._place]

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._place]
        self._place = min(self._place + 1, len(self._tokens) - 1)
        return token

    def _take(self, word: str) -> bool:
        kind, text = self._peek()
        found = kind == "word" and text.upper() == word
        if found:
            self._next()
        return found

    def _take_sign(self, sign: str) -> bool:
        found = self._peek() == ("sign", sign)
        if found:
            self._next()
        return found

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise _fault(f"{self._peek()[1]!r} where {word} must be")

    def _need_sign(self, sign: str) -> None:
        if not self._take_sign(sign):
            raise _fault(f"{self._peek()[1]!r} where {sign!r} must be")


def _tokens(text: str) -> list[tuple[str, str]]:
    place, found = 0, []
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _fault(f"{text[place : place + 20]!r}")
        assert match.lastgroup is not None
        found.append((match.lastgroup, match.group(match.lastgroup)))
        place = match.end()
    return [*found, ("end", "the end")]


def _number(text: str) -> float:
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        raise _fault(f"{text!r} where a number must be") from None


def _string(text: str) -> str:
    inner = text[1:-1]
    if text[0] == "'":
        inner = inner.replace("\\'", "'").replace('"', '\\"')
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except ValueError:
        raise _fault(f"the string {text}") from None
