"""The link of a verification mail, followed as a person does it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nexpo.client import NexpoError
from nexpo_runtime.errors import Fault
from nexpo_runtime.service.http_server import HttpServer

from .house import PATIENCE, House, new_email, person, refusal

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

CONFIRMED = (200, "Your e-mail address is confirmed")


async def press(link: str) -> tuple[int, str]:
    """Follows a link and presses its button; status and heading of what comes then."""
    async with httpx.AsyncClient(trust_env=False, timeout=90) as http:
        page = (await http.get(link)).raise_for_status()
        [action] = re.findall(r'<form method="post" action="([^"]*)"', page.text)
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
        answer = await http.post(page.url.join(action), data=fields)
    [title] = re.findall("<h1>(.*?)</h1>", answer.text)
    return answer.status_code, title


async def test_confirming_twice_is_confirmed_while_it_goes_on_and_after_its_end(
    house: House,
) -> None:
    request = person()
    operation = await house.users.onboard_user(request)
    await house.waiting(operation)
    link = await house.link(request.email)
    assert await press(link) == CONFIRMED
    assert await press(link) == CONFIRMED
    await operation.result(PATIENCE)
    assert await press(link) == CONFIRMED
    late = await refusal(operation.verify_email(token="whatever"))
    ending = Fault.from_status(late.status).metadata["state"]
    assert (late.reason, ending) == ("OPERATION_DONE", "SUCCEEDED")


async def test_a_link_of_a_sign_up_that_is_no_more_says_why(house: House) -> None:
    slow, stopped = person(verify_within=Duration(seconds=10)), person()
    expiring = await house.users.onboard_user(slow)
    cancelled = await house.users.onboard_user(stopped)
    await house.waiting(cancelled)
    await cancelled.cancel()
    with pytest.raises(NexpoError):
        await cancelled.result(PATIENCE)
    assert await press(await house.link(stopped.email)) == (410, "This sign-up was stopped")
    link = await house.link(slow.email)
    wrong = re.sub("token=[^&]*", "token=other", link)
    assert await press(wrong) == (403, "This link is not the right one")
    with pytest.raises(NexpoError):
        await expiring.result(PATIENCE)
    assert await press(link) == (410, "This link is too old")


@pytest.mark.parametrize("strips", [True, False], ids=["strips", "keeps"])
async def test_the_link_works_below_a_path_behind_a_proxy(house: House, strips: bool) -> None:
    email = new_email()
    async with (
        _proxy(house, "/nexpo", strips) as public_url,
        house.restarted("gateway", PUBLIC_URL=public_url + "/nexpo/"),
    ):
        operation = await house.users.onboard_user(person(email))
        await house.waiting(operation)
        link = await house.link(email)
        assert link.startswith(f"{public_url}/nexpo/verify?")
        assert await press(link) == CONFIRMED
        await operation.result(PATIENCE)


@contextlib.asynccontextmanager
async def _proxy(house: House, prefix: str, strips: bool) -> AsyncIterator[str]:
    """A reverse proxy that serves the gateway below a path; yields its own address."""

    async def forward(request: Request) -> Response:
        path = request.url.path.removeprefix(prefix) if strips else request.url.path
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            answer = await http.request(
                request.method,
                f"{house.stack.gateway.url}{path}?{request.url.query}",
                content=await request.body(),
                headers={"content-type": request.headers.get("content-type", "")},
            )
        return Response(answer.content, answer.status_code, {"content-type": "text/html"})

    app = Starlette(routes=[Route(prefix + "/{rest:path}", forward, methods=["GET", "POST"])])
    server = HttpServer(app, ["127.0.0.1:0"])
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.ports[0]}"
    finally:
        await server.stop(1.0)
