"""What a service is made of is found in its package, by its files."""

from __future__ import annotations

import importlib
import sys
import types
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from nexpo.queues import QUEUES
from nexpo_runtime.errors import ContractError
from nexpo_runtime.worker.completeness import check_complete
from nexpo_runtime.worker.discovery import discover

from . import sample
from .sample import Sample, SampleService

ACTIVITIES = """
from nexpo.ai.v1.ai_pb2 import WriteWelcomeRequest, WriteWelcomeResponse
from nexpo.ai.v1.ai_service import AiActivitiesBase


class Texts(AiActivitiesBase):
    async def write_welcome(self, request: WriteWelcomeRequest) -> WriteWelcomeResponse:
        return WriteWelcomeResponse()
"""

Write = Callable[[dict[str, str]], ModuleType]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a package of the test's own from the text of its files, and imports it."""
    name = f"shop_{uuid.uuid4().hex[:8]}"
    monkeypatch.syspath_prepend(str(tmp_path))

    def made(files: dict[str, str]) -> ModuleType:
        for file, text in {"__init__.py": "", **files}.items():
            target = tmp_path / name / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return importlib.import_module(name)

    yield made
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def test_workflows_and_services_are_found_and_nothing_else() -> None:
    found = discover(sample)

    assert (found.workflows, found.services, found.natives) == ((Sample,), (SampleService,), ())


def test_a_folder_needs_no_init_and_no_line_anywhere(write: Write) -> None:
    package = write({"content/welcome/activities.py": ACTIVITIES})

    [texts] = discover(package).services

    assert texts.__module__ == f"{package.__name__}.content.welcome.activities"


def test_a_module_that_names_nothing_of_the_contract_is_not_imported(write: Write) -> None:
    package = write(
        {
            "content/activities.py": ACTIVITIES,
            "heavy.py": "raise RuntimeError('an SDK that is switched off')",
            "__main__.py": "from nexpo.ai.v1 import ai_service\nraise SystemExit",
        }
    )

    assert len(discover(package).services) == 1


def test_an_operation_in_a_module_that_names_no_contract_is_refused(write: Write) -> None:
    forgotten = (
        "from nexpo_runtime.workflow.operation import Operation\n\n\n"
        "class PlaceOrder(Operation):\n    pass\n"
    )

    with pytest.raises(ContractError, match=r"orders\.place_order\.PlaceOrder has no contract"):
        discover(write({"orders/place_order.py": forgotten}))


def test_a_base_that_others_extend_is_not_served_itself(write: Write) -> None:
    more = ACTIVITIES + "\n\nclass Better(Texts):\n    pass\n"

    [found] = discover(write({"content/activities.py": more})).services

    assert found.__name__ == "Better"


def test_what_extends_a_service_in_a_module_of_its_own_is_served_in_its_place(
    write: Write,
) -> None:
    better = "from .activities import Texts\n\n\nclass Better(Texts):\n    pass\n"
    best = "from . import better\n\n\nclass Best(\n    better.Better,\n):\n    pass\n"
    files = {"activities.py": ACTIVITIES, "better.py": better, "a_best.py": best}

    [found] = discover(write({f"content/{name}": text for name, text in files.items()})).services

    assert found.__name__ == "Best"


def test_a_source_is_read_in_the_encoding_that_it_names(write: Write) -> None:
    package = write({"activities.py": ACTIVITIES})
    old = Path(package.__path__[0]) / "old.py"
    old.write_bytes("# -*- coding: latin-1 -*-\n# caf\u00e9\n".encode("latin-1"))

    assert len(discover(package).services) == 1

    old.write_bytes("# caf\u00e9\n".encode("latin-1"))
    discover.cache_clear()
    with pytest.raises(ContractError, match=r"old\.py: its encoding is not what it says"):
        discover(package)


def test_two_classes_for_one_service_are_refused(write: Write) -> None:
    package = write({"one/activities.py": ACTIVITIES, "two/activities.py": ACTIVITIES})

    with pytest.raises(ContractError) as refused:
        discover(package)

    name = package.__name__
    assert str(refused.value) == (
        f"{name}.two.activities.Texts and {name}.one.activities.Texts both are"
        " nexpo.ai.v1.AiActivities: remove one"
    )


def test_a_class_of_another_queue_is_refused(write: Write) -> None:
    found = discover(write({"content/activities.py": ACTIVITIES}))
    cloud = next(queue for queue in QUEUES if queue.name == "nexpo-cloud")

    with pytest.raises(ContractError) as refused:
        check_complete(cloud, found.services, found.workflows, runtime=())

    assert (
        "Texts: nexpo.ai.v1.AiActivities belongs to nexpo-ai, not to nexpo-cloud: move the class"
        in str(refused.value)
    )


def test_a_module_that_raises_when_it_is_imported_is_named(write: Write) -> None:
    package = write({"content/activities.py": ACTIVITIES + "\n1 / 0\n"})

    with pytest.raises(ContractError) as refused:
        discover(package)

    assert str(refused.value).endswith(
        "content/activities.py: the module cannot be imported, so nothing in it would be served:"
        " ZeroDivisionError: division by zero"
    )


def test_two_classes_for_one_workflow_are_refused() -> None:
    module = types.ModuleType("twice")
    for name in ("First", "Second"):
        namespace = {"__nexpo_contract__": Sample.contract, "__module__": "twice"}
        setattr(module, name, type(name, (), namespace))
    with pytest.raises(ContractError, match="both are"):
        discover(module)
