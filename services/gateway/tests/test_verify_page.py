"""The verification page: what a person reads, whatever the call comes to."""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlencode

import httpx
import pytest
from google.protobuf.message import Message
from starlette.applications import Starlette

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import ResendVerificationRequest, VerifyEmailRequest
from nexpo_gateway.calls.dispatcher import Dispatcher
from nexpo_gateway.contract import Contract
from nexpo_gateway.surfaces.verify_page import verify_routes
from nexpo_runtime.errors import Fault, reason_name

GIVEN = {"operation": 'operations/a~b~"<c>', "token": "t'&>"}
REASONS = [value for value in Reason.values() if value]
# Words of the trade, and of the catalogue, that no visitor should have to know.
JARGON = re.compile(
    r"operation|token|request|retry|deadline|temporal|worker|gateway|server|rpc|method|argument"
    r"|[A-Z]{2,}_|resendverification|internal|trace|\bid\b",
    re.IGNORECASE,
)


@dataclass
class Scripted:
    """In place of the dispatcher: answers every call alike, and keeps what it was asked."""

    fault: Exception | None = None
    asked: list[Message] = field(default_factory=list)
    arrivals: int = 0
    contract: Contract = field(default_factory=Contract.load)

    def arrived(self, context: Any) -> None:
        """Lets everybody in."""
        self.arrivals += 1

    async def call(self, rpc: Any, context: Any, read: Callable[[], Awaitable[Message]]) -> Message:
        self.asked.append(await read())
        if self.fault is not None:
            raise self.fault
        return self.asked[-1]


def browser(dispatcher: Scripted, public_path: str = "") -> httpx.AsyncClient:
    routes = verify_routes(cast(Dispatcher, dispatcher), public_path)
    transport = httpx.ASGITransport(Starlette(routes=list(routes)))
    return httpx.AsyncClient(transport=transport, base_url="http://nexpo")


def shown(page: httpx.Response) -> str:
    """What a person reads: no tags, no style, no hidden fields."""
    body = re.sub(r"<style>.*?</style>", "", page.text, flags=re.DOTALL)
    return re.sub(r"<[^>]+>", " ", body)


def heading(page: httpx.Response) -> str:
    [title] = re.findall(r"<h1>(.*?)</h1>", page.text)
    assert f"<title>{title}</title>" in page.text
    return str(title)


async def press(fault: Fault, **more: str) -> httpx.Response:
    async with browser(Scripted(fault)) as http:
        return await http.post("/verify", data={**GIVEN, **more})


@pytest.mark.parametrize("reason", REASONS, ids=[reason_name(value) for value in REASONS])
@pytest.mark.parametrize("more", [{}, {"do": "mail"}], ids=["confirm", "mail"])
async def test_every_refusal_is_told_in_plain_words_with_what_to_do_next(
    reason: Reason.ValueType, more: dict[str, str]
) -> None:
    fault = Fault(reason, "Internal words of the RPC.", metadata={"trace_id": "abc"})
    page = await press(fault, **more)
    assert not JARGON.findall(shown(page))
    assert fault.entry.hint not in page.text
    assert "please" in shown(page).lower() or "you can" in shown(page).lower()
    confirmed = reason == Reason.REASON_ALREADY_VERIFIED
    assert (page.status_code == 200) == confirmed
    assert (heading(page) == "Your e-mail address is confirmed") == confirmed
    if fault.entry.retryable:
        # Pressing again is all that it takes, so the button is there.
        assert page.status_code in (429, 503, 504)
        assert "Confirm my e-mail address</button>" in page.text


