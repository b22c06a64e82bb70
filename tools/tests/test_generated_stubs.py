"""The stubs of an RPC that was never seen before, used as its author would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nexpo.operations.v1.operations_service import OperationServiceNatives
from nexpo_tools.generate import ROOT

PRELUDE = """
from __future__ import annotations
from nexpo.contract import Call, Retry, WorkflowContract
from nexpo.orders.v1 import orders_pb2 as pb
from nexpo.orders.v1.orders_temporal import (
    PlaceOrderContract, PlaceOrderWorkflow, WatchStockContract, warehouse_activities,
)
from nexpo.orders.v1.orders_service import OrderServiceReads, WarehouseActivitiesBase
from google.protobuf.empty_pb2 import Empty
"""

# The decorator has the shape of the runtime's own.
WORKFLOW = """
from collections.abc import Callable
from typing import TypeVar
W = TypeVar("W")
def operation(contract: WorkflowContract[W]) -> Callable[[type[W]], type[W]]: raise SystemExit

@operation(PlaceOrderContract)
class PlaceOrder:
    async def execute(self, request: pb.PlaceOrderRequest) -> pb.PlaceOrderResponse:
        return pb.PlaceOrderResponse()
    async def approve_order(self, request: pb.ApproveOrderRequest) -> pb.ApproveOrderResponse:
        return pb.ApproveOrderResponse()
    async def report_shipment(self, request: pb.ReportShipmentRequest) -> None: ...
    def quote_order(self, request: pb.QuoteOrderRequest) -> pb.QuoteOrderResponse:
        return pb.QuoteOrderResponse()
"""


def run(generated: Path, code: str) -> str:
    """What a program prints that sees the generated packages first."""
    path = str(generated / "shared/contracts")
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def types_of(generated: Path, tmp_path: Path, code: str) -> str:
    """What mypy --strict says of a program over the generated packages."""
    program = tmp_path / "program.py"
    program.write_text(PRELUDE + code, encoding="utf-8")
    contracts = generated / "shared/contracts"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary"),
            *("--explicit-package-bases", "--namespace-packages"),
            "--config-file=",
            *("--cache-dir", str(generated / "mypy-cache"), str(program)),
        ],
        env={
            **os.environ,
            "MYPYPATH": f"{contracts / 'typings'}:{contracts}:{ROOT / 'shared/contracts'}",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_an_activity_stub_knows_queue_time_outs_and_retry(generated: Path) -> None:
    printed = run(
        generated,
        """
call = warehouse_activities.reserve_goods(pb.ReserveGoodsRequest(key="k"))
a = call.activity
print(a.name, a.queue, a.start_to_close, a.heartbeat, Retry.Name(a.retry), call.request.key)
release = warehouse_activities.release_goods
print(Retry.Name(release.retry), release.heartbeat)
""",
    )

    assert printed.splitlines() == [
        "nexpo.orders.v1.ReserveGoods nexpo-warehouse 0:00:20 0:00:04 RETRY_STANDARD k",
        "RETRY_FOREVER None",
    ]


def test_a_workflow_contract_knows_deadline_result_and_handlers(generated: Path) -> None:
    printed = run(
        generated,
        """
c = PlaceOrderContract
print(c.name, c.queue, c.deadline, c.request.__name__, c.response.__name__, c.needs_temporal)
print(*(f"{h.kind}:{h.method}:{h.name}" for h in c.handlers))
w = WatchStockContract
print(w.deadline, w.needs_temporal, w.handlers, w.id)
""",
    )

    assert printed.splitlines() == [
        "nexpo.orders.v1.PlaceOrder nexpo-orders 0:01:30.500000"
        " PlaceOrderRequest PlaceOrderResponse False",
        "update:approve_order:nexpo.orders.v1.ApproveOrder"
        " signal:report_shipment:nexpo.orders.v1.ReportShipment"
        " query:quote_order:nexpo.orders.v1.QuoteOrder",
        "None True () {request_id}",
    ]


def test_updates_of_every_operation_stand_apart_from_each_workflow(generated: Path) -> None:
    printed = run(
        generated,
        """
from nexpo.operations.v1.operations_temporal import COMMON_HANDLERS
print(*(h.method for h in COMMON_HANDLERS))
""",
    )

    assert printed == "retry_operation_task mark_operation_task_done"


def test_stubs_for_workflows_import_nothing_of_temporal_or_grpc(generated: Path) -> None:
    for path in (generated / "shared/contracts/nexpo").rglob("*_temporal.py"):
        text = path.read_text(encoding="utf-8")
        assert "temporalio" not in text, path
        assert "grpc" not in text, path
    printed = run(generated, "import sys; print('temporalio' in sys.modules)")

    assert printed == "False"


def test_a_worker_that_lacks_a_method_does_not_start(generated: Path) -> None:
    printed = run(
        generated,
        """
