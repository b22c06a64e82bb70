"""The vocabulary of the generated stubs: activities, calls and workflow contracts.

Nothing here talks to Temporal: a stub only describes a call, and the engine of
the runtime makes it. So a workflow that imports stubs stays light, and the same
workflow runs on every engine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from nexpo.options.v1.options_pb2 import Retry as Retry

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)
RequestT_contra = TypeVar("RequestT_contra", bound=Message, contravariant=True)
ResponseT_co = TypeVar("ResponseT_co", bound=Message, covariant=True)
WorkflowT_co = TypeVar("WorkflowT_co", covariant=True)
CallT_contra = TypeVar("CallT_contra", contravariant=True)
"""What the gateway tells a native method of its caller."""


@dataclass(frozen=True)
class Activity(Generic[RequestT, ResponseT]):
    """One activity of the contract.

    Attributes:
        name: Full name of the RPC, also the Temporal activity type.
        queue: Task queue whose worker implements it.
        request: Type of its request.
        response: Type of its response.
        start_to_close: How long one attempt may take.
        heartbeat: Within how long a running attempt must give a sign of life.
        retry: How failures are retried.
    """

    name: str
    queue: str
    request: type[RequestT]
    response: type[ResponseT]
    start_to_close: timedelta
    heartbeat: timedelta | None = None
    retry: Retry.ValueType = Retry.RETRY_STANDARD

    def __call__(self, request: RequestT) -> Call[ResponseT]:
        """Describes one call; awaiting it is the engine's affair."""
        return Call(self, request)


@dataclass(frozen=True)
class Call(Generic[ResponseT]):
    """One call of an activity, not yet made.

    Attributes:
        activity: What to call.
        request: With what.
        queue: Another queue than the activity's own, or None.
        retry: Another retry than the activity's own, or None.
        within: All attempts together may take no longer, or None.
    """

    activity: Activity[Any, ResponseT]
    request: Message
    queue: str | None = None
    retry: Retry.ValueType | None = None
    within: timedelta | None = None

    def on(self, queue: str) -> Call[ResponseT]:
        """The same call on another queue."""
        return replace(self, queue=queue)

    def retried(self, retry: Retry.ValueType) -> Call[ResponseT]:
        """The same call with another retry behaviour."""
        return replace(self, retry=retry)

    def limited(self, within: timedelta) -> Call[ResponseT]:
        """The same call, all its attempts bounded by `within`."""
        return replace(self, within=within)


@dataclass(frozen=True)
class Handler:
    """An update, signal or query that a workflow must handle.

    Attributes:
        name: Full name of the RPC, also the name on Temporal.
        method: Name of the method on the workflow class, in snake_case.
        kind: "update", "signal" or "query".
        request: Type of its request.
        response: Type of its response.
    """

    name: str
    method: str
    kind: str
    request: type[Message]
    response: type[Message]


class Executes(Protocol[RequestT_contra, ResponseT_co]):
    """A workflow that takes one message and ends with another.

    Every workflow's typed shape is one, so a call of a child workflow is typed by
    its contract alone: `child(contract: WorkflowContract[Executes[A, B]], request:
    A) -> B`.
    """

    async def execute(self, request: RequestT_contra, /) -> ResponseT_co:
        """Runs the operation to its end."""


@dataclass(frozen=True)
class WorkflowContract(Generic[WorkflowT_co]):
    """What the contract says of one operation; WorkflowT_co is its typed shape.

    Attributes:
        name: Full name of the RPC, also the Temporal workflow type.
        queue: Task queue of the workflow.
        request: Type of its request.
        response: Type of its result.
        deadline: How long until it undoes itself; None when it is endless.
        handlers: What it must handle besides.
        needs_temporal: Whether only Temporal can run it.
        id: Template of the last part of its workflow id, over fields of the request.
    """

    name: str
    queue: str
    request: type[Message]
    response: type[Message]
    deadline: timedelta | None
    handlers: tuple[Handler, ...] = ()
    needs_temporal: bool = False
    id: str = ""


@dataclass(frozen=True)
class Method:
    """One method that a service implements: an activity, a read, or a native one.

    Attributes:
        name: Full name of the RPC.
        method: Name of the method on the implementing class, in snake_case.
        request: Type of its request.
        response: Type of its response.
        kind: "activity", "read" or "native".
        streams: Whether it answers with a stream; only a native one may.
    """

    name: str
    method: str
    request: type[Message]
    response: type[Message]
    kind: str
    streams: bool = False


@dataclass(frozen=True)
class ServiceContract:
    """What a worker, or the gateway, must implement of one service.

    Attributes:
        name: Full name of the service.
        queue: Task queue, or for reads the worker's name.
        methods: Its methods.
    """

    name: str
    queue: str
    methods: tuple[Method, ...]


@dataclass(frozen=True)
class Served:
    """A part of the contract that one worker serves.

    Attributes:
        name: Full name of the service; of a workflow, the one of its start RPC.
        place: File and line in the contract's source.
        rpcs: Full names of its RPCs.
    """

    name: str
    place: str
    rpcs: tuple[str, ...]


@dataclass(frozen=True)
class Queue:
    """A task queue, and what the worker that polls it must serve.

    Attributes:
        name: Its name, also the name of the worker.
        services: Its activities and its reads.
        workflows: Its workflows.
        natives: What the gateway's edge serves itself; of no concern to who polls the queue.
    """

    name: str
    services: tuple[Served, ...] = ()
    workflows: tuple[Served, ...] = ()
    natives: tuple[Served, ...] = ()

    @property
    def rpcs(self) -> list[str]:
        """Full names of everything that is served on the queue, sorted."""
        return sorted(rpc for part in (*self.services, *self.workflows) for rpc in part.rpcs)
