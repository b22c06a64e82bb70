"""Runs one command: makes the request, calls, follows, shows, and says how it ended."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from google.longrunning import operations_pb2 as longrunning
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from rich.text import Text

from nexpo.client import NexpoError, progress_of
from nexpo.operations.v1.operations_pb2 import Progress

from . import failures
from .connection import Connection, connection
from .contract import descriptor_of, registry
from .exits import Exit
from .flags import timeout_field
from .following import BLOCKED, exit_of_operation, follow
from .gateway import Gateway, call_seconds, exit_of, opened
from .plain import clean
from .progress import Lines, Nothing, Picture, View
from .requests import Typed, build
from .screen import Screen
from .shown import opened as opened_any
from .shown import operation as shown_operation
from .shown import shown


@dataclass(frozen=True)
class Options:
    """What every command takes beside its request."""

    address: str | None = None
    api_key: str | None = None
    tls: bool | None = None
    ca: str | None = None
    timeout: float | None = None
    as_json: bool = False


@dataclass
class Command:
    """One command, as it was typed."""

    method: MethodDescriptor
    typed: Typed
    options: Options
    wait: bool = False
    follow: bool = False
    # What Ctrl-C must tell: what runs on without us, or may.
    operation: str = ""
    request_id: str = ""
    screen: Screen = field(init=False)

    def __post_init__(self) -> None:
        self.screen = Screen(self.options.as_json)

    def run(self) -> Exit:
        """Runs it.

        Raises:
            UsageError: It cannot be run as it was typed.
        """
        options = self.options
        target = connection(options.address, options.api_key, options.tls, options.ca)
        try:
            request = build(self.method, self.typed)
            self._limit(request)
            self.request_id = str(getattr(request, "request_id", ""))
            self._warn_of_clear_text(target)
            return asyncio.run(self._call(target, request))
        except NexpoError as error:
            # Where nobody can read it, the exit code still says what it was.
            with contextlib.suppress(OSError):
                failures.say(
                    failures.describe(error, target, options.timeout or call_seconds(self.method)),
                    self.screen.err,
                    options.as_json,
                )
                self._help_further(error, target)
            return exit_of(error)
        except KeyboardInterrupt:
            self._interrupted()
            return Exit.INTERRUPTED

    async def _call(self, target: Connection, request: Message) -> Exit:
        async with opened(target) as gateway:
            if isinstance(request, longrunning.WaitOperationRequest):
                return await self._follow(gateway, request.name, Nothing())
            if self.method.server_streaming:
                return await self._stream(gateway, request)
            own = call_seconds(self.method)
            seconds = min(own, self.options.timeout) if self.options.timeout else own
            if not (self.wait or self.follow):
                # A time-out longer than the contract's is the user's affair.
                seconds = self.options.timeout or own
            answer = await gateway.call(self.method, request, seconds)
            if not isinstance(answer, longrunning.Operation) or not (self.wait or self.follow):
                self.screen.result(answer)
                return Exit.OK
            view = self._view() if self.follow else Nothing()
            return await self._follow(gateway, answer.name, view)

    async def _stream(self, gateway: Gateway, request: Message) -> Exit:
        if self.method.output_type.full_name == longrunning.Operation.DESCRIPTOR.full_name:
            name = str(getattr(request, "name", ""))
            return await self._follow(gateway, name, self._view(), watching=True)
        async for answer in gateway.stream(self.method, request, self.options.timeout):
            self.screen.result(answer)
        return Exit.OK

    async def _follow(
        self, gateway: Gateway, name: str, view: View, watching: bool = False
    ) -> Exit:
        self.operation = name
        frames = watching and self.screen.as_json

        def seen(operation: longrunning.Operation) -> None:
            if frames:
                self.screen.result(operation)
            else:
                view.seen(operation)

        with view:
            last = await follow(
                gateway,
                name,
                seen=seen,
                lost=view.lost,
                seconds=self.options.timeout,
                past_blocked=watching,
            )
        if last is not None and not frames:
            self._conclude(last, view)
        self._judge(last)
        return exit_of_operation(last)

    def _conclude(self, last: longrunning.Operation, view: View) -> None:
        """Prints the operation as it is in the end; lines that were printed are not said again."""
        if self.screen.as_json:
            self.screen.result(last)
        elif not isinstance(view, Lines):
            self.screen.show(shown_operation(last))
        elif last.HasField("response"):
            self.screen.show(shown(opened_any(last.response)))

    def _judge(self, last: longrunning.Operation | None) -> None:
        """Says on standard error why the operation is no success."""
        if last is not None and last.HasField("error"):
            problem = failures.of_status(last.error)
            failures.say(problem, self.screen.err, self.screen.as_json)
            return
        if last is not None and last.done:
            return
        again = f"nexpo operations watch {self.operation}"
        state = progress_of(last).state if last is not None else Progress.STATE_UNSPECIFIED
        if state in BLOCKED:
            line = "The operation needs a human. See `nexpo tasks list`, then"
        else:
            line = f"The operation still runs after {self.options.timeout or 0:g} s. Go on with"
        self.screen.say(Text(f"{line} `{clean(again)}`."))

    def _view(self) -> View:
        if self.screen.as_json:
            return Lines(self.screen.err)
        console = self.screen.out
        return Picture(console) if console.is_terminal else Lines(console)

    def _limit(self, request: Message) -> None:
        own = timeout_field(descriptor_of(request))
        if own is not None and self.options.timeout:
            getattr(request, own.name).FromNanoseconds(int(self.options.timeout * 1e9))

    def _warn_of_clear_text(self, target: Connection) -> None:
        if target.api_key and not target.tls and not target.local:
            self.screen.say(
                Text("warning: the API key travels unencrypted; use --tls.", style="yellow")
            )

    def _help_further(self, error: NexpoError, target: Connection) -> None:
        if self.screen.as_json:
            return
        if error.reason == "UNAUTHENTICATED" and not target.api_key:
            self.screen.say(Text("No API key was sent: set NEXPO_API_KEY."))
        kind = registry.rule(self.method).WhichOneof("kind")
        if kind in ("start", "update") and exit_of(error) is Exit.UNAVAILABLE and self.request_id:
            self.screen.say(
                Text(f"To repeat it safely: --request-id {clean(self.request_id)}", style="dim")
            )

    def _interrupted(self) -> None:
        if self.operation:
            name = clean(self.operation)
            self.screen.say(Text(f"\n{name} goes on. Watch it: nexpo operations watch {name}"))
        elif registry.rule(self.method).HasField("start") and self.request_id:
            self.screen.say(
                Text(
                    "\nInterrupted before the answer came; the operation may have begun. The same "
                    f"command with --request-id {clean(self.request_id)} finds out, safely."
                )
            )
