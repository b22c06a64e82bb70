"""The HTTP server: checks, faults, and one thread for the disk."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web

from nexpo_standins.cosmosdb.auth import Auth
from nexpo_standins.cosmosdb.catalog import Json, Object
from nexpo_standins.cosmosdb.disk import Disk
from nexpo_standins.cosmosdb.faults import DropConnectionError, Faults
from nexpo_standins.cosmosdb.operations import Answer, Operations
from nexpo_standins.cosmosdb.refusals import Refusal
from nexpo_standins.cosmosdb.requests import Request, read_json

_MAX_BODY = 4 * 1024 * 1024
_log = logging.getLogger(__name__)


class Server:
    """A Cosmos DB account.

    Args:
        folder: Where its data lies.
        key: The account's key, in base64.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._auth = Auth(key)
        self._disk = Disk(folder)
        self._operations = Operations(self._disk)
        self._faults = Faults()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="disk")

    async def run(self, port: int, stop: asyncio.Event) -> None:
        """Serves on 127.0.0.1 until it is told to stop."""
        # A handler goes on when its client leaves: a write that was sent is a write that
        # may land late, as in the service.
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            _log.info("Cosmos DB stand-in on http://127.0.0.1:%d/", port)
            await stop.wait()
            self._faults.release()
        finally:
            await runner.cleanup()
            self._thread.shutdown()
            self._disk.close()

    async def _handle(self, http: web.Request) -> web.Response:
        activity = http.headers.get("x-ms-activity-id") or str(uuid.uuid4())
        try:
            answer = await self._answer(http)
        except Refusal as refusal:
            headers = {**refusal.headers, "x-ms-substatus": str(refusal.substatus)}
            return _respond(refusal.status, refusal.body(activity), headers, activity)
        except web.HTTPRequestEntityTooLarge:
            too_large = Refusal(413, "Request size is too large")
            return _respond(413, too_large.body(activity), {}, activity)
        except DropConnectionError:
            if http.transport is not None:
                http.transport.abort()
            return web.Response(status=503)
        except Exception:
            _log.exception("%s %s", http.method, http.path)
            own_fault = Refusal(500, "The stand-in has a fault: see its log.")
            return _respond(500, own_fault.body(activity), {}, activity)
        body = b"" if answer.body is None else json.dumps(answer.body).encode()
        return _respond(answer.status, body, answer.headers, activity)

    async def _answer(self, http: web.Request) -> Answer:
        path, content = http.rel_url.raw_path, await http.read()
        if path == "/_fault" or path.startswith("/_fault/"):
            self._auth.check_bearer(http.headers)
            fault_body: Json = read_json(content) if content else {}
            return Answer(200, self._faults.serve(http.method, path, fault_body))
        request = Request.of(http.method, path, http.headers, content)
        fault = self._faults.choose(request.operation, request.collection, request.text)
        if fault is not None and fault.moment == "before":
            await fault.strike()
        self._auth.check(request.method, request.kind, request.link, request.headers)
        try:
            return await self._perform(request, http.host)
        finally:
            if fault is not None and fault.moment == "after":
                await fault.strike()

    async def _perform(self, request: Request, host: str) -> Answer:
        if request.operation == "account":
            return Answer(200, _account(host))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._operations.run, request)


def _respond(status: int, body: bytes, headers: dict[str, str], activity: str) -> web.Response:
    common = {
        "x-ms-activity-id": activity,
        "x-ms-request-charge": "1",
        "x-ms-version": "2020-07-15",
        "Server": "nexpo-dev-cosmosdb",
    }
    if body:
        common["Content-Type"] = "application/json"
    return web.Response(status=status, body=body, headers={**common, **headers})


def _account(host: str) -> Object:
    # The address that the client used, so that a proxy in between stays in between.
    region: Json = {"name": "Stand-in", "databaseAccountEndpoint": f"http://{host}/"}
    return {
        "_self": "",
        "id": "stand-in",
        "_rid": "stand-in",
        "media": "//media/",
        "addresses": "//addresses/",
        "_dbs": "//dbs/",
        "writableLocations": [region],
        "readableLocations": [region],
        "enableMultipleWriteLocations": False,
        "userReplicationPolicy": {"asyncReplication": False, "minReplicaSetSize": 1},
        "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
        "systemReplicationPolicy": {"minReplicaSetSize": 1, "maxReplicasetSize": 4},
        "readPolicy": {"primaryReadCoefficient": 1, "secondaryReadCoefficient": 1},
        "queryEngineConfiguration": "{}",
    }
