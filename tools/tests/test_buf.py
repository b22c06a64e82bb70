"""buf over the contract, offline: lint, and breaks against what was released."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nexpo_tools import buf
from nexpo_tools.generate import ROOT

USERS = "proto/nexpo/users/v1/users.proto"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A copy of the contract with its rules, released as it is."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copyfile(ROOT / "buf.yaml", tmp_path / "buf.yaml")
    assert buf.release(tmp_path) == ""
    return tmp_path


def change(workspace: Path, old: str, new: str, proto: str = USERS) -> None:
    """Replaces a text in a proto, by default the users'."""
    path = workspace / proto
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_contract_that_did_not_change_breaks_nothing(workspace: Path) -> None:
    assert buf.breaking(workspace) == ""


def test_a_new_field_breaks_nothing(workspace: Path) -> None:
    change(workspace, "string etag = 6;", "string etag = 6;\n  // New.\n  string nickname = 99;")

    assert buf.breaking(workspace) == ""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "  // Name to show.\n  string display_name = 3;\n",
            "",
            'field "3" with name "display_name"',
        ),
        ("string display_name = 3;", "string name = 3;", "changed name"),
        ("string display_name = 3;", "int64 display_name = 3;", "changed type"),
        ("string display_name = 3;", "string display_name = 30;", 'field "3"'),
        (
            "  // Beside it, what every database has.\n  USER_VIEW_COPIES = 2;\n",
            "",
            'enum value "2" on enum "UserView" was deleted',
        ),
        ("rpc GetUser(", "rpc FetchUser(", '"GetUser"'),
    ],
)
def test_a_planted_break_is_found(old: str, new: str, said: str, workspace: Path) -> None:
    change(workspace, old, new)

    assert said in buf.breaking(workspace)


def test_a_package_of_another_name_is_found(workspace: Path) -> None:
    change(workspace, "package nexpo.ai.v1;", "package nexpo.ai.v2;", "proto/nexpo/ai/v1/ai.proto")

    assert "nexpo.ai" in buf.breaking(workspace)


def test_releasing_accepts_the_break(workspace: Path) -> None:
    change(workspace, "string display_name = 3;", "string name = 3;")
    assert buf.breaking(workspace)

    assert buf.release(workspace) == ""

    assert buf.breaking(workspace) == ""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("string display_name = 3;", "string displayName = 3;", "lower_snake_case"),
        ("rpc GetUser(", "rpc getUser(", "PascalCase"),
        ('import "google/protobuf/struct.proto";', 'import "google/rpc/code.proto";\n'
         'import "google/protobuf/struct.proto";', "is unused"),
    ],
)  # fmt: skip
def test_a_breach_of_style_is_found(old: str, new: str, said: str, workspace: Path) -> None:
    assert buf.lint(workspace) == ""

    change(workspace, old, new)

    assert said in buf.lint(workspace)


def test_the_released_contract_is_kept_by_the_contract_as_it_is() -> None:
    assert buf.breaking(ROOT) == ""
