"""The places of an onboarding where a fault can strike, and how each looks on the wire."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nexpo_dev.fault_rules import Action, Rule

_TDS_HEADER = 8
TENANT = "dev"
STORES = ("postgres", "mongodb", "cosmosdb", "sqlserver", "supabase")
Phase = Literal["forward", "undo", "activation"]

PROXIED = (*STORES, "object_storage", "claude", "mailbox")
WORKER_OF = {
    **dict.fromkeys(STORES, "db-worker"),
    "object_storage": "cloud-worker",
    "claude": "ai-worker",
    "mailbox": "gateway",
}


@dataclass(frozen=True)
class Person:
    """One onboarding, known before it begins.

    Attributes:
        request_id: The request's; the keys of all its effects come from it.
        email: The address.
    """

    request_id: str
    email: str

    def key(self, step: str) -> str:
        """Key of a step's effect."""
        return f"{TENANT}/{self.request_id}/{step}"


@dataclass(frozen=True)
class Traffic:
    """What the request that makes an effect has in it, and what it has not."""

    contains: tuple[bytes, ...]
    lacks: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Place:
    """One effect of an onboarding.

    Attributes:
        step: The saga's step.
        phase: Going forward before the pivot, being undone, or activating after it.
        server: Whom the request goes to.
        traffic: What it looks like there; for the undo of the home, with the user's id.
    """

    step: str
    phase: Phase
    server: str
    traffic: Callable[[Person, str], Traffic]

    @property
    def name(self) -> str:
        """For people."""
        return f"undo {self.step}" if self.phase == "undo" else self.step

    @property
    def worker(self) -> str:
        """Whose process makes the request."""
        return WORKER_OF[self.server]

    def rule(self, action: Action, person: Person, user_id: str = "", answer: bytes = b"") -> Rule:
        """A rule that strikes exactly this effect of this person."""
        traffic = self.traffic(person, user_id)
        return Rule(action, traffic.contains, traffic.lacks, answer)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).hexdigest().encode()


def _in_store(store: str, person: Person, step: str, phase: Phase) -> Traffic:
    def text(value: str) -> bytes:
        return value.encode("utf-16-le" if store == "sqlserver" else "utf-8")

    key, email = text(person.key(step)), text(person.email)
    if store == "cosmosdb":
        key = _digest(person.key(step))
    if phase == "activation":
        return Traffic((email, text("ACTIVE")), (text("PENDING"),))
    if phase == "forward":
        return Traffic((key, email), (text("ACTIVE"),))
    if store == "cosmosdb":
        return Traffic((b'"removed ' + key,))
    return Traffic((key,), (email,))


def _store_place(store: str, step: str, phase: Phase) -> Place:
    return Place(step, phase, store, lambda person, _: _in_store(store, person, step, phase))


def _home(person: Person, user_id: str) -> Traffic:
    return Traffic((_digest(person.key("provision home")),))


def _home_undo(person: Person, user_id: str) -> Traffic:
    marker = f"PUT /nexpo/homes/{TENANT}/{user_id}/.home".encode()
    return Traffic((marker,), (b"if-none-match",))


def _text(person: Person, user_id: str) -> Traffic:
    return Traffic((f"{person.request_id}/write%20welcome%20text".encode(),))


def _mail(person: Person, user_id: str) -> Traffic:
    return Traffic((_digest(person.key("send verification e-mail"))[:40],))


RESERVE = _store_place("postgres", "reserve e-mail", "forward")
CREATES = tuple(_store_place(store, f"create in {store}", "forward") for store in STORES)
HOME = Place("provision home", "forward", "object_storage", _home)
TEXT = Place("write welcome text", "forward", "claude", _text)
MAIL = Place("send verification e-mail", "forward", "mailbox", _mail)
FORWARD = (RESERVE, *CREATES, HOME, TEXT, MAIL)
FENCED = (RESERVE, *CREATES, HOME)
"""Places whose effects are undone, and so must be kept out once they are."""

ACTIVATIONS = tuple(_store_place(store, f"activate in {store}", "activation") for store in STORES)
UNDOS = (
    _store_place("postgres", "reserve e-mail", "undo"),
    *(_store_place(store, f"create in {store}", "undo") for store in STORES),
    Place("provision home", "undo", "object_storage", _home_undo),
)


def without_tds_headers(data: bytes) -> bytes:
    """What a client of SQL Server sent, without the headers between its packets."""
    parts, at = [], 0
    while at + _TDS_HEADER <= len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < _TDS_HEADER:
            return data
        parts.append(data[at + _TDS_HEADER : at + length])
        at += length
    return b"".join(parts)
