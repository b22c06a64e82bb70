"""A gateway that cannot serve a method of its contract says so before it serves any."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import nexpo_gateway
from nexpo_gateway.calls.reads import check_reachable
from nexpo_gateway.contract import Contract
from nexpo_gateway.engines import QUEUE
from nexpo_gateway.main import main
from nexpo_gateway.operations.service import OperationMethods
from nexpo_runtime.errors import ContractError
from nexpo_runtime.worker.completeness import check_complete, queue_of, served
from nexpo_runtime.worker.discovery import discover
from nexpo_runtime.worker.invocation import check
from nexpo_runtime.worker.probe import PROBE

from .conftest import gateway_settings

OPERATIONS = "nexpo.operations.v1.OperationService"


def test_the_gateway_serves_every_native_method_of_its_contract() -> None:
    native = {rpc.name for rpc in Contract.load().rpcs if rpc.kind == "native"}

    assert native
    assert native == set(served(discover(nexpo_gateway).natives, []))


def test_a_native_method_that_nothing_serves_is_named() -> None:
    with pytest.raises(ContractError) as refused:
        check_complete(queue_of(QUEUE), [], [], runtime=PROBE)

    assert f": {OPERATIONS} belongs to {QUEUE}, and no class of its worker is it" in str(
        refused.value
    )


def test_a_native_method_of_another_kind_is_named() -> None:
    class Half(OperationMethods):
        get_operation = None  # type: ignore[assignment]  # the mistake
        watch_operation = OperationMethods.cancel_operation  # type: ignore[assignment]

    with pytest.raises(ContractError) as refused:
        check_complete(queue_of(QUEUE), [], [], runtime=PROBE, natives=[Half])

    get, watch = str(refused.value).splitlines()
    assert get.endswith(
        "Half has no 'async def get_operation(self, request, call)', which is"
        " nexpo.operations.v1.GetOperation: write it so"
    )
    assert "has no 'async def watch_operation(self, request, call)' with a 'yield', which" in watch


def test_a_native_service_belongs_to_the_gateway() -> None:
    with pytest.raises(ContractError, match=f"{OPERATIONS} belongs to {QUEUE}, not to nexpo-db"):
        check([OperationMethods], "nexpo-db")


async def test_a_gateway_whose_package_lacks_a_workflow_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = dataclasses.replace(discover(nexpo_gateway), workflows=())
    monkeypatch.setattr("nexpo_runtime.worker.bootstrap.discover", lambda *_: lacking)

    with pytest.raises(ContractError) as refused:
        await main(gateway_settings("127.0.0.1:1", tmp_path / "keys.json"))

    assert "nexpo.users.v1.OnboardUser belongs to nexpo-gateway, and its worker has no such" in str(
        refused.value
    )


def test_a_read_whose_worker_has_no_address_is_named() -> None:
    check_reachable(["nexpo-db", "nexpo-cloud"])

    with pytest.raises(ContractError) as refused:
        check_reachable(["nexpo-cloud"])

    assert "/nexpo.users.v1.UserService/GetUser: its worker nexpo-db has no address" in str(
        refused.value
    )
