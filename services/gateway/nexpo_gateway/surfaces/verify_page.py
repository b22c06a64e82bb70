"""The page behind the link in a verification e-mail.

The link only shows a button: mail scanners follow links, and a GET must not
confirm anything. The page has no script and nothing from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import VerifyEmailRequest
from nexpo_runtime.errors import Fault

from ..calls import CallContext
from ..dispatch import Dispatcher
from .bodies import Body
from .faults import presentable
from .problems import http_status
from .rest import call_context, read_query

PATH = "/verify"
_RPC = "/nexpo.users.v1.UserService/VerifyEmail"
_FIELDS = ("operation", "token")
_FORM_BYTES = 8 * 1024
_FORM_FIELDS = 8

_STYLE = (
    "body{font-family:system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem;"
    "line-height:1.5;color:#1a1a1a;background:#fff}"
    "button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;color:#fff;"
    "background:#1f5fbf;cursor:pointer}"
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
}
_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<title>{title}</title><style>{style}</style></head>"
    "<body><main><h1>{title}</h1>{content}</main></body></html>"
)
_FORM = (
    "<p>Press the button to confirm that this e-mail address is yours.</p>"
    '<form method="post" action="{path}">{inputs}<button>Confirm</button></form>'
)


def verify_routes(dispatcher: Dispatcher) -> list[Route]:
    """GET shows the button; POST calls VerifyEmail and says what came of it."""

    async def ask(request: Request) -> Response:
        try:
            given = dict(read_query(request))
        except Fault as fault:
            return _refusal(fault)
        values = {name: given.get(name, "") for name in _FIELDS}
        if not all(values.values()):
            return _page("This link is not complete", "<p>Open it as the e-mail has it.</p>", 400)
        inputs = "".join(
            f'<input type="hidden" name="{name}" value="{escape(value)}">'
            for name, value in values.items()
        )
        return _page("Confirm your e-mail address", _FORM.format(path=PATH, inputs=inputs))

    async def confirm(request: Request) -> Response:
        context = call_context(request)
        body = Body(request.headers, request.receive)
        try:
            dispatcher.arrived(context)
            rpc = dispatcher.contract.by_path[_RPC]
            await dispatcher.call(rpc, context, lambda: _message(body, context))
        except ClientDisconnect:
            raise
        except Exception as error:
            return _Answer(_refusal(presentable(error, _RPC)), body)
        return _page("Your e-mail address is confirmed", "<p>You can close this page.</p>")

    return [Route(PATH, ask, methods=["GET"]), Route(PATH, confirm, methods=["POST"])]


async def _message(body: Body, context: CallContext) -> VerifyEmailRequest:
    content = await body.read(context, _FORM_BYTES)
    try:
        given = dict(parse_qsl(content.decode("ascii", "replace"), max_num_fields=_FORM_FIELDS))
    except ValueError:
        raise Fault(Reason.REASON_INVALID_ARGUMENT, "The form cannot be read.") from None
    return VerifyEmailRequest(**{name: given.get(name, "") for name in _FIELDS})


class _Answer(Response):
    """A response to a request whose body may not have been read."""

    def __init__(self, response: Response, body: Body) -> None:
        super().__init__(status_code=response.status_code)
        self._response, self._unread = response, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._unread.answer(self._response, scope, send)


def _refusal(fault: Fault) -> Response:
    content = f"<p>{escape(fault.message)}</p><p>{escape(fault.entry.hint)}</p>"
    return _page("That did not work", content, http_status(fault))


def _page(title: str, content: str, status: int = 200) -> HTMLResponse:
    page = _PAGE.format(title=escape(title), style=_STYLE, content=content)
    return HTMLResponse(page, status, headers=_HEADERS)
