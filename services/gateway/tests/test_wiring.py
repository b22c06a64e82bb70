"""A gateway that cannot serve a method of its contract says so before it serves any."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexpo_gateway.calls.dispatcher import check_natives
from nexpo_gateway.calls.reads import check_reachable
from nexpo_gateway.contract import Contract
from nexpo_gateway.main import main
from nexpo_gateway.operations.service import OperationMethods
from nexpo_runtime.errors import ContractError

from .conftest import gateway_settings

OPERATIONS = "nexpo.operations.v1.OperationService"
TASKS = "nexpo.operations.v1.OperationTaskService"


def natives(cls: type[OperationMethods]) -> dict[str, object]:
    """An object of the class for both services, made without what it works with."""
    served = cls.__new__(cls)
    return {OPERATIONS: served, TASKS: served}


def test_the_gateway_serves_every_native_method_of_its_contract() -> None:
    check_natives(Contract.load(), natives(OperationMethods))


def test_a_native_method_that_nothing_serves_is_named() -> None:
    with pytest.raises(ContractError) as refused:
        check_natives(Contract.load(), {OPERATIONS: natives(OperationMethods)[OPERATIONS]})

    assert f"/{TASKS}/ListOperationTasks is native, but its service is not among" in str(
        refused.value
    )


def test_a_native_method_of_another_kind_is_named() -> None:
    class Half(OperationMethods):
        get_operation = None  # type: ignore[assignment]  # the mistake
        watch_operation = OperationMethods.cancel_operation  # type: ignore[assignment]

    with pytest.raises(ContractError) as refused:
        check_natives(Contract.load(), natives(Half))

    assert str(refused.value).splitlines() == [
        f"/{OPERATIONS}/GetOperation: Half has no async method get_operation; write it",
        f"/{OPERATIONS}/WatchOperation: Half has no async generator watch_operation; write it",
    ]


async def test_a_gateway_whose_package_lacks_a_workflow_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexpo_gateway.main.discover", lambda package: ())

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