class Warehouse(WarehouseActivitiesBase):
    async def reserve_goods(self, request):
        return pb.ReserveGoodsResponse()
try:
    Warehouse()
except TypeError as error:
    print(error)
print([(m.method, m.kind) for m in WarehouseActivitiesBase.CONTRACT.methods])
print(OrderServiceReads.CONTRACT.name, OrderServiceReads.CONTRACT.queue)
print([(m.method, m.kind) for m in OrderServiceReads.CONTRACT.methods])
""",
    )

    lines = printed.splitlines()
    assert "release_goods" in lines[0]
    assert lines[1] == "[('reserve_goods', 'activity'), ('release_goods', 'activity')]"
    assert lines[2] == "nexpo.orders.v1.OrderService nexpo-orders"
    assert lines[3] == "[('get_order', 'read')]"


def test_the_registry_finds_the_new_rpc_with_its_options(generated: Path) -> None:
    printed = run(
        generated,
        """
from nexpo import registry
m = registry.method("nexpo.orders.v1.PlaceOrder")
print(registry.rule(m).WhichOneof("kind"), registry.permission(m), registry.result_type(m).name)
print([(h.WhichOneof("pattern"), h.post, h.body) for h in registry.http_rules(m)])
print(registry.grpc_path(m), registry.is_public(m.containing_service))
fields = m.input_type.fields_by_name
print(registry.sensitive(fields["address"]), registry.search_attribute(fields["payment"]))
print(registry.message_class("nexpo.orders.v1.Parcel")(size="L"))
""",
    )

    assert printed.splitlines() == [
        "start orders.place PlaceOrderResponse",
        "[('post', '/v1/customers/{customer_id}/orders', '*')]",
        "/nexpo.orders.v1.OrderService/PlaceOrder True",
        "1 OrderPayment",
        'size: "L"',
    ]


def test_the_registry_alone_makes_every_option_and_error_detail_readable(generated: Path) -> None:
    printed = run(
        generated,
        """
from google.protobuf import descriptor_pool
from nexpo import registry
pool = descriptor_pool.Default()
for name in ("google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.RetryInfo",
             "nexpo.operations.v1.Progress", "nexpo.errors.v1.Entry", "buf.validate.FieldRules"):
    print(pool.FindMessageTypeByName(name).name, end=" ")
""",
    )

    assert printed.split() == [
        "ErrorInfo",
        "BadRequest",
        "RetryInfo",
        "Progress",
        "Entry",
        "FieldRules",
    ]


def test_a_whole_workflow_fits_its_contract(generated: Path, tmp_path: Path) -> None:
    assert types_of(generated, tmp_path, WORKFLOW) == ""


@pytest.mark.parametrize(
    ("correct", "wrong"),
    [
        ("async def approve_order", "async def approve"),
        ("async def report_shipment", "async def report"),
        ("def quote_order", "def quote"),
        ("request: pb.ApproveOrderRequest", "request: pb.QuoteOrderRequest"),
        ("-> pb.PlaceOrderResponse:", "-> pb.QuoteOrderResponse:"),
        ("def quote_order", "async def quote_order"),
    ],
)
def test_a_workflow_that_breaks_its_contract_is_a_type_error(
    correct: str, wrong: str, generated: Path, tmp_path: Path
) -> None:
    assert correct in WORKFLOW
    code = WORKFLOW.replace(correct, wrong).replace(
        "return pb.PlaceOrderResponse()", "raise SystemExit"
    )

    assert 'incompatible type "type[PlaceOrder]"' in types_of(generated, tmp_path, code)


def test_stubs_and_others_messages_are_typed(generated: Path, tmp_path: Path) -> None:
    said = types_of(
        generated,
        tmp_path,
        """
from google.longrunning.operations_pb2 import Operation
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from nexpo.orders.v1.orders_client import OrderServiceClient, PlaceOrderOperation

reveal_type(warehouse_activities.reserve_goods(pb.ReserveGoodsRequest()))
reveal_type(Operation().error)
reveal_type(ErrorInfo().reason)
async def use(client: OrderServiceClient, order: PlaceOrderOperation) -> None:
    reveal_type(await client.place_order(pb.PlaceOrderRequest()))
    reveal_type(await order.result())
    reveal_type(await order.quote_order())
    async for progress in order.watch():
        reveal_type(progress.percent)
