"""The page behind the link in a verification e-mail.

The link only shows a button: mail scanners follow links, and a GET must not
confirm anything. The page has no script and nothing from elsewhere, and no word
that is not for the person who signed up.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qsl

from google.protobuf.message import Message as ProtobufMessage
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from nexpo.users.v1.users_pb2 import ResendVerificationRequest, VerifyEmailRequest
from nexpo_runtime.errors import Fault

from ..calls.dispatcher import Dispatcher
from ..calls.faults import presentable
from ..context import CallContext
from ..http.bodies import Body
from ..http.heads import call_context, read_query
from ..http.problems import http_status
from .verify_outcomes import (
    ASKING,
    CONFIRMED,
    INCOMPLETE,
    MAIL_ASKED,
    Offer,
    Outcome,
    outcome_of,
)

PATH = "/verify"
_VERIFY = "/nexpo.users.v1.UserService/VerifyEmail"
_RESEND = "/nexpo.users.v1.UserService/ResendVerification"
_FIELDS = ("operation", "token")
_FORM_BYTES = 8 * 1024
_FORM_FIELDS = 8

_STYLE = (
    "body{font-family:system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem;"
    "line-height:1.5;color:#1a1a1a;background:#fff}"
    "button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;color:#fff;"
    "background:#1f5fbf;cursor:pointer;min-height:2.75rem}"
    "button:focus-visible{outline:.2rem solid #e8a33d;outline-offset:.2rem}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#181818}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    # The address holds the token.
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}
_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<title>{title}</title><style>{style}</style></head>"
    "<body><main><h1>{title}</h1>{content}</main></body></html>"
)
# Where the page is, seen from itself: right behind every proxy, whatever it does to paths.
_FORM = (
    '<form method="post" action="verify">{inputs}'
    '<button type="submit" name="do" value="{does}">{label}</button></form>'
)
_LABELS = {Offer.CONFIRM: "Confirm my e-mail address", Offer.MAIL: "Send me a new e-mail"}


def verify_routes(dispatcher: Dispatcher, public_path: str) -> list[Route]:
    """GET shows the button; POST calls VerifyEmail and says what came of it.

    Args:
        dispatcher: Makes the calls.
        public_path: Path of PUBLIC_URL, "" or as "/a/b". A proxy in front may strip it
            or not, so the page is at both places.
    """

    async def ask(request: Request) -> Response:
        try:
            query = dict(read_query(request))
        except Fault:
            return _page(INCOMPLETE)
        given = {name: query.get(name, "") for name in _FIELDS}
        return _page(ASKING if all(given.values()) else INCOMPLETE, given)

    async def answer(request: Request) -> Response:
        context = call_context(request)
        body = Body(request.headers, request.receive)
        return _Answer(await _answered(dispatcher, context, body), body)

    return [
        Route(path, endpoint, methods=[verb])
        for path in dict.fromkeys((PATH, public_path + PATH))
        for verb, endpoint in (("GET", ask), ("POST", answer))
    ]


async def _answered(dispatcher: Dispatcher, context: CallContext, body: Body) -> Response:
    """What comes of a button that was pressed."""
    given: dict[str, str] = {}
    method = _VERIFY
    try:
        dispatcher.arrived(context)
        form = _form(await body.read(context, _FORM_BYTES))
        given = {name: form.get(name, "") for name in _FIELDS}
        if not all(given.values()):
            return _page(INCOMPLETE)
        message: ProtobufMessage = VerifyEmailRequest(**given)
        if form.get("do") == Offer.MAIL.value:
            method, message = _RESEND, ResendVerificationRequest(operation=given["operation"])

        async def read() -> ProtobufMessage:
            return message

        await dispatcher.call(dispatcher.contract.by_path[method], context, read)
    except ClientDisconnect:
        raise
    except Exception as error:
        fault = presentable(error, method)
        return _page(outcome_of(fault), given, fault)
    return _page(CONFIRMED if method == _VERIFY else MAIL_ASKED)


def _form(body: bytes) -> dict[str, str]:
    """A form's fields; none when it is no form."""
    try:
        return dict(parse_qsl(body.decode("ascii", "replace"), max_num_fields=_FORM_FIELDS))
    except ValueError:
        return {}


class _Answer(Response):
    """A response to a request whose body may not have been read."""

    def __init__(self, response: Response, body: Body) -> None:
        super().__init__(status_code=response.status_code)
        self._response, self._unread = response, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._unread.answer(self._response, scope, send)


def _page(
    outcome: Outcome, given: Mapping[str, str] | None = None, fault: Fault | None = None
) -> HTMLResponse:
    words = "".join(f"<p>{escape(text)}</p>" for text in outcome.words)
    title = escape(outcome.title)
    content = words + _button(outcome.offer, given or {})
    page = _PAGE.format(title=title, style=_STYLE, content=content)
    status = outcome.status or (http_status(fault) if fault else 200)
    return HTMLResponse(page, status, headers={**_HEADERS, **_retry_after(fault)})


def _button(offer: Offer, given: Mapping[str, str]) -> str:
    # Without what the link says there is nothing to press a button for.
    if offer is Offer.NOTHING or not all(given.get(name) for name in _FIELDS):
        return ""
    inputs = "".join(
        f'<input type="hidden" name="{name}" value="{escape(given[name])}">' for name in _FIELDS
    )
    return _FORM.format(inputs=inputs, does=offer.value, label=_LABELS[offer])


def _retry_after(fault: Fault | None) -> dict[str, str]:
    if fault is None or fault.retry_after is None:
        return {}
    return {"retry-after": str(math.ceil(fault.retry_after.total_seconds()))}
