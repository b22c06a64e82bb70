"""Run as: NEXPO_SUPABASE_KEYS=KEY,KEY python -m nexpo_standins.supabase --port N --postgrest U."""

import argparse
import hmac
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

# RFC 9110, 7.6.1: these belong to one connection and are not forwarded.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "host"}
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def application(postgrest: str, keys: Sequence[str]) -> Starlette:
    """Forwards /rest/v1/* to PostgREST for callers that bring one of the keys as `apikey`."""
    http = httpx.AsyncClient(base_url=postgrest, timeout=60, trust_env=False)

    async def rest(request: Request) -> Response:
        key = request.headers.get("apikey") or request.query_params.get("apikey") or ""
        if not any(hmac.compare_digest(key.encode(), known.encode()) for known in keys):
            text = "Invalid API key" if key else "No API key found in request"
            return JSONResponse({"message": text}, 401)
        headers = [(k, v) for k, v in request.headers.items() if k not in _HOP_BY_HOP]
        if "authorization" not in request.headers:
            headers.append(("authorization", f"Bearer {key}"))
        path = request.scope["raw_path"].decode().removeprefix("/rest/v1") or "/"
        query = f"?{request.url.query}" if request.url.query else ""
        body = await request.body()
        try:
            answer = await http.send(
                http.build_request(request.method, path + query, headers=headers, content=body),
                stream=True,
            )
        except httpx.TransportError:
            return JSONResponse({"message": "An invalid response was received"}, 502)
        forwarded = {k: v for k, v in answer.headers.items() if k not in _HOP_BY_HOP}
        return StreamingResponse(
            answer.aiter_raw(),
            answer.status_code,
            forwarded,
            background=BackgroundTask(answer.aclose),
        )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with http:
            yield

    return Starlette(
        routes=[
            Route("/rest/v1", rest, methods=_METHODS),
            Route("/rest/v1/{path:path}", rest, methods=_METHODS),
        ],
        lifespan=lifespan,
    )


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m nexpo_standins.supabase")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--postgrest", required=True, help="root URL of PostgREST")
    arguments = parser.parse_args()
    keys = os.environ["NEXPO_SUPABASE_KEYS"].split(",")
    served = application(arguments.postgrest, keys)
    uvicorn.run(served, host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
