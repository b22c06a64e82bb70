"""The operations of the contract, written as every operation of the house is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from google.protobuf.message import Message

from nexpo.contract import Activity, Handler, Method, ServiceContract, WorkflowContract
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.operation import Operation, operation

from .contract import PACKAGE, QUEUE, kind, text_of

COPY: Activity[Message, Message] = Activity(
    name=f"{PACKAGE}.Copy",
    queue=QUEUE,
    request=kind("CopyRequest"),
    response=kind("CopyResponse"),
    start_to_close=timedelta(minutes=1),
)
ECHO: WorkflowContract[Any] = WorkflowContract(
    name=f"{PACKAGE}.Echo",
    queue=QUEUE,
    request=kind("EchoRequest"),
    response=kind("EchoResponse"),
    deadline=timedelta(hours=1),
)
MOVE = Handler(f"{PACKAGE}.Move", "move", "signal", kind("MoveRequest"), kind("MoveResponse"))
HOLD: WorkflowContract[Any] = WorkflowContract(
    name=f"{PACKAGE}.Hold",
    queue=QUEUE,
    request=kind("HoldRequest"),
    response=kind("HoldResponse"),
    deadline=timedelta(hours=1),
    handlers=(MOVE,),
)


class Copies:
    """The activity behind Echo."""

    CONTRACT: ClassVar[ServiceContract] = ServiceContract(
        name=f"{PACKAGE}.BenchActivities",
        queue=QUEUE,
        methods=(Method(COPY.name, "copy", COPY.request, COPY.response, "activity"),),
    )

    async def copy(self, request: Message) -> Message:
        """Gives the text back."""
        return kind("CopyResponse")(text=text_of(request))


@operation(ECHO)
class Echo(Operation[Message, Message]):
    """One activity as the one step of a saga."""

    async def execute(self, request: Message) -> Message:
        async with self.saga() as saga:
            copied = await saga.step("copy", COPY(kind("CopyRequest")(text=text_of(request))))
        return kind("EchoResponse")(text=text_of(copied))


@operation(HOLD)
class Hold(Operation[Message, Message]):
    """Waits for ever; every move is a new message in its progress."""

    def begin(self, request: Message) -> None:
        self.moves = 0

    async def execute(self, request: Message) -> Message:
        self.waiting("0")
        await flow.until(lambda: False)
        return kind("HoldResponse")()

    async def move(self, request: Message) -> None:
        """One more move."""
        self.moves = self.moves + 1
        self.waiting(str(self.moves))
