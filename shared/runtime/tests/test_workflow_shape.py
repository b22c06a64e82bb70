"""What a workflow class gets wrong is refused when the class is made, by line and mend."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from google.protobuf.empty_pb2 import Empty

from nexpo.contract import Handler, WorkflowContract
from nexpo.health.v1.health_pb2 import CheckHealthRequest, ProbeRequest, ProbeResponse
from nexpo_runtime.errors import ContractError
from nexpo_runtime.workflow.operation import Operation, operation

CONTRACT: WorkflowContract[Any] = WorkflowContract(
    name="sample.v1.PlaceOrder",
    queue="sample",
    request=CheckHealthRequest,
    response=ProbeResponse,
    deadline=timedelta(minutes=1),
    handlers=(
        Handler("sample.v1.ApproveOrder", "approve_order", "update", ProbeRequest, ProbeResponse),
        Handler("sample.v1.ReportShipment", "report_shipment", "signal", ProbeRequest, Empty),
        Handler("sample.v1.QuoteOrder", "quote_order", "query", ProbeRequest, ProbeResponse),
    ),
)


class Right(Operation[CheckHealthRequest, ProbeResponse]):
    """Fits; what the tests add to it does not."""

    async def execute(self, request: CheckHealthRequest) -> ProbeResponse:
        return ProbeResponse()

    async def approve_order(self, request: ProbeRequest) -> ProbeResponse:
        return ProbeResponse()

    def validate_approve_order(self, request: ProbeRequest) -> None:
        """Lets pass."""

    async def report_shipment(self, request: ProbeRequest) -> None:
        """Nothing."""

    def validate_report_shipment(self, request: ProbeRequest) -> None:
        """Lets pass."""

    def quote_order(self, request: ProbeRequest) -> ProbeResponse:
        return ProbeResponse()


def method(name: str, source: str) -> Any:
    """A method that is written down as an author would."""
    known: dict[str, Any] = {
        "CheckHealthRequest": CheckHealthRequest,
        "ProbeRequest": ProbeRequest,
        "ProbeResponse": ProbeResponse,
    }
    exec(compile(source + " ...", "place_order.py", "exec"), known)
    return known[name]


# What is wrong: the method's name, its head, and what is said of it.
MISTAKES: dict[str, tuple[str, str, str]] = {
    "an execute that is not async": (
        "execute",
        "def execute(self, request: CheckHealthRequest) -> ProbeResponse:",
        "execute is awaited; write it as 'async def'",
    ),
    "an execute of another request": (
        "execute",
        "async def execute(self, request: ProbeRequest) -> ProbeResponse:",
        "execute gets a nexpo.health.v1.CheckHealthRequest, not a nexpo.health.v1.ProbeRequest",
    ),
    "an execute with another result": (
        "execute",
        "async def execute(self, request: CheckHealthRequest) -> CheckHealthRequest:",
        "execute must return a nexpo.health.v1.ProbeResponse, not a nexpo.health.v1.CheckHealth",
    ),
    "an execute without a request": (
        "execute",
        "async def execute(self) -> ProbeResponse:",
        "execute must take self and the request, nothing else; correct it",
    ),
    "a begin that nobody awaits": (
        "begin",
        "async def begin(self, request: CheckHealthRequest) -> None:",
        "begin is never awaited, so it would do nothing; write it as 'def'",
    ),
    "a begin that nobody iterates over": (
        "begin",
        "async def begin(self, request: CheckHealthRequest) -> None: yield;",
        "begin is never awaited, so it would do nothing; write it as 'def'",
    ),
    "an update that is not async": (
        "approve_order",
        "def approve_order(self, request: ProbeRequest) -> ProbeResponse:",
        "approve_order is awaited; write it as 'async def'",
    ),
    "a signal of another request": (
        "report_shipment",
        "async def report_shipment(self, request: CheckHealthRequest) -> None:",
        "report_shipment gets a nexpo.health.v1.ProbeRequest, not a nexpo.health.v1.CheckHealth",
    ),
    "a query that nobody awaits": (
        "quote_order",
        "async def quote_order(self, request: ProbeRequest) -> ProbeResponse:",
        "quote_order is never awaited",
    ),
    "a validator that nobody awaits": (
        "validate_approve_order",
        "async def validate_approve_order(self, request: ProbeRequest) -> None:",
        "validate_approve_order is never awaited, so it would do nothing",
    ),
    "a validator that is misspelled": (
        "validate_aprove_order",
        "def validate_aprove_order(self, request: ProbeRequest) -> None:",
        "validate_aprove_order is never called: there is no update or signal aprove_order; rename"
        " it to validate_approve_order",
    ),
    "a validator of a query": (
        "validate_quote_order",
        "def validate_quote_order(self, request: ProbeRequest) -> None:",
        "validate_quote_order is never called: a query cannot be refused; remove it",
    ),
    "a method that Operation has": (
        "waiting",
        "def waiting(self, order: str) -> None:",
        "waiting would replace Operation.waiting; rename it",
    ),
    "a state that is prepared where nobody calls it": (
        "__init__",
        "def __init__(self) -> None:",
        "__init__ is the runtime's and never called; prepare the state in begin",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_class_is_refused_with(what: str) -> None:
    name, head, advice = MISTAKES[what]
    wrong = type("PlaceOrder", (Right,), {name: method(name, head)})

    with pytest.raises(ContractError) as refused:
        operation(CONTRACT)(wrong)

    first, *problems = str(refused.value).splitlines()
    assert first == "PlaceOrder is not sample.v1.PlaceOrder:"
    assert problems[0].startswith(f"place_order.py:1: {advice}"), problems
    assert len(problems) == 1


def test_a_handler_that_is_misspelled_is_named_by_what_is_there() -> None:
    class PlaceOrder(Operation[CheckHealthRequest, ProbeResponse]):
        execute = Right.execute
        aprove_order = Right.approve_order
        quote_order = Right.quote_order

    with pytest.raises(ContractError) as refused:
        operation(CONTRACT)(PlaceOrder)

    assert str(refused.value).splitlines()[1:] == [
        "approve_order is missing; did you mean it by aprove_order?",
        "report_shipment is missing: the signal sample.v1.ReportShipment; write it",
    ]


def test_an_operation_without_its_process_is_refused() -> None:
    class PlaceOrder(Right):
        execute = Operation.execute

    with pytest.raises(ContractError, match="async def execute\\(self, request: CheckHealthReq"):
        operation(CONTRACT)(PlaceOrder)


def test_an_rpc_named_like_a_part_of_every_operation_is_refused() -> None:
    for rpc in ("running", "begin", "name", "tracker", "retry_operation_task"):
        handler = Handler(f"sample.v1.{rpc}", rpc, "update", ProbeRequest, ProbeResponse)
        contract: WorkflowContract[Any] = WorkflowContract(
            "sample.v1.X", "sample", CheckHealthRequest, ProbeResponse, None, (handler,)
        )
        with pytest.raises(ContractError, match=f"{rpc} is Operation's own"):
            operation(contract)(type("X", (Right,), {}))


def test_a_place_is_the_file_and_line_of_the_method() -> None:
    class PlaceOrder(Right):
        VALIDATED: ClassVar[int] = 1

        def validate_everything(self, request: ProbeRequest) -> None:
            """Never called."""

    with pytest.raises(ContractError) as refused:
        operation(CONTRACT)(PlaceOrder)

    line = (
        Path(__file__)
        .read_text()
        .splitlines()
        .index("        def validate_everything(self, request: ProbeRequest) -> None:")
    )
    assert re.search(rf"{re.escape(__file__)}:{line + 1}: validate_everything", str(refused.value))


def test_the_class_that_fits_passes_and_may_be_derived_from() -> None:
    assert operation(CONTRACT)(Right) is Right
    assert operation(CONTRACT)(type("Derived", (Right,), {"__module__": __name__}))
