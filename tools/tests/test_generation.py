"""Generation as a whole: drift, removal, no trace of the machine, the printed protos."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nexpo_tools import third_party
from nexpo_tools.generate import ROOT, differences, drift, generate, summary
from orders_contract import compile_protos


@pytest.fixture
def committed(generated: Path, tmp_path: Path) -> Path:
    """A copy of a generated workspace, to be changed."""
    root = tmp_path / "committed"
    shutil.copytree(generated, root)
    return root


def test_what_was_just_generated_has_no_drift(generated: Path, committed: Path) -> None:
    assert drift(committed, generated) == []


@pytest.mark.parametrize(
    "name",
    [
        "shared/contracts/nexpo/modules.py",
        "shared/contracts/nexpo/users/v1/users_temporal.py",
        "shared/contracts/nexpo/users/v1/users_pb2.pyi",
        "shared/contracts/typings/google/rpc/status_pb2.pyi",
        "docs/reference/errors.md",
    ],
)
def test_a_file_changed_by_hand_is_drift(name: str, generated: Path, committed: Path) -> None:
    with (committed / name).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")

    assert drift(committed, generated) == [f"{name}: is not what the protos say"]


def test_a_missing_file_and_a_left_over_one_are_drift(generated: Path, committed: Path) -> None:
    contracts = committed / "shared/contracts/nexpo"
    (contracts / "comments.py").unlink()
    (contracts / "orders/v1/gone_service.py").write_text("", encoding="utf-8")

    assert drift(committed, generated) == [
        "shared/contracts/nexpo/comments.py: is missing",
        "shared/contracts/nexpo/orders/v1/gone_service.py: comes from no proto any more",
    ]


def test_what_is_written_by_hand_beside_it_is_nobodys_to_generate(
    generated: Path, committed: Path
) -> None:
    contracts = committed / "shared/contracts/nexpo"
    for name in ("client.py", "contract.py", "registry.py"):
        assert not (contracts / name).exists()
        (contracts / name).write_text("", encoding="utf-8")
    assert drift(committed, generated) == []

    (contracts / "orders/v1/client.py").write_text("", encoding="utf-8")
    assert drift(committed, generated) == [
        "shared/contracts/nexpo/orders/v1/client.py: comes from no proto any more"
    ]


def test_what_was_written_is_told_as_what_was_done_and_not_as_a_fault(
    generated: Path, committed: Path
) -> None:
    assert summary(differences(committed, generated)) == "generated; nothing has changed"
    contracts = committed / "shared/contracts/nexpo"
    (contracts / "modules.py").unlink()
    (contracts / "orders/v1/gone_service.py").write_text("", encoding="utf-8")
    (contracts / "comments.py").write_text("", encoding="utf-8")

    assert summary(differences(committed, generated)).splitlines() == [
        "generated; 3 files have changed",
        "  changed shared/contracts/nexpo/comments.py",
        "  new     shared/contracts/nexpo/modules.py",
        "  removed shared/contracts/nexpo/orders/v1/gone_service.py",
    ]


def test_a_second_generation_gives_the_same_bytes(generated: Path, tmp_path: Path) -> None:
    generate(generated / "proto", tmp_path)

    assert drift(tmp_path, generated) == []


def test_generated_files_name_no_folder_and_no_registry(generated: Path) -> None:
    for path in generated.rglob("*"):
        if path.is_file() and path.suffix in (".py", ".pyi", ".md") and "proto" not in path.parts:
            text = path.read_text(encoding="utf-8")
            assert str(generated) not in text, path
            assert str(ROOT) not in text, path
            assert "buf.build" not in text, path


def test_the_printed_validate_proto_compiles_to_the_descriptor_it_came_from(
    imports: Path,
) -> None:
    (compiled,) = (
        file
        for file in compile_protos([imports], [third_party.VALIDATE]).file
        if file.name == third_party.VALIDATE
    )
    compiled.ClearField("source_code_info")

    assert compiled == third_party.validate_descriptor()
