"""nexpo/comments.py: the protos' own words, for surfaces that explain themselves."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def comments(generated: Path) -> dict[str, str]:
    """What the generated module holds."""
    module = runpy.run_path(str(generated / "shared/contracts/nexpo/comments.py"))
    found: dict[str, str] = module["COMMENTS"]
    return found


def test_services_methods_fields_and_enum_values_keep_their_words(
    comments: dict[str, str],
) -> None:
    assert comments["nexpo.orders.v1.OrderService"] == "Takes orders."
    assert comments["nexpo.orders.v1.OrderService.ApproveOrder"] == "Approves an order."
    assert comments["nexpo.users.v1.OnboardUserRequest.email"] == "E-mail address."
    # Reached through another message, and through another file.
    assert comments["nexpo.users.v1.Profile.plan"] == "Plan, such as free or pro."
    assert (
        comments["nexpo.users.v1.UserView.USER_VIEW_COPIES"]
        == "Beside it, what every database has."
    )
    assert comments["google.longrunning.GetOperationRequest.name"]


def test_what_no_user_can_send_is_left_out(comments: dict[str, str]) -> None:
    assert "nexpo.users.v1.UserRecordActivities" not in comments
    assert not [name for name in comments if name.startswith("google.protobuf.")]


def test_a_comment_of_several_lines_is_one_line(comments: dict[str, str]) -> None:
    about = comments["nexpo.users.v1.UserService.OnboardUser"]

    assert about.startswith(
        "Creates a user in every database, provisions a home, sends a verification"
    )
    assert "\n" not in about
