"""The workflows behind SendParcel, ReturnParcel and KeepParcel."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from nexpo import registry
from nexpo.contract import Activity, Handler, Method, ServiceContract, WorkflowContract
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Step
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.worker import activity
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.operation import Operation, operation

from .contract import PACKAGE, message


def _handler(kind: str, rpc: str) -> Handler:
    return Handler(
        f"{PACKAGE}.{rpc}",
        method=f"{rpc.removesuffix('Parcel').lower()}_parcel",
        kind=kind,
        request=registry.message_class(f"{PACKAGE}.{rpc}Request"),
        response=registry.message_class(f"{PACKAGE}.{rpc}Response"),
    )


def _contract(rpc: str, *handlers: Handler) -> WorkflowContract[Any]:
    return WorkflowContract(
        name=f"{PACKAGE}.{rpc}",
        queue="nexpo-gateway",
        request=registry.message_class(f"{PACKAGE}.SendParcelRequest"),
        response=registry.message_class(f"{PACKAGE}.SendParcelResponse"),
        deadline=timedelta(minutes=10),
        handlers=handlers,
    )


CONTRACT = _contract(
    "SendParcel",
    _handler("update", "SignParcel"),
    _handler("update", "WeighParcel"),
    _handler("signal", "NudgeParcel"),
    _handler("query", "AskParcel"),
)


PACK: Activity[Any, Any] = Activity(
    name=f"{PACKAGE}.Pack",
    queue="nexpo-gateway",
    request=registry.message_class(f"{PACKAGE}.PackRequest"),
    response=registry.message_class(f"{PACKAGE}.PackResponse"),
    start_to_close=timedelta(seconds=30),
)


class Packing:
    """The activity behind the workflow's only step."""

    CONTRACT = ServiceContract(
        name=f"{PACKAGE}.PackingActivities",
        queue="nexpo-gateway",
        methods=(Method(PACK.name, "pack", PACK.request, PACK.response, "activity"),),
    )

    def __init__(self) -> None:
        self.may_finish = asyncio.Event()

    async def pack(self, request: Any) -> Any:
        """Packs; "stubborn" fails until the test says otherwise, "slow" waits as long."""
        if request.plan == "stubborn" and not self.may_finish.is_set():
            raise Fault(Reason.REASON_STORE_UNAVAILABLE, "The depot is closed.")
        if request.plan == "slow":
            activity.heartbeat(Step(percent=40))
            await self.may_finish.wait()
        return message("PackResponse")


class _Parcel(Operation[Any, Any]):
    """Does what the request's `plan` says."""

    def begin(self, request: Any) -> None:
        self.signed_by = ""
        self.nudges = 0
        self.weighed = 0

    async def execute(self, request: Any) -> Any:
        async with self.saga() as saga:
            pack = PACK(message("PackRequest", plan=request.plan))
            unpack = PACK(message("PackRequest", plan="stubborn"))
            undo = unpack if request.plan.startswith("blocked") else None
            await saga.step("pack", do=pack, undo=undo, target="depot")
            return await self._deliver(request)

    async def _deliver(self, request: Any) -> Any:
        if request.plan in ("fail", "blocked"):
            raise Fault(
                Reason.REASON_EMAIL_TAKEN,
                "Somebody has it.",
                fields=[FieldViolation("email", "is taken")],
                retry_after=timedelta(seconds=7),
            )
        if request.plan == "crash":
            raise KeyError("internal-secret")
        if request.plan == "pivot":
            self.pivot()
        if request.plan in ("wait", "pivot", "blocked once cancelled"):
            self.waiting("Waiting for the signature.")
            await flow.until(lambda: bool(self.signed_by))
            self.running()
        return message(
            "SendParcelResponse",
            signed_by=self.signed_by,
            password=request.password_hash,
            email=request.email,
            nudges=self.nudges,
        )


@operation(_contract("ReturnParcel"))
class ReturnParcel(_Parcel):
    """Nothing reaches it."""


@operation(_contract("KeepParcel"))
class KeepParcel(_Parcel):
    """One a depot."""


@operation(CONTRACT)
class SendParcel(_Parcel):
    """Can be signed for, weighed, nudged and asked about."""

    async def sign_parcel(self, request: Any) -> Any:
        self.signed_by = request.token_digest
        return message("SignParcelResponse", token=request.token_digest)

    def validate_sign_parcel(self, request: Any) -> None:
        if not request.token_digest:
            raise Fault(Reason.REASON_TOKEN_WRONG, "Nothing was signed.")

    async def weigh_parcel(self, request: Any) -> Any:
        self.weighed = times = self.weighed + 1
        if request.how == "hold":
            await flow.until(lambda: self.nudges > 0)
        if request.how == "fail":
            raise Fault(
                Reason.REASON_TOKEN_WRONG,
                "The scales are broken.",
                fields=[FieldViolation("how", "breaks them")],
                metadata={"times": str(times)},
            )
        return message("WeighParcelResponse", times=times)

    def validate_weigh_parcel(self, request: Any) -> None:
        if request.how == "refuse" and not self.nudges:
            raise Fault(Reason.REASON_VERIFICATION_NOT_READY, "The scales are not ready.")

    async def nudge_parcel(self, request: Any) -> None:
        self.nudges = self.nudges + 1
        if request.note == "hold":
            await flow.until(lambda: bool(self.signed_by))
        if request.note == "fail":
            raise Fault(Reason.REASON_TOKEN_WRONG, "Nobody hears this.")

    def validate_nudge_parcel(self, request: Any) -> None:
        if request.note == "refuse":
            raise Fault(Reason.REASON_TOKEN_WRONG, "It cannot be nudged.")

    def ask_parcel(self, request: Any) -> Any:
        return message("AskParcelResponse", nudges=self.nudges, weighed=self.weighed)
