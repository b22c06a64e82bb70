"""What is made of a caller's bytes takes time in proportion to them, also beside the event loop."""

from __future__ import annotations

import time

import pytest

from nexpo.users.v1.users_pb2 import OnboardUserRequest, UpdateUserRequest
from nexpo_gateway.http.json_requests import to_message
from nexpo_gateway.http.json_shape import shape_of
from nexpo_gateway.http.json_text import read_json
from nexpo_runtime.errors import Fault

from .worst_inputs import HTTP, ONBOARD, UPDATE, Http

REQUESTS = {ONBOARD: OnboardUserRequest, UPDATE: UpdateUserRequest}
BODIES = [worst for worst in HTTP if worst.body and worst.method in REQUESTS]
LONGEST = 0.25


@pytest.mark.parametrize("worst", BODIES, ids=lambda worst: str(worst.kind))
def test_the_worst_json_is_read_or_refused_in_little_time(worst: Http) -> None:
    assert worst.body is not None
    began = time.thread_time()
    try:
        data = read_json(worst.body)
        if isinstance(data, dict):
            to_message(data, REQUESTS[worst.method])
    except Fault:
        pass
    assert time.thread_time() - began < LONGEST


@pytest.mark.parametrize(
    ("body", "too_many", "too_deep"),
    [
        (b"[" + b"1," * 4999 + b"1]", False, False),
        (b"[" + b"1," * 5000 + b"1]", True, False),
        (b"[" + b"{}, " * 4999 + b"{ }]", False, False),
        (b'{"a": [' + b'"[,{", ' * 4998 + b'"\\\\\\","]}', False, False),
        (b'{"a": [' + b'"[,{", ' * 5000 + b'"\\\\\\","]}', True, False),
        (b"[" * 64 + b"]" * 64, False, False),
        (b"[" * 65 + b"]" * 65, False, True),
        (b'{"a":' * 65 + b"1" + b"}" * 65, False, True),
        (b'["' + b"[" * 5000 + b'"]', False, False),
        (b'["\\"' + b"[" * 5000 + b'"]', False, False),
        (b'["\\\\",' + b"1," * 5000 + b'"x"]', True, False),
        (b"[] " * 3000, False, False),
        (b'"', False, False),
        (b"", False, False),
    ],
    ids=range(14),
)
def test_the_shape_of_json_is_known_without_parsing_it(
    body: bytes, too_many: bool, too_deep: bool
) -> None:
    shape = shape_of(body)
    assert (shape.too_many, shape.too_deep) == (too_many, too_deep)