@pytest.mark.parametrize(
    ("metadata", "status", "title"),
    [
        ({"state": "SUCCEEDED"}, 200, "Your e-mail address is confirmed"),
        ({"state": "FAILED", "reason": "VERIFICATION_EXPIRED"}, 410, "This link is too old"),
        (
            {"state": "CANCELLED", "reason": "OPERATION_CANCELLED"},
            410,
            "This sign-up was stopped",
        ),
        (
            {"state": "FAILED", "reason": "OPERATION_TERMINATED"},
            410,
            "This sign-up was stopped",
        ),
        ({"state": "FAILED", "reason": "OPERATION_EXPIRED"}, 410, "This link is too old"),
        ({"state": "FAILED", "reason": "EMAIL_TAKEN"}, 410, "Your account could not be opened"),
        ({}, 404, "This link does not work any more"),
    ],
)
async def test_after_the_end_the_page_says_how_it_ended(
    metadata: dict[str, str], status: int, title: str
) -> None:
    page = await press(Fault(Reason.REASON_OPERATION_DONE, metadata=metadata))
    assert (page.status_code, heading(page)) == (status, title)
    assert not JARGON.findall(shown(page))


async def test_a_bug_shows_nothing_of_itself() -> None:
    async with browser(Scripted(KeyError("secret"))) as http:
        page = await http.post("/verify", data=GIVEN)
    assert page.status_code == 500
    assert "secret" not in page.text
    assert not JARGON.findall(shown(page))


async def test_a_locked_person_can_have_a_new_mail_from_the_page_itself() -> None:
    locked = await press(Fault(Reason.REASON_VERIFICATION_LOCKED))
    assert "Send me a new e-mail</button>" in locked.text
    dispatcher = Scripted()
    async with browser(dispatcher) as http:
        page = await http.post("/verify", data={**GIVEN, "do": "mail"})
    assert dispatcher.asked == [ResendVerificationRequest(operation=GIVEN["operation"])]
    assert dispatcher.arrivals == 1  # so that the limits of an address hold here, too
    assert (page.status_code, heading(page)) == (200, "A new e-mail is on its way")


async def test_a_page_that_offers_the_button_again_sends_what_the_link_said() -> None:
    page = await press(Fault(Reason.REASON_TEMPORAL_UNAVAILABLE, retry_after=timedelta(seconds=1)))
    assert page.headers["retry-after"] == "1"
    dispatcher = Scripted()
    inputs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
    unescaped = {name: html.unescape(value) for name, value in inputs}
    async with browser(dispatcher) as http:
        await http.post("/verify", data=unescaped)
    assert dispatcher.asked == [VerifyEmailRequest(**GIVEN)]


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
async def test_following_the_link_has_no_effect_however_often(verb: str) -> None:
    dispatcher = Scripted()
    async with browser(dispatcher) as http:
        for _ in range(3):
            page = await http.request(verb, "/verify", params=GIVEN)
    assert dispatcher.asked == []
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-robots-tag"] == "noindex"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"operation=a",
        b"token=t&operation=",
        b"\xff=\xff&x",
        b"&".join(b"f%d=1" % number for number in range(9)),
        b'{"operation":"a","token":"t"}',
    ],
)
async def test_a_form_that_lacks_something_is_an_incomplete_link(body: bytes) -> None:
    dispatcher = Scripted()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    async with browser(dispatcher) as http:
        page = await http.post("/verify", content=body, headers=headers)
    assert dispatcher.asked == []
    assert (page.status_code, heading(page)) == (400, "This link is not complete")
    assert "<form" not in page.text


@pytest.mark.parametrize("path", ["", "/nexpo", "/a/b"])
async def test_the_form_leads_back_to_the_page_below_every_path(path: str) -> None:
    dispatcher = Scripted()
    async with browser(dispatcher, path) as http:
        for below in {"", path}:
            page = await http.get(f"{below}/verify?{urlencode(GIVEN)}")
            [action] = re.findall(r'<form method="post" action="([^"]*)"', page.text)
            target = page.url.join(action)
            assert (target.path, target.query) == (f"{below}/verify", b"")
            assert heading(await http.post(target, data=GIVEN)).endswith("is confirmed")
