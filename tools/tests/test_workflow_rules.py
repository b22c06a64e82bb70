"""The lint rule for workflow modules: what it finds and what it lets pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexpo_tools.generate import ROOT
from nexpo_tools.workflow_rules import check_workflows, unordered_fields

WORKFLOW = "@operation(PlaceOrderContract)\nclass PlaceOrder(Operation): pass\n"


def findings(tmp_path: Path, code: str) -> list[str]:
    """What the rule says of a workflow module with this code."""
    folder = tmp_path / "services/shop/nexpo_shop/orders"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "place_order.py").write_text(f"{code}\n{WORKFLOW}", encoding="utf-8")
    (folder / "names.py").touch()
    return [str(finding) for finding in check_workflows(tmp_path)]


def test_fields_without_order_are_known_from_the_contract() -> None:
    assert "attributes" in unordered_fields()
    assert "stores" not in unordered_fields()


@pytest.mark.parametrize(
    "code",
    [
        "for key in request.profile.attributes: pass",
        "for key, value in request.profile.attributes.items(): pass",
        "for key in request.profile.attributes.fields: pass",
        "names = [key for key in request.profile.attributes]",
        "names = {key: 1 for key in profile.attributes.keys()}",
        "copy = dict(profile.attributes)",
        "copy = list(profile.attributes.values())",
        "for i, key in enumerate(profile.attributes): pass",
        "pairs = zip(profile.attributes, names)",
        "both = [*profile.attributes]",
        "attributes = profile.attributes\nfor key in attributes: pass",
        "for store in set(request.stores): pass",
        "for store in {1, 2}: pass",
        "stores = list(frozenset(request.stores))",
        "stores = [s for s in {x for x in request.stores}]",
    ],
)
def test_an_iteration_without_order_is_found(code: str, tmp_path: Path) -> None:
    (found,) = findings(tmp_path, code)

    assert found.startswith("services/shop/nexpo_shop/orders/place_order.py:")
    assert found.endswith("whose order differs per process: sorted(...) it")


@pytest.mark.parametrize(
    "code",
    [
        "for key in sorted(request.profile.attributes): pass",
        "for key, value in sorted(request.profile.attributes.items()): pass",
        "names = sorted(key for key in request.stores)",
        "for store in request.stores: pass",
        "for store in sorted(set(request.stores)): pass",
        "known = 'plan' in request.profile.attributes",
        "steps = list(progress.steps)",
    ],
)
def test_an_iteration_with_order_passes(code: str, tmp_path: Path) -> None:
    assert findings(tmp_path, code) == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import asyncpg", "imports asyncpg;"),
        ("from temporalio import workflow", "imports temporalio.workflow;"),
        ("import random", "imports random, which differs per run; use flow"),
        ("from os import environ", "imports os, which differs per run; use flow"),
        ("import nexpo_runtime.settings", "imports nexpo_runtime.settings;"),
        ("from nexpo_runtime import settings", "imports nexpo_runtime.settings;"),
        ("from nexpo_shop.orders import lost", "imports nexpo_shop.orders.lost; there is no"),
        ("from nexpo import registry", "imports nexpo.registry;"),
        ("from nexpo.users.v1.users_client import UserServiceClient", "imports nexpo.users.v1."),
        (
            "from nexpo.users.v1 import user_records_service",
            "imports nexpo.users.v1.user_records_service;",
        ),
        ("from ..providers import lost", "imports nexpo_shop.providers.lost; there is no"),
        ("def later():\n    import socket", "imports socket, which differs per run; use flow"),
    ],
)
def test_an_import_that_no_workflow_needs_is_found(code: str, said: str, tmp_path: Path) -> None:
    (found,) = findings(tmp_path, code)

    assert said in found


def test_what_a_workflow_needs_passes(tmp_path: Path) -> None:
    code = """
from __future__ import annotations
import asyncio
import hmac
from datetime import timedelta
from google.protobuf import duration_pb2
from google.protobuf.message import Message
from nexpo.contract import Retry
from nexpo.users.v1.user_records_pb2 import CreateUserRequest
from nexpo.users.v1.user_records_temporal import user_record_activities as db
from nexpo_runtime.workflow import flow
from nexpo_runtime.errors import Fault
from nexpo_runtime.workflow.operation import Operation, operation
from nexpo_runtime.workflow.saga import Saga
from nexpo_shop.orders.names import name
from .names import name
"""
    assert findings(tmp_path, code) == []


def test_modules_that_no_workflow_imports_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "services/shop/nexpo_shop/orders"
    folder.mkdir(parents=True)
    (folder / "activities.py").write_text("import random\n", encoding="utf-8")

    assert findings(tmp_path, "from .names import name") == []


@pytest.mark.parametrize(
    "code",
    [
        "from .prices import price",
        "from . import prices",
        "from nexpo_shop.orders.prices import price",
        "from ..orders import prices",
        "from .discounts import discount",
    ],
)
def test_what_a_workflow_imports_of_its_package_keeps_the_rule_too(
    code: str, tmp_path: Path
) -> None:
    folder = tmp_path / "services/shop/nexpo_shop/orders"
    folder.mkdir(parents=True)
    (folder / "prices.py").write_text("import random\n", encoding="utf-8")
    (folder / "discounts.py").write_text("from .prices import price\n", encoding="utf-8")

    (found,) = findings(tmp_path, code)

    assert found == (
        "services/shop/nexpo_shop/orders/place_order.py:1: leads a replay to"
        " services/shop/nexpo_shop/orders/prices.py:1, which imports random, which differs per run;"
        " use flow"
    )


@pytest.mark.parametrize("code", ["from . import stock", "from .stock import count"])
def test_a_package_that_a_workflow_imports_keeps_the_rule_too(code: str, tmp_path: Path) -> None:
    folder = tmp_path / "services/shop/nexpo_shop/orders/stock"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("import random\n", encoding="utf-8")

    (found,) = findings(tmp_path, code)

    assert "orders/stock/__init__.py:1, which imports random, which differs per run" in found


def test_the_workflows_of_the_workspace_keep_the_rule() -> None:
    assert check_workflows(ROOT) == []


@pytest.mark.parametrize(
    "code",
    [
        "from datetime import datetime\nlate = datetime.now() > limit",
        "import datetime\ntoday = datetime.date.today()",
        "import asyncio\nat = asyncio.get_running_loop().time_ns()",
    ],
)
def test_reading_the_clock_of_the_process_is_found(code: str, tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, code)
    assert "flow.now()" in finding


def test_the_clock_of_the_operation_passes(tmp_path: Path) -> None:
    assert findings(tmp_path, "from nexpo_runtime.workflow import flow\nbegan = flow.now()") == []