""",
    )

    revealed = [line.partition('Revealed type is "')[2][:-1] for line in said.splitlines()]
    assert revealed == [
        "nexpo.contract.Call[nexpo.orders.v1.orders_pb2.ReserveGoodsResponse]",
        "google.rpc.status_pb2.Status",
        "str",
        "nexpo.orders.v1.orders_client.PlaceOrderOperation",
        "nexpo.orders.v1.orders_pb2.PlaceOrderResponse",
        "nexpo.orders.v1.orders_pb2.QuoteOrderResponse",
        "int",
    ]


def test_a_call_with_another_activitys_request_is_a_type_error(
    generated: Path, tmp_path: Path
) -> None:
    said = types_of(
        generated, tmp_path, "warehouse_activities.reserve_goods(pb.ReleaseGoodsRequest())\n"
    )

    assert 'has incompatible type "ReleaseGoodsRequest"; expected "ReserveGoodsRequest"' in said


def test_a_child_workflow_is_typed_by_its_contract_alone(generated: Path, tmp_path: Path) -> None:
    child = """
from typing import TypeVar
from google.protobuf.message import Message
from nexpo.contract import Executes
A = TypeVar("A", bound=Message)
B = TypeVar("B", bound=Message)
def child(contract: WorkflowContract[Executes[A, B]], request: A) -> B: raise SystemExit
"""
    said = types_of(
        generated,
        tmp_path,
        child
        + "reveal_type(child(PlaceOrderContract, pb.PlaceOrderRequest()))\n"
        + "child(PlaceOrderContract, pb.GetOrderRequest())\n",
    )

    right, wrong = said.splitlines()
    assert 'Revealed type is "nexpo.orders.v1.orders_pb2.PlaceOrderResponse"' in right
    assert "error:" in wrong


def test_generated_modules_are_clean_under_strict(generated: Path, tmp_path: Path) -> None:
    modules = "\n".join(
        f"import nexpo.{name}"
        for name in (
            "client",
            "contract",
            "modules",
            "registry",
            "orders.v1.orders_client",
            "orders.v1.orders_service",
            "orders.v1.orders_temporal",
        )
    )

    assert types_of(generated, tmp_path, modules) == ""


def test_native_methods_have_a_base_that_says_which_of_them_stream() -> None:
    contract = OperationServiceNatives.CONTRACT

    assert (contract.queue, {method.kind for method in contract.methods}) == (
        "nexpo-gateway",
        {"native"},
    )
    assert [m.method for m in contract.methods if m.streams] == ["watch_operation"]
    assert {m.method for m in contract.methods} == OperationServiceNatives.__abstractmethods__


def test_the_reference_describes_the_new_rpc(generated: Path) -> None:
    page = (generated / "docs/reference/operations.md").read_text(encoding="utf-8")
    section = page.split("### PlaceOrder\n")[1].split("### ApproveOrder\n")[0]

    for text in (
        "Places an order and waits until it is approved.",
        "| HTTP | `POST /v1/customers/{customer_id}/orders` |",
        "| Permission | `orders.place` |",
        "| Deadline | 90.5 seconds |",
        "| Reached by | `ApproveOrder`, `ReportShipment`, `QuoteOrder` |",
        "| `address` | string | Where to. Never logged or shown in an error. |",
        "| `articles` | map of string to int32 | How many of each article. |",
        "| `payment` | [Payment](#nexpoordersv1payment) |",
        "| `order_id` | string | Identifies the order. |",
    ):
        assert text in section
    assert "### nexpo.orders.v1.Payment" in page


def test_the_reference_describes_every_reason_of_the_catalogue(generated: Path) -> None:
    from nexpo.errors.v1 import errors_pb2

    page = (generated / "docs/reference/errors.md").read_text(encoding="utf-8")
    for name in errors_pb2.Reason.keys()[1:]:
        assert f"| `{name.removeprefix('REASON_')}` |" in page
    assert "REASON_" not in page


def test_the_reference_shows_the_limits_of_content(generated: Path) -> None:
    from nexpo.options.v1 import options_pb2

    limits = options_pb2.DESCRIPTOR.GetOptions().Extensions[options_pb2.content_limits]
    page = (generated / "docs/reference/limits.md").read_text(encoding="utf-8")
    for field in limits.DESCRIPTOR.fields:
        assert getattr(limits, field.name) > 0
        assert f"| `{field.name}` | {getattr(limits, field.name):,} |" in page
