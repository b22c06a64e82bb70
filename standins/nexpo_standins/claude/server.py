"""The stand-in's HTTP server."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count

from aiohttp import web

from . import messages
from .errors import ApiError
from .faults import Faults, FaultSetting
from .requests import MODELS, check_headers, parse
from .texts import answer

_KEPT_REQUESTS = 10_000
_LARGEST_BODY = 32 * 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StandIn:
    """All that it knows: its key, the faults that are on, what it was asked."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key
        self._faults = Faults()
        self._requests: deque[dict[str, object]] = deque(maxlen=_KEPT_REQUESTS)
        self._numbers = count(1)

    def routes(self) -> list[web.RouteDef]:
        """What is served."""
        return [
            web.post("/v1/messages", self._api(self._create)),
            web.post("/v1/messages/count_tokens", self._api(self._count)),
            web.get("/v1/models", self._api(self._models)),
            web.get("/v1/models/{name}", self._api(self._model)),
            web.post("/_fault", self._add_fault),
            web.get("/_fault", self._list_faults),
            web.delete("/_fault", self._clear_faults),
            web.get("/_requests", self._list_requests),
            web.delete("/_requests", self._clear_requests),
            web.route("*", "/{path:.*}", self._api(self._unknown)),
        ]

    def _api(self, handler: Handler) -> Handler:
        async def answered(request: web.Request) -> web.StreamResponse:
            request_id = f"req_standin_{next(self._numbers):012d}"
            request["request_id"] = request_id
            try:
                raw = await self._read(request)
                self._note(request, raw)
                check_headers(request.headers, self._api_key)
                return await handler(request)
            except ApiError as error:
                return web.json_response(
                    error.body(request_id),
                    status=error.status,
                    headers={"request-id": request_id, **error.headers},
                )

        return answered

    async def _read(self, request: web.Request) -> bytes:
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise ApiError(413) from None

    def _note(self, request: web.Request, raw: bytes) -> None:
        try:
            body: object = json.loads(raw) if raw else None
        except ValueError:
            body = raw.decode(errors="replace")
        secret = ("x-api-key", "authorization")
        headers = {k.lower(): v for k, v in request.headers.items() if k.lower() not in secret}
        self._requests.append(
            {"method": request.method, "path": request.path, "headers": headers, "body": body}
        )

    async def _create(self, request: web.Request) -> web.StreamResponse:
        fault = self._faults.take()
        await _strike_first(request, fault)
        prompt = parse(await request.read())
        reply = messages.reply(prompt, answer(prompt), fault.kind if fault else "")
        headers = {"request-id": str(request["request_id"]), **messages.LIMITS}
        if fault is not None and fault.kind == "nonsense":
            kind = "text/event-stream" if prompt.stream else "application/json"
            return web.Response(
                body=messages.NONSENSE[prompt.stream], headers=headers, content_type=kind
            )
        if prompt.stream:
            return await messages.send_events(request, headers, reply, fault)
        return await messages.send_body(request, headers, reply, fault)

    async def _count(self, request: web.Request) -> web.StreamResponse:
        prompt = parse(await request.read(), counting=True)
        return self._json(request, {"input_tokens": prompt.input_tokens})

    async def _models(self, request: web.Request) -> web.StreamResponse:
        names = list(MODELS)
        page = {
            "data": [_model(name) for name in names],
            "has_more": False,
            "first_id": names[0],
            "last_id": names[-1],
        }
        return self._json(request, page)

    async def _model(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in MODELS:
            raise ApiError(404, f"model: {name}")
        return self._json(request, _model(name))

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        raise ApiError(404, "Not found")

    def _json(self, request: web.Request, body: object) -> web.Response:
        return web.json_response(body, headers={"request-id": str(request["request_id"])})

    async def _add_fault(self, request: web.Request) -> web.StreamResponse:
        try:
            self._faults.add(FaultSetting.parse(await request.json()))
        except ValueError as error:
            return web.json_response({"problem": str(error)}, status=400)
        return await self._list_faults(request)

    async def _list_faults(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"faults": self._faults.listed()})

    async def _clear_faults(self, request: web.Request) -> web.StreamResponse:
        self._faults.clear()
        return await self._list_faults(request)

    async def _list_requests(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"requests": list(self._requests)})

    async def _clear_requests(self, request: web.Request) -> web.StreamResponse:
        self._requests.clear()
        return await self._list_requests(request)


def application(api_key: str) -> web.Application:
    """The server as an aiohttp application."""
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.add_routes(StandIn(api_key).routes())
    return app


async def _strike_first(request: web.Request, fault: FaultSetting | None) -> None:
    """What a fault does before the request is looked at."""
    if fault is None:
        return
    if fault.kind == "status":
        headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
        raise ApiError(fault.status, code=fault.code, headers=headers)
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
    if fault.kind == "reset":
        await messages.abort(request)


def _model(name: str) -> dict[str, object]:
    return {
        "type": "model",
        "id": name,
        "display_name": f"{MODELS[name]} (stand-in)",
        "created_at": "2026-01-01T00:00:00Z",
    }
