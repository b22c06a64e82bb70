"""Runs every case of cases.txt on every surface that it names, on one running stack."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
import pytest_asyncio

from nexpo_dev.running import running
from nexpo_dev.stack import SERVICES, Stack

from .surfaces import Clients, Outcome
from .table import Case, Line, read

TABLE = read()
RUNS = [(case, surface) for case in TABLE.cases for surface in case.surfaces]
PARTS = ("temporal", "postgres", "mongodb", "object_storage", "mailbox")
# A client of these tests makes more calls than a person.
SETTINGS = {"RATE_LIMIT": "1000", "RATE_BURST": "1000", "PUBLIC_RATE_LIMIT": "1000"}
_NOT_READY, _TRIES = "VERIFICATION_NOT_READY", 150
_REPEAT = re.compile(r'\{"\$repeat": \["([^"]*)", (\d+)\]\}')


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Stack, Clients]]:
    """Everything but three of the stores and the model."""
    stack = Stack(tmp_path_factory.mktemp("cases"), only=(*PARTS, *SERVICES), settings=SETTINGS)
    async with running(stack) as channel, httpx.AsyncClient(trust_env=False, timeout=90) as http:
        yield stack, Clients(stack, channel, http)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("case", "surface"), RUNS, ids=[f"{case.name}, {surface}" for case, surface in RUNS]
)
async def test_a_case(stack: tuple[Stack, Clients], case: Case, surface: str) -> None:
    known = {"new": uuid.uuid4().hex[:12]}
    for line in case.lines:
        if "$token" in line.input:
            known["token"] = await _token(stack[0], f"{known['new']}@example.com")
        text = _input(line, known)
        outcome = await stack[1].call(surface, line.call, text, line.headers)
        # A mail may be read before its sending was reported; then one is told to try again.
        for _ in range(_TRIES):
            if outcome.reason != _NOT_READY or line.wanted.startswith(_NOT_READY):
                break
            await asyncio.sleep(0.2)
            outcome = await stack[1].call(surface, line.call, text, line.headers)
        _judge(line, surface, outcome, known)
        if isinstance(outcome.answer, dict):
            known |= _learnt(outcome.answer)


def test_a_line_that_is_no_case_is_refused_with_its_number() -> None:
    for wrong, why in (
        ("only | four | columns | here", "line 1: five columns"),
        ("a | GetUser | fax | ok | {}", "line 1: there are grpc"),
        ("... | GetUser | all | ok | {}", "line 1: goes on"),
    ):
        with pytest.raises(ValueError, match=why):
            read(wrong)


def test_a_case_fails_when_another_answer_comes() -> None:
    line = Line(7, "GetUser", {}, "INVALID_ARGUMENT user_id", "{}")
    for outcome in (
        Outcome(answer={}),
        Outcome(reason="INTERNAL"),
        Outcome(reason="INVALID_ARGUMENT", fields=("view",)),
    ):
        with pytest.raises(AssertionError, match="line 7"):
            _judge(line, "grpc", outcome, {})
    done = Line(8, "WaitOperation", {}, "ok done=true", "{}")
    with pytest.raises(AssertionError, match="line 8"):
        _judge(done, "rest", Outcome(answer={"done": False}), {})


def _judge(line: Line, surface: str, outcome: Outcome, known: dict[str, str]) -> None:
    here = f"line {line.number}: {line.wanted!r} wanted, {outcome}"
    wanted, *rest = line.wanted.split()
    if wanted == "ok":
        assert not outcome.reason, here
        for check in rest:
            path, _, value = _filled(check, known).partition("=")
            assert _at(outcome.answer, path) == _plain(value), here
        return
    if surface == "cli" and outcome.reason == "USAGE" and wanted == "INVALID_ARGUMENT":
        return
    assert outcome.reason == wanted, here
    assert set(rest) <= set(outcome.fields), here


def _input(line: Line, known: dict[str, str]) -> str:
    """The input over its method's base: as text, so that REST gets what JSON readers would mend."""
    text, base = line.input, TABLE.bases.get(line.call, "")
    if base and text.startswith("{"):
        given: dict[str, Any] = json.loads(text, strict=False)
        over = {name: value for name, value in json.loads(base).items() if name not in given}
        dropped = [name for name, value in given.items() if value is None]
        if dropped:
            text = json.dumps({name: value for name, value in given.items() if name not in dropped})
        inner = text.strip()[1:-1].strip()
        parts = [json.dumps(over)[1:-1], inner]
        text = f"{{{', '.join(filter(None, parts))}}}"
    text = _REPEAT.sub(lambda match: json.dumps(match[1] * int(match[2])), text)
    return _filled(text, known)


def _filled(text: str, known: dict[str, str]) -> str:
    """The text with its variables; $NEW is $new in capitals."""
    for name, value in known.items():
        text = text.replace(f"${name}", value).replace(f"${name.upper()}", value.upper())
    return text


def _learnt(answer: dict[str, Any]) -> dict[str, str]:
    found = {"operation": answer["name"]} if "name" in answer else {}
    user = answer.get("userId") or answer.get("response", {}).get("user", {}).get("userId")
    return found | ({"user": user} if user else {})


def _at(answer: Any, path: str) -> Any:
    for name in path.split("."):
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


def _plain(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


async def _token(stack: Stack, email: str) -> str:
    """The token of the mail to an address, once it has come."""
    url = f"{stack.servers.mailbox.url}/mails"
    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(60):
            mails = (await http.get(url, params={"to": email, "wait": "1"})).json()
            for mail in mails:
                if found := re.search(r"[?&]token=([^&\s]+)", mail["text"]):
                    return unquote(found[1])
            await asyncio.sleep(0.2)
    raise TimeoutError(f"no mail to {email}")
