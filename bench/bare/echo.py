"""One activity, then the end, on the bare SDK: `python -m bench.bare.echo`."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import uvloop
from google.protobuf.message import Message
from temporalio import activity, workflow

from bench.bare.polling import poll
from bench.echo.contract import kind, text_of

BARE_QUEUE = "bare-echo"
BARE_TYPE = "BareEcho"
_REQUEST: Any = kind("CopyRequest")
_RESPONSE: Any = kind("CopyResponse")


async def copy(request: Message) -> Message:
    """Gives the text back."""
    return _RESPONSE(text=text_of(request))  # type: ignore[no-any-return]  # a type made at run time


class BareEcho:
    """Calls `copy`."""

    async def run(self, request: Message) -> Message:
        """Runs to the end."""
        copied = await workflow.execute_activity(
            copy,
            _REQUEST(text=text_of(request)),
            start_to_close_timeout=timedelta(minutes=1),
        )
        return kind("EchoResponse")(text=text_of(copied))


# The types of echo.proto exist at run time only, so no annotation could name them.
copy.__annotations__ = {"request": _REQUEST, "return": _RESPONSE}
copy_activity = activity.defn(copy)
BareEcho.run.__annotations__ = {"request": kind("EchoRequest"), "return": kind("EchoResponse")}
BareEcho.run = workflow.run(BareEcho.run)  # type: ignore[method-assign]  # as the decorator does
workflow.defn(name=BARE_TYPE)(BareEcho)


if __name__ == "__main__":
    # The module's own name, not __main__: the sandbox imports the workflow by it.
    from bench.bare.echo import BareEcho as Imported
    from bench.bare.echo import copy_activity as imported

    uvloop.run(poll(BARE_QUEUE, [Imported], [imported]))
    os._exit(0)
